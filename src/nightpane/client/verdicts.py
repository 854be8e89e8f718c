"""What a destination's answer means for the events that were sent.

Only PostHog's own 200 lets go of an event. Everything that may pass by itself is tried again;
everything else is kept and said.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

__all__ = ["Kind", "Response", "Verdict", "judge"]

_HOLD_S = 60.0
_LONG_HOLD_S = 300.0
_MAX_RETRY_AFTER_S = 3600.0
_RETRY = frozenset({408, 425, 429})


class Kind(Enum):
    """What to do next."""

    DELIVERED = "delivered"
    RETRY = "retry"
    HOLD = "hold"
    SPLIT = "split"


@dataclass(frozen=True, slots=True)
class Response:
    """An answer: header names in lower case, the body cut at 64 KiB."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an answer means. ``wait_s`` is the least time before the next attempt.

    ``refused`` names single events that were refused within an accepted batch, uuid to reason;
    ``status`` is the HTTP status of an answer that asks to check the host.
    """

    kind: Kind
    why: str = ""
    wait_s: float = 0.0
    refused: Mapping[str, str] = field(default_factory=dict)
    status: int = 0


def judge(response: Response, *, now_s: float) -> Verdict:
    """Return what an answer means; ``now_s`` (epoch) reads a Retry-After that is a date."""
    status = response.status
    why = f"HTTP {status}{_told(response)}"
    wait_s = _retry_after(response.headers.get("retry-after"), now_s)
    if status == 200:
        return _accepted(response)
    if status in _RETRY or status >= 500:
        return Verdict(Kind.RETRY, why, wait_s)
    if status in (400, 413):
        return Verdict(Kind.SPLIT, why)
    if status in (401, 403):
        return Verdict(Kind.HOLD, f"{why}: check POSTHOG_API_KEY", max(_HOLD_S, wait_s))
    if status == 402:
        return Verdict(Kind.HOLD, f"{why}: the project is over its quota", _LONG_HOLD_S)
    return Verdict(Kind.HOLD, f"{why}: check POSTHOG_HOST", max(_HOLD_S, wait_s), status=status)


def _accepted(response: Response) -> Verdict:
    try:
        body = json.loads(response.body)
    except ValueError:
        body = None
    if not isinstance(body, dict) or not ({"status", "results"} & body.keys()):
        # A captive portal or a foreign server also answers 200.
        return Verdict(
            Kind.HOLD, "HTTP 200, but not PostHog's answer: check POSTHOG_HOST", wait_s=_HOLD_S
        )
    limited = body.get("quota_limited")
    if isinstance(limited, list) and "events" in limited:
        return Verdict(Kind.HOLD, "the project is over its quota", wait_s=_LONG_HOLD_S)
    return _by_event(body.get("results"))


def _by_event(results: Any) -> Verdict:
    refused: dict[str, str] = {}
    for uuid, result in results.items() if isinstance(results, dict) else ():
        outcome = result.get("result") if isinstance(result, dict) else None
        if outcome == "retry":
            # Sent again with its batch: the others' uuids make that harmless.
            return Verdict(Kind.RETRY, "the server asks for some events again")
        if outcome == "drop":
            refused[str(uuid)] = f"dropped by the server: {result.get('details')}"
    return Verdict(Kind.DELIVERED, refused=refused)


def _retry_after(value: str | None, now_s: float) -> float:
    if value is None:
        return 0.0
    try:
        seconds = float(value)
    except ValueError:
        import email.utils  # late: hardly any server sends a date

        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - now_s
        except (ValueError, TypeError):
            return 0.0
    # NaN fails both comparisons.
    return min(seconds, _MAX_RETRY_AFTER_S) if seconds > 0 else 0.0


def _told(response: Response) -> str:
    text = " ".join(response.body[:300].decode("utf-8", "replace").split())
    return f" ({text})" if text else ""
