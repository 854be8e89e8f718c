"""ORDER BY, with the parts the grammar reads and then leaves out of its tree."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nightpane.hogql import nodes as n
from nightpane.hogql.state import Cx

if TYPE_CHECKING:
    from nightpane.hogql.calls import Translate

__all__ = ["order_list"]

_TAIL = re.compile(
    r"^(?:\s*\))*\s*(?:ASC(?:ENDING)?|DESC(?:ENDING)?)?\s*(?:NULLS\s+(?P<nulls>FIRST|LAST))?\s*"
    r"(?P<collate>COLLATE)?",
    re.IGNORECASE,
)


def order_list(cx: Cx, items: tuple[n.OrderExpr, ...], translate: Translate) -> str:
    """Return what stands after ORDER BY."""
    return ", ".join(_order(cx, item, translate) for item in items)


def _order(cx: Cx, item: n.OrderExpr, translate: Translate) -> str:
    sql = translate(cx.value(), item.expr).sql
    sql += " DESC" if item.order.upper().startswith("DESC") else " ASC"
    sql += _nulls(cx, item)
    if item.with_fill is None:
        return sql
    fill = item.with_fill
    sql += " WITH FILL"
    for word, value in (
        ("FROM", fill.from_value),
        ("TO", fill.to_value),
        ("STEP", fill.step_value),
    ):
        if value is not None:
            sql += f" {word} {translate(cx.value(), value).sql}"
    return sql


def _nulls(cx: Cx, item: n.OrderExpr) -> str:
    # The grammar accepts NULLS FIRST and COLLATE but does not keep them: they are in the text.
    if item.expr.end is None or item.end is None:
        return ""
    found = _TAIL.match(cx.state.source[item.expr.end : item.end])
    if found is None:
        return ""
    if found.group("collate"):
        raise item.error("COLLATE is not supported")
    return f" NULLS {found.group('nulls').upper()}" if found.group("nulls") else ""
