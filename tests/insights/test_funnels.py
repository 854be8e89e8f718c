"""Funnels against a walk through the events in plain Python, on many actors with random events."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import ceil, floor
from statistics import mean, median
from typing import Any

import pytest
from tests.insights.conftest import Ask
from tests.insights.funnels_in_python import Happened, Walk, unordered

from nightpane.errors import InsightError
from nightpane.ids import deterministic_uuid
from nightpane.store import Store, StoredEvent

START = datetime(2026, 3, 1, 23, 50, tzinfo=UTC)
WINDOW = 6
ACTORS = 500
NAMES = "aaabbbcccxy"
Seen = tuple[int, str, str]  # the second, the event, the value


def _lives() -> dict[str, list[Seen]]:
    """Each actor's events, in so few seconds that many are of the same one."""
    dice = random.Random(20260301)
    found = {}
    for number in range(ACTORS):
        seconds = dice.choice([8, 20, 40])
        events = [
            (dice.randrange(seconds) * 60, dice.choice(NAMES), dice.choice(["p", "q", ""]))
            for _ in range(dice.randrange(1, 14))
        ]
        found[f"round-{number:03}"] = events
    return found


LIVES = _lives()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store with the actors' events, in place of the other insights' one."""
    with Store.open(tmp_path_factory.mktemp("store")) as opened:
        opened.insert(
            [
                StoredEvent(
                    uuid=deterministic_uuid(who, str(number)),
                    event=name,
                    distinct_id=f"agent-{who[-1]}",
                    timestamp=START + timedelta(seconds=at),
                    properties={"who": who, "part": value},
                )
                for who, events in LIVES.items()
                for number, (at, name, value) in enumerate(events)
            ]
        )
        yield opened


def _funnel(steps: str, more: dict[str, Any] | None = None, **query: Any) -> dict[str, Any]:
    series = [{"kind": "EventsNode", "event": name} for name in steps]
    funnel = {
        "funnelWindowInterval": WINDOW,
        "funnelWindowIntervalUnit": "minute",
        "funnelAggregateByHogQL": "properties.who",
        **(more or {}),
    }
    dates = {"date_from": "2026-03-01", "date_to": "2026-03-02"}
    node = {"kind": "FunnelsQuery", "series": series, "dateRange": dates, "funnelsFilter": funnel}
    return {**node, **query}


BY_WHO = {"breakdown": "who", "breakdown_limit": ACTORS}


def _happened(steps: str, void: tuple[str, set[int]] | None = None, *, strict: bool = False) -> Any:
    """Return what tells an actor's events as the walk knows them."""

    def told(events: list[Seen]) -> list[Happened]:
        found = []
        # PostHog leaves open which of two equal events of an instant comes first: here, by value.
        by_value = sorted(events, key=lambda one: (one[0], one[2]))
        for number, (at, name, value) in enumerate(by_value):
            own = frozenset(i + 1 for i, step in enumerate(steps) if step == name)
            voids = frozenset(void[1]) if void and void[0] == name else frozenset()
            if own or voids or strict:
                found.append(Happened(at, own, voids, value, number))
        return found

    return told


def _per_actor(
    results: list[list[dict[str, Any]]],
) -> dict[str, tuple[list[int], list[float | None]]]:
    return {
        steps[0]["breakdown_value"][0]: (
            [step["count"] for step in steps],
            [step["average_conversion_time"] for step in steps[1:]],
        )
        for steps in results
    }


def _expected(
    count: int,
    best: Callable[[list[Seen]], dict[int, int] | None],
    optional: set[int] = frozenset(),
) -> dict[str, tuple[list[int], list[float | None]]]:
    found = {}
    for who, events in LIVES.items():
        moments = best(events)
        if moments is None:
            continue
        times = [at for step, at in sorted(moments.items()) if step not in optional]
        gaps = [later - at or None for at, later in pairwise(times)]
        gaps += [None] * (count - 1 - len(gaps))
        found[who] = ([int(step in moments) for step in range(1, count + 1)], gaps)
    return found


VOID_ALL = {"kind": "EventsNode", "event": "x", "funnelFromStep": 0, "funnelToStep": 2}
VOID_LATE = {**VOID_ALL, "funnelFromStep": 1}


@pytest.mark.parametrize(
    ("steps", "more", "void"),
    [
        ("aba", {"exclusions": [VOID_ALL]}, {2, 3}),
        ("aab", {"funnelOrderType": "strict", "exclusions": [VOID_LATE]}, {3}),
    ],
)
def test_each_actor_comes_as_far_as_in_a_walk(
    ask: Ask, steps: str, more: dict[str, Any], void: set[int]
) -> None:
    strict = more.get("funnelOrderType") == "strict"
    told = _happened(steps, ("x", void), strict=strict)
    walk = Walk(steps=len(steps), window=WINDOW * 60, strict=strict)
    expected = _expected(len(steps), lambda events: walk.best(told(events)))
    found = _per_actor(ask(_funnel(steps, more, breakdownFilter=BY_WHO))["results"])
    assert found == expected
    assert 0 < sum(counts[-1] for counts, _ in found.values()) < len(found)


