"""The best scores of a suite before now, asked of the query API in the background.

It never blocks its caller for longer than it is told to wait and never raises: a pane that cannot
read its past says so once, and does not ask again for a minute.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from nightpane.client.health import Voice
from nightpane.config import Settings, running_servers
from nightpane.errors import NightpaneError
from nightpane.query import Query, QueryClient

__all__ = ["Asked", "Best", "History", "query_client"]

_LIMIT_S = 2.0
_DELIVER_S = 1.0
_AGAIN_S = 60.0
_MAX_CASES = 10_000

_QUERY = """
SELECT
    toString(properties.case_id) AS case_id,
    {best}(toFloat(properties.score)) AS best,
    max(toString(properties.passed) = 'true') AS has_passed
FROM events
WHERE event = 'eval.case'
    AND properties.project = {{project}} AND properties.client = {{client}}
    AND properties.suite_id != {{suite_id}}
    AND properties.suite_id IN (
        SELECT properties.suite_id FROM events
        WHERE event = 'eval.run' AND properties.suite = {{suite}}
            AND properties.project = {{project}} AND properties.client = {{client}}
    )
GROUP BY case_id
LIMIT {limit}
"""

log = logging.getLogger("nightpane")


@dataclass(frozen=True, slots=True)
class Best:
    """A case's best score before, None when it never had one, and whether it ever passed."""

    score: float | None
    passed: bool


class Asked:
    """A question under way. ``state`` is ``asked``, or why there is nobody to ask."""

    def __init__(self, state: str) -> None:
        self.state = state
        self.found: Mapping[str, Best] | None = None
        self.done = threading.Event()
        self._deadline = time.monotonic() + _LIMIT_S

    def bests(self, *, wait: bool) -> Mapping[str, Best] | None:
        """Return the answer by case, None while (or because) there is none."""
        if wait:
            self.done.wait(max(0.0, self._deadline - time.monotonic()))
        return self.found if self.done.is_set() else None


class History:
    """Asks ``query()`` what a pane's earlier suites came to, after ``deliver(seconds)``."""

    def __init__(
        self, query: Callable[[], Query], deliver: Callable[[float], object], voice: Voice
    ) -> None:
        self._query = query
        self._deliver = deliver
        self._voice = voice
        self._silent_until = 0.0
        self._why = ""

    def ask(
        self,
        *,
        project: str,
        client: str,
        suite: str,
        suite_id: str,
        direction: Literal["max", "min"],
    ) -> Asked:
        """Ask for the best scores of a suite's cases before ``suite_id``; returns at once."""
        if time.monotonic() < self._silent_until:
            return _unanswered(self._why)
        try:
            query = self._query()
        except Exception as error:  # noqa: BLE001 (whatever the caller gave to ask)
            return _unanswered(self._give_up(error))
        asked = Asked("asked")
        text = _QUERY.format(best=direction, limit=_MAX_CASES)
        values = {"project": project, "client": client, "suite": suite, "suite_id": suite_id}

        def work() -> None:
            try:
                # What this process tracked a moment ago is history as well.
                self._deliver(_DELIVER_S)
                rows = query.hogql(text, values).rows
                asked.found = {str(case): Best(best, bool(passed)) for case, best, passed in rows}
            except Exception as error:  # noqa: BLE001 (a question must not harm the loop)
                self._give_up(error)
            finally:
                asked.done.set()

        threading.Thread(target=work, name="nightpane-history", daemon=True).start()
        return asked

    def _give_up(self, error: Exception) -> str:
        detail = str(error) if isinstance(error, NightpaneError) else repr(error)
        self._why = f"not asked: {detail}"[:400]
        self._silent_until = time.monotonic() + _AGAIN_S
        self._voice.once(
            "history", f"regressions are not looked for: history cannot be asked: {detail}"
        )
        return self._why


def query_client(settings: Settings) -> Query:
    """Return who answers for these settings now; a local server may have moved since.

    Raises UnreachableError when there is no host to ask, ConfigError when there is no key.
    """
    if settings.sources.get("host", "local server") == "local server":
        for server in running_servers(settings.state_dir):
            if settings.api_key in (None, server.api_key):
                return QueryClient(
                    server.host,
                    server.project_id,
                    server.personal_api_key,
                    timeout_s=_LIMIT_S,
                    retries=0,
                )
    return QueryClient.from_settings(settings, timeout_s=_LIMIT_S, retries=0)


def _unanswered(state: str) -> Asked:
    asked = Asked(state)
    asked.done.set()
    return asked
