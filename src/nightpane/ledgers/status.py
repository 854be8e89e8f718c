"""What became of a round, from the word the ledger has for it.

A status is only understood when it is plain. Anything else is left to be reported: a word such as
``contender``, ``partial`` or ``done`` does not say whether the change stayed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from nightpane.ledgers.values import words

__all__ = ["Verdict", "is_plain", "verdict"]

Kind = Literal["kept", "reverted", "crashed", "failed"]

_PHRASES: dict[str, tuple[Kind, str | None]] = {
    "not kept": ("reverted", None),
    "not accepted": ("reverted", None),
    "not adopted": ("reverted", None),
    "not improved": ("reverted", None),
    "no improvement": ("reverted", None),
    "no improve": ("reverted", None),
    "no gain": ("reverted", None),
    "no change": ("reverted", None),
    "rolled back": ("reverted", None),
    "roll back": ("reverted", None),
    "new best": ("kept", None),
    "new record": ("kept", None),
    "out of memory": ("crashed", None),
    "timed out": ("crashed", "timeout"),
    "time out": ("crashed", "timeout"),
    "checks failed": ("reverted", "invalid"),
    "check failed": ("reverted", "invalid"),
    "gate failed": ("reverted", "invalid"),
    "guard failed": ("reverted", "invalid"),
    "validation fail": ("reverted", "invalid"),
    "validation failed": ("reverted", "invalid"),
    "json fail": ("reverted", "invalid"),
    "wrong model": ("reverted", "wrong_model"),
}
_KEPT = words(
    "keep kept keeps keeper keepers accept accepted accepts improved improve improvement improves "
    "ok success successful succeeded pass passed baseline adopted adopt promoted promote merged "
    "best win winner won retained retain committed champion"
)
_REVERTED = words(
    "discard discarded discards reject rejected rejects rejection revert reverted reverts rollback "
    "undo undone drop dropped worse regressed regression kill killed declined lose lost loser "
    "abandoned abandon scrapped unchanged removed"
)
_CRASHED = {
    **dict.fromkeys(
        words("crash crashed crashes error errored errors oom nan inf diverged"), "crash"
    ),
    **dict.fromkeys(words("divergence segfault broken"), "crash"),
    **dict.fromkeys(words("timeout timedout"), "timeout"),
    "exception": "exception",
}
_FAILED = words("fail failed fails failure")
_INVALID = "invalid"
# Chinese ledgers are common; these words need no spaces around them.
_IDEOGRAMS: dict[str, Kind] = {
    "保留": "kept",
    "采纳": "kept",
    "接受": "kept",
    "基线": "kept",
    "回滚": "reverted",
    "丢弃": "reverted",
    "放弃": "reverted",
    "舍弃": "reverted",
    "拒绝": "reverted",
    "撤销": "reverted",
    "崩溃": "crashed",
    "失败": "failed",
}
_WORDS: dict[str, tuple[Kind, str | None]] = {
    **dict.fromkeys(_KEPT, ("kept", None)),
    **dict.fromkeys(_REVERTED, ("reverted", None)),
    **dict.fromkeys(_FAILED, ("failed", None)),
    **{word: ("crashed", mode) for word, mode in _CRASHED.items()},
    _INVALID: ("reverted", "invalid"),
}
_NEGATIONS = {"not", "no", "non", "never", "un", "almost", "nearly", "maybe", "partial", "partly"}
# In front of a longer text these are the status itself: "keep (worse, but simpler)".
_PLAINEST = words(
    "keep kept discard discarded revert reverted reject rejected accept accepted crash crashed "
    "fail failed"
)
_SYMBOLS: dict[str, Kind] = {
    "✅": "kept",
    "✓": "kept",
    "✔": "kept",
    "❌": "reverted",
    "💥": "crashed",
}
_SPLIT = re.compile(r"[^a-zA-Z]+")
_MAX_CHARS = 80


@dataclass(frozen=True, slots=True)
class Verdict:
    """A status that is understood. ``failed`` is a crash where no score was measured."""

    kind: Kind
    failure_mode: str | None = None
    baseline: bool = False


def is_plain(status: str | None) -> bool:
    """Tell whether a status is understood."""
    return verdict(status) is not None


def verdict(status: str | None) -> Verdict | None:
    """Return what a status says, None when that is not plain."""
    return None if status is None or len(status) > _MAX_CHARS else _verdict(status)


@lru_cache(maxsize=4096)
def _verdict(status: str) -> Verdict | None:
    parts = [word.lower() for word in _SPLIT.split(status) if word]
    baseline = parts[:1] == ["baseline"] or "基线" in status
    found = _by_phrase(parts) or _by_words(parts)
    if found is None and not parts:
        found = _by_symbol(status)
    return None if found is None else Verdict(found[0], found[1], baseline)


def _by_phrase(parts: list[str]) -> tuple[Kind, str | None] | None:
    text = " ".join(parts)
    for phrase, found in _PHRASES.items():
        if text == phrase or text.startswith(phrase + " "):
            return found
    return None


def _by_words(parts: list[str]) -> tuple[Kind, str | None] | None:
    """One family of parts decides, or a plain keep or discard in front of the rest."""
    if not parts:
        return None
    if parts[0] in _PLAINEST:
        return _most_precise(parts, _WORDS[parts[0]][0])
    families = {_WORDS[word][0] for word in parts if word in _WORDS}
    if _NEGATIONS & set(parts) or len(parts) > 3:
        return None
    if families and families <= {"reverted", "crashed", "failed"} and "crashed" in families:
        return _most_precise(parts, "crashed")
    return _most_precise(parts, families.pop()) if len(families) == 1 else None


def _most_precise(parts: list[str], kind: Kind) -> tuple[Kind, str | None]:
    """The word of this kind that says most: ``timeout`` before ``crash``."""
    modes = [_WORDS[word][1] for word in parts if word in _WORDS and _WORDS[word][0] == kind]
    return kind, max(modes, key=lambda mode: (mode is not None, mode != "crash"), default=None)


def _by_symbol(status: str) -> tuple[Kind, str | None] | None:
    kinds = {kind for word, kind in _IDEOGRAMS.items() if word in status}
    kinds |= {kind for symbol, kind in _SYMBOLS.items() if symbol in status} if not kinds else set()
    return (kinds.pop(), None) if len(kinds) == 1 else None
