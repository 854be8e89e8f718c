"""Working ahead of the page: what it will ask is read, and answered, before anybody opens it.

A text is parsed once for each server, and once ever where its tree is kept on disk: that happens
first. Where the page was ever opened on this data, its answers are then made and kept whenever
nothing has arrived for a while, in the time zone of the browser that opened it last. All of it
happens beside the work, one text or query at a time, and takes a small share of the time.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from starlette.datastructures import QueryParams

from nightpane.definitions import Definitions
from nightpane.digest import night_of, queries
from nightpane.errors import HogQLError, NightpaneError
from nightpane.server.hogql_run import compile_for
from nightpane.server.kept_answers import Kept, rows_key
from nightpane.server.pane import answered, asked_by, last_zone, scope_of
from nightpane.server.query import answer_node, as_json
from nightpane.store import Store

__all__ = ["working_ahead"]

_BEGIN_S = 0.5
_PAUSE_S = 0.02
_STILL_S = 1.5
_SHARE = 0.05  # of one processor, at most
_log = logging.getLogger(__name__)


@contextmanager
def working_ahead(store: Store, definitions: Definitions, kept: Kept) -> Iterator[None]:
    """Work ahead in a thread, which ends with the block at the latest."""
    stop = threading.Event()
    thread = threading.Thread(
        target=_work, args=(store, definitions, kept, stop), name="nightpane-ahead"
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _work(store: Store, definitions: Definitions, kept: Kept, stop: threading.Event) -> None:
    _read_texts(store, stop)
    done, seen = "", store.mark
    wait_s = _PAUSE_S
    while not stop.wait(wait_s):
        wait_s, before, seen = _STILL_S, seen, store.mark
        zone = last_zone(definitions)
        now = f"{datetime.now(UTC):%Y-%m-%dT%H} {seen}"
        if zone is None or seen != before or now == done:
            continue
        started = time.monotonic()
        try:
            _answer(store, definitions, kept, QueryParams({"tz": zone}), stop)
        except NightpaneError as error:
            # Whoever asks is told; here it only takes longer then.
            _log.debug("the page could not be prepared: %s", error)
        done = now
        wait_s = max(_STILL_S, (time.monotonic() - started) / _SHARE)


def _answer(
    store: Store, definitions: Definitions, kept: Kept, given: QueryParams, stop: threading.Event
) -> None:
    """Make the answers of a page and keep them, as long as nothing arrives."""
    mark = store.mark
    answered(kept, store, "digest", given)
    page = json.loads(answered(kept, store, "boards", given))
    for entry in (*page["boards"], *page["lists"], page["agents"]):
        query, values = entry["query"], entry["values"]
        key = rows_key(query, values)
        if stop.is_set() or store.mark != mark:
            return
        if kept.get(mark, key) is None:
            node = {"kind": "HogQLQuery", "query": query, "values": values}
            kept.put(mark, key, bytes(as_json(answer_node(store, definitions, node, {})).body))


def _read_texts(store: Store, stop: threading.Event) -> None:
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
