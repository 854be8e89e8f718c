"""Response truncation: the answer ends at a limit of its length.

The provider's stop reason says so. Where none is recorded, the number of tokens must be one that
people write as a limit, and the text must end in the middle. An answer of a few tokens at its limit
is a label that was asked for.
"""

from __future__ import annotations

import re

from nightpane.optimizer.samples.facts import Exchange, Finding, Reading
from nightpane.optimizer.samples.formats import broken_json
from nightpane.optimizer.words import code, count

__all__ = ["detect"]

_LIMITED = {
    *("length", "max_tokens", "max_output_tokens", "max_length", "model_length", "token_limit"),
    "model_context_window_exceeded",
}
_LABEL = 8
_UNUSUAL = 5
_LONG, _CARRIED = 4000, 0.8
_LIMITS = {2**power for power in range(8, 17)} | {
    *(500, 1000, 1500, 2000, 2500, 3000, 4000, 5000, 6000, 8000, 10_000, 12_000, 16_000, 32_000)
}
_ENDED = re.compile(r"[.!?…:;)\]}>\"'`*|”’]\s*$")


def detect(reading: Reading) -> Finding | None:
    """Return the answers that were cut off."""
    cut = [place for place, one in enumerate(reading.exchanges) if _is_cut(one)]
    if not cut:
        return None
    cut.sort(key=lambda place: -reading.calls[place].tokens.output)
    one = reading.exchanges[cut[0]]
    said = f"stop reason {code(one.call.stop_reason)}" if one.call.stop_reason else "a round limit"
    of = f"of its {len(reading.exchanges)} answers"
    which = f"{len(cut)} {of} are cut off, the longest" if len(cut) > 1 else f"One {of} ends"
    which = "The answer ends" if len(reading.exchanges) == 1 else which
    return Finding(
        "response_truncation",
        f"{which} at {count(one.call.tokens.output)} tokens ({said}){_where(one)}"
        f"{_unusual(one, reading)}.{_carried(cut[0], reading)}",
        at=cut[0],
        end=True,
    )


def _is_cut(one: Exchange) -> bool:
    output = one.call.tokens.output
    if not one.succeeded:
        return False
    if one.call.stop_reason:
        return one.call.stop_reason in _LIMITED and output > _LABEL
    return (
        output in _LIMITS
        and one.whole
        and bool(one.text)
        and not one.tools
        and (broken_json(one.text) is not None or not _ENDED.search(one.text))
    )


def _unusual(one: Exchange, reading: Reading) -> str:
    usual = reading.metrics.output.p50
    times = one.call.tokens.output / usual if usual else 0.0
    return f", {count(times)} times the usual answer" if times >= _UNUSUAL else ""


def _carried(place: int, reading: Reading) -> str:
    """Return how many later prompts of the trace hold the long answer still."""
    call = reading.calls[place]
    least = call.tokens.prompt + _CARRIED * call.tokens.output
    later = sum(after.tokens.prompt >= least for after in reading.calls[place + 1 :])
    if call.tokens.output < _LONG or not later:
        return ""
    return f" {later:,} later prompts of the trace carry it along."


def _where(one: Exchange) -> str:
    """Return where it stops, as far as the text tells."""
    if not one.is_recorded or not one.whole:
        return ""
    if not one.text:
        return " without any text" if not one.tools else ""
    if broken_json(one.text) is not None:
        return ", in the middle of its JSON"
    if one.text.count("```") % 2:
        return ", inside a code block that never closes"
    if not _ENDED.search(one.text):
        return ", in the middle of a sentence"
    return ""
