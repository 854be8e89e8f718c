"""The proxy's HTTP side: OpenAI's endpoints, so that any of its clients need only another address.

Errors have OpenAI's shape. Nothing of a prompt, an answer or a key is ever logged.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route as Endpoint

from nightpane.router.asked import Asked, read_asked, read_json
from nightpane.router.exchange import Exchange
from nightpane.router.refusal import Refusal
from nightpane.router.rules import AUTO
from nightpane.router.service import Service
from nightpane.router.stream import Stream
from nightpane.router.upstream import Answer

__all__ = ["create_app"]

log = logging.getLogger("nightpane")

_Handler = Callable[[Request], Awaitable[Response]]
_MAX_FEEDBACK_BYTES = 16 * 1024
_CLIENT_GONE = 499


def create_app(
    service: Service,
    lifespan: Callable[[Starlette], AbstractAsyncContextManager[None]] | None = None,
) -> Starlette:
    """Return the proxy as an ASGI application."""
    handlers = _Handlers(service)
    return Starlette(
        routes=[
            Endpoint("/v1/chat/completions", _guarded(handlers.chat), methods=["POST"]),
            Endpoint("/v1/embeddings", _guarded(handlers.embeddings), methods=["POST"]),
            Endpoint("/v1/feedback", _guarded(handlers.feedback), methods=["POST"]),
            Endpoint("/v1/models", _guarded(handlers.models), methods=["GET"]),
            Endpoint("/health", _guarded(handlers.health), methods=["GET"]),
        ],
        exception_handlers={404: _no_page, 405: _no_page},
        lifespan=lifespan,
    )


class _Handlers:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def chat(self, request: Request) -> Response:
        exchange, asked = await self._begin(request, is_embedding=False)
        if asked.is_stream:
            return await self._stream(exchange, asked)
        return await self._whole(exchange, asked)

    async def embeddings(self, request: Request) -> Response:
        return await self._whole(*await self._begin(request, is_embedding=True))

    async def feedback(self, request: Request) -> Response:
        key = self._service.key(request.headers.get("authorization"))
        body = await read_json(request, _MAX_FEEDBACK_BYTES)
        score = _score(body.get("score"))
        call = self._service.ledger.call(str(body.get("request_id")))
        if call is None or (call.key != key.name and not key.is_grader):
            raise Refusal(
                404,
                "invalid_request_error",
                "request_not_found",
                "no request with this request_id was made with this key (x-token-machine-request-id"
                " of an answer has it; a key with grader = true may grade those of others)",
                param="request_id",
            )
        self._service.machine.feedback(
            call.request_id,
            score,
            graded_by=key.user,
            user_id=call.user,
            task_type=call.task_type,
            model_used=call.model,
            baggage=call.baggage or "",
        )
        return JSONResponse({"request_id": call.request_id, "score": score})

    async def models(self, request: Request) -> Response:
        key = self._service.key(request.headers.get("authorization"))
        rules = self._service.rules
        names = [AUTO, *rules.task_types, *(key.models or rules.models)]
        made = {"object": "model", "created": 0, "owned_by": "token-machine"}
        return JSONResponse({"object": "list", "data": [{"id": name, **made} for name in names]})

    async def health(self, request: Request) -> Response:
        del request
        service = self._service
        return JSONResponse(
            {
                "status": "ok" if service.problem is None else "degraded",
                "rule_id": service.rules.id,
                "models": len(service.rules.models),
                "evidence": len(service.learned.evidence),
                # Not the text: it may name files and hosts, and this needs no key.
                "has_problem": service.problem is not None,
            }
        )

    async def _begin(self, request: Request, *, is_embedding: bool) -> tuple[Exchange, Asked]:
        key = self._service.key(request.headers.get("authorization"))
        settings = self._service.rules.settings
        body = await read_json(request, settings.max_body_bytes)
        asked = read_asked(
            body, request.headers.get("x-task-type"), settings, is_embedding=is_embedding
        )
        exchange = Exchange(self._service, key, asked, request.headers)
        try:
            exchange.begin()
        except Refusal as refusal:
            exchange.refused(refusal)
            raise
        return exchange, asked

    async def _whole(self, exchange: Exchange, asked: Asked) -> Response:
        assert exchange.route is not None  # noqa: S101 (told to the type checker)
        upstream, route = exchange.upstream, exchange.route
        ask = upstream.embed if asked.is_embedding else upstream.complete
        try:
            answer = await ask(route.model, route.fallbacks, asked.params)
        except Refusal as refusal:
            exchange.refused(refusal)
            refusal.headers |= exchange.headers(route.model, None)
            raise
        except BaseException:
            exchange.broken(route.model, 0, _CLIENT_GONE, "cancelled")
            raise
        self._answered(exchange, asked, answer)
        return JSONResponse(answer.body, headers=exchange.headers(answer.model, answer.cost_usd))

    def _answered(self, exchange: Exchange, asked: Asked, answer: Answer) -> None:
        told: dict[str, Any] = {"completion_id": answer.body.get("id")}
        if exchange.rules.settings.emit_contents and not asked.is_embedding:
            told["$ai_input"] = asked.params["messages"]
            told["$ai_output_choices"] = [one.get("message") for one in answer.body["choices"]]
        exchange.answered(answer.model, answer.usage, answer.cost_usd, **told)

    async def _stream(self, exchange: Exchange, asked: Asked) -> Response:
        assert exchange.route is not None  # noqa: S101 (told to the type checker)
        chain = (exchange.route.model, *exchange.route.fallbacks)
        try:
            stream = await Stream.open(exchange.upstream, chain, asked.params)
        except Refusal as refusal:
            exchange.refused(refusal)
            refusal.headers |= exchange.headers(chain[0], None)
            raise
        except BaseException:
            exchange.broken(chain[0], 0, _CLIENT_GONE, "cancelled")
            raise
        exchange.first()
        return StreamingResponse(
            self._pieces(exchange, asked, stream),
            media_type="text/event-stream",
            headers={"cache-control": "no-cache", **exchange.headers(stream.model, None)},
        )

    async def _pieces(
        self, exchange: Exchange, asked: Asked, stream: Stream
    ) -> AsyncIterator[bytes]:
        completion_id = None
        try:
            async for piece in stream:
                completion_id = completion_id or piece.get("id")
                if piece["choices"] or asked.wants_usage:
                    yield _event(piece)
            self._streamed(exchange, asked, stream, completion_id)
            yield b"data: [DONE]\n\n"
        except Refusal as refusal:
            exchange.broken(stream.model, stream.text_tokens, refusal.status, refusal.code)
            yield _event(refusal.body())
        finally:
            # Still open only when the client has gone.
            exchange.broken(stream.model, stream.text_tokens, _CLIENT_GONE, "client_gone")
            with anyio.CancelScope(shield=True):
                await stream.aclose()

    def _streamed(
        self, exchange: Exchange, asked: Asked, stream: Stream, completion_id: str | None
    ) -> None:
        told: dict[str, Any] = {"completion_id": completion_id}
        if stream.was_cut:
            told["was_cut"] = True
        if exchange.rules.settings.emit_contents:
            told["$ai_input"] = asked.params["messages"]
            told["$ai_output_choices"] = [{"role": "assistant", "content": stream.text}]
        exchange.answered(stream.model, stream.usage, stream.cost_usd, **told)


def _guarded(handler: _Handler) -> _Handler:
    async def run(request: Request) -> Response:
        try:
            return await handler(request)
        except Refusal as refusal:
            return JSONResponse(refusal.body(), refusal.status, headers=refusal.headers)
        except ClientDisconnect:
            return Response(status_code=_CLIENT_GONE)
        except Exception as error:  # noqa: BLE001 (no request may end the proxy)
            log.warning("token machine: a request failed: %s", type(error).__name__)
            fault = Refusal(
                500, "api_error", "internal_error", "the proxy failed; its log says how"
            )
            return JSONResponse(fault.body(), fault.status)

    return run


async def _no_page(request: Request, error: Exception) -> Response:
    status = int(getattr(error, "status_code", 404))
    text = f"there is no {request.method} {request.url.path} here"
    return JSONResponse(
        Refusal(status, "invalid_request_error", "unknown_url", text).body(), status
    )


def _event(body: object) -> bytes:
    return b"data: " + json.dumps(body, ensure_ascii=False).encode("utf-8", "replace") + b"\n\n"


def _score(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and 0 <= value <= 1:
        return float(value)
    text = "'score' must be a number from 0 to 1"
    raise Refusal(400, "invalid_request_error", "invalid_request", text, param="score")
