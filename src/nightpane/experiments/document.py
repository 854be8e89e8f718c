"""An experiment's document: what PostHog accepts in one, and how it goes from draft to archive.

Pure: a document and a request's body in, changes out. Every accepted field comes back unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

from nightpane.errors import ExperimentError
from nightpane.experiments.metric import read_metric
from nightpane.experiments.units import Unit

__all__ = [
    "FIELDS",
    "KIND",
    "baseline_of",
    "changes",
    "find_metric",
    "new",
    "status",
    "variants_of",
]

KIND = "experiment"
"""The kind of document in the definitions."""

FIELDS: Mapping[str, Any] = {
    "name": "",
    "description": "",
    "type": "product",
    "feature_flag_key": "",
    "start_date": None,
    "end_date": None,
    "archived": False,
    "paused": False,
    "deleted": False,
    "parameters": {},
    "metrics": [],
    "metrics_secondary": [],
    "secondary_metrics": [],
    "saved_metrics": [],
    "saved_metrics_ids": [],
    "primary_metrics_ordered_uuids": None,
    "secondary_metrics_ordered_uuids": None,
    "filters": {},
    "exposure_cohort": None,
    "exposure_criteria": {},
    "stats_config": {},
    "holdout_id": None,
    "tags": [],
    "conclusion": None,
    "conclusion_comment": None,
    "allow_unknown_events": False,
}
_KINDS: Mapping[str, tuple[type, str]] = {
    **dict.fromkeys(("name", "description", "conclusion_comment"), (str, "a text")),
    **dict.fromkeys(("parameters", "filters", "exposure_criteria", "stats_config"), (dict, "map")),
    **dict.fromkeys(("metrics", "metrics_secondary", "secondary_metrics", "tags"), (list, "list")),
    **dict.fromkeys(("archived", "deleted", "allow_unknown_events"), (bool, "a boolean")),
}
_WORDS = {"map": "an object", "list": "a list"}
_CONCLUSIONS = ("won", "lost", "inconclusive", "stopped_early", "invalid")
_HANDLING = ("exclude", "first_seen")
_METHODS = ("bayesian", "frequentist")
_MOST_CHARS = 400


def new(body: Mapping[str, Any], flag: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document of a new experiment on a flag. Raises ExperimentError."""
    if not body.get("name"):
        raise ExperimentError("This field is required.", attr="name")
    checked = _checked(body)
    document = {name: checked.get(name, default) for name, default in FIELDS.items()}
    return {**document, "feature_flag_key": flag["key"]}


