"""The journal: what was written is there after any end, and one process at a time has it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nightpane.errors import LoopError
from nightpane.loops.journal import Journal

WRITE_AND_DIE = """
import os, signal, sys
from pathlib import Path
from nightpane.loops.journal import Journal
with Journal.open(Path(sys.argv[1])) as journal:
    journal.write("round", number=1)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "target") as journal:
        journal.write("run", run_id="a")
        journal.write("round", number=1, text="zwölf\n")
    with Journal.open(tmp_path / "target") as journal:
        assert [entry["kind"] for entry in journal.entries] == ["run", "round"]
        assert journal.since("round") == ({"kind": "round", "number": 1, "text": "zwölf\n"},)
        assert journal.since("nothing") == ()


def test_it_survives_the_process(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", WRITE_AND_DIE, str(tmp_path)])
    assert done.returncode == -9
    with Journal.open(tmp_path) as journal:
        assert journal.entries == ({"kind": "round", "number": 1},)


@pytest.mark.parametrize("cut", [1, 5, 15])
def test_a_torn_last_line_never_happened(tmp_path: Path, cut: int) -> None:
    with Journal.open(tmp_path) as journal:
        journal.write("round", number=1)
        journal.write("round", number=2)
    os.truncate(journal.path, journal.path.stat().st_size - cut)
    with Journal.open(tmp_path) as journal:
        assert [entry["number"] for entry in journal.entries] == [1]
        journal.write("round", number=3)
    with Journal.open(tmp_path) as journal:
        assert [entry["number"] for entry in journal.entries] == [1, 3]


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    with Journal.open(tmp_path) as journal:
        journal.write("round", number=1)
        journal.write("round", number=2)
    journal.path.write_bytes(b"garbage\n" + journal.path.read_bytes())
    with pytest.raises(LoopError, match="line 1 of the journal"), Journal.open(tmp_path):
        pass


def test_one_loop_at_a_time(tmp_path: Path) -> None:
    refused = pytest.raises(LoopError, match="another loop works on this target")
    with Journal.open(tmp_path), refused, Journal.open(tmp_path):
        pass
