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

__all__ = ["ID_FIELDS", "Container", "Entity", "references"]

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
_REFERENCE = re.compile(r"\{\{([^{}]+)\}\}")
_MOST_BYTES = 20_000_000
_MOST_DEPTH = 60


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
        try:
            if path.stat().st_size > _MOST_BYTES:
                raise GtmError(f"{path} is larger than {_MOST_BYTES:,} bytes: no container is")
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise GtmError(f"{path} cannot be read: {error}") from error
        try:
            return cls.parse(text)
        except GtmError as error:
            raise GtmError(f"{path}: {error}") from error

    @classmethod
    def parse(cls, text: str) -> Container:
        """Return a text's container.

        Raises GtmError when it is no JSON (keys that stand twice, NaN and numbers too large for a
        float included), or no export of format version 2; the message names the field.
        """
        try:
            document = json.loads(
                text, object_pairs_hook=_once, parse_constant=_no_number, parse_float=_finite
            )
        except RecursionError as error:
            raise GtmError("its JSON is nested too deeply") from error
        except ValueError as error:
            raise GtmError(f"it is no JSON: {error}") from error
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


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {double!r} stands twice in one object")
    return found


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{text} is too large a number")
    return number


def _check(document: Any) -> None:
    if not isinstance(document, dict):
        raise GtmError("it holds no JSON object; export the container from Tag Manager's Admin")
    if document.get("exportFormatVersion") != 2:
        found = document.get("exportFormatVersion")
        raise GtmError(f"exportFormatVersion is {found!r}; only format version 2 is read here")
    version = document.get("containerVersion")
    if not isinstance(version, dict):
        raise GtmError("containerVersion is missing or no object: this is no container's export")
    _check_depth(document, "", 0)
    for kind, id_field in ID_FIELDS.items():
        found = version.get(kind, [])
        if not isinstance(found, list):
            raise GtmError(f"containerVersion.{kind} is no list")
        for index, entity in enumerate(found):
            _check_entity(entity, id_field, f"containerVersion.{kind}[{index}]")
    for index, one in enumerate(_list(version, "builtInVariable", "containerVersion")):
        if not isinstance(one, dict):
            raise GtmError(f"containerVersion.builtInVariable[{index}] is no object")


def _check_entity(entity: Any, id_field: str, where: str) -> None:
    if not isinstance(entity, dict):
        raise GtmError(f"{where} is no object")
    for name in (id_field, "name"):
        if not isinstance(entity.get(name), str) or not entity[name]:
            raise GtmError(f"{where}.{name} is {entity.get(name)!r}; it must be a text")
    if "type" in entity and not isinstance(entity["type"], str):
        raise GtmError(f"{where}.type is {entity['type']!r}; it must be a text")
    _check_parameters(_list(entity, "parameter", where), f"{where}.parameter")
    for name in ("firingTriggerId", "blockingTriggerId"):
        if not all(isinstance(one, str) for one in _list(entity, name, where)):
            raise GtmError(f"{where}.{name} holds an id that is no text")
    for name in ("filter", "customEventFilter", "autoEventFilter"):
        for index, one in enumerate(_list(entity, name, where)):
            if not isinstance(one, dict):
                raise GtmError(f"{where}.{name}[{index}] is no object")
            inner = _list(one, "parameter", f"{where}.{name}[{index}]")
            _check_parameters(inner, f"{where}.{name}[{index}].parameter")
    if not isinstance(entity.get("consentSettings", {}), dict):
        raise GtmError(f"{where}.consentSettings is no object")


def _check_parameters(found: list[Any], where: str) -> None:
    for index, one in enumerate(found):
        here = f"{where}[{index}]"
        if not isinstance(one, dict):
            raise GtmError(f"{here} is no object")
        if not isinstance(one.get("value", ""), str):
            raise GtmError(f"{here}.value is {one['value']!r}; it must be a text")
        for name in ("list", "map"):
            _check_parameters(_list(one, name, here), f"{here}.{name}")


def _list(holder: Mapping[str, Any], name: str, where: str) -> list[Any]:
    found = holder.get(name, [])
    if not isinstance(found, list):
        raise GtmError(f"{where}.{name} is no list")
    return found


def _check_depth(value: Any, where: str, depth: int) -> None:
    if depth > _MOST_DEPTH:
        raise GtmError(f"{where[:80]}… is nested more than {_MOST_DEPTH} deep")
    if isinstance(value, dict):
        for name, one in value.items():
            _check_depth(one, f"{where}.{name}", depth + 1)
    elif isinstance(value, list):
        for index, one in enumerate(value):
            _check_depth(one, f"{where}[{index}]", depth + 1)
