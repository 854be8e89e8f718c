"""PostHog's insight queries, answered from this server's store and definitions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from nightpane import insights
from nightpane.definitions import Definitions
from nightpane.errors import InsightError
from nightpane.server.hogql_run import run_hogql
from nightpane.server.rest import invalid
from nightpane.store import Store

__all__ = ["answer_insight"]


def answer_insight(
    store: Store, definitions: Definitions, node: Mapping[str, Any]
) -> dict[str, Any]:
    """Return PostHog's response to a node of one of ``insights.KINDS``.

    Raises ApiRefusal (400), and what ``run_hogql`` does.
    """
    context = insights.Context(
        now=datetime.now(UTC), cohort=lambda cohort_id: definitions.get("cohort", cohort_id)
    )
    try:
        return insights.answer(node, context, lambda query, values: run_hogql(store, query, values))
    except InsightError as error:
        raise invalid(error.attr, str(error)) from error
