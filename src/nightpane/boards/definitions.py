"""A board as PostHog keeps it, and how two of them differ. Pure: reads and writes nothing.

The tags of a kept board say which board it is, what was sent for it and what the server made of
that, so that a hand edit is known without keeping anything on this side.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from nightpane.boards.board import Board
from nightpane.errors import ConfigError

__all__ = ["Definition", "Drift", "Kept", "State", "compare"]

State = Literal["in step", "same", "missing", "behind", "edited", "removed", "gone"]

_BOARD, _SENT, _KEPT = "nightpane:board:", "nightpane:sent:", "nightpane:kept:"
_OWN = ("nightpane:boards", _BOARD, _SENT, _KEPT)
_DESCRIPTION_MAX = 400
# PostHog makes tags lower case: another name would not be found again.
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,99}")


@dataclass(frozen=True, slots=True)
class Definition:
    """One board as an insight: what is sent, and what is compared."""

    slug: str
    name: str
    description: str
    query: Mapping[str, Any]

    @classmethod
    def of(cls, board: Board) -> Definition:
        """Return a board's definition, for every loop and date."""
        text = f"{board.question} {board.description}"
        if len(text) > _DESCRIPTION_MAX:
            text = text[: _DESCRIPTION_MAX - 1] + "…"
        return cls(board.slug, board.name, text, board.definition())

    @classmethod
    def parse(cls, text: str, source: str) -> Definition:
        """Read what ``text`` wrote. Raises ConfigError, naming the source."""
        try:
            found = json.loads(text)
            wanted = {"board": str, "name": str, "description": str, "query": dict}
            for name, kind in wanted.items():
                if not isinstance(found[name], kind):
                    raise TypeError(f"{name} is no {kind.__name__}")
            cls.check(found["board"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ConfigError(
                f"{source} is not a board that 'nightpane boards pull' wrote: {error!r}"
            ) from error
        return cls(found["board"], found["name"], found["description"], found["query"])

    @staticmethod
    def check(slug: str) -> None:
        """Raise ValueError for a name that no tag or file can carry unchanged."""
        if not _SLUG.fullmatch(slug):
            raise ValueError(f"{slug!r} is no board's name: use a-z, 0-9 and -")

    @property
    def text(self) -> str:
        """The board as a file."""
        return json.dumps({"board": self.slug, **self.body()}, indent=2, ensure_ascii=False) + "\n"

    @property
    def digest(self) -> str:
        """Twelve characters that change with whatever is compared."""
        canonical = json.dumps(self.body(), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(canonical.encode("utf-8", "replace")).hexdigest()[:12]

    def body(self) -> dict[str, Any]:
        """Return the fields of PostHog's insight."""
        return {"name": self.name, "description": self.description, "query": dict(self.query)}

    def tags(self, others: Sequence[str], *, kept: str | None = None) -> list[str]:
        """Return the tags of the insight; ``kept`` is the digest of what the server made of it."""
        own = [_BOARD + self.slug, _SENT + self.digest, _KEPT + (kept or self.digest)]
        return sorted({*others, *own})


@dataclass(frozen=True, slots=True)
class Kept:
    """A board as a project has it now."""

    insight_id: int
    short_id: str
    definition: Definition
    sent_digest: str
    kept_digest: str
    dashboards: tuple[int, ...]
    other_tags: tuple[str, ...]

    @classmethod
    def read(cls, insight: Mapping[str, Any]) -> Kept | None:
        """Return the board that an insight is, None when its tags name none."""
        tags = [str(tag) for tag in insight.get("tags") or []]
        found = {
            lead: next((tag.removeprefix(lead) for tag in tags if tag.startswith(lead)), "")
            for lead in (_BOARD, _SENT, _KEPT)
        }
        if not found[_BOARD]:
            return None
        definition = Definition(
            found[_BOARD],
            str(insight.get("name") or ""),
            str(insight.get("description") or ""),
            insight.get("query") or {},
        )
        placed = [one for one in insight.get("dashboard_tiles") or [] if not one.get("deleted")]
        return cls(
            insight_id=insight["id"],
            short_id=str(insight.get("short_id") or ""),
            definition=definition,
            sent_digest=found[_SENT],
            kept_digest=found[_KEPT],
            dashboards=tuple(one["dashboard_id"] for one in placed),
            other_tags=tuple(tag for tag in tags if not tag.startswith(_OWN)),
        )

    @property
    def is_edited(self) -> bool:
        """Whether it is no longer what was applied."""
        return self.definition.digest != self.kept_digest


@dataclass(frozen=True, slots=True)
class Drift:
    """How a board stands, and what became of it.

    ``state``: ``in step``; ``same`` (only its tags are old); ``missing``; ``behind`` (the board has
    a new version); ``edited`` (by hand); ``removed`` (from the dashboard, by hand); ``gone`` (no
    such board any more). ``done`` says what ``apply`` did, ``why`` the reason of a failure.
    """

    slug: str
    state: State
    wanted: Definition | None
    kept: Kept | None
    done: str = ""
    why: str | None = None

    def became(self, done: str, why: str | None = None) -> Drift:
        """Return this with what was done about it."""
        return replace(self, done=done, why=why)

    def difference(self) -> str:
        """Return a unified diff for each field, from the board as it is kept to the code's."""
        if self.kept is None or self.wanted is None:
            return ""
        old, new = _fields(self.kept.definition), _fields(self.wanted)
        parts = [
            "\n".join(
                difflib.unified_diff(
                    old.get(name, "").splitlines(),
                    new.get(name, "").splitlines(),
                    f"{self.slug}: {name} (PostHog)",
                    f"{self.slug}: {name} (nightpane)",
                    lineterm="",
                )
            )
            for name in sorted({*old, *new})
            if old.get(name) != new.get(name)
        ]
        return "\n".join(parts)


def compare(wanted: Definition | None, kept: Kept | None, dashboard_id: int | None) -> Drift:
    """Return how a board stands. At least one of ``wanted`` and ``kept`` is given."""
    slug = wanted.slug if wanted is not None else kept.definition.slug if kept is not None else ""
    return Drift(slug, _state(wanted, kept, dashboard_id), wanted, kept)


def _state(wanted: Definition | None, kept: Kept | None, dashboard_id: int | None) -> State:
    if wanted is None:
        return "gone"
    if kept is None:
        return "missing"
    if kept.definition.digest == wanted.digest:
        tagged = kept.sent_digest == kept.kept_digest == wanted.digest
        return _placed(kept, dashboard_id) or ("in step" if tagged else "same")
    if kept.is_edited:
        return "edited"
    if kept.sent_digest != wanted.digest:
        return "behind"
    return _placed(kept, dashboard_id) or "in step"


def _placed(kept: Kept, dashboard_id: int | None) -> State | None:
    """Return how a board stands that is on no dashboard of ours, None when it is on it."""
    if dashboard_id is None:
        return "behind"
    return None if dashboard_id in kept.dashboards else "removed"


def _fields(definition: Definition) -> dict[str, str]:
    """Return each field as text; the query's own text apart, as people read it."""
    source = definition.query.get("source")
    text = source.get("query") if isinstance(source, dict) else None
    drawn = dict(definition.query)
    if isinstance(text, str) and isinstance(source, dict):
        drawn["source"] = {name: value for name, value in source.items() if name != "query"}
    return {
        "name": definition.name,
        "description": definition.description,
        "hogql": text if isinstance(text, str) else "",
        "query": json.dumps(drawn, indent=2, sort_keys=True, ensure_ascii=False),
    }
