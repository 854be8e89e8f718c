"""Operations on a container, as data, and their application.

An operation names what it touches by name or id; new ids are given here, never by who proposes.
Applying changes nothing of the container it is given.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nightpane.errors import GtmError
from nightpane.gtm.container import ID_FIELDS, Container
from nightpane.gtm.invariants import TAG_FIELDS
from nightpane.gtm.renames import REFERRING_FRAME, REFERRING_KINDS, Renames, follow
from nightpane.gtm.resolving import FIRST_BUILT_IN_TRIGGER, is_built_in_trigger
from nightpane.gtm.strict import strict_json

__all__ = ["ALL_PAGES", "CONSENT_INITIALIZATION", "Operation", "apply", "operations"]

Operation = Mapping[str, Any]

# Triggers that every web container has without listing them.
ALL_PAGES, CONSENT_INITIALIZATION = "2147479553", "2147479572"
_MOST_ID_CHARS = 40
_STORAGE = {"GA4": ("analytics_storage",)}
_ADS = ("ad_storage", "ad_user_data", "ad_personalization")


def operations(text: str) -> list[Operation]:
    """Return a JSON list's operations. Raises GtmError when it is none."""
    try:
        found = strict_json(text)
    except GtmError as error:
        raise GtmError(f"the operations are no JSON: {error}") from error
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise GtmError("the operations are no list of objects")
    return found


def apply(container: Container, given: Sequence[Operation]) -> Container:
    """Return the container with operations applied, in their order.

    | ``op`` | fields |
    |---|---|
    | ``add_tag`` | ``name``, ``type``, ``parameter``, ``firing`` (triggers), ``folder`` |
    | ``add_trigger`` | ``name``, ``event``: a custom-event trigger |
    | ``add_variable`` | ``name``, ``type``, ``parameter``, ``folder`` |
    | ``add_folder`` | ``name`` |
    | ``modify_tag`` | ``tag``, ``set``: fields; ``parameter`` there is merged by key |
    | ``set_consent`` | ``status``: of every tag that has another, and is not about consent itself |
    | ``rename`` | ``kind``, ``entity``, ``name``; references to a variable or a tag follow |
    | ``assign_folder`` | ``folder``, ``tags``, ``variables`` |

    Raises GtmError naming the operation that cannot be applied, and why.
    """
    document = json.loads(container.text)
    for number, operation in enumerate(given, 1):
        if not isinstance(operation, Mapping):
            raise GtmError(f"operation {number} is {operation!r:.80}, no object")
        name = operation.get("op")
        action = _OPERATIONS.get(name) if isinstance(name, str) else None
        if action is None:
            known = ", ".join(_OPERATIONS)
            raise GtmError(f"operation {number}: {name!r:.80} is unknown; there is {known}")
        try:
            action(document["containerVersion"], operation)
        except GtmError as error:
            raise GtmError(f"operation {number} ({name}): {error}") from error
    return Container.parse(json.dumps(document, ensure_ascii=False))


def _add_tag(version: dict[str, Any], operation: Operation) -> None:
    tag = {
        "name": _text(operation, "name"),
        "type": _text(operation, "type"),
        "parameter": _parameters(operation),
        "firingTriggerId": [_trigger(version, str(one)) for one in _list(operation, "firing")],
        "tagFiringOption": "ONCE_PER_EVENT",
    }
    _add(version, "tag", tag, operation)


def _add_trigger(version: dict[str, Any], operation: Operation) -> None:
    condition = {
        "type": "EQUALS",
        "parameter": [
            {"type": "TEMPLATE", "key": "arg0", "value": "{{_event}}"},
            {"type": "TEMPLATE", "key": "arg1", "value": _text(operation, "event")},
        ],
    }
    trigger = {
        "name": _text(operation, "name"),
        "type": "CUSTOM_EVENT",
        "customEventFilter": [condition],
    }
    _add(version, "trigger", trigger, operation)


def _add_variable(version: dict[str, Any], operation: Operation) -> None:
    variable = {
        "name": _text(operation, "name"),
        "type": _text(operation, "type"),
        "parameter": _parameters(operation),
    }
    _add(version, "variable", variable, operation)


def _add_folder(version: dict[str, Any], operation: Operation) -> None:
    _add(version, "folder", {"name": _text(operation, "name")}, operation)


def _modify_tag(version: dict[str, Any], operation: Operation) -> None:
    tag = _find(version, "tag", _text(operation, "tag"))
    fields = operation.get("set")
    if not isinstance(fields, Mapping) or not fields:
        raise GtmError("'set' is no object with fields")
    for name, value in fields.items():
        if name not in TAG_FIELDS:
            raise GtmError(f"{name!r} may not change; only {', '.join(sorted(TAG_FIELDS))} may")
        tag[name] = _merged(tag, value) if name == "parameter" else value


def _set_consent(version: dict[str, Any], operation: Operation) -> None:
    status = _text(operation, "status")
    if status not in ("NEEDED", "NOT_NEEDED", "NOT_SET"):
        raise GtmError(f"status {status!r} is not NEEDED, NOT_NEEDED or NOT_SET")
    for tag in version.get("tag", ()):
        has = tag.get("consentSettings", {}).get("consentStatus")
        if "consent" in tag["name"].lower() or has == status:
            continue
        settings: dict[str, Any] = {"consentStatus": status}
        if status == "NEEDED":
            types = next((one for head, one in _STORAGE.items() if tag["name"].startswith(head)),
                         _ADS)  # fmt: skip
            named = [{"type": "TEMPLATE", "value": one} for one in types]
            settings["consentType"] = {"type": "LIST", "list": named}
        tag["consentSettings"] = settings


