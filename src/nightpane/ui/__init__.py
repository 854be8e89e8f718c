"""The page's files: a template, styles, ES modules and the vendored chart library; no build step.

Holds paths only: what is on the page comes from the query API, and all of it is set as text.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["CONSOLE", "STATIC", "TEMPLATE", "VENDORED"]

TEMPLATE = Path(__file__).parent / "index.html"
CONSOLE = Path(__file__).parent / "console.html"
STATIC = Path(__file__).parent / "static"
VENDORED = "echarts-6.1.0"
