"""What is published of the catalogue: JSON Schema and the reference page agree with validation."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightpane import catalog
from nightpane.catalog.reference import markdown

SCHEMA_DIGEST = "93d442defaf13c8e7dd74189a77838dab4cf2d6534446b046e226071180085db"

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA = catalog.json_schema()
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}
# Keywords that say something without deciding anything.
NOTES = {"$schema", "title", "description", "examples", "$defs", "x-unit", "x-cut-at-characters"}


def has_type(word: str, value: Any) -> bool:
    if isinstance(value, bool):
        return word == "boolean"
    if word == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, TYPES[word])


def same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and one == other


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def matching(patterns: dict[str, Any], value: dict[str, Any]) -> bool:
    return all(
        fits(schema, item)
        for pattern, schema in patterns.items()
        for name, item in value.items()
        if re.search(pattern, name)
    )


# What each keyword of draft 2020-12 that the schema uses demands of a value it applies to.
ANY: dict[str, Callable[[Any, Any], bool]] = {
    "type": lambda words, v: any(has_type(w, v) for w in ([words], words)[type(words) is list]),
    "const": same,
    "enum": lambda allowed, v: any(same(one, v) for one in allowed),
    "not": lambda schema, v: not fits(schema, v),
    "allOf": lambda schemas, v: all(fits(one, v) for one in schemas),
    "anyOf": lambda schemas, v: any(fits(one, v) for one in schemas),
    "oneOf": lambda schemas, v: sum(fits(one, v) for one in schemas) == 1,
    "$ref": lambda ref, v: fits(SCHEMA["$defs"][ref.removeprefix("#/$defs/")], v),
}
TEXT = {"pattern": lambda pattern, v: re.search(pattern, v) is not None}
NUMBER = {"minimum": lambda low, v: v >= low, "maximum": lambda high, v: v <= high}
ARRAY = {"items": lambda schema, v: all(fits(schema, one) for one in v)}
OBJECT = {
    "required": lambda names, v: set(names) <= v.keys(),
    "properties": lambda about, v: all(fits(about[n], v[n]) for n in about.keys() & v.keys()),
    "patternProperties": matching,
}


def fits(schema: dict[str, Any], value: Any) -> bool:
    """Tell whether a value fits a schema; a keyword that is not known here is an error."""
    known = ANY | TEXT | NUMBER | ARRAY | OBJECT
    assert schema.keys() - known.keys() <= NOTES
    rules = dict(ANY)
    if isinstance(value, str):
        rules |= TEXT
    elif is_number(value):
        rules |= NUMBER
    elif isinstance(value, list):
        rules |= ARRAY
    elif isinstance(value, dict):
        rules |= OBJECT
    return all(rules[key](wanted, value) for key, wanted in schema.items() if key in rules)


def test_the_published_schema_is_pinned() -> None:
    digest = hashlib.sha256(json.dumps(SCHEMA, sort_keys=True).encode()).hexdigest()
    assert digest == SCHEMA_DIGEST, (
        "the published schema has changed, and other programs read events by it. If that is "
        f"meant, say in CHANGELOG.md what changed and set SCHEMA_DIGEST here to {digest}"
    )


@pytest.mark.parametrize("event", catalog.EVENTS)
def test_samples_fit_their_own_definition_only(event: str) -> None:
    message = {"event": event, "properties": catalog.sample(event)}
    assert fits(SCHEMA, message)
    assert fits(catalog.json_schema(event), message)
    assert not fits(SCHEMA, {**message, "event": "another"})


EDGES = [
    None, True, False, 0, 1, -1, 2, 0.5, -0.5, 1.0, 1.5, "", "max", "up", "7", "8" * 26, "7" * 26,
    "é" * 26, [], ["a"], ["a", 1], {}, {"a": 1},
]  # fmt: skip


@pytest.mark.parametrize("event", catalog.EVENTS)
@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_schema_and_validation_agree(event: str, data: st.DataObject) -> None:
    properties = catalog.sample(event)
    names = [*properties, "round_id", "crashed", "dim_one", "mine"]
    for name in data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=3)):
        if data.draw(st.booleans()):
            properties.pop(name, None)
        else:
            properties[name] = data.draw(st.sampled_from(EDGES))
    problems = catalog.problems(event, properties)
    schema = catalog.json_schema(event)
    assert fits(schema, {"event": event, "properties": properties}) == (problems == []), problems


def test_the_schema_describes_every_property() -> None:
    for name, spec in catalog.EVENTS.items():
        described = SCHEMA["$defs"][name]["properties"]["properties"]["properties"]
        lengths = {f"{one.name}_length" for one in spec.properties if one.max_chars}
        declared = {one.name for one in (*catalog.ENVELOPE, *spec.properties)}
        assert described.keys() == declared | lengths
        assert all(one["description"] for one in described.values())


def test_the_reference_page_is_fresh() -> None:
    page = (DOCS / "events.md").read_text("utf-8")
    assert page == markdown(), "run: nightpane schema --markdown > docs/events.md"


def test_the_reference_page_has_every_row_of_its_tables_whole() -> None:
    for line in markdown().splitlines():
        assert not line.startswith("|") or line.count("|") == 6, line


def test_the_page_of_words_uses_the_schemas_names() -> None:
    words = (DOCS / "words.md").read_text("utf-8")
    rows = [line.split("|")[1].strip() for line in words.splitlines() if line.startswith("|")]
    assert len(rows) == len(set(rows))
    for name in ("project", "client", "agent", "run", "round", "step", "suite"):
        assert name in rows
    declared = {one.name for one in catalog.ENVELOPE}
    declared |= {one.name for spec in catalog.EVENTS.values() for one in spec.properties}
    for name in re.findall(r"`([a-z]+_id)`", words):
        assert name in declared | {"distinct_id"}, name
