"""An experiment's results over HTTP: PostHog's shape, figures that are right, n that is honest."""

from __future__ import annotations

import random
from typing import Any

import pytest
from scipy import stats
from tests.experiments.loops import Api, Outcome, simulate

from nightpane.experiments.presets import preset
from nightpane.testing import LocalServer


@pytest.fixture(scope="module")
def api(server: LocalServer) -> Api:
    return Api(server)


def play(effect: float) -> Any:
    """Return rounds that score 0.5 give or take 0.1, ``effect`` more in the variant ``test``."""

    def one(rng: random.Random, variant: str) -> Outcome:
        score = rng.gauss(0.5 + (effect if variant == "test" else 0.0), 0.1)
        return Outcome(score, kept=score > 0.6, cost_usd=rng.uniform(0.01, 0.03))

    return one


def by_key(answer: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["key"]: one for one in [answer["baseline"], *answer["variant_results"]]}


def scores(events: list[dict[str, Any]]) -> dict[str, list[float]]:
    variant, found = {}, {"control": [], "test": []}
    for event in events:
        properties = event["properties"]
        if event["event"] == "$feature_flag_called":
            variant[properties["round_id"]] = properties["$feature_flag_response"]
        if event["event"] == "round_scored":
            found[variant[properties["round_id"]]].append(properties["score"])
    return found


def test_a_true_effect_is_found_and_its_figures_are_scipys(api: Api) -> None:
    events = simulate("true_effect", 600, play(0.08), seed=1)
    api.send(events)
    experiment = api.launch(
        "true_effect",
        stats_config={"method": "frequentist", "difference": "absolute"},
        parameters={"minimum_detectable_effect": 0.05},
        metrics=[preset("best_score")],
    )
    answer = api.result(experiment)
    arms, raw = by_key(answer), scores(events)
    theirs = stats.ttest_ind(raw["test"], raw["control"], equal_var=False)
    test = arms["test"]
    assert (answer["kind"], test["method"]) == ("ExperimentQuery", "frequentist")
    assert test["number_of_samples"] == len(raw["test"])
    assert test["sum"] == pytest.approx(sum(raw["test"]))
    assert test["sum_squares"] == pytest.approx(sum(x * x for x in raw["test"]))
    assert test["p_value"] == pytest.approx(theirs.pvalue, rel=1e-6)
    interval = theirs.confidence_interval()
    assert test["confidence_interval"] == pytest.approx([interval.low, interval.high])
    assert test["significant"] is True
    assert test["decision"] == "better"
    assert test["guard"]["significant"] is True
    assert answer["sample_size_left"] == 0
    assert answer["unit"]["assigned"] == "round"
    assert answer["sample_ratio_p_value"] > 0.001


def test_no_effect_is_not_called_one(api: Api) -> None:
    api.send(simulate("no_effect", 600, play(0.0), seed=2))
    experiment = api.launch(
        "no_effect",
        parameters={"minimum_detectable_effect": 10},
        metrics=[preset("best_score"), preset("kept_rate"), preset("cost_per_kept")],
    )
    for metric in experiment["metrics"]:
        test = by_key(api.result(experiment, metric))["test"]
        assert test["significant"] is False
        assert test["decision"] in ("no effect seen", "not enough data")


def test_few_rounds_are_not_enough_whatever_they_show(api: Api) -> None:
    api.send(simulate("few", 24, play(0.3), seed=3))
    experiment = api.launch("few", metrics=[preset("best_score")])
    answer = api.result(experiment)
    test = by_key(answer)["test"]
    assert test["fixed_horizon_significant"] is True
    assert test["significant"] is False
    assert test["decision"] == "not enough data"
    assert test["sample_size_left"] == 2 * test["sample_size_needed"] - 24
    assert answer["exposures"]["sample_ratio_mismatch"] is None


