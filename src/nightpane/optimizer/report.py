"""Step 10: the report."""

from __future__ import annotations

from nightpane.optimizer.folder import Folder
from nightpane.optimizer.model import Analysis

__all__ = ["run"]


def run(folder: Folder, analysis: Analysis) -> None:
    """Write the report."""
    folder.text("summary.md", f"# {analysis.metrics.calls} generations\n")
