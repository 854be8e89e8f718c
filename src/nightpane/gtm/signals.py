"""What the advertising accounts saw: a snapshot of conversions, beside which a container is scored.

Two shapes are read: a legacy snapshot of Meta alone (``conversion_events`` at the top), and an
enriched one with ``meta``, ``funnel`` and ``google``. An old snapshot must not pass for today's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from nightpane.errors import GtmError
from nightpane.gtm.strict import read_text, strict_json

__all__ = ["Action", "Event", "Signals", "Step"]

# No count and no value of a week is larger; sums of such stay finite.
_MOST = 1e18
_OLD, _TOO_OLD, _AHEAD = timedelta(hours=24), timedelta(hours=72), timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A conversion event of Meta: counts and value of seven days after a click, and, where the
    Conversions API was seen, how many came by browser and by server, the share that was
    deduplicated and Meta's match quality (0 to 10)."""

    name: str
    count: float
    value: float
    browser: float | None = None
    server: float | None = None
    dedup_rate: float | None = None
    match_quality: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step of the funnel: the ratio of its two events, and what is usual."""

    name: str
    ratio: float
    expected_low: float
    status: Literal["normal", "high", "low"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A conversion action of Google Ads; ``snippet`` is ``AW-id/label`` as its tag should have."""

    name: str
    category: str
    enabled: bool
    conversions: float
    value: float
    snippet: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """A snapshot. ``events`` and ``actions`` are None where it says nothing of Meta or Google;
    ``legacy`` where it is of Meta alone and knows no funnel."""

    events: tuple[Event, ...] | None = None
    funnel: tuple[Step, ...] = ()
    actions: tuple[Action, ...] | None = None
    legacy: bool = False
    taken_at: datetime | None = None

    @property
    def enriched(self) -> bool:
        """Whether anything is known of browser and server, or of the funnel."""
        counted = (one.browser is not None or one.server is not None for one in self.events or ())
        return not self.legacy and (bool(self.funnel) or any(counted))

    @classmethod
    def read(cls, path: Path) -> Signals:
        """Return a file's snapshot. Raises GtmError naming the field that is wrong."""
        text = read_text(path)
        try:
            document = strict_json(text)
            if not isinstance(document, dict):
                raise GtmError("it holds no JSON object")
            return cls.of(document)
        except GtmError as error:
            raise GtmError(f"{path}: {error}") from error

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Signals:
        """Return a snapshot's document read. Raises GtmError naming the field that is wrong."""
        meta = document.get("meta", document)
        google = document.get("google")
        events = _records(meta, "conversion_events", "meta")
        actions = None if google is None else _records(google, "conversion_actions", "google")
        if events is None and actions is None:
            raise GtmError("neither conversion_events of Meta nor google.conversion_actions")
        return cls(
            events=None if events is None else tuple(_event(*one) for one in events),
            funnel=tuple(_step(*one) for one in _records(document, "funnel", "") or ()),
            actions=None if actions is None else tuple(_action(*one) for one in actions),
            legacy="funnel" not in document and google is None,
            taken_at=_moment(document.get("generated_at")),
        )

    def age_warning(self, now: datetime) -> str | None:
        """Return what to say of the snapshot's age, None when it is fresh.

        Raises GtmError when it is older than 72 hours, or of a time to come, which would never
        grow old: a container is not scored against it.
        """
        if self.taken_at is None:
            return "the signals do not say when they were taken (generated_at)"
        age = now - self.taken_at
        if age < -_AHEAD:
            raise GtmError(
                f"the signals are of {self.taken_at.isoformat()}, which is to come: mend "
                "generated_at or the clock, or allow old ones expressly"
            )
        hours = age.total_seconds() / 3600
        if age > _TOO_OLD:
            raise GtmError(
                f"the signals are {hours:.0f} hours old, more than 72: take them anew, or allow "
                "old ones expressly"
            )
        return f"the signals are {hours:.0f} hours old" if age > _OLD else None


def _records(holder: Any, name: str, where: str) -> list[tuple[Mapping[str, Any], str]] | None:
    path = f"{where}.{name}".lstrip(".")
    if not isinstance(holder, Mapping):
        raise GtmError(f"{where} is no object")
    if name not in holder:
        return None
    found = holder[name]
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise GtmError(f"{path} is no list of objects")
    return [(one, f"{path}[{index}]") for index, one in enumerate(found)]


def _event(one: Mapping[str, Any], where: str) -> Event:
    return Event(
        name=_text(one, "event", where),
        count=_number(one, "count_7d_click", where, 0.0),
        value=_number(one, "value_7d_click", where, 0.0),
        browser=_maybe(one, "browser_count", where),
        server=_maybe(one, "server_count", where),
        dedup_rate=_maybe(one, "dedup_rate", where),
        match_quality=_maybe(one, "match_quality", where),
    )


def _step(one: Mapping[str, Any], where: str) -> Step:
    status = _text(one, "status", where)
    if status not in ("normal", "high", "low"):
        raise GtmError(f"{where}.status is {status!r}; it is normal, high or low")
    return Step(
        name=f"{_text(one, 'from_event', where)} to {_text(one, 'to_event', where)}",
        ratio=_number(one, "ratio", where),
        expected_low=_number(one, "expected_low", where, 0.0),
        status=status,  # type: ignore[arg-type]
    )


def _action(one: Mapping[str, Any], where: str) -> Action:
    return Action(
        name=_text(one, "name", where),
        category=_text(one, "category", where).upper(),
        enabled=str(one.get("status", "ENABLED")).upper() == "ENABLED",
        conversions=_number(one, "conversions", where, 0.0),
        value=_number(one, "value", where, 0.0),
        snippet=None if one.get("snippet") is None else _text(one, "snippet", where),
    )


def _text(one: Mapping[str, Any], name: str, where: str) -> str:
    found = one.get(name)
    if not isinstance(found, str) or not found:
        raise GtmError(f"{where}.{name} is {found!r}; it must be a text")
    return found


def _maybe(one: Mapping[str, Any], name: str, where: str) -> float | None:
    return None if one.get(name) is None else _number(one, name, where)


def _number(one: Mapping[str, Any], name: str, where: str, default: float | None = None) -> float:
    found = one.get(name, default)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise GtmError(f"{where}.{name} is {found!r}; it must be a number")
    if not 0 <= found <= _MOST:
        raise GtmError(f"{where}.{name} is {found!r:.80}; it must be 0 or more, to {_MOST:g}")
    return float(found)


def _moment(found: Any) -> datetime | None:
    if found is None:
        return None
    try:
        moment = datetime.fromisoformat(str(found))
    except ValueError:
        raise GtmError(f"generated_at is {found!r}; write it as 2026-04-08T17:30:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
