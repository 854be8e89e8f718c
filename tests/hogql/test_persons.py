"""Merged persons: events stored before a merge belong to the person after it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from nightpane.ids import deterministic_uuid
from nightpane.server.hogql_run import compile_for, run_hogql
from nightpane.store import Store, StoredEvent

AT = datetime(2026, 3, 1, tzinfo=UTC)


def event(number: int, name: str, distinct_id: str, **properties: object) -> StoredEvent:
    return StoredEvent(
        uuid=deterministic_uuid(str(number)),
        event=name,
        distinct_id=distinct_id,
        timestamp=AT + timedelta(minutes=number),
        properties=properties,
    )


def test_events_of_both_ids_are_one_persons(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        store.insert([event(1, "seen", "anonymous-1"), event(2, "seen", "other")])
        query = "SELECT uniqExact(person_id), uniqExact(person.id) FROM events"
        assert run_hogql(store, query)["results"] == [[2, 2]]
        assert "JOIN" not in compile_for(store, query).sql
        merge = {"$anon_distinct_id": "anonymous-1", "$set": {"email": "ada@example.org"}}
        store.insert([event(3, "$identify", "ada", **merge)])
        assert run_hogql(store, query)["results"] == [[2, 2]]
        rows = run_hogql(
            store,
            "SELECT distinct_id, person.properties.email AS email, person.is_identified "
            "FROM events WHERE distinct_id != 'other' ORDER BY timestamp",
        )["results"]
        assert [row[:2] for row in rows] == [
            ["anonymous-1", "ada@example.org"],
            ["ada", "ada@example.org"],
        ]
        people = "SELECT count() FROM persons WHERE properties.email = 'ada@example.org'"
        assert run_hogql(store, people)["results"] == [[1]]
        joined = (
            "SELECT count() FROM events e JOIN persons p ON e.person_id = p.id "
            "WHERE p.properties.email = 'ada@example.org'"
        )
        assert run_hogql(store, joined)["results"] == [[2]]
