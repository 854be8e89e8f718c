"""The loop's knobs: typed, stamped on the round, tracked once, and never in the loop's way."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.flags.support import ALL, Api, half, variants

import nightpane
from nightpane import Knob, Knobs
from nightpane.client import flag_source
from nightpane.client.flag_source import Answer, Asker, FlagSource, Reading
from nightpane.client.health import Voice
from nightpane.config import load
from nightpane.errors import ConfigError
from nightpane.flags import bucket
from nightpane.testing import LocalServer


@pytest.fixture
def api(server: LocalServer) -> Iterator[Api]:
    api = Api(server)
    yield api
    api.clear()


@pytest.fixture
def make_pane(
    server: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., nightpane.Pane]]:
    made: list[nightpane.Pane] = []

    def make(*, personal: bool = True, **options: Any) -> nightpane.Pane:
        if personal:
            monkeypatch.setenv("POSTHOG_PERSONAL_API_KEY", server.personal_api_key)
        pane = nightpane.Pane(
            "gtm",
            options.pop("client", tmp_path.name),
            host=server.host,
            api_key=server.api_key,
            spool_dir=tmp_path / "spool",
            **options,
        )
        made.append(pane)
        return pane

    yield make
    for pane in made:
        pane.close()


def events(server: LocalServer, pane: nightpane.Pane) -> list[tuple[str, dict[str, Any]]]:
    """Return everything the pane sent."""
    assert pane.flush(20)
    query = (
        "select event, properties from events where properties.client = {client} "
        "order by timestamp limit 1000"
    )
    rows = server.query().hogql(query, {"client": pane.client}).rows
    return [(event, json.loads(text)) for event, text in rows]


@pytest.mark.parametrize("personal", [True, False])
def test_a_round_reads_its_knobs_and_its_events_say_so(
    server: LocalServer, api: Api, make_pane: Callable[..., nightpane.Pane], personal: bool
) -> None:
    split = {**variants(control=0, test=100), "payloads": {"test": '{"why": 1}'}}
    flag = api.make("scorer_v2", filters=split)
    api.make("budget_usd", filters={"groups": ALL, "payloads": {"true": "2.5"}})
    api.make("max_rounds", filters=half() | {"groups": [{"rollout_percentage": 0}]})
    pane = make_pane(personal=personal)
    with pane.run(agent="coder", knobs=True) as run:
        for _ in range(2):
            with run.round() as round_:
                knobs = round_.knobs
                assert (knobs.scorer_v2, knobs.budget_usd, knobs.max_rounds) == (True, 2.5, 100)
                assert (knobs.scorer_v2, knobs.kill_switch, knobs.escalate_after) == (
                    True,
                    False,
                    5,
                )
                source = "local" if personal else "remote"
                assert knobs.source("scorer_v2") == source
                assert knobs.source("max_rounds") == knobs.source("kill_switch") == "default"
                assert knobs.reading("scorer_v2").payload == {"why": 1}
                with round_.plan("p"):
                    round_.scored(1.0)
                round_.revert("score_missed")
        assert run.knobs.budget_usd == 2.5
    found = events(server, pane)
    stamps = {
        "$feature/scorer_v2": "test",
        "$feature/budget_usd": 2.5,
        "$feature/max_rounds": False,
        "$active_feature_flags": ["scorer_v2", "budget_usd"],
    }
    in_rounds = [properties for event, properties in found if "round_id" in properties]
    assert len(in_rounds) > 10
    for properties in in_rounds:
        assert {name: properties.get(name) for name in stamps} == stamps
        assert "$feature/kill_switch" not in properties
    called = [properties for event, properties in found if event == "$feature_flag_called"]
    assert len(called) == 2 * 3
    assert len({(one["round_id"], one["$feature_flag"]) for one in called}) == 6
    one = next(one for one in called if one["$feature_flag"] == "scorer_v2")
    assert one["$feature_flag_response"] == "test"
    assert one["$feature_flag_id"] == flag["id"]
    assert one["$feature_flag_payload"] == {"why": 1}
    assert one["$feature_flag_reason"] == "Matched condition set 1"
    assert one["locally_evaluated"] is personal
    assert one["agent"] == "coder"


def test_an_agent_has_one_variant_and_a_round_its_own(
    server: LocalServer, api: Api, make_pane: Callable[..., nightpane.Pane]
) -> None:
    api.make("proposer", filters=variants(control=50, test=50))
    api.make("scorer_v2", filters=variants(control=50, test=50), bucketing_identifier="device_id")

    class Own(Knobs):
        proposer = Knob("none", "which proposer")

    seen: dict[bool, list[tuple[Any, ...]]] = {}
    for personal in (True, False):
        pane = make_pane(personal=personal)
        with pane.run(knobs=Own) as run:
            for number in range(12):
                with run.round(agent=f"coder{number % 3}", round_id=f"round-{number}") as round_:
                    assert isinstance(round_.knobs, Own)
                    seen.setdefault(personal, []).append(
                        (round_.agent, round_.knobs.proposer, round_.knobs.scorer_v2)
                    )
                    round_.revert("score_missed")
    assert seen[True] == seen[False]
    for number, (agent, proposer, scorer_v2) in enumerate(seen[True]):
        agent_id = f"gtm:{pane.client}:{agent}"
        assert proposer == ("control" if bucket("proposer", agent_id, "variant") < 0.5 else "test")
        assert scorer_v2 is (bucket("scorer_v2", f"round-{number}", "variant") >= 0.5)
    assert len({one[2] for one in seen[True]}) == 2


def test_without_being_asked_nothing_is_read(
    make_pane: Callable[..., nightpane.Pane], server: LocalServer
) -> None:
    pane = make_pane()
    with pane.run() as run, run.round() as round_:
        round_.revert("score_missed")
    assert not [one for one in threading.enumerate() if one.name.startswith("nightpane-flags")]
    found = events(server, pane)
    assert not any(name.startswith("$feature") for _, one in found for name in one)


def test_a_round_that_is_asked_late_says_so_from_then_on(
    server: LocalServer, api: Api, make_pane: Callable[..., nightpane.Pane]
) -> None:
    api.make("kill_switch", filters={"groups": ALL})
    pane = make_pane()
    with pane.run() as run, run.round() as round_:
        round_.generated()
        assert round_.knobs.kill_switch is True
        round_.scored(1.0)
        with pane.join(round_.carrier(), agent="judge") as joined:
            assert joined.knobs.kill_switch is True
        round_.revert("score_missed")
    stamped = {
        event for event, properties in events(server, pane) if "$feature/kill_switch" in properties
    }
    assert stamped == {"$feature_flag_called", "round_scored", "round_reverted"}


@pytest.mark.parametrize(
    ("default", "value", "payload", "expected"),
    [
        (False, True, None, True),
        (True, False, None, False),
        (False, "test", None, True),
        (True, "control", None, False),
        (True, "holdout-3", None, False),
        (False, "control", True, True),
        (5, True, 7, 7),
        (5, True, 7.0, 7),
        (5, True, "8", 8),
        (5, "9", None, 9),
        (5, "test", 3, 3),
        (5, True, 7.5, None),
        (5, True, True, None),
        (5, True, {"n": 1}, None),
        (5, True, None, None),
        (5, False, 7, None),
        (5, None, None, None),
        (1.5, True, 2, 2.0),
        (1.5, True, "nan", None),
        ("a", "test", None, "test"),
        ("a", True, "b", "b"),
        ("a", "holdout-3", None, None),
        ("a", True, None, None),
    ],
)
def test_a_flag_becomes_the_knobs_type(
    default: Any, value: Any, payload: Any, expected: Any
) -> None:
    knob: Knob[Any] = Knob(default, "a test")
    found = knob.typed(Reading("k", value, payload, "local"))
    assert found == expected
    assert found is None or type(found) is type(default)


def test_a_knob_has_a_plain_type() -> None:
    with pytest.raises((ConfigError, RuntimeError)) as refused:
        type("Bad", (Knobs,), {"listed": Knob([], "no")})  # type: ignore[type-var]
    assert "use a bool, int, float or str" in str(refused.value.__cause__ or refused.value)


class Script(Asker):
    """Answers from a function, and counts."""

    def __init__(self, answer: Callable[[str], Any]) -> None:
        self.answer = answer
        self.urls: list[str] = []

    def ask(self, method: str, url: str, headers: Mapping[str, str], body: Any = None) -> Answer:
        self.urls.append(url)
        found = self.answer(url)
        if isinstance(found, Exception):
            raise found
        return found if isinstance(found, Answer) else Answer(200, found, None)


def source(
    asker: Asker, *, personal: bool, now: Callable[[], float] = time.monotonic
) -> FlagSource:
    settings = load(
        host="http://127.0.0.1:9",
        api_key="phc_x",
        personal_api_key="phx_x" if personal else None,
        find_server=False,
    )
    return FlagSource(settings, {}, Voice(), asker=asker, monotonic=now)


def flags_body(**values: Any) -> dict[str, Any]:
    return {"flags": {key: {"enabled": bool(value)} for key, value in values.items()}}


def test_what_is_known_last_holds_and_a_silent_server_is_left_alone() -> None:
    now = 0.0
    script = Script(lambda url: flags_body(kill_switch=True))
    read = source(script, personal=False, now=lambda: now)
    assert read.read(["kill_switch"], "a")["kill_switch"].source == "remote"
    script.answer = lambda url: OSError("gone")
    now = 20.0
    found = read.read(["kill_switch", "other"], "a")
    assert (found["kill_switch"].value, found["kill_switch"].source) == (True, "last known")
    assert found["kill_switch"].error == "connection_error"
    assert found["other"] == Reading("other", error="connection_error")
    asked = len(script.urls)
    assert read.read(["kill_switch"], "a")["kill_switch"].source == "last known"
    assert len(script.urls) == asked
    now, script.answer = 60.0, lambda url: flags_body(kill_switch=False)
    assert read.read(["kill_switch"], "a")["kill_switch"].source == "remote"


@pytest.mark.parametrize("personal", [True, False])
def test_a_server_that_hangs_costs_a_stated_time_once(
    personal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flag_source, "LIMIT_S", 0.2)
    hang = threading.Event()
    read = source(Script(lambda url: hang.wait(30) and {}), personal=personal)
    try:
        began = time.monotonic()
        assert read.read(["a"], "x")["a"].source == "default"
        assert time.monotonic() - began < 1.0
        began = time.monotonic()
        for _ in range(100):
            read.read(["a"], "x")
        assert time.monotonic() - began < 1.0
    finally:
        hang.set()
        read.close()


def test_a_key_that_may_not_read_definitions_asks_instead() -> None:
    def answer(url: str) -> Any:
        return Answer(401, None, None) if "definitions" in url else flags_body(a=True)

    read = source(Script(answer), personal=True)
    assert read.read(["a"], "x")["a"].source == "remote"
    read.close()


@pytest.mark.parametrize(
    "body", [None, [], {"flags": 3}, {"flags": {"a": 3}}, {"flags": {"a": None}}, "text"]
)
@pytest.mark.parametrize("personal", [True, False])
def test_nonsense_raises_nothing(body: Any, personal: bool) -> None:
    read = source(Script(lambda url: Answer(200, body, None)), personal=personal)
    assert read.read(["a"], "x")["a"].value is None
    read.close()


def test_nowhere_to_ask() -> None:
    read = FlagSource(load(find_server=False), {}, Voice(), asker=Script(lambda url: 1 / 0))
    assert read.read(["a"], "x") == {"a": Reading("a")}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_reads_on(
    server: LocalServer, api: Api, make_pane: Callable[..., nightpane.Pane]
) -> None:
    api.make("kill_switch", filters={"groups": ALL})
    pane = make_pane()
    with pane.run(knobs=True) as run:
        assert run.knobs.kill_switch is True
        pid = os.fork()
        if pid == 0:
            os._exit(0 if run.knobs.reading("kill_switch").source == "local" else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
