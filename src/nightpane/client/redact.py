"""Takes secrets out of an event before anything is written to disk.

By the name of a property, by the look of a text, by the user's own callables, and in privacy mode
by leaving prompts and completions out. A mask stays visible: ``[redacted:<rule>]``. When a step of
it fails, the event goes on without its properties: a raw event is never written.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

__all__ = [
    "KEEP",
    "PRIVATE_PROPERTIES",
    "VALUE_RULES",
    "KeyMask",
    "Redactor",
    "ValueRule",
    "mask_values",
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
    r"|credential|cookie|signing_?key|encryption_?key|connection_?string"
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


@dataclass(frozen=True, slots=True)
class ValueRule:
    """One kind of secret that is known by its look.

    ``hints``: one of them is in every text that matches, so that most texts are passed quickly.
    Group 1 of ``regex``, if it has one, is what is masked; otherwise the whole match.
    """

    name: str
    hints: tuple[str, ...]
    regex: str

    @property
    def pattern(self) -> re.Pattern[str]:
        """The regular expression, compiled when the first text looks as if it held a secret."""
        return _compiled(self.regex)


@functools.cache
def _compiled(regex: str) -> re.Pattern[str]:
    return re.compile(regex)


def _rule(name: str, hints: str, regex: str) -> ValueRule:
    return ValueRule(name, tuple(hints.split("|")), regex)


VALUE_RULES: tuple[ValueRule, ...] = (
    _rule(
        "private_key",
        "-----BEGIN",
        r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"
        r"(?:(?!-----BEGIN)[\s\S])*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\Z)",
    ),
    _rule("anthropic_key", "sk-ant-", r"\bsk-ant-[A-Za-z0-9_-]{16,}"),
    _rule("provider_key", "sk-", r"(?<![A-Za-z0-9_-])sk-(?!ant-)[A-Za-z0-9][A-Za-z0-9_-]{18,}"),
    _rule("posthog_key", "phx_|phs_", r"\bph[xs]_[A-Za-z0-9]{20,}"),
    _rule("github_token", "ghp_|gho_|ghu_|ghs_|ghr_", r"\bgh[pousr]_[A-Za-z0-9]{30,}"),
    _rule("github_token", "github_pat_", r"\bgithub_pat_[A-Za-z0-9_]{30,}"),
    _rule("gitlab_token", "glpat-", r"\bglpat-[A-Za-z0-9_-]{20,}"),
    _rule("aws_key", "AKIA|ASIA", r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    _rule("google_key", "AIza", r"\bAIza[A-Za-z0-9_-]{35}"),
    _rule("slack_token", "xox", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}"),
    _rule("stripe_key", "k_live_|k_test_", r"\b[rsp]k_(?:live|test)_[A-Za-z0-9]{16,}"),
    _rule("huggingface_token", "hf_", r"\bhf_[A-Za-z0-9]{30,}"),
    _rule("groq_key", "gsk_", r"\bgsk_[A-Za-z0-9]{40,}"),
    _rule("replicate_token", "r8_", r"\br8_[A-Za-z0-9]{30,}"),
    _rule("xai_key", "xai-", r"\bxai-[A-Za-z0-9]{40,}"),
    _rule("npm_token", "npm_", r"\bnpm_[A-Za-z0-9]{36}"),
    _rule("pypi_token", "pypi-", r"\bpypi-[A-Za-z0-9_-]{50,}"),
    _rule("jwt", "eyJ", r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),
    _rule(
        "bearer",
        "earer |EARER |asic |ASIC ",
        r"\b(?:[Bb]earer|BEARER|[Bb]asic|BASIC) ([A-Za-z0-9._~+/-]{20,}=*)",
    ),
    _rule("url_password", "://", r"[a-z][a-z0-9+.-]*://[^\s/:@\"'<>]*:([^\s/@\"'<>]+)@"),
    _rule(
        "env_secret",
        "KEY=|SECRET|PASSW|TOKEN=",
        r"\b[A-Z][A-Z0-9_]*(?:API_?KEY|ACCESS_KEY|PRIVATE_KEY|SECRET(?:_KEY)?|PASSWORD|PASSWD|TOKEN)"
        r"=[\"']?([^\s\"'$<{(\[][^\s\"']{7,})",
    ),
)

# One pass over an event's texts, 5 ns a character: every rule's match contains a match of this.
# Each branch begins with a rare character, so that the engine skips from one to the next.
_HINT = re.compile(
    r"-(?:(?<=sk-)|(?<=glpat-)|(?<=xai-)|(?<=pypi-)|(?<=xox[abeoprs]-)|----BEGIN)"
    r"|_(?:(?<=ph[xs]_)|(?<=gh[pousr]_)|(?<=hf_)|(?<=gsk_)|(?<=r8_)|(?<=npm_)|(?<=_pat_)"
    r"|(?<=[rsp]k_)(?:live|test))"
    r"|=(?:(?<=KEY=)|(?<=SECRET=)|(?<=PASSWORD=)|(?<=PASSWD=)|(?<=TOKEN=))"
    r"|://|J(?<=eyJ)|A(?:(?<=AKIA)|(?<=ASIA)|Iza)"
    r"|b(?:earer |asic )|B(?:earer |asic |EARER |ASIC )"
)


def may_hold_secret(text: str) -> bool:
    """Tell quickly whether any rule could match in a text (often enough a false alarm)."""
    return _HINT.search(text) is not None


def mask_values(value: Any, found: list[str]) -> Any:
    """Return a plain value with every known secret masked; ``found`` collects the rules' names."""
    if type(value) is str:
        return mask_text(value, found)
    if type(value) is dict:
        return {mask_text(key, found): mask_values(item, found) for key, item in value.items()}
    if type(value) is list:
        return [mask_values(item, found) for item in value]
    return value


def mask_text(text: str, found: list[str]) -> str:
    """Return a text with every known secret masked."""
    for rule in VALUE_RULES:
        if any(hint in text for hint in rule.hints):
            text = rule.pattern.sub(functools.partial(_mask, rule=rule, found=found), text)
    return text


def _mask(match: re.Match[str], *, rule: ValueRule, found: list[str]) -> str:
    found.append(rule.name)
    mask = f"[redacted:{rule.name}]"
    if rule.pattern.groups == 0:
        return mask
    start, end = match.span(1)
    whole = match.group()
    return whole[: start - match.start()] + mask + whole[end - match.start() :]
