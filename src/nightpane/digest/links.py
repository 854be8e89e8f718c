"""Where a reader finds more: the pages of the server that was asked.

PostHog has no page of a round, so there are no links to its own hosts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from urllib.parse import quote, urlsplit

__all__ = ["Links"]


@dataclass(frozen=True, slots=True)
class Links:
    """The addresses below ``host``; None everywhere when there is no such page."""

    host: str | None = None

    @classmethod
    def of(cls, host: str | None) -> Links:
        """Return the links for a host, none when it is PostHog's own or no web address."""
        try:
            parts = urlsplit(host or "")
            name = (parts.hostname or "").rstrip(".")
        except ValueError:
            return cls()
        if parts.scheme not in ("http", "https") or not name:
            return cls()
        if name == "posthog.com" or name.endswith(".posthog.com"):
            return cls()
        return cls((host or "").rstrip("/"))

    def round(self, round_id: str) -> str | None:
        """Return the address of a round."""
        return None if self.host is None else f"{self.host}/round/{quote(round_id, safe='')}"

    def night(self, night: date, project: str | None = None) -> str | None:
        """Return the address of a night, of one project or of all."""
        if self.host is None:
            return None
        also = "" if project is None else f"&project={quote(project, safe='')}"
        return f"{self.host}/?night={night.isoformat()}{also}"
