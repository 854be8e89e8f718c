"""The chDB store and its sole owner: schema, insert, de-duplication, migrations, reading."""

from nightpane.errors import QueryLimitError, StoreError, StoreLockedError
from nightpane.store.events import StoredEvent, person_uuid
from nightpane.store.reader import ReadLimits, ReadResult
from nightpane.store.schema import DATABASE, HEAVY, HOT, escape_key, hot_column
from nightpane.store.store import Store

__all__ = [
    "DATABASE",
    "HEAVY",
    "HOT",
    "QueryLimitError",
    "ReadLimits",
    "ReadResult",
    "Store",
    "StoreError",
    "StoreLockedError",
    "StoredEvent",
    "escape_key",
    "hot_column",
    "person_uuid",
]
