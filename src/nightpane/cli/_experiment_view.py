"""How experiments look in the terminal: a table with n, interval and method beside every claim.

Takes PostHog's responses as well as the local server's, which say more; what is not said is left
out, never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from nightpane.cli._output import printable

__all__ = ["draw_list", "draw_one", "draw_results", "in_words"]

Answer = Mapping[str, Any]

_UNKNOWN = "–"
_SURE = 0.0005
_METHODS = {
    "bayesian": "Intervals are credible intervals of a posterior without prior knowledge",
    "frequentist": "Intervals are of Welch's t-test",
}
# PostHog has no guard against peeking: its verdict is told as its own.
_UNGUARDED = {True: "significant at this look (not guarded against peeking)", False: "no verdict"}


def draw_list(found: list[dict[str, Any]], to: Console) -> None:
    """Draw the experiments, one a row."""
    if not found:
        to.print("no experiments: create one with nightpane experiments create", markup=False)
        return
    table = Table(box=None, pad_edge=False)
    for title in ("id", "name", "status", "flag", "began", "metrics"):
        table.add_column(title, overflow="fold")
    for one in found:
        names = ", ".join(metric_name(metric) for metric in one.get("metrics") or [])
        began = str(one.get("start_date") or _UNKNOWN)[:16].replace("T", " ")
        row = (one["id"], one["name"], _status(one), one.get("feature_flag_key"), began, names)
        table.add_row(*(printable(str(cell)) for cell in row))
    to.print(table, markup=False)


def draw_one(one: Answer, to: Console) -> None:
    """Draw one experiment."""
    lines = [f"{one['name']} (id {one['id']}): {_status(one)}"]
    if one.get("description"):
        lines.append(str(one["description"]))
    flag = one.get("feature_flag") or {}
    variants = ((flag.get("filters") or {}).get("multivariate") or {}).get("variants") or []
    shares = ", ".join(f"{v['key']} {v.get('rollout_percentage', 0):g} %" for v in variants)
    lines.append(f"flag      {one.get('feature_flag_key')} ({shares or 'no variants'})")
    lines += [f"metric    {metric_name(metric)}" for metric in one.get("metrics") or []]
    begun, ended = one.get("start_date"), one.get("end_date")
    if begun:
        lines.append(f"time      {begun} to {ended or 'now'}")
    else:
        lines.append(f"next      nightpane experiments launch {one['id']}")
    if one.get("conclusion"):
        lines.append(f"concluded {one['conclusion']}")
    for line in lines:
        to.print(printable(line), markup=False)


def draw_results(one: Answer, answer: Answer, to: Console) -> None:
    """Draw one metric's results."""
    to.print(printable(f"{one['name']}: {metric_name(answer['metric'])}"), style="bold")
    unit = answer.get("unit") or {}
    counted = f"{unit['assigned']}s" if unit else "n"
    table = Table(box=None, pad_edge=False)
    table.add_column("variant", overflow="fold")
    titles = (counted, "figure", "effect", "95 % interval", "chance to win", "p")
    for title in titles:
        table.add_column(title, justify="right")
    table.add_column("decision", overflow="fold")
    baseline = answer.get("baseline") or {}
    if baseline:
        cells = (str(baseline["number_of_samples"]), _plain(figure(baseline)))
        blanks = (_UNKNOWN,) * 4
        table.add_row(printable(str(baseline["key"])), *cells, *blanks, "baseline")
    for variant in answer.get("variant_results") or []:
        table.add_row(*_row(variant, baseline, answer))
    to.print(table, markup=False)
    for note in _notes(answer):
        to.print(printable(note), style="dim", markup=False)


def in_words(answer: Answer) -> dict[str, str]:
    """Return the decision on each variant in words."""
    return {str(one["key"]): _decision(one, answer) for one in answer.get("variant_results") or []}


def metric_name(metric: Answer) -> str:
    """Return a metric's name, or what kind it is."""
    return str(metric.get("name") or metric.get("metric_type") or "metric")


