"""Cost of a ``@tool`` around a function that does nothing: its two events, and the rest of it.

    python bench/steps.py

Prints one JSON line; medians of 5,000 calls on the caller's thread, those of the three kinds by
turns. ``rest_us`` is the pair without the two events' way into the spool.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

CALLS = 5_000


def main() -> None:
    folder = tempfile.mkdtemp()
    for name in ("STATE", "SPOOL", "DATA"):
        os.environ[f"NIGHTPANE_{name}_DIR"] = f"{folder}/{name}"
    import nightpane

    pane = nightpane.Pane("autoresearch", host="http://127.0.0.1:9", api_key="phc_x", exit_s=0)

    def bare(path: str) -> list[str]:
        return [path]

    tool = nightpane.tool(bare)
    keep = pane._emit

    def without_events(path: str) -> None:
        pane._emit = lambda *_, **__: None  # type: ignore[method-assign]
        tool(path)
        pane._emit = keep  # type: ignore[method-assign]

    kinds: dict[str, Callable[[str], Any]] = {
        "bare_us": bare,
        "pair_us": tool,
        "rest_us": without_events,
    }
    times: dict[str, list[float]] = {name: [] for name in kinds}
    with pane.run() as run, run.round(agent="coder") as round_:
        for at in range(CALLS):
            for name, call in kinds.items():
                began = time.perf_counter()
                call(f"src/{at}.py")
                times[name].append(time.perf_counter() - began)
        round_.keep()
    print(
        json.dumps({name: round(statistics.median(all_) * 1e6, 1) for name, all_ in times.items()})
    )


if __name__ == "__main__":
    main()
