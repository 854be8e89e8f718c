"""Failures that are more than noise: cut answers, empty ones, rate limits, time-outs, errors.

Mending a failure seldom saves what it cost, since the work is then done properly: a saving is claimed
for failed calls that were paid for, and for nothing else. What failures are worth ranks the advice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nightpane.optimizer.failures import FLAGS, PATTERNS
from nightpane.optimizer.model import FailureFinding, FailureKind, Fix
from nightpane.optimizer.recommendations.facts import Draft, Excerpt, Group, Part, Plan, Subject
from nightpane.optimizer.recommendations.money import calls_of, input_share, merged, spend
from nightpane.optimizer.recommendations.snippets import join
from nightpane.optimizer.words import code, count, percent, usd

__all__ = ["KINDS", "advise_on"]

_INNER = f"""SELECT 100 * countIf(%s) / count() AS value
FROM (SELECT operation, failed, {FLAGS} FROM {{calls}} WHERE operation = {{operation}})"""  # noqa: S608 (constants of this package; values go in placeholders)
_NAMES = (
    *("operation", "status", "failed", "latency", "stop", "prompt", "output", "cost", "error"),
)


@dataclass(frozen=True, slots=True)
class _Kind:
    """How one failure mode is told of: ``flag`` is the HogQL that marks it."""

    finding: FailureKind
    title: str
    metric: str
    flag: str
    issue: str
    excerpt: Excerpt
    ease: int
    fix: Callable[[Subject, tuple[Group, ...]], Fix]
    consequence: str
    paid: bool = False


def advise_on(kind: str, subject: Subject) -> Draft | None:
    """Return the advice on one failure mode of an operation, where it is a finding."""
    about = KINDS[kind]
    finding = subject.failures.finding(about.finding) if subject.failures else None
    groups = tuple(one for one in subject.groups(kind) if one.trace_id)
    if finding is None or not groups:
        return None
    calls = sum(one.calls for one in subject.groups(kind))
    share = calls / subject.metrics.calls
    cost = sum(one.cost_usd for one in subject.groups(kind))
    good = subject.metrics.calls - subject.metrics.errors
    each = (subject.metrics.cost_usd - subject.metrics.error_cost_usd) / max(good, 1)
    paid = f" {spend(subject, cost)} was paid for them." if cost > 0 else ""
    return Draft(
        cause=kind,
        title=about.title.format(operation=code(subject.name, 60)),
        problem=_problem(subject, finding, calls, kind),
        why=(
            f"{count(calls)} calls of {code(subject.name)}, {percent(share)} of them, "
            f"{about.consequence}.{paid}"
        ),
        parts=_parts(subject, groups) if about.paid else [],
        method=(
            "What the failed calls cost, if they are all prevented. Low: those of the most frequent "
            "model alone."
            if about.paid
            else "No saving is claimed: calls that succeed cost money too."
        ),
        fix=about.fix(subject, groups),
        plan=Plan(
            metric=about.metric,
            unit="%",
            before=100 * share,
            after=10 * share,
            names=_NAMES,
            inner=_INNER.replace("%s", about.flag),
            values={name: text for name, text in PATTERNS.items()},
        ),
        ease=about.ease,
        issues=_issues(groups, about.issue),
        excerpt=about.excerpt,
        lost_usd=cost + calls * each,
    )


def _problem(subject: Subject, finding: FailureFinding, calls: int, kind: str) -> str:
    text = f"Of {code(subject.name)}, {finding.text}."
    if kind == "rate_limits":
        own = [one for one in subject.bursts if one.own is not None]
        text += "".join(f" With {code(one.model, 40)}, {one.reason}." for one in own[:2])
    return text


def _parts(subject: Subject, groups: tuple[Group, ...]) -> list[Part]:
    paid = [one for one in groups if one.cost_usd > 0]
    costs: dict[str, float] = {}
    for one in paid:
        costs[one.model] = costs.get(one.model, 0.0) + one.cost_usd
    most = max(sorted(costs), key=lambda name: costs[name]) if costs else ""
    return merged(
        Part(
            one.trace_id,
            one.cost_usd,
            one.cost_usd if one.model == most else 0.0,
            one.cost_usd,
            one.cost_usd
            * input_share(subject.price(one.model, one.provider), one.tier, one.above, one.tokens),
            one.calls,
        )
        for one in paid
    )


def _issues(groups: tuple[Group, ...], issue: str) -> dict[str, str]:
    return {
        one.trace_id: f"{calls_of(one.calls)} {issue}"
        + (f", {usd(one.cost_usd)}" if one.cost_usd > 0 else "")
        for one in sorted(groups, key=lambda one: (-one.calls, -one.cost_usd, one.trace_id))
    }


def _truncated(subject: Subject, groups: tuple[Group, ...]) -> Fix:
    dialect, model = subject.dialect, subject.model
    longest = max(one.tokens.output / one.calls for one in groups)
    now, then = round(longest), _raised(subject, longest)
    after = join(
        dialect.client(),
        dialect.call(model, limit=str(then)),
        f"""
        if {dialect.cut}:
            raise ValueError("the answer is cut off: do not use it")
        """,
    )
    return Fix(
        join(dialect.client(), dialect.call(model, limit=str(now)), f"use({dialect.text})"),
        join(after, f"use({dialect.text})"),
        f"The cut answers end at {count(now)} tokens. Raise the limit, and check why an answer ended "
        "before using it; where shorter answers would do, ask for them in the prompt.",
    )


def _raised(subject: Subject, longest: float) -> int:
    price = subject.price(subject.model, subject.dearest.provider)
    most = price.entry.get("max_output_tokens") if price else None
    doubled = max(round(2 * longest), 256)
    return min(doubled, int(most)) if isinstance(most, int | float) and most > longest else doubled


def _empty(subject: Subject, groups: tuple[Group, ...]) -> Fix:
    dialect, model = subject.dialect, subject.model
    reason = {
        "openai": "response.choices[0].finish_reason",
        "anthropic": "response.stop_reason",
        "gemini": "response.candidates[0].finish_reason if response.candidates else "
        "response.prompt_feedback",
        "bedrock": 'response["stopReason"]',
    }[dialect.api]
    text = {
        "openai": 'response.choices[0].message.content or ""',
        "anthropic": '"".join(one.text for one in response.content if one.type == "text")',
        "gemini": 'response.text or ""',
        "bedrock": '"".join(one.get("text", "") '
        'for one in response["output"]["message"]["content"])',
    }[dialect.api]
    call = "\n".join("    " + line for line in dialect.call(model).splitlines())
    after = join(
        "import logging",
        dialect.client(),
        f"def ask(messages: list) -> str:\n{call}\n    text = {text}\n"
        "    if not text.strip():\n"
        f'        logging.error("empty answer: %s", {reason})\n'
        '        raise ValueError("the model answered nothing")\n'
        "    return text",
    )
    return Fix(
        join(dialect.client(), dialect.call(model), f"use({dialect.text})"),
        after,
        "An empty answer passes for a success. Refuse it, and log why the model stopped: a content "
        "filter, a stop sequence at the very start, or a limit that reasoning used up ask for different "
        "remedies.",
    )


def _rate_limits(subject: Subject, groups: tuple[Group, ...]) -> Fix:
    dialect, model = subject.dialect, subject.model
    own = any(one.own for one in subject.bursts)
    call = "\n".join("        " + line for line in dialect.call(model).splitlines())
    before = join(
        "from concurrent.futures import ThreadPoolExecutor",
        dialect.client(tries=0),
        "def ask(messages: list) -> str:\n"
        + "\n".join("    " + line for line in dialect.call(model).splitlines())
        + f"\n    return {dialect.text}",
        "with ThreadPoolExecutor(64) as pool:\n    answers = list(pool.map(ask, conversations))",
    )
    after = join(
        "import threading\nfrom concurrent.futures import ThreadPoolExecutor",
        dialect.client(tries=5),
        "AT_ONCE = threading.BoundedSemaphore(8)",
        "def ask(messages: list) -> str:\n    with AT_ONCE:\n"
        + call
        + f"\n    return {dialect.text}",
        "with ThreadPoolExecutor(64) as pool:\n    answers = list(pool.map(ask, conversations))",
    )
    why = (
        "The limits follow its own bursts: send fewer calls at once, and let the client wait as the "
        "answer's Retry-After asks."
        if own
        else "Its own load is as usual when the limit is reached: another program uses the same key. "
        "Retries with pauses help; a key or a quota of its own helps more."
    )
    return Fix(before, after, f"{why} The numbers are to be set by the account's limit.")


def _timeouts(subject: Subject, groups: tuple[Group, ...]) -> Fix:
    dialect, model = subject.dialect, subject.model
    usual = subject.metrics.latency_s
    limit = max(10, min(600, round(2 * usual.p95)))
    most = max(256, 2 * round(subject.metrics.output.p95))
    return Fix(
        join(dialect.client(), dialect.call(model)),
        join(dialect.client(tries=1, timeout_s=limit), dialect.call(model, limit=str(most))),
        f"Half of its calls answer within {usual.p50:.1f} s and 95 % within {usual.p95:.1f} s. A time "
        f"limit of {limit} s ends the hopeless ones early, one retry gives them a second chance, and a "
        "bound on the answer keeps long generations from running into it. Stream answers that people "
        "wait for.",
    )


def _errors(subject: Subject, groups: tuple[Group, ...]) -> Fix:
    dialect, model = subject.dialect, subject.model
    call = "\n".join("        " + line for line in dialect.call(model).splitlines())
    after = join(
        "import logging",
        dialect.error_import,
        dialect.client(tries=2),
        "def ask(messages: list) -> str:\n"
        "    check(messages)  # what the provider refused, refused here for nothing\n"
        f"    try:\n{call}\n    except {dialect.transient}:\n"
        '        logging.exception("the provider failed twice")\n'
        "        raise\n"
        f"    return {dialect.text}",
    )
    return Fix(
        join(dialect.client(), dialect.call(model), f"use({dialect.text})"),
        after,
        "Read the message in the excerpt first. A request that is wrong (4xx) fails as often as it is "
        "sent: `check` must refuse it before it is. What is the provider's fault (5xx, connections) is "
        "worth a retry with pauses, which the SDK does by itself, and no more than that.",
    )


KINDS: dict[str, _Kind] = {
    "truncated": _Kind(
        "truncated",
        "Mend the answers of {operation} that are cut off",
        "Share of answers that end at their limit",
        "cut",
        "cut off at the limit",
        "answer",
        3,
        _truncated,
        "end in mid-sentence and pass for complete",
    ),
    "empty": _Kind(
        "empty",
        "Refuse the empty answers of {operation}",
        "Share of calls that succeed with an empty answer",
        "empty",
        "without a word of answer",
        "prompt",
        3,
        _empty,
        "return nothing and count as a success",
    ),
    "rate_limits": _Kind(
        "rate_limits",
        "Keep {operation} below its rate limit",
        "Share of calls refused by a rate limit",
        "refused",
        "refused with 429",
        "error",
        2,
        _rate_limits,
        "are refused, and their work is late or lost",
    ),
    "timeouts": _Kind(
        "timeouts",
        "End the time-outs of {operation}",
        "Share of calls that time out",
        "late",
        "timed out",
        "error",
        2,
        _timeouts,
        "keep their caller waiting for nothing",
        paid=True,
    ),
    "errors": _Kind(
        "errors",
        "Mend the failing calls of {operation}",
        "Share of calls that fail (rate limits and time-outs apart)",
        "failed AND NOT late AND NOT refused",
        "failed",
        "error",
        2,
        _errors,
        "fail",
        paid=True,
    ),
}
