"""``nightpane loop gtm`` on the example, and what it leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar

import pytest

from nightpane.gtm.container import Container
from nightpane.gtm.invariants import check
from nightpane.gtm.scorer import score
from nightpane.gtm.store import Store
from nightpane.testing import LocalServer

EXAMPLE = Path(__file__).parents[2] / "examples" / "gtm" / "container.json"
pytest.importorskip("obstore")


def nightpane(
    tmp_path: Path, *arguments: str, environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    given = {**os.environ, "NIGHTPANE_STATE_DIR": str(tmp_path / "state"), **(environ or {})}
    command = [sys.executable, "-m", "nightpane", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=given)


def test_a_night_improves_a_container(tmp_path: Path, server: LocalServer) -> None:
    environ = {"POSTHOG_HOST": server.host, "POSTHOG_API_KEY": server.api_key}
    staged, store = tmp_path / "staged", str(tmp_path / "store")
    text = EXAMPLE.read_text("utf-8")
    done = nightpane(
        tmp_path, "loop", "gtm", str(EXAMPLE), "--stage", str(staged), "--store", store, "--json",
        environ=environ,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert outcome["reason"] == "target"
    assert outcome["best_score"] >= 0.92
    assert outcome["measured"] is True
    assert EXAMPLE.read_text("utf-8") == text
    seed, best = Container.read(EXAMPLE), Container.read(staged / "container.json")
    assert score(best).score == pytest.approx(outcome["best_score"])
    assert check(seed, best, budget=1_000) == []
    summary = (staged / "summary.md").read_text("utf-8")
    assert f"{score(seed).score:.4f} before, {outcome['best_score']:.4f} now" in summary
    _check_store(Store(store), outcome["run_id"], seed, best)
    answer = server.query().hogql(
        "select properties.case_id, count(), max(toFloat(properties.score)) from events "
        "where event = 'eval.case' and properties.run_id = {run} group by 1 order by 1",
        {"run": outcome["run_id"]},
    )
    found = {case: (count, value) for case, count, value in answer.rows}
    assert set(found) == set(score(best).dimensions)
    assert {count for count, _ in found.values()} == {outcome["rounds"]}
    scored = server.query().hogql(
        "select max(toFloat(properties.dim_tagCoverage)) from events "
        "where event = 'round_scored' and properties.run_id = {run}",
        {"run": outcome["run_id"]},
    )
    assert scored.rows[0][0] == 1


def _check_store(store: Store, run_id: str, seed: Container, best: Container) -> None:
    (run,) = store.runs()
    assert run.run_id == run_id
    assert run.manifest["outcomes"] == {"improved": len(run.versions) - 1}
    assert store.container(run_id, 0).document == seed.document
    assert store.container(run_id, max(run.versions)).document == best.document
    # Any state is the one before it and the round's operations.
    from nightpane.gtm.mutations import apply

    found = seed
    for record in store.rounds(run_id):
        found = apply(found, record["operations"])
        assert found.document == store.container(run_id, record["round"]).document


def test_versions_are_listed_restored_and_rolled_into_a_corpus(
    tmp_path: Path, server: LocalServer
) -> None:
    store = str(tmp_path / "store")
    nightpane(tmp_path, "loop", "gtm", str(EXAMPLE), "--store", store, "--max-rounds", "12")
    (run,) = json.loads(nightpane(tmp_path, "gtm", "versions", store, "--json").stdout)
    assert run["rounds"] == 11
    out = tmp_path / "restored.json"
    nightpane(tmp_path, "gtm", "restore", store, run["run_id"], "0", str(out))
    assert Container.read(out).document == Container.read(EXAMPLE).document
    missing = nightpane(tmp_path, "gtm", "restore", store, "NONE", "0", str(out))
    assert (missing.returncode, "is not in" in missing.stderr) == (2, True)
    few = nightpane(tmp_path, "gtm", "corpus", store, str(tmp_path / "corpus"))
    assert (few.returncode, "too few" in few.stderr) == (2, True)
    environ = {"POSTHOG_HOST": server.host, "POSTHOG_API_KEY": server.api_key}
    options = ("--least", "2", "--threshold", "0.6", "--target-model", "small", "--json")
    done = nightpane(
        tmp_path, "gtm", "corpus", store, str(tmp_path / "corpus"), *options, environ=environ
    )
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    lines = Path(made["file"]).read_text("utf-8").splitlines()
    assert len(lines) == made["training"]
    assert "GTM-SHOP123" not in done.stdout + "".join(lines)
    assert Path(store, made["key"]).read_text("utf-8").splitlines() == lines
    answer = server.query().hogql(
        "select properties.n_examples, properties.r2_key, properties.target_model from events "
        "where event = 'finetune_batch_published' and properties.batch_id = {batch}",
        {"batch": made["batch_id"]},
    )
    assert answer.rows == [[made["training"] + made["held_out"], made["key"], "small"]]


SABOTEUR = (
    "import json, pathlib; p = pathlib.Path('container.json'); d = json.loads(p.read_text());"
    "d['containerVersion']['tag'].pop(); p.write_text(json.dumps(d)); print('less is more')"
)
WRITER = (
    "import json, os, pathlib; v = json.load(open(os.environ['NIGHTPANE_VERDICT']));"
    "assert v['wrong']['consentSettings'];"
    "pathlib.Path('operations.json').write_text(json.dumps("
    "[{'op': 'set_consent', 'status': 'NEEDED'}])); print('ask for consent')"
)


def rounds(tmp_path: Path, *more: str) -> list[list[str]]:
    done = nightpane(tmp_path, "loop", "gtm", str(EXAMPLE), "--max-rounds", "2", *more)
    assert "Traceback" not in done.stderr
    (ledger,) = (tmp_path / "state").glob("loops/*/*/repository/results.tsv")
    return [line.split("\t") for line in ledger.read_text("utf-8").splitlines()[1:]]


def test_a_command_proposes_operations_or_is_refused(tmp_path: Path) -> None:
    (tmp_path / "write.py").write_text(WRITER, "utf-8")
    found = rounds(tmp_path, "--propose", f"{sys.executable} {tmp_path}/write.py")
    assert found[1][2] == "keep"
    assert found[1][3].startswith("ask for consent [")


def test_an_invariant_that_breaks_is_no_score(tmp_path: Path) -> None:
    (tmp_path / "less.py").write_text(SABOTEUR, "utf-8")
    found = rounds(tmp_path, "--propose", f"{sys.executable} {tmp_path}/less.py")
    assert found[1][1:3] == ["", "crash"]
    (journal,) = (tmp_path / "state").glob("loops/*/*/journal.jsonl")
    decided = [json.loads(line) for line in journal.read_text("utf-8").splitlines()]
    reasons = [one["reason"] for one in decided if one["kind"] == "decided"]
    assert "nothing is removed" in reasons[1]


@pytest.mark.parametrize(
    ("text", "says"),
    [("{", "operations are no JSON"), ('[{"op": "publish"}]', "'publish' is unknown")],
)
def test_unusable_operations_are_no_proposal(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "given.json").write_text(text, "utf-8")
    rounds(tmp_path, "--propose", f"cp {tmp_path}/given.json operations.json")
    (journal,) = (tmp_path / "state").glob("loops/*/*/journal.jsonl")
    assert says in journal.read_text("utf-8")


def test_a_loop_that_was_killed_goes_on(tmp_path: Path) -> None:
    environ = {**os.environ, "NIGHTPANE_STATE_DIR": str(tmp_path / "state")}
    command = [sys.executable, "-m", "nightpane", "loop", "gtm", str(EXAMPLE)]
    command += ["--store", str(tmp_path / "store"), "--max-rounds", "9", "--json"]
    first = subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True)
    assert first.stderr is not None
    for line in first.stderr:
        if line.startswith("3  keep"):
            break
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    first.stderr.close()
    deadline = time.monotonic() + 60
    done = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert time.monotonic() < deadline
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rounds"] == 9
    (run,) = Store(str(tmp_path / "store")).runs()
    assert sum(run.manifest["outcomes"].values()) == 8


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--workspace", "mine"), "is not accounts/N/containers/N/NAME"),
        (("--profile", "best"), "no profile 'best': the rubric has structural"),
        (("--signals", "{old}"), "hours old, more than 72"),
        (("--store", "ftp://x/y"), "cannot be used"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, more: tuple[str, ...], says: str) -> None:
    old = tmp_path / "old.json"
    old.write_text('{"conversion_events": [], "generated_at": "2020-01-01T00:00:00Z"}', "utf-8")
    given = [one.replace("{old}", str(old)) for one in more]
    done = nightpane(tmp_path, "loop", "gtm", str(EXAMPLE), *given)
    assert done.returncode in (2, 3)
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_scores_and_checks_by_the_command_line(tmp_path: Path) -> None:
    done = nightpane(tmp_path, "gtm", "score", str(EXAMPLE), "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert told["score"] == score(Container.read(EXAMPLE)).score
    assert "consentSettings" in told["gates"]
    weights = [one["weight"] for one in told["dimensions"].values()]
    assert sum(weights) == pytest.approx(1)
    same = nightpane(tmp_path, "gtm", "check", str(EXAMPLE), str(EXAMPLE))
    assert (same.returncode, same.stdout) == (0, "nothing is broken\n")
    document = json.loads(EXAMPLE.read_text("utf-8"))
    document["containerVersion"]["tag"].pop()
    (tmp_path / "less.json").write_text(json.dumps(document), "utf-8")
    less = nightpane(tmp_path, "gtm", "check", str(EXAMPLE), str(tmp_path / "less.json"))
    assert less.returncode == 1
    assert "nothing is removed" in less.stdout


class _Model(BaseHTTPRequestHandler):
    """An OpenAI-compatible model that grades everything the same."""

    asked: ClassVar[list[dict[str, Any]]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append({"model": body["model"], "baggage": self.headers["baggage"]})
        names = score(Container.read(EXAMPLE)).dimensions
        grades = {name: {"grade": 0.25, "rationale": "seen"} for name in names}
        answer = {"choices": [{"message": {"content": json.dumps(grades)}}]}
        text = json.dumps(answer).encode()
        self.send_response(200 if self.headers["Authorization"] == "Bearer hidden" else 401)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def model() -> Iterator[dict[str, str]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Model)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}/v1"
    yield {"OPENAI_BASE_URL": address, "OPENAI_API_KEY": "hidden"}
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_model_judges_beside_the_score(tmp_path: Path, model: dict[str, str]) -> None:
    done = nightpane(
        tmp_path, "gtm", "score", str(EXAMPLE), "--judge", "small", "--json", environ=model
    )
    told = json.loads(done.stdout)
    assert told["judge"]["tagCoverage"] == {"grade": 0.25, "rationale": "seen"}
    assert told["judged_score"] == told["score"]
    rubric = tmp_path / "rubric.toml"
    text = files("nightpane.gtm").joinpath("rubric.toml").read_text("utf-8")
    rubric.write_text(text.replace("judge_weight = 0.0", "judge_weight = 0.5"), "utf-8")
    options = ("--judge", "small", "--rubric", str(rubric), "--max-rounds", "1", "--json")
    looped = nightpane(tmp_path, "loop", "gtm", str(EXAMPLE), *options, environ=model)
    expected = (told["score"] + 0.25) / 2
    assert json.loads(looped.stdout)["best_score"] == pytest.approx(expected, abs=1e-4)
    assert "nightpane.round_id=" in _Model.asked[-1]["baggage"]
    refused = nightpane(
        tmp_path, "gtm", "score", str(EXAMPLE), "--judge", "small",
        environ={**model, "OPENAI_API_KEY": "wrong-key"},
    )  # fmt: skip
    assert (refused.returncode, "refused with 401" in refused.stderr) == (2, True)
    assert "wrong-key" not in refused.stderr
