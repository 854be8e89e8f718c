"""A large shared beginning is paid in full on every call: have the provider cache it.

The saving replays the calls in their order against a cache that forgets after five minutes without
use, at the price map's rates for reading and writing it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from nightpane.optimizer.model import Fix, Tokens
from nightpane.optimizer.price_map import ModelPrice, Rates
from nightpane.optimizer.recommendations.facts import Draft, Part, Plan, Prefixed, Subject
from nightpane.optimizer.recommendations.money import repriced, spend
from nightpane.optimizer.recommendations.reading import PREFIXED
from nightpane.optimizer.recommendations.snippets import Dialect, join, literal
from nightpane.optimizer.words import code, count, percent, usd

__all__ = ["advise", "minimum_tokens"]

NAME = "cache_misses"
_TTL_S, _SHORT_TTL_S, _LONG_TTL_S = 300.0, 150.0, 3600.0
# Of Anthropic's and Google's models, by name; 1,024 tokens elsewhere.
_MINIMA = (
    (r"haiku-4-5|opus-4-[5-9]", 4096),
    (r"haiku|sonnet-4-6", 2048),
    (r"gemini-2\.\d-flash", 2048),
    (r"gemini", 4096),
)
_ABOVE_1H = "cache_creation_input_token_cost_above_1hr"


def minimum_tokens(price: ModelPrice) -> int:
    """Return the smallest prefix that the provider caches for a model, by its documentation."""
    name = price.name.lower()
    return next((tokens for words, tokens in _MINIMA if re.search(words, name)), 1024)


@dataclass(frozen=True, slots=True)
class _Replay:
    saved: dict[str, float]
    reads: int
    writes: int
    read_tokens: float
    prefix_tokens: float


def _replay(subject: Subject, calls: Sequence[Prefixed], ttl_s: float, hour: bool) -> _Replay:
    """Replay the calls against a cache that keeps a prefix ``ttl_s`` after its last use."""
    last: dict[tuple[str, str, str], float] = {}
    saved: dict[str, float] = {}
    reads = writes = 0
    read_tokens = prefix_tokens = 0.0
    for call in calls:
        price = subject.price(call.model, call.provider)
        size = call.tokens.prompt * min(1.0, subject.contents.stable_chars / max(call.chars, 1))
        if price is None or not price.caches or size < minimum_tokens(price):
            continue
        key = (call.model, call.provider, call.prefix)
        hit = key in last and call.at_s - last[key] <= ttl_s
        last[key] = call.at_s
        moved = min(size, call.tokens.uncached)
        rates = price.rates(call.tier, call.above)
        after, cost = _cached(call, moved, hit), call.cost_usd
        then = repriced(cost, rates, call.tokens, after, _of_hour(price, rates) if hour else rates)
        saved[call.trace_id] = saved.get(call.trace_id, 0.0) + cost - then
        reads, writes = reads + hit, writes + (not hit)
        read_tokens += moved if hit else 0.0
        prefix_tokens += size
    return _Replay(saved, reads, writes, read_tokens, prefix_tokens / max(reads + writes, 1))


def _cached(call: Prefixed, moved: float, hit: bool) -> Tokens:
    tokens = replace(call.tokens, uncached=call.tokens.uncached - moved)
    if hit:
        return replace(tokens, cache_read=tokens.cache_read + moved)
    return replace(tokens, cache_write=tokens.cache_write + moved)


def _of_hour(price: ModelPrice, rates: Rates) -> Rates:
    """The rates with a cache of an hour, which costs more to write where it has a price."""
    write = price.entry.get(_ABOVE_1H)
    return replace(rates, cache_write=float(write)) if write else rates


def advise(subject: Subject) -> Draft | None:
    """Return the advice to cache the shared prefix, where that would have paid."""
    read = subject.material.prefixed.get(subject.name, ())
    if subject.confirmed(NAME) is None or not read:
        return None
    calls = [one for one in read if one.chars >= subject.contents.stable_chars]
    likely = _replay(subject, calls, _TTL_S, hour=False)
    low = _replay(subject, calls, _SHORT_TTL_S, hour=False)
    high = _replay(subject, calls, _LONG_TTL_S, hour=True)
    parts = [
        Part(trace, usd_, low.saved[trace], max(high.saved[trace], usd_), usd_)
        for trace, usd_ in likely.saved.items()
    ]
    if not likely.reads:
        return None
    scale = _scale(subject, read)
    prompt = subject.metrics.tokens.prompt
    cached = subject.metrics.tokens.cache_read
    hits = percent(likely.reads / (likely.reads + likely.writes))
    prefix = count(likely.prefix_tokens)
    cost = sum(one.cost_usd for one in calls) * scale
    return Draft(
        cause=NAME,
        title=f"Cache the {prefix}-token prefix of {code(subject.name, 60)}",
        problem=(
            f"The prompts of {code(subject.name)} begin alike for at least {prefix} tokens, "
            f"{percent(likely.prefix_tokens / max(prompt / subject.metrics.calls, 1))} of the "
            f"mean prompt, and {percent(cached / prompt if prompt else 0)} of its prompt tokens "
            f"came from a cache. {hits} of the calls follow another with the same beginning "
            "within five minutes."
        ),
        why=(
            f"These calls cost {spend(subject, cost)}; the shared beginning is paid at the full "
            f"price each time, where {code(subject.model)} reads it from a cache at "
            f"{percent(_read_price(subject))} of that."
        ),
        parts=parts,
        method=(
            f"Each call replayed in order against a cache of five minutes: {count(likely.reads)} "
            f"reads and {count(likely.writes)} writes at the price map's rates. Low: it forgets "
            "after two and a half minutes; high: it keeps the prefix for an hour."
            + ("" if scale == 1 else f" Read: the latest {count(len(read))} calls, scaled by cost.")
        ),
        fix=_fix(subject.dialect, subject),
        plan=Plan(
            metric="Share of prompt tokens read from the cache",
            unit="%",
            before=100 * cached / prompt if prompt else 0.0,
            after=100 * min(1.0, (cached + scale * likely.read_tokens) / prompt) if prompt else 0.0,
            names=("cache_read", "prompt"),
            select="100 * sum(cache_read) / sum(prompt)",
        ),
        ease=2 if subject.dialect.api == "gemini" else 3,
        issues=_issues(calls, likely),
        scale=scale,
    )


def _scale(subject: Subject, read: Sequence[Prefixed]) -> float:
    known = sum(one.cost_usd for one in read)
    whole = subject.metrics.cost_usd - subject.metrics.error_cost_usd
    if len(read) < PREFIXED and len(read) >= subject.metrics.calls - subject.metrics.errors:
        return 1.0
    return max(1.0, whole / known) if known else 1.0


def _read_price(subject: Subject) -> float:
    price = subject.price(subject.model, subject.dearest.provider)
    rates = price.rates() if price else None
    return rates.cache_read / rates.uncached if rates else 0.0


def _issues(calls: Sequence[Prefixed], replayed: _Replay) -> dict[str, str]:
    """The traces that would have saved most, each with what it paid in full."""
    sizes: dict[str, list[float]] = {}
    for call in calls:
        if call.trace_id:
            sizes.setdefault(call.trace_id, []).append(call.tokens.uncached)
    best = sorted(
        (one for one in replayed.saved if one in sizes),
        key=lambda one: (-replayed.saved[one], one),
    )
    return {
        trace: f"{count(sum(sizes[trace]))} prompt tokens in full over {len(sizes[trace])} "
        f"call{'s' if len(sizes[trace]) > 1 else ''}; {usd(replayed.saved[trace])} less with a "
        "cache"
        for trace in best[:10]
    }


def _fix(dialect: Dialect, subject: Subject) -> Fix:
    model, client = subject.model, dialect.client()
    before = join(client, dialect.call(model))
    if dialect.api == "anthropic":
        system = '[{"type": "text", "text": SYSTEM, "cache_control": {"type": "ephemeral"}}]'
        return Fix(
            before,
            join(client, dialect.call(model, system=system)),
            "Mark the end of what never changes. Whatever varies (dates, ids, user data) "
            "belongs after the mark: one changed character before it misses the cache.",
        )
    if dialect.api == "bedrock":
        after = dialect.call(model).replace(
            'system=[{"text": SYSTEM}]',
            'system=[{"text": SYSTEM}, {"cachePoint": {"type": "default"}}]',
        )
        return Fix(before, join(client, after), "A cache point ends the part that never changes.")
    if dialect.api == "gemini":
        after = join(
            client,
            f"""
            cache = client.caches.create(
                model={literal(model)},
                config=types.CreateCachedContentConfig(system_instruction=SYSTEM, ttl="300s"),
            )
            """,
            dialect.call(model, system="", more=["cached_content=cache.name"]),
        )
        return Fix(
            before,
            after,
            "An explicit cache also costs storage by the hour, which the price map does not "
            "list and the saving leaves out: let it expire when traffic stops.",
        )
    return _openai(dialect, subject, client)


def _openai(dialect: Dialect, subject: Subject, client: str) -> Fix:
    mixed = '[{"role": "user", "content": f"{SYSTEM}\\n\\n{question}"}]'
    before = join(client, dialect.call(subject.model, system="", messages=mixed))
    routed = dialect.package == "openai" and not dialect.base_url
    after = (
        dialect.call(
            subject.model,
            messages='[{"role": "user", "content": question}]',
            more=[f"prompt_cache_key={literal(subject.name[:64])}"] if routed else [],
        )
        .replace("*[{", "{")
        .replace("question}]]", "question}]")
    )
    return Fix(
        before,
        join(client, after),
        f"{dialect.title} caches beginnings of 1,024 tokens and more by itself, yet these calls "
        "hardly hit. Keep the shared part byte for byte the same and first"
        + (
            ", and give calls that share it one `prompt_cache_key`, so that they reach the same "
            "cache."
            if routed
            else "; whatever varies comes last."
        ),
    )
