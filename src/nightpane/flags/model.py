"""What evaluation is told and what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from nightpane.errors import NightpaneError

__all__ = ["Context", "Result", "UnknownError"]


@dataclass(frozen=True, slots=True)
class Context:
    """Whom flags are evaluated for, and what is known of them.

    ``complete`` tells that a property not given is not set, as the server knows it; a client that
    does not know evaluates to "unknown" instead. ``anonymous_id`` is who they were before they were
    identified, ``cohorts`` the ids of the static cohorts they belong to, ``now`` what relative
    dates count from.
    """

    distinct_id: str
    person_properties: Mapping[str, Any] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    group_properties: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    device_id: str | None = None
    anonymous_id: str | None = None
    cohorts: frozenset[str] = frozenset()
    complete: bool = True
    now: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class Result:
    """What a flag came to, and PostHog's word for why.

    ``value`` is True, False, the variant's key, or None when it cannot be told; then ``detail``
    says what is missing. ``condition_index`` is the condition that decided, from 0.
    """

    value: bool | str | None
    reason: str
    condition_index: int | None = None
    detail: str = ""

    @property
    def enabled(self) -> bool:
        """Whether the flag is on."""
        return bool(self.value)

    @property
    def variant(self) -> str | None:
        """The variant's key, None for a flag without variants."""
        return self.value if isinstance(self.value, str) else None

    @property
    def description(self) -> str:
        """PostHog's sentence for the reason."""
        if self.reason == "condition_match":
            return f"Matched condition set {(self.condition_index or 0) + 1}"
        return _DESCRIPTIONS.get(self.reason) or self.detail or "Could not be evaluated"


class UnknownError(NightpaneError):
    """It cannot be told here whether a condition holds.

    ``final`` tells that later conditions must not decide in its place: only the server can.
    """

    def __init__(self, detail: str, *, final: bool = False, reason: str = "unknown") -> None:
        super().__init__(detail)
        self.final = final
        self.reason = reason


_DESCRIPTIONS = {
    "no_condition_match": "No matching condition set",
    "out_of_rollout_bound": "Out of rollout bound",
    "no_group_type": "No group type",
    "super_condition_value": "Super condition value",
    "holdout_condition_value": "Holdout condition value",
    "flag_disabled": "Feature flag is disabled",
    "missing_dependency": "Flag cannot be evaluated due to missing dependency",
}