def figure(arm: Answer) -> float | None:
    """Return a variant's mean, rate or ratio from its sums."""
    below = arm.get("denominator_sum", arm.get("number_of_samples"))
    return arm["sum"] / below if below else None


def _row(one: Answer, baseline: Answer, answer: Answer) -> list[str]:
    bayes, classic = one.get("bayesian") or one, one.get("frequentist") or one
    own = "bayesian" if one.get("method") == "bayesian" else "frequentist"
    interval = (
        bayes.get("credible_interval") if own == "bayesian" else classic.get("confidence_interval")
    )
    relative = one.get("effect_is_relative") is not False
    effect = one.get("effect", _effect(one, baseline))
    chance, p_value = bayes.get("chance_to_win"), classic.get("p_value")
    return [
        printable(str(one["key"])),
        str(one["number_of_samples"]),
        _plain(figure(one)),
        _change(effect, relative),
        _UNKNOWN if not interval else " to ".join(_change(end, relative) for end in interval),
        _chance(chance),
        _UNKNOWN if p_value is None else f"{p_value:.2g}",
        printable(_decision(one, answer)),
    ]


def _effect(one: Answer, baseline: Answer) -> float | None:
    base, value = figure(baseline) if baseline else None, figure(one)
    return None if not base or value is None else (value - base) / abs(base)


def _decision(one: Answer, answer: Answer) -> str:
    if "decision" not in one:
        failures = ", ".join(one.get("validation_failures") or [])
        return f"not enough data: {failures}" if failures else _UNGUARDED[bool(one["significant"])]
    decision = str(one["decision"])
    if decision != "not enough data":
        return decision
    assigned = (answer.get("unit") or {}).get("assigned", "unit")
    baseline = (answer.get("baseline") or {}).get("number_of_samples", 0)
    have, needed = baseline + one["number_of_samples"], one.get("sample_size_needed")
    if needed is None:
        why = ", ".join(one.get("validation_failures") or []) or "the baseline does not vary"
        return f"{decision}: {have} {assigned}s ({why})"
    if one["sample_size_left"]:
        return f"{decision}: {have} of about {2 * needed} {assigned}s"
    why = ", ".join(one.get("validation_failures") or [])
    return f"{decision}: {why or 'the planned look gives no figure'}"


def _notes(answer: Answer) -> list[str]:
    notes = []
    unit, plan = answer.get("unit"), answer.get("plan")
    if unit:
        notes.append(f"{unit['explanation']}.")
    method = next((str(v["method"]) for v in answer.get("variant_results") or []), None)
    if plan and method:
        kind = "relative to the baseline" if plan["relative"] else "absolute differences"
        size = f"{plan['minimum_effect']:.3g}"
        if plan["relative"]:
            size = f"{plan['minimum_effect'] * 100:g} %"
        notes.append(
            f"Effects are {kind}; planned to find {size} with power {plan['power']:.0%}. "
            f"{_METHODS[method]}; p is of Welch's t-test. All three hold for one look; the "
            "decision holds for any number of them."
        )
    warnings = [*(answer.get("warnings") or [])]
    for one in answer.get("variant_results") or []:
        warnings += [f"{one['key']}: {text}" for text in one.get("warnings") or []]
    return [*notes, *(f"Warning: {text}." for text in warnings)]


def _status(one: Answer) -> str:
    if one.get("status"):
        return str(one["status"])
    if not one.get("start_date"):
        return "draft"
    return "stopped" if one.get("end_date") else "running"


def _chance(value: float | None) -> str:
    if value is None:
        return _UNKNOWN
    if not _SURE <= value <= 1 - _SURE:
        return "> 99.9%" if value > 0.5 else "< 0.1%"
    return f"{value:.1%}"


def _plain(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{value:.4g}"


def _change(value: float | None, relative: bool) -> str:
    if value is None:
        return _UNKNOWN
    return f"{value:+.1%}" if relative else f"{value:+.4g}"
