"""Delivery: what each answer means, how long it waits; nothing is forgotten before a 200."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.client.support import OK, REFUSED, Clock, Network, segments

from nightpane.client.destination import Destination, Route
from nightpane.client.health import Counters, Voice
from nightpane.client.sender import MAX_BATCH_BYTES, MAX_BATCH_EVENTS, Sender
from nightpane.client.spool.folder import SpoolFolder
from nightpane.client.spool.writer import SpoolWriter
from nightpane.client.verdicts import Kind, Response, judge

HERE = Destination("http://127.0.0.1:9", "phc_test")


class Bench:
    """A spool, a sender and a clock that only moves when told."""

    def __init__(self, path: Path, network: Network) -> None:
        self.clock = Clock()
        self.network = network
        self.folder = SpoolFolder(path, clock=self.clock)
        self.counters = Counters()
        self.routes: dict[Destination, Route | None] = {}
        self.sender = self.another()

    def another(self, writer: SpoolWriter | None = None) -> Sender:
        return Sender(
            self.folder,
            writer,
            self.network,
            self.resolve,
            counters=self.counters,
            voice=Voice(),
            clock=self.clock,
            monotonic=self.clock,
            jitter=lambda: 1.0,
        )

    def resolve(self, destination: Destination) -> Route | None:
        if destination in self.routes:
            return self.routes[destination]
        return Route(str(destination.host), str(destination.api_key))

    def spool(self, *uuids: str, to: Destination = HERE, size: int = 10) -> None:
        """Leave a segment as a dead process does."""
        writer = SpoolWriter(self.folder, to)
        for uuid in uuids:
            writer.append(payload(uuid, size))
        writer.close()

    def uuids(self) -> list[str]:
        return [event["uuid"] for event in self.network.events]


def payload(uuid: str, size: int = 10) -> bytes:
    properties = {"text": "x" * size}
    event = {"event": "e", "distinct_id": "d", "uuid": uuid, "properties": properties}
    return json.dumps(event).encode()


@pytest.fixture
def bench(spool_dir: Path, network: Network) -> Bench:
    return Bench(spool_dir, network)


def test_a_batch_has_posthogs_shape(bench: Bench) -> None:
    bench.spool("1", "2")
    assert bench.sender.step() is None
    (request,) = bench.network.requests
    assert request["api_key"] == "phc_test"
    assert request["sent_at"] == "2023-11-14T22:13:20.000000+00:00"
    assert [event["uuid"] for event in request["batch"]] == ["1", "2"]
    assert "historical_migration" not in request
    (headers,) = bench.network.headers
    assert headers["Content-Encoding"] == "gzip"
    assert headers["User-Agent"].startswith("nightpane/")
    assert bench.network.urls == ["http://127.0.0.1:9/batch/"]
    assert segments(bench.folder.path) == []
    assert len(segments(bench.folder.path, "sent")) == 1


def test_segments_go_oldest_first_each_to_its_destination(bench: Bench) -> None:
    there = Destination("https://ph.example", "phc_other", historical_migration=True)
    bench.spool("1", "2")
    bench.spool("3", to=there)
    bench.spool("4")
    bench.routes[there] = Route("https://ph.example", "phc_other", historical_migration=True)
    bench.sender.step()
    assert bench.uuids() == ["1", "2", "3", "4"]
    assert [request["api_key"] for request in bench.network.requests] == [
        *("phc_test", "phc_other", "phc_test")
    ]
    assert bench.network.requests[1]["historical_migration"] is True


def test_a_destination_that_is_away_holds_up_no_other(bench: Bench) -> None:
    away = Destination("https://away.example", "phc_away")
    bench.spool("1", to=away)
    bench.spool("2")
    bench.network.script = [REFUSED, OK]
    assert bench.sender.step() == 0.5
    assert [request["api_key"] for request in bench.network.requests] == ["phc_away", "phc_test"]
    assert len(segments(bench.folder.path)) == 1


def test_batches_are_limited_in_number_and_size(bench: Bench) -> None:
    bench.spool(*map(str, range(1201)))
    bench.sender.step()
    assert [len(request["batch"]) for request in bench.network.requests] == [500, 500, 201]
    assert MAX_BATCH_EVENTS == 500
    bench.network.requests.clear()
    bench.spool(*map(str, range(10)), size=800_000)
    bench.sender.step()
    sizes = [len(request["batch"]) for request in bench.network.requests]
    assert sum(sizes) == 10
    assert max(sizes) * 800_000 <= MAX_BATCH_BYTES


RETRIED = [408, 425, 429, 500, 502, 503, 504, 599, REFUSED]
HELD = [401, 402, 403, 404, 405, 301, 302, 204, 202, 415, 451]


@pytest.mark.parametrize("answer", RETRIED, ids=str)
def test_a_passing_failure_is_tried_again_with_back_off(bench: Bench, answer: Any) -> None:
    bench.spool("1")
    bench.network.script = [answer]
    waits = []
    for _ in range(9):
        wait = bench.sender.step()
        assert wait is not None
        waits.append(wait)
        bench.clock.advance(wait - 0.01)
        before = len(bench.network.requests)
        bench.sender.step()
        assert len(bench.network.requests) == before, "it came before its time"
        bench.clock.advance(0.02)
    assert waits == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]
    bench.network.script = [OK]
    assert bench.sender.step() is None
    assert bench.uuids() == ["1"] * 10
    assert bench.counters["delivered"] == 1
    assert bench.counters["retries"] == 9


@pytest.mark.parametrize("answer", HELD)
def test_what_somebody_must_mend_is_kept_and_tried_slowly(
    bench: Bench, answer: int, caplog: pytest.LogCaptureFixture
) -> None:
    bench.spool("1")
    bench.network.script = [answer]
    wait = bench.sender.step()
    assert wait is not None
    assert wait >= 60
    assert f"HTTP {answer}" in caplog.text
    assert "are kept" in caplog.text
    bench.sender.hurry()
    bench.sender.step()
    assert len(bench.network.requests) == 1, "a flush must not hammer"
    bench.network.script = [OK]
    bench.clock.advance(wait + 1)
    assert bench.sender.step() is None
    assert bench.counters["delivered"] == 1
    assert bench.counters["set_aside"] == 0


@pytest.mark.parametrize(
    ("value", "expected"),
    [("7", 7), ("0.1", 0.5), ("Tue, 14 Nov 2023 22:13:50 GMT", 30), ("999999", 3600)],
)
def test_retry_after_is_the_least_wait(bench: Bench, value: str, expected: float) -> None:
    bench.spool("1")
    bench.network.script = [Response(429, {"retry-after": value})]
    assert bench.sender.step() == pytest.approx(expected)
    bench.sender.hurry()
    bench.sender.step()
    assert len(bench.network.requests) == (2 if expected == 0.5 and value == "0" else 1)


@pytest.mark.parametrize("value", ["soon", "nan", "-5", "", "inf-ish"])
def test_a_retry_after_that_says_nothing_is_passed_over(value: str) -> None:
    verdict = judge(Response(503, {"retry-after": value}), now_s=0)
    assert verdict.kind is Kind.RETRY
    assert verdict.wait_s == 0


def test_too_large_a_batch_is_halved_until_it_fits(bench: Bench) -> None:
    def limited(batch: list[dict[str, Any]]) -> Response:
        return OK if len(batch) <= 3 else Response(413)

    bench.spool(*map(str, range(20)))
    bench.network.script = [limited]
    assert bench.sender.step() is None
    accepted = [
        request["batch"] for request in bench.network.requests if len(request["batch"]) <= 3
    ]
    assert [event["uuid"] for batch in accepted for event in batch] == list(map(str, range(20)))
    assert bench.counters["set_aside"] == 0


@pytest.mark.parametrize("status", [400, 413])
def test_only_the_poison_is_set_aside(bench: Bench, status: int) -> None:
    def picky(batch: list[dict[str, Any]]) -> Response:
        bad = any(event["uuid"] in ("7", "31") for event in batch)
        return Response(status, {}, b"bad event") if bad else OK

    bench.spool(*map(str, range(40)))
    bench.network.script = [picky]
    assert bench.sender.step() is None
    assert bench.counters["delivered"] == 38
    assert bench.counters["set_aside"] == 2
    refused = bench.folder.refused()
    assert [json.loads(note["event"])["uuid"] for note in refused] == ["7", "31"]
    assert {note["reason"] for note in refused} == {f"HTTP {status} (bad event)"}
    assert len(bench.network.requests) < 30
    assert segments(bench.folder.path) == []


def test_an_interruption_amid_halving_repeats_nothing_settled(bench: Bench) -> None:
    answers = iter([Response(400), OK, REFUSED])

    bench.spool(*map(str, range(10)))
    bench.network.script = [lambda batch: next(answers, OK)]
    assert bench.sender.step() == 0.5
    bench.clock.advance(1)
    assert bench.sender.step() is None
    batches = [[event["uuid"] for event in one["batch"]] for one in bench.network.requests]
    first, second = list("01234"), list("56789")
    assert batches[:3] == [first + second, first, second]
    assert [uuid for batch in batches[3:] for uuid in batch] == second


@pytest.mark.parametrize(
    "body", [b"", b"<html>Sign in to the wifi</html>", b"[]", b'"ok"', b'{"hello": 1}', b"\xff"]
)
def test_a_200_that_is_not_posthogs_lets_go_of_nothing(bench: Bench, body: bytes) -> None:
    bench.spool("1")
    bench.network.script = [Response(200, {}, body)]
    assert bench.sender.step() == 60
    assert bench.counters["delivered"] == 0
    assert len(segments(bench.folder.path)) == 1


@pytest.mark.parametrize("body", [b'{"status":"Ok"}', b'{"status":1}', b'{"status":"Ok","x":[]}'])
def test_both_of_posthogs_answers_count(bench: Bench, body: bytes) -> None:
    bench.spool("1")
    bench.network.script = [Response(200, {}, body)]
    assert bench.sender.step() is None
    assert bench.counters["delivered"] == 1


def test_a_quota_that_drops_events_keeps_them(bench: Bench) -> None:
    bench.spool("1")
    limited = {"status": 1, "quota_limited": ["events"]}
    bench.network.script = [Response(200, {}, json.dumps(limited).encode()), OK]
    assert bench.sender.step() == 300
    assert bench.counters["delivered"] == 0
    bench.clock.advance(301)
    assert bench.sender.step() is None
    recordings = Response(200, {}, b'{"status":1,"quota_limited":["recordings"]}')
    assert judge(recordings, now_s=0).kind is Kind.DELIVERED


def test_results_for_single_events_are_honoured(bench: Bench) -> None:
    results = {"2": {"result": "drop", "details": "too old"}, "3": {"result": "warning"}}
    body = json.dumps({"results": results}).encode()
    bench.spool("1", "2", "3")
    bench.network.script = [Response(200, {}, body)]
    assert bench.sender.step() is None
    assert bench.counters["delivered"] == 2
    (note,) = bench.folder.refused()
    assert json.loads(note["event"])["uuid"] == "2"
    assert note["reason"] == "dropped by the server: too old"
    again = Response(200, {}, b'{"results":{"1":{"result":"retry"}}}')
    assert judge(again, now_s=0).kind is Kind.RETRY


def test_a_lost_answer_means_the_same_events_again(bench: Bench) -> None:
    stored: list[str] = []

    def stores_and_breaks(batch: list[dict[str, Any]]) -> Exception:
        stored.extend(event["uuid"] for event in batch)
        return REFUSED

    bench.spool("1", "2")
    bench.network.script = [stores_and_breaks, OK]
    bench.sender.step()
    bench.clock.advance(1)
    bench.sender.step()
    first, second = (request["batch"] for request in bench.network.requests)
    assert first == second, "uuid, time and everything else stay the same"
    assert stored == ["1", "2"]


def test_no_destination_yet_keeps_everything(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    unknown = Destination(None, None)
    bench.routes[unknown] = None
    bench.spool("1", to=unknown)
    assert bench.sender.step() == 5
    assert "until a host is known" in caplog.text
    bench.routes[unknown] = Route("http://127.0.0.1:9", "phc_now")
    assert bench.sender.step() is None
    assert bench.network.requests[0]["api_key"] == "phc_now"


def test_a_living_process_keeps_its_segment(bench: Bench) -> None:
    writer = SpoolWriter(bench.folder, HERE)
    writer.append(payload("mine"))
    assert bench.sender.step() is None
    assert bench.uuids() == []
    own = bench.another(writer)
    own.step()
    assert bench.uuids() == ["mine"]
    writer.close()


def test_a_segment_that_fills_up_while_it_is_sent_stays_ours(bench: Bench) -> None:
    writer = SpoolWriter(bench.folder, HERE, segment_bytes=4096)
    sender = bench.another(writer)
    others: list[str] = []

    def meanwhile(batch: list[dict[str, Any]]) -> Response:
        bench.network.script = [OK]
        for at in range(10, 30):
            writer.append(payload(str(at), 400))
        writer.sync()
        before = len(bench.network.requests)
        bench.another().step()
        others.extend(
            event["uuid"] for one in bench.network.requests[before:] for event in one["batch"]
        )
        return OK

    for at in range(3):
        writer.append(payload(str(at), 400))
    bench.network.script = [meanwhile]
    sender.step()
    assert not {"0", "1", "2"} & set(others), "another process sent what was being sent"
    while writer.undelivered(sender.acked_offset(writer.active.stem if writer.active else "")):
        sender.step()
    assert set(bench.uuids()) == {"0", "1", "2", *map(str, range(10, 30))}
    writer.close()


def test_stopping_is_asked_before_each_request(bench: Bench) -> None:
    bench.spool(*map(str, range(1500)))
    allowed = iter([True, True])
    assert bench.sender.step(lambda: next(allowed, False)) == 0
    assert len(bench.network.requests) == 2
    bench.sender.step()
    assert bench.uuids() == list(map(str, range(1500)))


def test_after_100_hours_offline_everything_arrives_in_order(bench: Bench) -> None:
    bench.network.script = [REFUSED]
    uuids = iter(range(10_000))
    expected: list[str] = []
    tried = 0
    for _ in range(100):
        batch = [str(next(uuids)) for _ in range(20)]
        bench.spool(*batch)
        expected += batch
        bench.clock.advance(3600)
        before = len(bench.network.requests)
        bench.sender.step()
        tried += len(bench.network.requests) - before
    assert tried == 100, "one attempt for the destination, not one for each segment"
    bench.network.script = [OK]
    bench.network.requests.clear()
    bench.clock.advance(60)
    assert bench.sender.step() is None
    assert bench.uuids() == expected
    assert bench.counters["delivered"] == len(expected)


def test_an_acknowledgement_of_another_file_is_not_believed(bench: Bench) -> None:
    bench.spool("1", "2")
    (path,) = segments(bench.folder.path)
    ack = bench.folder.read_ack(path.stem)
    bench.folder.write_ack(path.stem, replace(ack, offset=10**9, delivered=5))
    assert bench.sender.step() is None
    assert bench.uuids() == ["1", "2"]


def test_judging_never_raises_on_any_body() -> None:
    for body in (b"{", b"null", b'{"results":5}', b'{"results":{"1":5}}', b'{"status":[]}'):
        for status in (200, 400, 500, 999, 100):
            judge(Response(status, {"retry-after": "\x00"}, body), now_s=0)
