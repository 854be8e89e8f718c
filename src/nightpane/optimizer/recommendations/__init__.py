"""Step 8: what to change, ranked by impact × ease.

Advice comes from confirmed verdicts and findings alone; where they are few, so is the advice. Every
saving is what the very calls that would change would have cost less.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from nightpane.optimizer.fields import Scope
from nightpane.optimizer.model import (
    Causes,
    Contents,
    Evidence,
    Failures,
    History,
    Metrics,
    OperationVariance,
    Options,
    Patterns,
    Pricing,
    Recommendation,
    Sample,
    Tails,
)
from nightpane.optimizer.recommendations import (
    accounting,
    cache_misses,
    context_stuffing,
    failing,
    identical_calls,
    malformed_output,
    measuring,
    model_misuse,
    money,
    prompt_bloat,
    reading,
    retry_storm,
    runaway_output,
    tool_loop,
)
from nightpane.optimizer.recommendations.excerpts import excerpt
from nightpane.optimizer.recommendations.facts import Draft, Material, Subject
from nightpane.optimizer.recommendations.reading import Seen, Wanted
from nightpane.optimizer.source import Source
from nightpane.optimizer.words import code, percent

__all__ = ["run"]

_RULES = (
    cache_misses,
    model_misuse,
    identical_calls,
    retry_storm,
    tool_loop,
    context_stuffing,
    prompt_bloat,
    runaway_output,
    malformed_output,
)
_LEAST_SHARE, _LEAST_OF_OPERATION = 0.001, 0.01
"""A saving below these shares of all cost and of the operation's is not worth a change."""
_MOST = 20
_SHOWN = 5
_IDS = 1000
_MOST_OF_IT = 0.5


@dataclass(frozen=True, slots=True)
class _Advice:
    subject: Subject
    draft: Draft

    @property
    def id(self) -> str:
        about = self.draft.about or self.subject.name
        return f"{self.draft.cause}:{re.sub(r'[^!-~]+', '_', about)[:100]}"

    @property
    def shown(self) -> list[str]:
        """The traces of the table of evidence."""
        return list(self.draft.issues)[:_SHOWN]

    @property
    def saved_usd(self) -> float:
        return self.draft.scale * sum(part.usd for part in self.draft.parts)

    @property
    def score(self) -> float:
        return self.draft.ease * max(self.saved_usd, self.draft.lost_usd)

    @property
    def worth_it(self) -> bool:
        if not self.draft.parts or self.draft.lost_usd > 0:
            return True
        whole, own = self.subject.whole.cost_usd, self.subject.metrics.cost_usd
        return self.saved_usd >= max(_LEAST_SHARE * whole, _LEAST_OF_OPERATION * own)


def run(
    source: Source,
    scope: Scope,
    options: Options,  # noqa: ARG001 (of every step; at least so many is never a reason to pad)
    pricing: Pricing,
    metrics: Metrics,
    variance: tuple[OperationVariance, ...],  # noqa: ARG001 (as above)
    causes: Causes,
    failures: Failures,
    samples: tuple[Sample, ...],
    history: History,
) -> tuple[Recommendation, ...]:
    """Return the recommendations, ranked; what shipped or was rejected before is left out."""
    subjects = [
        _subject(one.operation, scope, pricing, metrics, causes, failures, samples)
        for one in metrics.operations
    ]
    material = reading.read(source, scope, _wanted(subjects, scope, pricing))
    found = [
        advice
        for subject in subjects
        for draft in _drafts(replace(subject, material=material))
        if (advice := _Advice(subject, draft)).worth_it
        and advice.id not in history.skip
        and any(draft.issues)
    ]
    found = sorted(found, key=lambda one: (-one.score, one.id))[:_MOST]
    return tuple(_recommendations(source, scope, found))


def _subject(
    name: str,
    scope: Scope,
    pricing: Pricing,
    metrics: Metrics,
    causes: Causes,
    failures: Failures,
    samples: tuple[Sample, ...],
) -> Subject:
    measured = metrics.operation(name)
    assert measured is not None  # noqa: S101 (told to the type checker)
    return Subject(
        metrics=measured,
        diagnosis=causes.operation(name),
        failures=failures.operation(name),
        bursts=tuple(one for one in failures.bursts if one.operation == name),
        usage=tuple(one for one in pricing.usage if one.operation == name),
        patterns=causes.patterns.get(name, Patterns()),
        tails=causes.tails.get(name, Tails()),
        contents=causes.contents.get(name, Contents()),
        pricing=pricing,
        whole=metrics,
        scope=scope,
        material=Material(),
        samples=tuple(one for one in samples if one.operation == name),
    )


def _drafts(subject: Subject) -> Iterator[Draft]:
    rules = [rule.advise(subject) for rule in _RULES]
    rules += [failing.advise_on(kind, subject) for kind in failing.KINDS]
    # A model's advice stands with the operation that asks it most.
    rules += [
        accounting.unpriced(subject, one)
        for one in subject.pricing.unpriced
        if _asks_most(subject, one.model, one.provider)
    ]
    rules += [
        accounting.differing(subject, one)
        for one in subject.pricing.checks
        if _asks_most(subject, one.model, one.provider)
    ]
    yield from (draft for draft in rules if draft is not None)


