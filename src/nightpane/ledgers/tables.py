"""Ledgers that are tables: AutoResearch's ``results.tsv`` and everything that grew out of it.

The header says what the columns are; it may come late, come again, change, or be missing. What a
line does not plainly say is reported by its number, never filled in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from nightpane.errors import LedgerError
from nightpane.ledgers import columns, metrics, status, values
from nightpane.ledgers.columns import Layout
from nightpane.ledgers.lines import Line, Source, clean
from nightpane.ledgers.model import Problem, Row, Segment, Stop
from nightpane.ledgers.split import DELIMITERS, Cells, Records, cut

__all__ = ["Table", "recognise"]

_SAMPLE_RECORDS = 200
_HEADER_WITHIN = 60
_MAX_TEXT_CHARS = 2000
_COMMENTS = ("#", "//", "%", "--", ";")


@dataclass(slots=True)
class Table:
    """A recognised table. ``enrich`` lets a format add what only it knows to each row."""

    source: Source
    delimiter: str
    headers: Layout
    metric: str | None
    name: str = "autoresearch"
    project: str = "autoresearch"
    client: str | None = None
    enrich: Callable[[Row, Sequence[str]], Row] | None = None

    @property
    def notes(self) -> list[str]:
        """What the user should know about how the table was read."""
        if self.headers.from_header:
            return []
        shape = "AutoResearch's five columns" if self.headers.names[0] == "commit" else "by content"
        return [f"no header: the columns are taken as {shape}"]

    def records(self) -> Iterator[Row | Problem | Stop]:
        """Yield what each record says, in the file's order."""
        reader = _Reader(self)
        yield from reader.run()


