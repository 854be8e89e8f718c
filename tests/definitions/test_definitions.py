"""The definitions: what is acknowledged is kept, whatever happens to the process or the file."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nightpane.definitions import Definitions
from nightpane.errors import StoreError, StoreLockedError


def test_documents_are_kept_by_kind(tmp_path: Path) -> None:
    with Definitions.open(tmp_path) as first:
        flag = first.create("flag", {"key": "scorer_v2", "filters": {"groups": []}})
        cohort = first.create("cohort", {"name": "coders", "id": 99})
        assert (flag["id"], cohort["id"]) == (1, 1)
        assert first.create("flag", {"key": "other"})["id"] == 2
    with Definitions.open(tmp_path) as again:
        assert again.get("flag", 1) == flag
        assert [one["key"] for one in again.list("flag")] == ["scorer_v2", "other"]
        assert again.get("flag", 3) is None
        assert again.list("experiment") == []


def test_a_change_is_counted_and_dated(tmp_path: Path) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    with Definitions.open(tmp_path, clock=lambda: now) as definitions:
        made = definitions.create("flag", {"key": "a", "active": True})
        before = definitions.revision
        now += timedelta(hours=1)
        changed = definitions.update("flag", made["id"], {"active": False, "version": 77})
        assert changed == definitions.get("flag", made["id"])
    assert (made["version"], changed["version"]) == (1, 2)
    assert changed["created_at"] == "2026-03-01T00:00:00.000000Z"
    assert changed["updated_at"] == "2026-03-01T01:00:00.000000Z"
    assert changed["key"] == "a"
    assert definitions.revision > before


def test_what_is_deleted_stays_readable_and_keeps_its_id(tmp_path: Path) -> None:
    with Definitions.open(tmp_path) as definitions:
        made = definitions.create("flag", {"key": "a"})
        assert definitions.delete("flag", made["id"])["deleted"] is True
        assert definitions.list("flag") == []
        assert len(definitions.list("flag", deleted=True)) == 1
        assert definitions.create("flag", {"key": "b"})["id"] == made["id"] + 1
        assert definitions.update("flag", made["id"], {"deleted": False})["deleted"] is False


def test_a_transaction_happens_whole_or_not_at_all(tmp_path: Path) -> None:
    with Definitions.open(tmp_path) as definitions:
        with pytest.raises(StoreError, match="no flag 9"), definitions.transaction():
            definitions.create("flag", {"key": "a"})
            with definitions.transaction():
                definitions.create("experiment", {"name": "x"})
            definitions.update("flag", 9, {})
        assert definitions.list("flag") == definitions.list("experiment") == []


def test_what_is_no_json_is_refused(tmp_path: Path) -> None:
    with Definitions.open(tmp_path) as definitions:
        for value in (float("nan"), object()):
            with pytest.raises(StoreError, match="a flag cannot be kept"):
                definitions.create("flag", {"key": value})
        assert definitions.list("flag") == []


def test_threads_share_it(tmp_path: Path) -> None:
    with Definitions.open(tmp_path) as definitions:

        def work() -> None:
            for _ in range(20):
                definitions.create("flag", {"key": "a"})

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [one["id"] for one in definitions.list("flag")] == list(range(1, 81))


_WRITER = """
import sys
from pathlib import Path
from nightpane.definitions import Definitions
definitions = Definitions.open(Path(sys.argv[1]))
while True:
    print(definitions.create("flag", {"key": "a"})["id"], flush=True)
"""


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline()) for _ in range(30)]
        with pytest.raises(StoreLockedError, match="another process"):
            Definitions.open(tmp_path)
        writer.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in writer.stdout.read().split()]
    with Definitions.open(tmp_path) as definitions:
        kept = [one["id"] for one in definitions.list("flag")]
    assert kept[: len(acknowledged)] == acknowledged
    assert len(kept) <= len(acknowledged) + 1


@pytest.mark.parametrize("damage", ["header", "middle", "text"])
def test_a_damaged_file_is_refused_with_what_to_do(tmp_path: Path, damage: str) -> None:
    with Definitions.open(tmp_path) as definitions:
        for number in range(300):
            definitions.create("flag", {"key": f"flag-{number}", "name": "x" * 300})
    path = tmp_path / "definitions.sqlite3"
    data = bytearray(path.read_bytes())
    if damage == "header":
        data[:64] = bytes(64)
    elif damage == "middle":
        data[8192:40960] = b"\xa5" * 32768
    else:
        data = bytearray(b"not a database at all\n" * 100)
    path.write_bytes(bytes(data))
    with pytest.raises(StoreError, match=r"definitions\.sqlite3 cannot be read .*move the file"):
        Definitions.open(tmp_path)


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    import sqlite3

    Definitions.open(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "definitions.sqlite3")
    connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(StoreError, match="format 9, written by a newer"):
        Definitions.open(tmp_path)


def test_a_full_disk_is_said_and_costs_nothing_else(tmp_path: Path) -> None:
    with Definitions.open(tmp_path) as definitions:
        kept = definitions.create("flag", {"key": "a"})
        definitions._connection.execute("PRAGMA max_page_count = 4")
        with pytest.raises(StoreError, match=r"cannot be written .*free space"):
            for _ in range(100):
                definitions.create("flag", {"key": "b", "name": "x" * 1_000})
        assert definitions.get("flag", kept["id"]) == kept


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    with Definitions.open(tmp_path / "data") as definitions:
        definitions.create("flag", {"key": "a"})
        modes = {one.name: one.stat().st_mode & 0o077 for one in (tmp_path / "data").iterdir()}
    assert modes
    assert not any(modes.values())
