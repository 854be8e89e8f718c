"""Secrets that are known by what stands before them: ``password=…``, ``"api_key": "…"``, a header.

They have no look of their own, so what may be code or prose is left alone: a bare word after a
colon, a call, a variable, a placeholder. Nothing here may take long on a long text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["named_spans", "names_a_secret"]

# Stems of the names, found by plain search in the lower-case text: a regular expression that
# ignores case takes 60 times as long.
_STEMS = (
    *("passw", "passphrase", "pwd", "secret", "token", "key", "authorization", "cookie", "sig"),
    *("credential", "--"),
)
_FEW = 8
_NAME_CHARS = 64
_NAME = re.compile(
    r"(?i:(?:passw(?:or)?d|passwd|passphrase|pwd|secret|credentials?|(?<=\?)sig|(?<=&)sig"
    r"|(?<=[?&-])signature|(?<=[?&])key|(?:(?<=api)|(?<=api[_-])|(?<=access)|(?<=access[_-])|(?<=account)"
    r"|(?<=account[_-])|(?<=private[_-])|(?<=private)|(?<=signing[_-])|(?<=encryption[_-])"
    r"|(?<=subscription-))key)"
    r"|(?P<token>token)|(?P<header>authorization|cookie))"
    r"(?:[_-]?(?:access_?)?(?:key|value|id|token))?"
    r"[\"'\\\]]{0,8}\s{0,3}(?P<sep>=>|:=|={1,2}|:)\s{0,3}"
)
_FLAG = re.compile(
    r"--[a-z-]{0,20}(?:password|passwd|secret|token|api-?key)\s(?P<value>[^\s\"'\\]{6,})"
)
_QUOTED = re.compile(r"(?P<quote>\\{0,7}[\"'])(?P<value>[^\n\"']{1,2000}?)(?P=quote)")
_BARE = re.compile(r"(?P<value>[^\s\"'\\,;&)\]}>|(<{\[]{1,2000})(?P<after>[\s\S]?)")
_LINE = re.compile(r"(?P<value>[^\r\n\"'\\]{1,4000})")
_CODE = re.compile(r"[A-Za-z_]\w*(?:\.\w+)+\Z|[A-Za-z_]+\Z|[a-z][a-z0-9]*(?:_[a-z0-9]+)+\Z")
# A project's own key (phc_) is public.
_PLACEHOLDERS = ("[", "$", "<", "{", "(", "*", "%", "…", "...", "phc_")
_CALL = re.compile(r"[\w.]+[(\[]")
_WORDS = frozenset({"string", "none", "null", "true", "false", "required", "optional", "undefined"})


def names_a_secret(text: str) -> bool:
    """Tell quickly whether a text may name a secret (often enough a false alarm)."""
    before = _before_separators(text)
    # One hyphen is looked for faster than two.
    if before is not None and not _has_stem(before) and ("-" not in text or "--" not in text):
        return False
    return next(named_spans(text), None) is not None


def _has_stem(text: str) -> bool:
    for stem in _STEMS:  # noqa: SIM110 (any() takes four times as long)
        if stem in text:
            return True
    return False


def _before_separators(text: str) -> str | None:
    """Return, in lower case, what stands before each ``=`` and ``:``; None when they are many."""
    pieces: list[str] = []
    for separator in "=:":
        at = text.find(separator)
        while at >= 0:
            if len(pieces) == _FEW:
                return None
            pieces.append(text[max(0, at - _NAME_CHARS) : at])
            at = text.find(separator, at + 1)
    return "\n".join(pieces).lower()


def named_spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield where the secrets lie that a text names, in no order; they may overlap."""
    lower = text.lower()
    if len(lower) != len(text):
        # A few letters are longer in lower case.
        lower = text.translate(_ASCII_LOWER)
    for stem in _STEMS:
        at = lower.find(stem)
        while at >= 0:
            span = _flag_span(text, at) if stem == "--" else _span(text, at)
            if span is not None:
                yield span
            at = lower.find(stem, at + len(stem))


def _flag_span(text: str, at: int) -> tuple[int, int] | None:
    found = _FLAG.match(text, at)
    return found.span("value") if found and found["value"][0] not in "-$<{[" else None


def _span(text: str, at: int) -> tuple[int, int] | None:
    name = _NAME.match(text, at)
    if name is None:
        return None
    if name["header"]:
        found = _LINE.match(text, name.end() + _quote_length(text, name.end()))
        return found.span("value") if found and _is_header(name["header"], found["value"]) else None
    is_set = False
    if quoted := _QUOTED.match(text, name.end()):
        value, is_secret = quoted["value"], _is_quoted_secret(quoted["value"])
        found = quoted
    elif bare := _BARE.match(text, name.end()):
        value, found = bare["value"], bare
        is_tight = name["sep"] == "=" and text[name.end() - 1] == "="
        # As in an environment file; in code, capitals name a constant and spaces stand around "=".
        is_set = is_tight and len(value) >= 8 and name[0].isupper()
        is_secret = is_set or _is_bare_secret(value, bare["after"], is_tight=is_tight)
    else:
        return None
    if value.startswith(_PLACEHOLDERS) or value.lower() in _WORDS:
        return None
    if name["token"] and not is_set and (len(value) < 16 or value.isdigit() or " " in value):
        # Counts of tokens, and the tokens of a text.
        return None
    return found.span("value") if is_secret else None


def _quote_length(text: str, at: int) -> int:
    end = at
    while end < len(text) and text[end] in "\"'\\" and end < at + 8:
        end += 1
    return end - at


def _is_quoted_secret(value: str) -> bool:
    return len(value) >= 4 and not value.isspace()


def _is_bare_secret(value: str, after: str, *, is_tight: bool) -> bool:
    if len(value) < 6 or (after and after in "(["):
        return False
    if is_tight and after and after in ";&":
        # A connection string, an address.
        return True
    if _CODE.match(value):
        return False
    return is_tight or any(char.isdigit() for char in value)


def _is_header(name: str, value: str) -> bool:
    if value.startswith(_PLACEHOLDERS) or _CALL.match(value):
        return False
    if name.lower() == "cookie":
        return "=" in value and len(value) >= 8
    return any(
        len(word) >= 20 or (len(word) >= 8 and any(char.isdigit() for char in word))
        for word in value.split()
    )


_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
