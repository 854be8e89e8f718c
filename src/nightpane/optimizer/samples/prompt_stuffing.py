"""Prompt stuffing: far more is sent than the task needs.

Size alone is no fault, so it counts where step 5 holds it against the trace or its operation and
this trace shows it; or where reading shows that the prompt says the same things several times.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from nightpane.optimizer.causes.context_stuffing import grows, resent_tokens
from nightpane.optimizer.causes.prompt_bloat import LARGE, RATIO
from nightpane.optimizer.messages import Message
from nightpane.optimizer.samples.facts import Exchange, Finding, Reading
from nightpane.optimizer.words import code, count, percent

__all__ = ["detect"]

_PASSAGE = 80
"""Characters: a shorter line may be repeated for good reasons."""
_REPEATED_CHARS = 6000
_REPEATED_SHARE = 0.4


def detect(reading: Reading) -> Finding | None:
    """Return what the prompts hold too much of."""
    return _growing(reading) or _large(reading) or _repeating(reading)


def _growing(reading: Reading) -> Finding | None:
    calls = reading.calls
    cached = sum(call.tokens.cache_read for call in calls)
    sent = sum(call.tokens.prompt for call in calls)
    if not reading.confirmed("context_stuffing") or not grows(calls) or 2 * cached >= sent:
        return None
    return Finding(
        "prompt_stuffing",
        f"Every call re-sends those before: prompts grow from {count(calls[0].tokens.prompt)} to "
        f"{count(calls[-1].tokens.prompt)} tokens over {len(calls)} calls, and "
        f"{count(resent_tokens(calls))} of the {count(sent)} tokens had been sent before.",
        at=len(calls) - 1,
    )


def _large(reading: Reading) -> Finding | None:
    if not reading.confirmed("prompt_bloat") or grows(reading.calls):
        return None
    place, call = max(enumerate(reading.calls), key=lambda one: one[1].tokens.prompt)
    prompt, output = call.tokens.prompt, call.tokens.output
    if call.failed or 2 * call.tokens.cache_read >= prompt:
        return None
    usual, limit = reading.metrics.prompt.p50, reading.tails.prompt_limit
    if limit and prompt > limit:
        beside = f"where {count(usual)} are usual"
    elif prompt >= LARGE and prompt >= RATIO * max(output, 1):
        beside = f"{count(prompt / max(output, 1))} read for each one written"
    else:
        return None
    return Finding(
        "prompt_stuffing",
        f"A prompt of {count(prompt)} tokens brings an answer of {count(output)}, {beside}.",
        at=place,
    )


def _repeating(reading: Reading) -> Finding | None:
    for place, one in enumerate(reading.exchanges):
        if one.call.failed or 2 * one.call.tokens.cache_read >= one.call.tokens.prompt:
            continue
        again, chars, most = _again(one)
        if again >= _REPEATED_CHARS and again >= _REPEATED_SHARE * chars:
            return Finding(
                "prompt_stuffing",
                f"{percent(again / chars)} of the prompt that was read ({count(again)} characters) "
                f"are passages it holds already, such as {code(most, 80)}.",
                at=place,
            )
    return None


def _again(one: Exchange) -> tuple[int, int, str]:
    """Return the characters in repeated passages, all characters, and the worst passage."""
    passages = Counter(
        line.strip()
        for text in _texts(one.asked)
        for line in text.splitlines()
        if len(line.strip()) >= _PASSAGE
    )
    chars = sum(len(text) for text in _texts(one.asked))
    extra = {line: (number - 1) * len(line) for line, number in passages.items() if number > 1}
    most = max(extra, key=lambda line: extra[line], default="")
    return sum(extra.values()), chars, most


def _texts(asked: Sequence[Message]) -> list[str]:
    return [text for one in asked for text in (one.text, *one.results) if text]
