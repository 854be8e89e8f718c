"""Where a segment's events go, as its header names it, and how that becomes an address.

A header outlives its process, so it names what is stable: a local server is named by its key, for
it may listen elsewhere tomorrow.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from nightpane.config import Settings, running_servers

__all__ = ["Destination", "Route", "resolve"]


@dataclass(frozen=True, slots=True)
class Destination:
    """What a segment's header names.

    ``host`` None: the local server that takes ``api_key``, wherever it listens. Both None: whatever
    is configured when it is delivered.
    """

    host: str | None
    api_key: str | None
    historical_migration: bool = False

    @classmethod
    def from_settings(cls, settings: Settings, *, historical_migration: bool) -> Destination:
        """Return what a new segment's header shall name."""
        local = settings.sources.get("host") == "local server"
        host = None if local else settings.host
        return cls(host, settings.api_key, historical_migration)

    def __repr__(self) -> str:
        return f"Destination(host={self.host!r})"

    def header(self, **more: object) -> bytes:
        """Return the header's payload."""
        named = {"format": 1, "host": self.host, "api_key": self.api_key}
        named["historical_migration"] = self.historical_migration
        return json.dumps({**named, **more}).encode()

    @classmethod
    def from_header(cls, payload: bytes) -> Destination:
        """Return what a header names. Raises ValueError for one of another format."""
        header = json.loads(payload)
        if not isinstance(header, dict) or header.get("format") != 1:
            raise ValueError("a spool segment of a format this version does not know")
        host, api_key = header.get("host"), header.get("api_key")
        return cls(
            None if host is None else str(host),
            None if api_key is None else str(api_key),
            bool(header.get("historical_migration")),
        )


@dataclass(frozen=True, slots=True)
class Route:
    """An address to deliver to now."""

    host: str
    api_key: str
    historical_migration: bool = False

    def __repr__(self) -> str:
        return f"Route(host={self.host!r})"


def resolve(destination: Destination, settings: Settings | None, state_dir: Path) -> Route | None:
    """Return where a destination is reached now, None when that is not known (yet).

    ``settings`` are the ones in force for what a header leaves open.
    """
    host, api_key = destination.host, destination.api_key
    if host is None:
        for server in running_servers(state_dir):
            if api_key in (None, server.api_key):
                return Route(server.host, server.api_key, destination.historical_migration)
        if settings is None or settings.host is None or settings.api_key is None:
            return None
        if api_key not in (None, settings.api_key):
            return None
        return Route(settings.host, settings.api_key, destination.historical_migration)
    if api_key is None:
        api_key = _key_of(host, settings, state_dir)
    if api_key is None:
        return None
    return Route(host, api_key, destination.historical_migration)


def _key_of(host: str, settings: Settings | None, state_dir: Path) -> str | None:
    for server in running_servers(state_dir):
        if server.host == host:
            return server.api_key
    if settings is not None and settings.host == host:
        return settings.api_key
    return None
