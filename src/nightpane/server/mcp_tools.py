"""The one route by which PostHog's command line and MCP server ask HogQL: ``execute_sql``.

The same question as the query API's, answered as text for a model to read.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from nightpane.errors import HogQLError, QueryLimitError
from nightpane.server.hogql_run import run_hogql
from nightpane.server.rest import invalid, route
from nightpane.store.json_text import dumps

__all__ = ["routes"]

_LONGEST_CELL = 500


def _execute_sql(request: Request, body: dict[str, Any]) -> dict[str, Any]:
    """Run a query; what is wrong with it is told in ``content``, as PostHog does."""
    arguments = body.get("args")
    query = arguments.get("query") if isinstance(arguments, dict) else None
    if not isinstance(arguments, dict) or not isinstance(query, str):
        raise invalid("args", 'Arguments are required, such as {"args": {"query": "select 1"}}.')
    if arguments.get("connectionId") or arguments.get("sendRawQuery"):
        raise invalid("args", "A local server has no connections and takes no raw SQL.")
    try:
        answer = run_hogql(request.app.state.store, query, {})
    except (HogQLError, QueryLimitError) as error:
        return {"success": False, "content": str(error)}
    longest = _LONGEST_CELL if arguments.get("truncate", True) else None
    lines = [answer["columns"], *answer["results"]]
    return {"success": True, "content": "\n".join(_line(line, longest) for line in lines)}


def _line(cells: list[Any], longest: int | None) -> str:
    return "|".join(_cell(cell, longest) for cell in cells)


def _cell(value: Any, longest: int | None) -> str:
    text = (value if isinstance(value, str) else dumps(value)).replace("\n", "\\n")
    return text if longest is None or len(text) <= longest else text[: longest - 1] + "…"


routes: list[Route] = []
for _scope in ("projects", "environments"):
    routes += route(f"/api/{_scope}/{{project}}/mcp_tools/execute_sql/", post=_execute_sql)
