"""The command itself: a real proxy process and a real server with the data of some days."""

from __future__ import annotations

import contextlib
import io
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import openai
import pytest
from tests.pane_events import event, send
from tests.router.conftest import ENVIRON
from tests.router.upstreams import Fake

from nightpane.cli.main import run
from nightpane.router.ledger import Ledger
from nightpane.testing import LocalServer

# Every address that the process asks for is written down; nothing but this machine is let through.
GUARDED = """
import sys
log = open(sys.argv.pop(1), "a", buffering=1)
def guard(what, about):
    if what not in ("socket.connect", "socket.getaddrinfo"):
        return
    host = about[1][0] if what == "socket.connect" else about[0]
    if host not in ("127.0.0.1", "::1", "localhost", None):
        log.write(f"{what} {host}\\n")
        raise OSError(f"no network in tests: {host}")
sys.addaudithook(guard)
from nightpane.cli.main import main
main()
"""
# LiteLLM's own.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

ASKED: Any = [{"role": "user", "content": "Who are you?"}]
SECRET = "sk-small-provider-secret-0001"


class Machine:
    """The command in a folder of its own, pointed at a local server."""

    def __init__(self, folder: Path, server: LocalServer, rules: str) -> None:
        self.folder = folder
        self.rules = folder / "token-machine.toml"
        self.rules.write_text(rules)
        self.environ = {**server.environ, **ENVIRON, "AUTORESEARCH_PROJECT": "gtm-autoresearch"}
        self.environ |= {"NIGHTPANE_STATE_DIR": str(folder / "state")}
        self.addresses = folder / "addresses.log"
        self.log = folder / "serve.log"
        self._process = self._start()
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self.log.read_text()
        self.url = json.loads(line)["url"]

    def _start(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", GUARDED, str(self.addresses), "token-machine", "serve"]
        with self.log.open("a") as log:
            return subprocess.Popen(
                [*command, "--port", "0", "--json"],
                cwd=self.folder,
                env=self.environ,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def end(self, how: signal.Signals) -> int:
        """End the process, and return its exit code."""
        self._process.send_signal(how)
        code = self._process.wait(30)
        assert self._process.stdout is not None
        self._process.stdout.close()
        return code

    def close(self) -> None:
        if self._process.poll() is None:
            self.end(signal.SIGTERM)

    def client(self, name: str) -> openai.OpenAI:
        key = ENVIRON[f"TM_{name.upper()}"]
        return openai.OpenAI(api_key=key, base_url=self.url, max_retries=0)

    def run(self, *words: str) -> tuple[int, Any]:
        """Return exit code and JSON of a command of the group, run in this process."""
        code, text = self.text(*words, "--json")
        return code, json.loads(text) if text.startswith("{") else text

    def text(self, *words: str) -> tuple[int, str]:
        """Return exit code and what a command of the group prints."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environ.items():
                patch.setenv(name, value)
            patch.chdir(self.folder)
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = run(["token-machine", *words])
        return code, out.getvalue() or err.getvalue()


@pytest.fixture(scope="module")
def machine(
    tmp_path_factory: pytest.TempPathFactory,
    server: LocalServer,
    rules_text: Callable[..., str],
) -> Iterator[Machine]:
    send(server, history())
    running = Machine(
        tmp_path_factory.mktemp("machine"), server, rules_text("refresh_s = 0.2\nmin_graded = 30")
    )
    yield running
    running.close()


def history() -> Sequence[dict[str, Any]]:
    """Eight days of routed calls: small is good enough and ten times cheaper than large."""
    rng = random.Random(7)
    today = datetime.now(UTC).replace(hour=0, minute=0, second=5, microsecond=0)
    found = []
    for number in range(360):
        at = today - timedelta(days=number % 8)
        user = ("alice", "bob", "carol")[number % 3]
        model = "large-1" if user == "carol" else ("small", "large")[number % 2]
        cost = (0.0002 if model == "small" else 0.002) * rng.uniform(0.9, 1.1)
        found.append(
            event(
                "token_machine.request",
                at,
                user_id=user,
                agent="coder",
                task_type="gtm.rewrite",
                model_used=model,
                cost_usd=cost,
                latency_ms=500 + rng.randrange(100),
                quality_score=min(1.0, rng.gauss(0.9, 0.03)),
                request_id=f"old-{number}",
            )
        )
    return found


def until(found: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if value := found():
            return value
        time.sleep(0.05)
    raise AssertionError("it did not come about in time")


def test_the_data_routes_a_task_to_the_cheapest_model_that_holds_it(
    machine: Machine, fakes: dict[str, Fake]
) -> None:
    with machine.client("alice") as client:

        def routed() -> Any:
            raw = client.chat.completions.with_raw_response.create(model="rewrite", messages=ASKED)
            return raw if raw.headers["x-token-machine-model"] == "small" else None

        raw = until(routed)
        assert raw.headers["x-token-machine-reason"].startswith("cheapest of 2 that hold 0.8")
        request_id = raw.headers["x-token-machine-request-id"]
        body = {"request_id": request_id, "score": 0.25}
        client.post("/feedback", body=body, cast_to=object)
        client.post("/feedback", body={**body, "score": 0.75}, cast_to=object)


def test_the_examples_client_asks_and_grades(machine: Machine, fakes: dict[str, Fake]) -> None:
    example = Path(__file__).parents[2] / "examples" / "token-machine" / "ask.py"
    environ = {
        **machine.environ,
        "OPENAI_BASE_URL": machine.url,
        "OPENAI_API_KEY": ENVIRON["TM_ALICE"],
    }
    done = subprocess.run([sys.executable, example], env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("I am small.\nmodel: small\nreason: cheapest of 2")
    assert done.stdout.endswith("cost-usd: 0.000200000\ngraded: 1.0\n")


def test_the_report_grades_and_finds_the_wrong_model(machine: Machine) -> None:
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    code, found = machine.run("report", "--day", yesterday)
    assert code == 1
    assert found["calls"] == 45
    first, *_, last = found["users"]
    assert (last["name"], last["letter"], last["is_certain"]) == ("carol", "E", True)
    assert first["efficiency"] > 1.5 * last["efficiency"]
    assert last["low"] < last["efficiency"] < last["high"]
    wrong = {one["user"]: one for one in found["anomalies"] if one["type"] == "wrong_model"}
    assert wrong["carol"]["model"] == "large"
    evidence = wrong["carol"]["evidence"]
    assert evidence["instead"] == "small"
    assert evidence["excess_usd"] == pytest.approx(15 * 0.0018, rel=0.05)
    assert evidence["excess_low_usd"] < evidence["excess_usd"] < evidence["excess_high_usd"]


def test_the_report_prints_nothing_that_steers_a_terminal(
    machine: Machine, server: LocalServer
) -> None:
    at = datetime.now(UTC) - timedelta(days=9)
    hostile = "[bold]\x1b[2Jmallory[/bold]"
    send(server, [event("token_machine.request", at, user_id=hostile, model_used=hostile)])
    code, text = machine.text("report", "--day", at.date().isoformat())
    assert code == 0
    assert "\x1b[2J" not in text
    assert "[bold]" in text


def test_summary_and_anomalies_are_told_once(machine: Machine, server: LocalServer) -> None:
    count = (
        "select event, count() from events where event in "
        "('token_machine.team_summary', 'token_machine.anomaly') group by event order by event"
    )
    first = until(lambda: dict(server.query().hogql(count).rows))
    assert first["token_machine.team_summary"] == 1
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    machine.run("report", "--day", yesterday, "--emit")
    assert dict(server.query().hogql(count).rows) == first
    told = server.query().hogql(
        "select properties.total_requests, properties.worst_performer from events "
        "where event = 'token_machine.team_summary'"
    )
    assert told.rows == [[45, "carol"]]


def test_a_change_is_proposed_applied_and_taken_back(machine: Machine, server: LocalServer) -> None:
    before = machine.rules.read_text()
    code, found = machine.run("propose", "--out", "new.toml")
    assert code == 1
    (one,) = found["proposals"]
    assert (one["task_type"], one["action"], one["model"]) == ("gtm.rewrite", "default", "small")
    assert one["saves_low"] < one["saves_usd_per_day"] < one["saves_high"]
    assert machine.rules.read_text() == before
    assert 'default = "small"' in machine.text("propose")[1]
    code, applied = machine.run("apply", "new.toml")
    assert (code, applied["annotation"]) == (0, "delivered")
    assert 'default = "small"' in machine.rules.read_text()
    assert machine.run("apply", "new.toml")[0] == 2
    with machine.client("alice") as client:
        until(
            lambda: (
                client.chat.completions.with_raw_response.create(
                    model="small", messages=ASKED
                ).headers["x-token-machine-rule"]
                == applied["id"]
            )
        )
    code, reverted = machine.run("revert")
    assert (code, reverted["id"]) == (0, applied["before"])
    assert machine.rules.read_text() == before
    code, text = machine.text("apply", "new.toml")
    assert (code, text.startswith(f"routing rule {applied['id']} in force")) == (0, True)
    assert machine.text("revert")[0] == 0
    annotations = server.query().request("GET", f"/api/projects/{server.project_id}/annotations/")
    texts = [one["content"] for one in annotations["results"]]
    assert any(text.startswith(f"routing rule {applied['id']} in force") for text in texts)
    assert any(text.startswith(f"routing rule {applied['id']} taken back") for text in texts)


def test_a_proxy_that_is_asked_to_end_delivers_everything(
    machine: Machine, server: LocalServer, fakes: dict[str, Fake]
) -> None:
    with machine.client("poor") as client:
        client.chat.completions.create(model="large", messages=ASKED, max_tokens=100)
        with pytest.raises(openai.RateLimitError) as found:
            client.chat.completions.create(model="large", messages=ASKED, max_tokens=5000)
    assert found.value.code == "budget_exceeded"
    assert machine.end(signal.SIGTERM) == 0
    counted = server.query().hogql(
        "select count(), countIf(properties.$ai_error = 'budget_exceeded') from events "
        "where event = 'token_machine.request' and properties.user_id = 'poor'"
    )
    assert counted.rows == [[2, 1]]
    grades = "select count() from events where event = '$ai_metric'"
    assert server.query().hogql(grades).rows == [[3]]
    with contextlib.closing(Ledger(machine.folder / "state/token-machine/ledger.db")) as ledger:
        assert ledger.spent("poor").day_usd == pytest.approx(0.002)


def test_it_spoke_to_nobody_else_and_logged_no_secret(machine: Machine) -> None:
    assert machine.addresses.read_text() == ""
    log = machine.log.read_text()
    for secret in (*ENVIRON.values(), "Who are you?"):
        assert secret not in log
    for path in machine.folder.rglob("*"):
        if path.is_file() and "server.log" not in path.name:
            assert SECRET.encode() not in path.read_bytes(), path
    assert (machine.folder / "state" / "token-machine").stat().st_mode & 0o077 == 0


def test_commands_refuse_what_they_cannot_use(machine: Machine, tmp_path: Path) -> None:
    assert machine.run("check")[0] == 0
    assert machine.run("check", "--file", "nowhere.toml")[0] == 2
    assert machine.run("init")[0] == 2
    assert machine.run("init", "--file", str(tmp_path / "new.toml"))[0] == 0
    code, found = machine.run("check", "--file", str(tmp_path / "new.toml"))
    assert (code, found["models"]) == (1, 2)
    assert "OPENAI_API_KEY" in found["problems"][0] or "ALICE" in found["problems"][0]
    assert machine.run("serve", "--host", "0.0.0.0")[0] == 2
    assert machine.run("report", "--day", "tomorrow")[0] == 2
    (tmp_path / "bad.toml").write_text("[router]\n")
    assert machine.run("apply", str(tmp_path / "bad.toml"))[0] == 2
