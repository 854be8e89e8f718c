"""What is wrong with this set-up, and how to mend it: each check one function, one row.

A check never claims more than it saw: what could not be looked at is ``unknown``, not fine.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from nightpane import catalog
from nightpane.boards import Scope
from nightpane.boards.rounds import is_set_aside
from nightpane.client import spool
from nightpane.config import Settings
from nightpane.errors import ApiError, NightpaneError, UnreachableError
from nightpane.query import Query, QueryClient

__all__ = ["Check", "Status", "examine", "set_aside"]

Status = Literal["ok", "finding", "broken", "unknown"]

_SKEW_S = 5.0
_FREE_BYTES = 1 << 30
_EXTRAS = {"server": "chdb", "demo": "sklearn"}


@dataclass(frozen=True, slots=True)
class Check:
    """One row of the diagnosis: what was looked at, how it stands, what was seen, how to mend."""

    name: str
    status: Status
    detail: str
    mend: str = ""


def examine(settings: Settings) -> Iterator[Check]:
    """Yield one row a check, in the order in which they build on each other."""
    yield _interpreter()
    yield _extras()
    yield _host(settings)
    yield _write_key(settings)
    client = yield from _reading(settings)
    yield from _spool(settings)
    if client is None:
        for name in ("clock", "schema", "costs"):
            yield Check(name, "unknown", "the query API could not be asked")
        return
    yield from _asked("clock", lambda: _clock(client))
    yield from _asked("schema", lambda: _schema(client))
    yield from _asked("costs", lambda: _costs(client))


def _interpreter() -> Check:
    version = ".".join(str(part) for part in sys.version_info[:3])
    return Check("python", "ok", f"{version} at {sys.executable}")


def _extras() -> Check:
    present = [name for name, module in _EXTRAS.items() if importlib.util.find_spec(module)]
    missing = [name for name in _EXTRAS if name not in present]
    detail = f"installed: {', '.join(present) or 'none'}"
    if missing:
        detail += f"; not installed: {', '.join(missing)} (needed only for 'nightpane up' and demo)"
    return Check("extras", "ok", detail)


def _host(settings: Settings) -> Check:
    if settings.host is None:
        return Check(
            "host",
            "broken",
            "none is set and no local server is running; events wait in the spool",
            "start one with 'nightpane up', or set POSTHOG_HOST",
        )
    return Check("host", "ok", f"{settings.host} (from {settings.sources.get('host')})")


def _write_key(settings: Settings) -> Check:
    import requests

    key, host = settings.api_key, settings.host
    if key is None:
        return Check("project API key", "broken", "none is set", "set POSTHOG_API_KEY (phc_…)")
    if key.startswith("phx_"):
        return Check(
            "project API key",
            "broken",
            "POSTHOG_API_KEY holds a personal key (phx_…), which cannot write events",
            "put the project's phc_… key there and this one in POSTHOG_PERSONAL_API_KEY",
        )
    if host is None:
        return Check("project API key", "unknown", f"{_masked(key)}, but there is no host to ask")
    try:
        # Flags are asked with the same key as events are written, and leave no trace.
        body = {"api_key": key, "distinct_id": "nightpane-doctor"}
        status = requests.post(f"{host}/flags/?v=2", json=body, timeout=10).status_code
    except requests.RequestException as error:
        return Check(
            "project API key",
            "unknown",
            f"{host} does not answer ({type(error).__name__})",
            "see the connection below",
        )
    if status == 200:
        return Check("project API key", "ok", f"{_masked(key)} is accepted")
    return Check(
        "project API key",
        "broken",
        f"{host} answered {status} to {_masked(key)}",
        "copy the key from the project's settings ('nightpane env' prints the local server's)",
    )


def _reading(settings: Settings) -> Generator[Check, None, QueryClient | None]:
    """Check connection and personal key; return the client when both stand."""
    try:
        client = QueryClient.from_settings(settings)
        started = time.perf_counter()
        client.hogql("SELECT 1")
    except UnreachableError as error:
        yield Check("connection", "broken", str(error), "start the server, or correct POSTHOG_HOST")
        yield Check("personal API key", "unknown", "the host does not answer")
        return None
    except ApiError as error:
        yield Check("connection", "ok", f"{settings.host} answers")
        yield Check(
            "personal API key", "broken", str(error), "set POSTHOG_PERSONAL_API_KEY (phx_…)"
        )
        return None
    except NightpaneError as error:
        yield Check("personal API key", "broken", str(error))
        return None
    took_ms = (time.perf_counter() - started) * 1000
    yield Check("connection", "ok", f"{settings.host} answered a query in {took_ms:.0f} ms")
    yield Check("personal API key", "ok", f"reads project {client.project_id}")
    return client


def set_aside(query: Query) -> tuple[int, float]:
    """Return how many model calls no total counts, and their cost in USD: Token Machine reports
    the same calls, with their cost. Raises as the query does."""
    text = f"""select count(), sum(toFloat(properties.$ai_total_cost_usd))
