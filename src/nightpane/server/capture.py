"""Where events arrive: PostHog's capture routes, v0.

A request is answered after its events are on disk. Reading, checking and storing happen in threads,
so that the event loop stays free; what may be in memory at once is bounded, and beyond that the
answer is 503 with Retry-After.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from nightpane.catalog import AI_EVENTS
from nightpane.errors import StoreError
from nightpane.prices import Table
from nightpane.server.body import MIB, decode_payload, read_body
from nightpane.server.errors import CaptureRefusal, JsonResponse
from nightpane.server.ingest import (
    Batch,
    check_token,
    read_batch,
    stored_events,
)
from nightpane.server.keys import Keys
from nightpane.store import Store, StoredEvent
from nightpane.store.json_text import loads

__all__ = ["Intake", "both", "intake", "parse", "quiet_when_gone", "routes"]

BATCH_LIMIT_BYTES = 20 * MIB
SINGLE_LIMIT_BYTES = 2 * MIB
EVENT_LIMIT_BYTES = 983_040
AI_EVENT_LIMIT_BYTES = 8 * MIB
_RETRY_AFTER_S = 2


@dataclass(frozen=True, slots=True)
class Limits:
    """What the server takes in at once."""

    body_timeout_s: float = 30.0
    max_in_flight_bytes: int = 192 * MIB
    threads: int = 1  # Python runs one at a time: more only get in each other's way


class Intake:
    """The way from a request's body to the disk, shared by every capture route."""

    def __init__(
        self,
        store: Store,
        keys: Keys,
        prices: Table,
        *,
        limits: Limits | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.store = store
        self.keys = keys
        self.prices = prices
        self.limits = limits or Limits()
        self.now = clock
        self._pool = ThreadPoolExecutor(self.limits.threads, thread_name_prefix="nightpane-intake")
        self._in_flight_bytes = 0

    async def body(self, request: Request, limit_bytes: int) -> bytes:
        """Return the request's body. Raises CaptureRefusal (408, 413)."""
        return await read_body(request, limit_bytes, self.limits.body_timeout_s)

    async def store_events(
        self, raw: bytes, make: Callable[[], tuple[Sequence[StoredEvent], Any]]
    ) -> Any:
        """Have ``make`` read the events out of ``raw`` in a thread; return its second value.

        By then they are on disk. Raises what ``make`` raises, and CaptureRefusal (503) when the
        store cannot take them.
        """
        if (
            self._in_flight_bytes
            and self._in_flight_bytes + len(raw) > self.limits.max_in_flight_bytes
        ):
            raise CaptureRefusal(
                503, "too many events at once: try again later", retry_after_s=_RETRY_AFTER_S
            )
        self._in_flight_bytes += len(raw)
        try:
            loop = asyncio.get_running_loop()
            done, answer = await loop.run_in_executor(self._pool, self._submit, make)
            if done is not None:
                await asyncio.wrap_future(done)
            return answer
        except StoreError as error:
            raise CaptureRefusal(503, str(error), retry_after_s=_RETRY_AFTER_S) from error
        finally:
            self._in_flight_bytes -= len(raw)

    def close(self) -> None:
        """Let the threads end."""
        self._pool.shutdown(wait=True)

    def _submit(
        self, make: Callable[[], tuple[Sequence[StoredEvent], Any]]
    ) -> tuple[Future[int] | None, Any]:
        events, answer = make()
        return (self.store.submit(events) if events else None), answer


def intake(request: Request) -> Intake:
    """Return the application's intake."""
    found: Intake = request.app.state.intake
    return found


def parse(raw: bytes) -> Any:
    """Return the value of a JSON body. Raises CaptureRefusal (400)."""
    if not raw.strip():
        raise CaptureRefusal(400, "request has an empty body", tag="empty_body")
    try:
        return loads(raw)
    except ValueError as error:
        raise CaptureRefusal(
            400, f"failed to parse request: {error}", tag="request_parsing_error"
        ) from error


Handler = Callable[[Request], Any]


def quiet_when_gone(handler: Handler) -> Handler:
    """Answer nothing to a client that has gone away in the middle of its request."""

    @wraps(handler)
    async def guarded(request: Request) -> Response:
        try:
            answer: Response = await handler(request)
        except ClientDisconnect:
            return Response(status_code=499)
        return answer

    return guarded


def _capture(limit_bytes: int) -> Handler:
    async def capture(request: Request) -> Response:
        if request.method == "HEAD":
            return Response()
        take = intake(request)
        query = request.query_params
        raw = await take.body(request, limit_bytes)

        def make() -> tuple[list[StoredEvent], None]:
            text = decode_payload(
                raw,
                limit_bytes=BATCH_LIMIT_BYTES,
                compression=query.get("compression", ""),
                data=query.get("data"),
            )
            batch = read_batch(parse(text), query=query)
            check_token(batch.token, take.keys)
            return stored_events(batch, take.now(), EVENT_LIMIT_BYTES, take.prices), None

        await take.store_events(raw, make)
        if query.get("beacon") == "1":
            return Response(status_code=204)
        return JsonResponse({"status": "Ok"})

    return quiet_when_gone(capture)


async def _capture_ai_batch(request: Request) -> Response:
    take = intake(request)
    raw = await take.body(request, BATCH_LIMIT_BYTES)

    def make() -> tuple[list[StoredEvent], None]:
        text = decode_payload(raw, limit_bytes=BATCH_LIMIT_BYTES)
        batch = read_batch(parse(text), query=request.query_params)
        check_token(batch.token, take.keys)
        _only_ai(batch)
        return stored_events(batch, take.now(), AI_EVENT_LIMIT_BYTES, take.prices), None

    await take.store_events(raw, make)
    return JsonResponse({"status": "Ok"})


def _only_ai(batch: Batch) -> None:
    for event in batch.events:
        name = event.get("event") if isinstance(event, dict) else None
        if name not in AI_EVENTS:
            raise CaptureRefusal(
                400, f"event {name!r} is not an AI event: send it to /batch/", tag="invalid_batch"
            )


def both(path: str, handler: Handler, methods: list[str]) -> list[Route]:
    """Return routes for a path with and without its trailing slash."""
    return [Route(p, handler, methods=methods) for p in (path, path.rstrip("/"))]


_ANY = ["GET", "POST"]
routes: list[Route] = [
    *both("/batch/", _capture(BATCH_LIMIT_BYTES), _ANY),
    *both("/i/v0/e/", _capture(SINGLE_LIMIT_BYTES), _ANY),
    *both("/e/", _capture(SINGLE_LIMIT_BYTES), _ANY),
    *both("/capture/", _capture(SINGLE_LIMIT_BYTES), _ANY),
    *both("/track/", _capture(SINGLE_LIMIT_BYTES), _ANY),
    *both("/engage/", _capture(SINGLE_LIMIT_BYTES), _ANY),
    *both("/i/v0/ai/batch/", quiet_when_gone(_capture_ai_batch), ["POST"]),
]
