"""Model confusion: the prompt demands a format, and the answer is in another.

Two tells. JSON is demanded and nothing in the answer resembles it. Or the program that reads the
answers says in the next prompt that the format was wrong.
"""

from __future__ import annotations

import re

from nightpane.optimizer.messages import Message
from nightpane.optimizer.samples.facts import Exchange, Finding, Reading, times
from nightpane.optimizer.samples.formats import asks_for_json, holds_json
from nightpane.optimizer.words import code

__all__ = ["detect"]

_PROSE = 20
"""Characters: below, an answer is a word or two, and a word may be what was meant."""
# A program's complaint at the beginning of a message: not what a person or a document would say.
_COMPLAINT = re.compile(
    r"^\W{0,6}(?:error:? ?)?(?:"
    r"format ?error\b"
    r"|(?:please )?always provide exactly one\b"
    r"|(?:invalid|wrong|incorrect|malformed) (?:output|response|answer|action|tool call)? ?format\b"
    r"|(?:your|the) (?:last |previous )?(?:output|response|answer|reply|message) "
    r"(?:was not formatted|is not formatted|could not be parsed|did not follow the|"
    r"does not follow the|is not valid json|was not valid json)"
    r"|(?:could not|couldn't|failed to) parse (?:your|the) (?:output|response|answer|reply)"
    r"|no tool calls? (?:was |were )?found in (?:your|the) (?:output|response|answer|reply)"
    r")",
    re.IGNORECASE,
)


def detect(reading: Reading) -> Finding | None:
    """Return the answer that ignores its format."""
    for place, one in enumerate(reading.exchanges):
        asked = asks_for_json(one.asked)
        if asked and _is_prose(one):
            return Finding(
                "model_confusion",
                f"The prompt says {code(asked, 80)}; the answer is {len(one.text):,} characters of "
                "prose without any JSON.",
                at=place,
            )
    return _complained(reading)


def _is_prose(one: Exchange) -> bool:
    return (
        one.succeeded
        and one.whole
        and not one.tools
        and not any(message.media for message in one.answered)
        and len(one.text) >= _PROSE
        and not holds_json(one.text)
    )


def _complained(reading: Reading) -> Finding | None:
    prompts = [one.asked for one in reading.exchanges if one.asked]
    longest = max(prompts, key=len, default=())
    said = [text for one in longest if (text := _complaint(one))]
    if not said:
        return None
    answers = sum(message.role == "assistant" for message in longest)
    place = max(place for place, one in enumerate(reading.exchanges) if one.asked == longest)
    return Finding(
        "model_confusion",
        f"The program that reads the answers rejects the format of {len(said)} of the "
        f"{times(answers, 'answer')} in its last prompt that was read: {code(said[0], 110)}.",
        at=place,
    )


def _complaint(message: Message) -> str:
    if message.role == "assistant" or message.role == "system":
        return ""
    texts = (message.text, *message.results)
    return next((text.strip() for text in texts if _COMPLAINT.match(text.strip())), "")
