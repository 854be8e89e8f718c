"""What a container refers to and does not have: variables, triggers, folders, tags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from nightpane.gtm.container import SEQUENCED, Container, Entity, references
from nightpane.gtm.renames import REFERRING_FRAME, REFERRING_KINDS, Renames, is_tag_reference

__all__ = ["FIRST_BUILT_IN_TRIGGER", "Unresolved", "is_built_in_trigger", "unresolved"]

FIRST_BUILT_IN_TRIGGER = 2147470000
"""Triggers with this id or a larger one are Tag Manager's own: no export lists them."""
_NEVER_VARIABLES = frozenset({"_event"})


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A reference that leads nowhere: who refers, by kind and id, and to what."""

    where: str
    missing: str
    label: str = field(compare=False)


def unresolved(container: Container, renames: Renames | None = None) -> Iterator[Unresolved]:
    """Yield each reference that leads nowhere; what is missing is told by its new name where
    ``renames`` has one."""
    known, names = _Known(container), renames or Renames()
    for kind in REFERRING_KINDS:
        for entity in container.entities(kind):
            for missing in sorted(set(_missing(entity, known, names))):
                yield Unresolved(f"{kind} {entity.id}", missing, entity.label)
    for name in REFERRING_FRAME:
        for missing in sorted(set(_variables(container.version.get(name), known, names))):
            yield Unresolved(name, missing, f"containerVersion.{name}")


def is_built_in_trigger(trigger_id: str) -> bool:
    """Return whether an id is of one of Tag Manager's own triggers."""
    return trigger_id.isdecimal() and int(trigger_id) >= FIRST_BUILT_IN_TRIGGER


@dataclass(frozen=True)
class _Known:
    """What there is to refer to."""

    container: Container

    @cached_property
    def variables(self) -> frozenset[str]:
        own = (one.name for one in self.container.variables)
        return frozenset(own) | self.container.built_in_names | _NEVER_VARIABLES

    @cached_property
    def tags(self) -> frozenset[str]:
        return frozenset(one.name for one in self.container.tags)

    @cached_property
    def triggers(self) -> frozenset[str]:
        return frozenset(one.id for one in self.container.triggers)

    @cached_property
    def folders(self) -> frozenset[str]:
        return frozenset(one.id for one in self.container.folders)


def _missing(entity: Entity, known: _Known, renames: Renames) -> Iterator[str]:
    yield from _variables(entity.document, known, renames)
    for name in ("firingTriggerId", "blockingTriggerId"):
        for one in entity.document.get(name, ()):
            yield from _trigger(one, known)
    for name in SEQUENCED:
        for one in entity.document.get(name, ()):
            yield from _tag(one.get("tagName"), known, renames)
    for parameter in _flat(entity.document.get("parameter", ())):
        value = parameter.get("value")
        if is_tag_reference(parameter):
            yield from _tag(value, known, renames)
        elif parameter.get("type") == "TRIGGER_REFERENCE" and isinstance(value, str):
            yield from _trigger(value, known)
    if entity.folder_id is not None and entity.folder_id not in known.folders:
        yield f"folder {entity.folder_id}"


def _variables(value: Any, known: _Known, renames: Renames) -> Iterator[str]:
    for name in references(value):
        if name not in known.variables:
            yield f"variable {{{{{renames.variables.get(name, name)}}}}}"


def _tag(name: Any, known: _Known, renames: Renames) -> Iterator[str]:
    if isinstance(name, str) and name not in known.tags and not name.startswith("{{"):
        yield f"tag {renames.tags.get(name, name)!r}"


def _trigger(trigger_id: str, known: _Known) -> Iterator[str]:
    if trigger_id not in known.triggers and not is_built_in_trigger(trigger_id[:40]):
        yield f"trigger {trigger_id}"


def _flat(parameters: Any) -> Iterator[Mapping[str, Any]]:
    """Yield parameters, and those in their lists and maps."""
    for one in parameters:
        yield one
        yield from _flat(one.get("list", ()))
        yield from _flat(one.get("map", ()))