def test_a_step_that_is_optional(ask: Ask) -> None:
    node = _funnel("abc", breakdownFilter=BY_WHO)
    node["series"][1]["optionalInFunnel"] = True
    walk = Walk(steps=3, window=WINDOW * 60, optional=frozenset({2}))
    told = _happened("abc")
    expected = _expected(3, lambda events: walk.best(told(events)), {2})
    assert _per_actor(ask(node)["results"]) == expected


def test_an_unordered_funnel_is_that_of_a_walk(ask: Ask) -> None:
    more = {"funnelOrderType": "unordered", "exclusions": [VOID_ALL]}
    told = _happened("abc", ("x", {1, 2, 3}))

    def best(events: list[Seen]) -> dict[int, int] | None:
        moments = unordered(told(events), 3, WINDOW * 60)
        return None if moments is None else dict(enumerate(moments, start=1))

    results = ask(_funnel("abc", more, breakdownFilter=BY_WHO))["results"]
    assert _per_actor(results) == _expected(3, best)
    assert [step["name"] for step in results[0]] == [
        "Completed 1 step",
        "Completed 2 steps",
        "Completed 3 steps",
    ]
    assert {step["action_id"] for steps in results for step in steps} == {None}


def test_the_largest_values_and_the_others(ask: Ask) -> None:
    more = {"breakdownAttributionType": "last_touch", "funnelWindowInterval": 10}
    node = _funnel("abc", more, breakdownFilter={"breakdown": "part", "breakdown_limit": 1})
    response = ask(node)
    walk, told = Walk(steps=3, window=600), _happened("abc")
    groups: dict[str, list[dict[int, int]]] = {"p": [], "q": [], "": []}
    clear = {}
    for who, events in LIVES.items():
        moments = walk.best(told(events))
        named = [(at, value) for at, name, value in events if name in "abc" and value]
        latest = {value for at, value in named if at == max(named)[0]}
        if moments is not None:
            clear[who] = latest
            groups[min(latest, default="")].append(moments)
    found = {steps[0]["breakdown_value"][0]: steps for steps in response["results"]}
    assert len(found) == 2
    assert "Other" in found
    every = [moments for group in groups.values() for moments in group]
    for place, step in enumerate(range(1, 4)):
        reached = sum(steps[place]["count"] for steps in found.values())
        assert reached == sum(step in moments for moments in every)
    # Two values of one instant can be either's, as in PostHog.
    unsure = sum(len(latest) > 1 for latest in clear.values())
    (largest,) = set(found) - {"Other"}
    sizes = {name: len(group) for name, group in groups.items()}
    assert abs(found[largest][0]["count"] - sizes[largest]) <= unsure
    whole = [moments[3] - moments[1] for moments in every if 3 in moments]
    assert response["total_median_conversion_time"] == median(whole)
    assert {tuple(steps[0]["breakdown"]) for steps in found.values()} == {("Other",), (largest,)}


