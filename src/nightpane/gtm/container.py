"""Google Tag Manager's container exports (format version 2, web and server), read and written.

The document stays as it was read: what is unknown here survives, in its order. The typed view of
it must never change it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from nightpane.errors import GtmError
from nightpane.gtm.strict import read_text, strict_json

__all__ = ["ID_FIELDS", "SEQUENCED", "Container", "Entity", "references"]

# The kinds of entities, and the field that holds an entity's id.
ID_FIELDS: Mapping[str, str] = {
    "tag": "tagId",
    "trigger": "triggerId",
    "variable": "variableId",
    "folder": "folderId",
    "client": "clientId",
    "transformation": "transformationId",
    "customTemplate": "templateId",
}
# What a tag fires before and after itself; each names another tag by ``tagName``.
SEQUENCED = ("setupTag", "teardownTag")
_REFERENCE = re.compile(r"\{\{([^{}]+)\}\}")
# Tag Manager counts in 64 bits; what is far longer is no id of its own.
_MOST_ID_CHARS = 40


@dataclass(frozen=True, slots=True)
class Entity:
    """A tag, trigger, variable, folder, client, transformation or template of a container."""

    kind: str
    document: Mapping[str, Any]

    @property
    def id(self) -> str:
        """Its id, a text of digits in exports."""
        return str(self.document[ID_FIELDS[self.kind]])

    @property
    def name(self) -> str:
        """The name a person gave it."""
        return str(self.document["name"])

    @property
    def type(self) -> str:
        """Tag Manager's name of its type, such as ``gaawe``; empty for a folder."""
        return str(self.document.get("type", ""))

    @property
    def folder_id(self) -> str | None:
        """The id of the folder it lies in."""
        found = self.document.get("parentFolderId")
        return None if found is None else str(found)

    @property
    def label(self) -> str:
        """What a person calls it: kind and name."""
        return f"{self.kind} {self.name!r}"

    def parameter(self, key: str) -> Any:
        """Return a parameter's value: a text, or the list or map it holds; None without."""
        for one in self.document.get("parameter", ()):
            if one.get("key") == key:
                return next((one[name] for name in ("value", "list", "map") if name in one), None)
        return None

    def text(self, key: str) -> str | None:
        """Return a parameter's value where it is a text, None otherwise."""
        found = self.parameter(key)
        return found if isinstance(found, str) else None

    def names_used(self) -> frozenset[str]:
        """Return the names of the variables that its parameters refer to."""
        return frozenset(references(self.document.get("parameter")))


@dataclass(frozen=True)
class Container:
    """A container export. ``document`` is the whole of it."""

    document: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> Container:
        """Return a file's container. Raises GtmError when it holds none."""
        text = read_text(path)
        try:
            return cls.parse(text)
        except GtmError as error:
            raise GtmError(f"{path}: {error}") from error

    @classmethod
    def parse(cls, text: str) -> Container:
        """Return a text's container.

        Raises GtmError when it is no JSON that can be written again (see ``strict_json``), or no
        export of format version 2; the message names the field.
        """
        document = strict_json(text)
        _check(document)
        return cls(document)

    @property
    def text(self) -> str:
        """The export as JSON, indented as Tag Manager's own."""
        return json.dumps(self.document, indent=4, ensure_ascii=False, allow_nan=False) + "\n"

    def write(self, path: Path) -> None:
        """Write the export, whole or not at all. Raises GtmError when it cannot be written."""
        beside = path.with_name(f".{path.name}.{os.getpid()}.new")
        try:
            with beside.open("w", encoding="utf-8") as file:
                file.write(self.text)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise GtmError(f"{path} cannot be written: {error}") from error

    @property
    def version(self) -> Mapping[str, Any]:
        """The container version: what holds the entities."""
        found: Mapping[str, Any] = self.document["containerVersion"]
        return found

    @property
    def is_server(self) -> bool:
        """Whether it is a server container."""
        about = self.version.get("container")
        context = about.get("usageContext") if isinstance(about, dict) else None
        return isinstance(context, list) and "SERVER" in [str(one).upper() for one in context]

    def entities(self, kind: str) -> tuple[Entity, ...]:
        """Return the entities of a kind, in their order."""
        return self._by_kind[kind]

    @cached_property
    def _by_kind(self) -> dict[str, tuple[Entity, ...]]:
        return {
            kind: tuple(Entity(kind, one) for one in self.version.get(kind, ()))
            for kind in ID_FIELDS
        }

    @property
    def tags(self) -> tuple[Entity, ...]:
        """The tags."""
        return self.entities("tag")

    @property
    def triggers(self) -> tuple[Entity, ...]:
        """The triggers."""
        return self.entities("trigger")

    @property
    def variables(self) -> tuple[Entity, ...]:
        """The variables that a person made."""
        return self.entities("variable")

    @property
    def folders(self) -> tuple[Entity, ...]:
        """The folders."""
        return self.entities("folder")

    @cached_property
    def built_in_names(self) -> frozenset[str]:
        """The names of the built-in variables that are switched on."""
        return frozenset(str(one.get("name")) for one in self.version.get("builtInVariable", ()))

    def folder_name(self, entity: Entity) -> str | None:
        """Return the name of an entity's folder, None when it is in none that exists."""
        return next((one.name for one in self.folders if one.id == entity.folder_id), None)


