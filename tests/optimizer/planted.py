"""A project's model calls with problems planted among clean operations, and the truth about them.

Names, sizes, prices and times vary with the seed. Prompts are random words, four characters to a
token, so that token counts and texts agree. ``truth`` maps each operation to what is wrong with it
(causes of step 5, failure modes of step 6); a clean operation maps to nothing.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import requests

from nightpane.testing import LocalServer

__all__ = ["Planted", "plant", "send"]

# USD per million tokens, by model: input, output, cache read. Written down here on purpose: the
# totals are computed without the code under test.
PRICES = {
    ("openai", "gpt-4o"): ("2.5", "10", "1.25"),
    ("openai", "gpt-4o-mini"): ("0.15", "0.6", "0.075"),
    ("anthropic", "claude-sonnet-4-5"): ("3", "15", "0.3"),
    ("anthropic", "claude-haiku-4-5"): ("1", "5", "0.1"),
    ("anthropic", "claude-opus-4-1"): ("15", "75", "1.5"),
}
MINI, LARGE = ("openai", "gpt-4o-mini"), ("openai", "gpt-4o")
SONNET, HAIKU, OPUS = (
    ("anthropic", f"claude-{name}") for name in ("sonnet-4-5", "haiku-4-5", "opus-4-1")
)
_VERBS = [
    *("answer", "check", "draft", "fetch", "grade", "label", "match", "merge"),
    *("parse", "plan", "rank", "read", "route", "score", "write"),
]
_NOUNS = [
    *("address", "brief", "claim", "email", "invoice", "lead", "memo", "order"),
    *("page", "quote", "reply", "ticket", "trip"),
]


@dataclass
class Planted:
    """The events in the shape of ``/batch/``, and what is true of them."""

    events: list[dict[str, Any]] = field(default_factory=list)
    truth: dict[str, set[str]] = field(default_factory=dict)
    unpriced: dict[str, int] = field(default_factory=dict)
    cost_usd: Decimal = Decimal(0)
    cost_by_operation: dict[str, Decimal] = field(default_factory=dict)


class _Maker:
    def __init__(self, seed: int, now: datetime) -> None:
        self.random = random.Random(seed)
        self.now = now
        self.made = Planted()
        self.words = [self._word() for _ in range(2000)]
        names = [f"{verb}_{noun}" for verb in _VERBS for noun in _NOUNS]
        self.random.shuffle(names)
        self.names = iter(names)

    def _word(self) -> str:
        return "".join(
            self.random.choices("abcdefghijklmnopqrstuvwxyz", k=self.random.randint(3, 9))
        )

    def text(self, tokens: float) -> str:
        """Random words, four characters to a token."""
        wanted, parts, size = round(tokens * 4), [], 0
        while size < wanted:
            parts.append(self.random.choice(self.words))
            size += len(parts[-1]) + 1
        return " ".join(parts)[: max(wanted, 1)]

    def around(self, middle: float, spread: float = 0.25) -> int:
        return max(1, round(middle * self.random.lognormvariate(0, spread)))

    def operation(self, *wrong: str) -> str:
        name = next(self.names)
        self.made.truth[name] = set(wrong)
        return name

    def when(self, days: float = 12) -> datetime:
        return self.now - timedelta(seconds=self.random.uniform(600, days * 86400))

    def trace(self) -> str:
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def call(
        self,
        operation: str,
        model: tuple[str, str],
        prompt: str | list[dict[str, Any]],
        output: int,
        *,
        at: datetime | None = None,
        trace: str = "",
        answer: Any = None,
        cached: int = 0,
        known: bool = True,
        **more: Any,
    ) -> None:
        messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        sent = sum(len(one["content"]) for one in messages) // 4
        provider, name = model
        inclusive = sent if provider == "openai" else sent - cached
        failed = more.get("$ai_http_status", 200) >= 400
        properties: dict[str, Any] = {
            "$ai_trace_id": trace or self.trace(),
            "$ai_span_name": operation,
            "$ai_provider": provider,
            "$ai_model": name,
            "$ai_input": messages,
            "$ai_output_choices": None if failed else self._answer(answer, output),
            "$ai_input_tokens": inclusive,
            "$ai_output_tokens": output,
            "$ai_latency": round(0.3 + output / 80 + self.random.random(), 3),
            "$ai_http_status": 200,
            "$ai_is_error": failed,
            "$ai_stop_reason": "stop",
            **({"$ai_cache_read_input_tokens": cached} if cached else {}),
            **more,
        }
        if known:
            into, out, read = (Decimal(one) / 1_000_000 for one in PRICES[model])
            cost = (sent - cached) * into + cached * read + output * out
            properties |= {"$ai_total_cost_usd": float(cost), "$ai_cost_passthrough": True}
            made = self.made
            made.cost_usd += cost
            made.cost_by_operation[operation] = (
                made.cost_by_operation.get(operation, Decimal(0)) + cost
            )
        self.made.events.append(
            {
                "event": "$ai_generation",
                "uuid": str(uuid.UUID(int=self.random.getrandbits(128), version=4)),
                "timestamp": (at or self.when()).isoformat(),
                "distinct_id": "planted",
                "properties": properties,
            }
        )

    def _answer(self, answer: Any, output: int) -> Any:
        if answer is not None:
            return answer
        return [{"role": "assistant", "content": [{"type": "text", "text": self.text(output)}]}]


def plant(seed: int, now: datetime, project: str = "planted") -> Planted:
    """Return the calls of the fortnight before ``now``, as those of a project."""
    maker = _Maker(seed, now)
    parts: list[Callable[[_Maker], None]] = [*_PROBLEMS, *_CLEAN]
    maker.random.shuffle(parts)
    for part in parts:
        part(maker)
    maker.random.shuffle(maker.made.events)
    for event in maker.made.events:
        event["properties"]["project"] = project
    return maker.made


def send(server: LocalServer, events: list[dict[str, Any]]) -> None:
    """Deliver events to a server, a hundred at a time."""
    for start in range(0, len(events), 100):
        body = {"api_key": server.api_key, "batch": events[start : start + 100]}
        requests.post(f"{server.host}/batch/", json=body, timeout=60).raise_for_status()


def _retry_storm(m: _Maker) -> None:
    name = m.operation("retry_storm")
    for _ in range(60):
        trace, at, prompt = m.trace(), m.when(), m.text(m.around(900))
        again = m.random.randint(5, 11) if m.random.random() < 0.25 else 0
        for number in range(1 + again):
            at += timedelta(seconds=m.random.uniform(1, 6))
            m.call(name, SONNET, prompt, m.around(150), at=at, trace=trace)
            if not again and number == 0 and m.random.random() < 0.3:
                m.call(
                    name, SONNET, prompt, m.around(150), at=at + timedelta(seconds=3), trace=trace
                )


def _bloated_prompts(m: _Maker) -> None:
    name = m.operation("prompt_bloat")
    for _ in range(60):
        m.call(name, LARGE, m.text(m.around(14_000, 0.1)), m.around(90))


def _premium_for_trivial(m: _Maker) -> None:
    name, model = m.operation("model_misuse"), m.random.choice([LARGE, OPUS, SONNET])
    for _ in range(150):
        m.call(name, model, m.text(m.around(250)), m.random.randint(1, 8))


def _identical_calls(m: _Maker) -> None:
    name = m.operation("identical_calls")
    known = [m.text(m.around(700)) for _ in range(12)]
    for _ in range(160):
        prompt = m.random.choice(known) if m.random.random() < 0.7 else m.text(m.around(700))
        m.call(name, LARGE, prompt, m.around(200))


def _growing_context(m: _Maker) -> None:
    name = m.operation("context_stuffing")
    for _ in range(20):
        trace, at, messages = m.trace(), m.when(), [{"role": "user", "content": m.text(500)}]
        for _ in range(m.random.randint(8, 13)):
            at += timedelta(seconds=m.random.uniform(20, 200))
            m.call(name, LARGE, list(messages), m.around(200), at=at, trace=trace)
            messages += [
                {"role": "assistant", "content": m.text(m.around(200))},
                {"role": "user", "content": m.text(m.around(600))},
            ]


def _truncations(m: _Maker) -> None:
    name = m.operation("truncated")
    for _ in range(120):
        if m.random.random() < 0.25:
            m.call(name, MINI, m.text(m.around(1200)), 512, **{"$ai_stop_reason": "length"})
        else:
            m.call(name, MINI, m.text(m.around(1200)), m.around(330))


def _empty_outputs(m: _Maker) -> None:
    name = m.operation("empty")
    for _ in range(140):
        prompt = m.text(m.around(800))
        if m.random.random() < 0.12:
            nothing = m.random.choice([[], [{"role": "assistant", "content": ""}]])
            m.call(name, HAIKU, prompt, 0, answer=nothing)
        else:
            m.call(name, HAIKU, prompt, m.around(180))


def _rate_limit_bursts(m: _Maker) -> None:
    name = m.operation("rate_limits", "errors", "own_bursts")
    for _ in range(200):
        m.call(name, MINI, m.text(m.around(400)), m.around(90))
    for _ in range(4):
        at = m.when().replace(second=0, microsecond=0)
        for number in range(45):
            when = at + timedelta(seconds=number)
            if number > 15:
                refused = {
                    "$ai_http_status": 429,
                    "$ai_error": "Rate limit reached for requests",
                    "$ai_is_error": m.random.choice([True, "true", 1]),
                }
                m.call(name, MINI, m.text(m.around(400)), 0, at=when, **refused)
            else:
                m.call(name, MINI, m.text(m.around(400)), m.around(90), at=when)


def _unpriced_model(m: _Maker) -> None:
    name, model = m.operation("unpriced"), f"zephyr-{m.random.randint(10, 99)}-preview"
    for _ in range(80):
        m.call(name, ("openai", model), m.text(m.around(900)), m.around(200), known=False)
    m.made.unpriced[model] = 80


def _cache_misses(m: _Maker) -> None:
    name, system = m.operation("cache_misses"), m.text(3500)
    for _ in range(6):
        at = m.when()
        for _ in range(25):
            at += timedelta(seconds=m.random.uniform(2, 20))
            messages = [
                {"role": "system", "content": system},
                {"role": "user", "content": m.text(m.around(500))},
            ]
            m.call(name, SONNET, messages, m.around(250), at=at)


def _tool_loops(m: _Maker) -> None:
    name = m.operation("tool_loop")
    for _ in range(30):
        trace, at, stuck = m.trace(), m.when(), m.random.random() < 0.4
        messages, same = [{"role": "user", "content": m.text(600)}], m.text(8)
        for _ in range(m.random.randint(6, 9) if stuck else m.random.randint(2, 4)):
            at += timedelta(seconds=m.random.uniform(3, 20))
            arguments = f'{{"query": "{same if stuck else m.text(8)}"}}'
            call = {"name": "search", "arguments": arguments}
            answer = [
                {
                    "role": "assistant",
                    "content": [
                        {"type": "function", "id": f"call_{m.trace()[:8]}", "function": call}
                    ],
                }
            ]
            m.call(name, LARGE, list(messages), m.around(40), at=at, trace=trace, answer=answer)
            messages.append({"role": "tool", "content": m.text(m.around(120))})


def _runaway_output(m: _Maker) -> None:
    name = m.operation("runaway_output")
    for _ in range(150):
        long = m.random.random() < 0.06
        m.call(name, SONNET, m.text(m.around(700)), m.around(6000, 0.1) if long else m.around(220))


def _clean_summaries(m: _Maker) -> None:
    name = m.operation()
    for _ in range(120):
        m.call(name, MINI, m.text(m.around(2500)), m.around(300))


def _clean_plans(m: _Maker) -> None:
    name = m.operation()
    for _ in range(120):
        failed = (
            {"$ai_http_status": 500, "$ai_error": "overloaded"} if m.random.random() < 0.01 else {}
        )
        m.call(name, SONNET, m.text(m.around(1200)), 0 if failed else m.around(600), **failed)


def _clean_agent(m: _Maker) -> None:
    """Its context grows too, but a cache takes what was sent before."""
    name = m.operation()
    for _ in range(25):
        trace, at, size = m.trace(), m.when(), 3000
        text, sent = m.text(15_000), 0
        for _ in range(m.random.randint(4, 9)):
            at += timedelta(seconds=m.random.uniform(5, 40))
            m.call(name, SONNET, text[: size * 4], m.around(150), at=at, trace=trace, cached=sent)
            sent, size = size, size + m.around(900)


def _clean_candidates(m: _Maker) -> None:
    """Several prompts of nearly the same size in a trace, each its own."""
    name = m.operation()
    for _ in range(40):
        trace, at = m.trace(), m.when()
        for _ in range(6):
            m.call(name, HAIKU, m.text(640), m.around(120), at=at, trace=trace)
            at += timedelta(seconds=1)


def _clean_labels(m: _Maker) -> None:
    name = m.operation()
    for _ in range(150):
        m.call(name, MINI, m.text(m.around(250)), m.random.randint(1, 8))


def _clean_judge(m: _Maker) -> None:
    name = m.operation()
    for _ in range(100):
        m.call(name, OPUS, m.text(m.around(1800)), m.around(260))


_PROBLEMS: tuple[Callable[[_Maker], None], ...] = (
    _retry_storm,
    _bloated_prompts,
    _premium_for_trivial,
    _identical_calls,
    _growing_context,
    _truncations,
    _empty_outputs,
    _rate_limit_bursts,
    _unpriced_model,
    _cache_misses,
    _tool_loops,
    _runaway_output,
)
_CLEAN: tuple[Callable[[_Maker], None], ...] = (
    _clean_summaries,
    _clean_plans,
    _clean_agent,
    _clean_candidates,
    _clean_labels,
    _clean_judge,
)
