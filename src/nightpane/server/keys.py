"""The local project's keys: made once, kept in the data folder for its owner's eyes only.

They are as long and as random as PostHog's own and must never be logged.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import string
from dataclasses import dataclass
from pathlib import Path

from nightpane.errors import StoreError

__all__ = ["Keys", "load_or_create"]

_ALPHABET = string.ascii_letters + string.digits
_LENGTH = 43


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of the one project. ``page_token`` opens the pane, as a Jupyter token does."""

    project_id: int
    api_key: str
    personal_api_key: str
    page_token: str

    def __repr__(self) -> str:
        return f"Keys(project_id={self.project_id})"

    @property
    def session(self) -> str:
        """The value of the pane's cookie; it cannot be turned back into the token."""
        return hmac.new(self.page_token.encode(), b"pane session", hashlib.sha256).hexdigest()

    @property
    def cookie(self) -> str:
        """The name of the pane's cookie: its own for each store, since cookies ignore ports."""
        return "nightpane_" + hashlib.sha256(self.api_key.encode()).hexdigest()[:12]


def load_or_create(data_dir: Path) -> Keys:
    """Return the keys of a data folder, made on first use in ``keys.json`` (0600).

    Raises StoreError when the file is there and cannot be used.
    """
    path = data_dir / "keys.json"
    if not path.exists():
        return _create(path)
    try:
        kept = json.loads(path.read_text("utf-8"))
        return Keys(
            project_id=int(kept["project_id"]),
            api_key=str(kept["api_key"]),
            personal_api_key=str(kept["personal_api_key"]),
            page_token=str(kept["page_token"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{path} cannot be used ({error!r}): mend it, or move it away to have new keys made"
        ) from error


def _create(path: Path) -> Keys:
    keys = Keys(1, _random("phc_"), _random("phx_"), secrets.token_hex(24))
    kept = {name: getattr(keys, name) for name in Keys.__slots__}
    draft = path.with_suffix(".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(kept, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    return keys


def _random(prefix: str) -> str:
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
