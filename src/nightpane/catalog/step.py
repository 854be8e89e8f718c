"""The six step events: what an agent does inside a round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from nightpane.catalog.spec import Event, Group, prop
from nightpane.catalog.taxonomy import TASK_TYPES

__all__ = [
    "StepObservation",
    "StepPlan",
    "StepReflection",
    "StepRetry",
    "StepToolCalled",
    "StepToolReturned",
]

_STEP_ID = "the step's id; a call and its return share it"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPlan(Event):
    """The agent decides what to do next."""

    event: ClassVar[str] = "step.plan"
    group: ClassVar[Group] = "step"

    step_id: str = prop(_STEP_ID, type="ULID", required=True)
    plan: str | None = prop("the plan", max_chars=500)
    next_action: str | None = prop("what comes next")
    confidence: float | None = prop("how sure the agent is", minimum=0, maximum=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepToolCalled(Event):
    """A tool is called."""

    event: ClassVar[str] = "step.tool_called"
    group: ClassVar[Group] = "step"

    step_id: str = prop(_STEP_ID, type="ULID", required=True)
    tool: str = prop("name of the tool", required=True)
    args_json: str | None = prop("its arguments as JSON", max_chars=2_000)
    timeout_ms: int | None = prop("how long it may take", unit="ms", minimum=0)
    task_type: str | None = prop("kind of task it is called for", known=TASK_TYPES)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepToolReturned(Event):
    """The tool has returned, or failed."""

    event: ClassVar[str] = "step.tool_returned"
    group: ClassVar[Group] = "step"

    step_id: str = prop(_STEP_ID, type="ULID", required=True)
    tool: str = prop("name of the tool", required=True)
    ok: bool = prop("false when it failed", required=True)
    latency_ms: int | None = prop("how long it took", unit="ms", minimum=0)
    result_bytes: int | None = prop("size of its result", unit="bytes", minimum=0)
    error: str | None = prop("why it failed", max_chars=400)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepObservation(Event):
    """Something outside was looked at: a metric, the end of a log."""

    event: ClassVar[str] = "step.observation"
    group: ClassVar[Group] = "step"

    step_id: str = prop(_STEP_ID, type="ULID", required=True)
    source: str = prop("what was looked at", required=True)
    value: Any = prop("what was seen")
    delta_from_last: float | None = prop("change since it was last looked at")


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReflection(Event):
    """The agent judges its own output."""

    event: ClassVar[str] = "step.reflection"
    group: ClassVar[Group] = "step"

    step_id: str = prop(_STEP_ID, type="ULID", required=True)
    verdict: str | None = prop("the judgement")
    issues: list[str] | None = prop("what is wrong with it")
    retry: bool | None = prop("whether it will try again")


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRetry(Event):
    """The agent tries again after a failure."""

    event: ClassVar[str] = "step.retry"
    group: ClassVar[Group] = "step"

    step_id: str = prop(_STEP_ID, type="ULID", required=True)
    cause: str | None = prop("why it tries again")
    attempt: int | None = prop("number of the attempt that begins; the first one was 1", minimum=1)
    prior_error: str | None = prop("the error before", max_chars=400)
