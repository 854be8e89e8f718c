"""One piece of the real text for a recommendation: the words, without the JSON around them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nightpane.optimizer.messages import Message, messages
from nightpane.optimizer.recommendations.facts import Excerpt
from nightpane.optimizer.recommendations.reading import Seen

__all__ = ["excerpt"]

_LONGEST = 400
_MARK = " […]"


def excerpt(which: Excerpt, seen: Sequence[Seen]) -> str:
    """Return the first text there is of the kind asked for, else of the prompt; "" without any."""
    for kind in (which, "prompt"):
        for one in seen:
            if text := _text(kind, one):
                return text if len(text) <= _LONGEST else text[:_LONGEST] + _MARK
    return ""


def _text(kind: str, one: Seen) -> str:
    if kind == "error":
        return one.error.strip()
    read = messages(one.answer, "assistant") if kind == "answer" else messages(one.prompt)
    return "\n".join(line for message in read for line in _lines(message)).strip()


def _lines(message: Message) -> Iterator[str]:
    if message.text.strip():
        yield f"[{message.role}] {message.text.strip()}"
    for call in message.calls:
        yield f"[{message.role}] {call.name}({call.arguments})"
    for result in message.results:
        yield f"[tool] {result.strip()}"
