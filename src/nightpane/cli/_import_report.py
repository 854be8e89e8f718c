"""What ``nightpane import`` prints: a table of ledgers, one of traces, and each file's remarks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nightpane.cli._output import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["render"]

_SHOWN_REASONS, _SHOWN_LINES, _NAME_CHARS = 8, 6, 26
_TIMES = {
    "git": "of the commits",
    "file": "as the file has them",
    "partly estimated": "partly estimated",
    "estimated": "estimated, evenly spaced",
    "none": "none",
}


def render(out: Console, report: dict[str, Any]) -> None:
    """Print what an import did."""
    from rich.text import Text

    read = [item for item in report["files"] if "error" not in item]
    for table in (_ledgers(read), _traces(read)):
        if table.row_count:
            out.print(table)
    for item in report["files"]:
        _render_details(out, item)
    for warning in report["warnings"]:
        out.print(Text(f"warning: {printable(warning)}", style="yellow"))
    out.print(Text(_ending(report)))


def _ledgers(read: list[dict[str, Any]]) -> Table:
    table = _table("ledger", "rounds", "kept", "reverted", "crashed", "best")
    table.add_column("metric")
    for item in read:
        if "rounds" in item:
            table.add_row(
                _short(item),
                *(str(item[name]) for name in ("rounds", "kept", "reverted", "crashed")),
                "-" if item["best_score"] is None else f"{item['best_score']:.6g}",
                printable(item["metric"] or "-"),
            )
    return table


def _traces(read: list[dict[str, Any]]) -> Table:
    table = _table("traces of", "traces", "calls", "errors", "tokens in", "out", "USD")
    for item in read:
        if "calls" in item:
            stated = item["calls"] > item["calls_without_cost"]
            table.add_row(
                _short(item),
                *(str(item[name]) for name in ("traces", "calls", "errors")),
                f"{item['input_tokens']:,}",
                f"{item['output_tokens']:,}",
                f"{item['cost_usd']:.4f}" if stated else "-",
            )
    return table


def _table(first: str, *numbers: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column(first, no_wrap=True)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _short(item: dict[str, Any]) -> str:
    """A file name's beginning and end, which tell files of one folder apart."""
    from rich.markup import escape

    name = escape(printable(Path(item["path"]).name))
    return name if len(name) <= _NAME_CHARS else f"{name[:10]}…{name[11 - _NAME_CHARS :]}"


def _render_details(out: Console, item: dict[str, Any]) -> None:
    from rich.padding import Padding
    from rich.text import Text

    out.print()
    if "error" in item:
        out.print(Text(f"not imported: {printable(item['error'])}", style="red"))
        return
    name = printable(Path(item["path"]).name)
    out.print(Text(f"{name}: {item['format']}, project {printable(item['project'])}"), style="bold")
    for line in _details(item):
        out.print(Padding(Text(printable(line)), (0, 0, 0, 2), expand=False))


def _details(item: dict[str, Any]) -> Iterator[str]:
    if item.get("metric"):
        how = "guessed" if item["metric_guessed"] else "as stated"
        yield f"metric {item['metric']} ({how}); {item['direction_how']}"
    if item.get("best_commit"):
        yield f"best at {item['best_commit']}, line {item['best_line']}"
    if item["first_at"]:
        span = f"{item['first_at'][:16]} to {item['last_at'][:16]}".replace("T", " ") + " UTC"
        yield f"times: {_TIMES[item['timestamps']]}; {span}"
    if item.get("undecided"):
        yield f"{item['undecided']} rounds neither kept nor reverted"
    yield from item["notes"]
    if item["lost"]:
        yield f"{item['lost']} events could not be kept: nightpane doctor says more"
    if item.get("rounds") == 0:
        yield "no rounds in it"
    if item.get("calls_without_cost"):
        yield f"{item['calls_without_cost']} calls without a cost: computed where prices are known"
    reasons: dict[str, list[int]] = {}
    for problem in item["unread_lines"]:
        reasons.setdefault(problem["reason"], []).append(problem["line"])
    for reason, lines in list(reasons.items())[:_SHOWN_REASONS]:
        shown = ", ".join(map(str, lines[:_SHOWN_LINES]))
        more = f" and {len(lines) - _SHOWN_LINES} more" if len(lines) > _SHOWN_LINES else ""
        yield f"not read: {reason}: line {shown}{more}"
    rest = len(reasons) - _SHOWN_REASONS
    if rest > 0:
        yield f"not read: {rest} more reasons; --json lists the lines"
    listed = len(item["unread_lines"])
    if item["unread"] > listed:
        yield f"{item['unread']} lines were not read, of which {listed} are listed"


def _ending(report: dict[str, Any]) -> str:
    found = f"{report['rounds']} rounds, " if report["rounds"] or not report["calls"] else ""
    found += f"{report['calls']} model calls, " if report["calls"] else ""
    count = f"\n{found}{report['events']} events"
    if report["dry_run"]:
        return f"{count}: nothing was imported (--dry-run)"
    if report["delivered"] is None:
        return f"{count}: nothing to import"
    if report["delivered"]:
        return f"{count}: delivered to {printable(report['host'] or 'the server')}"
    return (
        f"{count}: not delivered yet, they wait in the spool. Start the server (nightpane up) or "
        "check the host, then run: nightpane spool flush"
    )
