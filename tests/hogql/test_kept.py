"""Trees kept on disk: read back, and never in the way."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from nightpane import hogql
from nightpane.hogql import kept
from nightpane.hogql.grammar import parse
from nightpane.hogql.kept import KeptTrees

HOW = "parse_select_json"
# Slow to parse: each bracket in a bracket doubles the time.
SLOW = "select " + "(" * 9 + "1 + {x}" + ")" * 9 + " as found from events"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    hogql.keep_trees(tmp_path)
    yield tmp_path
    hogql.keep_trees(Path(os.environ["NIGHTPANE_CACHE_DIR"]))


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_tree_is_the_same_from_the_folder(folder: Path) -> None:
    fresh = parse(HOW, SLOW)
    (path,) = files(folder)
    assert path.stat().st_mode & 0o077 == 0 or path.parent.stat().st_mode & 0o077 == 0
    assert parse(HOW, SLOW) == fresh


def test_it_is_read_from_the_folder(folder: Path) -> None:
    other = parse(HOW, "select 2")
    parse(HOW, SLOW)
    (path,) = files(folder)
    KeptTrees(folder).put(HOW, SLOW, b'{"node": "kept"}')
    assert parse(HOW, SLOW) == {"node": "kept"} != other
    assert files(folder) == [path]


@pytest.mark.parametrize("content", [b"", b"garbage", zlib.compress(b"{}")[:-2]])
def test_a_damaged_file_is_parsed_again(folder: Path, content: bytes) -> None:
    fresh = parse(HOW, SLOW)
    (path,) = files(folder)
    path.write_bytes(content)
    assert parse(HOW, SLOW) == fresh
    assert len(path.read_bytes()) > 100


def test_a_mistake_is_not_kept(folder: Path) -> None:
    assert parse(HOW, SLOW + " limit limit 3 )")["error"]
    assert files(folder) == []


def test_a_folder_that_cannot_be_used_is_as_good_as_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", "utf-8")
    trees = KeptTrees(tmp_path / "file")
    trees.put(HOW, SLOW, b"{}")
    assert trees.get(HOW, SLOW) is None


def test_what_was_not_used_longest_goes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "_MOST_FILES", 2)
    trees = KeptTrees(tmp_path)
    for at, text in enumerate("abc"):
        trees.put(HOW, text, text.encode())
        path = trees._path(HOW, text)
        os.utime(path, (at, at))
    assert trees.get(HOW, "a") == b"a"  # used just now
    again = KeptTrees(tmp_path)
    assert [again.get(HOW, text) for text in "abc"] == [b"a", None, b"c"]
