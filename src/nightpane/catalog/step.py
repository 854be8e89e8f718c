"""The six step events: what an agent does inside a round."""

from __future__ import annotations

from typing import Any

from nightpane.catalog.spec import Event, declare, prop, required
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


@declare("step.plan", "step")
class StepPlan(Event):
    """The agent decides what to do next."""

    step_id: str = required(_STEP_ID, type="ULID")
    plan: str | None = prop("the plan", max_chars=500)
    next_action: str | None = prop("what comes next")
    confidence: float | None = prop("how sure the agent is", minimum=0, maximum=1)


@declare("step.tool_called", "step")
class StepToolCalled(Event):
    """A tool is called."""

    step_id: str = required(_STEP_ID, type="ULID")
    tool: str = required("name of the tool")
    args_json: str | None = prop("its arguments as JSON", max_chars=2_000)
    timeout_ms: int | None = prop("how long it may take", unit="ms", minimum=0)
    task_type: str | None = prop("kind of task it is called for", known=TASK_TYPES)


@declare("step.tool_returned", "step")
class StepToolReturned(Event):
    """The tool has returned, or failed."""

    step_id: str = required(_STEP_ID, type="ULID")
    tool: str = required("name of the tool")
    ok: bool = required("false when it failed")
    latency_ms: int | None = prop("how long it took", unit="ms", minimum=0)
    result_json: str | None = prop("its result as JSON", max_chars=2_000)
    result_bytes: int | None = prop("size of its result", unit="bytes", minimum=0)
    error: str | None = prop("why it failed", max_chars=400)


@declare("step.observation", "step")
class StepObservation(Event):
    """Something outside was looked at: a metric, the end of a log."""

    step_id: str = required(_STEP_ID, type="ULID")
    source: str = required("what was looked at")
    value: Any = prop("what was seen")
    delta_from_last: float | None = prop("change since it was last looked at")


@declare("step.reflection", "step")
class StepReflection(Event):
    """The agent judges its own output."""

    step_id: str = required(_STEP_ID, type="ULID")
    verdict: str | None = prop("the judgement")
    issues: list[str] | None = prop("what is wrong with it")
    retry: bool | None = prop("whether it will try again")


@declare("step.retry", "step")
class StepRetry(Event):
    """The agent tries again after a failure."""

    step_id: str = required("the step that is the new attempt", type="ULID")
    cause: str | None = prop("why it tries again")
    attempt: int | None = prop("number of the attempt that begins; the first one was 1", minimum=1)
    prior_error: str | None = prop("the error before", max_chars=400)
    prior_step_id: str | None = prop("the step that failed", type="ULID")
    tool: str | None = prop("name of the tool that is called again")
