"""The HogQL that every step shares: what an operation, a prompt's size, a failure and a cost are.

Portable by construction: only functions PostHog has, booleans compared as text (whatever the
project's definition makes of them), times as ISO 8601 with Z inside ``toDateTime`` (so that the
project's time zone does not matter), values in placeholders and never in the text. Flat by
construction too: a column is named once in a subquery and used by its name, since PostHog's grammar
takes seconds for deep nesting.
"""

from __future__ import annotations

import re
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
_NAME = re.compile(r"(?<![.$\w'{])[a-z_]\w*")


def _text(name: str, of: str, default: str = "") -> dict[str, str]:
    """A text property: as a nullable text, and with a default for null and empty."""
    return {
        f"{name}_raw": f"toString(properties.{of})",
        name: f"if({name}_raw > '', {name}_raw, '{default}')",
    }


def _word(name: str, of: str) -> dict[str, str]:
    """A text property in lower case."""
    return {**_text(f"{name}_given", of), name: f"lower({name}_given)"}


def _number(name: str, of: str) -> dict[str, str]:
    """A number, 0 where there is none."""
    return {f"{name}_raw": f"toFloat(properties.{of})", name: f"ifNull({name}_raw, 0)"}


COLUMNS: Mapping[str, str] = {
    "at": "timestamp",
    "id": "toString(uuid)",
    **_text("operation", "$ai_span_name", "unnamed"),
    **_text("model", "$ai_model", "unknown"),
    **_word("provider", "$ai_provider"),
    "trace": "ifNull(properties.$ai_trace_id, '')",
    **_word("tier", "$ai_service_tier"),
    **_word("stop", "$ai_stop_reason"),
    "latency": "toFloat(properties.$ai_latency)",
    **_number("code", "$ai_http_status"),
    "status": "toInt(code)",
    **_text("message", "$ai_error"),
    "error": "substring(message, 1, 300)",
    **_word("marked", "$ai_is_error"),
    "is_marked": "marked IN ('true', '1')",
    "is_refused": "status >= 400",
    # Where the property is boolean, a 1 or "1" reads as null: then the error itself tells, which
    # PostHog counts as one too.
    "has_error": "message NOT IN ('', 'null', '{}', '[]')",
    "is_told": "has_error AND marked = ''",
    "failed": "is_marked OR is_refused OR is_told",
    **_number("sent", "$ai_input_tokens"),
    **_number("cache_read", "$ai_cache_read_input_tokens"),
    **_number("cache_write", "$ai_cache_creation_input_tokens"),
    # Whether $ai_input_tokens leaves cached tokens out: as the event says, else as PostHog's
    # pricing decides, by provider and model.
    **_word("reporting", "$ai_cache_reporting_exclusive"),
    "says_so": "reporting IN ('true', '1')",
    "says_not": "reporting IN ('false', '0')",
    "name": "lower(model)",
    "is_claude": "startsWith(name, 'claude')",
    "at_anthropic": "position(name, 'anthropic')",
    "by_name": "provider = 'anthropic' OR is_claude OR at_anthropic > 0",
    "exclusive": "multiIf(says_so, 1, says_not, 0, by_name, 1, 0)",
    "cached": "cache_read + cache_write",
    "rest": "sent - cached",
    "fresh": "greatest(rest, 0.0)",
    "uncached": "if(exclusive = 1, sent, fresh)",
    "prompt": "uncached + cached",
    **_number("reasoning", "$ai_reasoning_tokens"),
    # Gemini 2.5 reports reasoning beside the output and bills it as output; others include it.
    "at_gemini": "position(name, 'gemini-2.5')",
    "beside": "if(at_gemini > 0, reasoning, 0.0)",
    **_number("written", "$ai_output_tokens"),
    "output": "written + beside",
    "above": f"multiIf({_ABOVE}, 0)",
    "billed": "toFloat(properties.$ai_total_cost_usd)",
    "priced": "isNotNull(billed)",
    "marked_as": "JSONExtractRaw(properties, '$ai_is_error')",
    **_text("question", "$ai_input"),
    **_text("answer", "$ai_output_choices"),
    "second": "toUnixTimestamp(timestamp)",
    "minute": "intDiv(second, 60)",
    "day": "intDiv(second, 86400)",
}
"""What can be asked of a call, by name; a column uses those above it by their names.

One step a column: PostHog's grammar reads ten short ones faster than one that nests three calls.
"""

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
            "length_class": "toString(above)",
            "key": "concat(model, '|', provider, '|', tier, '|', length_class)",
            **{
                f"price_of_{kind}": f"transform(key, {{price_keys}}, {{price_{kind}}}, 0.0)"
                for kind in kinds
            },
            "backfilled": " + ".join(f"{kind} * price_of_{kind}" for kind in kinds),
            "cost": "ifNull(billed, backfilled)",
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
        wanted: set[str] = set()
        asked = list(names)
        while asked:
            name = asked.pop()
            if name not in wanted:
                wanted.add(name)
                asked += [word for word in _NAME.findall(known[name]) if word in known]
        columns = ", ".join(f"{known[name]} AS {name}" for name in known if name in wanted)
        return f"(SELECT {columns} FROM events WHERE {self.where}{part})"  # noqa: S608 (constants)

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
