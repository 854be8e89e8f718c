"""Every setting of nightpane, in one table.

A value comes from the first of: the argument, the environment, ``.env``, ``nightpane.toml``, the
local server that is running, the default. There is no default host: without one, events wait in the
spool rather than go where nobody sent them. Keys are never read from ``nightpane.toml``, which is
made to be committed.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from nightpane.errors import ConfigError

__all__ = ["SETTINGS", "RunningServer", "Setting", "Settings", "load", "running_servers"]

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table: the field, its environment variable, and what it is for."""

    name: str
    env: str
    description: str
    secret: bool = False


SETTINGS: tuple[Setting, ...] = (
    Setting("host", "POSTHOG_HOST", "address of PostHog or of the local server"),
    Setting("project_id", "POSTHOG_PROJECT_ID", "number of the PostHog project that is read"),
    Setting("api_key", "POSTHOG_API_KEY", "project API key (phc_…), for writing", secret=True),
    Setting(
        "personal_api_key",
        "POSTHOG_PERSONAL_API_KEY",
        "personal API key (phx_…), for reading",
        secret=True,
    ),
    Setting("project", "AUTORESEARCH_PROJECT", "which loop: the envelope's project"),
    Setting("client", "AUTORESEARCH_CLIENT", "tenant: the envelope's client (default: internal)"),
    Setting("spool_dir", "NIGHTPANE_SPOOL_DIR", "folder of the spool"),
    Setting("state_dir", "NIGHTPANE_STATE_DIR", "folder of nightpane's state"),
    Setting("data_dir", "NIGHTPANE_DATA_DIR", "folder of the local server's data"),
    Setting("cache_dir", "NIGHTPANE_CACHE_DIR", "folder of what can be worked out again"),
    Setting("strict", "NIGHTPANE_STRICT", "raise on an event that does not fit the catalogue"),
    Setting("privacy_mode", "NIGHTPANE_PRIVACY_MODE", "leave prompts and completions out"),
)


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A local server that is alive: where it listens and the keys it takes."""

    pid: int
    host: str
    data_dir: Path
    started_at: float
    project_id: str
    api_key: str
    personal_api_key: str
    page_token: str

    @property
    def pane_url(self) -> str:
        """Address of the pane, with the token that opens it."""
        return f"{self.host}/?token={self.page_token}"

    def __repr__(self) -> str:
        return f"RunningServer(host={self.host!r}, pid={self.pid}, data_dir={str(self.data_dir)!r})"


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings in force. ``sources`` tells where each came from; keys stay out of ``repr``."""

    host: str | None
    project_id: str | None
    api_key: str | None
    personal_api_key: str | None
    project: str | None
    client: str
    spool_dir: Path
    state_dir: Path
    data_dir: Path
    cache_dir: Path
    strict: bool
    privacy_mode: bool
    sources: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Settings(host={self.host!r}, project={self.project!r}, client={self.client!r})"


def load(
    *,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    find_server: bool = True,
    **arguments: Any,
) -> Settings:
    """Return the settings in force for these arguments (a None argument counts as not given).

    ``environ`` and ``cwd`` stand in for the process's own; ``find_server=False`` does not look for
    a running local server. Raises ConfigError for an unknown argument or an unusable value.
    """
    known = {setting.name for setting in SETTINGS}
    if unknown := sorted(set(arguments) - known):
        raise ConfigError(f"unknown setting {unknown[0]!r}; known are {', '.join(sorted(known))}")
    environ = os.environ if environ is None else environ
    cwd = Path.cwd() if cwd is None else cwd
    layers = [
        ("argument", {name: value for name, value in arguments.items() if value is not None}),
        ("environment", _named(environ)),
        (".env", _named(_read_dotenv(cwd / ".env"))),
        ("nightpane.toml", _read_toml(cwd / "nightpane.toml")),
    ]
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for source, layer in layers:
        for name, value in layer.items():
            if name not in values:
                values[name], sources[name] = value, source
    state_dir = _path(values, "state_dir", platformdirs.user_state_dir("nightpane"))
    if find_server:
        _fill_from_server(values, sources, state_dir)
    return Settings(
        host=_host(values.get("host"), sources.get("host")),
        project_id=_text(values, "project_id"),
        api_key=_text(values, "api_key"),
        personal_api_key=_text(values, "personal_api_key"),
        project=_text(values, "project"),
        client=_text(values, "client") or "internal",
        spool_dir=_path(values, "spool_dir", state_dir / "spool"),
        state_dir=state_dir,
        data_dir=_path(values, "data_dir", platformdirs.user_data_dir("nightpane")),
        cache_dir=_path(values, "cache_dir", platformdirs.user_cache_dir("nightpane")),
        strict=_flag(values, sources, "strict"),
        privacy_mode=_flag(values, sources, "privacy_mode"),
        sources=sources,
    )


