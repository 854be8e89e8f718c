"""From an experiment's documents and a metric to everything its result needs: the entry point.

``answer`` is what an ``ExperimentQuery`` comes to, ``exposures`` an ``ExperimentExposureQuery``.
Who asks the HogQL is the caller's matter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any

from nightpane.errors import ExperimentError
from nightpane.experiments.answer import Design, arms_of, respond
from nightpane.experiments.document import baseline_of, variants_of
from nightpane.experiments.metric import Metric, read_metric
from nightpane.experiments.question import MULTIPLE, Exposure, build, build_exposures
from nightpane.experiments.units import units_for
from nightpane.stats.experiments import Plan

__all__ = ["Ask", "answer", "exposures"]

Ask = Callable[[str, dict[str, Any]], Mapping[str, Any]]
"""Asks a HogQL query with its values and returns PostHog's response to a ``HogQLQuery``."""

_DEFAULT_EFFECT_PERCENT = 30
_EXPOSURE = "$feature_flag_called"
_CLOCK_AHEAD = timedelta(minutes=5)


def answer(
    document: Mapping[str, Any],
    flag: Mapping[str, Any],
    metric: Mapping[str, Any],
    ask: Ask,
    *,
    now: datetime | None = None,
) -> dict[str, Any]:
    """Return PostHog's answer to an ``ExperimentQuery`` on a metric of an experiment.

    Raises ExperimentError when it cannot be asked: not launched, or a metric that is not supported.
    """
    read = read_metric(metric)
    variants = variants_of(flag)
    design = _design(document, variants, read)
    criteria = document.get("exposure_criteria") or {}
    units = units_for(flag, criteria, best_of=read.best_of)
    exposure = _exposure(document, tuple(variants), criteria, now or datetime.now(UTC))
    question = build(exposure, read, units)
    rows = ask(question.query, question.values)
    named = [dict(zip(rows["columns"], row, strict=True)) for row in rows["results"]]
    arms = arms_of(named, read, units, tuple(variants))
    return {
        **respond(arms, read, units, design),
        "metric": dict(metric),
        "stats_version": 2,
        "hogql": question.query,
        "hogql_values": question.values,
        "clickhouse_sql": rows.get("clickhouse"),
        "timings": rows.get("timings"),
    }


def exposures(
    document: Mapping[str, Any],
    flag: Mapping[str, Any],
    ask: Ask,
    *,
    now: datetime | None = None,
) -> dict[str, Any]:
    """Return PostHog's answer to an ``ExperimentExposureQuery``: what was exposed, by variant, the
    sum of each day (UTC) and the days before it.

    Raises ExperimentError as ``answer`` does.
    """
    now = now or datetime.now(UTC)
    criteria = document.get("exposure_criteria") or {}
    exposure = _exposure(document, tuple(variants_of(flag)), criteria, now)
    question = build_exposures(exposure, units_for(flag, criteria, best_of=False))
    rows = ask(question.query, question.values)
    found = {(arm, str(day)): count for arm, day, count in rows["results"]}
    first, last = exposure.start.astimezone(UTC), min(exposure.end, now).astimezone(UTC)
    days = [
        (first.date() + timedelta(days=ago)).isoformat()
        for ago in range((last.date() - first.date()).days + 1)
    ]
    arms = [*exposure.variants, *(() if exposure.first_seen else (MULTIPLE,))]
    counts = {
        arm: list(accumulate(found.get((arm, day), 0) for day in days))
        for arm in arms
        if arm != MULTIPLE or any(name == MULTIPLE for name, _ in found)
    }
    return {
        "kind": "ExperimentExposureQuery",
        "timeseries": [
            {"variant": arm, "days": days, "exposure_counts": sums} for arm, sums in counts.items()
        ],
        "total_exposures": {arm: sums[-1] for arm, sums in counts.items()},
        "date_range": {"date_from": document["start_date"], "date_to": document.get("end_date")},
        "hogql": question.query,
    }


def _design(document: Mapping[str, Any], variants: Mapping[str, float], metric: Metric) -> Design:
    stats, given = document.get("stats_config") or {}, document.get("parameters") or {}
    criteria = document.get("exposure_criteria") or {}
    relative = stats.get("difference", "relative") == "relative"
    effect = given.get("minimum_detectable_effect") or _DEFAULT_EFFECT_PERCENT
    size = given.get("recommended_sample_size")
    return Design(
        variants=variants,
        baseline=baseline_of(document, variants),
        method=stats.get("method") or "bayesian",
        first_seen=criteria.get("multiple_variant_handling") == "first_seen",
        plan=Plan(
            # A percentage of the baseline, or, where differences are absolute, the difference.
            minimum_effect=effect / 100 if relative else float(effect),
            relative=relative,
            lower_is_better=metric.lower_is_better,
            units=math.ceil(size / len(variants)) if size else None,
        ),
    )


def _exposure(
    document: Mapping[str, Any],
    variants: tuple[str, ...],
    criteria: Mapping[str, Any],
    now: datetime,
) -> Exposure:
    if not document.get("start_date"):
        raise ExperimentError(
            f"Experiment {document.get('name')!r} is a draft: launch it first.",
            attr="experiment_id",
        )
    if criteria.get("activation_config"):
        raise ExperimentError("activation_config is not supported.", attr="exposure_criteria")
    config = criteria.get("exposure_config") or {}
    if config.get("kind", "ExperimentEventExposureConfig") != "ExperimentEventExposureConfig":
        raise ExperimentError(
            f"exposure_config of kind {config['kind']!r} is not supported: "
            "ExperimentEventExposureConfig is.",
            attr="exposure_criteria",
        )
    end = document.get("end_date")
    return Exposure(
        flag_key=document["feature_flag_key"],
        variants=variants,
        start=datetime.fromisoformat(document["start_date"]),
        # A sender's clock may be a little ahead.
        end=datetime.fromisoformat(end) if end else now + _CLOCK_AHEAD,
        event=config.get("event") or _EXPOSURE,
        properties=config.get("properties"),
        first_seen=criteria.get("multiple_variant_handling") == "first_seen",
    )
