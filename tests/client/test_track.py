"""``track()``: what is written, what is made of strange values, and that it never raises."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import json
import logging
import math
import pathlib
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.client.support import Network, read_events, spooled_bytes

import nightpane
from nightpane import catalog
from nightpane.errors import CatalogError, ConfigError, SpoolFullError
from nightpane.ids import new_ulid, session_id_from_ulid

Make = Callable[..., nightpane.Pane]


def sent(pane: nightpane.Pane, network: Network) -> dict[str, Any]:
    """Return the last event that was delivered."""
    assert pane.flush(10)
    return network.events[-1]


def test_every_event_has_the_envelope(make_pane: Make, network: Network) -> None:
    pane = make_pane(git_sha="abc1234")
    round_id = new_ulid()
    event_id = pane.track("round_kept", agent="coder", round_id=round_id, delta=0.5)
    event = sent(pane, network)
    assert event["event"] == "round_kept"
    assert event["uuid"] == event_id
    assert uuid.UUID(event_id).version == 7
    assert event["distinct_id"] == "autoresearch:acme:coder"
    properties = event["properties"]
    assert properties["project"] == "autoresearch"
    assert properties["client"] == "acme"
    assert properties["agent"] == "coder"
    assert properties["git_sha"] == "abc1234"
    assert properties["round_id"] == properties["$ai_trace_id"] == round_id
    assert properties["$session_id"] == session_id_from_ulid(round_id)
    assert properties["delta"] == 0.5
    assert "$nightpane_invalid" not in properties
    at = dt.datetime.fromisoformat(event["timestamp"])
    assert at.utcoffset() == dt.timedelta(0)
    assert properties["ts"] == pytest.approx(at.timestamp(), abs=5)
    assert catalog.problems("round_kept", properties) == []


def test_the_event_is_on_disk_when_track_returns(make_pane: Make, spool_dir: Path) -> None:
    pane = make_pane()
    event_id = pane.track("hello", agent="a", x="from-the-loop")
    assert [event["uuid"] for event in read_events(spool_dir)] == [event_id]
    assert b"from-the-loop" in spooled_bytes(spool_dir)


def test_explicit_properties_win_over_the_envelope(pane: nightpane.Pane, network: Network) -> None:
    pane.track("hello", agent="a", project="other", git_sha="fff", **{"$session_id": "mine"})
    event = sent(pane, network)
    assert event["distinct_id"] == "other:acme:a"
    assert event["properties"]["git_sha"] == "fff"
    assert event["properties"]["$session_id"] == "mine"


def test_an_importer_gives_time_and_uuid(make_pane: Make, network: Network) -> None:
    pane = make_pane(historical_migration=True)
    mine = "0192d0c0-0000-7000-8000-000000000001"
    when = dt.datetime(2026, 3, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    assert pane.track("hello", agent="a", timestamp=when, uuid=mine) == mine
    event = sent(pane, network)
    assert event["timestamp"] == "2026-03-01T02:03:04.000005+00:00"
    assert event["properties"]["ts"] == when.timestamp()
    assert network.requests[-1]["historical_migration"] is True


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (dt.datetime(2026, 3, 1), "2026-03-01T00:00:00.000000+00:00"),
        ("2026-03-01T01:00:00+01:00", "2026-03-01T00:00:00.000000+00:00"),
        (1772323200, "2026-03-01T00:00:00.000000+00:00"),
        (1772323200.5, "2026-03-01T00:00:00.500000+00:00"),
    ],
)
def test_timestamps_in_their_forms(
    pane: nightpane.Pane, network: Network, given: Any, expected: str
) -> None:
    pane.track("hello", agent="a", timestamp=given)
    assert sent(pane, network)["timestamp"] == expected


@pytest.mark.parametrize("given", ["yesterday", math.nan, 1e30, object(), True])
def test_an_unreadable_timestamp_is_told_and_becomes_now(
    pane: nightpane.Pane, network: Network, given: Any
) -> None:
    pane.track("hello", agent="a", timestamp=given)
    event = sent(pane, network)
    assert "cannot be read" in event["properties"]["$nightpane_invalid"][0]
    assert dt.datetime.fromisoformat(event["timestamp"]).year >= 2025


def test_an_unusable_uuid_is_told_and_replaced(pane: nightpane.Pane, network: Network) -> None:
    made = pane.track("hello", agent="a", uuid="not-a-uuid")
    event = sent(pane, network)
    assert event["uuid"] == made
    assert "not-a-uuid" in event["properties"]["$nightpane_invalid"][0]


class Loud:
    def __str__(self) -> str:
        raise RuntimeError("no text for you")

    __repr__ = __str__


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: int
    inner: list[int]


class Numeric(int):
    pass


def cycle() -> dict[str, Any]:
    ring: dict[str, Any] = {"a": 1}
    ring["self"] = ring
    return ring


def bomb() -> list[Any]:
    value: list[Any] = ["x"]
    for _ in range(30):
        value = [value, value]
    return value


def deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


KEPT: list[tuple[Any, Any]] = [
    ("text", "text"),
    ("naïve ☃ 🌙 \x00 \n", "naïve ☃ 🌙 \x00 \n"),
    (2**53 + 1, 2**53 + 1),
    (2**70, 2**70),
    (-(2**63), -(2**63)),
    (1e308, 1e308),
    (0.1, 0.1),
    (True, True),
    (None, None),
    ({"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}),
    (dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC), "2026-01-02T03:04:05+00:00"),
    (dt.date(2026, 1, 2), "2026-01-02"),
    (dt.timedelta(seconds=1.5), 1.5),
    (decimal.Decimal("1.25"), 1.25),
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (pathlib.PurePosixPath("/a/b"), "/a/b"),
    (b"bytes", "bytes"),
    ({3, 1, 2}, [1, 2, 3]),
    ((1, 2), [1, 2]),
    (Colour.RED, "red"),
    (Point(1, [2]), {"x": 1, "inner": [2]}),
    (Numeric(5), 5),
    (np.float32(0.5), 0.5),
    (np.int64(7), 7),
    (np.bool_(True), True),
    (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
    ({1: "a", None: "b"}, {"1": "a", "None": "b"}),
    (Point, "Point"),
]


@pytest.mark.parametrize(("given", "expected"), KEPT, ids=[repr(one)[:40] for one, _ in KEPT])
def test_values_arrive_as_plain_json(
    pane: nightpane.Pane, network: Network, given: Any, expected: Any
) -> None:
    assert pane.track("hello", agent="a", value=given) is not None
    properties = sent(pane, network)["properties"]
    assert properties["value"] == expected
    assert "$nightpane_invalid" not in properties


TOLD: list[tuple[Any, Any, str]] = [
    (math.nan, None, "no number in JSON"),
    (math.inf, None, "no number in JSON"),
    ([1.0, -math.inf], [1.0, None], "no number in JSON"),
    (decimal.Decimal("NaN"), None, "no number in JSON"),
    (cycle(), {"a": 1, "self": None}, "contains itself"),
    (deep(100), None, "nested more than"),
    (bomb(), None, "more than 100000 values"),
    (2**2000, hex(2**2000), "hexadecimal"),
    (10**5000, hex(10**5000), "hexadecimal"),
    (b"\xff\xfe", "��", "not UTF-8"),
    (Loud(), None, "could not be read"),
    ({"a": Loud()}, {"a": None}, "could not be read"),
    (np.zeros(20_000), None, "too large"),
]


@pytest.mark.parametrize(
    ("given", "expected", "told"), TOLD, ids=[one[2] + str(at) for at, one in enumerate(TOLD)]
)
def test_what_cannot_be_kept_is_told_on_the_event(
    make_pane: Make, network: Network, given: Any, expected: Any, told: str
) -> None:
    pane = make_pane()
    assert pane.track("hello", agent="a", value=given, other=1) is not None
    properties = sent(pane, network)["properties"]
    assert properties["other"] == 1
    assert any(told in note for note in properties["$nightpane_invalid"])
    if expected is not None:
        assert properties["value"] == expected
    assert pane.health().invalid == 1


def test_a_lone_surrogate_becomes_a_replacement(pane: nightpane.Pane, network: Network) -> None:
    pane.track("hello", agent="a", value="x\ud800y", nested={"k\udfff": ["\ud800"]}, whole="🌙")
    properties = sent(pane, network)["properties"]
    assert properties["value"] == "x�y"
    assert properties["nested"] == {"k�": ["�"]}
    assert properties["whole"] == "🌙"


@pytest.mark.parametrize(
    "arguments",
    [
        {"agent": None},
        {"agent": 5},
        {"agent": Loud()},
        {"agent": "a" * 500},
        {"agent": "a\ud800"},
        {"agent": "a", "round_id": 7},
        {"agent": "a", "round_id": "not a ulid"},
        {"agent": "a", "uuid": Loud()},
        {"agent": "a", "timestamp": Loud()},
        {"agent": "a", "project": Loud()},
        {"agent": "a", "__proto__": 1, "self": 2, "event": 3, "properties": 4},
    ],
    ids="-".join,
)
def test_no_argument_makes_it_raise(
    pane: nightpane.Pane, network: Network, arguments: dict[str, Any]
) -> None:
    assert pane.track("hello", **arguments) is not None
    event = sent(pane, network)
    assert event["event"] == "hello"
    assert len(event["distinct_id"]) <= 200


@pytest.mark.parametrize(
    "name", ["", "x" * 300, None, 5, Loud(), "a\ud800b"], ids=lambda name: type(name).__name__
)
def test_no_event_name_makes_it_raise(pane: nightpane.Pane, network: Network, name: Any) -> None:
    assert pane.track(name, agent="a") is not None
    assert 1 <= len(sent(pane, network)["event"]) <= 200


def test_a_huge_event_is_cut_and_says_so(pane: nightpane.Pane, network: Network) -> None:
    pane.track("hello", agent="a", note="kept", big="x" * 10_000_000, rows=list(range(300_000)))
    event = sent(pane, network)
    properties = event["properties"]
    assert len(json.dumps(event)) < 983_040
    assert properties["note"] == "kept"
    assert properties["agent"] == "a"
    assert {"property": "big", "length": 10_000_000} in properties["$nightpane_truncated"]
    assert properties["big"].startswith("xxx")
    assert pane.health().truncated == 1


def test_an_event_of_countless_properties_is_cut(pane: nightpane.Pane, network: Network) -> None:
    pane.track("hello", agent="a", **{f"p{number}" * 20: "v" * 40 for number in range(30_000)})
    event = sent(pane, network)
    assert len(json.dumps(event)) < 983_040
    assert event["properties"]["agent"] == "a"
    assert "$nightpane_truncated" in event["properties"]


def test_a_misfit_is_recorded_and_sent(pane: nightpane.Pane, network: Network) -> None:
    pane.track("round_reverted", agent="a", round_id=new_ulid(), reason="no mode", cost_usd="much")
    told = sent(pane, network)["properties"]["$nightpane_invalid"]
    assert any("failure_mode" in one for one in told)
    assert any("cost_usd" in one for one in told)


def test_strict_raises_for_a_misfit_and_writes_nothing(make_pane: Make, spool_dir: Path) -> None:
    pane = make_pane(strict=True)
    with pytest.raises(CatalogError, match="failure_mode is missing") as caught:
        pane.track("round_reverted", agent="a", round_id=new_ulid())
    assert caught.value.event == "round_reverted"
    with pytest.raises(CatalogError, match="agent is missing"):
        pane.track("hello")
    with pytest.raises(CatalogError, match="no number"):
        pane.track("hello", agent="a", score=math.nan)
    assert list(read_events(spool_dir)) == []


def test_unknown_names_are_warned_of_once(
    pane: nightpane.Pane, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        pane.track("my_event", agent="a", own=1)
        pane.track("round_kept", agent="a", round_id=new_ulid(), own=1, dim_speed=2.0)
    texts = [record.getMessage() for record in caplog.records]
    assert texts == [
        "event 'my_event' is not in the catalogue: sent as it is",
        "property 'own' of event 'round_kept' is not in the catalogue: sent as it is",
    ]


def test_a_full_spool_says_so_once_a_minute_and_counts(
    make_pane: Make, network: Network, caplog: pytest.LogCaptureFixture
) -> None:
    network.script = [503]
    pane = make_pane(max_spool_bytes=8_000)
    outcomes = [pane.track("hello", agent="a", at=at, text="x" * 500) for at in range(40)]
    kept = [one for one in outcomes if one is not None]
    assert 0 < len(kept) < 40
    health = pane.health()
    assert health.not_written == {"spool_full": 40 - len(kept)}
    assert health.written == len(kept)
    assert "undelivered" in str(health.last_error)
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert sum("an event was not kept" in record.getMessage() for record in errors) == 1


def test_a_full_spool_raises_in_strict_mode(make_pane: Make, network: Network) -> None:
    network.script = [503]
    pane = make_pane(max_spool_bytes=8_000, strict=True)
    with pytest.raises(SpoolFullError, match="raise max_spool_bytes"):
        for _ in range(40):
            pane.track("hello", agent="a", text="x" * 500)


def test_a_pane_without_a_project_names_the_way_out() -> None:
    with pytest.raises(ConfigError, match="AUTORESEARCH_PROJECT"):
        nightpane.Pane()


def test_settings_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, network: Network
) -> None:
    monkeypatch.setenv("AUTORESEARCH_PROJECT", "autoagent")
    monkeypatch.setenv("AUTORESEARCH_CLIENT", "globex")
    monkeypatch.setenv("POSTHOG_API_KEY", "phc_env")
    monkeypatch.setenv("POSTHOG_HOST", "https://ph.example")
    monkeypatch.setenv("NIGHTPANE_SPOOL_DIR", str(tmp_path / "elsewhere"))
    with nightpane.Pane(transport=network) as pane:
        pane.track("hello", agent="a")
        assert sent(pane, network)["distinct_id"] == "autoagent:globex:a"
    assert network.urls == ["https://ph.example/batch/"]
    assert network.requests[0]["api_key"] == "phc_env"
    assert (tmp_path / "elsewhere").is_dir()


def test_a_pane_works_again_after_close(make_pane: Make, network: Network) -> None:
    pane = make_pane()
    first = pane.track("hello", agent="a")
    assert pane.close()
    second = pane.track("hello", agent="a")
    assert pane.flush(10)
    assert [event["uuid"] for event in network.events] == [first, second]


def test_a_switched_off_sdk_is_counted(make_pane: Make) -> None:
    pane = make_pane()
    pane.posthog.disabled = True
    assert pane.track("hello", agent="a") is None
    assert pane.health().not_written == {"disabled": 1}


def test_emit_takes_a_catalogue_event(pane: nightpane.Pane, network: Network) -> None:
    event = catalog.EvalRun(suite_id=new_ulid(), suite="smoke", n_cases=3)
    pane.emit(event, agent="judge", round_id=new_ulid(), own=1)
    properties = sent(pane, network)["properties"]
    assert properties["suite"] == "smoke"
    assert properties["own"] == 1
    assert "$nightpane_invalid" not in properties
