"""Evaluation where the SDK leaves it to the server: what is not given is not set."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from nightpane.flags import Context, FlagSet, Result
from nightpane.flags.model import UnknownError
from nightpane.flags.properties import OPERATORS, fits

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
ALL = [{"properties": [], "rollout_percentage": 100}]


def result(filters: dict[str, Any], context: Context | None = None, **flag: Any) -> Result:
    made = {"id": 1, "key": "f", "active": True, "filters": filters, **flag}
    return FlagSet([made]).evaluate(context or Context("x"))["f"]


def test_a_property_not_set_fits_the_negative_operators_only() -> None:
    fitting = {
        operator
        for operator in OPERATORS
        if fits({"key": "a", "operator": operator, "value": "1"}, {}, Context("x"))
    }
    assert fitting == {
        *("is_not", "is_not_set", "not_icontains", "not_icontains_multi", "not_regex"),
        *("not_starts_with", "not_ends_with", "not_between"),
    }
    for operator in OPERATORS:
        with pytest.raises(UnknownError):
            one = {"key": "a", "operator": operator, "value": "1"}
            fits(one, {}, Context("x", complete=False))


@pytest.mark.parametrize(
    ("operator", "wanted", "given", "expected"),
    [
        ("is_date_before", "-1d", "2026-03-30T11:59:00Z", True),
        ("is_date_before", "-1d", "2026-03-30T12:01:00Z", False),
        ("is_date_after", "1m", "2026-02-28T12:00:01+00:00", True),
        ("is_date_after", "2m", "2026-01-28 12:00:00", False),
        ("is_date_after", "2m", "2026-01-28 12:00:01", True),
        ("is_date_exact", "2026-01-02", "2026-01-02T01:00:00+01:00", True),
        ("is_date_after", "2026-01-02", "no date", False),
        ("semver_eq", "3.08", "3.8.0", True),
        ("semver_gt", "1.0", "none", False),
        ("between", [1, 3], 3, True),
        ("between", [1, 3], "3.1", False),
        ("not_between", [1, 3], 4, True),
        ("icontains_multi", ["x", "ER"], "coder", True),
        ("not_icontains_multi", ["x", "y"], "coder", True),
    ],
)
def test_operators_of_the_service(operator: str, wanted: Any, given: Any, expected: bool) -> None:
    one = {"key": "a", "operator": operator, "value": wanted}
    assert fits(one, {"a": given}, Context("x", now=NOW)) is expected


def test_reasons() -> None:
    nobody = {"properties": [], "rollout_percentage": 0}
    never = {"properties": [{"key": "a", "value": "1"}], "rollout_percentage": 100}
    assert result({"groups": ALL}, active=False) == Result(False, "flag_disabled")
    assert result({"groups": []}) == Result(False, "no_condition_match")
    assert result({"groups": [never, nobody]}) == Result(False, "out_of_rollout_bound", 1)
    assert result({"groups": [nobody, never, *ALL]}) == Result(True, "condition_match", 2)
    held = {"groups": ALL, "holdout": {"id": 4, "exclusion_percentage": 100}}
    assert result(held) == Result("holdout-4", "holdout_condition_value")
    assert result({"groups": [nobody, *ALL], "early_exit": True}).value is False
    by_device = {"bucketing_identifier": "device_id"}
    assert result({"groups": ALL}, **by_device) == Result(False, "out_of_rollout_bound", 0)
    assert result({"groups": ALL}, Context("x", device_id="d"), **by_device).value is True


def test_early_access() -> None:
    nobody = [{"properties": [], "rollout_percentage": 0}]
    own = {"key": "$feature_enrollment/f", "type": "person", "value": ["true"]}
    old = {"groups": nobody, "super_groups": [{"properties": [own], "rollout_percentage": 100}]}
    new = {"groups": nobody, "feature_enrollment": True}
    for filters in (old, new):
        enrolled = Context("x", {"$feature_enrollment/f": "true"})
        assert result(filters, enrolled) == Result(True, "super_condition_value", 0)
        left = Context("x", {"$feature_enrollment/f": "false"})
        assert result({**filters, "groups": ALL}, left).value is False
        assert result({**filters, "groups": ALL}) == Result(True, "condition_match", 0)


def test_experience_continuity_goes_by_the_anonymous_id() -> None:
    filters = {"groups": [{"properties": [], "rollout_percentage": 50}]}
    ids = [f"anon-{number}" for number in range(50)]
    plain = {one: result(filters, Context(one)).value for one in ids}
    assert set(plain.values()) == {True, False}
    for one, value in plain.items():
        known = Context("somebody", anonymous_id=one)
        assert result(filters, known, ensure_experience_continuity=True).value is value


def test_what_a_flag_depends_on() -> None:
    def needs(key: str) -> dict[str, Any]:
        one = {"key": key, "type": "flag", "operator": "flag_evaluates_to", "value": True}
        return {"groups": [{"properties": [one], "rollout_percentage": 100}]}

    flags = FlagSet(
        [
            {"id": 1, "key": "base", "active": True, "filters": {"groups": ALL}},
            {"id": 2, "key": "by_id", "active": True, "filters": needs("1")},
            {"id": 3, "key": "gone", "active": True, "filters": needs("99")},
            {"id": 4, "key": "above", "active": True, "filters": needs("gone")},
            {"id": 5, "key": "one", "active": True, "filters": needs("two")},
            {"id": 6, "key": "two", "active": True, "filters": needs("one")},
        ]
    )
    found = flags.evaluate(Context("x"))
    assert found["by_id"].value is True
    assert found["gone"] == Result(False, "missing_dependency", detail=found["gone"].detail)
    assert found["above"].reason == "missing_dependency"
    assert found["one"].value is None
    assert "depends on itself" in found["one"].detail


def test_one_document_nobody_can_read_does_not_hide_the_others() -> None:
    flags = FlagSet(
        [
            {"id": 1, "key": "bad", "active": True, "filters": {"groups": 7}},
            {"id": 2, "key": "good", "active": True, "filters": {"groups": ALL}},
        ]
    )
    found = flags.evaluate(Context("x"))
    assert (found["bad"].value, found["good"].value) == (None, True)
    assert "malformed" in found["bad"].detail


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "((a?)b)*", "(a{1,9}){1,9}c"])
def test_a_pattern_that_could_search_for_ever_is_not_used(pattern: str) -> None:
    one = {"key": "a", "operator": "regex", "value": pattern}
    began = time.monotonic()
    with pytest.raises(UnknownError, match="search for ever"):
        fits(one, {"a": "a" * 60}, Context("x"))
    assert time.monotonic() - began < 1


def test_the_shares_of_a_rollout() -> None:
    filters = {
        "groups": [{"properties": [], "rollout_percentage": 40}],
        "multivariate": {
            "variants": [
                {"key": "control", "rollout_percentage": 25},
                {"key": "test", "rollout_percentage": 75},
            ]
        },
    }
    values = [result(filters, Context(f"agent-{n}")).value for n in range(4_000)]
    # Three standard errors of a share of 4,000 are under 2.4 points.
    assert abs(values.count(False) / 4_000 - 0.60) < 0.024
    assert abs(values.count("control") / 4_000 - 0.10) < 0.024
    assert abs(values.count("test") / 4_000 - 0.30) < 0.024
