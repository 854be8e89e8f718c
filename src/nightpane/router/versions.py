"""Every version of the rules that was in force, so that each change can be taken back.

Beside the file stands a folder: ``<file>.history/<id>.toml`` for each version, and ``log.jsonl``
with each change. A file is replaced whole or not at all.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from nightpane.errors import ConfigError
from nightpane.router.rules import parse, rule_id

__all__ = ["Change", "Versions"]


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the rules: ``action`` is seen, apply or revert; ids as ``rule_id`` gives."""

    at: str
    action: str
    id: str
    before: str | None


class Versions:
    """The versions of one rules file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._folder = path.with_name(path.name + ".history")
        self._log = self._folder / "log.jsonl"

    def changes(self) -> list[Change]:
        """Return all changes, the oldest first; a torn last line is a change that never was."""
        if not self._log.exists():
            return []
        found = []
        for line in self._log.read_text("utf-8").splitlines():
            try:
                found.append(Change(**json.loads(line)))
            except (ValueError, TypeError):
                continue
        return found

    def remember(self) -> str:
        """Keep the version that is in the file now, and return its id."""
        text = self._text()
        known = self.changes()
        current = rule_id(text)
        if not known or known[-1].id != current:
            self._keep(text)
            self._note("seen", current, known[-1].id if known else None)
        return current

    def apply(self, text: str) -> Change:
        """Put another version in force. Raises ConfigError when it cannot be used."""
        parse(text, f"the new {self.path.name}", needs_keys=False)
        before = self.remember()
        if rule_id(text) == before:
            raise ConfigError(f"{self.path} is like this already: there is nothing to apply")
        self._keep(text)
        self._replace(text)
        return self._note("apply", rule_id(text), before)

    def revert(self) -> Change:
        """Put the version in force that was before the one in the file now.

        Raises ConfigError when none is known.
        """
        current = self.remember()
        changes = [one for one in self.changes() if one.action != "revert" and one.id == current]
        before = changes[-1].before if changes else None
        if before is None:
            raise ConfigError(f"{self.path}: no version before {current} is known")
        kept = self._folder / f"{before}.toml"
        try:
            text = kept.read_text("utf-8")
        except OSError as error:
            raise ConfigError(f"the version {before} cannot be read: {error}") from error
        parse(text, str(kept), needs_keys=False)
        self._replace(text)
        return self._note("revert", before, current)

    def _text(self) -> str:
        try:
            return self.path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{self.path} cannot be read: {error}") from error

    def _keep(self, text: str) -> None:
        kept = self._folder / f"{rule_id(text)}.toml"
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{self._folder} cannot be made: {error}") from error
        if not kept.exists():
            _write(kept, text)

    def _replace(self, text: str) -> None:
        _write(self.path, text)

    def _note(self, action: str, new: str, before: str | None) -> Change:
        change = Change(datetime.now(UTC).isoformat(timespec="seconds"), action, new, before)
        with self._log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(change)) + "\n")
        return change


def _write(path: Path, text: str) -> None:
    draft = path.with_name(path.name + ".new")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error}") from error
