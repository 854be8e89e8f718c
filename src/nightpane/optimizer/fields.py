"""The HogQL that every step shares: what an operation, a prompt's size, a failure and a cost are.

Portable by construction: only functions PostHog has, booleans compared as text (whatever the
project's definition makes of them), times as ISO 8601 with Z inside ``toDateTime`` (so that the
project's time zone does not matter), values in placeholders and never in the text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from nightpane.optimizer.model import Tokens
from nightpane.optimizer.source import Row

__all__ = [
    "ABOVE",
    "CACHE_READ",
    "CACHE_WRITE",
    "FAILED",
    "LATENCY",
    "MODEL",
    "OPERATION",
    "OUTPUT",
    "PRICED",
    "PROMPT",
    "PROVIDER",
    "STATUS",
    "STOP",
    "THRESHOLDS",
    "TIER",
    "TOKENS",
    "TRACE",
    "UNCACHED",
    "Backfill",
    "Scope",
    "moment",
    "tokens",
]


def _text(name: str, default: str = "") -> str:
    return f"ifNull(nullIf(toString(properties.{name}), ''), '{default}')"


def _number(name: str) -> str:
    return f"ifNull(toFloat(properties.{name}), 0)"


OPERATION = _text("$ai_span_name", "unnamed")
MODEL = _text("$ai_model", "unknown")
PROVIDER = f"lower({_text('$ai_provider')})"
TRACE = "ifNull(properties.$ai_trace_id, '')"
TIER = f"lower({_text('$ai_service_tier')})"
STOP = f"lower({_text('$ai_stop_reason')})"
LATENCY = "toFloat(properties.$ai_latency)"
STATUS = "ifNull(toInt(toFloat(properties.$ai_http_status)), 0)"
FAILED = f"(lower({_text('$ai_is_error')}) IN ('true', '1') OR {STATUS} >= 400)"

_INPUT = _number("$ai_input_tokens")
CACHE_READ = _number("$ai_cache_read_input_tokens")
CACHE_WRITE = _number("$ai_cache_creation_input_tokens")
# Whether $ai_input_tokens leaves cached tokens out: as the event says, else as PostHog's pricing
# decides, by provider and model.
_EXCLUSIVE = (
    f"multiIf(lower({_text('$ai_cache_reporting_exclusive')}) IN ('true', '1'), 1, "
    f"lower({_text('$ai_cache_reporting_exclusive')}) IN ('false', '0'), 0, "
    f"{PROVIDER} = 'anthropic' OR lower({MODEL}) LIKE 'claude%' "
    f"OR lower({MODEL}) LIKE '%anthropic%', 1, 0)"
)
UNCACHED = (
    f"if({_EXCLUSIVE} = 1, {_INPUT}, greatest({_INPUT} - {CACHE_READ} - {CACHE_WRITE}, 0.0))"
)
PROMPT = f"greatest({_INPUT} + if({_EXCLUSIVE} = 1, {CACHE_READ} + {CACHE_WRITE}, 0.0), 0.0)"
# Gemini 2.5 reports reasoning beside the output and bills it as output; others include it.
OUTPUT = (
    f"{_number('$ai_output_tokens')} + if(lower({MODEL}) LIKE '%gemini-2.5%', "
    f"{_number('$ai_reasoning_tokens')}, 0.0)"
)
PRICED = "isNotNull(toFloat(properties.$ai_total_cost_usd))"

THRESHOLDS = (128_000, 200_000, 256_000, 272_000)
"""Prompt lengths above which some model of LiteLLM's map has other prices."""
ABOVE = (
    "multiIf("
    + ", ".join(f"{PROMPT} > {limit}, {limit}" for limit in reversed(THRESHOLDS))
    + ", 0)"
)

TOKENS = (
    f"sum({UNCACHED}) AS uncached, sum({CACHE_READ}) AS cache_read, "
    f"sum({CACHE_WRITE}) AS cache_write, sum({OUTPUT}) AS output"
)
"""The four sums that ``tokens`` reads back."""


def tokens(row: Row) -> Tokens:
    """Return the tokens of a row that selected ``TOKENS`` (or the four under these names)."""
    return Tokens(
        *(float(row[name] or 0) for name in ("uncached", "cache_read", "cache_write", "output"))
    )


def moment(value: str) -> datetime:
    """Return a time from an answer, with its zone."""
    return datetime.fromisoformat(value.replace("Z", "+00:00"))


@dataclass(frozen=True, slots=True)
class Backfill:
    """Prices per token for calls that PostHog left unpriced, by model, provider, tier and length.

    ``keys`` are ``{model}|{provider}|{tier}|{above}``. Empty, when every call has its price, or
    none of the rest is known: the cost is then PostHog's alone and costs nothing to look up.
    """

    keys: Sequence[str] = ()
    uncached: Sequence[float] = ()
    cache_read: Sequence[float] = ()
    cache_write: Sequence[float] = ()
    output: Sequence[float] = ()

    @property
    def cost(self) -> str:
        """HogQL for one call's cost in USD, 0 when it is known neither here nor there."""
        if not self.keys:
            return _number("$ai_total_cost_usd")
        key = f"concat({MODEL}, '|', {PROVIDER}, '|', {TIER}, '|', toString({ABOVE}))"
        parts = " + ".join(
            f"{amount} * transform({key}, {{price_keys}}, {{price_{name}}}, 0.0)"
            for name, amount in (
                ("uncached", UNCACHED),
                ("cache_read", CACHE_READ),
                ("cache_write", CACHE_WRITE),
                ("output", f"({OUTPUT})"),
            )
        )
        return f"ifNull(toFloat(properties.$ai_total_cost_usd), {parts})"

    @property
    def values(self) -> dict[str, Any]:
        """What fills the placeholders of ``cost``."""
        if not self.keys:
            return {}
        return {
            "price_keys": list(self.keys),
            "price_uncached": list(self.uncached),
            "price_cache_read": list(self.cache_read),
            "price_cache_write": list(self.cache_write),
            "price_output": list(self.output),
        }


@dataclass(frozen=True, slots=True)
class Scope:
    """The generations a report is about: a window of time, and a project where one is named."""

    start: datetime
    end: datetime
    project: str | None = None
    backfill: Backfill = field(default_factory=Backfill)

    @property
    def days(self) -> int:
        return max(1, round((self.end - self.start) / timedelta(days=1)))

    @property
    def where(self) -> str:
        """HogQL for the generations of the scope, to be followed by further conditions."""
        condition = (
            "event = '$ai_generation' AND timestamp >= toDateTime({start}) "
            "AND timestamp < toDateTime({end})"
        )
        return condition + (" AND properties.project = {project}" if self.project else "")

    @property
    def cost(self) -> str:
        """HogQL for one call's cost in USD, backfilled where PostHog has none."""
        return self.backfill.cost

    def values(self, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the values of ``where`` and ``cost``, and more."""
        return {
            "start": self.start,
            "end": self.end,
            **({"project": self.project} if self.project else {}),
            **self.backfill.values,
            **(more or {}),
        }

    def since(self, days: int) -> datetime:
        """Return when the last ``days`` of the window began."""
        return max(self.start, self.end - timedelta(days=days))
