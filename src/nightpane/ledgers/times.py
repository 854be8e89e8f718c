"""When each round ended, from the best source there is, so that importing again changes nothing.

In this order: the commit's time when a repository is given; the ledger's own time; the round
before it plus a second; and, when the ledger has no time at all, rounds spaced evenly up to the
file's modification time. That last one is remembered at the first import, because a copy of the
file has another modification time, and because rounds that were imported must not move when the
ledger grows.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from nightpane.ledgers.model import Moment, Round

__all__ = ["SPACING", "Anchors", "RunClock", "Span"]

SPACING = timedelta(minutes=5)  # AutoResearch's training budget for a round
_STEP = timedelta(seconds=1)
_DAY_STEP = timedelta(minutes=1)
_LONGEST_ROUND = timedelta(hours=24)
_INSTANT = timedelta(milliseconds=2)
_LEAD = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Span:
    """A round's start and end. The start is always inferred; ``estimated`` is about the end."""

    start: datetime
    end: datetime
    estimated: bool


@dataclass(slots=True)
class Anchors:
    """How many rounds a run had at each import, and the time the last of them was given.

    With a folder they are kept there, one small file a run; without one they live for this object.
    """

    folder: Path | None = None
    warnings: list[str] = field(default_factory=list)

    def points(
        self, key: str, rounds: int, modified_s: float, now: datetime
    ) -> list[tuple[int, datetime]]:
        """Return the run's points with one for its present length, and remember them."""
        points = self._load(key)
        known = points[-1] if points else None
        modified = _bounded(modified_s, now)
        if known is None:
            points = [(rounds, modified)]
        elif rounds > known[0]:
            points.append((rounds, max(modified, known[1] + (rounds - known[0]) * _STEP)))
        else:
            return points
        self._save(key, points)
        return points

    def _path(self, key: str) -> Path | None:
        return None if self.folder is None else self.folder / f"{key}.json"

    def _load(self, key: str) -> list[tuple[int, datetime]]:
        path = self._path(key)
        if path is None or not path.is_file():
            return []
        try:
            stored = json.loads(path.read_text("utf-8"))["points"]
            return [(int(n), datetime.fromtimestamp(float(s), UTC)) for n, s in stored]
        except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
            self.warnings.append(f"{path} cannot be read ({error}): times are estimated anew")
            return []

    def _save(self, key: str, points: list[tuple[int, datetime]]) -> None:
        path = self._path(key)
        if path is None:
            return
        text = json.dumps({"points": [(n, at.timestamp()) for n, at in points]})
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=".anchor-")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            Path(name).replace(path)
        except OSError as error:
            self.warnings.append(
                f"{path} cannot be written ({error.strerror}): a copy may shift times"
            )


def _bounded(modified_s: float, now: datetime) -> datetime:
    try:
        modified = datetime.fromtimestamp(round(modified_s, 3), UTC)
    except (OverflowError, ValueError, OSError):
        return now
    return min(modified, now)


class RunClock:
    """Gives the rounds of one run their times, in order.

    ``first_at`` is the run's first known time, None when it has none: then ``points`` of `Anchors`
    place the rounds.
    """

    def __init__(
        self,
        first_at: datetime | None,
        points: list[tuple[int, datetime]],
        commit_time: Callable[[str | None], datetime | None],
    ) -> None:
        self._first_at = first_at
        self._points = points
        self._commit_time = commit_time
        self._raw: datetime | None = None
        self._same = 0
        self._end: datetime | None = None
        self._ordinal = 0

    def span(self, item: Round) -> Span:
        """Return when a round began and ended."""
        end, estimated = self._ended(item)
        before = self._end
        start = end - _INSTANT
        if before is not None and timedelta(0) < end - before <= _LONGEST_ROUND:
            start = before
        elif before is None and not self._has_times:
            start = end - SPACING
        self._end = end
        self._ordinal += 1
        return Span(start, end, estimated)

    def stopped(self, when: Moment | None) -> tuple[datetime, bool]:
        """Return when a run ended that states its end: then, or right after its last round."""
        if when is not None:
            return when.at, not when.exact
        return (self._end or datetime.now(UTC)) + timedelta(milliseconds=1), True

    @property
    def _has_times(self) -> bool:
        return self._first_at is not None

    def _ended(self, item: Round) -> tuple[datetime, bool]:
        if not self._has_times:
            return self._placed(self._ordinal), True
        at = self._commit_time(item.row.commit)
        if at is not None:
            return self._apart(Moment(at))
        if item.row.when is not None:
            return self._apart(item.row.when)
        if self._end is not None:
            return self._end + _STEP, True
        first = self._first_at or datetime.now(UTC)
        return first - _LEAD, True

    def _apart(self, when: Moment) -> tuple[datetime, bool]:
        """Rounds of the same moment (a bare date, one commit for several) follow each other."""
        self._same = self._same + 1 if when.at == self._raw else 0
        self._raw = when.at
        step = _STEP if when.exact else _DAY_STEP
        return when.at + self._same * step, not when.exact or self._same > 0

    def _placed(self, ordinal: int) -> datetime:
        count, at = self._points[0]
        if ordinal < count:
            return at - (count - 1 - ordinal) * SPACING
        for number, until in self._points[1:]:
            if ordinal < number:
                return at + (until - at) * (ordinal - count + 1) / (number - count)
            count, at = number, until
        return at + (ordinal - count + 1) * _STEP
