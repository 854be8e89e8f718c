"""Empty output: a call succeeds, and its answer holds nothing."""

from __future__ import annotations

from nightpane.optimizer.samples.facts import Exchange, Finding, Reading, times
from nightpane.optimizer.words import code, count

__all__ = ["detect"]

# The provider says that something else than an answer ended the turn.
_NOT_AN_ANSWER = {"tool_use", "tool_calls", "tool_call", "function_call", "pause_turn"}


def detect(reading: Reading) -> Finding | None:
    """Return the answers without text, tool call, thought or picture."""
    empty = [place for place, one in enumerate(reading.exchanges) if _is_empty(one)]
    if not empty:
        return None
    call = reading.exchanges[empty[0]].call
    which = (
        "Its call succeeds"
        if len(reading.exchanges) == 1
        else f"{len(empty)} of its {times(len(reading.exchanges), 'call')} succeed"
    )
    stop = f", stop reason {code(call.stop_reason)}" if call.stop_reason else ""
    return Finding(
        "empty_output",
        f"{which} with no text and no tool call, after {count(call.tokens.prompt)} prompt tokens "
        f"({count(call.tokens.output)} output tokens{stop}).",
        at=empty[0],
    )


def _is_empty(one: Exchange) -> bool:
    call = one.call
    if call.failed or call.stop_reason in _NOT_AN_ANSWER or not call.tokens.prompt:
        return False
    if one.is_recorded:
        # Tokens without a text or a known end: then the recording left the text out.
        is_told = call.tokens.output == 0 or bool(call.stop_reason)
        return is_told and one.whole and all(message.is_empty for message in one.answered)
    # Nothing recorded may be privacy mode: then the tokens tell, if the end of the call is known.
    return call.tokens.output == 0 and bool(call.stop_reason)
