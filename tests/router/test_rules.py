"""The rules file: what it says, what it refuses, and how it is changed and changed back."""

from __future__ import annotations

from pathlib import Path

import pytest

from nightpane.errors import ConfigError
from nightpane.router.example import EXAMPLE
from nightpane.router.propose import Proposal, changed
from nightpane.router.rules import parse, rule_id
from nightpane.router.versions import Versions

GOOD = """
[router]
default = "small"
[models.small]
model = "openai/small-1"
[models.large]
model = "openai/large-1"
[task_types.t]
candidates = ["small", "large"]  # a comment that stays
quality_floor = 0.8
[keys.alice]
env = "ALICE"
usd_per_day = 2
"""
ENVIRON = {"ALICE": "a-key-that-is-long-enough"}


def test_a_good_file_is_read_with_its_defaults() -> None:
    rules = parse(GOOD, "f.toml", ENVIRON)
    assert rules.id == rule_id(GOOD)
    task = rules.task("t")
    assert task is not None
    assert (task.default, task.quality_floor) == ("small", 0.8)
    (alice,) = rules.keys
    assert (alice.user, alice.usd_per_day, alice.usd_total) == ("alice", 2.0, None)
    assert ENVIRON["ALICE"] not in repr(rules)
    assert (rules.settings.min_graded, rules.settings.emit_contents) == (20, False)


def test_the_example_is_good() -> None:
    rules = parse(EXAMPLE, "example", needs_keys=False)
    assert set(rules.models) == {"gpt-4o-mini", "gpt-4o"}


def test_the_example_folders_rules_are_good() -> None:
    path = Path(__file__).parents[2] / "examples" / "token-machine" / "token-machine.toml"
    rules = parse(path.read_text(), str(path), needs_keys=False)
    assert [key.name for key in rules.keys if key.has_budget] == ["loop", "judge"]
    assert set(rules.task_types) == {"gtm.rewrite", "gtm.critique"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "quality_floor",
            "quality_flor",
            "task_types.t.quality_flor is no field here; did you mean",
        ),
        ("[router]", "[routr]\nx=1\n[router]", "f.toml: routr is no field here"),
        ("0.8", "1.5", "task_types.t.quality_floor is 1.5; it takes a number from 0 to 1"),
        ("0.8", "nan", "task_types.t.quality_floor is nan"),
        ("0.8", "true", "task_types.t.quality_floor is True"),
        ('default = "small"', 'default = "smal"', "router.default is 'smal'"),
        ('default = "small"', "", "router.default is missing"),
        ('["small", "large"]', '["small", "x"]', "not 'x'"),
        ('["small", "large"]', '["small", "small"]', "each text once"),
        ('["small", "large"]', "[]", "name at least one model"),
        ("[models.large]", "[models.auto]", "'auto' means that the proxy chooses"),
        ("[models.large]", '[models."a b"]', "cannot be a name"),
        ("[task_types.t]", "[task_types.small]", "is the name of a model"),
        ('env = "ALICE"', "", "keys.alice needs env"),
        ('env = "ALICE"', 'env = "NOBODY"', "the environment variable NOBODY is not set"),
        ('env = "ALICE"', 'sha256 = "abc"', "is not 64 hex digits"),
        ('env = "ALICE"', 'env = "sk-what is this"', "keys.alice.env is no name"),
        ("usd_per_day = 2", "usd_per_day = -1", "keys.alice.usd_per_day is -1"),
        ("usd_per_day = 2", 'usd_per_day = "2"', "it takes a number from 0"),
        ('model = "openai/large-1"', 'model = "x"\ninput_usd_per_million = 1', "one price of two"),
        ('model = "openai/large-1"', 'model = "x"\nparams = {api_key = "y"}', "cannot be set here"),
        (
            'model = "openai/large-1"',
            'model = "sk-abcdefghijklmnop"',
            "line 7 holds what looks like",
        ),
        ("[router]", "[router", "f.toml: "),
        ("[router]", "[router]\nmodels = 3", "router.models is no field"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(old: str, new: str, said: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError) as found:
        parse(GOOD.replace(old, new, 1), "f.toml", ENVIRON)
    assert said in str(found.value)
    assert ENVIRON["ALICE"] not in str(found.value)


def test_two_keys_alike_are_refused() -> None:
    with pytest.raises(ConfigError, match="the same key as alice"):
        parse(GOOD + '[keys.bob]\nenv = "ALICE"\n', "f.toml", ENVIRON)


def test_proposals_change_the_text_and_keep_its_comments() -> None:
    def one(action: str, model: str) -> Proposal:
        return Proposal(task_type="t", action=action, model=model, why="")  # type: ignore[arg-type]

    text = changed(GOOD, [one("default", "large")])
    assert parse(text, "f", ENVIRON).task_types["t"].default == "large"
    assert "# a comment that stays" in text
    text = changed(GOOD, [one("default", "large"), one("remove", "small")])
    assert parse(text, "f", ENVIRON).task_types["t"].candidates == ("large",)
    assert changed(GOOD, []) == GOOD


def test_versions_go_back_step_by_step(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    texts = [GOOD, GOOD + "# two\n", GOOD + "# three\n"]
    path.write_text(texts[0])
    versions = Versions(path)
    for text in texts[1:]:
        assert versions.apply(text).id == rule_id(text)
    with pytest.raises(ConfigError, match="like this already"):
        versions.apply(texts[2])
    assert versions.revert().id == rule_id(texts[1])
    assert versions.revert().id == rule_id(texts[0])
    assert path.read_text() == texts[0]
    with pytest.raises(ConfigError, match="no version before"):
        versions.revert()
    assert [one.action for one in versions.changes()] == [
        *("seen", "apply", "apply", "revert", "revert"),
    ]


def test_an_edit_by_hand_can_be_taken_back_too(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(GOOD)
    Versions(path).remember()
    path.write_text(GOOD + "# by hand\n")
    assert Versions(path).revert().id == rule_id(GOOD)
    assert path.read_text() == GOOD


def test_a_version_that_is_no_rules_file_is_not_applied(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(GOOD)
    with pytest.raises(ConfigError, match=r"the new rules\.toml"):
        Versions(path).apply("[router]\n")
    assert path.read_text() == GOOD
    (tmp_path / "rules.toml.history").mkdir()
    (tmp_path / "rules.toml.history" / "log.jsonl").write_text('{"torn')
    assert Versions(path).changes() == []
