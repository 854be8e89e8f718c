"""The events of a ledger: what they say, their ids, their times."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.ledgers.conftest import HEADER, Reader
from tests.ledgers.test_json import CONFIG, GTM, lines, run
from tests.ledgers.test_tables import ROWS

from nightpane.catalog import problems
from nightpane.errors import LedgerError
from nightpane.ids import is_ulid, ulid_ms
from nightpane.ledgers import Anchors, ImportedEvent, events, import_ledger, read

NOW = datetime(2026, 3, 10, 8, 0, tzinfo=UTC)


def names(made: list[ImportedEvent]) -> list[str]:
    return [event.event for event in made]


def keys(made: list[ImportedEvent]) -> list[tuple[Any, ...]]:
    """What a server tells events apart by, and what ties them together."""
    return [(e.uuid, e.timestamp, e.run_id, e.round_id) for e in made]


def test_events_of_each_outcome(ledger: Reader) -> None:
    made = list(events(ledger(HEADER + ROWS), now=NOW))
    assert names(made) == [
        *("round_started", "round_scored", "round_kept"),
        *("round_started", "round_scored", "round_kept"),
        *("round_started", "round_scored", "round_reverted"),
        *("round_started", "round_reverted"),
    ]
    assert len({event.run_id for event in made}) == 1
    assert len({event.round_id for event in made}) == 4
    assert all(is_ulid(event.round_id) for event in made)


def test_what_the_events_say(ledger: Reader) -> None:
    made = list(events(ledger(HEADER + ROWS), now=NOW))
    started, scored, kept = (event.properties for event in made[3:6])
    assert started["baseline_score"] == 0.9979
    assert started["n_prior_rounds"] == 1
    assert {k: scored[k] for k in ("score", "metric", "direction", "memory_gb")} == {
        "score": 0.986,
        "metric": "val_bpb",
        "direction": "min",
        "memory_gb": 43.9,
    }
    assert kept["delta"] == pytest.approx(0.0119)
    assert kept["new_best"] == 0.986
    assert kept["summary"] == "halve the batch"
    assert kept["commit"] == kept["git_sha"] == "b1b2c3d"
    assert (kept["imported"], kept["ledger_status"], kept["ledger_line"]) == (True, "keep", 3)
    crash = made[-1].properties
    assert (crash["failure_mode"], crash["reason"]) == ("crash", "out of memory")
    assert crash["memory_gb"] == 0.0
    assert "score" not in crash
    assert made[2].properties["new_best"] == 0.9979
    assert "delta" not in made[2].properties


def test_every_event_fits_the_catalogue(ledger: Reader) -> None:
    texts = [
        HEADER + ROWS,
        "commit\tmodel\tdelta\tscore\tstatus\nHEAD\tx\t+1%\t3\tkeep\n",
        lines(
            CONFIG, run(1, 5, "keep"), run(2, 4, "checks_failed"), {"type": "stop", "reason": "x"}
        ),
        json.dumps(GTM),
    ]
    for text in texts:
        for event in events(ledger(text), now=NOW):
            envelope = {"project": "p", "client": "c", "agent": "loop", "run_id": event.run_id}
            sent = {**envelope, "round_id": event.round_id, **event.properties}
            assert problems(event.event, {k: v for k, v in sent.items() if v is not None}) == []
            json.dumps(event.properties, allow_nan=False)


def test_columns_named_like_the_catalogues_own_stand_aside(ledger: Reader) -> None:
    text = "commit\tmodel\tdelta\tscore\t$set\tagent\tstatus\na1\tgpt\t+1%\t3\t{}\tme\tkeep\n"
    (_, scored, _) = events(ledger(text), now=NOW)
    properties = scored.properties
    assert properties["ledger_model"] == "gpt"
    assert properties["ledger_delta"] == 1.0
    assert properties["ledger_agent"] == "me"
    assert "agent" not in properties
    assert not any(name.startswith("$") for name in properties)


def test_dimensions_and_cost(ledger: Reader) -> None:
    made = list(events(ledger(json.dumps(GTM))))
    assert made[1].properties["dim_tagCoverage"] == 0.27
    rejected = next(e for e in made if e.properties.get("score") == 0.641)
    assert not any(name.startswith("dim_") for name in rejected.properties)
    text = (
        "commit\tavg_score\tpassed\ttask_scores\tcost_usd\tstatus\na1\t1\t1/1\tx:1.0\t0.5\tkeep\n"
    )
    *_, kept = events(ledger(text), now=NOW)
    assert kept.properties["cost_usd"] == 0.5


def test_stop_with_what_the_run_came_to(ledger: Reader) -> None:
    stop = {"type": "stop", "reason": "max_iterations reached", "timestamp": 1773923000000}
    *_, last = events(ledger(lines(CONFIG, run(1, 5, "keep"), stop)))
    assert last.event == "stop_triggered"
    assert last.round_id is None
    assert last.properties["reason"] == "max_rounds"
    assert last.properties["rounds_completed"] == 1
    assert last.properties["final_best_score"] == 5
    assert last.timestamp == datetime.fromtimestamp(1773923000, UTC)


def test_times_of_the_file(ledger: Reader) -> None:
    made = list(events(ledger(lines(CONFIG, run(1, 5, "keep"), run(2, 4, "keep")))))
    first, second = made[2], made[5]
    assert first.timestamp == datetime.fromtimestamp(1773922593.671, UTC)
    assert second.timestamp - first.timestamp == timedelta(minutes=1)
    assert made[3].timestamp == first.timestamp  # the next round starts where the last ended
    assert second.properties["timestamp_estimated"] is False
    assert made[3].properties["timestamp_estimated"] is True
    assert ulid_ms(second.round_id or "") == 1773922653671


def test_bare_dates_are_spread_and_marked(ledger: Reader) -> None:
    text = "date\texperiment\tscore\tstatus\n" + "".join(
        f"2026-03-21\te{i}\t{i}\tkeep\n" for i in range(1, 4)
    )
    kept = [e for e in events(ledger(text)) if e.event == "round_kept"]
    assert [e.timestamp.isoformat() for e in kept] == [
        "2026-03-21T00:00:00+00:00",
        "2026-03-21T00:01:00+00:00",
        "2026-03-21T00:02:00+00:00",
    ]
    assert all(e.properties["timestamp_estimated"] for e in kept)


def test_rows_without_a_time_among_rows_with_one(ledger: Reader) -> None:
    text = "timestamp\tscore\tstatus\texperiment\n"
    text += "\t1\tkeep\ta\n2026-03-21T10:00:00Z\t2\tkeep\tb\n-\t3\tkeep\tc\n"
    kept = [e for e in events(ledger(text)) if e.event == "round_kept"]
    assert [e.properties["timestamp_estimated"] for e in kept] == [True, False, True]
    assert [e.timestamp for e in kept] == sorted(e.timestamp for e in kept)


def test_evenly_spaced_as_a_last_resort(ledger: Reader, tmp_path: Path) -> None:
    found = ledger(HEADER + ROWS)
    os.utime(found.path, (1_700_000_000, 1_700_000_000))
    closing = [
        e for e in events(read(found.path), now=NOW) if e.event in ("round_kept", "round_reverted")
    ]
    gaps = {b.timestamp - a.timestamp for a, b in pairwise(closing)}
    assert gaps == {timedelta(minutes=5)}
    assert closing[-1].timestamp == datetime.fromtimestamp(1_700_000_000, UTC)
    assert all(e.properties["timestamp_estimated"] for e in closing)


def test_importing_again_even_from_a_copy_changes_nothing(ledger: Reader, tmp_path: Path) -> None:
    anchors = tmp_path / "state"
    found = ledger(HEADER + ROWS)
    first = keys(list(events(found, anchors=Anchors(anchors))))
    copy = tmp_path / "elsewhere" / "copied.tsv"
    copy.parent.mkdir()
    shutil.copy(found.path, copy)
    os.utime(copy, (1_600_000_000, 1_600_000_000))
    assert keys(list(events(read(copy), anchors=Anchors(anchors)))) == first
    # without the memory of the first import the times differ, but the identities do not
    elsewhere = list(events(read(copy)))
    assert [e.uuid for e in elsewhere] == [key[0] for key in first]


def test_a_ledger_that_has_grown_adds_only_the_new_rounds(tmp_path: Path) -> None:
    path, anchors = tmp_path / "results.tsv", tmp_path / "state"
    seen: dict[str, tuple[Any, ...]] = {}
    rows = ROWS.splitlines(keepends=True)
    more = [f"e{i}b2c3d\t0.{97 - i}\t44\tkeep\tstep {i}\n" for i in range(5)]
    for step, upto in enumerate((1, 3, 4, 4, 9)):
        text = HEADER + "".join((rows + more)[:upto])
        path.write_text(text + ("f1b2c3d\t0." if step == 1 else ""))  # a row half written
        os.utime(path, (1_700_000_000 + step * 3600,) * 2)
        for key in keys(list(events(read(path), anchors=Anchors(anchors)))):
            assert seen.setdefault(key[0], key) == key
    assert len({key[3] for key in seen.values()}) == 9
    assert len({key[2] for key in seen.values()}) == 1
    times = sorted(key[1] for key in seen.values())
    assert times[-1] == datetime.fromtimestamp(1_700_000_000 + 4 * 3600, UTC)


def test_projects_clients_and_runs_keep_apart(ledger: Reader) -> None:
    found = ledger(HEADER + ROWS)
    made = [
        {e.uuid for e in events(found, project=p, client=c, now=NOW)}
        for p, c in (("a", "x"), ("a", "y"), ("b", "x"))
    ]
    assert not made[0] & made[1]
    assert not made[0] & made[2]
    mine = {e.uuid for e in events(found, now=NOW)}
    other = {e.uuid for e in events(ledger(HEADER + ROWS.replace("0.9979", "0.9978")), now=NOW)}
    assert not mine & other  # another first round is another run
    repeated = list(events(ledger(HEADER + ROWS[:38] * 3), now=NOW))
    assert len({e.uuid for e in repeated}) == 9  # the same row three times is three rounds


def test_unreadable_memory_of_times_is_said(ledger: Reader, tmp_path: Path) -> None:
    found, folder = ledger(HEADER + ROWS), tmp_path / "state"
    list(events(found, anchors=Anchors(folder)))
    (entry,) = folder.iterdir()
    entry.write_text("{")
    anchors = Anchors(folder)
    assert len(list(events(found, anchors=anchors))) == 11
    assert "cannot be read" in anchors.warnings[0]
    blocked = Anchors(tmp_path / "results.tsv")
    assert len(list(events(found, anchors=blocked))) == 11
    assert "cannot be written" in blocked.warnings[-1]


@pytest.fixture
def repo(tmp_path: Path) -> tuple[Path, list[str]]:
    """A repository of three commits, the last of them on no branch any more."""
    folder = tmp_path / "repo"
    folder.mkdir()

    def git(*arguments: str, at: int = 0) -> str:
        date = f"@{1_770_000_000 + at} +0100"
        env = os.environ | {"GIT_COMMITTER_DATE": date, "GIT_AUTHOR_DATE": date}
        names = ("-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "gc.auto=0")
        done = subprocess.run(
            ["git", *names, "-C", str(folder), *arguments],
            env=env,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    git("init", "-q")
    commits = []
    for at in (0, 600, 1500):
        git("commit", "-q", "--allow-empty", "-m", f"try {at}", at=at)
        commits.append(git("rev-parse", "--short=7", "HEAD"))
    git("reset", "-q", "--hard", "HEAD~1")
    return folder, commits


def test_times_from_git(repo: tuple[Path, list[str]], ledger: Reader) -> None:
    folder, (first, second, third) = repo
    text = HEADER + "".join(
        f"{commit}\t0.{90 - i}\t44\tkeep\tx{i}\n"
        for i, commit in enumerate((first, second, second, "n/a", third, "fffffff"))
    )
    made = list(events(ledger(text, repo=folder)))
    kept = [e for e in made if e.event == "round_kept"]
    assert [int(e.timestamp.timestamp()) - 1_770_000_000 for e in kept] == [
        *(0, 600, 601, 602, 1500, 1501)
    ]
    assert [e.properties["timestamp_estimated"] for e in kept] == [
        *(False, False, True, True, False, True)
    ]


def test_git_that_knows_no_commit_leaves_the_times_to_the_file(
    repo: tuple[Path, list[str]], ledger: Reader
) -> None:
    found = ledger(HEADER + ROWS, repo=repo[0])
    assert all(e.properties["timestamp_estimated"] for e in events(found, now=NOW))


def test_repo_that_is_none(ledger: Reader, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with pytest.raises(LedgerError, match="no git repository"):
        list(events(ledger(HEADER + ROWS, repo=tmp_path / "plain")))


def test_import_hands_events_to_a_pane(ledger: Reader) -> None:
    taken: list[tuple[str, dict[str, Any]]] = []

    class Pane:
        def track(self, event: str, /, **properties: Any) -> str | None:
            taken.append((event, properties))
            return None if event == "round_started" else str(properties["uuid"])

    done = import_ledger(ledger(HEADER + ROWS), Pane())
    assert (done.events, done.estimated, done.lost) == (11, 7, 4)
    assert len(taken) == 11
    event, properties = taken[2]
    assert event == "round_kept"
    assert properties["agent"] == "loop"
    assert isinstance(properties["timestamp"], datetime)
    assert {"uuid", "run_id", "round_id", "commit"} <= set(properties)