class _Reader:
    def __init__(self, table: Table) -> None:
        self.table = table
        self.layout: Layout | None = None if table.headers.from_header else table.headers
        self.segment = Segment(metric=table.headers.metric_name)
        if self.layout is not None:
            self.segment = _segment(self.layout, None)
        self.index = 0
        self.comma = table.delimiter == ";"
        self.records = Records(table.source.lines(), table.delimiter, self._is_row)

    def run(self) -> Iterator[Row | Problem]:
        for record in self.records:
            if record.cells is None:
                yield Problem(record.line, "too long to be a row")
            elif self._takes_header(record) or self._is_comment(record):
                continue
            elif self.layout is None and self.table.delimiter == "|":
                continue  # prose above a table in a document
            elif self.layout is None:
                yield Problem(record.line, "stands before the header")
            else:
                row = self._row(record, self.layout)
                self.index += 1
                yield row

    def _is_row(self, cells: list[str]) -> bool:
        if self.layout is None:
            return columns.has_ledger_names(cells)
        if len(cells) < len(self.layout.names) and len(cells) < 3:
            return False
        found = self.layout.status_of(cells)
        if "status" in self.layout.roles:
            return found is not None and status.is_plain(found)
        return len(cells) == len(self.layout.names)

    def _is_comment(self, record: Cells) -> bool:
        if not record.text.lstrip().startswith(_COMMENTS):
            return False
        return self.layout is None or not self._is_row(record.cells or [])

    def _takes_header(self, record: Cells) -> bool:
        cells = _header_cells(record)
        if not columns.has_ledger_names(cells) or self._is_row_of_data(cells):
            return False
        if self.layout is not None and _same_names(cells, self.layout.names):
            return True
        if self.layout is None and _same_names(cells, self.table.headers.names):
            layout = self.table.headers  # judged by the whole beginning of the file
        else:
            before, self.layout = self.layout, columns.layout(cells, (), metric=self.table.metric)
            sample = _sample(self.records.peek(_SAMPLE_RECORDS))
            self.layout = before
            layout = columns.layout(
                cells, sample, metric=self.table.metric, decimal_comma=self.comma
            )
        if self.layout is None or layout.metric_name != self.layout.metric_name:
            index = 0 if self.layout is None else self.segment.index + 1
            self.segment = replace(_segment(layout, self.table.metric), index=index)
        self.layout = layout
        return True

    def _is_row_of_data(self, cells: Sequence[str]) -> bool:
        """A row whose cells happen to be names is still a row when its status is plain."""
        if self.layout is None:
            return False
        found = self.layout.status_of(cells)
        index = self.layout.roles.get("status")
        if found is None or index is None or not status.is_plain(found):
            return False
        return (
            columns.role_of(found) != "status"
            or self._number(cells, self.layout.metric) is not None
        )

    def _row(self, record: Cells, layout: Layout) -> Row | Problem:
        cells = record.cells or []
        fitted = _fit(cells, layout, self.table.delimiter, self._number)
        if isinstance(fitted, str):
            return Problem(record.line, fitted)
        state = layout.status_of(fitted)
        text = fitted[layout.metric].strip() if layout.metric is not None else ""
        number = values.number_in(text, decimal_comma=self.comma)
        found = status.verdict(state)
        if (
            number is None
            and text
            and not values.is_missing(text)
            and found
            and found.kind == "kept"
        ):
            return Problem(record.line, f"score {text[:40]!r} is not a number")
        row = Row(
            line=record.line,
            index=self.index,
            segment=self.segment,
            status=state,
            score=None if number is None else number[0],
            score_text=text,
            measured=number is None or number[1],
            commit=values.as_commit(_cell(fitted, layout.roles.get("commit"))),
            description=_text(_cell(fitted, layout.roles.get("description"))),
            when=values.as_moment(_cell(fitted, layout.roles.get("timestamp"))),
            cost_usd=self._number(fitted, layout.roles.get("cost_usd")),
            baseline_score=self._number(fitted, layout.former),
            properties=self._properties(fitted, layout),
        )
        return self.table.enrich(row, fitted) if self.table.enrich else row

    def _number(self, cells: Sequence[str], index: int | None) -> float | None:
        cell = _cell(cells, index)
        return None if cell is None else values.as_number(cell, decimal_comma=self.comma)

    def _properties(self, cells: Sequence[str], layout: Layout) -> dict[str, Any]:
        taken = {layout.metric, layout.former, *layout.roles.values(), *layout.states}
        found: dict[str, Any] = {}
        for index, name in enumerate(layout.names):
            if index in taken or index >= len(cells) or values.is_missing(cells[index]):
                continue
            number = self._number(cells, index)
            found[name] = _text(cells[index]) if number is None else number
        return found


def _segment(layout: Layout, metric: str | None) -> Segment:
    return Segment(
        metric=layout.metric_name,
        metric_stated=layout.stated and metric is not None,
        headers=tuple(metrics.normalised(name) for name in layout.names),
    )


def _cell(cells: Sequence[str], index: int | None) -> str | None:
    return cells[index] if index is not None and index < len(cells) else None


def _text(cell: str | None) -> str | None:
    text = (cell or "").strip()
    return text[:_MAX_TEXT_CHARS] or None


def _same_names(cells: Sequence[str], names: Sequence[str]) -> bool:
    return [metrics.normalised(c) for c in cells] == [metrics.normalised(n) for n in names]


def _header_cells(record: Cells) -> list[str]:
    """A header may be written as a comment: ``# commit<tab>val_bpb …``."""
    cells = list(record.cells or [])
    if cells and cells[0].lstrip().startswith(("#", "//")):
        cells[0] = cells[0].lstrip().lstrip("#/").strip()
    return [cell.strip() for cell in cells]


def _fit(
    cells: list[str],
    layout: Layout,
    delimiter: str,
    number: Callable[[Sequence[str], int | None], float | None],
) -> list[str] | str:
    """Return a row's cells under the header's columns, or why they do not fit."""
    width = len(layout.names)
    cells = list(cells)
    while len(cells) > width and not cells[-1].strip():
        cells.pop()
    needed = [i for i in (layout.metric, layout.roles.get("status")) if i is not None]
    if len(cells) < width:
        if len(cells) <= max(needed, default=0) or len(cells) < 2:
            return f"{len(cells)} of {width} columns"
        return cells
    if len(cells) == width:
        return cells
    state = layout.roles.get("status")
    if state is None or status.is_plain(layout.status_of(cells)):
        if layout.roles.get("description") == width - 1:
            return [*cells[: width - 1], delimiter.join(cells[width - 1 :])]
        return cells[:width] if state is not None else f"{len(cells)} columns instead of {width}"
    return _fit_from_right(cells, layout, state, number)


