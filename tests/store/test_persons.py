"""Persons and property definitions: what events say about them, kept over a restart."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from tests.store.support import AT, column, event

from nightpane.store import Store, person_uuid
from nightpane.store.properties import PropertyTypes


def person(store: Store, distinct_id: str) -> dict[str, Any] | None:
    """Return the person a distinct id belongs to, as a query that honours merges finds it."""
    moved = column(
        store,
        "SELECT person_id FROM nightpane.person_distinct_ids FINAL "
        "WHERE distinct_id = {who:String}",
        who=distinct_id,
    )
    rows = store.read(
        "SELECT properties, is_identified, created_at FROM nightpane.persons FINAL "
        "WHERE id = {id:UUID}",
        {"id": moved[0] if moved else person_uuid(distinct_id)},
    ).rows
    if not rows:
        return None
    properties, is_identified, created_at = rows[0]
    return {"properties": json.loads(properties), "identified": is_identified, "at": created_at}


def send(store: Store, name: str, who: str, properties: dict[str, Any], **fields: Any) -> None:
    store.insert([event(name, properties, distinct_id=who, **fields)])


def test_properties_are_set_set_once_and_unset(store: Store) -> None:
    send(store, "a", "who", {"$set": {"plan": "free", "x": 1}, "$set_once": {"first": "a"}})
    send(store, "b", "who", {"$set": {"plan": "paid"}, "$set_once": {"first": "b", "once": None}})
    send(store, "c", "who", {"$unset": ["x"]})
    found = person(store, "who")
    assert found is not None
    assert found["properties"] == {"plan": "paid", "first": "a", "once": None}


def test_the_first_event_makes_the_person_and_the_earliest_dates_it(store: Store) -> None:
    send(store, "now", "dated", {})
    send(store, "earlier", "dated", {"$set": {"a": 1}}, timestamp=AT - timedelta(days=3))
    found = person(store, "dated")
    assert found is not None
    assert found["at"] == "2026-11-20T03:00:00.000000Z"


def test_an_event_without_a_person_profile_makes_no_person(store: Store) -> None:
    send(store, "quiet", "nobody", {"$set": {"a": 1}}, process_person=False)
    assert person(store, "nobody") is None


def test_identify_joins_the_anonymous_events_to_the_person(store: Store) -> None:
    send(store, "before", "anon-1", {"$set_once": {"seen": "anon"}})
    send(store, "$identify", "known-1", {"$anon_distinct_id": "anon-1", "$set": {"name": "k"}})
    send(store, "after", "known-1", {})
    assert person(store, "known-1") == person(store, "anon-1")
    found = person(store, "known-1")
    assert found is not None
    assert found["properties"] == {"seen": "anon", "name": "k"}
    assert found["identified"] == 1
    assert store.has_person_overrides
    ids = column(
        store,
        "SELECT DISTINCT person_id FROM nightpane.events WHERE event IN ('before', 'after')",
    )
    assert ids == [person_uuid("anon-1")]


def test_two_persons_are_merged_and_the_identified_ones_words_win(store: Store) -> None:
    send(store, "x", "anon-2", {"$set": {"colour": "red", "only": "anon"}})
    send(store, "x", "known-2", {"$set": {"colour": "blue"}})
    send(store, "$identify", "known-2", {"$anon_distinct_id": "anon-2"})
    found = person(store, "anon-2")
    assert found is not None
    assert found["properties"] == {"colour": "blue", "only": "anon"}
    assert person(store, "known-2") == found
    gone = column(
        store,
        "SELECT count() FROM nightpane.persons FINAL WHERE id = {id:UUID}",
        id=person_uuid("anon-2"),
    )
    assert gone == [0]


def test_an_identified_person_is_only_merged_dangerously(store: Store) -> None:
    for who in ("first-3", "second-3"):
        send(store, "$identify", who, {"$set": {"who": who}})
    send(store, "$identify", "second-3", {"$anon_distinct_id": "first-3"})
    assert person(store, "first-3") != person(store, "second-3")
    send(store, "$merge_dangerously", "second-3", {"alias": "first-3"})
    assert person(store, "first-3") == person(store, "second-3")


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, "text"], "Numeric"),
        ([1.5], "Numeric"),
        ([True], "Boolean"),
        (["true"], "Boolean"),
        (["2026-11-23"], "DateTime"),
        (["2026-11-23T03:00:00.123Z"], "DateTime"),
        (["2026-11-23 03:00:00+01:00"], "DateTime"),
        (["2026-11"], "String"),
        (["text", 1], "String"),
        (["12"], "String"),
        ([2**53 + 1], "String"),
        ([1, 2**60], "String"),
        ([None, {}, [], 5], "Numeric"),
        ([None], None),
    ],
)
def test_the_first_scalar_seen_decides_the_type(values: list[Any], kind: str | None) -> None:
    types = PropertyTypes({"score": "Numeric"})
    for value in values:
        types.learn({"p": value})
    assert types.view.get("p") == kind


def test_the_catalogues_types_stay() -> None:
    types = PropertyTypes({"score": "Numeric"})
    types.learn({"score": "text"})
    types.learn({"score": 2**70})
    assert types.view["score"] == "Numeric"


def test_definitions_are_kept_on_disk(store: Store) -> None:
    store.insert([event("defined", {"dim_new": 0.5, "when": "2026-01-01"})])
    kept = store.read("SELECT name, property_type FROM nightpane.property_definitions FINAL").rows
    assert ["dim_new", "Numeric"] in kept
    assert ["when", "DateTime"] in kept
    assert store.property_types["dim_new"] == "Numeric"
    assert store.property_types["score"] == "Numeric"
