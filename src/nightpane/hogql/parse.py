"""Text to syntax tree, by PostHog's own grammar, remembered by the text.

Values never enter the text: they fill placeholders in the tree, so one dashboard tile parses once
however its parameters change.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from nightpane.errors import HogQLError
from nightpane.hogql.grammar import parse as ask_grammar
from nightpane.hogql.nodes import Node, Query, SelectQuery, SelectSetQuery, build, children

__all__ = ["MAX_QUERY_CHARS", "parse_expression", "parse_query", "position"]

MAX_QUERY_CHARS = 100_000
_REMEMBERED = 512
_EXPECTING = re.compile(r" expecting \{.{80,}\}$", re.DOTALL)
_QUOTED = re.compile(
    r"""'(?:[^'\\\\]|\\\\.|'')*'|"(?:[^"\\\\]|\\\\.|"")*"|`(?:[^`\\\\]|\\\\.|``)*`"""
    r"|--[^\n]*|//[^\n]*|#[^\n]*|/\*.*?\*/",
    re.DOTALL,
)
_TOTALS = re.compile(r"\bWITH\s+(TOTALS|ROLLUP|CUBE)\b", re.IGNORECASE)
_ORDER = re.compile(r"\bORDER\s+BY\b", re.IGNORECASE)
_DEEP = "the query is nested too deeply: split it with WITH"


@lru_cache(maxsize=_REMEMBERED)
def parse_query(text: str) -> Query:
    """Return the tree of one SELECT (or several joined by set operators).

    Raises HogQLError (code ``hogql_syntax_error``) with the place of the mistake. At most
    100,000 characters.
    """
    if not text.strip():
        raise HogQLError("Empty query", start=0, end=len(text), code="hogql_syntax_error")
    tree = _parse(text, "parse_select_json")
    if not isinstance(tree, SelectQuery | SelectSetQuery):
        raise HogQLError("Only a SELECT can be asked", start=0, end=len(text))
    _refuse_dropped(text, tree)
    return tree


@lru_cache(maxsize=_REMEMBERED)
def parse_expression(text: str) -> Node:
    """Return the tree of one expression, such as a HogQL property filter. Raises HogQLError."""
    if not text.strip():
        raise HogQLError("Empty expression", start=0, end=len(text), code="hogql_syntax_error")
    tree = _parse(text, "parse_expr_json")
    if not isinstance(tree, Node):
        raise HogQLError("An expression was expected", start=0, end=len(text))
    return tree


def position(text: str, offset: int) -> tuple[int, int]:
    """Return the line and column, both from 1, of a character offset."""
    before = text[: max(0, min(offset, len(text)))]
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def _refuse_dropped(text: str, tree: Query) -> None:
    """Refuse what the grammar accepts and then leaves out of the tree, instead of ignoring it."""
    blank = _QUOTED.sub(lambda found: " " * len(found.group()), text)
    if found := _TOTALS.search(blank):
        raise HogQLError(
            f"WITH {found.group(1).upper()} is not supported: write GROUP BY ROLLUP(…) or CUBE(…)",
            start=found.start(),
            end=found.end(),
        )
    for start, end in _tails(tree, len(text)):
        if found := _ORDER.search(blank, start, end):
            raise HogQLError(
                "ORDER BY after several SELECTs is not supported: "
                "write SELECT * FROM (…) ORDER BY …",
                start=found.start(),
                end=found.end(),
            )


def _tails(tree: Query, length: int) -> Iterator[tuple[int, int]]:
    """Yield the stretches of text after a whole query, where only a LIMIT was kept."""
    yield (tree.end or 0), length
    stack: list[Any] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, SelectSetQuery):
            last = node.subsequent_select_queries[-1].select_query
            if node.order_by is None and last.end is not None and node.end is not None:
                yield last.end, node.end
        if isinstance(node, Node):
            stack.extend(children(node))
        elif isinstance(node, tuple):
            stack.extend(node)


def _parse(text: str, how: str) -> Any:
    if len(text) > MAX_QUERY_CHARS:
        raise HogQLError(
            f"the query has {len(text):,} characters and may have {MAX_QUERY_CHARS:,}: "
            "pass long lists through values",
            code="hogql_syntax_error",
        )
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise HogQLError(
            f"character {error.start + 1} is half of a surrogate pair, not a character",
            start=error.start,
            end=error.end,
            code="hogql_syntax_error",
        ) from error
    try:
        tree = ask_grammar(how, text)
        if isinstance(tree, dict) and tree.get("error"):
            raise _refusal(tree, text)
        return build(tree)
    except RecursionError as error:
        raise HogQLError(_DEEP, start=0, end=len(text), code="hogql_syntax_error") from error


def _refusal(tree: dict[str, Any], text: str) -> HogQLError:
    message = _EXPECTING.sub("", str(tree.get("message", "the query cannot be read")))
    start = int((tree.get("start") or {}).get("offset", 0))
    end = int((tree.get("end") or {}).get("offset", start))
    start = min(start, len(text))
    code = "hogql_syntax_error" if tree.get("type") == "SyntaxError" else "hogql_error"
    if len(message) > 300:
        message = message[:140] + " … " + message[-140:]
    return HogQLError(message, start=start, end=min(max(start, end), len(text)), code=code)
