"""Claude Code's session logs: JSON lines, an answer's blocks on lines of their own.

Lines of one answer share ``message.id`` and repeat its usage, so they are one call.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from nightpane.traces.identity import trace_id
from nightpane.traces.model import Messages, Recorded, Trace, moment
from nightpane.traces.usage import costs, tokens

__all__ = ["AGENT", "NAME", "matches", "traces"]

NAME, AGENT = "Claude Code session", "claude-code"


def matches(record: Any) -> bool:
    """Tell whether a JSON line is one of such a log."""
    return (
        isinstance(record, dict)
        and "sessionId" in record
        and (isinstance(record.get("message"), dict) or record.get("type") == "summary")
    )


def traces(records: Iterator[Any]) -> Iterator[Trace]:
    """Yield one trace for each session in the lines."""
    sessions: dict[str, _Session] = {}
    for record in records:
        if matches(record) and isinstance(record.get("message"), dict):
            name = str(record["sessionId"])
            sessions.setdefault(name, _Session()).take(record)
    for name, session in sessions.items():
        events = tuple(session.calls())
        if events:
            yield Trace(trace_id(name), AGENT, events)


@dataclass(slots=True)
class _Answer:
    """The lines of one answer, put together."""

    sidechain: bool
    input: list[Any]
    record: Any
    content: list[Any] = field(default_factory=list)


class _Session:
    def __init__(self) -> None:
        # A subagent's conversation, its sidechain, is its own.
        self._sent = {True: Messages(), False: Messages()}
        self._answers: dict[str, _Answer] = {}

    def take(self, record: Any) -> None:
        message = record["message"]
        sidechain = bool(record.get("isSidechain"))
        if message.get("role") == "assistant" and message.get("model") != "<synthetic>":
            self._answer(record, message, sidechain)
        content = message.get("content")
        if content:
            self._sent[sidechain].add({"role": message.get("role"), "content": content})

    def _answer(self, record: Any, message: Any, sidechain: bool) -> None:
        key = str(message.get("id") or record.get("uuid"))
        answer = self._answers.get(key)
        if answer is None:
            sent = self._sent[sidechain].sent()
            answer = self._answers[key] = _Answer(sidechain, sent, record)
        # The last line has the final count of tokens.
        answer.record = record
        content = message.get("content") or []
        answer.content += content if isinstance(content, list) else [content]

    def calls(self) -> Iterator[Recorded]:
        for ordinal, (key, answer) in enumerate(self._answers.items()):
            record, message = answer.record, answer.record["message"]
            failed = bool(record.get("isApiErrorMessage"))
            properties = {
                "$ai_span_name": "subagent" if answer.sidechain else AGENT,
                "$ai_model": message.get("model"),
                "$ai_provider": "anthropic",
                "$ai_input": answer.input or None,
                "$ai_output_choices": [{"role": "assistant", "content": answer.content}],
                "$ai_stop_reason": message.get("stop_reason"),
                "$ai_completion_id": message.get("id"),
                "$ai_is_error": failed,
                "$ai_error": str(answer.content)[:400] if failed else None,
                **tokens(message.get("usage")),
                **costs(total=record.get("costUSD")),
            }
            ended = moment(record.get("timestamp"))
            yield Recorded("$ai_generation", ordinal, key, ended, properties)
