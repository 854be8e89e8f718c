"""``nightpane flags``: real commands against a real server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from tests.flags.support import Api

from nightpane.cli.main import run
from nightpane.testing import LocalServer


@pytest.fixture
def api(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    for name in ("HOST", "PROJECT_ID", "API_KEY", "PERSONAL_API_KEY"):
        monkeypatch.setenv(f"POSTHOG_{name}", server.environ[f"POSTHOG_{name}"])
    api = Api(server)
    yield api
    api.clear()


class Command:
    """Runs the command in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> str:
        code = run(["flags", *arguments])
        said = self._capsys.readouterr()
        assert code == 0, said.err
        return said.out

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json"))

    def refused(self, *arguments: str) -> str:
        assert run(["flags", *arguments]) == 2
        return self._capsys.readouterr().err


@pytest.fixture
def flags(api: Api, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


def test_init_makes_the_ready_flags_once(api: Api, flags: Command) -> None:
    made = flags.json("init")
    keys = ["scorer_v2", "escalate_after", "max_rounds", "budget_usd", "kill_switch"]
    assert [flag["key"] for flag in made["made"]] == keys
    flags("set", "budget_usd", "--value", "3")
    again = flags.json("init")
    assert (again["made"], again["kept"]) == ([], keys)
    found = api.flags("gtm:internal:coder")["flags"]
    assert {key: record["enabled"] for key, record in found.items()} == {
        "scorer_v2": False,
        "escalate_after": True,
        "max_rounds": True,
        "budget_usd": True,
        "kill_switch": False,
    }
    assert found["max_rounds"]["metadata"]["payload"] == "100"
    assert found["budget_usd"]["metadata"]["payload"] == "3"
    assert "there already: scorer_v2" in flags("init")


def test_set(api: Api, flags: Command) -> None:
    assert flags.json("set", "a")["filters"]["groups"][0]["rollout_percentage"] == 100
    made = flags.json("set", "b", "--rollout", "50", "--description", "half of all")
    assert made["filters"]["groups"] == [{"properties": [], "rollout_percentage": 50}]
    assert (made["name"], made["active"]) == ("half of all", True)
    changed = flags.json("set", "b", "--variants", "control=50,test=50", "--by", "round")
    assert changed["filters"]["groups"] == made["filters"]["groups"]
    assert changed["bucketing_identifier"] == "device_id"
    assert changed["name"] == "half of all"
    paid = flags.json("set", "b", "--payload", 'test={"depth": 2}', "--payload", "control=plain")
    assert paid["filters"]["payloads"] == {"test": '{"depth": 2}', "control": '"plain"'}
    assert flags.json("set", "b", "--off")["active"] is False
    assert flags.json("set", "b", "--on", "--by", "agent")["bucketing_identifier"] is None
    assert flags.json("set", "c", "--value", "2.5")["is_remote_configuration"] is True
    listed = flags("list")
    assert "control 50%, test 50% of 50%" in listed
    assert "2.5 for 100%" in listed


def test_show_tells_what_it_comes_to(api: Api, flags: Command) -> None:
    flags("set", "a", "--variants", "control=50,test=50")
    who = "gtm:internal:coder"
    variant = api.value("a", who)
    assert flags.json("show", "a", "--for", who)["result"]["variant"] == variant
    assert f"{who}: {variant} (Matched condition set 1)" in flags("show", "a", "--for", who)
    flags("set", "a", "--by", "round")
    by_round = {
        flags.json("show", "a", "--for", who, "--round", f"r{n}")["result"]["variant"]
        for n in range(12)
    }
    assert by_round == {"control", "test"}
    assert flags.json("show", "a")["key"] == "a"


def test_delete(api: Api, flags: Command) -> None:
    flags("set", "a")
    assert "a deleted" in flags("delete", "a")
    assert flags.json("list") == []
    assert "no flags" in flags("list")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show", "none"), "there is no flag 'none'"),
        (("delete", "none"), "there is no flag 'none'"),
        (("set", "two words"), "Only letters"),
        (("set", "x", "--variants", "a=50,b"), "has no share"),
        (("set", "x", "--variants", "a=50,b=40"), "must make 100"),
        (("set", "x", "--value", "NaN"), "NaN is no JSON value"),
        (("set", "x", "--value", "1", "--payload", "2"), "--value sets what the whole flag"),
        (("set", "x", "--variants", "a=100", "--payload", "b=2"), "names no variant"),
        (("set", "x", "--rollout", "101"), "101"),
    ],
)
def test_mistakes(flags: Command, arguments: tuple[str, ...], said: str) -> None:
    assert said in flags.refused(*arguments)
    assert flags.json("list") == []


def test_a_flag_with_several_conditions_is_not_flattened(api: Api, flags: Command) -> None:
    groups = [{"properties": [], "rollout_percentage": share} for share in (10, 20)]
    api.make("a", filters={"groups": groups})
    assert "has 2 conditions" in flags.refused("set", "a", "--rollout", "50")
    assert "nothing to set" in flags.refused("set", "a")
    assert flags.json("set", "a", "--off")["filters"]["groups"] == groups


def test_as_a_program(server: LocalServer, api: Api) -> None:
    api.make("a", filters={"groups": []})
    command = [sys.executable, "-m", "nightpane", "flags", "list", "--json"]
    done = subprocess.run(command, env=server.environ, capture_output=True, text=True, check=True)
    assert [flag["key"] for flag in json.loads(done.stdout)] == ["a"]