def _asks_most(subject: Subject, model: str, provider: str) -> bool:
    calls: dict[str, int] = {}
    for one in subject.pricing.usage:
        if (one.model, one.provider) == (model, provider):
            calls[one.operation] = calls.get(one.operation, 0) + one.calls
    return bool(calls) and max(sorted(calls), key=lambda name: calls[name]) == subject.name


def _wanted(subjects: Sequence[Subject], scope: Scope, pricing: Pricing) -> Wanted:
    """Return what the rules have to be told, as far as verdicts and findings call for it."""
    groups: set[tuple[str, str]] = set()
    dear: set[tuple[str, str, str]] = set()
    prompts, outputs, shapes, loops, lengths = {}, {}, {}, {}, {}
    for one in subjects:
        name, seen = one.name, one.patterns
        if one.confirmed(model_misuse.NAME):
            dear |= model_misuse.dear_models(one)
            groups.add((model_misuse.NAME, name))
        if one.confirmed(prompt_bloat.NAME):
            prompts[name] = prompt_bloat.limits(one)
            groups.add((prompt_bloat.NAME, name))
        if one.confirmed(runaway_output.NAME):
            outputs[name] = runaway_output.limits(one)
            groups.add((runaway_output.NAME, name))
        groups |= {
            (kind, name)
            for kind, about in failing.KINDS.items()
            if one.failures and one.failures.finding(about.finding)
        }
        if one.confirmed(retry_storm.NAME):
            shapes[retry_storm.NAME, name] = seen.repeating_cost_usd * seen.sampled
        if one.confirmed(context_stuffing.NAME):
            shapes[context_stuffing.NAME, name] = seen.growing_cost_usd * seen.sampled
        if verdict := one.confirmed(tool_loop.NAME):
            loops[name] = verdict.trace_ids
        if one.confirmed(cache_misses.NAME) and one.contents.stable_chars:
            lengths[name] = (one.contents.stable_chars, _since(one))
        for kind, models in (("unpriced", pricing.unpriced), ("differing", pricing.checks)):
            if any(_asks_most(one, each.model, each.provider) for each in models):
                groups.add((kind, name))
    return Wanted(
        groups=frozenset(groups),
        prompts=prompts,
        outputs=outputs,
        dear=frozenset(dear),
        unpriced=frozenset((each.model, each.provider) for each in pricing.unpriced),
        differing=frozenset((each.model, each.provider) for each in pricing.checks),
        shapes=shapes,
        loops=loops,
        repeated={
            one.name: scope.since(identical_calls.days_read(one).days)
            for one in subjects
            if one.confirmed(identical_calls.NAME)
        },
        lengths=lengths,
    )


def _since(subject: Subject) -> datetime:
    """Return since when an operation made about as many calls as a replay takes."""
    share = min(1.0, reading.PREFIXED / subject.metrics.calls)
    scope = subject.scope
    if share == 1.0:
        return scope.start
    return max(scope.start, subject.metrics.last - share * timedelta(days=scope.days))


def _recommendations(
    source: Source, scope: Scope, found: Sequence[_Advice]
) -> Iterator[Recommendation]:
    planned = [
        (one.subject, one.draft.plan, measuring.timing(one.subject, one.draft.plan))
        for one in found
    ]
    numbers = measuring.baselines(source, scope, planned)
    kept = [
        (one, measuring.measurement(subject, plan, timed, number))
        for one, (subject, plan, timed), number in zip(found, planned, numbers, strict=True)
        if not measuring.is_gone(plan, timed, number)
    ]
    pairs = {(one.subject.name, trace) for one, _ in kept for trace in one.shown}
    known = reading.seen(source, scope, pairs)
    for place, (one, measurement) in enumerate(kept, 1):
        draft, name = one.draft, one.subject.name
        rows = [(trace, known[name, trace]) for trace in one.shown if (name, trace) in known]
        yield Recommendation(
            id=one.id,
            cause=draft.cause,
            operation=name,
            title=draft.title,
            problem=draft.problem,
            why=draft.why + _concentration(draft),
            evidence=tuple(_evidence(draft, name, trace, seen) for trace, seen in rows),
            excerpt=excerpt(draft.excerpt, [seen for _, seen in rows]),
            fix=draft.fix,
            measurement=measurement,
            saving=money.saving(one.subject, draft, _ids(draft)),
            ease=draft.ease,
            priority=place,
        )


def _concentration(draft: Draft) -> str:
    """Say so when a single trace makes up most of a saving: then it may be an accident."""
    saved = {part.trace_id: part.usd for part in draft.parts if part.trace_id}
    most = max(sorted(saved), key=lambda trace: saved[trace], default="")
    total = sum(saved.values())
    if len(saved) < 2 or saved[most] <= _MOST_OF_IT * total:
        return ""
    return f" One trace, {code(most, 80)}, makes up {percent(saved[most] / total)} of the saving."


def _evidence(draft: Draft, name: str, trace: str, seen: Seen) -> Evidence:
    return Evidence(trace, name, seen.cost_usd, seen.tokens, draft.issues[trace])


def _ids(draft: Draft) -> tuple[str, ...]:
    """The traces that the saving was computed from, or that show the problem where none is."""
    ids = draft.trace_ids or [part.trace_id for part in draft.parts if part.trace_id]
    return tuple(sorted(dict.fromkeys(ids or draft.issues)))[:_IDS]
