"""Propose a change of the harness: add a tool, take one away, or say better what one is for.

It stands in for a model: what it tries is drawn at random from below, never twice the same.
"""

from __future__ import annotations

import json
import os
import random
import re
from pathlib import Path

AGENT = Path("agent.py")

# Name, description, and body of tools that may help; some of them do not.
TOOLS = {
    "sort_lines": ("sort lines order alphabet", '"".join(sorted(text.splitlines(True)))'),
    "unique": ("remove duplicate lines", '"".join(dict.fromkeys(text.splitlines(True)))'),
    "sum_numbers": ("sum numbers total", 'f"{sum(map(int, text.split()))}\\n"'),
    "largest": ("largest number", 'f"{max(map(int, text.split()))}\\n"'),
    "count_words": ("count words", 'f"{len(text.split())}\\n"'),
    "lower": ("lower case letters", "text.lower()"),
    "first_column": (
        "first column csv",
        '"".join(line.split(",")[0] + "\\n" for line in text.splitlines())',
    ),
    "shout": ("count sort remove sum largest lower file", "text.upper()"),
    "nothing": ("lines words numbers", '""'),
}


def main() -> None:
    brief = json.loads(Path(os.environ["NIGHTPANE_BRIEF"]).read_text("utf-8"))
    tried = {one["summary"] for one in brief["tried"]}
    source = AGENT.read_text("utf-8")
    here = re.findall(r'^    \("[^"]*", (\w+)\),$', source, re.MULTILINE)
    moves = [f"add {name}" for name in TOOLS if name not in here]
    moves += [f"remove {name}" for name in here]
    fresh = [move for move in moves if move not in tried] or moves
    move = random.Random(brief["rounds"]).choice(fresh)
    verb, name = move.split()
    AGENT.write_text(added(source, name) if verb == "add" else removed(source, name), "utf-8")
    print(move)


def added(source: str, name: str) -> str:
    told, body = TOOLS[name]
    function = f"def {name}(text: str) -> str:\n    return {body}\n\n\n"
    source = source.replace("# A tool:", f"{function}# A tool:", 1)
    return source.replace("\n]\n", f'\n    ("{told}", {name}),\n]\n', 1)


def removed(source: str, name: str) -> str:
    source = re.sub(rf'^    \("[^"]*", {name}\),\n', "", source, flags=re.MULTILINE)
    return re.sub(rf"^def {name}\(.*?\n\n\n", "", source, flags=re.MULTILINE | re.DOTALL)


if __name__ == "__main__":
    main()
