"""One request from its first byte to its event: booked before it is made, told when it is over."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from nightpane.client import carrier
from nightpane.errors import StoreError
from nightpane.ids import new_ulid
from nightpane.router.asked import Asked
from nightpane.router.refusal import Refusal
from nightpane.router.routing import Route
from nightpane.router.rules import Key
from nightpane.router.service import Service
from nightpane.router.upstream import Usage

__all__ = ["Exchange"]

log = logging.getLogger("nightpane")

_MAX_ID_CHARS = 200


class Exchange:
    """A request that was understood. ``begin`` books it; one of the others ends it, once."""

    def __init__(
        self, service: Service, key: Key, asked: Asked, headers: Mapping[str, str]
    ) -> None:
        self._service = service
        # Those it began with: a changed file may replace the service's own meanwhile.
        self.rules = service.rules
        self.upstream = service.upstream
        self._key = key
        self._asked = asked
        # Without a round of the caller's, none: not the one the proxy itself may run in.
        self._baggage = headers.get("baggage", "") if carrier.read(dict(headers)) else ""
        self._span_id = headers.get("x-span-id", "")[:_MAX_ID_CHARS] or None
        self._began = time.monotonic()
        self._first_s: float | None = None
        self._is_over = False
        self.route: Route | None = None
        self.request_id = f"tm-{new_ulid()}"

    def begin(self) -> Route:
        """Return where it goes, its worst cost booked. Raises Refusal when it may not be made."""
        self.route = self._service.route(self._key, self._asked)
        worst = self._service.worst_usd(self.route, self._asked)
        self._service.ledger.reserve(self._key, self.request_id, worst, self._baggage or None)
        return self.route

    def first(self) -> None:
        """Note that the first piece of a stream came."""
        self._first_s = time.monotonic() - self._began

    def answered(
        self,
        model: str,
        usage: Usage,
        cost_usd: float | None,
        *,
        completion_id: str | None = None,
        **more: Any,
    ) -> None:
        """End it with an answer."""
        self._end(model, usage, cost_usd, {"$ai_completion_id": completion_id, **more}, 200)

    def refused(self, refusal: Refusal) -> None:
        """End it with an error; a call that was never made cost nothing."""
        model = self.route.model if self.route else self._asked.model
        about = {"$ai_is_error": True, "$ai_error": refusal.code}
        self._end(model, Usage(), 0.0, about, refusal.status)

    def broken(self, model: str, output_tokens: int, status: int, code: str) -> None:
        """End a stream that did not come to its end; what came is booked by its length."""
        usage = Usage(self._asked.input_tokens, output_tokens)
        about = {"$ai_is_error": True, "$ai_error": code, "tokens_estimated": True}
        self._end(model, usage, self.upstream.price(model, usage), about, status)

    def headers(self, model: str, cost_usd: float | None) -> dict[str, str]:
        """Return the answer's own headers. The cost of a stream is not known when it begins."""
        found = {
            "x-token-machine-request-id": self.request_id,
            "x-token-machine-model": model,
            "x-token-machine-rule": self.rules.id,
            "x-token-machine-reason": self.route.reason if self.route else "",
        }
        if cost_usd is not None:
            found["x-token-machine-cost-usd"] = f"{cost_usd:.9f}"
        return found

    def _end(
        self, model: str, usage: Usage, cost_usd: float | None, about: dict[str, Any], status: int
    ) -> None:
        if self._is_over:
            return
        self._is_over = True
        task = self.route.task_type if self.route else self._asked.task_type
        try:
            self._service.ledger.settle(self.request_id, cost_usd, task_type=task, model=model)
        except StoreError as error:
            # The answer is there already; what was booked stays booked.
            log.warning("token machine: %s", error)
        about |= self._about(model, status)
        self._service.machine.request(
            model_used=model,
            user_id=self._key.user,
            task_type=task,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cost_usd=cost_usd if usage.input_tokens is not None else None,
            efficiency_grade=self._service.learned.letters.get(self._key.user),
            latency_ms=round((time.monotonic() - self._began) * 1000),
            request_id=self.request_id,
            span_id=self._span_id,
            agent=self._key.agent,
            baggage=self._baggage,
            **{name: value for name, value in about.items() if value is not None},
        )

    def _about(self, model: str, status: int) -> dict[str, Any]:
        named = self.rules.models.get(model)
        first = None if self._first_s is None else round(self._first_s * 1000)
        routed = self.route.model if self.route else None
        return {
            "team": self._key.team,
            "key_name": self._key.name,
            "rule_id": self.rules.id,
            "model_asked": self._asked.model[:_MAX_ID_CHARS],
            "route_reason": self.route.reason if self.route else None,
            "litellm_model": named.model if named else None,
            "stood_in_for": routed if routed not in (None, model) else None,
            "is_stream": self._asked.is_stream,
            "first_piece_ms": first,
            "$ai_http_status": status,
        }
