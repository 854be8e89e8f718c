"""One trace asks the same again and again: retry once or twice, with pauses, then give up."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from nightpane.optimizer.causes.retry_storm import LEAST_REPEATS, repeats
from nightpane.optimizer.model import Call, Fix
from nightpane.optimizer.patterns import SAME_SIZE
from nightpane.optimizer.recommendations.facts import Draft, Part, Plan, Subject
from nightpane.optimizer.recommendations.money import input_share, spend
from nightpane.optimizer.recommendations.snippets import Dialect, indented, join
from nightpane.optimizer.words import code, count, usd

__all__ = ["advise", "runs"]

NAME = "retry_storm"
_QUERY = f"""SELECT 100 * sum(if(again >= {LEAST_REPEATS}, again, 0)) / sum(calls) AS value
FROM (
  SELECT
    trace,
    count() AS calls,
    arrayMap(x -> x.2, arraySort(groupArray((at, prompt)))) AS sizes,
    arrayDifference(sizes) AS steps,
    arrayCount((step, size) -> abs(step) <= {SAME_SIZE} * size, steps, sizes) - 1 AS again
  FROM {{calls}}
  WHERE trace != ''
  GROUP BY trace
)"""  # noqa: S608 (constants of this package; values go in placeholders)


def runs(calls: Sequence[Call]) -> list[list[Call]]:
    """Return the repeats of a trace, those of each first call together."""
    again = {call.uuid for call in repeats(calls)}
    found: list[list[Call]] = []
    for before, call in pairwise(calls):
        if call.uuid not in again:
            continue
        if before.uuid in again and found:
            found[-1].append(call)
        else:
            found.append([call])
    return found


def advise(subject: Subject) -> Draft | None:
    """Return the advice to bound retries."""
    read = subject.material.traces.get((NAME, subject.name))
    if subject.confirmed(NAME) is None or read is None:
        return None
    storms = {
        trace: again
        for trace, calls in read.traces.items()
        if sum(map(len, again := runs(calls))) >= LEAST_REPEATS
    }
    if not storms:
        return None
    parts = [_part(subject, trace, again) for trace, again in storms.items()]
    wasted = read.scale * sum(part.high_usd for part in parts)
    suspects = 100 * subject.patterns.repeating_calls / max(subject.patterns.calls, 1)
    unlike = 1 - len(storms) / len(read.traces)
    most = max(max(map(len, again)) for again in storms.values())
    failed = sum(call.failed for trace in storms for call in read.traces[trace])
    return Draft(
        cause=NAME,
        title=f"Stop the retry storms of {code(subject.name, 60)}",
        problem=(
            f"{count(len(storms) * read.scale)} of the {count(subject.patterns.traces)} traces "
            f"of {code(subject.name)} send the same prompt again, up to {count(most)} times in a "
            "row"
            + (
                f"; {count(failed)} of these calls had failed."
                if failed
                else ", although no call failed: the answer arrived and was asked for again."
            )
        ),
        why=f"The repeats cost {spend(subject, wasted)} and delay whoever waits for the trace.",
        parts=parts,
        method=(
            "What the calls after the first retry cost, run by run. Low: two retries are "
            "allowed, as in the SDK's own default; high: none."
            + ("" if read.scale == 1 else f" Read: {count(len(storms))} storms, scaled to all.")
        ),
        fix=_fix(subject.dialect, subject.model, failed=bool(failed)),
        plan=Plan(
            metric="Share of calls that repeat the size of the prompt before, three times or more",
            unit="%",
            before=suspects,
            after=suspects * max(unlike, 0.1),
            names=("trace", "at", "prompt"),
            inner=_QUERY,
        ),
        ease=3,
        issues={
            trace: f"{sum(map(len, again))} repeats of the same prompt, "
            f"{usd(sum(call.cost_usd for run in again for call in run))}"
            for trace, again in sorted(
                storms.items(), key=lambda item: (-sum(map(len, item[1])), item[0])
            )
        },
        excerpt="error" if failed else "prompt",
        scale=read.scale,
    )


def _part(subject: Subject, trace: str, again: Sequence[Sequence[Call]]) -> Part:
    likely, low, high = (
        sum(call.cost_usd for run in again for call in run[allowed:]) for allowed in (1, 2, 0)
    )
    inputs = sum(
        call.cost_usd * input_share(subject.price(call.model, call.provider), "", 0, call.tokens)
        for run in again
        for call in run[1:]
    )
    return Part(trace, likely, low, high, inputs, sum(len(run[1:]) for run in again))


def _fix(dialect: Dialect, model: str, *, failed: bool) -> Fix:
    call = dialect.call(model)
    before = join(
        dialect.client(),
        "while True:\n"
        + indented(call)
        + f"\n    answer = {dialect.text}\n    if acceptable(answer):\n        break",
    )
    after = join(
        "import hashlib\nimport json\nimport random\nimport time",
        "\n".join(filter(None, [dialect.error_import, dialect.client(tries=0)])),
        """
        TRIES = 2
        given_up: set[str] = set()
        """,
        "def ask(messages: list) -> str | None:\n"
        "    key = hashlib.sha256(json.dumps(messages, sort_keys=True).encode()).hexdigest()\n"
        "    if key in given_up:\n"
        "        return None  # asked before, to no avail\n"
        "    for attempt in range(TRIES):\n"
        "        try:\n" + indented(call, 12) + f"\n        except {dialect.transient}:\n"
        "            time.sleep(2**attempt + random.random())\n"
        "            continue\n"
        f"        answer = {dialect.text}\n"
        "        if acceptable(answer):\n"
        "            return answer\n"
        "        messages = with_reason(messages, answer)  # never the same question twice\n"
        "    given_up.add(key)\n"
        "    return None",
    )
    return Fix(
        before,
        after,
        ("Retries of the SDK and of the loop multiply: keep one of them. " if failed else "")
        + "`acceptable` is the caller's own check and `with_reason` tells the model why its "
        "answer was refused; a question that failed twice is given up and reported, not asked "
        "again.",
    )
