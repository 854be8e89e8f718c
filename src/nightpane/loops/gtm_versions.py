"""A GTM loop's runs into the store: what was begun from, each round, each container that was kept.

Everything is read from the journal and the loop's repository, so that what could not be written one
night is written the next.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from nightpane.errors import LoopError
from nightpane.gtm import staging
from nightpane.gtm.container import Container
from nightpane.gtm.corpus import Example
from nightpane.gtm.store import Store
from nightpane.gtm.tag_manager import TagManager
from nightpane.loops.gtm import CONTAINER, GtmAutoResearch, proposals
from nightpane.loops.journal import Entry, Journal

__all__ = ["best_and_seed", "deliver", "examples", "kept_summaries", "publish"]

_ACTIONS = {"invalid": "validation_fail", "score_missed": "reverted"}


def publish(folder: Path, store: Store, *, client: str) -> list[str]:
    """Write every run of a loop's folder that is over into the store; return the new ones' ids.

    A run whose manifest, which is written last, is there already stays as it is: other signals
    would tell its rounds in other words. Raises GtmError when the store refuses or does not answer.
    """
    published = []
    there = {one.run_id for one in store.runs()}
    for run in _runs(folder):
        if run[-1]["kind"] == "ended" and run[0]["run_id"] not in there:
            _publish(run, folder, store, client)
            published.append(str(run[0]["run_id"]))
    return published


def deliver(
    research: GtmAutoResearch,
    folder: Path,
    *,
    client: str,
    stage: Path | None,
    workspace: str | None,
    store: Store | None,
    say: Callable[[str], None],
) -> None:
    """Write the last run's best container to where people look at it: a folder, or the Tag Manager
    workspace ``accounts/1/containers/2/NAME``; and every run to the store.

    Raises GtmError when either cannot be written; the loop's folder keeps what it holds.
    """
    best, seed = best_and_seed(folder)
    scorer = research.scorer(seed, folder)
    if stage is not None:
        verdicts = (scorer.verdict(seed), scorer.verdict(best))
        staging.stage(stage, seed, best, verdicts, kept_summaries(folder))
        say(f"staged in {stage}")
    if workspace is not None:
        parent, _, name = workspace.rpartition("/")
        staged = TagManager().stage(best, parent, name, renamed_from=seed)
        done = f"{len(staged.created)} created, {len(staged.updated)} updated"
        say(f"staged in {staged.workspace}: {done}")
    if store is not None:
        published = publish(folder, store, client=client)
        say(f"{len(published)} runs in {store.address}")


def best_and_seed(folder: Path) -> tuple[Container, Container]:
    """Return the best container of a loop's last run, and what the run began from."""
    run = _runs(folder)[-1]
    kept = [one for one in run if one["kind"] == "decided" and one["kept"] and one["commit"]]
    best = kept[-1]["commit"] if kept else run[0]["commit"]
    return _at(folder, best), _at(folder, run[0]["commit"])


def kept_summaries(folder: Path) -> list[str]:
    """Return the summaries of the last run's kept rounds."""
    run = _runs(folder)[-1]
    numbers = {one["number"] for one in run if one["kind"] == "decided" and one["kept"]}
    return [
        str(one["summary"]) for one in run if one["kind"] == "proposed" and one["number"] in numbers
    ]


def examples(store: Store, run_id: str, client: str) -> list[Example]:
    """Return the kept rounds of a run in the store, as examples for a corpus.

    Raises GtmError when the store does not answer.
    """
    return [
        Example(
            run_id=run_id,
            number=int(one["round"]),
            score=float(one["score_after"]),
            state=str(one["state"]),
            problem=str(one["problem"]),
            operations=one["operations"],
            client=client,
        )
        for one in store.rounds(run_id)
        if one["action"] == "improved" and one["operations"]
    ]


def _publish(run: Sequence[Entry], folder: Path, store: Store, client: str) -> None:
    run_id = str(run[0]["run_id"])
    proposed = proposals(folder)
    best_score = None
    store.put_version(run_id, 0, _at(folder, run[0]["commit"]))
    outcomes: dict[str, int] = {}
    decided = [one for one in run if one["kind"] == "decided"]
    told = [proposed.get(str(one["round_id"]), {}) for one in decided]
    for one, proposal in zip(decided, told, strict=True):
        number, score = int(one["number"]), one["score"]
        action = "improved" if one["kept"] else _ACTIONS.get(one["failure_mode"], "reverted")
        if number:
            outcomes[action] = outcomes.get(action, 0) + 1
            record = {
                "round": number,
                "round_id": one["round_id"],
                "action": action,
                "operations": proposal.get("operations"),
                "summary": proposal.get("summary", ""),
                "reason": one["reason"],
                "score_before": best_score,
                "score_after": score,
                "dimensions": one["dims"],
                "at": _moment(one["at"]),
                "state": proposal.get("state", ""),
                "problem": proposal.get("problem", ""),
            }
            store.put_round(run_id, number, record)
        if one["kept"]:
            best_score = score
            if one["commit"]:
                store.put_version(run_id, number, _at(folder, one["commit"]))
    stopped = next(one for one in run if one["kind"] == "stopped")
    manifest = {
        "run_id": run_id,
        "client": client,
        "profile": next((one["profile"] for one in told if "profile" in one), None),
        "began_at": _moment(run[0]["at"]),
        "ended_at": _moment(stopped["at"]),
        "reason": stopped["reason"],
        "rounds": len(decided) - 1,
        "outcomes": outcomes,
        "seed_score": decided[0]["score"] if decided else None,
        "best_score": best_score,
    }
    store.put_manifest(run_id, manifest)


def _runs(folder: Path) -> list[Sequence[Entry]]:
    with Journal.open(folder) as journal:
        entries = journal.entries
    starts = [at for at, entry in enumerate(entries) if entry["kind"] == "run"]
    if not starts:
        raise LoopError(f"{folder} holds no run")
    return [entries[at:end] for at, end in zip(starts, [*starts[1:], len(entries)], strict=True)]


def _at(folder: Path, commit: str) -> Container:
    """Return the container of a commit of the loop's repository."""
    root = folder / "repository"
    command = ["git", "-C", str(root), "show", f"{commit}:{CONTAINER}"]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    if done.returncode != 0:
        raise LoopError(f"git show {commit} failed in {root}: {done.stderr.strip()}")
    return Container.parse(done.stdout)


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