def _fit_from_right(
    cells: list[str],
    layout: Layout,
    state: int,
    number: Callable[[Sequence[str], int | None], float | None],
) -> list[str] | str:
    """A delimiter too many before the status: count from the right, if only one score fits."""
    width, extra = len(layout.names), len(cells) - len(layout.names)
    shifted = cells[extra:]
    if extra > 1 or not status.is_plain(layout.status_of(shifted)):
        return f"{len(cells)} columns instead of {width}"
    if layout.metric is None:
        return [*cells[:state], *shifted[state:]]
    left, right = number(cells, layout.metric), number(shifted, layout.metric)
    if (left is None) == (right is None):
        if left is None:
            return [*cells[:state], *shifted[state:]]
        return f"{len(cells)} columns instead of {width}, so the score is not plain"
    middle = shifted if left is None else cells
    return [
        *cells[: min(state, layout.metric)],
        *middle[min(state, layout.metric) : state],
        *shifted[state:],
    ]


def _sample(rows: Sequence[list[str]]) -> list[list[str]]:
    return [row for row in rows if len(row) > 1 and not columns.has_ledger_names(row)]


def recognise(source: Source, *, metric: str | None = None) -> Table | None:
    """Return the table in a file, None when no line of its beginning looks like one.

    Raises LedgerError when ``metric`` is no column of it.
    """
    head = list(islice(source.lines(), _SAMPLE_RECORDS + _HEADER_WITHIN))
    for delimiter in DELIMITERS:
        layout = _with_header(head, delimiter, metric)
        if layout is not None:
            if metric is not None and not layout.stated:
                raise LedgerError(
                    f"{source.path} has no column {metric!r}; it has {', '.join(layout.names)}"
                )
            return Table(source, delimiter, layout, metric)
    for delimiter in DELIMITERS:
        if (layout := _without_header(head, delimiter, metric)) is not None:
            return Table(source, delimiter, layout, metric)
    return None


def _records(head: Sequence[Line], delimiter: str) -> list[Cells]:
    return [r for r in Records(head, delimiter, _looks_like_row) if r.cells]


def _looks_like_row(cells: list[str]) -> bool:
    """Whether cells are a record, before the columns are known."""
    if columns.has_ledger_names(cells):
        return True
    return len(cells) >= 3 and any(len(c) <= 30 and status.is_plain(c.strip()) for c in cells)


def _with_header(head: Sequence[Line], delimiter: str, metric: str | None) -> Layout | None:
    records = _records(head, delimiter)
    for position, record in enumerate(records[:_HEADER_WITHIN]):
        cells = _header_cells(record)
        if not columns.has_ledger_names(cells):
            continue
        rows = _sample([r.cells for r in records[position + 1 :] if r.cells])
        return columns.layout(cells, rows, metric=metric, decimal_comma=delimiter == ";")
    return None


def _without_header(head: Sequence[Line], delimiter: str, metric: str | None) -> Layout | None:
    rows = [r.cells for r in _records(head, delimiter) if r.cells and len(r.cells) > 1]
    return columns.headerless(rows, metric=metric) if rows else None


def unreadable_hint(source: Source) -> str:
    """Return a few words on what the file begins with, for the message that nothing fits."""
    for line in islice(source.lines(), 20):
        if line.text and (text := clean(line.text).strip()):
            cells, _ = cut(text, "\t")
            return f"its first line is {text[:60]!r} ({len(cells)} columns by tabs)"
    return "it has no text"
