"""The spool folder: who owns which segment, how it grows, and what goes when space is short."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.client.support import Clock, Network, each_file, read_events, segments, spooled_bytes

import nightpane
from nightpane.client.destination import Destination
from nightpane.client.spool import status
from nightpane.client.spool.folder import Ack, SpoolFolder
from nightpane.client.spool.writer import SpoolWriter
from nightpane.errors import SpoolFullError

Make = Callable[..., nightpane.Pane]
HERE = Destination("http://127.0.0.1:9", "phc_test")


def event(at: int, size: int = 400) -> bytes:
    return json.dumps({"event": "e", "uuid": str(at), "properties": {"x": "x" * size}}).encode()


def test_only_its_owner_may_read_it(make_pane: Make, spool_dir: Path) -> None:
    make_pane().track("hello", agent="a")
    assert stat.S_IMODE(spool_dir.stat().st_mode) == 0o700
    modes = each_file(spool_dir, lambda path: stat.S_IMODE(path.stat().st_mode))
    assert set(modes) == {0o600}


def test_an_open_folder_is_closed_to_others(make_pane: Make, spool_dir: Path) -> None:
    spool_dir.mkdir(mode=0o755)
    make_pane().track("hello", agent="a")
    assert stat.S_IMODE(spool_dir.stat().st_mode) == 0o700


def test_nothing_is_written_before_the_first_event(make_pane: Make, spool_dir: Path) -> None:
    pane = make_pane()
    assert pane.flush(1)
    assert pane.close()
    assert not spool_dir.exists()


def test_a_full_segment_is_followed_by_another(spool_dir: Path) -> None:
    writer = SpoolWriter(SpoolFolder(spool_dir), HERE, segment_bytes=4096)
    for at in range(30):
        writer.append(event(at))
    writer.close()
    found = segments(spool_dir)
    assert len(found) == 4
    assert all(path.stat().st_size <= 4096 for path in found)
    assert [one["uuid"] for one in read_events(spool_dir)] == [str(at) for at in range(30)]


def test_an_event_larger_than_a_segment_fits(spool_dir: Path) -> None:
    writer = SpoolWriter(SpoolFolder(spool_dir), HERE, segment_bytes=4096)
    for at in range(3):
        writer.append(event(at, 10_000))
    writer.close()
    assert len(list(read_events(spool_dir))) == 3


def test_delivered_data_goes_first_and_undelivered_never(spool_dir: Path) -> None:
    folder = SpoolFolder(spool_dir)
    clock = Clock()
    writer = SpoolWriter(folder, HERE, max_bytes=40_000, segment_bytes=4096, monotonic=clock)
    for at in range(40):
        writer.append(event(at))
    writer.close()
    oldest, second = [path.stem for path in segments(spool_dir)][:2]
    folder.mark_sent(oldest)
    folder.mark_sent(second)
    undelivered = {one["uuid"] for one in read_events(spool_dir)} - {
        one["uuid"] for path in segments(spool_dir, "sent") for one in in_file(path)
    }
    written = []
    with pytest.raises(SpoolFullError, match="all of it undelivered"):
        for at in range(100, 200):
            writer.append(event(at))
            written.append(str(at))
    assert folder.total_bytes() <= 40_000
    assert not segments(spool_dir, "sent")
    left = {one["uuid"] for one in read_events(spool_dir)}
    assert undelivered | set(written) == left
    # Full stays full without looking at the disk again, until time passes or room is made.
    with pytest.raises(SpoolFullError):
        writer.append(event(300))
    folder.mark_sent(segments(spool_dir)[0].stem)
    clock.advance(1.0)
    writer.append(event(301))
    writer.close()


def in_file(path: Path) -> list[dict[str, str]]:
    from nightpane.client.spool import frames

    return [
        json.loads(found.payload)
        for found in frames.scan(path.read_bytes())
        if isinstance(found, frames.Frame) and found.kind == frames.EVENT
    ]


def test_a_small_limit_still_turns_over(make_pane: Make, spool_dir: Path) -> None:
    pane = make_pane(max_spool_bytes=64_000)
    for at in range(400):
        if pane.track("hello", agent="a", at=at, text="x" * 300) is None:
            assert pane.flush(10)
            assert pane.track("hello", agent="a", at=at, text="x" * 300) is not None
    assert pane.flush(10)
    # The acknowledgements beside the segments, and a new segment's header, come on top.
    assert sum(each_file(spool_dir, lambda path: path.stat().st_size)) <= 64_000 * 1.1


def test_status_of_a_folder(make_pane: Make, spool_dir: Path, network: Network) -> None:
    assert status(spool_dir).pending_events == 0
    network.script = [503]
    pane = make_pane()
    for at in range(5):
        pane.track("hello", agent="a", at=at)
    now = status(spool_dir)
    assert now.pending_events == 5
    assert now.total_bytes == len(spooled_bytes(spool_dir))
    (waiting,) = now.waiting
    assert waiting.is_held
    assert waiting.destination == "http://127.0.0.1:9"
    pane.close(timeout_s=0)
    (waiting,) = status(spool_dir).waiting
    assert not waiting.is_held
    assert waiting.events == 5
    assert pane.health().pending_bytes == now.pending_bytes


def test_delivered_segments_are_kept_a_day(spool_dir: Path) -> None:
    clock = Clock()
    folder = SpoolFolder(spool_dir, clock=clock)
    writer = SpoolWriter(folder, HERE)
    writer.append(event(1))
    writer.close()
    (stem,) = [path.stem for path in segments(spool_dir)]
    folder.mark_sent(stem)
    began_s = folder.names("sent")[0].began_s
    clock.now_s = began_s + 23 * 3600
    folder.tidy()
    assert segments(spool_dir, "sent")
    clock.now_s = began_s + 25 * 3600
    folder.tidy()
    assert list(spool_dir.iterdir()) == []


def test_what_a_crash_left_half_made_is_tidied(spool_dir: Path) -> None:
    clock = Clock()
    folder = SpoolFolder(spool_dir, clock=clock)
    writer = SpoolWriter(folder, HERE)
    writer.append(event(1))
    (path,) = segments(spool_dir)
    half = path.with_suffix(".new").with_stem(path.stem[:25] + "0" + path.stem[26:])
    half.write_bytes(b"half")
    orphan = half.with_suffix(".ack")
    orphan.write_text("{}")
    clock.now_s = folder.names("seg")[0].began_s + 10
    folder.tidy()
    assert half.exists()
    clock.advance(3600)
    folder.tidy()
    assert not half.exists()
    assert not orphan.exists()
    assert path.exists()
    writer.close()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"offset":-1}', '{"offset":"x"}', "\ufffd"])
def test_a_damaged_acknowledgement_means_nothing_is_delivered(text: str) -> None:
    assert Ack.parse(text) == Ack()


def test_foreign_files_are_left_alone(make_pane: Make, spool_dir: Path) -> None:
    spool_dir.mkdir()
    for name in ("notes.txt", "x.seg", "01J9ZQ3V9K8Y7X6W5V4T3S2R1Q-abc.seg"):
        (spool_dir / name).write_text("mine")
    (spool_dir / "folder.seg").mkdir()
    pane = make_pane()
    pane.track("hello", agent="a")
    assert pane.flush(10)
    pane.close()
    assert (spool_dir / "notes.txt").read_text() == "mine"
    assert (spool_dir / "x.seg").read_text() == "mine"
