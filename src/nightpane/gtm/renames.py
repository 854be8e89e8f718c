"""What refers to a tag or a variable by its name, and follows when the name changes.

Variables stand in texts as ``{{name}}``. A tag is named by the tags that fire it before or after
themselves (``tagName``), and by parameters of the type TAG_REFERENCE.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nightpane.gtm.container import Container

__all__ = ["REFERRING_FRAME", "REFERRING_KINDS", "Renames", "follow", "is_tag_reference", "renamed"]

# The kinds of entities, and the other fields of a container version, in which references stand. The
# code of a template is none of them: what looks like a reference there is its own.
REFERRING_KINDS = ("tag", "trigger", "variable", "client", "transformation")
REFERRING_FRAME = ("gtagConfig", "zone")
_REFERENCE = re.compile(r"\{\{\s*([^{}]+?)\s*\}\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Renames:
    """Names of now by the names before."""

    variables: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.variables or self.tags)


def renamed(before: Container, after: Container) -> Renames:
    """Return the variables and tags that have another name now."""
    return Renames(
        variables=_renamed(before, after, "variable"), tags=_renamed(before, after, "tag")
    )


def _renamed(before: Container, after: Container, kind: str) -> Mapping[str, str]:
    now = {one.id: one.name for one in after.entities(kind)}
    held = Counter(one.name for one in before.entities(kind))
    # What two entities were named, a reference cannot tell apart: it stays as it is.
    return {
        one.name: now[one.id]
        for one in before.entities(kind)
        if now.get(one.id, one.name) != one.name and held[one.name] == 1
    }


def is_tag_reference(parameter: Mapping[str, Any]) -> bool:
    """Return whether a parameter's value is the name of a tag."""
    return str(parameter.get("type", "")).replace("_", "").upper() == "TAGREFERENCE"


def follow(value: Any, renames: Renames) -> Any:
    """Return a value with its references brought up to date."""
    if not renames:
        return value
    if isinstance(value, str):
        return _follow_text(value, renames.variables)
    if isinstance(value, list):
        return [follow(one, renames) for one in value]
    if isinstance(value, Mapping):
        found = {name: follow(one, renames) for name, one in value.items()}
        name = "value" if is_tag_reference(value) else "tagName"
        if isinstance(value.get(name), str):
            found[name] = renames.tags.get(value[name], found[name])
        return found
    return value


def _follow_text(text: str, names: Mapping[str, str]) -> str:
    if "{{" not in text:
        return text
    return _REFERENCE.sub(
        lambda found: f"{{{{{names[found[1]]}}}}}" if found[1] in names else found[0], text
    )
