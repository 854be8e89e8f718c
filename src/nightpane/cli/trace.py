"""``nightpane trace``: one round as a tree in time."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from nightpane.cli._output import emit, json_option, printable
from nightpane.config import load
from nightpane.errors import ConfigError
from nightpane.query import QueryClient
from nightpane.replay import Trace, find_round, read_contents, read_round, to_json, window

__all__ = ["command"]

_CALLS = ("generation", "embedding", "span", "trace")
_SHOWN = (
    "$ai_instructions",
    "$ai_input",
    "$ai_input_state",
    "$ai_output_choices",
    "$ai_output_state",
)
_DIFFS = ("diff", "patch")


@click.command("trace")
@click.argument("round")
@click.option(
    "--run", "run_id", metavar="ID", help="The run that ROUND is a number, best or last of."
)
@click.option("--full", is_flag=True, help="Show the messages of model calls, and diffs.")
@json_option
def command(
    round: str,  # noqa: A002 (the argument's name in the command's help)
    run_id: str | None,
    full: bool,
    as_json: bool,
) -> None:
    """Print a round as one tree: what happened, when, for how long, at what cost.

    ROUND is a round's id or the beginning of it, 'last', 'best' (of those kept), or its number in
    the run; of the latest run unless --run names one.

    \b
    nightpane trace last
    nightpane trace 17 --run 01K9Z3… --full
    """
    query = QueryClient.from_settings(load())
    round_id = find_round(query, round, run_id=run_id)
    trace = read_round(query, round_id)
    if trace is None:
        raise ConfigError(f"round {round_id!r} has no events: 'nightpane tail' shows what arrives")
    contents = _contents(query, trace) if full else {}
    document = to_json(trace)
    if full:
        document["contents"] = contents
    emit(document, as_json=as_json, render=lambda screen: _draw(trace, contents, screen))


def _contents(query: QueryClient, trace: Trace) -> dict[str, Any]:
    """Return the properties of calls and proposals by the events' uuids."""
    wanted = [
        uuid
        for node in trace.nodes
        if node.kind in _CALLS or node.event.startswith("proposal")
        for uuid in node.uuids
    ]
    since, until = window(trace)
    found = {}
    for row in read_contents(query, wanted, since=since, until=until):
        given = row["properties"]
        found[str(row["id"])] = json.loads(given) if isinstance(given, str) else given
    return found


def _draw(trace: Trace, contents: dict[str, Any], screen: Console) -> None:
    from nightpane.replay.terminal import lines_of, money, span

    about, beside = trace.round, trace.neighbours
    told = [
        f"{'trace' if about.status == 'trace' else 'round'} {about.id}",
        " · ".join(part for part in (about.project, about.client, about.status) if part),
        f"round {beside.number} of {beside.rounds} in run {about.run_id}" if beside.number else "",
        f"{about.metric or 'score'} {about.score:.6g}" if about.score is not None else "",
        f"{about.failure_mode}: {about.reason or ''}".strip(": ") if about.failure_mode else "",
        f"{span(trace.nodes[0].duration_ms)}, {trace.events:,} events, {trace.calls:,} model calls"
        + (f", {money(about.cost_usd)}" if about.cost_usd is not None else ", cost not known"),
        f"started {trace.started_at:%Y-%m-%d %H:%M:%S} UTC",
    ]
    for said in filter(None, told):
        screen.print(Text(printable(said)))
    for note in trace.notes:
        screen.print(Text(f"! {note}", style="yellow"))
    screen.print()
    for line, node in lines_of(trace, screen.width):
        screen.print(line, crop=True, soft_wrap=True)
        for uuid in node.uuids:
            _draw_contents(contents.get(uuid), 11 + 2 * min(node.depth, 8), screen)
    _draw_beside(trace, screen)


def _draw_beside(trace: Trace, screen: Console) -> None:
    beside = trace.neighbours
    named = {"previous": beside.previous, "next": beside.next}
    lines = [f"{name} {round_id}" for name, round_id in named.items() if round_id]
    if beside.regressed_from is not None:
        lines.append(
            f"regressed from {beside.regressed_from.round_id}: {beside.regressed_from.why}"
        )
    if lines:
        screen.print()
    for line in lines:
        screen.print(Text(printable(line), style="dim"))


def _draw_contents(properties: Any, indent: int, screen: Console) -> None:
    if not isinstance(properties, dict):
        return
    for name in (*_SHOWN, *_DIFFS):
        value = properties.get(name)
        if value is None:
            continue
        messages = value if isinstance(value, list) else [value]
        for message in messages:
            role = str(message.get("role") or "") if isinstance(message, dict) else ""
            said = message.get("content", message) if isinstance(message, dict) else message
            text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False, indent=1)
            screen.print(Text(" " * indent + printable(f"{name} {role}".strip()), style="bold"))
            for line in text.splitlines():
                screen.print(Text(" " * indent + printable(line)), soft_wrap=True)
