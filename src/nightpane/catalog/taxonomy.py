"""Values with a fixed meaning. Others pass; these are the ones boards and rules know."""

from __future__ import annotations

__all__ = [
    "ANOMALY_TYPES",
    "DIRECTIONS",
    "FAILURE_MODES",
    "PHASES",
    "PROJECTS",
    "STOP_REASONS",
    "TASK_TYPES",
]

PROJECTS = ("autoagent", "autoresearch", "gtm-autoresearch")
DIRECTIONS = ("max", "min")
PHASES = ("proposal", "critique", "score", "refine")
FAILURE_MODES = (
    "score_missed",
    "crash",
    "timeout",
    "invalid",
    "exception",
    "interrupted",
    "wrong_model",
)
STOP_REASONS = (
    "max_rounds",
    "budget",
    "time_budget",
    "plateau",
    "kill_switch",
    "target",
    "regressions",
    "failures",
    "error",
    "interrupted",
)
ANOMALY_TYPES = ("wrong_model", "cost_spike", "latency_spike", "error_spike")
# One taxonomy for the loops and for Token Machine: <loop>.<verb>.
TASK_TYPES = tuple(
    f"{loop}.{verb}"
    for loop in ("aa", "ar", "gtm")
    for verb in ("propose", "rewrite", "critique", "score", "refine", "judge")
)
