"""Changes of the rules that the data suggests, each explained; written as text, never applied here.

A proposal changes what happens while nobody knows better (a task's default) and who may serve a
task (its candidates). Comments and order of the file stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from nightpane.errors import ConfigError, MissingExtraError
from nightpane.router.evidence import Cell, evidence, summed
from nightpane.router.figures import mean_difference
from nightpane.router.routing import Evidence, Fit, holds
from nightpane.router.rules import Rules, TaskType

__all__ = ["Proposal", "changed", "escalations", "propose"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A change of one task's rules and why; savings in USD a day, None where nothing is saved."""

    task_type: str
    action: Literal["default", "add", "remove"]
    model: str
    why: str
    saves_usd_per_day: float | None = None
    saves_low: float | None = None
    saves_high: float | None = None


def propose(cells: Sequence[Cell], rules: Rules) -> list[Proposal]:
    """Return the changes that the data suggests, by task."""
    fits = evidence(cells, rules.settings.confidence)
    days = max(1, len({cell.day for cell in cells}))
    found: list[Proposal] = []
    for task in rules.task_types.values():
        own = [cell for cell in cells if cell.task_type == task.name]
        calls_per_day = summed(own).calls / days
        found += _for_task(task, fits, rules, calls_per_day)
    return found


def escalations(cells: Sequence[Cell], rules: Rules) -> list[str]:
    """Return the tasks that may need a better model: what serves them now is known to be too bad,
    or no candidate is known to hold them though at least one was graded often enough."""
    fits = evidence(cells, rules.settings.confidence)
    return [task.name for task in rules.task_types.values() if _needs_better(task, fits, rules)]


def changed(text: str, proposals: Iterable[Proposal]) -> str:
    """Return a rules file's text with the proposals carried out, comments and order kept.

    Raises MissingExtraError without tomlkit, ConfigError for a task that the text does not have.
    """
    try:
        import tomlkit
    except ModuleNotFoundError as error:
        raise MissingExtraError("token-machine") from error
    document = tomlkit.parse(text)
    for one in proposals:
        tasks: Any = document.get("task_types", {})
        if one.task_type not in tasks:
            raise ConfigError(f"the rules have no task type {one.task_type!r} to change")
        table = tasks[one.task_type]
        if one.action == "default":
            table["default"] = one.model
        elif one.action == "add":
            table["candidates"].append(one.model)
        else:
            # The first candidate serves where no default is named.
            table["default"] = table.get("default", table["candidates"][0])
            table["candidates"].remove(one.model)
    return tomlkit.dumps(document)


def _for_task(
    task: TaskType, fits: Evidence, rules: Rules, calls_per_day: float
) -> Iterator[Proposal]:
    known = [
        fit
        for name, model in rules.models.items()
        if not model.is_embedding and (fit := fits.get((task.name, name))) is not None
    ]
    holding = [
        fit
        for fit in known
        if holds(fit, task.quality_floor, rules.settings.min_graded)
        and fit.mean_cost_usd is not None
    ]
    best = min(holding, key=lambda fit: fit.mean_cost_usd or 0.0, default=None)
    if best is not None and best.model not in task.candidates:
        yield Proposal(
            task_type=task.name,
            action="add",
            model=best.model,
            why=f"{_told(best)} holds {task.quality_floor:g} and is no candidate yet",
        )
    default = task.default
    if best is not None and best.model != default:
        change = _new_default(task, best, fits.get((task.name, default)), rules, calls_per_day)
        if change is not None:
            default = best.model
            yield change
    for fit in known:
        if fit.model in task.candidates and fit.model != default and _fails(task, fit, rules):
            yield Proposal(
                task_type=task.name,
                action="remove",
                model=fit.model,
                why=f"{_told(fit)} does not hold {task.quality_floor:g}",
            )


def _new_default(
    task: TaskType, best: Fit, old: Fit | None, rules: Rules, calls_per_day: float
) -> Proposal | None:
    """Return the change of a default that is known to be dearer, or not known to hold the task."""
    saves = None
    if old is not None:
        saves = mean_difference(old.sums, best.sums, rules.settings.confidence)
    old_holds = holds(old, task.quality_floor, rules.settings.min_graded)
    if old_holds and (saves is None or saves.low <= 0):
        return None
    before = _told(old) if old is not None else f"{task.default} (no call of it is known)"
    verdict = "holds it too, for more" if old_holds else "is not known to hold it"
    return Proposal(
        task_type=task.name,
        action="default",
        model=best.model,
        why=f"{_told(best)} holds {task.quality_floor:g}; {before} {verdict}",
        saves_usd_per_day=None if saves is None else calls_per_day * (saves.low + saves.high) / 2,
        saves_low=None if saves is None else calls_per_day * saves.low,
        saves_high=None if saves is None else calls_per_day * saves.high,
    )


def _fails(task: TaskType, fit: Fit, rules: Rules) -> bool:
    enough = fit.graded >= rules.settings.min_graded
    return enough and fit.high is not None and fit.high < task.quality_floor


def _needs_better(task: TaskType, fits: Evidence, rules: Rules) -> bool:
    known = [fit for name in task.candidates if (fit := fits.get((task.name, name))) is not None]
    least = rules.settings.min_graded
    if any(holds(fit, task.quality_floor, least) for fit in known):
        return False
    return any(fit.graded >= least for fit in known)


def _told(fit: Fit) -> str:
    quality = "no grade"
    if fit.quality is not None and fit.low is not None and fit.high is not None:
        quality = f"quality {fit.quality:.3f}, {fit.low:.3f} to {fit.high:.3f}"
    cost = "cost unknown"
    if fit.mean_cost_usd is not None:
        cost = f"{fit.mean_cost_usd:.6f} USD a call"
    return f"{fit.model} ({quality}, n={fit.graded}, {cost})"
