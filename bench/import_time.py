"""What ``import nightpane`` adds to a bare interpreter, posthog's own import counted apart.

Each run is a fresh interpreter that imports posthog, then nightpane, and times both. Prints one
JSON line: medians in milliseconds.

    python bench/import_time.py
"""

from __future__ import annotations

import compileall
import json
import statistics
import subprocess
import sys
from pathlib import Path

import nightpane

RUNS = 21
_CODE = """
import time
began = time.perf_counter()
import posthog
posthog_done = time.perf_counter()
import nightpane
print((posthog_done - began) * 1000, (time.perf_counter() - posthog_done) * 1000)
"""


def measure() -> tuple[float, float]:
    """Return the milliseconds of posthog's import and of nightpane's after it."""
    done = subprocess.run([sys.executable, "-c", _CODE], capture_output=True, text=True, check=True)
    posthog_ms, nightpane_ms = done.stdout.split()
    return float(posthog_ms), float(nightpane_ms)


def main() -> None:
    """Measure and print."""
    # As an installed package is: compiled, and in the file cache.
    compileall.compile_dir(Path(nightpane.__file__).parent, quiet=2)
    measure()
    runs = [measure() for _ in range(RUNS)]
    figures = {
        "bench": "import_time",
        "posthog_ms": round(statistics.median(one for one, _ in runs), 1),
        "nightpane_ms": round(statistics.median(one for _, one in runs), 1),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
