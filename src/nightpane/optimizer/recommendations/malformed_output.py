"""Answers that begin as JSON and are none: have the provider keep to a schema.

How many there are is counted over all answers; which ones, only reading tells, so without a trace
that was read and found corrupt nothing is advised.
"""

from __future__ import annotations

from nightpane.optimizer.contents import PATTERNS
from nightpane.optimizer.model import FailureKind, Fix
from nightpane.optimizer.recommendations.facts import Draft, Plan, Subject
from nightpane.optimizer.recommendations.snippets import Dialect, join
from nightpane.optimizer.words import code, count, percent

__all__ = ["advise"]

NAME: FailureKind = "malformed"
_ABNORMALITY = "json_corruption"


def advise(subject: Subject) -> Draft | None:
    """Return the advice to ask for a schema."""
    finding = subject.failures.finding(NAME) if subject.failures else None
    read = [one for one in subject.samples if one.abnormality == _ABNORMALITY]
    seen = subject.contents
    if finding is None or not read or not seen.json_outputs:
        return None
    share = seen.malformed_outputs / seen.json_outputs
    each = subject.metrics.cost_per_call_usd
    return Draft(
        cause=NAME,
        title=f"Have {code(subject.name, 60)} answer by a schema",
        problem=f"Of {code(subject.name)}, {finding.text}.",
        why=(
            f"{percent(share)} of its JSON answers cannot be parsed: each is lost, or asked for "
            f"again at {subject.metrics.output.p50:,.0f} tokens of output."
        ),
        parts=[],
        method="No saving is claimed: calls that succeed cost money too.",
        fix=_fix(subject.dialect, subject.model),
        plan=Plan(
            metric="Share of JSON answers that cannot be parsed",
            unit="%",
            before=100 * share,
            after=10 * share,
            names=("braced", "valid"),
            select="100 * countIf(braced AND NOT valid) / countIf(braced)",
            values={"json": PATTERNS["json"]},
        ),
        ease=3,
        issues={
            one.trace_id: f"{count(one.calls)} calls; {one.note}"
            for one in sorted(read, key=lambda one: (-one.cost_usd, one.trace_id))
        },
        excerpt="answer",
        lost_usd=finding.calls * each,
    )


def _fix(dialect: Dialect, model: str) -> Fix:
    before = join(
        "import json", dialect.client(), dialect.call(model), f"use(json.loads({dialect.text}))"
    )
    more, parsed = _schema(dialect)
    after = join("import json", dialect.client(), dialect.call(model, more=more), f"use({parsed})")
    return Fix(
        before,
        after.removeprefix("" if "json." in parsed else "import json\n\n"),
        "`SCHEMA` is the JSON schema of the answer. An answer that ran into its limit is cut off "
        "all the same: check why it ended before parsing it.",
    )


def _schema(dialect: Dialect) -> tuple[list[str], str]:
    """The arguments that bind an answer to a schema, and the expression of what was answered."""
    tool = '{"name": "answer", "description": "The answer", "input_schema": SCHEMA}'
    if dialect.api == "anthropic":
        return (
            [f"tools=[{tool}]", 'tool_choice={"type": "tool", "name": "answer"}'],
            'next(one.input for one in response.content if one.type == "tool_use")',
        )
    if dialect.api == "gemini":
        return (
            ['response_mime_type="application/json"', "response_schema=SCHEMA"],
            f"json.loads({dialect.text})",
        )
    if dialect.api == "bedrock":
        spec = '{"toolSpec": {"name": "answer", "inputSchema": {"json": SCHEMA}}}'
        choice = '{"tool": {"name": "answer"}}'
        return (
            [f'toolConfig={{"tools": [{spec}], "toolChoice": {choice}}}'],
            (
                'next(one["toolUse"]["input"] '
                'for one in response["output"]["message"]["content"] if "toolUse" in one)'
            ),
        )
    if dialect.base_url:
        return ['response_format={"type": "json_object"}'], f"json.loads({dialect.text})"
    named = '{"name": "answer", "strict": True, "schema": SCHEMA}'
    return (
        [f'response_format={{"type": "json_schema", "json_schema": {named}}}'],
        f"json.loads({dialect.text})",
    )
