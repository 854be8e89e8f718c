"""The one query of an experiment: exposures and a metric, summed by variant.

Level by level: an event's part in it, when its unit was first exposed, the measured unit, the
assigned unit, its place in its variant's order of exposure, and sums over lots of that order. Lots
let the reader of the answer look back at any size the experiment had, without another query.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from nightpane.experiments.expressions import event_condition, field
from nightpane.experiments.metric import Metric, Source
from nightpane.experiments.units import Unit, Units

__all__ = ["MULTIPLE", "Exposure", "Question", "build", "build_exposures"]

MULTIPLE = "$multiple"
_DEFAULT_EVENTS = ("$feature_flag_called", "$experiment_exposure")
_IDS = {
    Unit.ROUND: "ifNull(properties.round_id, properties.$ai_trace_id)",
    Unit.RUN: "properties.run_id",
    Unit.AGENT: "distinct_id",
}
_EXPOSED = """select
    *,
    min(if(is_exposure, timestamp, null)) over (partition by measured_id) as exposed_at
from told
where measured_id is not null"""
_PLACED = """select
    *,
    row_number() over (partition by arm, valued order by entered_at, owner_id) as place
from marked"""

_ENTERED = """select
    assigned_id,
    min(timestamp) as entered_at,
    groupUniqArray(answered) as all_answers,
    argMin(answered, timestamp) as answer
from told
where is_exposure
    and measured_id is not null
    and assigned_id is not null
group by assigned_id"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """How units come into an experiment: ``start`` is inclusive, ``end`` is not."""

    flag_key: str
    variants: Sequence[str]
    start: datetime
    end: datetime
    event: str = "$feature_flag_called"
    properties: Any = None
    first_seen: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """HogQL with the values of its placeholders."""

    query: str
    values: dict[str, Any]


def build(exposure: Exposure, metric: Metric, units: Units) -> Question:
    """Return the query. Its columns are ``arm``, ``valued``, ``lot``, ``units``, ``measured``,
    ``sum_0``, ``squares_0``, and for a ratio ``sum_1``, ``squares_1``, ``product``; for a funnel
    ``step_0`` and so on.
    """
    values = dict(metric.values)
    values |= {
        "variants": list(exposure.variants),
        "start": _moment(exposure.start),
        "end": _moment(exposure.end),
    }
    steps = {"told": _told(exposure, metric.sources, units, values), "exposed": _EXPOSED}
    steps["outcomes"] = _outcomes(metric, values)
    if metric.metric_type == "funnel":
        steps["reached"] = _reached(metric)
    steps["assigned"] = _assigned(metric, next(reversed(steps)))
    steps["marked"] = _marked(exposure)
    steps["placed"] = _PLACED
    return Question(_with(steps, _summed(metric)), values)


def build_exposures(exposure: Exposure, units: Units) -> Question:
    """Return the query of when units were first exposed: ``arm``, ``day`` (UTC) and ``units``."""
    values: dict[str, Any] = {
        "variants": list(exposure.variants),
        "start": _moment(exposure.start),
        "end": _moment(exposure.end),
    }
    steps = {"told": _told(exposure, (), units, values), "entered": _ENTERED}
    counted = f"""select
    {_arm(exposure)} as arm,
    toDate(entered_at) as day,
    count() as units
from entered
group by arm, day
order by arm, day
limit 10000"""  # noqa: S608 (fixed texts only: values are placeholders)
    return Question(_with(steps, counted), values)


def _with(steps: dict[str, str], last: str) -> str:
    """Return a query of steps: the grammar's time grows with queries inside queries."""
    listed = ",\n".join(f"{name} as (\n{_indent(text)}\n)" for name, text in steps.items())
    return f"with {listed}\n{last}"


def _told(
    exposure: Exposure, sources: Sequence[Source], units: Units, values: dict[str, Any]
) -> str:
    shown, answer = _shown(exposure, values)
    names = [source.event for source in sources]
    only = ""
    if None not in names:
        values["events"] = sorted({exposure.event, *(name for name in names if name is not None)})
        only = "\n    and event in {events}"
    parts = "".join(
        f",\n    {source.condition} as is_{i},\n    {source.value} as value_{i}"
        for i, source in enumerate(sources)
    )
    return f"""select
    timestamp,
    {_IDS[units.measured]} as measured_id,
    {_IDS[units.assigned]} as assigned_id,
    toString({answer}) as answered,
    {shown} and answered in {{variants}} as is_exposure{parts}
from events
where timestamp >= {{start}}
    and timestamp < {{end}}{only}"""  # noqa: S608 (fixed texts only: values are placeholders)


