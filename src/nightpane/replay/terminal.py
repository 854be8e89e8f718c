"""A trace in a terminal: the tree with offsets, durations, costs and a waterfall that fits.

Every text of the data is made printable first: no control character reaches the terminal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rich.text import Text

from nightpane.replay.model import Node, Trace

__all__ = ["lines_of", "money", "span"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_COLOURS = {
    "generation": "cyan",
    "embedding": "cyan",
    "tool": "yellow",
    "suite": "magenta",
    "case": "magenta",
    "round": "blue",
}
_BAD = frozenset({"failed", "unfinished", "reverted", "missed", "worse"})
_MAX_INDENT = 24


def lines_of(trace: Trace, width: int) -> Iterator[tuple[Text, Node]]:
    """Yield one line for each node, at most ``width`` cells wide, in reading order."""
    bar = min(40, max(8, width // 4)) if width >= 60 else 0
    name = max(16, width - bar - 31)
    for node in trace.nodes:
        bad = node.status in _BAD
        line = Text(no_wrap=True)
        line.append(f"{_offset(node.start_ms):>9} ", style="dim")
        line.append_text(_name(node, name, "red" if bad else ""))
        line.append(f"{span(node.duration_ms):>8} {money(_cost(node)):>9} ", style="dim")
        if bar:
            line.append(_bar(trace, node, bar), style="red" if bad else _COLOURS.get(node.kind, ""))
        line.truncate(width)
        yield line, node


def span(ms: float | None) -> str:
    """Return a duration with its unit, "" for none."""
    if ms is None:
        return ""
    for limit, unit_ms, unit in ((1_000, 1, "ms"), (120_000, 1_000, "s"), (7_200_000, 60_000, "m")):
        if ms < limit:
            return f"{ms / unit_ms:.3g}{unit}"
    return f"{ms / 3_600_000:.3g}h"


def money(usd: float | None) -> str:
    """Return a cost in USD, "" for one that is not known."""
    return "" if usd is None else f"${usd:.4f}" if usd < 1 else f"${usd:,.2f}"


def _cost(node: Node) -> float | None:
    return node.told_cost_usd if node.total_cost_usd is None else node.total_cost_usd


def _offset(ms: float) -> str:
    sign = "-" if ms < 0 else "+"
    return f"{sign}{abs(ms) / 1000:.2f}s" if abs(ms) < 1_000_000 else f"{sign}{span(abs(ms))}"


def _name(node: Node, width: int, style: str) -> Text:
    indent = (
        "  " * node.depth if node.depth * 2 <= _MAX_INDENT else f"{' ' * _MAX_INDENT}{node.depth}› "
    )
    kind = "" if node.name == node.kind else f"{node.kind} "
    status = f" [{node.status}]" if node.status not in (None, "ok") else ""
    said = node.error or node.text
    text = Text(indent + _CONTROL.sub("�", f"{kind}{node.name}{status}"), style=style)
    if said:
        text.append("  " + _CONTROL.sub("�", said), style="dim")
    text.truncate(width, overflow="ellipsis", pad=True)
    return text


def _bar(trace: Trace, node: Node, width: int) -> str:
    whole = (trace.until_ms - trace.from_ms) or 1.0
    left = int((node.start_ms - trace.from_ms) / whole * width)
    left = min(left, width - 1)
    if node.duration_ms is None:
        return " " * left + "·"
    length = max(1, round(node.duration_ms / whole * width))
    return " " * left + "█" * min(length, width - left)