def test_times_to_convert_beside_the_day_before(ask: Ask) -> None:
    node = _funnel("abc", {"funnelVizType": "time_to_convert", "funnelFromStep": 1, "binCount": 4})
    node |= {"dateRange": {"date_from": "2026-03-02", "date_to": "2026-03-02"}}
    response = ask({**node, "compareFilter": {"compare": True}})
    walk, told, midnight = Walk(steps=3, window=WINDOW * 60), _happened("abc"), 600
    times: list[list[int]] = [[], []]
    for events in LIVES.values():
        for slot in (0, 1):
            own = [one for one in events if (one[0] < midnight) == bool(slot)]
            moments = walk.best(told(own)) or {}
            if 3 in moments:
                times[slot].append(moments[3] - moments[2])
    low, high = floor(min(map(min, times))), ceil(max(map(max, times)))
    width = ceil((high - low) / 4)
    for found, name, own in zip(response["results"], ("current", "previous"), times, strict=True):
        places = [(time - low) // width for time in own]
        bins = [[low + place * width, places.count(place)] for place in range(5)]
        assert found["bins"] == bins
        assert found["average_conversion_time"] == pytest.approx(mean(own))
        assert found["compare_label"] == name


def test_conversion_over_time_by_the_value_of_a_step(ask: Ask) -> None:
    more = {"funnelVizType": "trends", "funnelToStep": 1, "breakdownAttributionType": "step"}
    more |= {"breakdownAttributionValue": 1}
    node = _funnel("abc", more, breakdownFilter={"breakdown": "part"}, interval="hour")
    told = _happened("abc")
    figures: dict[tuple[str, int], list[int]] = {}
    for events in LIVES.values():
        known = told(events)
        for value in {one.value for one in known if 2 in one.steps}:
            for hour in {(one.at + 3_000) // 3_600 for one in known if 1 in one.steps}:
                walk = Walk(
                    steps=2,
                    window=WINDOW * 60,
                    attributed=(2, value),
                    first_if=lambda one, hour=hour: (one.at + 3_000) // 3_600 == hour,
                )
                reached = max(walk.best(known) or {0: 0})
                came = figures.setdefault((value, hour), [0, 0])
                came[0] += reached >= 1
                came[1] += reached >= 2
    results = ask(node)["results"]
    assert [one["breakdown_value"] for one in results] == [[""], ["p"], ["q"]]
    for one in results:
        shown = dict(zip(one["days"], one["data"], strict=True))
        for hour, at in enumerate(("2026-03-01 23:00:00", "2026-03-02 00:00:00")):
            came, went = figures[one["breakdown_value"][0], hour]
            assert shown.pop(at) == round(went / came * 100, 2)
        assert set(shown.values()) == {0}
        assert one["count"] == len(one["labels"]) == 48


def test_the_first_time_of_a_person(ask: Ask) -> None:
    node = _funnel("ab", {"funnelAggregateByHogQL": "person_id"})
    node["series"][0]["math"] = "first_time_for_user"
    first, later = ask(node)["results"]
    agents: dict[str, list[Seen]] = {}
    for who, events in LIVES.items():
        agents.setdefault(who[-1], []).extend(events)
    firsts = {who: min(at for at, name, _ in own if name == "a") for who, own in agents.items()}
    reached = [
        any(name == "b" and 0 <= at - firsts[who] <= WINDOW * 60 for at, name, _ in own)
        for who, own in agents.items()
    ]
    assert (first["count"], later["count"]) == (len(agents), sum(reached))
    assert first == {
        "action_id": "a",
        "name": "a",
        "custom_name": None,
        "order": 0,
        "people": [],
        "count": len(agents),
        "type": "events",
        "average_conversion_time": None,
        "median_conversion_time": None,
    }
    assert set(later) == set(first)


@pytest.mark.parametrize(
    ("funnel", "node", "attr"),
    [
        ({}, {"series": [{"kind": "EventsNode", "event": "a"}]}, "series"),
        ({}, {"series": [{"kind": "EventsNode", "event": f"e{i}"} for i in range(20)]}, "series"),
        ({}, {"aggregation_group_type_index": 1}, "aggregation_group_type_index"),
        ({"funnelOrderType": "any"}, {}, "funnelsFilter.funnelOrderType"),
        ({"funnelWindowInterval": 0}, {}, "funnelsFilter.funnelWindowInterval"),
        ({"funnelWindowInterval": 10**7}, {}, "funnelsFilter.funnelWindowInterval"),
        ({"funnelAggregateByHogQL": "(("}, {}, "funnelsFilter.funnelAggregateByHogQL"),
        ({"funnelFromStep": 2}, {}, "funnelsFilter.funnelFromStep"),
        ({"funnelFromStep": 1, "funnelToStep": 1}, {}, "funnelsFilter.funnelToStep"),
        ({"exclusions": [{"event": "x"}]}, {}, "funnelsFilter.exclusions.0.funnelFromStep"),
        ({"exclusions": [{**VOID_ALL, "event": "b"}]}, {}, "funnelsFilter.exclusions.0"),
        (
            {"exclusions": [VOID_LATE], "funnelOrderType": "unordered"},
            {},
            "funnelsFilter.exclusions.0.funnelFromStep",
        ),
        (
            {
                "funnelOrderType": "unordered",
                "breakdownAttributionType": "step",
                "breakdownAttributionValue": 1,
            },
            {},
            "funnelsFilter.breakdownAttributionValue",
        ),
    ],
)
def test_what_is_wrong_is_named(
    ask: Ask, funnel: dict[str, Any], node: dict[str, Any], attr: str
) -> None:
    with pytest.raises(InsightError) as refused:
        ask({**_funnel("abc", funnel), **node})
    assert refused.value.attr == attr


@pytest.mark.parametrize(
    ("steps", "place", "funnel"),
    [
        ("abc", 0, {}),
        ("aab", 0, {}),
        ("aab", 1, {"funnelVizType": "trends"}),
        ("abc", 1, {"funnelOrderType": "unordered"}),
        ("abc", 1, {"exclusions": [VOID_ALL]}),
        ("abb", 1, {}),
    ],
)
def test_a_step_that_cannot_be_optional(
    ask: Ask, steps: str, place: int, funnel: dict[str, Any]
) -> None:
    node = _funnel(steps, funnel)
    node["series"][place]["optionalInFunnel"] = True
    with pytest.raises(InsightError) as refused:
        ask(node)
    assert refused.value.attr == f"series.{place}.optionalInFunnel"


def test_math_of_a_step_that_is_not_one(ask: Ask) -> None:
    node = _funnel("ab")
    node["series"][1]["math"] = "sum"
    with pytest.raises(InsightError) as refused:
        ask(node)
    assert refused.value.attr == "series.1.math"