from events
where {is_set_aside(Scope())}"""  # noqa: S608 (fixed text)
    calls, cost_usd = query.hogql(text).rows[0]
    return int(calls), float(cost_usd or 0)


def _costs(client: QueryClient) -> Check:
    calls, cost_usd = set_aside(client)
    if not calls:
        return Check("costs", "ok", "no call is reported twice")
    return Check(
        "costs",
        "ok",
        f"{calls:,} model calls of {cost_usd:,.4f} USD are reported by Token Machine as well: its "
        "cost counts, theirs is set aside",
    )


def _clock(client: QueryClient) -> Check:
    before = time.time()
    answer = client.hogql("SELECT toString(toUnixTimestamp(now())), toString(now())").rows[0]
    after = time.time()
    skew_s = _outside(float(answer[0]), before - 1, after)  # now() is cut to the second
    if abs(skew_s) <= _SKEW_S:
        return Check("clock", "ok", f"agrees with the server's within {_SKEW_S:.0f} s")
    where = "ahead of" if skew_s < 0 else "behind"
    return Check(
        "clock",
        "finding",
        f"this machine is {abs(skew_s):.0f} s {where} the server",
        "switch on time synchronisation (timedatectl set-ntp true)",
    )


def _outside(value: float, low: float, high: float) -> float:
    """Return how far a value lies outside an interval, signed; 0 within."""
    return max(value - high, 0.0) + min(value - low, 0.0)


def _schema(client: QueryClient) -> Check:
    rows = client.hogql(
        "SELECT event, count() AS n, max(timestamp) AS newest, "
        "countIf(properties.$nightpane_invalid IS NOT NULL) AS invalid "
        "FROM events WHERE timestamp > now() - INTERVAL 7 DAY GROUP BY event "
        "ORDER BY n DESC LIMIT 1000"
    ).dicts()
    if not rows:
        return Check("schema", "ok", "no events in the last 7 days")
    total = sum(row["n"] for row in rows)
    newest = max(str(row["newest"]) for row in rows)
    detail = f"{total:,} events in 7 days, the newest at {_short(newest)}"
    invalid = {row["event"]: row["invalid"] for row in rows if row["invalid"]}
    unknown = [
        row["event"]
        for row in rows
        if row["event"] not in catalog.EVENTS and not row["event"].startswith("$")
    ]
    if unknown:
        detail += f"; not in the catalogue: {', '.join(sorted(unknown)[:5])}"
    if invalid:
        worst = ", ".join(f"{event} ({n:,})" for event, n in sorted(invalid.items()))
        return Check(
            "schema",
            "finding",
            f"{detail}; sent with faults: {worst}",
            "SELECT event, properties.$nightpane_invalid FROM events shows them; "
            "NIGHTPANE_STRICT=1 makes the loop raise at the place",
        )
    return Check("schema", "ok", detail)


def _short(timestamp: str) -> str:
    try:
        return datetime.fromisoformat(timestamp).strftime("%Y-%m-%d %H:%M UTC")
    except ValueError:
        return timestamp


def _spool(settings: Settings) -> Iterator[Check]:
    folder = settings.spool_dir
    status = spool.status(folder)
    if status.refused_events:
        yield Check(
            "spool",
            "finding",
            f"{status.refused_events:,} events were refused by the server",
            "'nightpane spool status' names the reasons and the file that keeps them",
        )
    elif status.pending_events:
        yield Check(
            "spool",
            "finding",
            f"{status.pending_events:,} events wait in {folder}",
            "'nightpane spool flush' delivers them",
        )
    else:
        yield Check("spool", "ok", f"nothing waits in {folder}")
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free < _FREE_BYTES:
        yield Check("disk", "finding", f"{free >> 20:,} MiB are free at {existing}", "make room")


def _asked(name: str, check: Callable[[], Check]) -> Iterator[Check]:
    try:
        yield check()
    except NightpaneError as error:
        yield Check(name, "unknown", f"the query failed: {error}")


def _masked(key: str) -> str:
    return f"{key[:6]}…"
