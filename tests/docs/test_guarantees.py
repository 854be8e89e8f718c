"""A guarantee is on the page only with tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "guarantees.md"
_ROW = re.compile(r"^\| ([A-Z]\d+) \|(.*)\|$", re.MULTILINE)
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
ROWS = _ROW.findall(PAGE.read_text("utf-8"))


def test_the_page_has_guarantees() -> None:
    numbers = [number for number, _ in ROWS]
    assert len(numbers) >= 16
    assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize(("number", "text"), ROWS, ids=[number for number, _ in ROWS])
def test_a_guarantee_names_tests_that_exist(number: str, text: str) -> None:
    named = _TEST.findall(text)
    assert named, f"{number} names no test"
    for path, function in named:
        source = (ROOT / path).read_text("utf-8")
        assert re.search(rf"^(async )?def {function}\(", source, re.MULTILINE), (
            f"{path}::{function}"
        )
