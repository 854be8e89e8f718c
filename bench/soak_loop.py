"""A loop of many rounds that is killed at every point, and whether its four records agree.

    python bench/soak_loop.py [--rounds 100] [--kills 100] [--seed 1]

Each process of the loop is killed with everything it started (SIGKILL): in turn right after a
random entry of its journal, at a random instant of its first round, and at a random instant from
its start. Afterwards the ledger, the git history, the journal and the pane (by query, on a real
local server) are compared round by round.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(HERE))

from nightpane.testing import LocalServer  # noqa: E402

_ANY_S = (0.1, 1.0)
_ROUND_S = (0.0, 0.12)
_POLL_S = 0.002


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=100)
    arguments.add_argument("--kills", type=int, default=100)
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name, LocalServer(Path(name) / "server") as server:
        folder = Path(name)
        make_repository(folder)
        kills = run(folder, server, given.rounds, given.kills, random.Random(given.seed))
        found = compare(folder, server, given.rounds)
    at = collections.Counter(kills)
    print(f"{len(kills)} kills in {time.monotonic() - started:.0f} s; the last entry before one:")
    print("  " + ", ".join(f"{kind} {count}" for kind, count in at.most_common()))
    for line in found:
        print(line)
    return 0


def run(
    folder: Path, server: LocalServer, rounds: int, most: int, draw: random.Random
) -> list[str]:
    """Run the loop to its end, killed so often; return what the journal ended with each time."""
    environ = {
        **os.environ,
        "POSTHOG_HOST": server.host,
        "POSTHOG_API_KEY": server.api_key,
        "NIGHTPANE_SPOOL_DIR": str(folder / "spool"),
        "NIGHTPANE_STATE_DIR": str(folder / "state"),
    }
    command = [sys.executable, "-m", "tests.loops.looping", str(folder), str(rounds)]
    kills: list[str] = []
    while True:
        way = ("entry", "round", "any")[len(kills) % 3] if len(kills) < most else "end"
        by_entry = [str(draw.randrange(1, 7))] if way == "entry" else []
        before = len(journal(folder))
        process = subprocess.Popen(
            [*command, *by_entry], cwd=HERE, env=environ, start_new_session=True
        )
        if way == "any":
            wait(process, draw.uniform(*_ANY_S))
        elif way == "round":
            while process.poll() is None and len(journal(folder)) == before:
                time.sleep(_POLL_S)
            wait(process, draw.uniform(*_ROUND_S))
        else:
            process.wait()
        end_tree(process)
        if process.returncode not in (0, -signal.SIGKILL):
            raise SystemExit(f"the loop ended with exit code {process.returncode}")
        entries = journal(folder)
        last = entries[-1]["kind"] if entries else "nothing"
        kills += [last] * (process.returncode != 0)
        if last == "ended":
            break
    flush = [sys.executable, "-m", "nightpane", "spool", "flush"]
    subprocess.run(flush, env=environ, check=True, stdout=subprocess.DEVNULL)
    return kills


def wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)


def end_tree(process: subprocess.Popen[bytes]) -> None:
    """Kill a process, and whatever is below it now."""
    import psutil

    try:
        below = psutil.Process(process.pid).children(recursive=True)
    except psutil.Error:
        below = []
    if process.poll() is None:
        process.kill()
    for one in below:
        try:
            one.kill()
        except psutil.Error:
            continue
    process.wait()


def compare(folder: Path, server: LocalServer, rounds: int) -> list[str]:
    """Return what agrees; raises AssertionError for what does not."""
    entries = journal(folder)
    decided = [one for one in entries if one["kind"] == "decided"]
    numbers = list(range(rounds))
    check([one["number"] for one in decided] == numbers, "a round is lost or repeated: journal")
    rows = [line.split("\t") for line in (folder / "results.tsv").read_text("utf-8").splitlines()]
    check(len(rows) == rounds + 1, "a round is lost or repeated: ledger")
    status = ["keep" if one["kept"] else "crash" if one["score"] is None else "discard"
              for one in decided]  # fmt: skip
    check([row[2] for row in rows[1:]] == status, "the ledger has another outcome")
    scores = ["" if one["score"] is None else f"{one['score']:.6f}" for one in decided]
    check([row[1] for row in rows[1:]] == scores, "the ledger has another score")
    kept = [one["commit"] for one in decided if one["kept"] and one["commit"]]
    log = git(folder / "repository", "log", "--format=%H").splitlines()
    check(log[:-1][::-1] == kept, "git has other commits than were kept")
    check(git(folder / "repository", "status", "--porcelain") == "", "the tree is not clean")
    told = rounds_told(server, entries[0]["run_id"])
    check(sorted(told) == numbers, "a round is lost or repeated: pane")
    for one in decided:
        event, score, ended = told[one["number"]]
        check(ended == 1, f"round {one['number']} ended {ended} times in the pane")
        check((event == "round_kept") == one["kept"], f"round {one['number']}: another outcome")
        if one["score"] is not None:
            check(score == one["score"], f"round {one['number']} scored {score} in the pane")
    interrupted = sum(one["failure_mode"] == "interrupted" for one in decided)
    taken, failed = status.count("discard"), status.count("crash")
    return [
        f"journal, ledger, git and pane agree on {rounds} rounds:",
        f"  {status.count('keep')} kept, {taken} taken back, {failed} without a score",
        f"  ({interrupted} of these interrupted)",
    ]


def rounds_told(server: LocalServer, run_id: str) -> dict[int, tuple[str, float | None, int]]:
    """Return how each round ended in the pane: event, score, and how often it ended."""
    answer = server.query().hogql(
        "select toInt(max(toFloat(properties.n_prior_rounds))) as number, "
        "countIf(event = 'round_kept') as kept, countIf(event = 'round_reverted') as reverted, "
        "max(toFloat(properties.score)) as score, properties.round_id as round_id "
        "from events where properties.run_id = {run} "
        "and event in ('round_started', 'round_scored', 'round_kept', 'round_reverted') "
        "group by round_id limit 10000",
        {"run": run_id},
    )
    return {
        number: ("round_kept" if kept else "round_reverted", score, kept + reverted)
        for number, kept, reverted, score, _ in answer.rows
    }


def make_repository(folder: Path) -> None:
    root = folder / "repository"
    root.mkdir()
    git(root, "init", "--quiet", "--initial-branch", "main")
    git(root, "config", "user.name", "Soak")
    git(root, "config", "user.email", "soak@example.org")
    (root / "value.py").write_text("N = -1\n", "utf-8")
    (root / "keep.txt").write_text("protected\n", "utf-8")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "start")


def git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def journal(folder: Path) -> list[dict[str, Any]]:
    path = folder / "journal" / "journal.jsonl"
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def settled(folder: Path) -> int:
    return sum(one["kind"] == "settled" for one in journal(folder))


def check(holds: bool, what: str) -> None:
    if not holds:
        raise AssertionError(what)


if __name__ == "__main__":
    sys.exit(main())
