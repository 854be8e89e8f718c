"""What a proposer is told: this run's rounds from the journal, earlier runs' from the pane.

The journal comes first, since it is never late. The pane is asked by query; that it does not answer
is said once and never ends a loop. What is told is bounded, however long the night.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from nightpane.errors import NightpaneError
from nightpane.loops.journal import Entry
from nightpane.loops.keep import Direction
from nightpane.loops.proposing import Brief, Tried
from nightpane.loops.standing import Standing
from nightpane.query import Query

__all__ = ["Briefing", "summary_of"]

_RECENT, _BEST = 40, 10
_EARLIER, _EARLIER_BEST = 20, 10
_DIFFS = 5
_DIFF_CHARS = 2_000
_TEXT_CHARS = 400

_QUERY = """
SELECT
    toString(properties.run_id) AS run_id,
    toString(properties.round_id) AS round_id,
    anyIf(toString(properties.summary), event = 'proposal_generated') AS summary,
    anyIf(toString(properties.model), event = 'proposal_generated') AS model,
    anyIf(toString(properties.diff), event = 'proposal_generated') AS diff,
    anyIf(toFloat(properties.score), event = 'round_scored') AS score,
    anyIf(toString(properties.measured), event = 'round_scored') AS measured,
    anyIf(toString(properties.reason), event = 'round_reverted') AS reason,
    anyIf(toString(properties.failure_mode), event = 'round_reverted') AS failure_mode,
    max(event = 'round_kept') AS kept,
    max(timestamp) AS at
FROM events
WHERE event IN ('proposal_generated', 'round_scored', 'round_kept', 'round_reverted')
    AND properties.project = {project} AND properties.client = {client}
    AND properties.run_id != {run_id}
    AND properties.run_id IN (
        SELECT properties.run_id FROM events
        WHERE event = 'round_scored' AND properties.metric = {metric}
            AND coalesce(properties.direction, 'max') = {direction}
            AND properties.project = {project} AND properties.client = {client}
    )
GROUP BY run_id, round_id
HAVING max(event = 'proposal_generated') = 1
ORDER BY at DESC
LIMIT 1000
"""


class Briefing:
    """Makes the briefs of a run. ``query`` gives who answers, and may raise; ``say`` tells people.

    ``about`` holds project, client, run_id, metric and direction.
    """

    def __init__(
        self, query: Callable[[], Query], about: dict[str, str], say: Callable[[str], None]
    ) -> None:
        self._query = query
        self._about = about
        self._say = say
        self._earlier: tuple[Tried, ...] | None = None
        self._has_said = False

    def brief(self, frame: Brief, entries: Sequence[Entry], best: Standing) -> Brief:
        """Return the frame with what was tried."""
        tried = rounds_of(entries)
        return replace(
            frame,
            rounds=len(tried),
            tried=_told(tried, best.direction),
            earlier=self._of_earlier_runs(best.direction),
        )

    def _of_earlier_runs(self, direction: Direction) -> tuple[Tried, ...]:
        """Return what earlier runs tried, asked until it is answered once."""
        if self._earlier is None:
            try:
                rows = self._query().hogql(_QUERY, self._about).dicts()
            except NightpaneError as error:
                if not self._has_said:
                    self._say(f"earlier runs are not in the brief: {error}")
                self._has_said = True
                return ()
            self._earlier = _earlier([_row(row) for row in rows], direction)
        return self._earlier


def rounds_of(entries: Sequence[Entry]) -> list[Tried]:
    """Return a run's decided rounds, oldest first."""
    proposed = {one["number"]: one for one in entries if one["kind"] == "proposed"}
    found = []
    for one in entries:
        if one["kind"] != "decided":
            continue
        proposal = proposed.get(one["number"], {})
        found.append(
            Tried(
                number=one["number"],
                summary=summary_of(one["number"], proposal),
                status="kept" if one["kept"] else str(one["failure_mode"]),
                score=one["score"],
                reason=one["reason"][:_TEXT_CHARS],
                measured=one["measured"],
                cost_usd=one["cost_usd"],
                model=proposal.get("model"),
                diff=proposal.get("diff", ""),
            )
        )
    return found


def summary_of(number: int, proposal: Entry) -> str:
    """Return what a round is called."""
    if number == 0:
        return "baseline"
    return str(proposal["summary"])[:_TEXT_CHARS] if proposal else "no proposal"


def _told(tried: Sequence[Tried], direction: Direction) -> tuple[Tried, ...]:
    """Return the latest and the best of a run's rounds, with the diffs of the latest and best."""
    best = _best(tried, direction)
    told = {id(one) for one in (*tried[-_RECENT:], *best[:_BEST])}
    shown = {id(one) for one in (*tried[-_DIFFS:], *best[:_DIFFS])}
    return tuple(_cut(one, diff=id(one) in shown) for one in tried if id(one) in told)


def _earlier(rows: Sequence[Tried], direction: Direction) -> tuple[Tried, ...]:
    """Return the best and the latest of earlier runs' rounds (``rows``: latest first)."""
    best = _best([one for one in rows if one.status == "kept"], direction)[:_EARLIER_BEST]
    shown = {id(one) for one in best[:_DIFFS]}
    latest = [one for one in rows if one not in best][: _EARLIER - len(best)]
    return tuple(_cut(one, diff=id(one) in shown) for one in (*best, *latest))


def _best(tried: Sequence[Tried], direction: Direction) -> list[Tried]:
    scored = [one for one in tried if one.score is not None]
    return sorted(scored, key=lambda one: one.score or 0.0, reverse=direction == "max")


def _cut(one: Tried, *, diff: bool) -> Tried:
    return replace(one, diff=one.diff[:_DIFF_CHARS] if diff else "")


def _row(row: dict[str, Any]) -> Tried:
    kept = bool(row["kept"])
    measured = {"true": True, "false": False}.get(str(row["measured"]).lower())
    return Tried(
        number=None,
        run_id=row["run_id"],
        summary=str(row["summary"] or "")[:_TEXT_CHARS],
        status="kept" if kept else str(row["failure_mode"] or "open"),
        score=row["score"],
        reason=str(row["reason"] or "")[:_TEXT_CHARS],
        measured=measured,
        model=row["model"] or None,
        diff=str(row["diff"] or ""),
    )
