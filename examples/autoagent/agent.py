"""The harness of a small agent: a prompt of rules, and tools. Everything here may be edited.

It needs no model: for each task it takes the tool whose description shares the most words with the
instruction, and gives it the file that the instruction names. What it can do is what its tools can.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

# Words that say nothing of a task.
IGNORED = {"the", "a", "of", "in", "to", "and"}


def copy(text: str) -> str:
    return text


def count_lines(text: str) -> str:
    return f"{len(text.splitlines())}\n"


def shout(text: str) -> str:
    return text.upper()


# A tool: what it is for, and what it does with the file's text.
TOOLS: list[tuple[str, Callable[[str], str]]] = [
    ("copy file unchanged", copy),
    ("count lines", count_lines),
    ("make capital letters", shout),
]


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", text.lower())) - IGNORED


def solve(instruction: str, folder: Path) -> str:
    """Return the answer to an instruction that names a file of the folder."""
    asked = words(instruction)
    _, tool = max(TOOLS, key=lambda one: len(words(one[0]) & asked))
    named = re.search(r"\b[\w-]+\.(?:txt|csv)\b", instruction)
    if named is None:
        raise SystemExit("the instruction names no file")
    return tool((folder / named[0]).read_text("utf-8"))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    answer = solve(sys.stdin.read(), folder)
    (folder / "answer.txt").write_text(answer, "utf-8")
