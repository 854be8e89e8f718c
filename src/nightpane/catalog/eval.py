"""The three eval events: how a score came about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nightpane.catalog.spec import Event, Group, prop

__all__ = ["EvalCase", "EvalRegression", "EvalRun"]

_SUITE_ID = "the evaluation it belongs to"


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalRun(Event):
    """A suite starts on a candidate."""

    event: ClassVar[str] = "eval.run"
    group: ClassVar[Group] = "eval"

    suite_id: str = prop("id of this evaluation", type="ULID", required=True)
    suite: str = prop("name of the suite", required=True)
    n_cases: int | None = prop("cases in it", minimum=0)
    scorer_version: str | None = prop("version of the scorer")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalCase(Event):
    """One case of a suite is judged."""

    event: ClassVar[str] = "eval.case"
    group: ClassVar[Group] = "eval"

    suite_id: str = prop(_SUITE_ID, type="ULID", required=True)
    case_id: str = prop("name of the case", required=True)
    dim: str | None = prop("dimension it belongs to")
    score: float | None = prop("its score")
    rationale: str | None = prop("why it has that score", max_chars=800)
    passed: bool | None = prop("whether it reached its threshold")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalRegression(Event):
    """A case fell more than the threshold below its best before, or no longer passes."""

    event: ClassVar[str] = "eval.regression"
    group: ClassVar[Group] = "eval"

    case_id: str = prop("name of the case", required=True)
    dim: str | None = prop("dimension it belongs to")
    prior_score: float | None = prop("its best score before")
    new_score: float | None = prop("its score now")
    delta: float | None = prop("new minus prior")
    suite_id: str | None = prop(_SUITE_ID, type="ULID")
