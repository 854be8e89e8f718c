"""One row for each uuid: within a batch, between batches, between threads, over a restart."""

from __future__ import annotations

import subprocess
import sys
import threading
import uuid
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.store.support import column, event

from nightpane.store import Store
from nightpane.store.dedup import UuidIndex


def count(store: Store, name: str) -> int:
    sql = "SELECT count() FROM nightpane.events WHERE event = {name:String}"
    found: int = column(store, sql, name=name)[0]
    return found


def test_a_batch_sent_twice_counts_once(store: Store) -> None:
    batch = [event("twice") for _ in range(50)]
    assert [store.insert(batch), store.insert(batch), count(store, "twice")] == [50, 0, 50]


def test_duplicates_inside_a_batch_count_once_and_the_first_wins(store: Store) -> None:
    same = str(uuid.uuid4())
    batch = [event("inside", {"n": number}, uuid=same) for number in range(5)]
    assert store.insert(batch) == 1
    sql = "SELECT props.n.:String FROM nightpane.events WHERE event = 'inside'"
    assert column(store, sql) == ["0"]


def test_a_uuid_is_the_same_however_it_is_spelt(store: Store) -> None:
    one = event("spelt")
    again = event("spelt", uuid=one.uuid.upper())
    assert [store.insert([one]), store.insert([again])] == [1, 0]


def test_threads_that_send_the_same_events_at_once(store: Store) -> None:
    batches = [[event("threads") for _ in range(40)] for _ in range(5)]
    new: list[int] = []

    def send() -> None:
        new.extend(store.insert(batch) for batch in batches)

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(new) == count(store, "threads") == 200


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.uuids(), max_size=30), max_size=8), st.data())
def test_the_index_never_calls_new_what_it_has(
    groups: list[list[uuid.UUID]], data: st.DataObject
) -> None:
    index = UuidIndex()
    seen: list[bytes] = []
    for group in groups:
        keys = [one.bytes for one in group]
        if data.draw(st.booleans()):
            index.add(keys)
        else:  # as ClickHouse writes them: each half little-endian
            halves = np.frombuffer(b"".join(keys), ">u8").astype("<u8")
            index.load(halves.tobytes())
        seen += keys
        assert all(index.perhaps_has(seen)) if seen else True


def test_the_index_knows_the_new_from_the_old() -> None:
    index = UuidIndex()
    old = [uuid.uuid4().bytes for _ in range(150_000)]
    for at in range(0, len(old), 1000):
        index.add(old[at : at + 1000])
    new = [uuid.uuid4().bytes for _ in range(10_000)]
    assert len(index) == len(old)
    assert all(index.perhaps_has(old))
    assert not any(index.perhaps_has(new))


def test_still_once_after_a_restart(tmp_path: Path) -> None:
    # In a process of its own: this one may have another store open.
    code = (
        "import sys; from pathlib import Path; from nightpane.store import Store\n"
        "from tests.store.support import event\n"
        "import uuid\n"
        "ids = [str(uuid.UUID(int=n << 64 | n * 7919)) for n in range(1, 3001)]\n"
        "for _ in range(3):\n"
        "    with Store.open(Path(sys.argv[1])) as store:\n"
        "        print(store.insert([event('restart', uuid=i) for i in ids]),\n"
        "              store.read('SELECT count() FROM nightpane.events').rows[0][0])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.split() == ["3000", "3000", "0", "3000", "0", "3000"], done.stderr
