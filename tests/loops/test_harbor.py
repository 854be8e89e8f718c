"""Rewards as benchmarks leave them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nightpane.errors import LoopError
from nightpane.loops.autoagent import Benchmark, task_names
from nightpane.loops.harbor import read_rewards, seen
from nightpane.loops.scoring import Score


def trial(jobs: Path, name: str, **document: Any) -> Path:
    folder = jobs / "2026-01-01__00-00-00" / name
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps(document), "utf-8")
    return folder


def verified(**rewards: float) -> dict[str, Any]:
    return {"verifier_result": {"rewards": rewards}, "exception_info": None}


def test_trials_are_read_as_harbor_writes_them(tmp_path: Path) -> None:
    agent = {"cost_usd": 0.25, "n_input_tokens": 10}
    trial(tmp_path, "b__x1", task_name="b", agent_result=agent, **verified(reward=1.0, style=0))
    trial(tmp_path, "a__y2", **verified(f2p=1, p2p=0.5))
    failed = {"exception_type": "AgentTimeoutError", "exception_message": "600 s"}
    trial(tmp_path, "c__z3", task_name="c", verifier_result=None, exception_info=failed)
    beside = trial(tmp_path, "d__w4", task_name="d", verifier_result=None, exception_info=None)
    (beside / "verifier").mkdir()
    (beside / "verifier" / "reward.txt").write_text("0.5\n", "utf-8")
    # The job's own result is no trial.
    (tmp_path / "2026-01-01__00-00-00" / "result.json").write_text('{"stats": {}}', "utf-8")
    found = read_rewards(tmp_path)
    assert [(one.task, one.reward, one.passed) for one in found] == [
        ("a", 0.75, False),
        ("b", 1.0, True),
        ("c", None, False),
        ("d", 0.5, False),
    ]
    assert found[1].cost_usd == 0.25
    assert found[2].why == "AgentTimeoutError: 600 s"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rewards.json", '{"a": 1, "b": 0.5}'),
        ("rewards.json", '[{"task": "b", "reward": 0.5}, {"task": "a", "reward": 1}]'),
        ("rewards.jsonl", '{"task": "a", "reward": true}\n\n{"task": "b", "reward": "0.5"}\n'),
    ],
)
def test_a_file_of_rewards_is_read(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    found = read_rewards(tmp_path / name)
    assert [(one.task, one.reward) for one in found] == [("a", 1.0), ("b", 0.5)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[", "is no JSON"),
        ("[1]", "entry 1: no object with a 'task'"),
        ('[{"task": "a", "reward": "NaN"}]', "the reward 'NaN' is no finite number"),
        ("[]", "wrote no rewards"),
        ("[" * 100_000, "is no JSON"),
    ],
)
def test_what_is_no_reward_is_said(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "rewards.json").write_text(text, "utf-8")
    with pytest.raises(LoopError, match=says):
        read_rewards(tmp_path / "rewards.json")


def test_rewards_that_were_there_before_do_not_count(tmp_path: Path) -> None:
    trial(tmp_path, "old__1", **verified(reward=1.0))
    before = seen(tmp_path)
    with pytest.raises(LoopError, match="wrote no rewards"):
        read_rewards(tmp_path, before=before)
    trial(tmp_path, "new__1", **verified(reward=0.0))
    assert [one.task for one in read_rewards(tmp_path, before=before)] == ["new"]


def score(root: Path, rewards: Any, *, tasks: Any, metric: str = "pass_rate") -> Score:
    (root / "given.json").write_text(json.dumps(rewards), "utf-8")
    (root / "agent.py").write_text("one two three\n", "utf-8")
    benchmark = Benchmark(
        command="cp given.json rewards.json", rewards=Path("rewards.json"), tasks=tasks,
        timeout_s=20, metric=metric, threshold=1.0, editable=("*.py",),
    )  # fmt: skip
    return benchmark.score(root, root / "score.log", {})


def test_a_task_without_a_reward_is_not_passed(tmp_path: Path) -> None:
    found = score(tmp_path, {"a": 1, "b": 0.5}, tasks=("a", "b", "c"))
    assert found.value == pytest.approx(1 / 3)
    assert found.dims["avg_score"] == pytest.approx(0.5)
    assert found.cells["passed"] == "1/3"
    assert [(case.case_id, case.passed) for case in found.cases] == [
        ("a", True),
        ("b", False),
        ("c", False),
    ]
    assert score(tmp_path, {"a": 1, "b": 0.5}, tasks=4).value == pytest.approx(1 / 4)
    by_mean = score(tmp_path, {"a": 1, "b": 0.5}, tasks=4, metric="avg_score")
    assert by_mean.value == pytest.approx(1.5 / 4)
    assert list(found.ties.values()) == [pytest.approx(0.5), -3]


def test_several_attempts_at_a_task_give_their_mean(tmp_path: Path) -> None:
    rows = [{"task": "a", "reward": reward} for reward in (1, 1, 0)]
    (case,) = score(tmp_path, rows, tasks=1).cases
    assert (case.score, case.passed) == (pytest.approx(2 / 3), True)
    assert case.rationale == "2 of 3 attempts passed"


def test_nothing_verified_is_no_score(tmp_path: Path) -> None:
    found = score(tmp_path, {"a": None, "b": None}, tasks=2)
    assert (found.value, found.failure) == (None, "crash")


def test_a_task_that_is_not_the_benchmarks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LoopError, match="'d', which is no task of it"):
        score(tmp_path, {"d": 1}, tasks=("a",))
    with pytest.raises(LoopError, match="gave 2 tasks a reward; it has 1"):
        score(tmp_path, {"d": 1, "e": 1}, tasks=1)
    with pytest.raises(LoopError, match="holds no task"):
        task_names(tmp_path)
