"""HogQL, PostHog's query language: text in, one ClickHouse statement out.

Parsed by PostHog's grammar, every name resolved against a fixed set of tables and functions, and
printed anew: no part of a query's text ever reaches the engine as it came.
"""

from nightpane.hogql.compiler import DEFAULT_LIMIT, MAX_LIMIT, Compiled, compile  # noqa: A004
from nightpane.hogql.grammar import keep_trees, warm_up
from nightpane.hogql.layout import Layout
from nightpane.hogql.parse import parse_query, position
from nightpane.hogql.vocabulary import function_names, tables

__all__ = [
    "DEFAULT_LIMIT",
    "MAX_LIMIT",
    "Compiled",
    "Layout",
    "compile",
    "function_names",
    "keep_trees",
    "parse_query",
    "position",
    "tables",
    "warm_up",
]
