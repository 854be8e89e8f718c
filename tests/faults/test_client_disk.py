"""Disk faults: each file system call failing in turn, a full disk, a folder deleted underneath."""

from __future__ import annotations

import contextlib
import errno
import logging
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from tests.client.support import FailingFiles, FullDisk, Network, read_events, until

import nightpane
from nightpane.client.destination import Destination, Route
from nightpane.client.health import Counters, Voice
from nightpane.client.sender import Sender
from nightpane.client.spool.files import Files
from nightpane.client.spool.folder import SpoolFolder
from nightpane.client.spool.writer import SpoolWriter
from nightpane.errors import SpoolError

HERE = Destination("http://127.0.0.1:9", "phc_test")


def sender_for(folder: SpoolFolder, writer: SpoolWriter | None, network: Network) -> Sender:
    return Sender(
        folder,
        writer,
        network,
        lambda to: Route(str(to.host), str(to.api_key)),
        counters=Counters(),
        voice=Voice(),
    )


def night(path: Path, files: Files, network: Network) -> list[str]:
    """Write, sync and deliver, over several segments; return what was acknowledged."""
    folder = SpoolFolder(path, files)
    writer = SpoolWriter(folder, HERE, segment_bytes=4096)
    sender = sender_for(folder, writer, network)
    kept = []
    for at in range(24):
        payload = f'{{"event":"e","uuid":"{at}","properties":{{"x":"{"x" * 400}"}}}}'.encode()
        try:
            writer.append(payload)
            kept.append(str(at))
        except SpoolError:
            pass
        if at % 7 == 6:
            with contextlib.suppress(SpoolError):
                writer.sync()
            sender.step()
    with contextlib.suppress(SpoolError):
        writer.close()
    return kept


def test_any_call_may_fail_and_nothing_acknowledged_is_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    at, failed = 0, set()
    while True:
        at += 1
        path, network, files = tmp_path / str(at), Network(), FailingFiles(at)
        kept = night(path, files, network)
        if files.failed is None:
            break
        failed.add(files.failed)
        # One fault costs at most the event in hand.
        assert len(kept) >= 23, files.failed
        # The next process, on a disk that works again, delivers the rest.
        sender_for(SpoolFolder(path), None, network).step()
        delivered = {event["uuid"] for event in network.events}
        assert set(kept) <= delivered, f"call {at} ({files.failed})"
        names = {one.name for one in path.iterdir()}
        assert not any(name.endswith(".seg") for name in names), f"call {at} ({files.failed})"
    assert at > 100
    assert {"write", "sync", "replace", "create", "lock", "listing", "open", "read"} <= failed


@pytest.mark.parametrize("error", [errno.EIO, errno.EROFS, errno.EDQUOT, errno.EACCES])
def test_track_survives_every_fault_of_the_disk(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, error: int
) -> None:
    class Broken(FailingFiles):
        def _called(self, name: str) -> None:
            raise OSError(error, f"injected into {name}")

    pane = nightpane.Pane(
        "autoresearch",
        api_key="phc_test",
        host="http://127.0.0.1:9",
        spool_dir=tmp_path / "spool",
        files=Broken(),
        transport=Network(),
    )
    with pane.run() as run:
        for _ in range(3):
            with run.round(agent="a") as round_:
                assert round_.keep() is None
    assert pane.track("hello", agent="a") is None
    pane.flush(0.2)
    assert pane.health().not_written == {"spool_fault": 8}
    errors = [one for one in caplog.records if "an event was not kept" in one.getMessage()]
    assert len(errors) == 1
    assert "NIGHTPANE_SPOOL_DIR" in errors[0].getMessage()
    pane.close(timeout_s=0)


def test_a_full_disk_costs_what_is_counted_and_heals(tmp_path: Path) -> None:
    disk, network = FullDisk(6_000), Network(503)
    pane = nightpane.Pane(
        "autoresearch",
        api_key="phc_test",
        host="http://127.0.0.1:9",
        spool_dir=tmp_path,
        files=disk,
        transport=network,
    )
    outcomes = [pane.track("hello", agent="a", at=at, text="x" * 300) for at in range(40)]
    kept = [one for one in outcomes if one is not None]
    assert 3 <= len(kept) < 40
    health = pane.health()
    assert health.not_written == {"spool_fault": 40 - len(kept)}
    assert "No space left" in str(health.last_error) or "503" in str(health.last_error)
    disk.room_bytes = 10**9
    kept += [str(pane.track("hello", agent="a", at=at)) for at in range(5)]
    network.script = []
    assert pane.flush(10)
    assert [event["uuid"] for event in network.events[-len(kept) :]] == kept
    assert pane.health().lost_frames == 0, "a write cut short leaves nothing behind"
    pane.close()