def test_kept_rate_and_cost_per_kept_are_the_events_own(api: Api) -> None:
    events = simulate("rates", 400, play(0.1), seed=4)
    api.send(events)
    experiment = api.launch("rates", metrics=[preset("kept_rate")])
    arm = {
        e["properties"]["round_id"]: e["properties"]["$feature_flag_response"]
        for e in events
        if e["event"] == "$feature_flag_called"
    }
    ends = [e for e in events if "cost_usd" in e["properties"]]
    ends = [e for e in ends if arm[e["properties"]["round_id"]] == "test"]
    kept = sum(e["event"] == "round_kept" for e in ends)
    costs = [e["properties"]["cost_usd"] for e in ends]
    rate = by_key(api.result(experiment))["test"]
    assert (rate["number_of_samples"], rate["sum"]) == (len(ends), kept)
    assert rate["step_counts"] == [kept]
    assert rate["chance_to_win"] > 0.99
    assert rate["credible_interval"][0] > 0
    cost = by_key(api.result(experiment, preset("cost_per_kept")))["test"]
    assert cost["sum"] == pytest.approx(sum(costs))
    assert cost["denominator_sum"] == kept
    assert cost["figure"] == pytest.approx(sum(costs) / kept)
    assert cost["numerator_denominator_sum_product"] == pytest.approx(
        sum(c for c, e in zip(costs, ends, strict=True) if e["event"] == "round_kept")
    )
    assert cost["effect"] < 0
    assert cost["decision"] == "better"


def test_agents_are_counted_where_agents_have_the_variants(api: Api) -> None:
    """Twelve agents, some of them better: 1,200 rounds are twelve observations, and no proof."""
    skills = [0.40, 0.45, 0.45, 0.50, 0.50, 0.55, 0.55, 0.60, 0.60, 0.65, 0.65, 0.70]

    def by_skill(rng: random.Random, variant: str) -> Outcome:
        return Outcome(rng.gauss(float(variant), 0.02), kept=False, cost_usd=0.01)

    events = simulate(
        "per_agent",
        1_200,
        by_skill,
        seed=5,
        assign=lambda rng, number: str(skills[number % 12]),
        agent=lambda number: f"agent{number % 12}",
    )
    for event in events:
        if event["event"] == "$feature_flag_called":
            odd = int(event["distinct_id"].removeprefix("agent")) % 2
            event["properties"]["$feature_flag_response"] = "test" if odd else "control"
    api.send(events)
    experiment = api.launch("per_agent", bucketing=None, metrics=[preset("kept_rate")])
    mean = {**preset("best_score"), "source": {**preset("best_score")["source"], "math": "avg"}}
    answer = api.result(experiment, mean)
    arms = by_key(answer)
    unit = answer["unit"]
    assert (unit["assigned"], unit["measured"], unit["clustered"]) == ("agent", "round", True)
    assert "n counts agents" in unit["explanation"]
    assert {key: arm["number_of_samples"] for key, arm in arms.items()} == {"control": 6, "test": 6}
    assert {arm["measured_units"] for arm in arms.values()} == {600}
    assert arms["control"]["figure"] == pytest.approx(sum(skills[::2]) / 6, abs=0.01)
    assert arms["test"]["fixed_horizon_significant"] is False
    assert arms["test"]["decision"] == "not enough data"
    # Counting the rounds instead would be sure of it.
    wrong = api.call(
        "PATCH",
        f"experiments/{experiment['id']}/",
        {"exposure_criteria": {"assignment_unit": "round"}},
    )
    assert by_key(api.result(wrong, mean))["test"]["frequentist"]["p_value"] < 1e-6


