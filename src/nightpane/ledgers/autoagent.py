"""AutoAgent's seven columns: ``passed`` counts tasks, ``task_scores`` gives each task its score."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from nightpane.ledgers import metrics, values
from nightpane.ledgers.model import Row
from nightpane.ledgers.tables import Table

__all__ = ["adopt"]

_PASSED = re.compile(r"(\d+)\s*/\s*(\d+)")
_TASK = re.compile(r"[\s{\"']*([^,:;{}\"']{1,80})[\"']?\s*[:=]\s*([^,;}]+)")


def adopt(table: Table) -> Table:
    """Return the table read as AutoAgent's when its header is, else as it was."""
    names = {metrics.normalised(name) for name in table.headers.names}
    if not {"passed", "task_scores"} <= names:
        return table
    return replace(table, name="autoagent", project="autoagent", enrich=_enrich)


def _enrich(row: Row, cells: Sequence[str]) -> Row:  # noqa: ARG001 (the hook's signature)
    properties = dict(row.properties)
    dims = dict(row.dims)
    tasks = properties.pop("task_scores", None)
    if isinstance(tasks, str):
        for name, score in _TASK.findall(tasks):
            if (number := values.as_number(score)) is not None:
                dims[name.strip()] = number
        if not dims:
            properties["task_scores"] = tasks
    if match := _PASSED.fullmatch(str(properties.get("passed", "")).strip()):
        properties["passed"], properties["n_tasks"] = int(match[1]), int(match[2])
    return replace(row, properties=properties, dims=dims)
