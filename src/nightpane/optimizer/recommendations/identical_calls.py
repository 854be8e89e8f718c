"""Different traces ask the same: answer the second from memory."""

from __future__ import annotations

from nightpane.optimizer.model import Fix, WindowTotals
from nightpane.optimizer.recommendations.facts import Draft, Part, Plan, Prompts, Subject
from nightpane.optimizer.recommendations.money import input_share, scale_to, spend
from nightpane.optimizer.recommendations.reading import PROMPTS
from nightpane.optimizer.recommendations.snippets import Dialect, indented, join, literal
from nightpane.optimizer.words import code, count, usd

__all__ = ["advise"]

NAME = "identical_calls"
_MOST_BYTES = 150_000_000
_BYTES_OF_TOKEN, _BYTES_OF_CALL = 4.0, 1000.0


def days_read(subject: Subject) -> WindowTotals:
    """Return the part of the window whose prompts are compared: all of it, or the last 7 or 3 days
    of an operation with so much text that reading it would take its time."""
    size = subject.metrics.tokens.prompt / subject.metrics.calls * _BYTES_OF_TOKEN + _BYTES_OF_CALL
    longest_first = sorted(subject.metrics.windows, key=lambda one: -one.days)
    fits = (one for one in longest_first if one.calls and one.calls * size <= _MOST_BYTES)
    busy = [one for one in longest_first if one.calls]
    return next(fits, busy[-1])


def advise(subject: Subject) -> Draft | None:
    """Return the advice to keep answers."""
    read = subject.material.prompts.get(subject.name, ())
    if subject.confirmed(NAME) is None or not read:
        return None
    parts = [_part(subject, one) for one in read]
    known = sum(part.usd for part in parts)
    span = days_read(subject)
    scale = scale_to(subject.metrics.cost_usd, span.cost_usd)
    again = sum(part.calls for part in parts)
    share = min(100 * again / span.calls, 100.0)
    kept = 1 - sum(part.low_usd for part in parts) / known if known else 0.0
    most = max(read, key=lambda one: (one.traces, one.cost_usd))
    return Draft(
        cause=NAME,
        title=f"Answer repeated prompts of {code(subject.name, 60)} from memory",
        problem=(
            f"{count(again)} of the {count(span.calls)} calls of {code(subject.name)} in the last "
            f"{span.days} days send a model exactly what another trace had sent it: "
            f"{count(len(read))} prompts are repeated, one of them by "
            f"{count(most.traces)} traces, and each answer is paid for anew."
        ),
        why=(
            f"The repeats cost {spend(subject, scale * known)}; from memory they cost nothing "
            "and come at once."
        ),
        parts=parts,
        method=(
            "Of each repeated prompt, what its calls cost on average times the traces after the "
            "first. Low: an answer is kept for a day only."
            + ("" if scale == 1 else f" Read: the last {span.days} days, scaled by cost to all.")
            + (f" Counted: the dearest {count(PROMPTS)} prompts." if len(read) == PROMPTS else "")
        ),
        fix=_fix(subject.dialect, subject.model),
        plan=Plan(
            metric="Share of calls whose prompt had been sent before",
            unit="%",
            before=share,
            after=share * max(kept, 0.1),
            names=("model", "question", "failed"),
            select="100 * (1 - uniqExact(cityHash64(question, model)) / count())",
            where="failed = 0 AND length(question) > 2",
        ),
        ease=2,
        issues=_issues(read),
        trace_ids=[trace for one in read for trace in one.trace_ids],
        scale=scale,
    )


def _part(subject: Subject, one: Prompts) -> Part:
    each = one.cost_usd / one.calls
    again = one.traces - 1
    inputs = input_share(subject.price(one.model, one.provider), "", 0, one.tokens)
    saved = each * again
    low = each * max(again - one.late, 0)
    return Part("", saved, low, saved, saved * inputs, again)


def _issues(read: tuple[Prompts, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in sorted(read, key=lambda one: (-one.cost_usd, one.trace_ids)):
        for trace in one.trace_ids[:2]:
            found.setdefault(
                trace,
                f"one of {count(one.traces)} traces with this prompt, {usd(one.cost_usd)} together",
            )
    return found


def _fix(dialect: Dialect, model: str) -> Fix:
    call = dialect.call(model)
    after = join(
        "import hashlib\nimport json",
        dialect.client(),
        "def ask(messages: list) -> str:\n"
        f"    asked = json.dumps([{literal(model)}, SYSTEM, messages], sort_keys=True)\n"
        "    key = hashlib.sha256(asked.encode()).hexdigest()\n"
        "    answer = answers.get(key)\n"
        "    if answer is None:\n" + indented(call, 8) + f"\n        answer = {dialect.text}\n"
        "        answers.set(key, answer, ex=86_400)  # seconds: a day\n"
        "    return answer",
    )
    return Fix(
        join(dialect.client(), call, f"answer = {dialect.text}"),
        after.replace(
            "client = ", "answers = redis.Redis(decode_responses=True)\nclient = ", 1
        ).replace("import json\n", "import json\n\nimport redis\n", 1),
        "Right where an answer may be used twice; not where a fresh sample is wanted. "
        "Everything that shapes the answer (model, system prompt, tools, temperature) belongs "
        "into the key. If the repeats are a job that runs twice, mend the job instead.",
    )
