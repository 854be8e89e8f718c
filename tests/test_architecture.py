"""The layout's rule: a lower part never imports a higher one."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "src" / "nightpane"

# What each part may import of nightpane; everything above it in this table is below it in rank.
MAY_IMPORT = {
    "errors": set(),
    "ids": {"errors"},
    "config": {"errors"},
    "stats": set(),
    "prices": {"errors"},
    "catalog": {"errors", "ids"},
    "query": {"errors", "config"},
    "client": {"errors", "ids", "config", "catalog", "query", "flags"},
    "llm": {"errors", "catalog", "client"},
    "token_machine": {"catalog", "client"},
    "definitions": {"errors"},
    "management": {"errors", "query"},
    "slack": {"errors"},
    "annotations": {"errors", "ids", "config", "query", "client", "management"},
    "hooks": {"errors", "config", "annotations"},
    "flags": {"errors"},
    "hogql": {"errors", "catalog"},
    "experiments": {"errors", "stats", "hogql"},
    "insights": {"errors", "hogql"},
    "store": {"errors", "ids", "catalog"},
    "boards": {"errors", "query", "stats", "catalog", "management"},
    "digest": {"errors", "query", "stats", "boards", "catalog", "slack"},
    "alerts": {"errors", "query", "stats", "boards"},
    "replay": {"errors", "ids", "query"},
    "optimizer": {"errors", "query", "stats"},
    "loops": {"errors", "ids", "catalog", "client", "query", "stats", "ledgers", "llm", "gtm"},
    "gtm": {"errors", "ids", "stats"},
    "ledgers": {"errors", "ids", "config", "catalog", "client", "stats"},
    "traces": {"errors", "ids", "client"},
    "otel": {"errors", "ids", "catalog", "query"},
    "ui": set(),
    "server": {
        *("errors", "ids", "config", "catalog", "store", "hogql", "query", "digest", "boards"),
        *("ui", "stats", "prices", "otel", "definitions", "flags"),
        *("experiments", "insights", "replay"),
    },
    "router": {
        *("errors", "ids", "config", "catalog", "client", "query", "stats", "annotations"),
        *("token_machine", "server"),
    },
    "dropin": {"catalog", "client"},
    "doctor": {"errors", "config", "query", "catalog", "client", "boards"},
    "testing": {"errors", "config", "query", "client"},
}
TOP = {"__init__", "__main__", "cli"}


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
            if node.module == "nightpane":
                names = [f"nightpane.{alias.name}" for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("nightpane.")}
    return found


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE))
)
def test_imports_only_what_is_below(path: Path) -> None:
    part = part_of(path)
    if part in TOP:
        return
    above = imports(path) - MAY_IMPORT[part] - {part}
    assert not above, f"{part} must not import {sorted(above)}"


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE))
)
def test_no_module_outgrows_a_reader(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 600


def test_importing_nightpane_loads_no_heavy_library() -> None:
    heavy = {"chdb", "pandas", "numpy", "pyarrow", "starlette", "uvicorn", "rich", "hogql_parser"}
    heavy |= {"scipy", "litellm", "openai", "anthropic", "opentelemetry", "sqlite3"}
    # What the SDK itself loads (httpx, when it is there, loads rich) is not ours to avoid.
    code = (
        "import sys, posthog, posthog.client; before = set(sys.modules); import nightpane; "
        "print(' '.join(set(sys.modules) - before))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not heavy & set(out.stdout.split())
