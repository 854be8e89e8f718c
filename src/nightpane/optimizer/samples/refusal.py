"""Refusal: the model declines, by the provider's own mark or in so many words.

The words count at the beginning of a short answer only, and only those with which models decline to
act: that something cannot be found or is not possible is an answer.
"""

from __future__ import annotations

import re

from nightpane.optimizer.samples.facts import Exchange, Finding, Reading
from nightpane.optimizer.words import code

__all__ = ["detect"]

_STOPS = {"refusal", "content_filter", "content_filtered", "safety", "prohibited_content"}
_SHORT = 700
_ACT = (
    r"(?:help|assist|comply|fulfil+|engage|participate|support|continue)\b(?: you)?(?: with| in)?"
    r"|(?:provide|create|generate|write|produce|share|give|offer|do|discuss|answer|process)"
    r" (?:that|this|such|any|you|instructions|information|advice|content|guidance|medical|legal)"
)
_CANNOT = r"can(?:no|')t|can ?not|won't|will not|(?:am|'m) (?:unable|not able) to"
_DECLINES = re.compile(
    r"^(?:(?:i(?:'| a)?m )?(?:very |really |so )?sorry|i apologi[sz]e|apologies|unfortunately)?"
    r"[,.;:]? *(?:but )?(?:as an ai(?: language)?(?: model| assistant)?,? )?"
    rf"i ?(?:{_CANNOT}) (?:{_ACT})",
    re.IGNORECASE,
)


def detect(reading: Reading) -> Finding | None:
    """Return the answer in which the model declines."""
    found = [place for place, one in enumerate(reading.exchanges) if _declines(one)]
    if not found:
        return None
    one = reading.exchanges[found[0]]
    which = f"{len(found)} of its {len(reading.exchanges)} answers decline"
    if one.call.stop_reason in _STOPS:
        how = f"the provider's stop reason is {code(one.call.stop_reason)}"
    else:
        how = f"it begins {code(one.text, 70)}"
    if len(reading.exchanges) == 1:
        which = "The answer declines"
    return Finding("refusal", f"{which} to do what was asked: {how}.", at=found[0])


def _declines(one: Exchange) -> bool:
    if not one.succeeded:
        return False
    if one.call.stop_reason in _STOPS or any(message.refused for message in one.answered):
        return True
    text = one.text.replace("\u2019", "'")
    return 0 < len(text) <= _SHORT and not one.tools and bool(_DECLINES.match(text))
