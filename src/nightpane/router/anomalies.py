"""What looks wrong in the routing of one day, each with the figures that say so.

wrong_model    dearer than a model that holds the task, or known not to hold it
cost_spike     a user spent far more than on the days before
latency_spike  a model takes much longer than on the days before
error_spike    a model fails more often than on the days before

It tells what to look at, and switches nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from nightpane.router.evidence import Cell, evidence, summed
from nightpane.router.figures import Sums, log_ratio, mean_difference
from nightpane.router.routing import Evidence, Fit, holds
from nightpane.router.rules import Rules, TaskType
from nightpane.stats import mad, median, wilson

__all__ = ["Anomaly", "anomalies"]

_LEAST_CALLS = 5
_LEAST_DAYS = 7
_MADS = 5.0
_LEAST_RISE = 2.0
_LEAST_SLOWER = 1.5
_LEAST_TIMED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """One finding; ``evidence`` holds its figures, costs in USD."""

    type: str
    day: date
    user: str | None
    task_type: str | None
    model: str | None
    recommendation: str
    evidence: Mapping[str, Any]

    @property
    def key(self) -> str:
        """What tells it from others, the same every time it is found."""
        parts = (self.day.isoformat(), self.type, self.user, self.task_type, self.model)
        return "|".join(part or "" for part in parts)


def anomalies(cells: Sequence[Cell], rules: Rules, day: date) -> list[Anomaly]:
    """Return what looks wrong on a day, judged by what was known up to its end."""
    known = [cell for cell in cells if cell.day <= day]
    return [
        *_wrong_models(known, rules, day),
        *_cost_spikes(known, day),
        *_model_spikes(known, rules, day),
    ]


def _wrong_models(cells: Sequence[Cell], rules: Rules, day: date) -> Iterator[Anomaly]:
    fits = evidence(cells, rules.settings.confidence)
    today = [cell for cell in cells if cell.day == day]
    for (user, task_name, model), mine in _grouped(
        today, lambda cell: (cell.user, cell.task_type, cell.model)
    ):
        task, fit = rules.task_types.get(task_name), fits.get((task_name, model))
        calls = summed(mine).calls
        if task is None or fit is None or calls < _LEAST_CALLS:
            continue
        found = _below(task, fit, rules) or _dearer(task, fit, fits, rules, calls)
        if found is not None:
            advice, figures = found
            yield Anomaly(
                type="wrong_model",
                day=day,
                user=user,
                task_type=task_name,
                model=model,
                recommendation=advice,
                evidence={"calls": calls, **figures},
            )


def _below(task: TaskType, fit: Fit, rules: Rules) -> tuple[str, dict[str, Any]] | None:
    """Judge a model that is known not to hold the task: its whole interval is under the floor."""
    if fit.graded < rules.settings.min_graded or fit.high is None:
        return None
    if fit.high >= task.quality_floor:
        return None
    advice = (
        f"{fit.model} does not hold {task.name}: quality {fit.quality:.3f} ({fit.low:.3f} to "
        f"{fit.high:.3f}, n={fit.graded}) is under {task.quality_floor:g}; ask for auto"
    )
    return advice, {"floor": task.quality_floor, **_figures(fit)}


def _dearer(
    task: TaskType, fit: Fit, fits: Evidence, rules: Rules, calls: int
) -> tuple[str, dict[str, Any]] | None:
    """Judge a model that costs more than one that holds the task, beyond doubt."""
    for name in task.candidates:
        other = fits.get((task.name, name))
        if other is None or name == fit.model:
            continue
        if not holds(other, task.quality_floor, rules.settings.min_graded):
            continue
        more = mean_difference(fit.sums, other.sums, rules.settings.confidence)
        if more is None or more.low <= 0:
            continue
        advice = (
            f"{name} holds {task.name} (quality from {other.low:.3f}, n={other.graded}) for "
            f"{other.mean_cost_usd:.6f} USD a call, {fit.model} costs {fit.mean_cost_usd:.6f}; "
            "ask for auto"
        )
        figures = {"floor": task.quality_floor, "instead": name, **_figures(other)}
        figures |= {"excess_usd": calls * (more.low + more.high) / 2}
        return advice, figures | {
            "excess_low_usd": calls * more.low,
            "excess_high_usd": calls * more.high,
        }
    return None


def _figures(fit: Fit) -> dict[str, Any]:
    return {
        "quality": fit.quality,
        "quality_low": fit.low,
        "quality_high": fit.high,
        "graded": fit.graded,
        "mean_cost_usd": fit.mean_cost_usd,
    }


def _cost_spikes(cells: Sequence[Cell], day: date) -> Iterator[Anomaly]:
    """Find users whose day cost over the median of theirs by five scaled MADs, and twice as much.

    Source of the rule: Iglewicz and Hoaglin 1993, "How to Detect and Handle Outliers", with 5 in
    place of their 3.5.
    """
    for (user,), mine in _grouped(cells, lambda cell: (cell.user,)):
        days = {at: summed(own).c for (at,), own in _grouped(mine, lambda cell: (cell.day,))}
        spent = days.pop(day, 0.0)
        if len(days) < _LEAST_DAYS or spent <= 0:
            continue
        usual, spread = median(list(days.values())), mad(list(days.values()))
        if spent <= usual + _MADS * spread or spent < _LEAST_RISE * usual:
            continue
        yield Anomaly(
            type="cost_spike",
            day=day,
            user=user,
            task_type=None,
            model=None,
            recommendation=(
                f"{user} spent {spent:.4f} USD, {usual:.4f} on a usual day: look at what was "
                "asked, or set usd_per_day for the key"
            ),
            evidence={"spent_usd": spent, "usual_usd": usual, "mad_usd": spread, "days": len(days)},
        )


def _model_spikes(cells: Sequence[Cell], rules: Rules, day: date) -> Iterator[Anomaly]:
    for (model,), mine in _grouped(cells, lambda cell: (cell.model,)):
        today = summed(cell for cell in mine if cell.day == day)
        before = summed(cell for cell in mine if cell.day < day)
        confidence = rules.settings.confidence
        for kind, found in (
            ("latency_spike", _slower(model, today, before, confidence)),
            ("error_spike", _failing(model, today, before, confidence)),
        ):
            if found is not None:
                yield Anomaly(
                    type=kind,
                    day=day,
                    user=None,
                    task_type=None,
                    model=model,
                    recommendation=found[0],
                    evidence=found[1],
                )


def _slower(
    model: str, today: Sums, before: Sums, confidence: float
) -> tuple[str, dict[str, Any]] | None:
    if min(today.timed, before.timed) < _LEAST_TIMED:
        return None
    times = log_ratio(today, before, confidence)
    if times is None or times.low < _LEAST_SLOWER:
        return None
    now_ms, usual_ms = today.typical_latency_ms, before.typical_latency_ms
    advice = (
        f"{model} takes {now_ms:.0f} ms a call, {usual_ms:.0f} before ({times.low:.1f} to "
        f"{times.high:.1f} times, n={today.timed}): look at the provider, or at longer prompts"
    )
    figures = {"latency_ms": now_ms, "usual_ms": usual_ms, "calls": today.timed}
    return advice, {**figures, "times_low": times.low, "times_high": times.high}


def _failing(
    model: str, today: Sums, before: Sums, confidence: float
) -> tuple[str, dict[str, Any]] | None:
    now = wilson(today.errors, today.calls, confidence=confidence)
    usual = wilson(before.errors, before.calls, confidence=confidence)
    if now is None or usual is None or min(today.calls, before.calls) < _LEAST_TIMED:
        return None
    if now.low <= usual.high:
        return None
    advice = (
        f"{today.errors} of {today.calls} calls of {model} failed, {before.errors} of "
        f"{before.calls} before: look at the provider"
    )
    figures = {"errors": today.errors, "calls": today.calls, "share_low": now.low}
    return advice, {**figures, "usual_high": usual.high}


def _grouped(
    cells: Sequence[Cell], key: Callable[[Cell], tuple[Any, ...]]
) -> list[tuple[tuple[Any, ...], list[Cell]]]:
    found: dict[tuple[Any, ...], list[Cell]] = {}
    for cell in cells:
        found.setdefault(key(cell), []).append(cell)
    return sorted(found.items(), key=lambda one: str(one[0]))
