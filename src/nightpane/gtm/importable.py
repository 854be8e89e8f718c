"""Whether Tag Manager would take a container's export in, as far as its form tells.

Only the form is looked at: nobody but Tag Manager can say that an import succeeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nightpane.gtm.container import Container, Entity

__all__ = ["Problem", "problems"]

_ENUMS: Mapping[str, frozenset[str]] = {
    "tagFiringOption": frozenset({"UNLIMITED", "ONCE_PER_EVENT", "ONCE_PER_LOAD"}),
    "consentStatus": frozenset({"NOT_SET", "NOT_NEEDED", "NEEDED"}),
}
# What a parameter of a type holds its content in.
_HOLDS: Mapping[str, str] = {
    "TEMPLATE": "value",
    "BOOLEAN": "value",
    "INTEGER": "value",
    "TAG_REFERENCE": "value",
    "TRIGGER_REFERENCE": "value",
    "LIST": "list",
    "MAP": "map",
}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Types of Tag Manager's own. Others may be there already, none may be made up.
_TYPES: Mapping[str, frozenset[str]] = {
    "tag": _words(
        """html img googtag gaawe gaawc gclidw awct awcc awud sp flc fls ua ga opt baut bzi hjtc mf
        crto cegg csm pntr qpx twitter_website_tag asp adm okt omc pa placedPixel pijs svw vdc
        shareaholic messagemate infinity tdlc tdc tdsc veip yieldify lcl cl fsl hl jel evl sdl
        sgtmgaaw sgtmadsct sgtmadscl sgtmadsremarket sgtmadscc sgtmflc sgtmfls"""
    ),
    "trigger": _words(
        """PAGEVIEW DOM_READY WINDOW_LOADED INIT CONSENT_INIT ALWAYS CUSTOM_EVENT TRIGGER_GROUP
        CLICK LINK_CLICK FORM_SUBMISSION HISTORY_CHANGE JS_ERROR TIMER SCROLL_DEPTH
        ELEMENT_VISIBILITY YOU_TUBE_VIDEO SERVER_PAGEVIEW AMP_CLICK AMP_TIMER AMP_SCROLL
        AMP_VISIBILITY"""
    ),
    "variable": _words(
        "c v jsm j k u f d e aev r smm remm ctv cid dbg uv vis awec gas gtcs gtes ed rh t"
    ),
}
_MOST_DIGITS = 19


@dataclass(frozen=True, slots=True)
class Problem:
    """What stands in the way of an import, and where: by id, so that a new name is no new one."""

    where: str
    message: str


def problems(container: Container) -> list[Problem]:
    """Return what in a container's form an import would stumble over."""
    found = dict.fromkeys(
        problem
        for kind in ("tag", "trigger", "variable", "folder")
        for entity in container.entities(kind)
        for problem in _entity(container, entity)
    )
    return list(found)


def _entity(container: Container, entity: Entity) -> Iterator[Problem]:
    where = f"{entity.kind} {entity.id}"
    if not _is_number(entity.id):
        yield Problem(where, "its id is no text of digits")
    for name in ("accountId", "containerId"):
        given, wanted = entity.document.get(name), container.version.get(name)
        if given != wanted:
            yield Problem(where, f"its {name} is {given!r:.80}, the container's is {wanted!r:.80}")
    fingerprint = entity.document.get("fingerprint")
    if fingerprint is not None and not _is_number(fingerprint):
        yield Problem(where, f"its fingerprint is {fingerprint!r:.80}, no text of digits")
    if entity.kind in _TYPES:
        yield from _type(container, entity)
    notes = entity.document.get("notes", "")
    if not isinstance(notes, str):
        yield Problem(where, f"its notes are {notes!r:.80}, no text")
    yield from _parameters(entity.document.get("parameter", ()), f"{where}, parameter", keyed=True)
    for name in ("filter", "customEventFilter", "autoEventFilter"):
        for one in entity.document.get(name, ()):
            yield from _parameters(one.get("parameter", ()), f"{where}, {name}", keyed=True)
    yield from _settings(entity, where)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS


def _is_boolean(text: str) -> bool:
    return text in ("true", "false") or "{{" in text


def _type(container: Container, entity: Entity) -> Iterator[Problem]:
    """A type is Tag Manager's own or that of a template. It is named without the entity: what one
    of a container has, another of it may have."""
    kind = entity.type
    own = kind in _TYPES[entity.kind]
    if not own and not _is_made(container, kind):
        yield Problem(f"{entity.kind}s", f"the type {kind!r:.80} is not known")


def _is_made(container: Container, kind: str) -> bool:
    template = kind.removeprefix("cvt_").rpartition("_")[2]
    return kind.startswith("cvt_") and any(
        one.id == template for one in container.entities("customTemplate")
    )


def _settings(entity: Entity, where: str) -> Iterator[Problem]:
    consent = entity.document.get("consentSettings", {})
    for holder, name in ((entity.document, "tagFiringOption"), (consent, "consentStatus")):
        found = holder.get(name)
        if found is not None and not (isinstance(found, str) and found in _ENUMS[name]):
            known = ", ".join(sorted(_ENUMS[name]))
            yield Problem(where, f"its {name} is {found!r:.80}; it is one of {known}")
    types = consent.get("consentType")
    if types is not None and not isinstance(types, dict):
        yield Problem(where, "its consentType is no parameter")
    elif types:
        yield from _parameters([types], f"{where}, consentType", keyed=False)


def _parameters(found: Any, where: str, *, keyed: bool) -> Iterator[Problem]:
    if not isinstance(found, list | tuple):
        yield Problem(where, "is no list")
        return
    for one in found:
        if not isinstance(one, dict):
            yield Problem(where, "holds what is no parameter")
            continue
        here = f"{where} {one.get('key', '')}".rstrip()
        if keyed and not one.get("key"):
            yield Problem(here, "has no key")
        kind = one.get("type")
        if not isinstance(kind, str) or kind not in _HOLDS:
            yield Problem(here, f"has the type {kind!r:.80}; it is one of {', '.join(_HOLDS)}")
            continue
        if odd := sorted({"value", "list", "map"} & one.keys() - {_HOLDS[kind]}):
            yield Problem(here, f"of the type {kind} has a {odd[0]}")
        if not isinstance(one.get("value", ""), str):
            yield Problem(here, "has a value that is no text")
        elif kind == "BOOLEAN" and not _is_boolean(one.get("value", "true")):
            yield Problem(here, f"of the type BOOLEAN is {one['value']!r:.80}")
        yield from _parameters(one.get("list", ()), here, keyed=False)
        yield from _parameters(one.get("map", ()), here, keyed=True)
