"""Importers: model calls that another tool recorded become ``$ai_generation`` and its relatives.

`read` recognises a file by its content, `import_traces` hands its events to a pane.
"""

from __future__ import annotations

from nightpane.traces.emit import Imported, import_traces
from nightpane.traces.model import Recorded, Trace, TraceFile
from nightpane.traces.reading import is_trace_file, read
from nightpane.traces.summary import summary

__all__ = [
    "Imported",
    "Recorded",
    "Trace",
    "TraceFile",
    "import_traces",
    "is_trace_file",
    "read",
    "summary",
]
