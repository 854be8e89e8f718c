"""Rows out of JSON records, whatever a runner calls its keys.

Shared by every format whose records are JSON objects: which key is the status, the commit, the
score, the time; what is a setting rather than a result.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nightpane.ledgers import columns, metrics, status, values
from nightpane.ledgers.model import Direction, Row, Segment

__all__ = [
    "Keys",
    "config_of",
    "describes",
    "flatten",
    "guess_keys",
    "is_stop",
    "row_of",
    "stop_reason",
]

Record = Mapping[str, Any]

_STATUS = (
    "decision kept keep accepted accept retained adopted verdict status outcome improved action "
    "result success"
)
_COMMIT = "commit commit_hash commit_sha git_commit git_sha sha experiment_commit hash revision"
_TEXT = (
    "description summary desc hypothesis change idea title name note notes reason comment "
    "status_reason message"
)
_WHEN = "timestamp time datetime date created_at finished_at ended_at completed_at ts t started_at"
_COST = "cost_usd total_cost_usd cost"
_ORDINALS = ("iteration", "iter", "round", "trial", "experiment", "trial_number", "run", "attempt")
_RESULTS = {"results", "result", "metrics", "scores", "score", "eval", "evaluation", "summary"}
_SETTINGS = {
    "params", "config", "hyperparams", "hyperparameters", "arch", "architecture", "args", "asi",
    "env", "environment", "settings", "meta", "metadata", "logloss_delta_vs_iter0",
}  # fmt: skip
_MAX_TEXT_CHARS = 2000
_HIGHER = {"higher", "max", "maximize", "maximise", "up", "higher_is_better", "increase", "desc"}
_LOWER = {"lower", "min", "minimize", "minimise", "down", "lower_is_better", "decrease", "asc"}
_STOPS = {
    "stop",
    "stopped",
    "stop_triggered",
    "run_end",
    "run_stopped",
    "loop_end",
    "loop_stopped",
    "end",
}


@dataclass(frozen=True, slots=True)
class Keys:
    """Which keys of a file's records mean what, as found in its beginning."""

    metric: str | None = None
    stated: bool = False
    has_kinds: bool = False


def direction_word(value: Any) -> Direction | None:
    """Return the direction a config states (``lower``, ``maximize`` …), None for anything else."""
    if not isinstance(value, str):
        return None
    word = metrics.normalised(value)
    return "max" if word in _HIGHER else "min" if word in _LOWER else None


def config_of(record: Record, index: int) -> Segment | None:
    """Return the segment a config line opens, None when the record is none."""
    name = _first_text(record, ("metricName", "metric_name", "primaryMetric", "primary_metric"))
    if name is None and isinstance(record.get("metric"), str):
        name = str(record["metric"])
    way = _direction(record)
    kind = _kind(record)
    opens = kind in ("config", "init", "header", "session", "start") or (
        name is not None and way is not None and "status" not in record
    )
    if not opens or (name is None and way is None):
        return None
    if any(key in record for key in ("run", "metric_value", "value")) and kind is None:
        return None
    return Segment(
        index=index,
        metric=name,
        direction=way,
        unit=_first_text(record, ("metricUnit", "metric_unit", "unit")) or None,
        name=_first_text(record, ("name", "goal", "title")),
        metric_stated=name is not None,
    )


def _direction(record: Record) -> Direction | None:
    keys = ("bestDirection", "best_direction", "direction", "metric_direction", "optimize", "goal")
    return next((way for key in keys if (way := direction_word(record.get(key))) is not None), None)


def _kind(record: Record) -> str | None:
    for key in ("type", "event", "kind"):
        if isinstance(kind := record.get(key), str):
            return kind.lower()
    return None


def _first_text(record: Record, keys: Iterable[str]) -> str | None:
    return next((v for key in keys if isinstance(v := record.get(key), str) and v.strip()), None)


def is_stop(record: Record) -> bool:
    """Tell whether a record says that the run ended."""
    return _kind(record) in _STOPS and stop_reason(record) is not None


_REASONS = (
    (
        "max_rounds",
        ("max_rounds", "max_iterations", "max_experiments", "iteration", "rounds", "limit"),
    ),
    ("budget", ("budget", "cost", "tokens", "money")),
    ("plateau", ("plateau", "stall", "no_improvement", "converged", "diminishing")),
    ("target", ("target", "goal", "reached", "solved")),
    ("kill_switch", ("kill", "switch")),
    ("regressions", ("regression",)),
    ("failures", ("failures", "crashes")),
    ("interrupted", ("interrupt", "sigint", "sigterm", "user", "cancel", "abort")),
    ("error", ("error", "exception", "crash")),
)


def stop_reason(record: Record) -> str | None:
    """Return the catalogue's word for why a run ended, or the ledger's own words."""
    text = _first_text(record, ("reason", "stop_reason", "stopReason", "cause"))
    if text is None:
        return None
    plain = metrics.normalised(text)
    known = (reason for reason, words in _REASONS if any(word in plain for word in words))
    return next(known, text.strip()[:200])


def describes(record: Record, metric: str | None) -> bool:
    """Tell whether a record without a status is a round all the same, not a line of a log.

    It has a commit, a number of a round, or a metric that is plainly one beside a text.
    """
    if set(_ORDINALS) & set(record) or any(
        values.as_commit(record.get(k)) for k in _COMMIT.split()
    ):
        return True
    has_text = any(key in record for key in _TEXT.split())
    return has_text and metric is not None and metrics.known_metric([metric])


