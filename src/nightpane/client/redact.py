"""Takes secrets out of an event before anything is written to disk.

By the name of a property, by the look of a text, by the user's own callables, and in privacy mode
by leaving prompts and completions out. A mask stays visible: ``[redacted:<rule>]``. When a step of
it fails, the event goes on without its properties: a raw event is never written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from nightpane.client.named_secrets import named_spans, names_a_secret
from nightpane.client.parts import adjacent_parts
from nightpane.client.secret_rules import VALUE_RULES, look_alike

__all__ = [
    "KEEP",
    "PRIVATE_PROPERTIES",
    "KeyMask",
    "Redactor",
    "mask_text",
    "mask_values",
    "may_hold_secret",
]

Redactor = Callable[[dict[str, Any]], "dict[str, Any] | None"]

PRIVATE_PROPERTIES = frozenset(
    {
        "$ai_input",
        "$ai_instructions",
        "$ai_input_state",
        "$ai_output",
        "$ai_output_choices",
        "$ai_output_state",
        "$ai_reasoning",
        "$ai_tools",
        "$ai_user_prompt",
        "args_json",
        "completion",
        "diff",
        "instructions",
        "messages",
        "plan",
        "prompt",
        "rationale",
        "response",
        "result_json",
        "summary",
        "system_prompt",
    }
)

_SECRET_KEY = re.compile(
    r"api_?key|authorization|passw(?:or)?d|passphrase|secret|private_?key|access_?key"
    r"|credential|cookie|signing_?key|encryption_?key|connection_?string|account_?key|(?:^|_)pwd$"
    r"|subscription_?key|session_?key|ssh_?key"
)
_TOKEN_KEY = re.compile(r"(?:^|_|access|auth|refresh|bearer|session|csrf|bot|id)token$")
_MAX_CACHED_KEYS = 4096

KEEP: Final = object()


class KeyMask:
    """Tells from a property's name whether its value is masked.

    ``extra`` are further patterns, searched in the lower-case name with ``-``, ``.`` and spaces
    turned into ``_``. A name that ends in ``token`` counts only with a value that looks like one:
    token counts and the tokens of a text pass.
    """

    def __init__(
        self, extra: Iterable[str | re.Pattern[str]] = (), *, private: bool = False
    ) -> None:
        self._extra = [re.compile(pattern) for pattern in extra]
        self._private = private
        self._known: dict[str, str] = {}
        # Names that are never masked: asked first, for each property of each event.
        self.clean: set[str] = set()

    def __call__(self, name: str, value: Any) -> Any:
        """Return what stands in for a value: ``KEEP`` for itself, None in privacy mode."""
        rule = self._known.get(name)
        if rule is None:
            rule = self._rule(name)
            if len(self._known) < _MAX_CACHED_KEYS:
                self._known[name] = rule
                if rule == "" and not may_hold_secret(name):
                    self.clean.add(name)
        if rule == "" or value is None or value is True or value is False or value == "":
            return KEEP
        if rule == "private":
            return None
        if rule == "token" and not _looks_like_token(value):
            return KEEP
        return f"[redacted:{rule}]"

    def _rule(self, name: str) -> str:
        if self._private and name in PRIVATE_PROPERTIES:
            return "private"
        plain = re.sub(r"[-.\s]", "_", name.lower())
        if any(pattern.search(plain) for pattern in self._extra):
            return "key"
        if _SECRET_KEY.search(plain):
            return "key"
        return "token" if _TOKEN_KEY.search(plain) else ""


def _looks_like_token(value: Any) -> bool:
    if not isinstance(value, str | bytes):
        # A number counts or times tokens.
        return not isinstance(value, int | float)
    return len(value) >= 16 and not any(
        char in value for char in (" \t\n" if isinstance(value, str) else b" \t\n")
    )


_BY_HINT = tuple((hint, rule) for rule in VALUE_RULES for hint in rule.hints)


def may_hold_secret(text: str) -> bool:
    """Tell quickly whether a text could hold a secret (often enough a false alarm)."""
    return look_alike(text) or names_a_secret(text)


def mask_values(value: Any, found: list[str]) -> Any:
    """Return a plain value with every known secret masked; ``found`` collects the rules' names."""
    if type(value) is str:
        return mask_text(value, found)
    if type(value) is dict:
        return {mask_text(key, found): mask_values(item, found) for key, item in value.items()}
    if type(value) is list:
        return [mask_values(item, found) for item in _mask_across(value, found)]
    return value


def mask_text(text: str, found: list[str]) -> str:
    """Return a text with every known secret masked."""
    # Most texts of an event that holds a secret hold none.
    spans = _secret_spans(text) if may_hold_secret(text) else ()
    if not spans:
        return text
    pieces, end = [], 0
    for start, stop, name in spans:
        found.append(name)
        pieces += [text[end:start], f"[redacted:{name}]"]
        end = stop
    return "".join([*pieces, text[end:]])


def _secret_spans(text: str) -> list[tuple[int, int, str]]:
    """Return where secrets lie, in order, with the name of a rule; what overlaps is one."""
    spans = [(*span, "named") for span in named_spans(text)]
    for rule in dict.fromkeys(rule for hint, rule in _BY_HINT if hint in text):
        group = min(rule.pattern.groups, 1)
        spans += [(*match.span(group), rule.name) for match in rule.pattern.finditer(text)]
    spans.sort()
    merged: list[tuple[int, int, str]] = []
    for start, stop, name in spans:
        if merged and start < merged[-1][1]:
            first, last, known = merged[-1]
            merged[-1] = (first, max(last, stop), name if known == "named" else known)
        else:
            merged.append((start, stop, name))
    return merged


def _mask_across(items: list[Any], found: list[str]) -> list[Any]:
    """Return a list with what is secret in its adjacent texts masked, read as one text.

    Before each is masked by itself: that would leave the rest of a split secret without its look.
    """
    masked = list(items)
    for parts in adjacent_parts(masked):
        text = "".join(part.text for part in parts)
        if not may_hold_secret(text):
            continue
        for start, stop, name in _secret_spans(text):
            found.append(name)
            for part in parts:
                if part.start < stop and start < part.end:
                    part.cut(start, stop, f"[redacted:{name}]")
    return masked
