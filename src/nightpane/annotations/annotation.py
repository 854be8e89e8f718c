"""What an annotation is, and which text may become one.

Never lets a known secret or a control character through: the text is shown on every chart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from nightpane.client.redact import mask_text
from nightpane.errors import ConfigError

__all__ = ["MAX_CONTENT", "SCOPES", "Annotation", "moment", "plain"]

# PostHog's own limit, in characters, and the two of its scopes that need no further document.
MAX_CONTENT = 8192
SCOPES = ("project", "organization")

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_AGO = re.compile(r"-(\d{1,6})(s|m|h|d|w)\Z")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """One annotation. ``at`` is aware; ``from_git`` tells that no person wrote it for the chart."""

    content: str
    at: datetime
    scope: str = "project"
    from_git: bool = False

    @classmethod
    def of(
        cls, text: str, *, at: datetime | None, scope: str, from_git: bool = False
    ) -> Annotation:
        """Return the annotation of a text, as it may be shown. ``at`` None is now.

        Raises ConfigError for an empty text, an unknown scope or a time without a zone.
        """
        content = plain(text)
        if not content:
            raise ConfigError("an annotation needs a text: nightpane annotate 'new planner prompt'")
        if scope not in SCOPES:
            raise ConfigError(f"scope {scope!r} is unknown; use one of {', '.join(SCOPES)}")
        at = datetime.now(UTC) if at is None else at
        if at.tzinfo is None:
            raise ConfigError(f"the annotation's time {at} has no time zone: give it one")
        # Milliseconds: what every server keeps, so that the same moment is found again.
        at = at.astimezone(UTC)
        at = at.replace(microsecond=at.microsecond // 1000 * 1000)
        return cls(content=content, at=at, scope=scope, from_git=from_git)

    def document(self) -> dict[str, Any]:
        """Return the body of PostHog's annotations endpoint."""
        return {
            "content": self.content,
            "date_marker": self.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "scope": self.scope,
            "creation_type": "GIT" if self.from_git else "USR",
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Annotation:
        """Read what ``document`` wrote. Raises ValueError, KeyError or TypeError for another."""
        return cls(
            content=str(document["content"]),
            at=datetime.fromisoformat(document["date_marker"]),
            scope=str(document["scope"]),
            from_git=document["creation_type"] == "GIT",
        )

    def is_in(self, documents: list[dict[str, Any]]) -> bool:
        """Tell whether one of a server's documents is this annotation."""
        for document in documents:
            marker = document.get("date_marker")
            if document.get("content") != self.content or not isinstance(marker, str):
                continue
            try:
                at = datetime.fromisoformat(marker)
            except ValueError:
                continue
            if (at if at.tzinfo else at.replace(tzinfo=UTC)) == self.at:
                return True
        return False


def plain(text: str) -> str:
    """Return a text fit to be shown: secrets masked, control characters made spaces, cut."""
    # What no encoding holds came in as bytes of a command line or a commit.
    text = text.encode("utf-8", "replace").decode("utf-8")
    text = mask_text(_CONTROL.sub(" ", text).strip(), [])
    return text if len(text) <= MAX_CONTENT else text[: MAX_CONTENT - 1] + "…"


def moment(text: str, now: datetime | None = None) -> datetime:
    """Return the time that a person wrote: ``2026-03-08 02:30``, with or without a zone, ``02:30``
    (today), ``now`` or ``-2h`` (also s, m, d, w). Without a zone it is this machine's.

    Raises ConfigError for anything else.
    """
    now = now or datetime.now(UTC)
    word = text.strip()
    if word == "now":
        return now
    try:
        if ago := _AGO.match(word):
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        if re.match(r"\d\d?:\d\d", word):
            word = f"{now.astimezone():%Y-%m-%d} {word.zfill(5)}"
        at = datetime.fromisoformat(word)
        return at if at.tzinfo else at.astimezone()
    except (ValueError, OverflowError, OSError):
        raise ConfigError(
            f"the time {text!r} cannot be read: write it as 2026-03-08T02:30, 02:30, -2h or now"
        ) from None