def _rename(version: dict[str, Any], operation: Operation) -> None:
    kind, name = _text(operation, "kind"), _text(operation, "name")
    if kind not in ("tag", "trigger", "variable"):
        raise GtmError(f"kind {kind!r} is not tag, trigger or variable")
    entity = _find(version, kind, _text(operation, "entity"))
    if any(one is not entity and one["name"] == name for one in version.get(kind, ())):
        raise GtmError(f"a {kind} named {name!r} is there already")
    if any(char in name for char in "{}"):
        raise GtmError(f"{name!r} has braces, which a name may not have")
    before, entity["name"] = entity["name"], name
    if kind == "trigger" or any(one["name"] == before for one in version[kind]):
        # Triggers are referred to by id; and of two with one name, nobody knows which was meant.
        return
    renames = Renames(**{f"{kind}s": {before: name}})
    for one in (*REFERRING_KINDS, *REFERRING_FRAME):
        if one in version:
            version[one] = follow(version[one], renames)


def _assign_folder(version: dict[str, Any], operation: Operation) -> None:
    folder = _find(version, "folder", _text(operation, "folder"))["folderId"]
    for kind in ("tag", "variable"):
        for one in _list(operation, f"{kind}s"):
            _find(version, kind, str(one))["parentFolderId"] = folder


_OPERATIONS: Mapping[str, Callable[[dict[str, Any], Operation], None]] = {
    "add_tag": _add_tag,
    "add_trigger": _add_trigger,
    "add_variable": _add_variable,
    "add_folder": _add_folder,
    "modify_tag": _modify_tag,
    "set_consent": _set_consent,
    "rename": _rename,
    "assign_folder": _assign_folder,
}


def _add(version: dict[str, Any], kind: str, entity: dict[str, Any], operation: Operation) -> None:
    """Add an entity with the next id, as the others of the container are."""
    there = version.setdefault(kind, [])
    name = entity["name"]
    if any(one["name"] == name for one in there):
        raise GtmError(f"a {kind} named {name!r} is there already")
    id_field = ID_FIELDS[kind]
    taken = [int(one[id_field]) for one in there if one[id_field].isdecimal()]
    next_id = max(taken, default=0) + 1
    if next_id > FIRST_BUILT_IN_TRIGGER:
        raise GtmError(f"the container has a {kind} with the id {next_id - 1}, a built-in one's")
    owner: dict[str, Any] = {
        field: version[field] for field in ("accountId", "containerId") if field in version
    }
    folder = operation.get("folder")
    if folder is not None:
        entity["parentFolderId"] = _find(version, "folder", str(folder))["folderId"]
    there.append({**owner, id_field: str(next_id), **entity, "fingerprint": _fingerprint(version)})


def _fingerprint(version: Mapping[str, Any]) -> str:
    """Return the fingerprint after the largest of the container's entities."""
    found = [
        int(one["fingerprint"])
        for kind in ID_FIELDS
        for one in version.get(kind, ())
        if one.get("fingerprint", "").isdecimal()
    ]
    return str(max(found, default=0) + 1)


def _find(version: Mapping[str, Any], kind: str, name: str) -> dict[str, Any]:
    """Return the entity of a name, or of an id."""
    entities = version.get(kind, ())
    named = [one for one in entities if one["name"] == name]
    found = named or [one for one in entities if one[ID_FIELDS[kind]] == name]
    if len(found) != 1:
        raise GtmError(f"{'two or more' if found else 'no'} {kind}s are named {name!r:.80}")
    entity: dict[str, Any] = found[0]
    return entity


def _trigger(version: Mapping[str, Any], name: str) -> str:
    if len(name) <= _MOST_ID_CHARS and is_built_in_trigger(name):
        return name
    return str(_find(version, "trigger", name)["triggerId"])


def _text(operation: Operation, name: str) -> str:
    found = operation.get(name)
    if not isinstance(found, str) or not found.strip():
        raise GtmError(f"{name!r} is {found!r}; it must be a text")
    return found


def _list(operation: Operation, name: str) -> list[Any]:
    found = operation.get(name, [])
    if not isinstance(found, list):
        raise GtmError(f"{name!r} is no list")
    return found


def _parameters(operation: Operation) -> list[Any]:
    """Return the parameters as an export has them; an object of texts is taken for such."""
    found = operation.get("parameter", [])
    if isinstance(found, Mapping):
        return [{"type": "TEMPLATE", "key": key, "value": value} for key, value in found.items()]
    if not isinstance(found, list):
        raise GtmError("'parameter' is neither a list nor an object")
    if not all(isinstance(one, Mapping) and isinstance(one.get("key"), str) for one in found):
        raise GtmError("'parameter' holds what is no object with a key")
    return list(found)


def _merged(tag: Mapping[str, Any], value: Any) -> list[Any]:
    """Return a tag's parameters with those of ``value`` in their place, or added."""
    given = {one["key"]: one for one in _parameters({"parameter": value})}
    kept = [given.pop(one.get("key"), one) for one in tag.get("parameter", [])]
    return [*kept, *given.values()]