def flatten(record: Record) -> dict[str, Any]:
    """Return a record's scalars by name: ``{"logloss": {"imm": 1}}`` gives ``logloss_imm``.

    The keys of ``results``, ``metrics`` and their like keep their own names; settings keep the
    name of their group in front.
    """
    flat: dict[str, Any] = {}
    for key, value in record.items():
        if not isinstance(value, Mapping) or key == "asi":  # a free-form notebook: kept whole
            flat.setdefault(str(key), value)
            continue
        for inner, item in value.items():
            own = key in _RESULTS and inner not in record
            flat.setdefault(str(inner) if own else f"{key}_{inner}", item)
    return flat


def guess_keys(sample: Sequence[Record], metric: str | None, config: Segment | None) -> Keys:
    """Return which keys matter, judged from the first records of a file."""
    has_kinds = sum(1 for r in sample if _kind(r) is not None) * 2 > len(sample)
    flats = [_candidates(record) for record in sample]
    if metric is not None:
        known = {name for flat in flats for name in flat}
        near = next((n for n in known if metrics.normalised(n) == metrics.normalised(metric)), None)
        return Keys(near or metric, True, has_kinds)
    stated = config.metric if config else None
    usual = ("metric", "metric_value", "primary_metric", "metricValue")
    names = _numeric_names(flats)
    for name in (*usual, *([stated] if stated else []), *(("value",) if stated else ())):
        if name in names:
            return Keys(name, False, has_kinds)
    best = metrics.best_name(names)
    return Keys(None if best is None else names[best], False, has_kinds)


def _candidates(record: Record) -> dict[str, Any]:
    return flatten(
        {k: v for k, v in record.items() if k not in _SETTINGS and k not in columns.ROLES["commit"]}
    )


def _numeric_names(flats: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names that hold a number somewhere, in the order they appear (NaN counts: it is meant)."""
    found: dict[str, None] = {}
    for flat in flats:
        for name, value in flat.items():
            if _is_number(value):
                found.setdefault(name)
    return [name for name in found if metrics.normalised(name) not in _STATUS.split()]


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return values.as_number(value) is not None
    return isinstance(value, int | float) and not isinstance(value, bool)


def row_of(record: Record, *, line: int, index: int, segment: Segment, keys: Keys) -> Row | None:
    """Return the round a record tells of, None when it tells of something else."""
    flat = flatten(record)
    state, state_key = _state(flat)
    value = flat.get(keys.metric) if keys.metric is not None else None
    number = values.number_in(value)
    found = status.verdict(state)
    if number is None and (found is None or found.kind == "kept") and not _meant(flat, keys, state):
        return None
    stated = segment if segment.metric is not None else _own_segment(flat, segment, keys)
    texts = [k for k in _TEXT.split() if isinstance(flat.get(k), str) and flat[k].strip()]
    when_key = next((k for k in _WHEN.split() if values.as_moment(flat.get(k)) is not None), None)
    cost_key = next((k for k in _COST.split() if values.as_number(flat.get(k)) is not None), None)
    commit_key = next((k for k in _COMMIT.split() if values.as_commit(flat.get(k))), None)
    text_key = next((k for k in texts if k != state_key), None)
    used = {state_key, keys.metric, when_key, cost_key, commit_key, text_key}
    return Row(
        line=line,
        index=index,
        segment=stated,
        status=state,
        score=None if number is None else number[0],
        score_text="" if value is None else str(value)[:40],
        measured=number is None or number[1],
        commit=values.as_commit(flat.get(commit_key or "")),
        description=_clip(flat.get(text_key or "")),
        when=values.as_moment(flat.get(when_key or "")),
        cost_usd=values.as_number(flat.get(cost_key or "")),
        properties=_properties(flat, used),
    )


def _meant(flat: Mapping[str, Any], keys: Keys, state: str | None) -> bool:
    """A record without a number is a round all the same when it has the metric's key."""
    if keys.metric is None:
        return state is not None and not keys.has_kinds
    return keys.metric in flat and state is not None


def _own_segment(flat: Record, segment: Segment, keys: Keys) -> Segment:
    """Some ledgers name the metric and its direction on every line."""
    stated = _first_text(flat, ("metric_name", "metricName", "metric"))
    return Segment(
        index=segment.index,
        metric=stated or keys.metric,
        direction=segment.direction or _direction(flat),
        unit=segment.unit,
        name=segment.name,
        metric_stated=keys.stated or stated is not None,
    )


def _state(flat: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The status and its key: the first that is plain, but a crash under any of the keys."""
    first: tuple[str | None, str | None] = (None, None)
    plain: tuple[str | None, str | None] = (None, None)
    for key in _STATUS.split():
        text = _state_text(key, flat.get(key))
        found = status.verdict(text)
        if found is not None and found.kind == "crashed":
            return text, key
        if found is not None and plain[0] is None:
            plain = text, key
        elif text and first[0] is None and key in ("status", "decision", "outcome", "verdict"):
            first = text, key
    return plain if plain[0] is not None else first


def _state_text(key: str, value: Any) -> str | None:
    if isinstance(value, bool):
        if key == "success":
            return "success" if value else "failed"
        return None if key in ("result", "action", "status") else "keep" if value else "discard"
    return value.strip() or None if isinstance(value, str) else None


def _clip(value: Any) -> str | None:
    return (
        values.json_safe(value)[:_MAX_TEXT_CHARS].strip() or None
        if isinstance(value, str)
        else None
    )


def _properties(flat: Mapping[str, Any], used: set[str | None]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in flat.items():
        if key in used or value is None or value == {} or value == []:
            continue
        if isinstance(value, float) and not math.isfinite(value):
            continue
        safe = values.json_safe(value)
        found[values.json_safe(key)] = safe[:_MAX_TEXT_CHARS] if isinstance(safe, str) else safe
    return found
