"""Ids: form, order, and the same id for the same parts."""

from __future__ import annotations

import os
import threading
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightpane import ids

MS = st.integers(min_value=0, max_value=2**48 - 1)


def test_ulids_sort_in_the_order_they_were_made() -> None:
    made = [ids.new_ulid() for _ in range(5000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert all(ids.is_ulid(ulid) for ulid in made)


def test_order_survives_a_clock_that_steps_back() -> None:
    clock = iter([5_000_000_000, 1_000_000_000, 1_000_000_000, 6_000_000_000])
    generator = ids.IdGenerator(clock_ns=lambda: next(clock))
    made = [generator.ulid() for _ in range(4)]
    assert made == sorted(made)


def test_threads_never_share_an_id() -> None:
    made: list[list[str]] = [[] for _ in range(8)]

    def make(into: list[str]) -> None:
        into.extend(ids.new_ulid() for _ in range(2000))

    threads = [threading.Thread(target=make, args=(into,)) for into in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    everything = [ulid for into in made for ulid in into]
    assert len(set(everything)) == 16_000


def test_a_forked_child_makes_other_ids() -> None:
    generator = ids.IdGenerator(clock_ns=lambda: 7_000_000_000)
    generator.ulid()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, generator.ulid().encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 26).decode() != generator.ulid()
    os.close(read)
    os.close(write)


@given(MS, st.text())
def test_deterministic_ulid_keeps_its_time_and_repeats(ms: int, part: str) -> None:
    ulid = ids.deterministic_ulid(ms, part)
    assert ids.ulid_ms(ulid) == ms
    assert ulid == ids.deterministic_ulid(ms, part)
    assert ulid != ids.deterministic_ulid(ms, part, "")


@given(MS, st.text())
def test_session_id_is_a_uuid7_with_the_ulids_time(ms: int, part: str) -> None:
    session = uuid.UUID(ids.session_id_from_ulid(ids.deterministic_ulid(ms, part)))
    assert session.version == 7
    assert session.variant == uuid.RFC_4122
    assert session.int >> 80 == ms


def test_uuid7_sorts_and_is_version_7() -> None:
    made = [ids.uuid7() for _ in range(1000)]
    assert {made_id.version for made_id in made} == {7}
    assert len(set(made)) == 1000


def test_deterministic_uuid_does_not_confuse_its_parts() -> None:
    assert ids.deterministic_uuid("ab", "c") != ids.deterministic_uuid("a", "bc")
    assert ids.deterministic_uuid("a", "b") == ids.deterministic_uuid("a", "b")


@pytest.mark.parametrize("text", ["", "01J", "8" + "0" * 25, "0" * 25 + "U", "0" * 27, None, 7])
def test_what_is_no_ulid(text: object) -> None:
    assert not ids.is_ulid(text)


def test_reading_what_is_no_ulid_says_so() -> None:
    with pytest.raises(ValueError, match="not a ULID: 'nonsense'"):
        ids.session_id_from_ulid("nonsense")