def running_servers(state_dir: Path | None = None) -> list[RunningServer]:
    """Return the local servers alive on this machine, the newest first.

    A server enters itself as ``<state_dir>/servers/<pid>.json`` and keeps its keys in its own data
    folder; an entry whose process is gone is passed over.
    """
    if state_dir is None:
        state_dir = load(find_server=False).state_dir
    servers = [
        server
        for entry in sorted((state_dir / "servers").glob("*.json"))
        if (server := _read_server(entry)) is not None
    ]
    return sorted(servers, key=lambda server: server.started_at, reverse=True)


def _read_server(entry: Path) -> RunningServer | None:
    try:
        about = json.loads(entry.read_text("utf-8"))
        os.kill(int(about["pid"]), 0)
        data_dir = Path(about["data_dir"])
        keys = json.loads((data_dir / "keys.json").read_text("utf-8"))
        return RunningServer(
            pid=int(about["pid"]),
            host=str(about["host"]),
            data_dir=data_dir,
            started_at=float(about.get("started_at", time.time())),
            project_id=str(keys["project_id"]),
            api_key=str(keys["api_key"]),
            personal_api_key=str(keys["personal_api_key"]),
            page_token=str(keys["page_token"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        # A dead process, a half-written entry or another user's server: not one we can use.
        return None


def _fill_from_server(values: dict[str, Any], sources: dict[str, str], state_dir: Path) -> None:
    """Complete host and keys from the running server; never mix its host with foreign keys."""
    wanted = values.get("host")
    if wanted is not None and "api_key" in values and "personal_api_key" in values:
        return
    for server in running_servers(state_dir):
        if wanted is not None and str(wanted).rstrip("/") != server.host:
            continue
        if wanted is None and values.get("api_key") not in (None, server.api_key):
            continue
        for name in ("host", "project_id", "api_key", "personal_api_key"):
            if name not in values:
                values[name], sources[name] = getattr(server, name), "local server"
        return


def _named(environ: Mapping[str, str | None]) -> dict[str, Any]:
    return {setting.name: value for setting in SETTINGS if (value := environ.get(setting.env))}


def _read_dotenv(path: Path) -> Mapping[str, str | None]:
    if not path.is_file():
        return {}
    import dotenv  # imported late: most processes have no .env

    try:
        return dotenv.dotenv_values(path)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error


def _read_toml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    import tomllib  # imported late, as above

    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    allowed = {setting.name: setting for setting in SETTINGS}
    for name in table:
        if name not in allowed:
            raise ConfigError(f"{path}: unknown setting {name!r}; see nightpane doctor --settings")
        if allowed[name].secret:
            raise ConfigError(
                f"{path}: {name} does not belong in a file that is committed; "
                f"set {allowed[name].env} in the environment or in .env"
            )
    return table


def _text(values: Mapping[str, Any], name: str) -> str | None:
    value = values.get(name)
    return None if value is None or str(value).strip() == "" else str(value).strip()


def _host(value: Any, source: str | None) -> str | None:
    if value is None:
        return None
    host = str(value).strip().rstrip("/")
    if not host.startswith(("http://", "https://")):
        raise ConfigError(
            f"host {host!r} (from {source}) must begin with http:// or https://, "
            "for example http://127.0.0.1:8321"
        )
    return host


def _path(values: Mapping[str, Any], name: str, default: str | Path) -> Path:
    return Path(values.get(name, default)).expanduser().absolute()


def _flag(values: Mapping[str, Any], sources: Mapping[str, str], name: str) -> bool:
    value = values.get(name, False)
    text = str(value).strip().lower()
    if text not in _TRUE | _FALSE:
        raise ConfigError(
            f"{name} is {value!r} (from {sources.get(name)}); use one of 1, true, yes, on, "
            "0, false, no, off"
        )
    return text in _TRUE
