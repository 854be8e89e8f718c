"""The same tool is called with the same arguments over and over: remember the answer, then stop."""

from __future__ import annotations

from collections.abc import Sequence

from nightpane.optimizer.contents import LOOP
from nightpane.optimizer.contents import PATTERNS as CONTENT
from nightpane.optimizer.messages import tool_calls
from nightpane.optimizer.model import Call, Fix
from nightpane.optimizer.recommendations.facts import Draft, Part, Plan, Subject
from nightpane.optimizer.recommendations.money import input_share, scale_to, spend
from nightpane.optimizer.recommendations.snippets import Dialect, indented, join
from nightpane.optimizer.words import code, count, usd

__all__ = ["advise", "loops"]

NAME = "tool_loop"
_QUERY = f"""SELECT 100 * sum(if(same >= {LOOP}, same - 1, 0)) / sum(same) AS value
FROM (
  SELECT trace, signature, count() AS same
  FROM (
    SELECT trace, arrayStringConcat(extractAll(answer, {{signature}})) AS signature
    FROM {{calls}}
    WHERE trace != '' AND failed = 0 AND match(answer, {{tool}})
  )
  GROUP BY trace, signature
)"""  # noqa: S608 (constants of this package; values go in placeholders)


def loops(calls: Sequence[Call]) -> list[list[Call]]:
    """Return the calls that ask for the same tools with the same arguments, four times or more."""
    made: dict[object, list[Call]] = {}
    for call in calls:
        signature = tool_calls(call.output_text)
        if signature and not call.failed:
            made.setdefault(signature, []).append(call)
    return [same for same in made.values() if len(same) >= LOOP]


def advise(subject: Subject) -> Draft | None:
    """Return the advice to break the loop."""
    read = subject.material.traces.get((NAME, subject.name))
    verdict = subject.confirmed(NAME)
    if verdict is None or read is None:
        return None
    found = {trace: same for trace, calls in read.traces.items() if (same := loops(calls))}
    if not found:
        return None
    seen = subject.contents
    parts = [_part(subject, trace, same) for trace, same in found.items()]
    known = sum(part.usd for part in parts)
    scale = scale_to(verdict.wasted_usd, known) if seen.loop_traces > len(found) else 1.0
    share = 100 * seen.loop_calls / max(seen.tool_calls, 1)
    return Draft(
        cause=NAME,
        title=f"Break the tool loops of {code(subject.name, 60)}",
        problem=(
            f"{count(seen.loop_traces)} traces of {code(subject.name)} call a tool with the very "
            f"arguments they called it with before, {LOOP} to "
            f"{count(max(len(same) for all_ in found.values() for same in all_))} times: the "
            "answer had been in the context since the first."
        ),
        why=(
            f"The calls after the first cost {spend(subject, scale * known)}, and each makes the "
            "context of all that follow longer."
        ),
        parts=parts,
        method=(
            "What the calls after the first of each loop cost. Low: the second call is allowed, "
            "as a check."
            + ("" if scale == 1 else f" Read: {count(len(found))} traces, scaled by cost to all.")
        ),
        fix=_fix(subject.dialect, subject.model),
        plan=Plan(
            metric=f"Share of tool calls that belong to a loop ({LOOP} equal calls or more)",
            unit="%",
            before=share,
            after=share / 10,
            names=("trace", "answer", "failed"),
            inner=_QUERY,
            values={"signature": CONTENT["signature"], "tool": CONTENT["tool"]},
        ),
        ease=2,
        issues={
            trace: f"{code(_tool(same[0][0]), 40)} {len(same[0])} times with the same arguments, "
            f"{usd(sum(call.cost_usd for one in same for call in one[1:]))} after the first"
            for trace, same in sorted(found.items(), key=lambda item: (-len(item[1][0]), item[0]))
        },
        excerpt="answer",
        scale=scale,
    )


def _tool(call: Call) -> str:
    return tool_calls(call.output_text)[0][0]


def _part(subject: Subject, trace: str, found: Sequence[Sequence[Call]]) -> Part:
    after_first = [call for same in found for call in same[1:]]
    after_second = [call for same in found for call in same[2:]]
    likely = sum(call.cost_usd for call in after_first)
    inputs = sum(
        call.cost_usd * input_share(subject.price(call.model, call.provider), "", 0, call.tokens)
        for call in after_first
    )
    low = sum(call.cost_usd for call in after_second)
    return Part(trace, likely, low, likely, inputs, len(after_first))


def _fix(dialect: Dialect, model: str) -> Fix:
    call = dialect.call(
        model, more=["tools=TOOLS"] if dialect.api != "bedrock" else ["toolConfig=TOOLS"]
    )
    loop = indented(call)
    step = """
    for name, arguments in tool_calls(response):
        messages.append(tool_message(name, {run}))
"""
    before = join(
        dialect.client(),
        "while not done(messages):\n" + loop + step.replace("{run}", "run_tool(name, arguments)"),
    )
    after = join(
        "import json",
        dialect.client(),
        """
        MOST_REPEATS = 2
        results: dict[str, str] = {}
        asked: dict[str, int] = {}


        def run_once(name: str, arguments: dict) -> str:
            key = json.dumps([name, arguments], sort_keys=True)
            asked[key] = asked.get(key, 0) + 1
            if asked[key] > MOST_REPEATS:
                raise RuntimeError(f"stuck: {name} was asked {asked[key]} times for the same thing")
            if key in results:
                return f"You have this result already, it will not change:\\n{results[key]}"
            results[key] = run_tool(name, arguments)
            return results[key]
        """,
        "while not done(messages):\n" + loop + step.replace("{run}", "run_once(name, arguments)"),
    )
    return Fix(
        before,
        after,
        "`tool_calls`, `tool_message` and `run_tool` stand for the loop's own. Let a call that "
        "changes something clear `results`: after an edit, reading the same file again is no "
        "loop.",
    )
