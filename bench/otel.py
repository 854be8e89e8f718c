"""How long a default batch of an OpenTelemetry SDK takes to read and to translate.

Prints one JSON line: milliseconds, the best of five.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from nightpane.otel import Source, Span, events_of_spans, json_wire, proto_wire

SPANS = 512
MESSAGE_CHARS = 2_000


def main() -> None:
    """Measure and print."""
    spans = [_span(number) for number in range(SPANS)]
    in_json = json.dumps(json_wire.write_traces(spans)).encode()
    in_protobuf = proto_wire.write_traces(spans)
    print(
        json.dumps(
            {
                "spans": SPANS,
                "protobuf_bytes": len(in_protobuf),
                "read_protobuf_ms": _best_ms(lambda: proto_wire.read_traces(in_protobuf)),
                "read_json_ms": _best_ms(lambda: json_wire.read_traces(json.loads(in_json))),
                "translate_ms": _best_ms(lambda: events_of_spans(spans)),
            }
        )
    )


def _span(number: int) -> Span:
    message = {"role": "user", "parts": [{"type": "text", "content": "x" * MESSAGE_CHARS}]}
    messages = json.dumps([message])
    return Span(
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
        span_id=f"{number + 1:016x}",
        parent_id="f" * 16,
        name="chat gpt-4o",
        start_ns=1_764_000_000_000_000_000,
        end_ns=1_764_000_001_000_000_000,
        attributes={
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.usage.input_tokens": 500,
            "gen_ai.usage.output_tokens": 500,
            "gen_ai.input.messages": messages,
            "gen_ai.output.messages": messages,
            **{f"attribute.{index}": index for index in range(10)},
        },
        source=Source({"service.name": "loop"}, "bench"),
    )


def _best_ms(run: Callable[[], Any]) -> float:
    times = []
    for _ in range(5):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return round(min(times) * 1000, 1)


if __name__ == "__main__":
    main()
