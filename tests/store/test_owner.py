"""One owner, a layout that grows by recorded steps, and an end that loses nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from nightpane.store import Store, StoreError
from nightpane.store.schema import MIGRATIONS, escape_key

ROOT = Path(__file__).parents[2]


def run(code: str, folder: Path) -> str:
    """Run Python in a process of its own, with the folder in ``folder``; return what it printed."""
    head = (
        "import sys, json; from pathlib import Path; folder = Path(sys.argv[1])\n"
        "from nightpane.store import *; from tests.store.support import event, column\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", head + textwrap.dedent(code), str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_second_owner_is_told_who_is_first(tmp_path: Path) -> None:
    said = run(
        """
        import subprocess
        second = "import sys; from pathlib import Path; from nightpane.store import Store\\n" \\
                 "try: Store.open(Path(sys.argv[1]))\\n" \\
                 "except Exception as error: print(type(error).__name__, error)"
        with Store.open(folder) as store:
            store.announce("http://127.0.0.1:8321")
            done = subprocess.run([sys.executable, "-c", second, str(folder)],
                                  capture_output=True, text=True)
            print(done.stdout)
            print(store.insert([event("still fine")]))
            import os; print(os.getpid())
        """,
        tmp_path,
    ).split("\n")
    assert said[0].startswith("StoreLockedError")
    assert f"process {said[-1]}, which listens at http://127.0.0.1:8321" in said[0]
    assert said[-2] == "1"


def test_the_lock_goes_with_its_process(tmp_path: Path) -> None:
    run("import os; store = Store.open(folder); store.insert([event('a')]); os._exit(0)", tmp_path)
    left = (tmp_path / "lock").read_text()
    assert "pid" in left
    assert run("print(Store.open(folder).insert([event('b')]))", tmp_path) == "1"


def test_closing_writes_what_is_waiting_and_takes_no_more(tmp_path: Path) -> None:
    out = run(
        """
        store = Store.open(folder)
        futures = [store.submit([event("waiting")]) for _ in range(200)]
        store.close(); store.close()
        print(sum(future.result(0) for future in futures))
        for call in (lambda: store.insert([event("late")]), lambda: store.read("SELECT 1")):
            try: call()
            except StoreError as error: print(error)
        with Store.open(folder) as store:
            print(column(store, "SELECT count() FROM nightpane.events")[0])
        """,
        tmp_path,
    )
    assert out.split("\n") == [
        "200",
        "the store is closing: send the events again later",
        "the store is closed",
        "200",
    ]


def test_the_steps_of_the_layout_are_recorded_and_run_once(tmp_path: Path) -> None:
    code = """
        with Store.open(folder) as store:
            print(json.dumps(column(store, "SELECT name FROM nightpane.migrations ORDER BY name")))
        """
    names = [name for name, _ in MIGRATIONS]
    folder = tmp_path / "new" / "data"
    assert json.loads(run(code, folder)) == names
    assert json.loads(run(code, folder)) == names
    assert folder.stat().st_mode & 0o777 == 0o700  # for its owner only


def test_a_step_cut_off_before_it_was_recorded_is_run_again(tmp_path: Path) -> None:
    out = run(
        """
        with Store.open(folder) as store:
            store.insert([event("before")])
            connection = store._engine.connect()
            connection.ask("ALTER TABLE nightpane.migrations DELETE WHERE name LIKE '000%' "
                           "SETTINGS mutations_sync = 2", "Null")
            connection.ask("DROP TABLE nightpane.persons SYNC", "Null")
            connection.close()
        with Store.open(folder) as store:
            store.insert([event("after")])
            print(column(store, "SELECT count() FROM nightpane.events")[0],
                  column(store, "SELECT count() FROM nightpane.migrations")[0],
                  column(store, "SELECT count() FROM nightpane.persons")[0])
        """,
        tmp_path,
    )
    assert out == f"2 {len(MIGRATIONS)} 1"


def test_a_store_of_a_newer_nightpane_is_left_alone(tmp_path: Path) -> None:
    out = run(
        """
        with Store.open(folder) as store:
            connection = store._engine.connect()
            connection.insert("nightpane.migrations", b'{"name":"9999_future"}', "async_insert = 0")
            connection.close()
        try: Store.open(folder)
        except StoreError as error: print(error)
        """,
        tmp_path,
    )
    assert "made by a newer nightpane (it has 9999_future): update nightpane" in out


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    taken = tmp_path / "data"
    taken.write_text("a file")
    with pytest.raises(StoreError, match=f"the data folder {taken} cannot be used"):
        Store.open(taken)


def test_keys_are_escaped_so_that_none_collide() -> None:
    keys = ["", "%", ".", "a.b", "a%2Eb", "%25", "%2E", "a", "a..b"]
    assert len({escape_key(key) for key in keys}) == len(keys)
    assert all(escape_key(key) and "." not in escape_key(key) for key in keys)
