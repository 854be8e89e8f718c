"""Reading the page's queries before anybody opens it: the first reader need not wait for that.

A text is parsed once for each server, and once ever where its tree is kept on disk. It happens
beside the work, one text at a time, and only the text: no query is run.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from starlette.datastructures import QueryParams

from nightpane.digest import night_of, queries
from nightpane.errors import HogQLError
from nightpane.server.hogql_run import compile_for
from nightpane.server.pane import asked_by, scope_of
from nightpane.store import Store

__all__ = ["warming_up"]

_BEGIN_S = 0.5
_PAUSE_S = 0.02


@contextmanager
def warming_up(store: Store) -> Iterator[None]:
    """Read the page's queries in a thread, which ends with the block at the latest."""
    stop = threading.Event()
    thread = threading.Thread(target=_warm_up, args=(store, stop), name="nightpane-warm-up")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _warm_up(store: Store, stop: threading.Event) -> None:
    wait_s = _BEGIN_S
    for query, values in _asked(QueryParams({"tz": "UTC"})):
        if stop.wait(wait_s):
            return
        wait_s = _PAUSE_S
        try:
            compile_for(store, query, values)
        except HogQLError:
            return  # a machine too busy to read it now: whoever asks it is told


def _asked(given: QueryParams) -> Iterator[tuple[str, dict[str, str]]]:
    """Give the queries of a page, in the order in which it needs them."""
    now = datetime.now(UTC)
    night, scope = night_of(now, UTC), scope_of(given)
    for question in (
        queries.latest(scope, now),
        queries.loops(scope, night),
        queries.words(scope, night),
        queries.series(scope, night),
    ):
        yield question.query, dict(question.values)
    entries = asked_by(given, night)
    for entry in (*entries["boards"], *entries["lists"], entries["agents"]):
        yield entry["query"], entry["values"]