def references(value: Any) -> Iterator[str]:
    """Yield the names in ``{{…}}`` of every text in a value, searched to the bottom."""
    if isinstance(value, str):
        yield from (name.strip() for name in _REFERENCE.findall(value))
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from references(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from references(one)


# Reading


def _check(document: Any) -> None:
    if not isinstance(document, dict):
        raise GtmError("it holds no JSON object; export the container from Tag Manager's Admin")
    if document.get("exportFormatVersion") != 2:
        found = document.get("exportFormatVersion")
        raise GtmError(f"exportFormatVersion is {found!r}; only format version 2 is read here")
    version = document.get("containerVersion")
    if not isinstance(version, dict):
        raise GtmError("containerVersion is missing or no object: this is no container's export")
    for name in ("accountId", "containerId"):
        _check_text(version, name, "containerVersion")
    for kind, id_field in ID_FIELDS.items():
        found = version.get(kind, [])
        if not isinstance(found, list):
            raise GtmError(f"containerVersion.{kind} is no list")
        for index, entity in enumerate(found):
            _check_entity(entity, id_field, f"containerVersion.{kind}[{index}]")
    for one, here in _objects(version, "builtInVariable", "containerVersion"):
        _check_text(one, "name", here)


def _check_entity(entity: Any, id_field: str, where: str) -> None:
    if not isinstance(entity, dict):
        raise GtmError(f"{where} is no object")
    for name in (id_field, "name"):
        if not isinstance(entity.get(name), str) or not entity[name]:
            raise GtmError(f"{where}.{name} is {entity.get(name)!r:.80}; it must be a text")
    for name in ("type", "parentFolderId", "fingerprint", "accountId", "containerId"):
        _check_text(entity, name, where)
    _check_id(entity[id_field], f"{where}.{id_field}")
    _check_id(entity.get("fingerprint", ""), f"{where}.fingerprint")
    for name in ("firingTriggerId", "blockingTriggerId"):
        _check_ids(_list(entity, name, where), f"{where}.{name}")
    _check_parameters(_list(entity, "parameter", where), f"{where}.parameter")
    for name in ("filter", "customEventFilter", "autoEventFilter"):
        for one, here in _objects(entity, name, where):
            _check_parameters(_list(one, "parameter", here), f"{here}.parameter")
    for name in SEQUENCED:
        for one, here in _objects(entity, name, where):
            _check_text(one, "tagName", here)
    if not isinstance(entity.get("consentSettings", {}), dict):
        raise GtmError(f"{where}.consentSettings is no object")


def _check_ids(found: list[Any], where: str) -> None:
    for index, one in enumerate(found):
        if not isinstance(one, str):
            raise GtmError(f"{where}[{index}] is {one!r:.80}; it must be a text")
        _check_id(one, f"{where}[{index}]")


def _check_id(found: str, where: str) -> None:
    if len(found) > _MOST_ID_CHARS:
        raise GtmError(f"{where} has {len(found)} characters; no id has more than {_MOST_ID_CHARS}")


def _check_parameters(found: list[Any], where: str) -> None:
    for index, one in enumerate(found):
        here = f"{where}[{index}]"
        if not isinstance(one, dict):
            raise GtmError(f"{here} is no object")
        for name in ("type", "key", "value"):
            _check_text(one, name, here)
        for name in ("list", "map"):
            _check_parameters(_list(one, name, here), f"{here}.{name}")


def _objects(
    holder: Mapping[str, Any], name: str, where: str
) -> Iterator[tuple[dict[str, Any], str]]:
    for index, one in enumerate(_list(holder, name, where)):
        here = f"{where}.{name}[{index}]"
        if not isinstance(one, dict):
            raise GtmError(f"{here} is no object")
        yield one, here


def _check_text(holder: Mapping[str, Any], name: str, where: str) -> None:
    if not isinstance(holder.get(name, ""), str):
        raise GtmError(f"{where}.{name} is {holder[name]!r:.80}; it must be a text")


def _list(holder: Mapping[str, Any], name: str, where: str) -> list[Any]:
    found = holder.get(name, [])
    if not isinstance(found, list):
        raise GtmError(f"{where}.{name} is no list")
    return found
