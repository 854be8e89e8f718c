"""The metrics a loop's owner asks for first, as PostHog's ``ExperimentMetric``."""

from __future__ import annotations

from typing import Any

__all__ = ["PRESETS", "preset"]

_COST = "sum(if(event in ('round_kept', 'round_reverted'), toFloat(properties.cost_usd), 0))"

PRESETS = ("best_score", "kept_rate", "cost_per_kept")


def preset(name: str, *, lower_is_better: bool = False) -> dict[str, Any]:
    """Return a metric by its name. Raises KeyError for one that is not in ``PRESETS``.

    ``best_score``: the best ``round_scored.score`` (``lower_is_better`` turns it round).
    ``kept_rate``: the share of rounds that were kept. ``cost_per_kept``: what all rounds cost
    (``cost_usd`` of their end) for each one that was kept, in USD.
    """
    best = "min" if lower_is_better else "max"
    made: dict[str, dict[str, Any]] = {
        "best_score": {
            "name": "best score",
            "metric_type": "mean",
            "goal": "decrease" if lower_is_better else "increase",
            "source": _events("round_scored", math=best, math_property="score"),
        },
        "kept_rate": {
            "name": "kept rate",
            "metric_type": "funnel",
            "goal": "increase",
            "series": [_events("round_kept")],
        },
        "cost_per_kept": {
            "name": "cost per kept round",
            "metric_type": "ratio",
            "goal": "decrease",
            "numerator": _events(None, math="hogql", math_hogql=_COST),
            "denominator": _events("round_kept", math="total"),
        },
    }
    return {"kind": "ExperimentMetric", **made[name]}


def _events(event: str | None, **more: str) -> dict[str, Any]:
    return {"kind": "EventsNode", "event": event, **more}
