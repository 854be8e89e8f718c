"""A loop over a real repository that can be killed: climbs towards 10, a step a round.

    python -m tests.loops.looping FOLDER ROUNDS [KILL]

With KILL, the process kills itself: after so many writes to the journal, or after "0.25s".
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from nightpane import Pane
from nightpane.loops import Limits, Loop, Workspace
from nightpane.loops.journal import Entry, Journal
from nightpane.loops.proposing import Brief, FunctionProposer
from nightpane.loops.scoring import CommandScorer

# Better every other round; every fifth one crashes.
SCORE = "import value; n = value.N; assert n % 5, 'boom'; print('score:', n if n % 2 else -n)"


def propose(_brief: Brief, root: Path) -> str:
    number = _brief.rounds
    (root / "value.py").write_text(f"N = {number}\n", "utf-8")
    return f"set N to {number}"


def loop(folder: Path, rounds: int, pane: Pane) -> Loop:
    """Return the loop over the repository in a folder."""
    workspace = Workspace(folder / "repository", editable=["value.py"], protected=["keep.txt"])
    return Loop(
        workspace=workspace,
        proposers=[FunctionProposer(name="stepper", function=propose)],
        scorer=CommandScorer(
            command=f'{sys.executable} -B -c "{SCORE}"', metric="score", timeout_s=60
        ),
        metric="score",
        direction="max",
        limits=Limits(max_rounds=rounds),
        pane=pane,
        folder=folder / "journal",
        results=folder / "results.tsv",
    )


def kill_after(writes: int) -> None:
    """Make the process kill itself after so many entries of its journal."""
    written = 0
    write = Journal.write

    def counted(self: Journal, kind: str, **facts: Any) -> Entry:
        nonlocal written
        entry = write(self, kind, **facts)
        written += 1
        if written == writes:
            os.kill(os.getpid(), signal.SIGKILL)
        return entry

    Journal.write = counted  # type: ignore[method-assign]


def main() -> None:
    folder, rounds = Path(sys.argv[1]), int(sys.argv[2])
    kill = sys.argv[3] if len(sys.argv) > 3 else ""
    if kill.endswith("s"):
        timer = threading.Timer(float(kill[:-1]), os.kill, (os.getpid(), signal.SIGKILL))
        timer.daemon = True
        timer.start()
    elif kill:
        kill_after(int(kill))
    with Pane(project="climb") as pane:
        loop(folder, rounds, pane).run()
        if "POSTHOG_HOST" in os.environ:
            pane.flush(timeout_s=30)


if __name__ == "__main__":
    main()
