"""What a change of a container must never do, checked on the two containers and nothing else.

A container that one may publish is read from the result alone: whoever made the change, a rule, a
model or a person, is not asked.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nightpane.gtm.container import ID_FIELDS, Container, Entity
from nightpane.gtm.importable import problems
from nightpane.gtm.renames import REFERRING_FRAME, REFERRING_KINDS, Renames, follow, renamed
from nightpane.gtm.resolving import unresolved

__all__ = ["BUDGET", "FREE_FIELDS", "TAG_FIELDS", "Breach", "check", "cost_of"]

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
    renames = renamed(before, after)
    return [
        *_frame(before, after, renames),
        *_placeholders(before, after),
        *_unique(before, after),
        *_kept(before, after, renames),
        *_order(before, after),
        *_new(before, after),
        *_resolved(before, after, renames),
        *_importable(before, after),
        *_afforded(before, after, budget),
    ]


def cost_of(before: Container, after: Container) -> int:
    """Return how many costly operations lead from one container to the other, at the least: an
    entity more, a tag changed, consent set on any number of tags. Names and folders are free."""
    renames = renamed(before, after)
    added = sum(len(_added(before, after, kind)) for kind in _ADDED)
    changed = consent = 0
    for was, now in _pairs(before, after, "tag"):
        fields = _changed(_followed(was, renames), now.document) - FREE_FIELDS
        consent |= "consentSettings" in fields
        changed += bool(fields - {"consentSettings"})
    return added + changed + consent


def _frame(before: Container, after: Container, renames: Renames) -> Iterator[Breach]:
    """Everything around the entities stays."""
    followed = {
        name: follow(value, renames) if name in REFERRING_FRAME else value
        for name, value in before.version.items()
    }
    for holder, was, now in (
        ("", before.document, after.document),
        ("containerVersion.", followed, after.version),
    ):
        for name in sorted(_changed(was, now) - {"containerVersion", *ID_FIELDS}):
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
        for double in _doubles(
            [one.id for one in before.entities(kind)], [one.id for one in after.entities(kind)]
        ):
            yield Breach("ids are unique", f"{kind} {double}", "the id stands twice")
        for double in _doubles(
            [one.name for one in before.entities(kind)], [one.name for one in after.entities(kind)]
        ):
            yield Breach("names are unique", f"{kind} {double!r}", "the name stands twice")


def _doubles(before: list[str], after: list[str]) -> list[str]:
    """Return what stands more than once, and more often than before."""
    had = Counter(before)
    return sorted(one for one, count in Counter(after).items() if count > max(had[one], 1))


def _kept(before: Container, after: Container, renames: Renames) -> Iterator[Breach]:
    """No entity is gone, and none has changed but in what may change."""
    for kind in ID_FIELDS:
        there = Counter(one.id for one in after.entities(kind))
        for one in before.entities(kind):
            there[one.id] -= 1
            if there[one.id] < 0:
                yield Breach("nothing is removed", one.label, "it is gone")
        allowed = _may_change(kind)
        for was, now in _pairs(before, after, kind):
            changed = _changed(_followed(was, renames), now.document) - allowed
            for name in sorted(changed):
                yield Breach("only what may change", f"{was.label}.{name}", "may not change")


def _order(before: Container, after: Container) -> Iterator[Breach]:
    """What was there stands in the order in which it stood."""
    for kind in ID_FIELDS:
        were = [one.id for one in before.entities(kind)]
        known, now = set(were), [one.id for one in after.entities(kind)]
        left, stayed = set(now), [one for one in now if one in known]
        if stayed != [one for one in were if one in left] and len(stayed) == len(were):
            yield Breach("the order stays", f"{kind}s", "they stand in another order")


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


def _resolved(before: Container, after: Container, renames: Renames) -> Iterator[Breach]:
    """What anything refers to is there."""
    were = set(unresolved(before, renames))
    for found in unresolved(after):
        if found not in were:
            yield Breach("references resolve", found.label, f"{found.missing} is not there")


def _importable(before: Container, after: Container) -> Iterator[Breach]:
    """Tag Manager would take it in, as far as its form tells."""
    were = set(problems(before))
    for problem in problems(after):
        if problem not in were:
            yield Breach("stays importable", problem.where, problem.message)


def _afforded(before: Container, after: Container, budget: int) -> Iterator[Breach]:
    if (cost := cost_of(before, after)) > budget:
        yield Breach("budget", "round", f"{cost} costly operations; a round has {budget}")


# Comparing


def _added(before: Container, after: Container, kind: str) -> list[Entity]:
    were = {one.id for one in before.entities(kind)}
    return [one for one in after.entities(kind) if one.id not in were]


def _pairs(before: Container, after: Container, kind: str) -> Iterator[tuple[Entity, Entity]]:
    """Yield each entity as it was and as it is; of those with one id, in their order."""
    now: dict[str, list[Entity]] = defaultdict(list)
    for one in after.entities(kind):
        now[one.id].append(one)
    for was in before.entities(kind):
        if now[was.id]:
            yield was, now[was.id].pop(0)


def _changed(was: Mapping[str, Any], now: Mapping[str, Any]) -> frozenset[str]:
    same = {name for name in was.keys() & now.keys() if _same(was[name], now[name])}
    return frozenset((was.keys() | now.keys()) - same)


def _same(was: Any, now: Any) -> bool:
    # 1, 1.0 and True are equal in Python, and three things in JSON.
    if was is now or was != now or isinstance(was, str):
        return bool(was == now)
    return _plain(was) == _plain(now)


def _plain(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _followed(entity: Entity, renames: Renames) -> Mapping[str, Any]:
    """Return an entity with its references brought up to date."""
    if entity.kind not in REFERRING_KINDS:
        return entity.document
    found: Mapping[str, Any] = follow(entity.document, renames)
    return found
