"""Accessibility checks by axe-core, which is a package of the tests' and never shipped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.helpers import require

_AXE = Path(__file__).parents[1] / "contract/node/node_modules/axe-core/axe.min.js"
_RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}


def violations(page: Any) -> list[str]:
    """Return what is wrong with a page: the rule and the elements."""
    require(_AXE.exists(), "axe-core (npm ci in tests/contract/node)")
    page.evaluate(_AXE.read_text("utf-8"))
    found = page.evaluate("rules => axe.run(document, rules)", _RULES)["violations"]
    return [f"{entry['id']}: {[node['target'] for node in entry['nodes']][:5]}" for entry in found]
