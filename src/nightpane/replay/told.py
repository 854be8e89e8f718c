"""One event, read: what kind of thing it tells of, its ids, times, cost and words.

The one place that knows the events' properties. Whatever they hold is taken as data: a value of
the wrong type counts as absent, and nothing raises.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from nightpane.replay.model import Tokens

__all__ = ["NO_TOKENS", "Told", "is_true", "number"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_LATENCY_S = 366 * 86_400.0
_KINDS = {
    "round_started": "round",
    "step.plan": "plan",
    "step.tool_called": "tool",
    "step.tool_returned": "tool",
    "step.observation": "observation",
    "step.reflection": "reflection",
    "step.retry": "retry",
    "eval.run": "suite",
    "eval.case": "case",
    "eval.regression": "regression",
    "$ai_generation": "generation",
    "$ai_embedding": "embedding",
    "$ai_span": "span",
    "$ai_trace": "trace",
    "$ai_metric": "metric",
    "$ai_feedback": "feedback",
    "$ai_evaluation": "evaluation",
    "token_machine.request": "request",
}
_CALLS = frozenset({"generation", "embedding", "evaluation"})
_ABOUT_OTHERS = frozenset({"metric", "feedback", "evaluation"})
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
NO_TOKENS = Tokens()
_TOKENS = {
    "input": "$ai_input_tokens",
    "output": "$ai_output_tokens",
    "cache_read": "$ai_cache_read_input_tokens",
    "cache_write": "$ai_cache_creation_input_tokens",
    "reasoning": "$ai_reasoning_tokens",
}


@dataclass(frozen=True, slots=True)
class Told:
    """An event: ``at_us`` is its timestamp, ``start_us`` to ``end_us`` the time it covers.

    ``is_timed`` tells that the event itself says how long it took.
    """

    uuid: str
    event: str
    kind: str
    about: Mapping[str, Any]
    at_us: int
    start_us: int
    end_us: int
    is_timed: bool

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Told:
        """Read a row of ``queries.read_events``."""
        event = str(row.get("event") or "")
        at_us = _microseconds(row.get("timestamp"))
        length_us = _length_us(row)
        # OpenTelemetry's events bear the time a call began, the SDKs' the time it ended.
        begins = row.get("$ai_ingestion_source") == "otel"
        span = (at_us, at_us + (length_us or 0)) if begins else (at_us - (length_us or 0), at_us)
        kind = _KINDS.get(event, "event")
        return cls(str(row.get("id")), event, kind, row, at_us, *span, length_us is not None)

    @property
    def own_id(self) -> str | None:
        """The id by which others name it, None when it has none but its uuid."""
        if self.kind in _ABOUT_OTHERS:
            return None  # their $ai_span_id, if any, is that of what they judge
        stated = self.text("$ai_span_id") or self.text("$ai_generation_id")
        if stated is not None:
            return stated
        if self.event.startswith("step."):
            return self.text("step_id")
        if self.kind == "suite":
            return self.text("suite_id")
        if self.kind == "case" and self.text("suite_id"):
            return f"{self.text('suite_id')}:{self.text('case_id')}"
        if self.kind == "round":
            return self.text("round_id")
        return self.text("$ai_trace_id") if self.kind == "trace" else None

    @property
    def parent_id(self) -> str | None:
        """The id of what it happened in or is about, None for one that names none."""
        if self.kind in _ABOUT_OTHERS:
            for name in ("$ai_target_event_id", "$ai_span_id", "$ai_generation_id"):
                if self.text(name) is not None:
                    return self.text(name)
        stated = self.text("$ai_parent_id")
        return self.text("suite_id") if stated is None and self.kind == "case" else stated

    @property
    def call_cost_usd(self) -> float | None:
        """What a model call, or the span around several, cost; None when that is not known."""
        cost = number(self.about.get("$ai_total_cost_usd"))
        if cost is None or cost < 0 or not self.event.startswith("$ai_"):
            return None
        # A call that used tokens and cost exactly nothing is one whose price nobody knew.
        unpriced = self.kind in _CALLS and "$ai_cost_model_source" not in self.about
        return None if cost == 0 and unpriced and self.about.get("$ai_input_tokens") else cost

    @property
    def told_cost_usd(self) -> float | None:
        """A cost that repeats what calls cost: a proposal's, a round's, a routed request's."""
        cost = number(self.about.get("cost_usd"))
        return None if cost is None or cost < 0 or self.event.startswith("$ai_") else cost

    @property
    def tokens(self) -> Tokens:
        """The tokens it states; a proposal's are no call's own."""
        if not self.event.startswith("$ai_"):
            return NO_TOKENS
        counts = {k: number(self.about[key]) for k, key in _TOKENS.items() if key in self.about}
        return Tokens(**{k: int(v) for k, v in counts.items() if v is not None and v >= 0})

    @property
    def error(self) -> str | None:
        """Why it failed, "" when it does not say, None when it did not fail."""
        if self.kind == "tool":
            failed = is_true(self.about.get("ok")) is False
            return (self.text("error") or "") if failed else None
        if self.event == "round_scored":
            return "" if is_true(self.about.get("crashed")) else None
        if is_true(self.about.get("$ai_is_error")):
            return self.text("$ai_error") or ""
        status = number(self.about.get("$ai_http_status"))
        return f"HTTP {status:.0f}" if status is not None and status >= 400 else None

    def text(self, name: str) -> str | None:
        """Return a property as text, None when it is absent or empty."""
        value = self.about.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, str):
            return value
        return json.dumps(value, ensure_ascii=False, default=str)


def number(value: Any) -> float | None:
    """Return a finite number, also from a text, as PostHog returns some; None for others."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if found - found == 0.0 else None


def is_true(value: Any) -> bool | None:
    """Return a boolean, also from PostHog's texts and numbers; None for anything else."""
    return _BOOLEANS.get(str(value).lower())


def _microseconds(moment: Any) -> int:
    if not isinstance(moment, datetime):
        try:
            moment = datetime.fromisoformat(str(moment))
        except ValueError:
            return 0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int((moment - _EPOCH) // timedelta(microseconds=1))


def _length_us(row: Mapping[str, Any]) -> int | None:
    """Return how long it took: PostHog's latency is in seconds, nightpane's in milliseconds."""
    names = (("$ai_latency", 1.0), ("latency_ms", 0.001), ("apply_latency_ms", 0.001))
    for name, unit_s in names:
        value = number(row.get(name))
        if value is not None and 0 <= value * unit_s <= _MAX_LATENCY_S:
            return round(value * unit_s * 1_000_000)
    return None
