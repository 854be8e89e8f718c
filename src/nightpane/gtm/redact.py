"""Identifiers taken out of text that others will read: a model in training, for one.

What a text is about stays readable: the same identifier becomes the same name within one redactor.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["Redactor"]

# The order counts: an address holds a host, and an ad account's id is a number.
_KINDS: Mapping[str, re.Pattern[str]] = {
    "EMAIL": re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    "CONTAINER": re.compile(r"\bGTM-[A-Z0-9]{4,}\b"),
    "MEASUREMENT": re.compile(r"\b(?:G|GT|UA)-[A-Z0-9-]{4,}\b"),
    "ADS": re.compile(r"\b(?:AW|DC)-[\w/-]{4,}\b"),
    "ACCOUNT": re.compile(r"\bact_\d+\b|\baccounts/\d+\b|\bcontainers/\d+\b"),
    "TOKEN": re.compile(r"\b(?:EAA\w{20,}|ya29\.[\w-]{20,}|AIza[\w-]{20,}|eyJ[\w.-]{20,})"),
    "URL": re.compile(r"\b(?:https?|wss?)://[^\s\"'<>)\\]+"
                      r"|(?<!\w)//[\w-]+(?:\.[\w-]+)+[^\s\"'<>)\\]*", re.IGNORECASE),
    "HOST": re.compile(r"\b(?:[a-z0-9-]+\.)+(?:com|net|org|io|dev|app|shop|store|de|fr"
                       r"|uk|co|eu|us|ca|au|nl|it|es)\b(?::\d+)?(?:/[^\s\"'<>)]*)?",
                       re.IGNORECASE),
    "PHONE": re.compile(r"(?<![\w.])(?!21474\d{5}\b)\+?\d[\d ().-]{7,}\d(?!\w)"),
    # The triggers that every container has are nobody's.
    "ID": re.compile(r"(?<![\w.])(?!21474\d{5}\b)\d{6,}(?![\w.])"),
}  # fmt: skip


class Redactor:
    """Replaces identifiers by names such as ``[CONTAINER_1]``."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def text(self, text: str) -> str:
        """Return a text without identifiers."""
        for kind, pattern in _KINDS.items():
            text = pattern.sub(lambda found, kind=kind: self._name(kind, found[0]), text)  # type: ignore[misc]
        return text

    def values(self, document: Any) -> Any:
        """Return a JSON document whose texts and numbers hold no identifiers: still JSON, which it
        need not be when its text is redacted."""
        if isinstance(document, Mapping):
            return {self.text(str(key)): self.values(value) for key, value in document.items()}
        if isinstance(document, list | tuple):
            return [self.values(one) for one in document]
        if isinstance(document, str):
            return self.text(document)
        if isinstance(document, bool) or document is None:
            return document
        said = self.text(str(document))
        return document if said == str(document) else said

    @property
    def found(self) -> Mapping[str, int]:
        """How many identifiers of each kind there were."""
        return dict(self._counts)

    def _name(self, kind: str, found: str) -> str:
        if found not in self._names:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._names[found] = f"[{kind}_{self._counts[kind]}]"
        return self._names[found]
