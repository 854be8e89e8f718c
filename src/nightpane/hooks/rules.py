"""Which commits count: git settings of the repository or of the user, ``nightpane.*``.

Git settings and not a file, since every one of them is about one clone, and git itself asks for,
checks and shares them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from nightpane.errors import ConfigError
from nightpane.hooks.repository import Repository

__all__ = ["Rules"]

_TRUE = {"true", "yes", "on", "1", ""}
_FALSE = {"false", "no", "off", "0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What ``nightpane.path``, ``.branch`` (several each), ``.message`` and ``.author`` say.

    An empty rule lets every commit pass. ``paths`` are git's globs (``prompts/**``); one that
    begins with ``!`` leaves files out.
    """

    paths: tuple[str, ...] = ()
    branches: tuple[str, ...] = ()
    message: re.Pattern[str] | None = None
    author: bool = False

    @classmethod
    def of(cls, repository: Repository) -> Rules:
        """Read the rules in force. Raises ConfigError for one that cannot be used."""
        return cls(
            paths=tuple(repository.get("nightpane.path")),
            branches=tuple(repository.get("nightpane.branch")),
            message=_message(repository.get("nightpane.message")),
            author=_flag(repository.get("nightpane.author")),
        )

    def pathspecs(self) -> list[str]:
        """Return the paths in git's long form; with only exclusions, all other files count."""
        specs = [
            f":(top,exclude,glob){path[1:]}" if path.startswith("!") else f":(top,glob){path}"
            for path in self.paths
        ]
        only_out = bool(specs) and all(path.startswith("!") for path in self.paths)
        return [":(top,glob)**", *specs] if only_out else specs

    def on_branch(self, branch: str) -> bool:
        """Tell whether commits of a branch count; no branch at all is called ``HEAD``."""
        name = branch or "HEAD"
        return not self.branches or any(fnmatchcase(name, glob) for glob in self.branches)

    def says(self, messages: Sequence[str]) -> bool:
        """Tell whether one of the messages counts."""
        pattern = self.message
        return pattern is None or any(pattern.search(message) for message in messages)


def _message(values: list[str]) -> re.Pattern[str] | None:
    if not values or not values[-1]:
        return None
    try:
        return re.compile(values[-1])
    except re.error as error:
        raise ConfigError(
            f"the git setting nightpane.message {values[-1]!r} is no regular expression: {error}"
        ) from error


def _flag(values: list[str]) -> bool:
    word = values[-1].lower() if values else "false"
    if word not in _TRUE | _FALSE:
        raise ConfigError(f"the git setting nightpane.author is {word!r}: use true or false")
    return word in _TRUE
