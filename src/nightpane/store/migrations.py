"""Bringing a store's layout up to date, in named steps that are written down once done.

A step that was cut off by a crash is run again: each can be.
"""

from __future__ import annotations

import orjson

from nightpane.errors import StoreError
from nightpane.store.engine import Connection
from nightpane.store.schema import DATABASE, MIGRATIONS

__all__ = ["migrate"]


def migrate(connection: Connection) -> list[str]:
    """Run the steps not yet done and return their names.

    Raises StoreError when a newer nightpane has already gone further than this one knows.
    """
    connection.ask(f"CREATE DATABASE IF NOT EXISTS {DATABASE}", "Null")
    connection.ask(
        f"CREATE TABLE IF NOT EXISTS {DATABASE}.migrations (name String, "
        "applied_at DateTime DEFAULT now()) ENGINE = MergeTree ORDER BY name "
        "SETTINGS fsync_after_insert = 1, fsync_part_directory = 1",
        "Null",
    )
    answer = connection.ask(f"SELECT name FROM {DATABASE}.migrations", "JSONCompactEachRow")  # noqa: S608
    done = {orjson.loads(line)[0] for line in answer.splitlines()}
    if unknown := sorted(done - {name for name, _ in MIGRATIONS}):
        raise StoreError(
            f"the store was made by a newer nightpane (it has {unknown[0]}): update nightpane, "
            "or give another --data-dir"
        )
    ran = []
    for name, sql in MIGRATIONS:
        if name not in done:
            connection.ask(sql, "Null")
            connection.insert(
                f"{DATABASE}.migrations", orjson.dumps({"name": name}), "async_insert = 0"
            )
            ran.append(name)
    return ran
