"""Delivers segments: this process's own, and those that dead processes left behind.

Oldest first, in batches, over PostHog's wire format, until a PostHog answers 200. It forgets an
event only then; what a PostHog refuses for good is set aside with the reason. Two processes never
send the same segment at the same time: each is locked while it is sent.
"""

from __future__ import annotations

import functools
import json
import logging
import random
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby

from nightpane.client.destination import Destination, Route
from nightpane.client.encoding import MAX_EVENT_BYTES, shorten
from nightpane.client.health import Counters, Voice
from nightpane.client.spool.folder import Ack, SpoolFolder
from nightpane.client.spool.frames import Gap
from nightpane.client.spool.reader import Item, read_batch, read_destination
from nightpane.client.spool.writer import SpoolWriter
from nightpane.client.transport import Transport, TransportError
from nightpane.client.verdicts import Kind, Verdict, judge

__all__ = ["MAX_BATCH_BYTES", "MAX_BATCH_EVENTS", "Sender"]

MAX_BATCH_EVENTS = 500
MAX_BATCH_BYTES = 4 * 1024 * 1024

_FIRST_RETRY_S = 0.5
_MAX_RETRY_S = 60.0
_LEAST_RETRY_S = 0.1
_UNROUTED_S = 5.0
_TIDY_S = 60.0
_BATCH = "/batch/"
_AI_BATCH = "/i/v0/ai/batch/"
_NO_SUCH_PLACE = (404, 405)
_NO_AI_LANE = Verdict(Kind.HOLD, status=404)


@dataclass(slots=True)
class _Line:
    """How a route fares: when it may be tried again, and how much at once."""

    not_before: float = 0.0
    failed_at: float = 0.0
    attempts: int = 0
    patient: bool = False
    max_events: int = MAX_BATCH_EVENTS
    has_ai_lane: bool = True

    def thrive(self) -> None:
        """Go on at full speed: something was taken."""
        self.attempts, self.not_before, self.patient = 0, 0.0, False
        self.max_events = min(MAX_BATCH_EVENTS, self.max_events * 2)


@dataclass(slots=True)
class _Lease:
    """A segment held for delivery."""

    stem: str
    fd: int
    end: int
    is_active: bool = False
    is_own: bool = False
    ack: Ack = field(default_factory=Ack)
    gaps: list[Gap] = field(default_factory=list)


