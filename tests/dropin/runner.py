"""Runs a script in a process of its own, as in a repository with or without nightpane.

Usage: python runner.py with|without SCRIPT [ARGUMENT…]
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    how, script, *sys.argv[1:] = sys.argv[1:]
    if how == "without":
        sys.modules["nightpane"] = None  # type: ignore[assignment]
    sys.path.insert(0, str(Path(script).parent))
    sys.argv[0] = script
    runpy.run_path(script, run_name="__main__")
