"""The nine core events: the life of a round, and of a run."""

from __future__ import annotations

from nightpane.catalog.spec import Direction, Event, declare, prop, required
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


_RULE = "the rule that decided"
_WHY = "why it decided so, in a sentence"
_LOW = "the least gain that the measurements allow, where the rule works one out"
_N = "measurements of the candidate that it decided on"
_N_BEST = "measurements of the best so far that it decided on"


@declare("round_started", "core")
class RoundStarted(Event):
    """A new round begins, before any model is called."""

    model: str | None = prop("the model, or the proposer, that will make the proposal")
    diff_lines: int | None = prop("lines of the proposal, where it is known beforehand", minimum=0)
    baseline_score: float | None = prop("the score to beat: the best so far")
    n_prior_rounds: int | None = prop("rounds of this run before this one", minimum=0)


@declare("proposal_generated", "core")
class ProposalGenerated(Event):
    """The agent has made a proposal: a candidate change."""

    prompt_tokens: int | None = prop("tokens sent to the model", unit="tokens", minimum=0)
    completion_tokens: int | None = prop("tokens it answered", unit="tokens", minimum=0)
    cost_usd: float | None = prop("what the proposal cost", unit="USD", minimum=0)
    latency_ms: int | None = prop("how long it took", unit="ms", minimum=0)
    model: str | None = prop("the model, or the proposer, that made it")
    summary: str | None = prop("the change in a sentence", max_chars=2_000)
    diff: str | None = prop("the change as a unified diff", max_chars=20_000)


@declare("proposal_applied", "core")
class ProposalApplied(Event):
    """The proposal is in place: in a branch, a workspace, a file."""

    target: str | None = prop("where it was applied")
    diff_bytes: int | None = prop("size of the change", unit="bytes", minimum=0)
    apply_latency_ms: int | None = prop("how long applying took", unit="ms", minimum=0)


@declare("round_scored", "core", patterns=("dim_",))
class RoundScored(Event):
    """The scorer has returned its verdict; any number of `dim_*` properties break it down."""

    score: float | None = prop(
        "the verdict, in the metric's own unit; absent only when the round crashed",
        required=True,
        unless="crashed",
    )
    metric: str | None = prop("what the score measures, such as val_bpb")
    direction: Direction | None = prop(
        "which way is better; max when absent", known=DIRECTIONS, closed=True
    )
    measured: bool | None = prop("true when the harness measured it, false when it was reported")
    reported_because: str | None = prop("why the proposer could have written it", max_chars=2_000)
    crashed: bool | None = prop("true when the round crashed and has no score")
    scorer_version: str | None = prop("version of the scorer")
    scorer_variant: str | None = prop("variant of the scorer, when a flag chose it")
    quality_score: float | None = prop("mean of the eval suite, or a grader's verdict")
    measurements: int | None = prop("how often it was measured; the score is the mean", minimum=0)


@declare("round_kept", "core")
class RoundKept(Event):
    """The score beat the baseline and the change stays."""

    delta: float | None = prop("improvement on the best so far, positive whichever way is better")
    new_best: float | None = prop("the best score from now on")
    cost_usd: float | None = prop("what the whole round cost", unit="USD", minimum=0)
    commit: str | None = prop("the change's commit")
    keep_rule: str | None = prop(_RULE)
    keep_why: str | None = prop(_WHY)
    keep_low: float | None = prop(_LOW)
    keep_n: int | None = prop(_N, minimum=0)
    keep_n_best: int | None = prop(_N_BEST, minimum=0)


@declare("round_reverted", "core")
class RoundReverted(Event):
    """The change is rolled back: the score missed, or the round failed."""

    failure_mode: str = required("why, in one word", known=FAILURE_MODES)
    reason: str | None = prop("why, in a sentence", max_chars=2_000)
    cost_usd: float | None = prop("what the whole round cost", unit="USD", minimum=0)
    regressed_dimensions: list[str] | None = prop("dimensions that fell below the best so far")
    commit: str | None = prop("the change's commit")
    keep_rule: str | None = prop(_RULE)
    keep_why: str | None = prop(_WHY)
    keep_low: float | None = prop(_LOW)
    keep_n: int | None = prop(_N, minimum=0)
    keep_n_best: int | None = prop(_N_BEST, minimum=0)


@declare("model_escalated", "core")
class ModelEscalated(Event):
    """A model has stalled and the next tier takes over, or a kept round gives back to the first."""

    from_model: str = required("the model that stalled")
    to_model: str = required("the model that takes over")
    stall_rounds: int | None = prop("rounds without a gain before it", minimum=0)
    cost_usd: float | None = prop("what the run had cost by then", unit="USD", minimum=0)
    kept_rounds: int | None = prop("rounds that were kept by then", minimum=0)
    tier_rounds: int | None = prop("rounds the model that is left has proposed", minimum=0)
    tier_cost_usd: float | None = prop("what these have cost", unit="USD", minimum=0)
    helped: bool | None = prop("true when one of these was kept")
    reason: str | None = prop("why, in a sentence", max_chars=2_000)


@declare("stop_triggered", "core", in_round=False)
class StopTriggered(Event):
    """The run ends."""

    reason: str = required("why it ended", known=STOP_REASONS)
    rounds_completed: int | None = prop("rounds that were kept or reverted", minimum=0)
    total_cost_usd: float | None = prop("what the run cost", unit="USD", minimum=0)
    final_best_score: float | None = prop("the best score at the end")


@declare("finetune_batch_published", "core", in_round=False)
class FinetuneBatchPublished(Event):
    """Rounds were rolled into a training batch."""

    batch_id: str = required("name of the batch")
    n_examples: int | None = prop("examples in it", minimum=0)
    r2_key: str | None = prop("its key in the object store")
    target_model: str | None = prop("the model it is meant to train")
