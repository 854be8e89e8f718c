"""Events for the store's tests."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from nightpane.store import Store, StoredEvent

__all__ = ["AT", "column", "event", "sent"]

AT = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)


def event(name: str, properties: dict[str, Any] | None = None, **fields: Any) -> StoredEvent:
    """Return an event with an identity of its own."""
    given: dict[str, Any] = {
        "uuid": str(uuid.uuid4()),
        "event": name,
        "distinct_id": "autoresearch:internal:coder",
        "timestamp": AT,
        "properties": properties or {},
    }
    return StoredEvent(**(given | fields))


def column(store: Store, sql: str, **parameters: Any) -> list[Any]:
    """Return the first column of a query."""
    return [row[0] for row in store.read(sql, parameters).rows]


def sent(store: Store, name: str) -> list[str]:
    """Return the properties, as text, of every event of a name."""
    return column(
        store, "SELECT properties FROM nightpane.events WHERE event = {name:String}", name=name
    )
