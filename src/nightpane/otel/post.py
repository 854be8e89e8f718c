"""Spans to an OTLP receiver over HTTP: a collector, another backend, or nightpane itself."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nightpane.errors import ApiError, UnreachableError
from nightpane.otel import json_wire, proto_wire
from nightpane.otel.model import Span

__all__ = ["FORMATS", "Receiver", "encode"]

FORMATS = {"otlp-json": "application/json", "otlp-protobuf": "application/x-protobuf"}
_TIMEOUT_S = 30.0
_RETRIES = 3
_LONGEST_WAIT_S = 30.0
_RETRYABLE = (429, 502, 503, 504)  # OTLP's own list


def encode(spans: Sequence[Span], kind: str) -> bytes:
    """Return the spans as one export request in one of ``FORMATS``.

    JSON comes without line ends. Requests in protobuf may be joined: together they are one request.
    """
    if kind == "otlp-protobuf":
        return proto_wire.write_traces(spans)
    return json.dumps(
        json_wire.write_traces(spans), ensure_ascii=False, separators=(",", ":")
    ).encode("utf-8", "replace")


class Receiver:
    """Posts requests to one address, gzipped, waiting out what OTLP calls retryable."""

    def __init__(
        self,
        endpoint: str,
        kind: str,
        headers: Mapping[str, str],
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        import requests  # imported late: who writes a file never needs it

        self.endpoint = endpoint
        self._kind = kind
        self._sleep = sleep
        self._session = requests.Session()
        self._session.headers.update({**headers, "Content-Type": FORMATS[kind]})
        self._session.headers["Content-Encoding"] = "gzip"

    def post(self, request: bytes) -> int:
        """Return how many spans of an encoded request were refused.

        Raises UnreachableError when nothing answers, ApiError when the request is refused.
        """
        import requests

        body = gzip.compress(request)
        for attempt in range(_RETRIES + 1):
            try:
                answer = self._session.post(self.endpoint, data=body, timeout=_TIMEOUT_S)
            except (requests.ConnectionError, requests.Timeout) as error:
                raise UnreachableError(
                    f"{self.endpoint} does not answer ({type(error).__name__}): is the receiver up?"
                ) from error
            if answer.status_code not in _RETRYABLE or attempt == _RETRIES:
                break
            self._sleep(_wait_s(answer.headers.get("Retry-After"), attempt))
        if not answer.ok:
            raise ApiError(
                f"{self.endpoint} answered {answer.status_code}: {answer.text[:200]!r}",
                status=answer.status_code,
            )
        return self._refused(answer.content)

    def _refused(self, body: bytes) -> int:
        if self._kind == "otlp-protobuf":
            return proto_wire.refused_spans(body)
        try:
            told: Any = json.loads(body or b"{}")
            return int(told.get("partialSuccess", {}).get("rejectedSpans", 0))
        except (ValueError, AttributeError, TypeError):
            return 0  # an answer in another form still means that it was taken


def _wait_s(header: str | None, attempt: int) -> float:
    asked = float(header) if header is not None and header.isdecimal() else 0.0
    return float(min(max(asked, 0.5 * 2**attempt), _LONGEST_WAIT_S))
