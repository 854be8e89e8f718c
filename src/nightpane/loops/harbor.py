"""Rewards of a benchmark, task by task: a folder of Harbor's trials, or a file of any other's.

Harbor writes ``jobs/JOB/TRIAL/result.json``; other benchmarks may write one JSON file. What is no
reward must be said, never read as zero.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nightpane.errors import LoopError

__all__ = ["TaskReward", "read_rewards", "seen"]

_REWARD = "reward"
_MOST_BYTES = 50_000_000
_MOST_CHARS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskReward:
    """What one attempt at a task was given; ``reward`` is None when its verifier gave none."""

    task: str
    reward: float | None
    passed: bool
    why: str = ""
    cost_usd: float | None = None


def seen(path: Path) -> Mapping[Path, int]:
    """Return what lies at ``path`` now, each file with the time it was written (nanoseconds)."""
    return {one: one.stat().st_mtime_ns for one in _files(path)}


def read_rewards(
    path: Path, *, before: Mapping[Path, int] | None = None, threshold: float = 1.0
) -> list[TaskReward]:
    """Return the attempts that a benchmark left at ``path``, ordered by task.

    A folder holds Harbor's trials: each ``result.json`` below it with a ``verifier_result``, an
    ``exception_info`` or a ``task_name`` is one, and ``verifier/reward.txt`` beside it counts where
    the result names no reward. A file holds ``{"task": reward, …}``, a list of
    ``{"task": …, "reward": …}``, or such objects one a line. What ``before`` (see ``seen``) has
    unchanged is an earlier round's. A task is passed at ``threshold`` or more.

    Raises LoopError when there is none, or one cannot be read.
    """
    known = before or {}
    fresh = [one for one in _files(path) if known.get(one) != one.stat().st_mtime_ns]
    read = _trials if path.is_dir() else _listed
    found = [attempt for one in fresh for attempt in read(one, threshold)]
    if not found:
        raise LoopError(f"the benchmark wrote no rewards to {path}")
    return sorted(found, key=lambda one: one.task)


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(path.rglob("result.json"))
    return [path] if path.is_file() else []


def _trials(path: Path, threshold: float) -> Iterator[TaskReward]:
    document = _json(path)
    if not isinstance(document, dict):
        raise LoopError(f"{path} is no trial's result: it holds no JSON object")
    if {"task_name", "verifier_result", "exception_info"} & document.keys():
        yield _trial(path, document, threshold)


def _trial(path: Path, document: Mapping[str, Any], threshold: float) -> TaskReward:
    task = document.get("task_name") or path.parent.name.rpartition("__")[0] or path.parent.name
    failed = _object(document.get("exception_info"))
    reward = _verified(document)
    if reward is None:
        reward = _beside(path.parent / "verifier")
    why = ": ".join(str(failed[name]) for name in ("exception_type", "exception_message")
                    if failed.get(name))  # fmt: skip
    agent = _object(document.get("agent_result"))
    return TaskReward(
        task=str(task),
        reward=reward,
        passed=reward is not None and reward >= threshold,
        why=why[:_MOST_CHARS] or ("" if reward is not None else "its verifier gave no reward"),
        cost_usd=_number(agent.get("cost_usd")),
    )


def _verified(document: Mapping[str, Any]) -> float | None:
    """Return the reward of that name, else the mean of all that the verifier gave."""
    rewards = _object(_object(document.get("verifier_result")).get("rewards"))
    numbers = {name: _number(value) for name, value in rewards.items()}
    if numbers.get(_REWARD) is not None:
        return numbers[_REWARD]
    known = [value for value in numbers.values() if value is not None]
    return sum(known) / len(known) if known else None


def _beside(folder: Path) -> float | None:
    """Return the reward in the files that a verifier itself writes."""
    text, document = folder / "reward.txt", folder / "reward.json"
    if text.is_file():
        return _number(text.read_text("utf-8", "replace").strip())
    if document.is_file():
        return _verified({"verifier_result": {"rewards": _json(document)}})
    return None


def _listed(path: Path, threshold: float) -> Iterator[TaskReward]:
    document = _json(path)
    if isinstance(document, dict) and _REWARD not in document:
        rows: list[Any] = [{"task": task, _REWARD: reward} for task, reward in document.items()]
    else:
        rows = document if isinstance(document, list) else [document]
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict) or not isinstance(row.get("task"), str):
            raise LoopError(f"{path}, entry {number}: no object with a 'task' and a 'reward'")
        given = row.get(_REWARD)
        reward = _number(given)
        if reward is None and given is not None:
            raise LoopError(f"{path}, entry {number}: the reward {given!r} is no finite number")
        yield TaskReward(
            task=row["task"],
            reward=reward,
            passed=reward is not None and reward >= threshold,
            why=str(row.get("why", ""))[:_MOST_CHARS],
            cost_usd=_number(row.get("cost_usd")),
        )


def _json(path: Path) -> Any:
    """Return a JSON document, or the documents of a file that has one a line."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise LoopError(f"{path} is larger than {_MOST_BYTES} bytes")
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LoopError(f"{path} cannot be read: {error}") from error
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        if path.suffix != ".jsonl":
            raise LoopError(f"{path} is no JSON: {error}") from error
    try:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except (ValueError, RecursionError) as error:
        raise LoopError(f"{path} has a line that is no JSON: {error}") from error


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return float(value)
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
