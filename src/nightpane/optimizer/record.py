"""``data/recommendations.json``: what a later run needs of a report, to measure it again.

Also what the validation needs to ask the same question afresh: the window, and the prices that
stood in where PostHog had none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from nightpane.errors import ConfigError
from nightpane.optimizer.fields import Backfill, Scope
from nightpane.optimizer.folder import Folder
from nightpane.optimizer.model import Analysis, Earlier

__all__ = ["FILE", "Record", "load", "write"]

FILE = "data/recommendations.json"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Record:
    """An earlier report as it was written."""

    path: Path
    created: datetime
    document: Mapping[str, Any]

    @property
    def recommendations(self) -> list[dict[str, Any]]:
        """Its recommendations, with their measurement and status."""
        return list(self.document["recommendations"])

    @property
    def settled(self) -> list[dict[str, Any]]:
        """Recommendations of reports before it that had shipped or been rejected."""
        return list(self.document.get("settled", ()))

    @property
    def scope(self) -> Scope:
        """The window it read, with the same prices for what PostHog left unpriced."""
        read = self.document["scope"]
        return Scope(
            datetime.fromisoformat(read["start"]),
            datetime.fromisoformat(read["end"]),
            read["project"],
            Backfill(**read["backfill"]),
        )


def write(folder: Folder, scope: Scope, analysis: Analysis) -> None:
    """Write the record of a report."""
    settled = [one for one in analysis.history.earlier if one.status != "open"]
    folder.json(
        FILE,
        {
            "version": _VERSION,
            "created": analysis.options.now.isoformat(),
            "host": analysis.connection.host,
            "project_id": analysis.connection.project_id,
            "scope": {
                "start": scope.start.isoformat(),
                "end": scope.end.isoformat(),
                "project": scope.project,
                "backfill": asdict(scope.backfill),
            },
            "min_recommendations": analysis.options.min_recommendations,
            "totals": {
                "calls": analysis.metrics.calls,
                "cost_usd": analysis.metrics.cost_usd,
                "errors": analysis.metrics.errors,
            },
            "recommendations": [
                {
                    "id": one.id,
                    "status": "open",
                    "priority": one.priority,
                    "cause": one.cause,
                    "operation": one.operation,
                    "title": one.title,
                    "measurement": {
                        **asdict(one.measurement),
                        "values": dict(one.measurement.values),
                    },
                    "saving": {
                        "window_usd": one.saving.window_usd,
                        "monthly_usd": one.saving.monthly_usd,
                        "monthly_low_usd": one.saving.monthly_low_usd,
                        "monthly_high_usd": one.saving.monthly_high_usd,
                        "calls": one.saving.calls,
                        "method": one.saving.method,
                        "trace_ids": list(one.saving.trace_ids),
                    },
                    "evidence": [asdict(row) for row in one.evidence],
                }
                for one in analysis.recommendations
            ],
            "settled": [_settled(one) for one in settled],
            "operations": [
                {
                    "operation": one.operation,
                    "calls": one.calls,
                    "cost_usd": one.cost_usd,
                    "errors": one.errors,
                }
                for one in analysis.metrics.operations
            ],
        },
    )


def _settled(one: Earlier) -> dict[str, Any]:
    measurement = None if one.measurement is None else dict(one.measurement)
    return {
        "id": one.id,
        "status": one.status,
        "title": one.title,
        "note": one.note,
        "measurement": measurement,
    }


def load(path: Path) -> Record:
    """Return the record in a results folder or file. Raises ConfigError when there is none."""
    file = path / FILE if path.is_dir() else path
    try:
        document = json.loads(file.read_text("utf-8"))
        created = datetime.fromisoformat(document["created"])
        version, listed = document["version"], document["recommendations"]
    except OSError as error:
        raise ConfigError(
            f"{file} cannot be read ({error.strerror}): name the folder of an earlier report"
        ) from None
    except (ValueError, KeyError, TypeError):
        raise ConfigError(f"{file} is no record of a report") from None
    if version != _VERSION or not isinstance(listed, list):
        raise ConfigError(f"{file} was written by another version of nightpane ({version!r})")
    return Record(file, created, document)
