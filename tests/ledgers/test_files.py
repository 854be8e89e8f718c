"""Files as disks have them: whatever stands in them, nothing but LedgerError comes out."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.ledgers.conftest import HEADER, Reader, counts
from tests.ledgers.test_tables import ROWS

from nightpane.errors import LedgerError
from nightpane.ledgers import events, read


def test_missing_empty_folder_and_special_files(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")
    for name, message in (
        ("nowhere", "cannot be read"),
        ("empty", "is empty"),
        ("pipe", "not a regular file"),
        (".", "is a folder"),
        ("nul\0l", "cannot be read"),
    ):
        with pytest.raises(LedgerError, match=message):
            read(tmp_path / name)


def test_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "results.tsv"
    path.write_text(HEADER + ROWS)

    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)  # the tests may run as root, who may read all
    with pytest.raises(LedgerError, match="cannot be read: Permission denied"):
        read(path)


def test_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    inside, outside = tmp_path / "night", tmp_path / "secret.tsv"
    inside.mkdir()
    outside.write_text(HEADER + ROWS)
    (inside / "results.tsv").symlink_to(outside)
    with pytest.raises(LedgerError, match=r"symbolic link to .*secret.tsv, outside its own folder"):
        read(inside / "results.tsv")
    (inside / "loop.tsv").symlink_to("loop.tsv")
    with pytest.raises(LedgerError, match="cannot be read"):
        read(inside / "loop.tsv")
    (inside / "real.tsv").write_text(HEADER + ROWS)
    (inside / "latest.tsv").symlink_to("real.tsv")
    assert read(inside / "latest.tsv").n_rounds == 4


def test_binary_files(ledger: Reader) -> None:
    for data in (b"\x1f\x8b\x08" + bytes(range(256)) * 20, b"\x00" * 5000, os.urandom(4000)):
        with pytest.raises(LedgerError, match=r"binary|no ledger"):
            ledger(data)


def test_undecodable_bytes_spoil_only_their_own_cells(ledger: Reader) -> None:
    data = (HEADER + ROWS).encode().replace(b"halve the batch", b"halve \xff\xfe the b\xe4tch")
    found = ledger(data)
    assert counts(found) == (4, 2, 1, 1, 0)
    _, second, *_ = found.rounds
    assert second.row.description == "halve �� the b�tch"


def test_a_stray_nul_does_not_make_a_ledger_binary(ledger: Reader) -> None:
    found = ledger((HEADER + ROWS).encode().replace(b"wider", b"wid\x00er"))
    assert counts(found) == (4, 2, 1, 1, 0)


def test_a_line_too_long_is_reported(ledger: Reader) -> None:
    found = ledger(HEADER + ROWS + "x" * (5 * 1024 * 1024) + "\n" + ROWS)
    assert counts(found) == (8, 4, 2, 2, 1)
    assert found.problems[0].line == 6


def test_what_is_appended_while_reading_waits_for_the_next_import(tmp_path: Path) -> None:
    path = tmp_path / "results.tsv"
    path.write_text(HEADER + ROWS)
    found = read(path)
    with path.open("a") as file:
        file.write("e1b2c3d\t0.5\t44\tkeep\tlater\n")
    assert sum(1 for _ in found.rounds) == found.n_rounds == 4
    assert read(path).n_rounds == 5


def test_problems_are_counted_in_full_and_kept_in_part(ledger: Reader) -> None:
    found = ledger(HEADER + ROWS + "junk\n" * 3000)
    assert found.unread == 3000
    assert len(found.problems) == 1000


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Reading 30,000 rows and making their events takes about as much as 300."""
    script = textwrap.dedent(
        """
        import resource, sys
        from nightpane.ledgers import events, read
        count = sum(1 for _ in events(read(sys.argv[1])))
        print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        """
    )
    peaks_kb = []
    for times in (300, 30_000):
        path = tmp_path / f"{times}.tsv"
        with path.open("w") as file:
            file.write(HEADER)
            for i in range(times):
                file.write(f"{i:07x}\t{1 + i % 97}.{i}\t44.0\tdiscard\ttry {i} {'x' * 200}\n")
        done = subprocess.run(
            [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
        )
        count, peak_kb = map(int, done.stdout.split())
        assert count == times * 3
        peaks_kb.append(peak_kb)
    assert peaks_kb[1] < peaks_kb[0] + 6_000  # one row kept would be some 1 kB, all 30 MB


CELLS = st.sampled_from(
    [
        "commit",
        "status",
        "keep",
        "crash",
        "0.5",
        "0.000000",
        "nan",
        "val_bpb",
        '"',
        '"x',
        "-",
        "",
        "a b",
    ]
)
JUNK_LINES = st.one_of(
    st.text(max_size=40),
    st.lists(CELLS, max_size=7).map("\t".join),
    st.lists(CELLS, max_size=7).map(",".join),
    st.sampled_from(['{"run": 1', '{"status": "keep"}', "[1]", "|a|b|", "\x1b[31m", "# x", "{}"]),
)


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.one_of(
        st.binary(min_size=1, max_size=400),
        st.lists(JUNK_LINES, min_size=1, max_size=12).map(lambda ls: "\n".join(ls).encode()),
        st.lists(JUNK_LINES, max_size=8).map(lambda ls: (HEADER + "\n".join(ls)).encode()),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(max_size=8) | st.integers(),
            lambda inner: (
                st.lists(inner, max_size=4)
                | st.dictionaries(
                    st.sampled_from(
                        ["run", "metric", "status", "results", "score", "t", "kind", "action", "x"]
                    ),
                    inner,
                    max_size=5,
                )
            ),
            max_leaves=12,
        ).map(lambda value: __import__("json").dumps(value).encode()),
    )
)
@example(b'{"run": 1, "metric": 1e999, "status": "keep"}')
@example(b'{"run": 1, "metric": "\\ud800", "status": "keep", "x": "\\udfff"}')
@example(b'{"startScore": 1, "results": [1, null, {"action": 3, "score": {}}]}')
@example(b'{"run": 1, "status": "keep", "metric": 1, "timestamp": 1e308}')
@example(HEADER.encode() + b"a\t1e400\t9\tkeep\tx\nb\t" + b"9" * 59 + b"\t1\tkeep\ty\n")
def test_no_input_raises_anything_but_ledger_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "any"
    path.write_bytes(data)
    try:
        found = read(path)
    except LedgerError:
        return
    made = list(events(found))
    assert found.n_rounds == sum(1 for _ in found.rounds)
    assert len({event.uuid for event in made}) == len(made)
    assert found.n_rounds == found.count("kept") + found.count("reverted") + found.count(
        "crashed"
    ) + found.count("undecided")


UNRELATED = st.one_of(
    st.text("xyz .,;:!?()", min_size=1, max_size=30),
    st.sampled_from(
        ["Traceback (most recent call last):", '  File "a.py", line 1', "\t\t", "====", "%s"]
    ),
)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(st.integers(0, 5), UNRELATED), max_size=8))
def test_junk_between_the_rows_changes_no_round(
    tmp_path: Path, junk: list[tuple[int, str]]
) -> None:
    good = [HEADER.strip(), *ROWS.splitlines()]
    mixed: list[str] = []
    for position in range(len(good) + 1):
        mixed += [text for at, text in junk if at == position]
        mixed += good[position : position + 1]
    path = tmp_path / "results.tsv"
    path.write_text("\n".join(mixed) + "\n")
    found = read(path)
    assert counts(found)[:4] == (4, 2, 1, 1)
    assert found.best_score == 0.986
    assert [r.score for r in found.rounds] == [0.9979, 0.986, 0.9911, None]
