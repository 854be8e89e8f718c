"""The three eval events: how a score came about."""

from __future__ import annotations

from nightpane.catalog.spec import Direction, Event, declare, prop, required
from nightpane.catalog.taxonomy import DIRECTIONS

__all__ = ["EvalCase", "EvalRegression", "EvalRun"]

_SUITE_ID = "the evaluation it belongs to"


@declare("eval.run", "eval")
class EvalRun(Event):
    """A suite starts on a candidate."""

    suite_id: str = required("id of this evaluation", type="ULID")
    suite: str = required("name of the suite")
    n_cases: int | None = prop("cases in it", minimum=0)
    scorer_version: str | None = prop("version of the scorer")
    direction: Direction | None = prop(
        "which way its cases' scores are better; max when absent", known=DIRECTIONS, closed=True
    )
    history: str | None = prop("`asked`, or why the best scores before cannot be asked for")


@declare("eval.case", "eval")
class EvalCase(Event):
    """One case of a suite is judged."""

    suite_id: str = required(_SUITE_ID, type="ULID")
    case_id: str = required("name of the case")
    dim: str | None = prop("dimension it belongs to")
    score: float | None = prop("its score")
    rationale: str | None = prop("why it has that score", max_chars=800)
    passed: bool | None = prop("whether it reached its threshold")


@declare("eval.regression", "eval")
class EvalRegression(Event):
    """A case is worse than its best before by more than the threshold, or no longer passes."""

    case_id: str = required("name of the case")
    dim: str | None = prop("dimension it belongs to")
    prior_score: float | None = prop("its best score before")
    new_score: float | None = prop("its score now")
    delta: float | None = prop("new minus prior")
    suite_id: str | None = prop(_SUITE_ID, type="ULID")
