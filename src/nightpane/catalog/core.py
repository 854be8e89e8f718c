"""The nine core events: the life of a round, and of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nightpane.catalog.spec import Event, Group, prop
from nightpane.catalog.taxonomy import DIRECTIONS, FAILURE_MODES, STOP_REASONS

__all__ = [
    "FinetuneBatchPublished",
    "ModelEscalated",
    "ProposalApplied",
    "ProposalGenerated",
    "RoundKept",
    "RoundReverted",
    "RoundScored",
    "RoundStarted",
    "StopTriggered",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundStarted(Event):
    """A new round begins, before any model is called."""

    event: ClassVar[str] = "round_started"
    group: ClassVar[Group] = "core"

    model: str | None = prop("the model, or the proposer, that will make the proposal")
    diff_lines: int | None = prop("lines of the proposal, where it is known beforehand", minimum=0)
    baseline_score: float | None = prop("the score to beat: the best so far")
    n_prior_rounds: int | None = prop("rounds of this run before this one", minimum=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalGenerated(Event):
    """The agent has made a proposal: a candidate change."""

    event: ClassVar[str] = "proposal_generated"
    group: ClassVar[Group] = "core"

    prompt_tokens: int | None = prop("tokens sent to the model", unit="tokens", minimum=0)
    completion_tokens: int | None = prop("tokens it answered", unit="tokens", minimum=0)
    cost_usd: float | None = prop("what the proposal cost", unit="USD", minimum=0)
    latency_ms: int | None = prop("how long it took", unit="ms", minimum=0)
    model: str | None = prop("the model, or the proposer, that made it")
    summary: str | None = prop("the change in a sentence", max_chars=2_000)
    diff: str | None = prop("the change as a unified diff", max_chars=20_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalApplied(Event):
    """The proposal is in place: in a branch, a workspace, a file."""

    event: ClassVar[str] = "proposal_applied"
    group: ClassVar[Group] = "core"

    target: str | None = prop("where it was applied")
    diff_bytes: int | None = prop("size of the change", unit="bytes", minimum=0)
    apply_latency_ms: int | None = prop("how long applying took", unit="ms", minimum=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundScored(Event):
    """The scorer has returned its verdict; any number of ``dim_*`` properties break it down."""

    event: ClassVar[str] = "round_scored"
    group: ClassVar[Group] = "core"
    patterns: ClassVar[tuple[str, ...]] = ("dim_",)

    score: float | None = prop(
        "the verdict, in the metric's own unit; absent only when the round crashed",
        required=True,
        unless="crashed",
    )
    metric: str | None = prop("what the score measures, such as val_bpb")
    direction: str | None = prop("which way is better; max when absent", known=DIRECTIONS)
    measured: bool | None = prop("true when the harness measured it, false when it was reported")
    crashed: bool | None = prop("true when the round crashed and has no score")
    scorer_version: str | None = prop("version of the scorer")
    scorer_variant: str | None = prop("variant of the scorer, when a flag chose it")
    quality_score: float | None = prop("mean of the eval suite, or a grader's verdict")


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundKept(Event):
    """The score beat the baseline and the change stays."""

    event: ClassVar[str] = "round_kept"
    group: ClassVar[Group] = "core"

    delta: float | None = prop("improvement on the best so far, positive whichever way is better")
    new_best: float | None = prop("the best score from now on")
    cost_usd: float | None = prop("what the whole round cost", unit="USD", minimum=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundReverted(Event):
    """The change is rolled back: the score missed, or the round failed."""

    event: ClassVar[str] = "round_reverted"
    group: ClassVar[Group] = "core"

    failure_mode: str = prop("why, in one word", required=True, known=FAILURE_MODES)
    reason: str | None = prop("why, in a sentence", max_chars=2_000)
    cost_usd: float | None = prop("what the whole round cost", unit="USD", minimum=0)
    regressed_dimensions: list[str] | None = prop("dimensions that fell below the best so far")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEscalated(Event):
    """A model has stalled and the next tier takes over."""

    event: ClassVar[str] = "model_escalated"
    group: ClassVar[Group] = "core"

    from_model: str = prop("the model that stalled", required=True)
    to_model: str = prop("the model that takes over", required=True)
    stall_rounds: int | None = prop("rounds without a gain before it", minimum=0)
    reason: str | None = prop("why, in a sentence", max_chars=2_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class StopTriggered(Event):
    """The run ends."""

    event: ClassVar[str] = "stop_triggered"
    group: ClassVar[Group] = "core"
    in_round: ClassVar[bool] = False

    reason: str = prop("why it ended", required=True, known=STOP_REASONS)
    rounds_completed: int | None = prop("rounds that were kept or reverted", minimum=0)
    total_cost_usd: float | None = prop("what the run cost", unit="USD", minimum=0)
    final_best_score: float | None = prop("the best score at the end")


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneBatchPublished(Event):
    """Rounds were rolled into a training batch."""

    event: ClassVar[str] = "finetune_batch_published"
    group: ClassVar[Group] = "core"
    in_round: ClassVar[bool] = False

    batch_id: str = prop("name of the batch", required=True)
    n_examples: int | None = prop("examples in it", minimum=0)
    r2_key: str | None = prop("its key in the object store")
    target_model: str | None = prop("the model it is meant to train")
