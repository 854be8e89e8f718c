"""What a change of a container must never do, checked on the two containers and nothing else.

A container that one may publish is read from the result alone: whoever made the change, a rule, a
model or a person, is not asked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nightpane.gtm.container import ID_FIELDS, Container, Entity, references

__all__ = [
    "BUDGET",
    "FREE_FIELDS",
    "TAG_FIELDS",
    "Breach",
    "check",
    "cost_of",
    "renamed",
    "rewrite",
]

# What may change of a tag that was there.
TAG_FIELDS = frozenset(
    {
        "name",
        "parameter",
        "firingTriggerId",
        "blockingTriggerId",
        "parentFolderId",
        "consentSettings",
        "notes",
        "tagFiringOption",
    }
)
# What may change of a trigger or a variable, and what of a tag costs nothing.
FREE_FIELDS = frozenset({"name", "parentFolderId"})
# Costly operations a round.
BUDGET = 3
_ADDED = ("tag", "trigger", "variable", "folder")
_PLACEHOLDER = re.compile(r"%%[A-Za-z0-9_]+%%")
_FIRST_BUILT_IN_TRIGGER = 2147470000
_NEVER_VARIABLES = frozenset({"_event"})


@dataclass(frozen=True, slots=True)
class Breach:
    """An invariant that a change broke: which, where, and how."""

    rule: str
    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message} ({self.rule})"


def check(before: Container, after: Container, *, budget: int = BUDGET) -> list[Breach]:
    """Return what is broken, nothing when ``after`` is a fit successor of ``before``.

    What was already wrong before (a reference that leads nowhere) is no breach.
    """
    rename = renamed(before, after)
    return [
        *_frame(before, after),
        *_placeholders(before, after),
        *_unique(before, after),
        *_kept(before, after, rename),
        *_new(before, after),
        *_resolved(before, after, rename),
        *_afforded(before, after, budget),
    ]


def renamed(before: Container, after: Container) -> dict[str, str]:
    """Return the variables that have another name now, by their names before."""
    now = {one.id: one.name for one in after.variables}
    return {
        one.name: now[one.id]
        for one in before.variables
        if one.id in now and now[one.id] != one.name
    }


def cost_of(before: Container, after: Container) -> int:
    """Return how many costly operations lead from one container to the other, at the least: an
    entity more, a tag changed, consent set on any number of tags. Names and folders are free."""
    rename = renamed(before, after)
    added = sum(len(_added(before, after, kind)) for kind in _ADDED)
    changed = consent = 0
    for was, now in _pairs(before, after, "tag"):
        fields = _changed(_renamed(was.document, rename), now.document) - FREE_FIELDS
        consent |= "consentSettings" in fields
        changed += bool(fields - {"consentSettings"})
    return added + changed + consent


def _frame(before: Container, after: Container) -> Iterator[Breach]:
    """Everything around the entities stays."""
    for holder, was, now in (
        ("", before.document, after.document),
        ("containerVersion.", before.version, after.version),
    ):
        for name in sorted({*was, *now} - {"containerVersion", *ID_FIELDS}):
            if _plain(was.get(name)) != _plain(now.get(name)):
                yield Breach("frame unchanged", f"{holder}{name}", "may not change")


def _placeholders(before: Container, after: Container) -> Iterator[Breach]:
    """What an entity leaves to be filled in stays in it."""
    for kind in ID_FIELDS:
        for was, now in _pairs(before, after, kind):
            for lost in sorted(_tokens(was) - _tokens(now)):
                yield Breach("placeholders survive", was.label, f"the placeholder {lost} is gone")


def _tokens(entity: Entity) -> set[str]:
    return set(_PLACEHOLDER.findall(_plain(entity.document)))


def _unique(before: Container, after: Container) -> Iterator[Breach]:
    for kind in ID_FIELDS:
        seen = [one.id for one in after.entities(kind)]
        were = [one.id for one in before.entities(kind)]
        for double in sorted({one for one in seen if seen.count(one) > max(were.count(one), 1)}):
            yield Breach("ids are unique", f"{kind} {double}", "the id stands twice")
        names = [one.name for one in after.entities(kind)]
        had = [one.name for one in before.entities(kind)]
        for name in sorted({one for one in names if names.count(one) > max(had.count(one), 1)}):
            yield Breach("names are unique", f"{kind} {name!r}", "the name stands twice")


def _kept(before: Container, after: Container, rename: Mapping[str, str]) -> Iterator[Breach]:
    """No entity is gone, and none has changed but in what may change."""
    for kind in ID_FIELDS:
        there = {one.id for one in after.entities(kind)}
        for one in before.entities(kind):
            if one.id not in there:
                yield Breach("nothing is removed", one.label, "it is gone")
        allowed = _may_change(kind)
        for was, now in _pairs(before, after, kind):
            changed = _changed(_renamed(was.document, rename), now.document) - allowed
            for name in sorted(changed):
                yield Breach("only what may change", f"{was.label}.{name}", "may not change")


def _may_change(kind: str) -> frozenset[str]:
    if kind == "tag":
        return TAG_FIELDS
    return FREE_FIELDS if kind in ("trigger", "variable") else frozenset()


def _new(before: Container, after: Container) -> Iterator[Breach]:
    """What is new is of a kind that may be added, with an id above all that were."""
    for kind in ID_FIELDS:
        largest = max((int(one.id) for one in before.entities(kind) if one.id.isdecimal()),
                      default=0)  # fmt: skip
        for entity in _added(before, after, kind):
            if kind not in _ADDED:
                yield Breach("only expected additions", entity.label, f"a {kind} may not be added")
            elif not entity.id.isdecimal() or int(entity.id) <= largest:
                why = f"a new id is above {largest}, this is {entity.id}"
                yield Breach("ids are given by code", entity.label, why)


def _resolved(before: Container, after: Container, rename: Mapping[str, str]) -> Iterator[Breach]:
    """What a tag, trigger or variable refers to is there."""
    for kind in ("tag", "trigger", "variable"):
        was = {
            (one.id, found)
            for one in before.entities(kind)
            for found in _unresolved(before, one, rename)
        }
        for entity in after.entities(kind):
            for found in _unresolved(after, entity, {}):
                if (entity.id, found) not in was:
                    yield Breach("references resolve", entity.label, f"{found} is not there")


def _unresolved(container: Container, entity: Entity, rename: Mapping[str, str]) -> list[str]:
    names = {one.name for one in container.variables} | container.built_in_names
    triggers = {one.id for one in container.triggers}
    folders = {one.id for one in container.folders}
    found = [
        f"variable {{{{{rename.get(name, name)}}}}}"
        for name in sorted(set(references(entity.document)))
        if name not in names and name not in _NEVER_VARIABLES
    ]
    for field in ("firingTriggerId", "blockingTriggerId"):
        for one in entity.document.get(field, ()):
            built_in = one.isdecimal() and int(one) >= _FIRST_BUILT_IN_TRIGGER
            if one not in triggers and not built_in:
                found.append(f"trigger {one}")
    if entity.folder_id is not None and entity.folder_id not in folders:
        found.append(f"folder {entity.folder_id}")
    return found


def _afforded(before: Container, after: Container, budget: int) -> Iterator[Breach]:
    if (cost := cost_of(before, after)) > budget:
        yield Breach("budget", "round", f"{cost} costly operations; a round has {budget}")


# Comparing


def _added(before: Container, after: Container, kind: str) -> list[Entity]:
    were = {one.id for one in before.entities(kind)}
    return [one for one in after.entities(kind) if one.id not in were]


def _pairs(before: Container, after: Container, kind: str) -> Iterator[tuple[Entity, Entity]]:
    now = {one.id: one for one in after.entities(kind)}
    for was in before.entities(kind):
        if was.id in now:
            yield was, now[was.id]


def _changed(was: Mapping[str, Any], now: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(
        name for name in {*was, *now} if _plain(was.get(name)) != _plain(now.get(name))
    )


def _plain(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _renamed(document: Mapping[str, Any], rename: Mapping[str, str]) -> Mapping[str, Any]:
    """Return a document with its references to renamed variables brought up to date."""
    found: Mapping[str, Any] = rewrite(document, rename) if rename else document
    return found


def rewrite(value: Any, rename: Mapping[str, str]) -> Any:
    """Return a value with the references of its texts to renamed variables brought up to date."""
    if isinstance(value, str):
        return re.sub(
            r"\{\{\s*([^{}]+?)\s*\}\}",
            lambda found: f"{{{{{rename[found[1]]}}}}}" if found[1] in rename else found[0],
            value,
        )
    if isinstance(value, Mapping):
        return {name: rewrite(one, rename) for name, one in value.items()}
    if isinstance(value, list):
        return [rewrite(one, rename) for one in value]
    return value