def test_a_write_cut_short_that_cannot_be_cut_back(tmp_path: Path) -> None:
    class Stubborn(FullDisk):
        def truncate(self, fd: int, size: int) -> None:
            raise OSError(errno.EIO, "injected")

    disk, network = Stubborn(1_500), Network()
    folder = SpoolFolder(tmp_path, disk)
    writer = SpoolWriter(folder, HERE)
    kept = []
    for at in range(10):
        try:
            writer.append(f'{{"uuid":"{at}","x":"{"x" * 400}"}}'.encode())
            kept.append(str(at))
        except SpoolError:
            disk.room_bytes = 10**6
    writer.close()
    sender_for(SpoolFolder(tmp_path), None, network).step()
    assert [event["uuid"] for event in network.events] == kept
    assert len(kept) == 9


def test_a_folder_deleted_underneath_is_made_again(tmp_path: Path) -> None:
    spool, network = tmp_path / "spool", Network(503)
    pane = nightpane.Pane(
        "autoresearch",
        api_key="phc_test",
        host="http://127.0.0.1:9",
        spool_dir=spool,
        transport=network,
    )
    first = pane.track("hello", agent="a")
    shutil.rmtree(spool)
    second = pane.track("hello", agent="a")
    until(spool.is_dir, "the segment's rescue")
    time.sleep(0)
    pane.close(timeout_s=0)
    assert [event["uuid"] for event in read_events(spool)] == [first, second]


def test_events_after_damage_are_delivered_and_the_loss_is_told(tmp_path: Path) -> None:
    folder, network = SpoolFolder(tmp_path), Network()
    writer = SpoolWriter(folder, HERE)
    for at in range(10):
        writer.append(f'{{"uuid":"{at}","x":"{"x" * 100}"}}'.encode())
    writer.close()
    (path,) = tmp_path.glob("*.seg")
    data = bytearray(path.read_bytes())
    data[data.index(b'"uuid":"4"') + 3] ^= 0x20
    path.write_bytes(bytes(data[:-20]))
    counters = Counters()
    sender = sender_for(folder, None, network)
    sender._counters = counters
    assert sender.step() is None
    assert [event["uuid"] for event in network.events] == ["0", "1", "2", "3", *"5678"]
    assert counters["lost_frames"] == 2
    damaged, torn = folder.lost()
    assert (damaged["reason"], torn["reason"]) == ("damaged", "torn end")
    assert (damaged["frames"], torn["frames"]) == (1, 1)
    assert damaged["segment"] == path.stem
    assert not list(tmp_path.glob("*.seg"))


@pytest.mark.parametrize("at", range(0, 320, 7))
def test_no_changed_byte_costs_more_than_its_frame(tmp_path: Path, at: int) -> None:
    folder, network = SpoolFolder(tmp_path), Network()
    writer = SpoolWriter(folder, HERE)
    for number in range(3):
        writer.append(f'{{"uuid":"{number}"}}'.encode())
    writer.close()
    (path,) = tmp_path.glob("*.seg")
    data = bytearray(path.read_bytes())
    at %= len(data)
    data[at] ^= 0xFF
    path.write_bytes(bytes(data))
    sender_for(folder, None, network).step()
    found = [event["uuid"] for event in network.events]
    assert len(found) >= 2
    assert len(found) + sum(int(one["frames"]) for one in folder.lost()) >= 3


def test_both_headers_gone_keeps_the_segment(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, network = SpoolFolder(tmp_path), Network()
    writer = SpoolWriter(folder, HERE)
    writer.append(b'{"uuid":"1"}')
    writer.close()
    (path,) = tmp_path.glob("*.seg")
    path.write_bytes(path.read_bytes().replace(b'"format"', b'"farmot"'))
    sender_for(folder, None, network).step()
    assert network.requests == []
    assert path.exists(), "nobody may guess whose events these are"
    assert "does not tell where its events go" in caplog.text


@pytest.mark.parametrize("content", [b"", b"garbage", b'{"offset": 40', b'{"offset": 99999999}'])
def test_a_lost_acknowledgement_means_a_full_replay(tmp_path: Path, content: bytes) -> None:
    folder, network = SpoolFolder(tmp_path), Network()
    writer = SpoolWriter(folder, HERE)
    for number in range(3):
        writer.append(f'{{"uuid":"{number}"}}'.encode())
    writer.close()
    (path,) = tmp_path.glob("*.seg")
    path.with_suffix(".ack").write_bytes(content)
    sender_for(folder, None, network).step()
    assert [event["uuid"] for event in network.events] == ["0", "1", "2"]


def test_a_segment_of_a_later_version_is_left_alone(tmp_path: Path, caplog: Any) -> None:
    from nightpane.client.spool import frames

    path = tmp_path / "01J9ZQ3V9K8Y7X6W5V4T3S2R1Q-1.seg"
    header = frames.encode(b'{"format": 2}', frames.HEADER)
    path.write_bytes(header * 2 + frames.encode(b'{"uuid":"1"}'))
    network = Network()
    sender_for(SpoolFolder(tmp_path), None, network).step()
    assert network.requests == []
    assert path.exists()
    assert "of a format this version does not know" in caplog.text