def test_the_best_of_a_run_counts_runs(api: Api) -> None:
    """60 runs of 10 rounds: the best score of each, by the variant the run was given."""

    def of_run(number: int) -> str:
        return f"run-{number // 10}"

    events = simulate(
        "per_run",
        600,
        play(0.1),
        seed=6,
        assign=lambda rng, number: ("control", "test")[number // 10 % 2],
        run=of_run,
    )
    api.send(events)
    experiment = api.launch(
        "per_run",
        exposure_criteria={"assignment_unit": "run"},
        metrics=[preset("best_score")],
    )
    answer = api.result(experiment)
    best: dict[str, float] = {}
    for event in events:
        if event["event"] == "round_scored":
            run_id = event["properties"]["run_id"]
            best[run_id] = max(best.get(run_id, 0.0), event["properties"]["score"])
    expected = sum(value for run_id, value in best.items() if int(run_id[4:]) % 2)
    test = by_key(answer)["test"]
    assert test["number_of_samples"] == 30
    assert test["sum"] == pytest.approx(expected)
    assert answer["unit"]["measured"] == "run"
    assert answer["warnings"] == []


def test_a_unit_that_saw_several_variants_is_left_out_and_told(api: Api) -> None:
    """A flag that varies by round cannot be read as one that agents have."""
    api.send(simulate("mixed", 200, play(0.1), seed=7, agent=lambda number: f"a{number % 10}"))
    experiment = api.launch(
        "mixed",
        exposure_criteria={"assignment_unit": "agent"},
        metrics=[preset("kept_rate")],
    )
    answer = api.result(experiment)
    assert answer["exposures"]["total_exposures"] == {"control": 0, "test": 0, "$multiple": 10}
    assert answer["baseline"]["number_of_samples"] == 0
    assert any("10 of 10 agents saw several variants" in one for one in answer["warnings"])
    first = api.call(
        "PATCH",
        f"experiments/{experiment['id']}/",
        {
            "exposure_criteria": {
                "assignment_unit": "agent",
                "multiple_variant_handling": "first_seen",
            }
        },
    )
    seen = api.result(first)["exposures"]["total_exposures"]
    assert sum(seen.values()) == 10
    assert "$multiple" not in seen


def test_a_split_that_does_not_fit_is_told(api: Api) -> None:
    events = simulate(
        "skewed",
        400,
        play(0.0),
        seed=8,
        assign=lambda rng, number: "test" if rng.random() < 0.35 else "control",
    )
    api.send(events)
    answer = api.result(api.launch("skewed", metrics=[preset("kept_rate")]))
    assert answer["sample_ratio_p_value"] < 0.001
    assert answer["exposures"]["sample_ratio_mismatch"]["expected"] == {"control": 200, "test": 200}
    assert any("do not fit their shares" in one for one in answer["warnings"])


def test_rounds_without_a_score_are_told_of_and_not_counted_as_zero(api: Api) -> None:
    def crashing(rng: random.Random, variant: str) -> Outcome:
        return Outcome(None if rng.random() < 0.2 else 0.5, kept=False, cost_usd=0.01)

    events = simulate("crashes", 100, crashing, seed=9)
    api.send(events)
    answer = api.result(api.launch("crashes", metrics=[preset("best_score")]))
    arms = by_key(answer)
    lost = 100 - sum(event["event"] == "round_scored" for event in events)
    assert sum(arm["units_without_value"] for arm in arms.values()) == lost
    assert arms["control"]["figure"] == 0.5
    assert any(f"{lost} of 100 rounds have no value" in one for one in answer["warnings"])


def test_only_what_follows_the_exposure_and_lies_in_the_window_counts(api: Api) -> None:
    events = simulate(
        "late", 60, play(0.0), seed=10, assign=lambda rng, n: ("control", "test")[n % 2]
    )
    for event in events:
        if event["event"] == "$feature_flag_called" and event["properties"]["round_id"].endswith(
            "5"
        ):
            event["timestamp"] = event["timestamp"][:17] + "59+00:00"
    api.send(events)
    experiment = api.launch("late", metrics=[preset("kept_rate")])
    counting = {
        "kind": "ExperimentMetric",
        "metric_type": "mean",
        "source": {"kind": "EventsNode", "event": "round_started", "math": "total"},
    }
    arms = by_key(api.result(experiment, counting))
    assert (arms["control"]["sum"], arms["test"]["sum"]) == (30, 24)
    soon = {**counting, "conversion_window": 1, "conversion_window_unit": "second"}
    assert by_key(api.result(experiment, soon))["control"]["sum"] == 0


def test_the_steps_of_a_funnel_are_in_order(api: Api) -> None:
    api.send(simulate("funnel", 60, play(0.2), seed=11))
    experiment = api.launch("funnel", metrics=[preset("kept_rate")])

    def steps(*names: str) -> list[int]:
        series = [{"kind": "EventsNode", "event": name} for name in names]
        metric = {"kind": "ExperimentMetric", "metric_type": "funnel", "series": series}
        return list(by_key(api.result(experiment, metric))["test"]["step_counts"])

    started, scored, kept = steps("round_started", "round_scored", "round_kept")
    assert started == scored > kept > 0
    assert steps("round_scored", "round_started") == [scored, 0]


def test_a_draft_and_an_unknown_experiment_have_no_results(api: Api) -> None:
    made = api.call(
        "POST",
        "experiments/",
        {"name": "d", "feature_flag_key": "drafted", "metrics": [preset("kept_rate")]},
        201,
    )
    assert "launch it first" in api.result(made, status=400)["detail"]
    assert api.result({"id": 999_999}, status=400)["attr"] == "experiment_id"


@pytest.mark.parametrize(
    ("metric", "says"),
    [
        ({"metric_type": "retention"}, "retention"),
        ({"metric_type": "mean", "source": {"kind": "ActionsNode", "id": 1}}, "ActionsNode"),
        ({"metric_type": "mean", "source": {"event": "a", "math": "dau"}}, "dau"),
        ({"metric_type": "mean", "source": {"event": "a", "math": "sum"}}, "math_property"),
        ({"metric_type": "mean"}, "source"),
        ({"metric_type": "funnel", "series": []}, "series"),
        ({"kind": "ExperimentTrendsQuery"}, "ExperimentTrendsQuery"),
        (
            {"metric_type": "mean", "source": {"event": "a"}, "upper_bound_percentile": 0.9},
            "upper_bound_percentile",
        ),
        (
            {"metric_type": "mean", "source": {"math": "hogql", "math_hogql": "sum(a) / count()"}},
            "math_hogql",
        ),
        (
            {"metric_type": "mean", "source": {"math": "hogql", "math_hogql": "1) from x --"}},
            "math_hogql",
        ),
    ],
)
def test_what_is_not_supported_is_refused_by_name(api: Api, metric: Any, says: str) -> None:
    body = {"name": "r", "feature_flag_key": "refused", "metrics": [metric]}
    answer = api.call("POST", "experiments/", body, 400)
    assert (answer["type"], answer["attr"]) == ("validation_error", "metrics")
    assert says in answer["detail"]


def test_property_filters_and_odd_names(api: Api) -> None:
    api.send(simulate("filters", 40, play(0.0), seed=12))
    experiment = api.launch("filters", metrics=[preset("kept_rate")])

    def counted(*properties: dict[str, Any]) -> int:
        source = {"kind": "EventsNode", "event": "round_scored", "properties": list(properties)}
        metric = {"kind": "ExperimentMetric", "metric_type": "mean", "source": source}
        return int(sum(arm["sum"] for arm in by_key(api.result(experiment, metric)).values()))

    assert counted() == 40
    assert counted({"key": "project", "value": ["sim", "other"], "operator": "exact"}) == 40
    assert counted({"key": "project", "value": "sim", "operator": "is_not"}) == 0
    assert counted({"key": "odd `name\\ of' it", "operator": "is_set"}) == 0
    assert counted({"key": "odd `name\\ of' it", "operator": "is_not_set"}) == 40
    assert counted({"key": "direction", "value": "M_X", "operator": "icontains"}) == 0
    assert counted({"key": "direction", "value": "MA", "operator": "icontains"}) == 40
    low = counted({"key": "score", "value": 0.5, "operator": "lt"})
    assert low + counted({"key": "score", "value": "0.5", "operator": "gte"}) == 40
    assert counted({"type": "hogql", "key": "toFloat(properties.score) < 0.5 -- low"}) == low


def test_three_variants_an_exposure_event_of_ones_own_and_a_named_baseline(api: Api) -> None:
    keys = ("a", "b", "c")
    events = simulate("three", 300, play(0.0), seed=13, assign=lambda rng, n: keys[n % 3])
    for event in events:
        if event["event"] == "$feature_flag_called":
            event["event"] = "scorer chosen"
            event["properties"]["$feature/three"] = event["properties"]["$feature_flag_response"]
    api.send(events)
    split = [
        {"key": key, "rollout_percentage": share}
        for key, share in zip(keys, (34, 33, 33), strict=True)
    ]
    chosen = {"kind": "ExperimentEventExposureConfig", "event": "scorer chosen", "properties": []}
    experiment = api.launch(
        "three",
        metrics=[preset("kept_rate")],
        parameters={"feature_flag_variants": split},
        stats_config={"baseline_variant_key": "b"},
        exposure_criteria={"exposure_config": chosen},
    )
    answer = api.result(experiment)
    assert answer["baseline"]["key"] == "b"
    assert [one["key"] for one in answer["variant_results"]] == ["a", "c"]
    assert answer["exposures"]["total_exposures"] == {"a": 100, "b": 100, "c": 100, "$multiple": 0}
    assert any("2 variants are each compared with b" in one for one in answer["warnings"])


def test_the_query_in_the_answer_can_be_asked_again(api: Api) -> None:
    api.send(simulate("again", 60, play(0.0), seed=14))
    answer = api.result(api.launch("again", metrics=[preset("best_score")]))
    node = {"kind": "HogQLQuery", "query": answer["hogql"], "values": answer["hogql_values"]}
    body = api.call("POST", "query/", {"query": node})
    rows = [dict(zip(body["columns"], row, strict=True)) for row in body["results"]]
    assert sum(row["units"] for row in rows) == 60
    assert sum(row["sum_0"] for row in rows if row["arm"] == "test") == pytest.approx(
        by_key(answer)["test"]["sum"]
    )


def test_exposures_by_day_come_to_what_the_results_count(api: Api) -> None:
    events = simulate("exposed", 300, play(0.0), seed=5)
    api.send(events)
    experiment = api.launch("exposed", metrics=[preset("best_score")])
    node = {"kind": "ExperimentExposureQuery", "experiment_id": experiment["id"]}
    answer = api.call("POST", "query/", {"query": node})
    whole = api.result(experiment)["exposures"]["total_exposures"]
    assert answer["total_exposures"] == {key: n for key, n in whole.items() if n}
    first: dict[str, tuple[str, str]] = {}
    for event in events:
        if event["event"] == "$feature_flag_called":
            told = event["properties"]
            first[told["round_id"]] = (told["$feature_flag_response"], event["timestamp"][:10])
    for line in answer["timeseries"]:
        days = [day for variant, day in first.values() if variant == line["variant"]]
        expected = [sum(one <= day for one in days) for day in line["days"]]
        assert line["exposure_counts"] == expected
    assert answer["date_range"]["date_from"] == experiment["start_date"]


def test_an_experiment_with_a_start_is_launched(api: Api) -> None:
    body = {"name": "now", "feature_flag_key": "now", "start_date": "2026-03-01T00:00:00Z"}
    made = api.call("POST", "experiments/", body, 201)
    assert (made["status"], made["feature_flag"]["active"]) == ("running", True)
    draft = api.call("POST", "experiments/", {"name": "later", "feature_flag_key": "later"}, 201)
    assert (draft["status"], draft["feature_flag"]["active"]) == ("draft", False)
    begun = {"start_date": "2026-03-01T00:00:00Z"}
    launched = api.call("PATCH", f"experiments/{draft['id']}/", begun)
    assert (launched["status"], launched["feature_flag"]["active"]) == ("running", True)
