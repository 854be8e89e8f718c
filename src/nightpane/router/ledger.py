"""What each key has spent, on disk before a call is made.

A call's worst cost is booked before it begins and corrected when it is over. What a crash leaves
booked stays booked: the provider may have charged for it. Amounts are USD, days are of UTC.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from nightpane.errors import StoreError
from nightpane.router.refusal import Refusal
from nightpane.router.rules import Key

__all__ = ["Call", "Ledger", "Spent"]

_BUSY_S = 5.0
# How long a call can still be graded; what it cost stays in the sums for ever.
_KEPT = timedelta(days=90)
_SCHEMA = """
create table if not exists call (
    request_id text primary key, key text not null, user text not null, day text not null,
    usd real not null, is_open integer not null, task_type text, model text, baggage text
) without rowid;
create table if not exists spent (
    key text not null, day text not null, usd real not null, primary key (key, day)
) without rowid;
create table if not exists told (what text primary key) without rowid;
"""


@dataclass(frozen=True, slots=True)
class Spent:
    """What a key has spent: on this day, and ever."""

    day_usd: float
    total_usd: float


@dataclass(frozen=True, slots=True)
class Call:
    """A call that was made: who asked, what served it, and the round it belongs to."""

    request_id: str
    key: str
    user: str
    task_type: str | None
    model: str | None
    baggage: str | None


class Ledger:
    """The spending of all keys, in one SQLite file. Used by one thread at a
    time; several processes may share it.

    Raises StoreError when the file cannot be used.
    """

    def __init__(self, path: Path, *, now: Callable[[], datetime] | None = None) -> None:
        self.path = path
        self._now = now or (lambda: datetime.now(UTC))
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._db = sqlite3.connect(
                path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
            )
            self._db.execute("pragma journal_mode = wal")
            self._db.execute("pragma synchronous = normal")
            self._db.executescript(_SCHEMA)
            oldest = (self._now() - _KEPT).astimezone(UTC).date().isoformat()
            self._db.execute("delete from call where day < ?", (oldest,))
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"the ledger {path} cannot be used: {error}") from error

    def reserve(self, key: Key, request_id: str, usd: float, baggage: str | None = None) -> None:
        """Book a call's worst cost. Raises Refusal (429) when the key's budget does not hold it."""
        day = self._day()
        with self._writing():
            spent = self.spent(key.name, day)
            for limit, used, word in (
                (key.usd_per_day, spent.day_usd, f"for {day} (UTC)"),
                (key.usd_total, spent.total_usd, "in total"),
            ):
                if limit is not None and used + usd > limit:
                    raise _over(key.name, limit, used, usd, word)
            self._db.execute(
                "insert into call values (?, ?, ?, ?, ?, 1, null, null, ?)",
                (request_id, key.name, key.user, day, usd, baggage),
            )
            self._add(key.name, day, usd)

    def settle(
        self, request_id: str, usd: float | None, *, task_type: str | None, model: str | None
    ) -> None:
        """Put a call's own cost in place of what was booked; None leaves what was booked."""
        with self._writing():
            row = self._db.execute(
                "select key, day, usd from call where request_id = ? and is_open = 1", (request_id,)
            ).fetchone()
            if row is None:
                return
            key, day, booked = row
            final = booked if usd is None else usd
            self._db.execute(
                "update call set usd = ?, is_open = 0, task_type = ?, model = ? "
                "where request_id = ?",
                (final, task_type, model, request_id),
            )
            self._add(key, day, final - booked)

    def spent(self, key: str, day: str | None = None) -> Spent:
        """Return what a key has spent, with what is booked for calls under way."""
        row = self._db.execute(
            "select total(case when day = ? then usd end), total(usd) from spent where key = ?",
            (day or self._day(), key),
        ).fetchone()
        return Spent(*row)

    def call(self, request_id: str) -> Call | None:
        """Return a call that was made, None for one that nobody made."""
        row = self._db.execute(
            "select request_id, key, user, task_type, model, baggage from call "
            "where request_id = ?",
            (request_id,),
        ).fetchone()
        return None if row is None else Call(*row)

    def is_first(self, what: str) -> bool:
        """Tell whether something is to be told for the first time; from then on it never is."""
        with self._writing():
            done = self._db.execute("insert or ignore into told values (?)", (what,))
            return done.rowcount == 1

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _add(self, key: str, day: str, usd: float) -> None:
        self._db.execute(
            "insert into spent values (?, ?, ?) "
            "on conflict (key, day) do update set usd = usd + excluded.usd",
            (key, day, usd),
        )

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            self._db.execute("begin immediate")
            try:
                yield
            except BaseException:
                self._db.execute("rollback")
                raise
            self._db.execute("commit")
        except sqlite3.Error as error:
            raise StoreError(f"the ledger {self.path} cannot be written: {error}") from error

    def _day(self) -> str:
        return self._now().astimezone(UTC).date().isoformat()


def _over(key: str, limit: float, used: float, usd: float, word: str) -> Refusal:
    return Refusal(
        429,
        "insufficient_quota",
        "budget_exceeded",
        f"the budget of key {key!r} is {limit:.4f} USD {word}: {used:.4f} are spent or booked, and "
        f"this call may cost {usd:.4f}; a smaller max_tokens books less",
        is_final=True,
    )
