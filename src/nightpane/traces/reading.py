"""From a file to a `TraceFile`: which tool wrote it, told by its content.

Nothing but LedgerError leaves this module, whatever the file holds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from nightpane.errors import LedgerError
from nightpane.traces import (
    agent_run,
    claude_code,
    codex,
    inference_table,
    langfuse,
    mini_swe_agent,
    model_benchmark,
    swe_agent,
)
from nightpane.traces.model import Trace, TraceFile, Unread

__all__ = ["is_trace_file", "read"]

_DOCUMENTS = (mini_swe_agent, swe_agent, langfuse, agent_run, model_benchmark)
_HEAD_CHARS = 4096
_LINES_TO_TRY = 20
_MAX_DOCUMENT_BYTES = 512 * 1024 * 1024


def is_trace_file(path: Path) -> bool:
    """Tell whether `read` would recognise a file; False too when it cannot be opened."""
    try:
        return _recognise(path) is not None
    except LedgerError:
        return False


def read(path: str | Path) -> TraceFile:
    """Return what a file of recorded model calls says. Raises LedgerError when it is none."""
    found = _recognise(Path(path))
    if found is None:
        raise LedgerError(
            f"{path} holds no model calls in a format that is known; docs/traces.md lists them"
        )
    return found


def _recognise(path: Path) -> TraceFile | None:
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            head = file.read(_HEAD_CHARS)
        if inference_table.matches(head):
            return _file(path, inference_table, partial(inference_table.traces, path))
        if not head.lstrip().startswith(("{", "[")):
            return None
        return _lines(path) or _document(path)
    except OSError as error:
        raise LedgerError(f"{path} cannot be read: {error.strerror or error}") from None


def _lines(path: Path) -> TraceFile | None:
    first = islice((record for _, record in _records(path)), _LINES_TO_TRY)
    for record in first:
        if claude_code.matches(record):
            return _file(path, claude_code, lambda: _read_lines(path, claude_code.traces))
        if codex.matches(record):
            return _file(path, codex, lambda: _read_lines(path, partial(codex.traces, path)))
    return None


def _document(path: Path) -> TraceFile | None:
    if path.stat().st_size > _MAX_DOCUMENT_BYTES:
        return None
    try:
        document = json.loads(path.read_text("utf-8-sig", errors="replace"))
    except (ValueError, RecursionError):
        return None
    for form in _DOCUMENTS:
        if form.matches(document):
            return _file(path, form, partial(_read_document, path, form, document))
    return None


def _file(path: Path, form: Any, traces: Callable[[], Iterator[Trace | Unread]]) -> TraceFile:
    return TraceFile(path, form.NAME, form.AGENT, traces, getattr(form, "NOTES", ()))


def _read_document(path: Path, form: Any, document: Any) -> Iterator[Trace | Unread]:
    try:
        yield from form.traces(document)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise LedgerError(
            f"{path} looks like a {form.NAME} and is not one throughout: {type(error).__name__} "
            f"({error})"
        ) from None


def _read_lines(
    path: Path, traces: Callable[[Iterator[Any]], Iterator[Trace]]
) -> Iterator[Trace | Unread]:
    unread: list[Unread] = []

    def understood() -> Iterator[Any]:
        for number, record in _records(path):
            if record is None:
                unread.append(Unread(number, "not a JSON object"))
            else:
                yield record

    yield from traces(understood())
    yield from unread


def _records(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield number and object of each line, None for a line that is no JSON object."""
    with path.open(encoding="utf-8-sig", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                record = None
            yield number, record if isinstance(record, dict) else None
