"""About 400 characters of what was asked and answered: the text itself, without its JSON."""

from __future__ import annotations

import re

from nightpane.optimizer.messages import Message
from nightpane.optimizer.samples.facts import Exchange

__all__ = ["answer", "question"]

LENGTH = 400
_SPACE = re.compile(r"[ \t\r\f\v]+")
_LINES = re.compile(r"\s*\n\s*")


def question(one: Exchange) -> str:
    """Return the task, and the latest message where there is another."""
    said = [message for message in one.asked if _said(message)]
    if not said:
        return ""
    users = [message for message in said if message.role == "user"]
    task = users[0] if users else said[0]
    last = said[-1]
    if last is task:
        return f"{task.role}: {_both_ends(_said(task), LENGTH)}"
    between = len(said) - 1 - next(place for place, it in enumerate(said) if it is task) - 1
    gap = f"\n… {between} more …\n" if between > 0 else "\n"
    latest = _both_ends(_said(last), LENGTH // 2)
    return f"{task.role}: {_start(_said(task), LENGTH - len(latest))}{gap}{last.role}: {latest}"


def answer(one: Exchange, *, end: bool = False) -> str:
    """Return the answer's beginning, or its end; what failed instead, when the call did."""
    said = "\n".join(filter(None, (_said(message) for message in one.answered)))
    if not said:
        return f"error: {_start(one.call.error, LENGTH)}" if one.call.error else ""
    if end:
        tidy = _tidy(said[-4 * LENGTH :])
        return tidy if len(tidy) <= LENGTH and len(said) <= LENGTH else f"…{tidy[-LENGTH:]}"
    return _start(said, LENGTH)


def _said(message: Message) -> str:
    calls = "\n".join(f"{call.name}({call.arguments})" for call in message.calls)
    media = f"[{message.media} media]" if message.media else ""
    thought = message.thinking if not message.text and not calls else ""
    return "\n".join(
        filter(None, (message.text.strip(), calls, *message.results, media, thought.strip()))
    )


def _tidy(text: str) -> str:
    return _LINES.sub("\n", _SPACE.sub(" ", text)).strip()


def _start(text: str, length: int) -> str:
    tidy = _tidy(text[: 4 * length])
    return tidy if len(tidy) <= length and len(text) <= 4 * length else f"{tidy[:length]}…"


def _both_ends(text: str, length: int) -> str:
    """Return a text's beginning and end: the question often stands at the end."""
    if len(text) <= length:
        return _tidy(text)
    head, tail = _tidy(text[: 4 * length])[: 2 * length // 3], _tidy(text[-2 * length :])
    return f"{head} … {tail[-length // 3 :]}"