def _shown(exposure: Exposure, values: dict[str, Any]) -> tuple[str, str]:
    """Return the condition of an exposure event and where it names the variant."""
    shown = event_condition(exposure.event, exposure.properties, values)
    if exposure.event not in _DEFAULT_EVENTS:
        return shown, field(f"$feature/{exposure.flag_key}")
    values["flag"] = exposure.flag_key
    return f"{shown} and properties.$feature_flag = {{flag}}", "properties.$feature_flag_response"


def _outcomes(metric: Metric, values: dict[str, Any]) -> str:
    within = ""
    if metric.window_s is not None:
        values["window"] = metric.window_s
        within = "\n    and (is_exposure or timestamp < exposed_at + toIntervalSecond({window}))"
    if metric.metric_type == "funnel":
        parts = [f"groupArrayIf(timestamp, is_{i}) as times_{i}" for i in _range(metric)]
    else:
        parts = [f"{_aggregate(s, i)} as figure_{i}" for i, s in enumerate(metric.sources)]
    listed = "".join(f",\n    {part}" for part in parts)
    return f"""select
    measured_id,
    argMinIf(assigned_id, timestamp, is_exposure) as owner_id,
    min(exposed_at) as shown_at,
    groupUniqArrayIf(answered, is_exposure) as answers,
    argMinIf(answered, timestamp, is_exposure) as first_answer{listed}
from exposed
where timestamp >= exposed_at{within}
group by measured_id"""  # noqa: S608


def _aggregate(source: Source, i: int) -> str:
    if source.aggregate == "count":
        return f"countIf(is_{i} and value_{i} is not null)"
    name = {"uniq": "uniqExact"}.get(source.aggregate, source.aggregate)
    found = f"{name}If(value_{i}, is_{i})"
    return found if source.absent is None else f"ifNull({found}, 0)"


def _reached(metric: Metric) -> str:
    """Each step is reached at its first time that is not before the step before it."""
    parts, before = [], "shown_at"
    for i in _range(metric):
        parts.append(f"arrayFilter(x -> x >= {before}, times_{i}) as after_{i}")
        parts.append(f"if(empty(after_{i}), null, arrayMin(after_{i})) as at_{i}")
        parts.append(f"at_{i} is not null as step_{i}")
        before = f"at_{i}"
    last = len(metric.sources) - 1
    listed = ",\n    ".join(parts)
    return f"""select
    owner_id, shown_at, answers, first_answer,
    {listed},
    toFloat(step_{last}) as figure_0
from outcomes"""  # noqa: S608


def _assigned(metric: Metric, source: str) -> str:
    if metric.metric_type == "ratio":
        parts = ["sum(figure_0) as part_0", "sum(figure_1) as part_1"]
    else:
        parts = ["avg(figure_0) as part_0"]
    if metric.metric_type == "funnel":
        parts += [f"countIf(step_{i}) as passed_{i}" for i in _range(metric)]
    listed = "".join(f",\n    {part}" for part in parts)
    return f"""select
    owner_id,
    min(shown_at) as entered_at,
    groupUniqArrayArray(answers) as all_answers,
    argMin(first_answer, shown_at) as answer,
    count() as things{listed}
from {source}
group by owner_id"""  # noqa: S608


def _arm(exposure: Exposure) -> str:
    several = f"if(length(all_answers) = 1, answer, '{MULTIPLE}')"
    return "answer" if exposure.first_seen else several


def _marked(exposure: Exposure) -> str:
    return f"""select
    *,
    {_arm(exposure)} as arm,
    length(all_answers) > 1 as several,
    ifNull(isFinite(part_0), false) as valued
from assigned"""  # noqa: S608


def _summed(metric: Metric) -> str:
    parts = ["sum(part_0) as sum_0", "sum(part_0 * part_0) as squares_0"]
    if metric.metric_type == "ratio":
        parts += ["sum(part_1) as sum_1", "sum(part_1 * part_1) as squares_1"]
        parts += ["sum(part_0 * part_1) as product"]
    if metric.metric_type == "funnel":
        parts += [f"sum(passed_{i}) as step_{i}" for i in _range(metric)]
    listed = "".join(f",\n    {part}" for part in parts)
    return f"""select
    arm,
    valued,
    floor(log2(place) * 8) as lot,
    count() as units,
    sum(things) as measured,
    countIf(several) as mixed{listed}
from placed
group by arm, valued, lot
order by arm, valued, lot
limit 10000"""  # noqa: S608


def _range(metric: Metric) -> range:
    return range(len(metric.sources))


def _indent(text: str) -> str:
    return "    " + text.replace("\n", "\n    ")


def _moment(at: datetime) -> str:
    # With its fraction: one experiment may follow another on the same flag within a second.
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
