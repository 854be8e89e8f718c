"""Codex's session logs: JSON lines of events, with a count of tokens after each call."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nightpane.traces.identity import trace_id
from nightpane.traces.model import Messages, Recorded, Trace, moment
from nightpane.traces.usage import tokens

__all__ = ["AGENT", "NAME", "matches", "traces"]

NAME, AGENT = "Codex session", "codex"
_KINDS = {"session_meta", "turn_context", "event_msg", "response_item"}


def matches(record: Any) -> bool:
    """Tell whether a JSON line is one of such a log."""
    return (
        isinstance(record, dict)
        and record.get("type") in _KINDS
        and isinstance(record.get("payload"), dict)
    )


def traces(path: Path, records: Iterator[Any]) -> Iterator[Trace]:
    """Yield the one trace of a log."""
    session = _Session()
    events = [event for record in records if matches(record) for event in session.take(record)]
    if events:
        yield Trace(trace_id(session.identity or path.stem), AGENT, tuple(events))


class _Session:
    def __init__(self) -> None:
        self.identity: str | None = None
        self._model: str | None = None
        self._sent = Messages()
        self._answered: list[Any] = []
        self._totals: Any = None
        self._count = 0

    def take(self, record: Any) -> Iterator[Recorded]:
        kind, payload = record["type"], record["payload"]
        if kind == "session_meta":
            self.identity = str(payload.get("id") or "") or None
        elif kind == "turn_context":
            self._model = payload.get("model") or self._model
        elif kind == "response_item":
            self._item(payload)
        elif payload.get("type") == "token_count" and isinstance(payload.get("info"), dict):
            yield from self._call(payload["info"], record.get("timestamp"))

    def _item(self, item: Any) -> None:
        if item.get("role") == "user" or str(item.get("type")).endswith("_output"):
            self._close()
            self._sent.add(item)
        else:
            self._answered.append(item)

    def _close(self) -> None:
        for item in self._answered:
            self._sent.add(item)
        self._answered = []

    def _call(self, info: Any, timestamp: Any) -> Iterator[Recorded]:
        totals = info.get("total_token_usage")
        if totals is not None and totals == self._totals:
            # Said again with news of the rate limit: no call happened.
            return
        self._totals = totals
        model = info.get("model") or self._model
        properties = {
            "$ai_span_name": AGENT,
            "$ai_model": model,
            "$ai_provider": "openai",
            "$ai_input": self._sent.sent() or None,
            "$ai_output_choices": list(self._answered) or None,
            **tokens(info.get("last_token_usage") or totals),
        }
        ordinal, self._count = self._count, self._count + 1
        self._close()
        yield Recorded("$ai_generation", ordinal, str(ordinal), moment(timestamp), properties)