def changes(document: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a PATCH changes of a document. Raises ExperimentError."""
    key = body.get("feature_flag_key")
    if key not in (None, document["feature_flag_key"]):
        raise ExperimentError(
            "Can't update keys: get_feature_flag_key on Experiment", attr="feature_flag_key"
        )
    if "name" in body and not body["name"]:
        raise ExperimentError("This field may not be blank.", attr="name")
    return {name: value for name, value in _checked(body).items() if name != "feature_flag_key"}


def status(document: Mapping[str, Any]) -> str:
    """Return draft, running, paused or stopped."""
    if not document.get("start_date"):
        return "draft"
    if document.get("end_date"):
        return "stopped"
    return "paused" if document.get("paused") else "running"


def variants_of(flag: Mapping[str, Any]) -> dict[str, float]:
    """Return a flag's variants with their shares. Raises ExperimentError for fewer than two."""
    filters = flag.get("filters") or {}
    listed = (filters.get("multivariate") or {}).get("variants") or []
    if len(listed) < 2:
        raise ExperimentError(
            f"Feature flag {flag.get('key')!r} must have at least 2 variants (control and at least "
            "one test variant): nightpane flags set "
            f"{flag.get('key')} --variants control=50,test=50 --by round",
            attr="feature_flag_key",
        )
    if filters.get("aggregation_group_type_index") is not None:
        raise ExperimentError(
            f"Feature flag {flag.get('key')!r} gives variants to groups: rounds, runs and agents "
            "are compared here.",
            attr="feature_flag_key",
        )
    return {one["key"]: float(one.get("rollout_percentage") or 0) for one in listed}


def baseline_of(document: Mapping[str, Any], variants: Mapping[str, float]) -> str:
    """Return the variant that others are compared with: named, else control, else the first.

    Raises ExperimentError for one that is named and not there.
    """
    named = (document.get("stats_config") or {}).get("baseline_variant_key")
    if named is not None and named not in variants:
        raise ExperimentError(
            f"baseline_variant_key {named!r} is not a variant of the flag: {', '.join(variants)}.",
            attr="stats_config",
        )
    return named or ("control" if "control" in variants else next(iter(variants)))


def find_metric(document: Mapping[str, Any], uuid: Any = None) -> Mapping[str, Any]:
    """Return an experiment's metric by its uuid, by default the first. Raises ExperimentError."""
    metrics = [*(document.get("metrics") or []), *(document.get("metrics_secondary") or [])]
    for one in metrics:
        if uuid is None or one.get("uuid") == uuid:
            found: Mapping[str, Any] = one
            return found
    raise ExperimentError("The experiment has no such metric: give one.", attr="metric")


def _checked(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a body that a document has, checked."""
    found = {name: body[name] for name in FIELDS if name in body and name != "paused"}
    for name, (kind, word) in _KINDS.items():
        value = found.get(name)
        if value is None and name in found:
            found[name] = FIELDS[name]
        elif name in found and not isinstance(value, kind):
            raise ExperimentError(f"This field must be {_WORDS.get(word, word)}.", attr=name)
    if len(found.get("name") or "") > _MOST_CHARS:
        raise ExperimentError(
            f"Ensure this field has no more than {_MOST_CHARS} characters.", attr="name"
        )
    for name in ("metrics", "metrics_secondary"):
        if name in found:
            found[name] = [_metric(one, name) for one in found[name]]
    if found.get("secondary_metrics"):
        raise ExperimentError(
            "Legacy metrics are not supported: use metrics_secondary.", attr="secondary_metrics"
        )
    _check_choices(found)
    _check_dates(found)
    _check_parameters(found.get("parameters") or {})
    return found


def _metric(given: Any, name: str) -> dict[str, Any]:
    try:
        read_metric(given)
    except ExperimentError as error:
        raise ExperimentError(str(error), attr=name) from error
    return {**given, "uuid": given.get("uuid") or str(uuid4())}


def _check_choices(found: Mapping[str, Any]) -> None:
    criteria, stats = found.get("exposure_criteria") or {}, found.get("stats_config") or {}
    units = tuple(map(str, Unit))
    for attr, name, value, known in (
        ("conclusion", "conclusion", found.get("conclusion"), _CONCLUSIONS),
        ("stats_config", "method", stats.get("method"), _METHODS),
        ("stats_config", "difference", stats.get("difference"), ("relative", "absolute")),
        (
            *("exposure_criteria", "multiple_variant_handling"),
            *(criteria.get("multiple_variant_handling"), _HANDLING),
        ),
        ("exposure_criteria", "assignment_unit", criteria.get("assignment_unit"), units),
        ("exposure_criteria", "analysis_unit", criteria.get("analysis_unit"), units),
    ):
        if value is not None and value not in known:
            raise ExperimentError(
                f'{name}: "{value}" is not a valid choice: {", ".join(known)} are.', attr=attr
            )


def _check_dates(found: Mapping[str, Any]) -> None:
    for name in ("start_date", "end_date"):
        value = found.get(name)
        try:
            if value is not None and datetime.fromisoformat(value).tzinfo is None:
                raise ValueError
        except (TypeError, ValueError):
            raise ExperimentError(
                "Datetime has wrong format. Use one of these formats instead: "
                "YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z].",
                attr=name,
            ) from None


def _check_parameters(parameters: Mapping[str, Any]) -> None:
    for name in ("minimum_detectable_effect", "recommended_sample_size"):
        value = parameters.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            raise ExperimentError(f"{name} must be a number above 0.", attr="parameters")
