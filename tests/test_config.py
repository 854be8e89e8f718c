"""Settings: which source wins, what is refused, and that keys stay unseen."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from nightpane.config import Settings, load, running_servers
from nightpane.errors import ConfigError


def settings(
    tmp_path: Path, environ: dict[str, str] | None = None, **arguments: object
) -> Settings:
    environ = {"NIGHTPANE_STATE_DIR": str(tmp_path / "state"), **(environ or {})}
    return load(environ=environ, cwd=tmp_path, **arguments)


def enter_server(tmp_path: Path, *, pid: int, host: str, key: str = "phc_local") -> None:
    data_dir = tmp_path / f"data-{pid}"
    data_dir.mkdir()
    keys = {"project_id": 1, "api_key": key, "personal_api_key": "phx_local", "page_token": "t"}
    (data_dir / "keys.json").write_text(json.dumps(keys))
    servers = tmp_path / "state" / "servers"
    servers.mkdir(parents=True, exist_ok=True)
    about = {"pid": pid, "host": host, "data_dir": str(data_dir), "started_at": 1.0}
    (servers / f"{pid}.json").write_text(json.dumps(about))


def test_argument_beats_environment_beats_dotenv_beats_toml(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("AUTORESEARCH_PROJECT=from-dotenv\nAUTORESEARCH_CLIENT=acme\n")
    (tmp_path / "nightpane.toml").write_text('client = "from-toml"\nstrict = true\n')
    environ = {"AUTORESEARCH_PROJECT": "from-environment"}
    found = settings(tmp_path, environ)
    assert (found.project, found.client, found.strict) == ("from-environment", "acme", True)
    assert found.sources["client"] == ".env"
    assert settings(tmp_path, environ, project="from-argument").project == "from-argument"


def test_defaults_without_anything(tmp_path: Path) -> None:
    found = settings(tmp_path)
    assert (found.host, found.api_key, found.project) == (None, None, None)
    assert (found.client, found.strict, found.privacy_mode) == ("internal", False, False)
    assert found.spool_dir == tmp_path / "state" / "spool"


def test_a_running_server_fills_host_and_keys(tmp_path: Path) -> None:
    enter_server(tmp_path, pid=os.getpid(), host="http://127.0.0.1:8321")
    found = settings(tmp_path)
    assert found.host == "http://127.0.0.1:8321"
    assert (found.project_id, found.api_key, found.personal_api_key) == (
        "1",
        "phc_local",
        "phx_local",
    )
    assert found.sources["host"] == "local server"
    assert running_servers(tmp_path / "state")[0].pane_url == "http://127.0.0.1:8321/?token=t"


def test_a_dead_servers_entry_is_passed_over(tmp_path: Path) -> None:
    enter_server(tmp_path, pid=2**22 + 12345, host="http://127.0.0.1:8321")
    assert running_servers(tmp_path / "state") == []
    assert settings(tmp_path).host is None


def test_local_keys_never_go_to_another_host(tmp_path: Path) -> None:
    enter_server(tmp_path, pid=os.getpid(), host="http://127.0.0.1:8321")
    found = settings(tmp_path, {"POSTHOG_HOST": "https://eu.i.posthog.com"})
    assert (found.host, found.api_key) == ("https://eu.i.posthog.com", None)


def test_a_foreign_key_never_goes_to_the_local_server(tmp_path: Path) -> None:
    enter_server(tmp_path, pid=os.getpid(), host="http://127.0.0.1:8321")
    found = settings(tmp_path, {"POSTHOG_API_KEY": "phc_cloud"})
    assert (found.host, found.api_key) == (None, "phc_cloud")


def test_keys_do_not_belong_in_the_committed_file(tmp_path: Path) -> None:
    (tmp_path / "nightpane.toml").write_text('api_key = "phc_x"\n')
    with pytest.raises(ConfigError, match=r"set POSTHOG_API_KEY in the environment or in \.env"):
        settings(tmp_path)


@pytest.mark.parametrize(
    ("text", "says"),
    [("strict = ", "cannot be read"), ('colour = "red"', "unknown setting 'colour'")],
)
def test_a_bad_toml_is_named(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "nightpane.toml").write_text(text)
    with pytest.raises(ConfigError, match=says):
        settings(tmp_path)


def test_bad_values_are_named_with_their_source(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="strict is 'maybe' \\(from environment\\)"):
        settings(tmp_path, {"NIGHTPANE_STRICT": "maybe"})
    with pytest.raises(ConfigError, match="must begin with http"):
        settings(tmp_path, host="localhost:8321")
    with pytest.raises(ConfigError, match="unknown setting 'projekt'"):
        settings(tmp_path, projekt="x")


def test_keys_stay_out_of_repr(tmp_path: Path) -> None:
    found = settings(tmp_path, api_key="phc_secret", personal_api_key="phx_secret")
    assert "secret" not in repr(found)
