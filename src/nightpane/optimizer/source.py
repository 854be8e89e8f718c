"""Asking HogQL for a report: within a budget, once each, through rate limits and interruptions.

A personal key of PostHog may ask some 120 HogQL queries an hour, so a report has a budget, and
every answer is kept in the results folder until the report is done: a run that was cut off asks
again only for what it had not heard. Nothing here knows what the answers mean.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from nightpane.errors import ApiError, UnreachableError
from nightpane.query import Query

__all__ = ["BUDGET", "Answers", "Row", "Source"]

BUDGET = 59
PAGE = 50_000
"""PostHog returns at most this many rows of a query."""
_TRIES = 4
_LIMIT_WAIT_S = 60.0
_LIMIT_TOTAL_S = 3900.0  # a little over the hour for which PostHog counts queries

Row = dict[str, Any]


class Answers:
    """Answers kept on disk by the query's text and values; ``None`` as folder keeps nothing."""

    def __init__(
        self, folder: Path | None, clean: Callable[[str], str] = lambda text: text
    ) -> None:
        self._folder = folder
        self._clean = clean

    def get(self, key: str) -> list[Row] | None:
        """Return a kept answer; a half-written or foreign file counts as none."""
        if self._folder is None:
            return None
        try:
            kept = json.loads((self._folder / f"{key}.json").read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return [dict(zip(kept["columns"], row, strict=True)) for row in kept["rows"]]

    def put(self, key: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[Row]:
        """Keep an answer, and return its rows as they will be read again."""
        steady = [[_steady(value) for value in row] for row in rows]
        text = self._clean(json.dumps({"columns": columns, "rows": steady}, default=str))
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            partial = self._folder / f"{key}.part"
            partial.write_text(text, "utf-8")
            partial.replace(self._folder / f"{key}.json")
        kept = json.loads(text)
        return [dict(zip(kept["columns"], row, strict=True)) for row in kept["rows"]]

    def forget(self) -> None:
        """Delete every kept answer."""
        if self._folder is not None and self._folder.is_dir():
            for path in self._folder.glob("*.json"):
                path.unlink()


class Source:
    """Asks HogQL on behalf of the steps.

    ``spent`` counts the queries that were asked (a kept answer costs none), ``left`` what remains
    of the budget. ``wait`` and ``clock`` stand in for sleeping and the monotonic clock.
    """

    def __init__(
        self,
        query: Query,
        answers: Answers | None = None,
        *,
        budget: int = BUDGET,
        say: Callable[[str], None] = lambda _text: None,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._query = query
        self._answers = answers or Answers(None)
        self._say = say
        self._wait = wait
        self.budget = budget
        self.spent = 0

    @property
    def left(self) -> int:
        """How many more queries may be asked."""
        return self.budget - self.spent

    def say(self, text: str) -> None:
        """Tell whoever watches the run."""
        self._say(text)

    def ask(self, text: str, values: Mapping[str, Any]) -> list[Row]:
        """Return the rows of a query, kept or fresh.

        Raises ApiError when it is refused or the budget is used up, UnreachableError when nobody
        answers.
        """
        plain = {name: _plain(value) for name, value in sorted(values.items())}
        used = {name: value for name, value in plain.items() if f"{{{name}}}" in text}
        key = hashlib.sha256(json.dumps([text, used]).encode()).hexdigest()[:32]
        kept = self._answers.get(key)
        if kept is not None:
            return kept
        if self.left <= 0:
            raise ApiError(
                f"the report has asked its {self.budget} queries: that is a fault of nightpane; "
                "a smaller --window-days or --top-n may avoid it",
                code="query_budget",
            )
        self.spent += 1
        answer = self._asked(text, used)
        return self._answers.put(key, answer.columns, answer.rows)

    def pages(
        self, text: str, values: Mapping[str, Any], *, key: str, first: Any = "", size: int = PAGE
    ) -> Iterator[list[Row]]:
        """Yield the rows page by page, by keyset: ``text`` must hold ``{after}`` and ``{page}``,
        ask ``… > {after}`` of the column ``key``, which is unique, and order by it."""
        after: Any = first
        while True:
            rows = self.ask(text, {**values, "after": after, "page": size})
            if rows:
                yield rows
                after = rows[-1][key]
            if len(rows) < size:
                return

    def _asked(self, text: str, values: Mapping[str, Any]) -> Any:
        waited_s, failed = 0.0, 0
        while True:
            try:
                return self._query.hogql(text, values)
            except UnreachableError:
                failed += 1
                if failed >= _TRIES:
                    raise
                self._say(f"no answer, trying again ({failed} of {_TRIES - 1})")
                self._wait(2.0**failed)
            except ApiError as error:
                if error.status != 429 or waited_s >= _LIMIT_TOTAL_S:
                    raise
                self._say(
                    f"PostHog's limit of queries is reached, waiting ({waited_s:.0f} s so far)"
                )
                self._wait(_LIMIT_WAIT_S)
                waited_s += _LIMIT_WAIT_S


def _steady(value: Any) -> Any:
    """Return a number without the last digits, which depend on the order threads added it up in."""
    if isinstance(value, float):
        return float(f"{value:.12g}")
    return [_steady(item) for item in value] if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
