"""``nightpane tail``: events as they arrive."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

import click
from rich.text import Text

from nightpane.cli._output import console, json_option, printable
from nightpane.config import load
from nightpane.errors import ApiError, UnreachableError
from nightpane.query import Query, QueryClient

_PAGE = 500
_WAIT_S = 1.0
# An event may become readable a little after one that was received later: look back this far.
_OVERLAP_S = 10
_SHOWN = (
    *("score", "delta", "failure_mode", "reason", "model", "tool", "ok", "cost_usd", "batch_id"),
    *("$ai_model", "$ai_total_cost_usd", "$ai_latency"),
)
_COLUMNS = "uuid, event, timestamp, created_at, distinct_id, properties"


@click.command()
@click.option("--event", help="Only this event.")
@click.option("--project", help="Only this project.")
@click.option("--limit", type=click.IntRange(1), help="End after this many events.")
@click.option("--once", is_flag=True, help="Print the latest events and end.")
@click.option(
    "--last", default=10, show_default=True, type=click.IntRange(0, _PAGE), help="Begin with these."
)
@json_option
def command(
    event: str | None,
    project: str | None,
    limit: int | None,
    once: bool,
    last: int,
    as_json: bool,
) -> None:
    """Follow events as they arrive, the latest few first. With --json, one object a line."""
    query = QueryClient.from_settings(load())
    events = follow(query, event=event, project=project, last=limit if once and limit else last)
    out = console()
    try:
        shown = 0
        for found in events:
            if found is not None:
                _print(found, as_json, out.print)
                shown += 1
            if (found is None and once) or (limit is not None and shown >= limit):
                return
    except KeyboardInterrupt:
        return


def follow(
    query: Query,
    *,
    event: str | None = None,
    project: str | None = None,
    last: int = 10,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[dict[str, Any] | None]:
    """Give events in the order they were received, and None each time there is none for now.

    Pages by (created_at, uuid), so the cost of a look does not grow with what is stored. A server
    that is away for a while is waited for.
    """
    where, values = _where(event, project)
    seen: dict[str, None] = {}
    newest = query.hogql(
        f"select {_COLUMNS} from events where {where} "  # noqa: S608 (values are placeholders)
        f"order by created_at desc, uuid desc limit {max(last, 1)}",
        values,
    ).dicts()
    cursor = str(newest[0]["created_at"]) if newest else None
    seen.update(dict.fromkeys(str(row["uuid"]) for row in newest))
    yield from reversed(newest[:last])
    while True:
        yield None
        sleep(_WAIT_S)
        try:
            for row in _received_after(query, where, values, cursor):
                uuid = str(row["uuid"])
                cursor = max(cursor or "", str(row["created_at"]))
                if uuid not in seen:
                    seen[uuid] = None
                    yield row
        except UnreachableError:
            continue
        while len(seen) > 100 * _PAGE:
            del seen[next(iter(seen))]


def _received_after(
    query: Query, where: str, values: Mapping[str, Any], cursor: str | None
) -> Iterator[dict[str, Any]]:
    """Give every event received from a little before the cursor on, page by page."""
    after, uuid = cursor, ""
    back = f" - interval {_OVERLAP_S} second"
    while True:
        condition, more = where, dict(values)
        if after is not None:
            more |= {"after": after, "after_uuid": uuid}
            condition += (
                f" and (created_at > toDateTime({{after}}){back}"
                f" or (created_at = toDateTime({{after}}){back}"
                " and toString(uuid) > {after_uuid}))"
            )
        page = query.hogql(
            f"select {_COLUMNS} from events where {condition} "  # noqa: S608 (as above)
            f"order by created_at, toString(uuid) limit {_PAGE}",
            more,
        ).dicts()
        yield from page
        if len(page) < _PAGE:
            return
        after, uuid, back = str(page[-1]["created_at"]), str(page[-1]["uuid"]), ""


def _where(event: str | None, project: str | None) -> tuple[str, dict[str, Any]]:
    conditions, values = ["1 = 1"], {}
    if event is not None:
        conditions.append("event = {event}")
        values["event"] = event
    if project is not None:
        conditions.append("properties.project = {project}")
        values["project"] = project
    return " and ".join(conditions), values


def _print(found: Mapping[str, Any], as_json: bool, show: Callable[[Text], None]) -> None:
    properties = _properties(found["properties"])
    if as_json:
        line = {**found, "properties": properties}
        click.echo(json.dumps(line, ensure_ascii=False, default=str))
        return
    at = datetime.fromisoformat(str(found["timestamp"])).astimezone()
    text = Text(f"{at:%H:%M:%S} ", style="dim")
    text.append(f"{printable(str(found['event'])):<20} ", style="bold")
    text.append(f"{printable(str(found['distinct_id']))}  ", style="cyan")
    facts = [f"{name}={properties[name]}" for name in _SHOWN if properties.get(name) is not None]
    text.append(printable("  ".join(facts)).replace("\n", " ")[:300])
    show(text)


def _properties(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise ApiError(f"the query API gave properties that are not JSON: {error}") from error
    return value if isinstance(value, dict) else {}
