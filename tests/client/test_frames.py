"""Frames: whatever happens to the bytes, every undamaged frame comes back and nothing else does."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from nightpane.client.spool import frames
from nightpane.client.spool.frames import Frame, Gap

# Payloads are JSON in UTF-8; texts that look like marks and lengths are the hard ones.
PAYLOADS = st.lists(
    st.one_of(
        st.text(max_size=40),
        st.sampled_from(["NPE", "þNPE", "\x00\x00\x00\x00", "NPH" * 5, ""]),
    ).map(lambda text: json.dumps({"text": text}, ensure_ascii=False).encode()),
    min_size=1,
    max_size=12,
)


def payloads(data: bytes, *, last: bool = True) -> list[bytes]:
    return [one.payload for one in frames.scan(data, last=last) if isinstance(one, Frame)]


@given(PAYLOADS)
def test_what_is_written_is_read(events: list[bytes]) -> None:
    data = b"".join(map(frames.encode, events))
    found = list(frames.scan(data))
    assert [one.payload for one in found if isinstance(one, Frame)] == events
    assert not any(isinstance(one, Gap) for one in found)


@given(PAYLOADS, st.data())
def test_a_torn_end_costs_only_the_torn_frame(events: list[bytes], draw: st.DataObject) -> None:
    data = b"".join(map(frames.encode, events))
    cut = draw.draw(st.integers(0, len(data)))
    whole, end = [], 0
    for event in events:
        end += len(frames.encode(event))
        if end <= cut:
            whole.append(event)
    found = list(frames.scan(data[:cut]))
    assert [one.payload for one in found if isinstance(one, Frame)] == whole
    gaps = [one for one in found if isinstance(one, Gap)]
    at_boundary = cut == sum(len(frames.encode(event)) for event in whole)
    assert len(gaps) == (0 if at_boundary else 1)
    assert all(gap.end == cut for gap in gaps)
    assert payloads(data[:cut], last=False) == whole


@given(PAYLOADS, st.data())
def test_a_changed_byte_costs_one_frame(events: list[bytes], draw: st.DataObject) -> None:
    encoded = [frames.encode(event) for event in events]
    data = bytearray(b"".join(encoded))
    at = draw.draw(st.integers(0, len(data) - 1))
    data[at] ^= draw.draw(st.integers(1, 255))
    hit, end = 0, 0
    for number, frame in enumerate(encoded):
        if end <= at < end + len(frame):
            hit = number
        end += len(frame)
    found = list(frames.scan(bytes(data)))
    rest = [one.payload for one in found if isinstance(one, Frame)]
    assert sum(isinstance(one, Gap) for one in found) == 1
    assert rest == [event for number, event in enumerate(events) if number != hit]


@given(PAYLOADS, st.binary(min_size=1, max_size=60), st.data())
def test_inserted_rubbish_is_passed_over(
    events: list[bytes], rubbish: bytes, draw: st.DataObject
) -> None:
    encoded = [frames.encode(event) for event in events]
    at = draw.draw(st.integers(0, len(events)))
    data = b"".join(encoded[:at]) + rubbish + b"".join(encoded[at:])
    assert payloads(data) == events


@given(st.binary(max_size=200))
def test_any_bytes_can_be_read(data: bytes) -> None:
    end = 0
    for one in frames.scan(data):
        assert one.start == end
        end = one.end
    assert end == len(data)


def test_a_length_beyond_the_limit_is_damage() -> None:
    frame = bytearray(frames.encode(b"{}"))
    frame[4:8] = (2**31).to_bytes(4, "little")
    good = frames.encode(b'{"a":1}')
    first, second = frames.scan(bytes(frame) + good)
    assert isinstance(first, Gap)
    assert first.frames == 1
    assert isinstance(second, Frame)
