"""Lines cut into cells: tabs, commas, semicolons, pipes, or columns aligned with spaces.

A quoted cell may hold the delimiter and line breaks. A quote that is never closed is a character
like any other: it must never swallow the rows below it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from nightpane.ledgers.lines import Line, clean

__all__ = ["DELIMITERS", "Cells", "Records", "cut"]

DELIMITERS = ("\t", "|", ",", ";", "  ")
_ALIGNED = re.compile(r" {2,}|\t+")
_UNESCAPED_PIPE = re.compile(r"(?<!\\)\|")
_RULE = re.compile(r"[\s|:+=\-–—_*]+")
_MAX_JOINED_LINES = 100
_MAX_JOINED_CHARS = 256 * 1024


@dataclass(frozen=True, slots=True)
class Cells:
    """One record: its first line's number and its cells, None when the line was too long."""

    line: int
    cells: list[str] | None
    text: str = ""


def cut(text: str, delimiter: str) -> tuple[list[str], bool]:
    """Return a line's cells, and whether the last one opens a quote that does not close."""
    if delimiter == "|":
        inner = text.strip()
        inner = inner.removeprefix("|")
        inner = inner[:-1] if inner.endswith("|") and not inner.endswith("\\|") else inner
        return [cell.replace("\\|", "|").strip() for cell in _UNESCAPED_PIPE.split(inner)], False
    if delimiter == "  ":
        return [cell.strip() for cell in _ALIGNED.split(text.strip())], False
    if '"' not in text:
        return text.split(delimiter), False
    cells: list[str] = []
    position = 0
    while True:
        cell, position, is_open = _next_cell(text, position, delimiter)
        cells.append(cell)
        if is_open or position > len(text):
            return cells, is_open


def _next_cell(text: str, start: int, delimiter: str) -> tuple[str, int, bool]:
    """Return the cell at ``start``, where the next begins (past the end if none), and openness."""
    begin = start
    while delimiter != " " and begin < len(text) and text[begin] == " ":
        begin += 1
    if begin < len(text) and text[begin] == '"':
        end = begin + 1
        while (end := text.find('"', end)) >= 0:
            if text.startswith('""', end):
                end += 2
                continue
            rest = end + 1
            while rest < len(text) and text[rest] == " ":
                rest += 1
            if rest == len(text) or text[rest] == delimiter:
                return text[begin + 1 : end].replace('""', '"'), rest + 1, False
            break  # the quote closes in the middle of the cell: it was no quoting
        if end < 0:
            return text[start:], len(text) + 1, True
    stop = text.find(delimiter, start)
    return (text[start:], len(text) + 1, False) if stop < 0 else (text[start:stop], stop + 1, False)


class Records:
    """The records of a table, with a look ahead.

    ``is_row`` tells whether a line's cells are a whole record by themselves; such a line is never
    taken for the inside of a quoted cell.
    """

    def __init__(
        self, lines: Iterable[Line], delimiter: str, is_row: Callable[[list[str]], bool]
    ) -> None:
        self._lines = iter(lines)
        self._ahead: deque[Line] = deque()
        self._records: deque[Cells] = deque()
        self._delimiter = delimiter
        self._is_row = is_row

    def __iter__(self) -> Iterator[Cells]:
        while True:
            record = self._records.popleft() if self._records else self._read()
            if record is None:
                return
            yield record

    def peek(self, count: int) -> list[list[str]]:
        """Return the cells of up to ``count`` coming records without taking them."""
        while len(self._records) < count and (record := self._read()) is not None:
            self._records.append(record)
        return [r.cells for r in list(self._records)[:count] if r.cells is not None]

    def _next_line(self) -> Line | None:
        return self._ahead.popleft() if self._ahead else next(self._lines, None)

    def _read(self) -> Cells | None:
        while (line := self._next_line()) is not None:
            if line.text is None:
                return Cells(line.number, None)
            text = clean(line.text)
            if not text.strip() or _RULE.fullmatch(text) or _is_fence(text):
                continue
            if self._delimiter == "|" and "|" not in text:
                continue  # prose around a table in a document
            cells, is_open = cut(text, self._delimiter)
            if is_open:
                return self._joined(line.number, text)
            return Cells(line.number, cells, text)
        return None

    def _joined(self, number: int, text: str) -> Cells:
        """Read on to the end of a quoted cell; without one, the first line stands alone."""
        taken: list[Line] = []
        joined = text
        while len(taken) < _MAX_JOINED_LINES and len(joined) < _MAX_JOINED_CHARS:
            line = self._next_line()
            if line is None:
                break
            taken.append(line)
            if line.text is None:
                break
            more = clean(line.text)
            if self._is_row(cut(more, self._delimiter)[0]):
                break
            joined += "\n" + more
            cells, is_open = cut(joined, self._delimiter)
            if not is_open:
                return Cells(number, cells, joined)
        self._ahead.extendleft(reversed(taken))
        return Cells(number, text.split(self._delimiter), text)


def _is_fence(text: str) -> bool:
    return text.strip().startswith("```")
