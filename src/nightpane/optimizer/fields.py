"""The HogQL that every step shares: what an operation, a prompt's size, a failure and a cost are.

Portable by construction: only functions PostHog has, booleans compared as text (whatever the
project's definition makes of them), times as ISO 8601 with Z inside ``toDateTime`` (so that the
project's time zone does not matter), values in placeholders and never in the text. Flat by
construction too: a column is named once in a subquery and used by its name, since PostHog's grammar
takes seconds for deep nesting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from nightpane.optimizer.model import Tokens
from nightpane.optimizer.source import Row

__all__ = ["COLUMNS", "THRESHOLDS", "TOKENS", "Backfill", "Scope", "moment", "tokens"]

THRESHOLDS = (128_000, 200_000, 256_000, 272_000)
"""Prompt lengths above which some model of LiteLLM's map has other prices."""
_ABOVE = ", ".join(f"prompt > {limit}, {limit}" for limit in reversed(THRESHOLDS))


def _text(name: str, default: str = "") -> str:
    return f"ifNull(nullIf(toString(properties.{name}), ''), '{default}')"


def _number(name: str) -> str:
    return f"ifNull(toFloat(properties.{name}), 0)"


COLUMNS: Mapping[str, str] = {
    "at": "timestamp",
    "id": "toString(uuid)",
    "operation": _text("$ai_span_name", "unnamed"),
    "model": _text("$ai_model", "unknown"),
    "provider": f"lower({_text('$ai_provider')})",
    "trace": "ifNull(properties.$ai_trace_id, '')",
    "tier": f"lower({_text('$ai_service_tier')})",
    "stop": f"lower({_text('$ai_stop_reason')})",
    "latency": "toFloat(properties.$ai_latency)",
    "status": "ifNull(toInt(toFloat(properties.$ai_http_status)), 0)",
    "error": "substring(ifNull(toString(properties.$ai_error), ''), 1, 300)",
    "marked": f"lower({_text('$ai_is_error')})",
    "failed": "marked IN ('true', '1') OR status >= 400",
    "sent": _number("$ai_input_tokens"),
    "cache_read": _number("$ai_cache_read_input_tokens"),
    "cache_write": _number("$ai_cache_creation_input_tokens"),
    # Whether $ai_input_tokens leaves cached tokens out: as the event says, else as PostHog's
    # pricing decides, by provider and model.
    "reporting": f"lower({_text('$ai_cache_reporting_exclusive')})",
    "name": "lower(model)",
    "by_name": "provider = 'anthropic' OR startsWith(name, 'claude') "
    "OR position(name, 'anthropic') > 0",
    "exclusive": "multiIf(reporting IN ('true', '1'), 1, reporting IN ('false', '0'), 0, by_name, "
    "1, 0)",
    "cached": "cache_read + cache_write",
    "uncached": "if(exclusive = 1, sent, greatest(sent - cached, 0.0))",
    "prompt": "uncached + cached",
    "reasoning": _number("$ai_reasoning_tokens"),
    # Gemini 2.5 reports reasoning beside the output and bills it as output; others include it.
    "output": f"{_number('$ai_output_tokens')} "
    "+ if(position(name, 'gemini-2.5') > 0, reasoning, 0.0)",
    "above": f"multiIf({_ABOVE}, 0)",
    "billed": "toFloat(properties.$ai_total_cost_usd)",
    "priced": "isNotNull(billed)",
    "question": "ifNull(toString(properties.$ai_input), '')",
    "answer": "ifNull(toString(properties.$ai_output_choices), '')",
    "minute": "intDiv(toUnixTimestamp(timestamp), 60)",
    "day": "intDiv(toUnixTimestamp(timestamp), 86400)",
}
"""What can be asked of a call, by name; a column may use those above it."""
_NEEDS: Mapping[str, tuple[str, ...]] = {
    "failed": ("marked", "status"),
    "name": ("model",),
    "by_name": ("provider", "name"),
    "exclusive": ("reporting", "by_name"),
    "cached": ("cache_read", "cache_write"),
    "uncached": ("sent", "cached", "exclusive"),
    "prompt": ("uncached", "cached"),
    "output": ("name", "reasoning"),
    "above": ("prompt",),
    "priced": ("billed",),
    "key": ("model", "provider", "tier", "above"),
}

TOKENS = (
    "sum(uncached) AS uncached_, sum(cache_read) AS cache_read_, sum(cache_write) AS cache_write_, "
    "sum(output) AS output_"
)
"""The four sums that ``tokens`` reads back."""


def tokens(row: Row, suffix: str = "_") -> Tokens:
    """Return the tokens of a row that selected ``TOKENS``, or the columns with another suffix."""
    names = ("uncached", "cache_read", "cache_write", "output")
    return Tokens(*(float(row[name + suffix] or 0) for name in names))


def moment(value: str) -> datetime:
    """Return a time from an answer, with its zone."""
    return datetime.fromisoformat(value)


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
    def columns(self) -> dict[str, str]:
        """The columns that lead to ``cost``: one call's in USD, 0 when nobody knows it."""
        if not self.keys:
            return {"cost": "ifNull(billed, 0)"}
        kinds = ("uncached", "cache_read", "cache_write", "output")
        return {
            "key": "concat(model, '|', provider, '|', tier, '|', toString(above))",
            **{
                f"usd_{kind}": f"{kind} * transform(key, {{price_keys}}, {{price_{kind}}}, 0.0)"
                for kind in kinds
            },
            "cost": f"ifNull(billed, {' + '.join(f'usd_{kind}' for kind in kinds)})",
        }

    @property
    def values(self) -> dict[str, Any]:
        """What fills the placeholders of ``columns``."""
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

    def calls(self, *names: str, part: str = "") -> str:
        """Return HogQL for a subquery of the scope's calls with these of ``COLUMNS``, and ``cost``.

        ``part`` are further conditions on the event itself (``AND …``); conditions on the columns
        belong outside. A name that is not known is a KeyError.
        """
        known = {**COLUMNS, **self.backfill.columns}
        needs = {**_NEEDS, **self._needs()}
        wanted: set[str] = set()
        open_ = list(names)
        while open_:
            name = open_.pop()
            if name not in wanted:
                wanted.add(name)
                open_ += needs.get(name, ())
        columns = ", ".join(f"{known[name]} AS {name}" for name in known if name in wanted)
        if unknown := wanted - set(known):
            raise KeyError(f"no such column of a call: {sorted(unknown)}")
        return f"(SELECT {columns} FROM events WHERE {self.where}{part})"  # noqa: S608 (constants)

    def _needs(self) -> dict[str, tuple[str, ...]]:
        if not self.backfill.keys:
            return {"cost": ("billed",)}
        kinds = ("uncached", "cache_read", "cache_write", "output")
        needs: dict[str, tuple[str, ...]] = {f"usd_{kind}": ("key", kind) for kind in kinds}
        return needs | {"cost": ("billed", *needs)}

    def values(self, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the values of ``where`` and ``calls``, and more."""
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
