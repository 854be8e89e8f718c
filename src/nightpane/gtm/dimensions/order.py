"""Order: names, variables, triggers and folders, so that a person finds the way."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping

from nightpane.gtm.case import Case
from nightpane.gtm.container import Container, Entity
from nightpane.gtm.rubric import Limits
from nightpane.gtm.signals import Signals

__all__ = [
    "FOLDERS",
    "PREFIXES",
    "event_name",
    "folder_organization",
    "naming_conventions",
    "trigger_quality",
    "variable_hygiene",
]

# A variable's prefix by its type: constant, data layer, custom JavaScript, cookie.
PREFIXES: Mapping[str, str] = {"c": "Const", "v": "DLV", "jsm": "CJS", "k": "Cookie"}
# The folder of a tag by how its name begins.
FOLDERS: Mapping[str, str] = {"GA4 -": "GA4", "Meta -": "Meta", "GAds -": "Google Ads"}
_TAG = re.compile(r"\w+ - \S")
_BUILT_IN = frozenset({"_event", "Page URL", "Page Hostname", "Page Path", "Referrer", "Event"})


def naming_conventions(
    container: Container, _signals: Signals | None, _limits: Limits
) -> Iterator[Case]:
    """Yield a case for each name that a convention covers."""
    for tag in container.tags:
        yield _named(tag, bool(_TAG.match(tag.name)), "'Platform - what it does'")
    for trigger in container.triggers:
        if trigger.type == "CUSTOM_EVENT":
            yield _named(trigger, trigger.name.startswith("CE - "), "'CE - event'")
    for variable in container.variables:
        if (prefix := PREFIXES.get(variable.type)) is not None:
            fits = variable.name.startswith((f"{prefix} -", f"{prefix} "))
            yield _named(variable, fits, f"'{prefix} - what it holds'")


def _named(entity: Entity, fits: bool, form: str) -> Case:
    return Case(
        check="name",
        subject=entity.name,
        points=float(fits),
        rationale=f"{entity.label} is {'' if fits else 'not '}named {form}",
        fix="" if fits else f"rename {entity.label} to {form}",
        kind=entity.kind,
        entity_id=entity.id,
    )


def variable_hygiene(
    container: Container, _signals: Signals | None, _limits: Limits
) -> Iterator[Case]:
    """Yield a case for each variable (half points when no tag uses it), each reference that leads
    nowhere, and each data-layer variable's version."""
    used = frozenset[str]().union(*(tag.names_used() for tag in container.tags))
    names = {variable.name for variable in container.variables}
    for variable in container.variables:
        is_used = variable.name in used
        yield Case(
            check="used",
            subject=variable.name,
            points=1.0 if is_used else 0.5,
            rationale=f"{'a' if is_used else 'no'} tag uses {variable.label}",
            fix="" if is_used else f"use {variable.label} in a tag",
            kind="variable",
            entity_id=variable.id,
        )
        if variable.type == "v":
            version = variable.parameter("dataLayerVersion")
            yield Case(
                check="data layer version",
                subject=variable.name,
                points=float(version == "2"),
                rationale=f"{variable.label} reads version {version or 'unknown'} of the layer",
                fix="" if version == "2" else f"set dataLayerVersion of {variable.label} to 2",
                kind="variable",
                entity_id=variable.id,
            )
    for name in sorted(used - names - _BUILT_IN):
        yield Case(
            check="reference resolves",
            subject=name,
            points=0.0,
            rationale=f"a tag refers to {{{{{name}}}}}, which no variable is named",
            fix=f"add a variable {name!r}, or mend the reference",
        )


def event_name(trigger: Entity) -> str | None:
    """Return the event that a custom-event trigger waits for by EQUALS, None without."""
    for condition in trigger.document.get("customEventFilter", ()):
        if condition.get("type") == "EQUALS":
            for one in condition.get("parameter", ()):
                if one.get("key") == "arg1":
                    return str(one.get("value", ""))
    return None


def trigger_quality(
    container: Container, _signals: Signals | None, _limits: Limits
) -> Iterator[Case]:
    """Yield a case for each trigger: does it wait for one event, does a tag fire on it, is it the
    only one of its event?"""
    fired = {one for tag in container.tags for one in tag.document.get("firingTriggerId", ())}
    events: Counter[str] = Counter()
    for trigger in container.triggers:
        if trigger.type == "CUSTOM_EVENT":
            event = event_name(trigger)
            events.update([event] if event is not None else [])
            yield Case(
                check="event filter",
                subject=trigger.name,
                points=float(event is not None),
                rationale=f"{trigger.label} waits for {event or 'no event by EQUALS'}",
                fix="" if event is not None else f"give {trigger.label} an EQUALS filter",
                kind="trigger",
                entity_id=trigger.id,
            )
        is_used = trigger.id in fired
        yield Case(
            check="fires a tag",
            subject=trigger.name,
            points=float(is_used),
            rationale=f"{trigger.label} fires {'a' if is_used else 'no'} tag",
            fix="" if is_used else f"fire a tag on {trigger.label}",
            kind="trigger",
            entity_id=trigger.id,
        )
    for event, count in sorted(events.items()):
        if count > 1:
            yield Case(
                check="one trigger an event",
                subject=event,
                points=0.0,
                rationale=f"{count} triggers wait for {event}",
                fix=f"use one trigger for {event}",
            )


def folder_organization(
    container: Container, _signals: Signals | None, _limits: Limits
) -> Iterator[Case]:
    """Yield a case for each tag and variable: is it in a folder, and a tag in its platform's?"""
    for entity in (*container.tags, *container.variables):
        yield Case(
            check="in a folder",
            subject=entity.name,
            points=float(bool(entity.folder_id)),
            rationale=f"{entity.label} is in {'a' if entity.folder_id else 'no'} folder",
            fix="" if entity.folder_id else f"put {entity.label} in a folder",
            kind=entity.kind,
            entity_id=entity.id,
        )
    for tag in container.tags:
        wanted = next((name for head, name in FOLDERS.items() if tag.name.startswith(head)), None)
        if wanted is None:
            continue
        found = container.folder_name(tag)
        yield Case(
            check="platform's folder",
            subject=tag.name,
            points=float(found == wanted),
            rationale=f"{tag.label} is in {found or 'no folder'}; its platform's is {wanted}",
            fix="" if found == wanted else f"move {tag.label} to the folder {wanted}",
            kind="tag",
            entity_id=tag.id,
        )
