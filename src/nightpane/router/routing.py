"""Which model a request goes to: pure, so that every choice can be explained and repeated.

A model holds a task when the lower limit of its quality's interval is at the task's floor or over,
from enough graded calls. Of those that hold it, the one whose calls cost least on that task serves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from nightpane.router.figures import Sums
from nightpane.router.refusal import Refusal
from nightpane.router.rules import AUTO, Key, Rules, TaskType

__all__ = ["Evidence", "Fit", "Route", "choose", "holds"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """What the data says of one model on one kind of task.

    ``graded`` calls have a quality, from 0 to 1, whose mean is ``quality``, within ``low`` and
    ``high``; None when too few have one. ``mean_cost_usd`` is of the calls whose cost is known.
    """

    task_type: str
    model: str
    calls: int
    graded: int
    quality: float | None
    low: float | None
    high: float | None
    mean_cost_usd: float | None
    typical_latency_ms: float | None
    sums: Sums = field(repr=False)


Evidence = Mapping[tuple[str, str], Fit]
_Fits = Callable[[Sequence[str]], list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where a request goes: the model, then who stands in for it, and why."""

    model: str
    fallbacks: tuple[str, ...]
    task_type: str | None
    reason: str


def holds(fit: Fit | None, floor: float, min_graded: int) -> bool:
    """Tell whether a model is known to hold a task's quality."""
    return fit is not None and fit.graded >= min_graded and fit.low is not None and fit.low >= floor


def choose(
    rules: Rules,
    evidence: Evidence,
    key: Key,
    *,
    asked: str,
    task_type: str | None,
    is_embedding: bool = False,
) -> Route:
    """Return where a request goes. ``asked`` is its ``model``: a model, a task's name, or auto.

    Raises Refusal: 404 for a model that is not there, 403 for one the key may not use.
    """

    def fits(names: Sequence[str]) -> list[str]:
        return [
            name
            for name in names
            if rules.models[name].is_embedding == is_embedding
            and (not key.models or name in key.models)
        ]

    task = rules.task(asked) or (rules.task(task_type) if task_type else None)
    said = task.name if task else task_type
    stand_ins = task.fallbacks if task else rules.settings.fallbacks
    if asked in rules.models:
        _allow(rules, key, asked, is_embedding)
        others = [name for name in fits(stand_ins) if name != asked]
        return Route(model=asked, fallbacks=tuple(others), task_type=said, reason="named")
    if asked != AUTO and rules.task(asked) is None:
        known = ", ".join((AUTO, *rules.task_types, *rules.models))
        raise Refusal(
            404,
            "invalid_request_error",
            "model_not_found",
            f"there is no model {asked!r} here; use one of {known}",
            param="model",
        )
    ranked, reason = _ranked(rules, evidence, task, fits)
    if not ranked:
        raise Refusal(
            403,
            "invalid_request_error",
            "model_not_allowed",
            f"no model that key {key.name!r} may use serves this kind of request",
            param="model",
        )
    chain = list(dict.fromkeys([*ranked, *fits(stand_ins)]))
    return Route(model=chain[0], fallbacks=tuple(chain[1:]), task_type=said, reason=reason)


def _allow(rules: Rules, key: Key, name: str, is_embedding: bool) -> None:
    if key.models and name not in key.models:
        raise Refusal(
            403,
            "invalid_request_error",
            "model_not_allowed",
            f"key {key.name!r} may not use {name!r}; it may use {', '.join(key.models)}",
            param="model",
        )
    if rules.models[name].is_embedding != is_embedding:
        kind = "chat completions" if is_embedding else "embeddings"
        raise Refusal(
            400,
            "invalid_request_error",
            "wrong_endpoint",
            f"{name!r} is a model for {kind}",
            param="model",
        )


def _ranked(
    rules: Rules, evidence: Evidence, task: TaskType | None, fits: _Fits
) -> tuple[list[str], str]:
    """Return the models for a task, the first choice first, and why it is the first."""
    if task is None:
        every = fits([rules.settings.default, *rules.settings.fallbacks, *rules.models])
        return every[:1], "default: no rule for this kind of task"
    allowed = fits(task.candidates)
    least = rules.settings.min_graded
    found = [evidence.get((task.name, name)) for name in allowed]
    holding = [fit for fit in found if fit is not None and holds(fit, task.quality_floor, least)]
    holding.sort(key=_cost)
    if holding and holding[0].mean_cost_usd is not None:
        first = holding[0]
        reason = (
            f"cheapest of {len(holding)} that hold {task.quality_floor:g}: quality "
            f"{first.quality:.3f} (from {first.low:.3f}), n={first.graded}, "
            f"{first.mean_cost_usd:.6f} USD a call"
        )
        return [fit.model for fit in holding], reason
    default = fits([task.default]) or allowed[:1]
    if holding:
        return default, "default: what the calls of those that hold the task cost is not known"
    return default, "default: no model is known to hold the task's quality"


def _cost(fit: Fit) -> tuple[bool, float]:
    return fit.mean_cost_usd is None, fit.mean_cost_usd or 0.0
