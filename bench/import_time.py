"""What ``import nightpane`` adds to a bare interpreter, posthog's own import counted apart.

Prints one JSON line: medians over several runs, in milliseconds.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time

RUNS = 15


def median_ms(code: str) -> float:
    """Return the median wall time of a fresh interpreter running ``code``."""
    took = []
    for _ in range(RUNS):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        took.append((time.perf_counter() - started) * 1000)
    return statistics.median(took)


def main() -> None:
    """Measure and print."""
    median_ms("import nightpane, posthog")  # warms the file cache
    bare = median_ms("pass")
    posthog = median_ms("import posthog")
    nightpane = median_ms("import nightpane")
    figures = {
        "bench": "import_time",
        "bare_interpreter_ms": round(bare, 1),
        "posthog_ms": round(posthog - bare, 1),
        "nightpane_ms": round(nightpane - bare, 1),
        "nightpane_beyond_posthog_ms": round(nightpane - max(posthog, bare), 1),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
