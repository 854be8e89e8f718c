"""A real proxy on a loopback port, with small providers behind it and a pane that keeps events."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from tests.client.support import Network
from tests.router.upstreams import Fake

import nightpane
from nightpane.router.ledger import Ledger
from nightpane.router.report import Learned
from nightpane.router.rules import Rules
from nightpane.router.serve import make_server
from nightpane.router.service import Service
from nightpane.token_machine import TokenMachine

ENVIRON = {
    "TM_ALICE": "alice-key-of-the-tests",
    "TM_BOB": "bob-key-of-the-tests",
    "TM_POOR": "poor-key-of-the-tests",
    "TM_JUDGE": "judge-key-of-the-tests",
    "SMALL_KEY": "sk-small-provider-secret-0001",
}

RULES = """
[router]
default = "large"
fallbacks = ["spare"]
max_body_bytes = 20000
{router}

[models.small]
model = "openai/small-1"
api_base = "{small}"
api_key_env = "SMALL_KEY"
input_usd_per_million = 1
output_usd_per_million = 2
max_output_tokens = 1000

[models.hasty]
model = "openai/small-1"
api_base = "{small}"
input_usd_per_million = 1
output_usd_per_million = 2
timeout_s = 0.4

[models.large]
model = "openai/large-1"
api_base = "{large}"
input_usd_per_million = 10
output_usd_per_million = 20
max_output_tokens = 1000

[models.spare]
model = "openai/spare-1"
api_base = "{spare}"
input_usd_per_million = 0
output_usd_per_million = 0

[models.vectors]
model = "openai/vectors-1"
api_base = "{small}"
embedding = true
input_usd_per_million = 0.5

[task_types."gtm.rewrite"]
candidates = ["small", "large"]
quality_floor = 0.8
default = "large"
aliases = ["rewrite"]

[keys.alice]
env = "TM_ALICE"
agent = "coder"
team = "research"

[keys.bob]
env = "TM_BOB"
models = ["small", "hasty"]

[keys.poor]
env = "TM_POOR"
usd_per_day = 0.05

[keys.judge]
env = "TM_JUDGE"
grader = true
{more}
"""


class Proxy:
    """A proxy that runs in a thread of this process."""

    def __init__(self, folder: Path, rules: str, learn: Any = None) -> None:
        self.path = folder / "token-machine.toml"
        self.path.write_text(rules)
        self.network = Network()
        self.pane = nightpane.Pane(
            project="gtm-autoresearch",
            api_key="phc_test",
            host="http://127.0.0.1:9",
            spool_dir=folder / "spool",
            transport=self.network,
        )
        self.ledger = Ledger(folder / "ledger.db")
        self.service = Service(
            self.path, self.ledger, TokenMachine(self.pane), learn=learn, environ=ENVIRON
        )
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        ready = threading.Event()
        self._server = make_server(self.service, ready.set)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listener]}, daemon=True
        )
        self._thread.start()
        assert ready.wait(20)

    def client(self, name: str, **options: Any) -> openai.OpenAI:
        key = ENVIRON[f"TM_{name.upper()}"]
        return openai.OpenAI(api_key=key, base_url=f"{self.url}/v1", **{"max_retries": 0} | options)

    def events(self, *names: str) -> list[dict[str, Any]]:
        """Return the properties of the events with these names so far, with their distinct_id."""
        assert self.pane.flush()
        return [
            {**one["properties"], "distinct_id": one["distinct_id"]}
            for one in self.network.events
            if one["event"] in (names or ("token_machine.request",))
        ]

    def event(self, **wanted: Any) -> dict[str, Any]:
        """Return the newest request's event that has these properties; wait for it."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            for one in reversed(self.events()):
                if all(one.get(name) == value for name, value in wanted.items()):
                    return one
            time.sleep(0.01)
        raise AssertionError(f"no event with {wanted}; there are {self.events()}")

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(20)
        self._listener.close()
        self.ledger.close()
        self.pane.close(timeout_s=0)


@pytest.fixture(scope="session")
def all_fakes() -> Iterator[dict[str, Fake]]:
    running = {name: Fake(name) for name in ("small", "large", "spare")}
    yield running
    for fake in running.values():
        fake.close()


@pytest.fixture
def fakes(all_fakes: dict[str, Fake]) -> dict[str, Fake]:
    """The three providers, as if nobody had called them."""
    for fake in all_fakes.values():
        fake.reset()
    return all_fakes


@pytest.fixture(scope="session")
def rules_text(all_fakes: dict[str, Fake]) -> Callable[..., str]:
    def text(router: str = "", more: str = "") -> str:
        bases = {name: fake.base for name, fake in all_fakes.items()}
        return RULES.format(router=router, more=more, **bases)

    return text


@pytest.fixture(scope="module")
def proxy(
    tmp_path_factory: pytest.TempPathFactory, rules_text: Callable[..., str]
) -> Iterator[Proxy]:
    running = Proxy(tmp_path_factory.mktemp("proxy"), rules_text("refresh_s = 0.1"), learn)
    yield running
    running.close()


FITS: dict[Any, Any] = {}


def learn(rules: Rules) -> Learned:
    """What the data says, as a test sets it."""
    return Learned(dict(FITS), {"alice": "A"})
