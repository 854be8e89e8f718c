"""Every call of a conversation sends all that went before: keep the latest turns and a summary.

The saving replays each trace with its own sizes: the opening prompt, a summary of 500 tokens, and
what the latest turns added. Making the summaries is paid for in it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from nightpane.optimizer.causes.context_stuffing import grows
from nightpane.optimizer.model import Call, Fix, Tokens
from nightpane.optimizer.recommendations.facts import Draft, Part, Plan, Subject
from nightpane.optimizer.recommendations.measuring import cv_of
from nightpane.optimizer.recommendations.money import repriced, spend
from nightpane.optimizer.recommendations.snippets import Dialect, join
from nightpane.optimizer.words import code, count, percent

__all__ = ["SUMMARY_TOKENS", "advise"]

NAME = "context_stuffing"
_CACHED = {
    "openai": "the provider's cache takes it by itself from 1,024 tokens on",
    "anthropic": "a cache takes it where the last message carries `cache_control`",
    "gemini": "the provider's cache takes it by itself",
    "bedrock": "a cache takes it where the last message ends in a `cachePoint`",
}
SUMMARY_TOKENS = 500
_TURNS, _MANY_TURNS, _FEW_TURNS = 4, 8, 2


def windowed(calls: Sequence[Call], turns: int) -> list[float]:
    """Return the prompt tokens of each call with only the latest turns and a summary."""
    sizes = [call.tokens.prompt for call in calls]
    added = [0.0] + [max(b - a, 0.0) for a, b in pairwise(sizes)]
    return [
        min(size, sizes[0] + SUMMARY_TOKENS + math.fsum(added[max(1, i - turns + 1) : i + 1]))
        for i, size in enumerate(sizes)
    ]


def _saved(subject: Subject, calls: Sequence[Call], turns: int) -> float:
    """What a trace costs less with a window of turns, the summaries' own cost taken off."""
    saved, last_rates, after_tokens = 0.0, None, windowed(calls, turns)
    for call, size in zip(calls, after_tokens, strict=True):
        price = subject.price(call.model, call.provider)
        if price is None or not call.tokens.prompt:
            continue
        last_rates = price.rates()
        ratio, sent = size / call.tokens.prompt, call.tokens
        after = Tokens(
            sent.uncached * ratio, sent.cache_read * ratio, sent.cache_write * ratio, sent.output
        )
        saved += call.cost_usd - repriced(call.cost_usd, last_rates, sent, after, last_rates)
    dropped = max(
        (call.tokens.prompt - size for call, size in zip(calls, after_tokens, strict=True))
    )
    if last_rates is None or dropped <= 0:
        return 0.0
    summaries = last_rates.cost(Tokens(uncached=dropped, output=SUMMARY_TOKENS))
    return max(saved - summaries, 0.0)


def advise(subject: Subject) -> Draft | None:
    """Return the advice to window the conversation."""
    read = subject.material.traces.get((NAME, subject.name))
    if subject.confirmed(NAME) is None or read is None:
        return None
    growing = {trace: calls for trace, calls in read.traces.items() if grows(calls)}
    if not growing:
        return None
    parts = []
    for trace, calls in growing.items():
        likely = _saved(subject, calls, _TURNS)
        low, high = _saved(subject, calls, _MANY_TURNS), _saved(subject, calls, _FEW_TURNS)
        parts.append(Part(trace, likely, min(low, likely), max(high, likely), likely, len(calls)))
    seen = subject.patterns
    cost = read.scale * sum(call.cost_usd for calls in growing.values() for call in calls)
    resent = seen.growing_resent / max(seen.growing_prompt, 1.0)
    before = subject.metrics.tokens.prompt / subject.metrics.calls
    return Draft(
        cause=NAME,
        title=f"Keep a window of the conversation in {code(subject.name, 60)}",
        problem=(
            f"In {count(seen.growing_traces)} of the {count(seen.traces)} traces of "
            f"{code(subject.name)} every call sends all that was said before: {percent(resent)} "
            "of their prompt tokens had been sent already, and a cache gave "
            f"{percent(seen.growing_cached / max(seen.growing_prompt, 1.0))} of them."
        ),
        why=(
            f"These traces cost {spend(subject, cost)}. With n turns the cost grows as n²: the "
            f"longest conversations, {count(seen.calls_max)} calls at most, cost the most by far."
        ),
        parts=parts,
        method=(
            "Each trace replayed with its own sizes: what it opened with, a summary of "
            f"{SUMMARY_TOKENS} tokens and the latest {_TURNS} turns; reading the dropped turns "
            f"once for the summary is paid. Low: {_MANY_TURNS} turns; high: {_FEW_TURNS}."
            + (
                ""
                if read.scale == 1
                else f" Read: {count(len(growing))} traces, scaled by cost to all."
            )
        ),
        fix=_fix(subject.dialect, subject.model),
        plan=Plan(
            metric="Mean prompt of a call",
            unit="tokens",
            before=before,
            after=before * _kept(subject, growing),
            names=("prompt",),
            select="avg(prompt)",
            cv=cv_of(subject.metrics.prompt),
        ),
        ease=2,
        issues={
            trace: f"{len(calls)} calls, prompts from {count(calls[0].tokens.prompt)} to "
            f"{count(calls[-1].tokens.prompt)} tokens"
            for trace, calls in sorted(
                growing.items(),
                key=lambda item: (-sum(call.cost_usd for call in item[1]), item[0]),
            )
        },
        scale=read.scale,
    )


def _kept(subject: Subject, growing: dict[str, tuple[Call, ...]]) -> float:
    """The share of the operation's prompt tokens that stays."""
    sent = math.fsum(call.tokens.prompt for calls in growing.values() for call in calls)
    kept = math.fsum(size for calls in growing.values() for size in windowed(calls, _TURNS))
    share = min(1.0, subject.patterns.growing_prompt / max(subject.metrics.tokens.prompt, 1.0))
    return 1 - share * (1 - kept / max(sent, 1.0))


def _fix(dialect: Dialect, model: str) -> Fix:
    own = "model" if dialect.api == "gemini" else "assistant"
    before = join(
        dialect.client(),
        "messages.append(turn)",
        dialect.call(model),
    )
    after = join(
        dialect.client(),
        f"""
        TURNS = {_TURNS}


        def window(messages: list, summary: str) -> list:
            \"\"\"The task, a summary of what was dropped, and the latest turns.\"\"\"
            if len(messages) <= 2 * TURNS + 1:
                return messages
            start = len(messages) - 2 * TURNS
            while messages[start]["role"] != "{own}":
                start += 1  # a tool's result must follow its call
            return [with_text(messages[0], summary), *messages[start:]]
        """,
        "messages.append(turn)",
        dialect.call(model, messages="window(messages, summary)"),
    )
    return Fix(
        before,
        after,
        "`summary` is kept by the loop (what was tried, found and decided, in some 300 words), "
        "written by a small model when turns fall out; `with_text` appends it to the first "
        "message. Move the window some turns at a time: between two moves the beginning stays "
        f"the same, and {_CACHED[dialect.api]}.",
    )