class Sender:
    """Delivers what lies in ``folder``; ``writer`` is this process's own, if it writes.

    ``resolve`` tells where a destination is reached now. Clocks and the jitter can be replaced.
    """

    def __init__(
        self,
        folder: SpoolFolder,
        writer: SpoolWriter | None,
        transport: Transport,
        resolve: Callable[[Destination], Route | None],
        *,
        counters: Counters,
        voice: Voice,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._folder = folder
        self._files = folder.files
        self._writer = writer
        self._transport = transport
        self._resolve = resolve
        self._counters = counters
        self._voice = voice
        self._clock = clock
        self._monotonic = monotonic
        self._jitter = jitter
        self._lines: dict[Route, _Line] = {}
        self._destinations: dict[str, Destination] = {}
        self._routes: dict[Destination, Route | None] = {}
        self._own_acks: dict[str, Ack] = {}
        self._due: float | None = None
        self._tidied = -_TIDY_S
        self._may_go_on: Callable[[], bool] = lambda: True
        self._hurried = self._answered = 0

    def step(self, may_go_on: Callable[[], bool] | None = None) -> float | None:
        """Deliver what can be delivered now.

        Returns after how many seconds something is due, None when nothing waits. ``may_go_on`` is
        asked before each request. Never raises for a fault of disk or network: it is said.
        """
        self._may_go_on = may_go_on or (lambda: True)
        self._due = None
        self._routes.clear()
        hurried = self._hurried
        try:
            for name in self._folder.names("seg"):
                self._try_segment(name.stem)
            self._tidy()
        except OSError as error:
            self._fault(error)
        self._answered = hurried
        return self._due

    def hurry(self) -> None:
        """Let the next step try again where only our own back-off says to wait.

        Even so an attempt comes no sooner than 100 ms after one that failed.
        """
        for line in list(self._lines.values()):
            if not line.patient:
                line.not_before = min(line.not_before, line.failed_at + _LEAST_RETRY_S)
        self._hurried += 1

    def is_held_up(self) -> bool:
        """Tell whether a step since ``hurry`` found that own events cannot be delivered now."""
        if self._writer is None or self._answered != self._hurried:
            return False
        route = self._routes.get(self._writer.destination)
        return route is None or self._line(route).not_before > self._monotonic()

    def acked_offset(self, stem: str) -> int:
        """Return how far an own segment is settled, in bytes."""
        ack = self._own_acks.get(stem)
        return ack.offset if ack is not None else 0

    def after_fork(self) -> None:
        """Begin anew in a child."""
        self._own_acks.clear()
        self._transport.after_fork()

    def _try_segment(self, stem: str) -> None:
        try:
            known = self._destinations.get(stem)
            if known is not None and self._waits(known):
                return
            with self._lease(stem) as lease:
                if lease is not None:
                    self._deliver_segment(lease)
        except (OSError, ValueError) as error:
            self._fault(error)

    @contextmanager
    def _lease(self, stem: str) -> Iterator[_Lease | None]:
        own = self._writer.lease(stem) if self._writer is not None else None
        if own is not None and self._writer is not None:
            active = self._writer.active
            try:
                yield _Lease(stem, *own, active is not None and active.stem == stem, is_own=True)
            finally:
                self._writer.release()
            return
        self._own_acks.pop(stem, None)
        path = self._folder.file(stem, "seg")
        try:
            fd = self._files.open(path)
        except FileNotFoundError:
            # Delivered by another process meanwhile.
            yield None
            return
        try:
            if self._files.lock(fd) and self._files.is_named(fd, path):
                yield _Lease(stem, fd, self._files.size(fd))
            else:
                yield None
        finally:
            self._files.close(fd)

    def _deliver_segment(self, lease: _Lease) -> None:
        lease.ack = self._own_acks.get(lease.stem) or self._folder.read_ack(lease.stem)
        if lease.ack.offset > lease.end:
            # An acknowledgement that cannot be of this file: start over, duplicates are harmless.
            lease.ack = Ack()
        while lease.ack.offset < lease.end:
            destination = self._destination(lease)
            if destination is None or self._waits(destination):
                return
            route = self._routes[destination]
            if route is None or not self._deliver_batch(lease, route):
                return
        if not lease.is_active:
            self._finish(lease)

    def _deliver_batch(self, lease: _Lease, route: Route) -> bool:
        batch = read_batch(
            self._files,
            lease.fd,
            lease.ack.offset,
            lease.end,
            max_events=self._line(route).max_events,
            max_bytes=MAX_BATCH_BYTES,
        )
        lease.gaps = batch.gaps
        if batch.items and not self._send(lease, batch.items, route):
            return False
        if lease.ack.offset < batch.end:
            self._settle(lease, batch.end)
        # Nothing readable and nothing passed over: the file is shorter than it was.
        return bool(batch.items) or batch.end >= lease.end

    def _send(self, lease: _Lease, items: list[Item], route: Route) -> bool:
        """Deliver or set aside these events, in order; False when the rest has to wait."""
        for is_large, some in groupby(items, lambda item: len(item.payload) > MAX_EVENT_BYTES):
            send = self._send_large if is_large else self._send_batch
            if not send(lease, list(some), route):
                return False
        return True

    def _send_large(self, lease: _Lease, items: list[Item], route: Route) -> bool:
        """Deliver AI events one by one on the lane that takes them whole.

        A PostHog without that lane, or one that refuses the event there, gets it cut.
        """
        for item in items:
            if not self._may_go_on():
                self._is_due(0.0)
                return False
            line = self._line(route)
            verdict = self._post([item], route, _AI_BATCH) if line.has_ai_lane else _NO_AI_LANE
            if verdict.kind is Kind.DELIVERED:
                line.thrive()
                self._delivered(lease, [item], verdict)
            elif verdict.kind is Kind.SPLIT or verdict.status in _NO_SUCH_PLACE:
                line.has_ai_lane = verdict.kind is Kind.SPLIT
                cut = Item(shorten(json.loads(item.payload)), item.end)
                if not self._send_batch(lease, [cut], route):
                    return False
                self._counters.add("truncated")
            else:
                self._hold_back(route, line, verdict)
                return False
        return True

    def _send_batch(self, lease: _Lease, items: list[Item], route: Route) -> bool:
        if not self._may_go_on():
            self._is_due(0.0)
            return False
        verdict = self._post(items, route, _BATCH)
        line = self._line(route)
        if verdict.kind is Kind.DELIVERED:
            line.thrive()
            self._delivered(lease, items, verdict)
            return True
        if verdict.kind is not Kind.SPLIT:
            self._hold_back(route, line, verdict)
            return False
        if len(items) == 1:
            self._set_aside(items[0].payload, verdict.why)
            self._settle(lease, items[0].end, refused=1)
            return True
        half = len(items) // 2
        line.max_events = max(1, half)
        return self._send_batch(lease, items[:half], route) and self._send_batch(
            lease, items[half:], route
        )

    def _post(self, items: list[Item], route: Route, path: str) -> Verdict:
        body = _body(items, route, datetime.fromtimestamp(self._clock(), UTC))
        try:
            response = self._transport.post(route.host + path, body, _headers())
        except TransportError as error:
            return Verdict(Kind.RETRY, str(error))
        return judge(response, now_s=self._clock())

    def _delivered(self, lease: _Lease, items: list[Item], verdict: Verdict) -> None:
        refused = 0
        if verdict.refused:
            for item in items:
                reason = verdict.refused.get(_uuid_of(item.payload))
                if reason is not None:
                    self._set_aside(item.payload, reason)
                    refused += 1
        self._counters.add("delivered", len(items) - refused)
        self._settle(lease, items[-1].end, delivered=len(items) - refused, refused=refused)

    def _set_aside(self, payload: bytes, reason: str) -> None:
        self._folder.set_aside(payload, reason)
        self._counters.add("set_aside")
        self._counters.last_error = f"an event was refused for good: {reason}"
        self._voice.say(
            "set_aside",
            f"an event was refused for good and set aside in "
            f"{self._folder.path / 'refused.jsonl'}: {reason}",
        )

    def _settle(self, lease: _Lease, offset: int, *, delivered: int = 0, refused: int = 0) -> None:
        ack, lost = lease.ack, 0
        for gap in lease.gaps:
            if ack.offset <= gap.start < offset:
                why = "torn end" if gap.end >= lease.end else "damaged"
                self._folder.record_lost(lease.stem, gap.start, gap.end, gap.frames, why)
                self._counters.add("lost_frames", gap.frames)
                self._voice.say("lost", f"{gap.frames} frames of {lease.stem}.seg are {why}")
                lost += gap.frames
        lease.ack = Ack(offset, ack.delivered + delivered, ack.refused + refused, ack.lost + lost)
        if lease.is_own:
            self._own_acks[lease.stem] = lease.ack
        self._folder.write_ack(lease.stem, lease.ack)
        if self._writer is not None:
            self._writer.room_was_made()

    def _finish(self, lease: _Lease) -> None:
        ack = lease.ack
        if ack.delivered or ack.refused or ack.lost:
            self._folder.mark_sent(lease.stem)
        else:
            self._folder.remove_empty(lease.stem)
        self._own_acks.pop(lease.stem, None)
        self._destinations.pop(lease.stem, None)

    def _hold_back(self, route: Route, line: _Line, verdict: Verdict) -> None:
        line.attempts += 1
        wait_s = min(_MAX_RETRY_S, _FIRST_RETRY_S * 2 ** min(line.attempts - 1, 20))
        wait_s = max(wait_s * (0.5 + self._jitter() / 2), verdict.wait_s)
        line.failed_at = self._monotonic()
        line.not_before = line.failed_at + wait_s
        line.patient = verdict.wait_s > 0
        self._is_due(wait_s)
        self._counters.add("retries")
        self._counters.last_error = f"{route.host}: {verdict.why}"
        self._voice.say(
            f"hold {route.host} {verdict.kind}",
            f"events cannot be delivered to {route.host} and are kept in {self._folder.path}: "
            f"{verdict.why}",
            level=logging.ERROR if verdict.kind is Kind.HOLD else logging.WARNING,
        )

    def _destination(self, lease: _Lease) -> Destination | None:
        known = self._destinations.get(lease.stem)
        if known is None:
            known = read_destination(self._files, lease.fd)
            if known is None:
                self._voice.say(
                    f"header {lease.stem}",
                    f"{lease.stem}.seg in {self._folder.path} does not tell where its events go: "
                    "its header is damaged. It is kept as it is",
                )
                return None
            self._destinations[lease.stem] = known
        return known

    def _waits(self, destination: Destination) -> bool:
        """Tell whether nothing can be sent there now, and note when it can."""
        if destination not in self._routes:
            self._routes[destination] = self._resolve(destination)
        route = self._routes[destination]
        if route is None:
            self._is_due(_UNROUTED_S)
            self._voice.once(
                f"unrouted {destination!r}",
                f"events wait in {self._folder.path} until a host is known: run 'nightpane up' "
                "or set POSTHOG_HOST and POSTHOG_API_KEY",
            )
            return True
        wait_s = self._line(route).not_before - self._monotonic()
        if wait_s > 0:
            self._is_due(wait_s)
        return wait_s > 0

    def _line(self, route: Route) -> _Line:
        return self._lines.setdefault(route, _Line())

    def _is_due(self, in_s: float) -> None:
        self._due = in_s if self._due is None else min(self._due, in_s)

    def _tidy(self) -> None:
        if self._monotonic() - self._tidied >= _TIDY_S:
            self._tidied = self._monotonic()
            self._folder.tidy()

    def _fault(self, error: Exception) -> None:
        self._is_due(_UNROUTED_S)
        self._counters.last_error = f"the spool in {self._folder.path}: {error}"
        self._voice.say("deliver", f"the spool in {self._folder.path} cannot be read: {error}")


@functools.cache
def _headers() -> dict[str, str]:
    import importlib.metadata  # late: it takes as long as all of this module

    return {
        "Content-Type": "application/json",
        "Content-Encoding": "gzip",
        "User-Agent": f"nightpane/{importlib.metadata.version('nightpane')}",
    }


def _body(items: list[Item], route: Route, sent_at: datetime) -> bytes:
    """Return the request's body: the events' own bytes, never parsed again, compressed."""
    head = '{"api_key":' + json.dumps(route.api_key)
    if route.historical_migration:
        head += ',"historical_migration":true'
    sent = sent_at.isoformat(timespec="microseconds")
    packer = zlib.compressobj(level=1, wbits=31)
    parts = [packer.compress(f'{head},"sent_at":"{sent}","batch":['.encode())]
    for at, item in enumerate(items):
        parts.append(packer.compress(b"," + item.payload if at else item.payload))
    parts.append(packer.compress(b"]}"))
    parts.append(packer.flush())
    return b"".join(parts)


def _uuid_of(payload: bytes) -> str:
    return str(json.loads(payload).get("uuid"))
