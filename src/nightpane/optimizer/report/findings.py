"""What was found by looking closely: outlier traces, failures, and traces that were read."""

from __future__ import annotations

from collections.abc import Iterator

from nightpane.optimizer.model import (
    Analysis,
    Diagnosis,
    FailureFinding,
    LimitBursts,
    OperationFailures,
    OperationVariance,
    Sample,
)
from nightpane.optimizer.words import block, code, count, percent, plain, table, usd

__all__ = ["failures", "samples", "variance"]

_TRACES, _OPERATIONS, _SAMPLES, _GROUPS, _CITED = 3, 8, 8, 8, 3


def variance(analysis: Analysis, drawn: dict[str, str]) -> Iterator[str]:
    """Yield how cost varies between traces, and why the dearest are dear."""
    varied = analysis.variance
    if not varied:
        yield "No operation has traces to compare: calls carry no trace id or no cost."
        return
    yield table(
        (
            "Operation",
            "Traces",
            "Median",
            "Mean",
            "p95",
            "Max",
            "p95 / median",
            "Outliers",
            "Their cost",
        ),
        (_spread(one) for one in varied),
    )
    if image := drawn.get("figures/cost_per_trace.png"):
        yield image
    diagnosed = [one for one in analysis.causes.traces if one.trace_id is not None]
    if not diagnosed:
        yield "No trace is an outlier by either rule."
        return
    for one in varied:
        own = [d for d in diagnosed if d.operation == one.operation][:_TRACES]
        if own:
            yield f"### Outliers of {code(one.operation, 60)}"
            yield "\n".join(_diagnosis(diagnosis, one) for diagnosis in own)


def _spread(one: OperationVariance) -> tuple[str, ...]:
    ratio = f"{one.p95 / one.median:.1f}" if one.median > 0 else ""
    return (
        code(one.operation, 50),
        count(one.n),
        usd(one.median),
        usd(one.mean),
        usd(one.p95),
        usd(one.max),
        ratio,
        count(one.outlier_traces),
        usd(one.outlier_cost_usd),
    )


def _diagnosis(one: Diagnosis, variance: OperationVariance) -> str:
    times = f", {one.cost_usd / variance.median:.0f} × the median" if variance.median > 0 else ""
    head = (
        f"- {code(str(one.trace_id), 80)}: {usd(one.cost_usd)} in {count(one.calls)} calls{times}. "
        f"**{', '.join(cause.replace('_', ' ') for cause in one.causes)}**"
    )
    said = [v.reason for v in one.verdicts if v.confirmed]
    against = [v.reason for v in one.verdicts if v.confirmed is False]
    lines = [head]
    lines += [f"    - {reason}" for reason in said]
    if against:
        lines.append(f"    - ruled out: {'; '.join(reason.rstrip('.') for reason in against)}.")
    return "\n".join(lines)


def failures(analysis: Analysis, drawn: dict[str, str]) -> Iterator[str]:
    """Yield what failed, and how."""
    found = analysis.failures
    shown = [one for one in found.operations if one.errors or one.findings][:_OPERATIONS]
    if not shown:
        yield "No call of the window failed, was cut off or came back empty."
    else:
        yield table(
            (
                "Operation",
                "Calls",
                "Errors",
                "Error rate (95 %)",
                "Time-outs",
                "429",
                "Cut off",
                "Empty",
                "Paid errors",
            ),
            (_failures(one) for one in shown),
        )
    told = [
        f"- {code(one.operation, 60)}: {finding.text}{_cited(finding)}"
        for one in shown
        for finding in one.findings
    ]
    if told:
        yield "\n".join(told)
    groups = [one for one in found.groups if one.errors][:_GROUPS]
    if groups:
        yield "### Errors by status"
        yield table(
            ("Operation", "HTTP status", "Errors", "Cost", "The latest message"),
            (
                (
                    code(one.operation, 50),
                    str(one.status) if one.status else "none",
                    count(one.errors),
                    usd(one.cost_usd),
                    code(one.message, 90) if one.message else "",
                )
                for one in groups
            ),
            left=2,
            last=1,
        )
    if found.bursts:
        yield "### Rate limits"
        yield "\n".join(_burst(one) for one in found.bursts)
    if image := drawn.get("figures/latency_by_output.png"):
        yield image


def _cited(finding: FailureFinding) -> str:
    traces = ", ".join(code(trace, 80) for trace in finding.trace_ids[:_CITED])
    return f" For example {traces}." if traces else ""


def _failures(one: OperationFailures) -> tuple[str, ...]:
    rate = percent(one.errors / one.calls) if one.calls else ""
    return (
        code(one.operation, 50),
        count(one.calls),
        count(one.errors),
        f"{rate} ({percent(one.error_rate_low)} to {percent(one.error_rate_high)})",
        count(one.timeouts),
        count(one.rate_limited),
        count(one.truncated),
        count(one.empty),
        f"{count(one.paid_errors)} ({usd(one.paid_error_cost_usd)})" if one.paid_errors else "0",
    )


def _burst(one: LimitBursts) -> str:
    return (
        f"- {code(one.operation, 50)} on {code(one.model, 50)}: {count(one.limited)} calls were "
        f"refused with 429 in {count(one.minutes)} minutes. {one.reason}"
    )


def samples(analysis: Analysis) -> Iterator[str]:
    """Yield what reading a sample of traces showed."""
    read = analysis.samples
    if not read:
        yield "No trace could be read: the calls carry no prompts or answers."
        return
    odd = [one for one in read if one.abnormality != "clean"]
    yield (
        f"{len(read)} traces were read, chosen by cost, latency and error; "
        f"{len(odd)} show something abnormal."
    )
    yield table(
        ("Trace", "Operation", "Chosen as", "Reading", "Cost", "Tokens"),
        (
            (
                code(one.trace_id, 80),
                code(one.operation, 40),
                one.bucket,
                one.abnormality.replace("_", " "),
                usd(one.cost_usd),
                count(one.tokens),
            )
            for one in read
        ),
        left=4,
    )
    for one in odd[:_SAMPLES]:
        yield from _sample(one)


def _sample(one: Sample) -> Iterator[str]:
    yield f"### {one.abnormality.replace('_', ' ').capitalize()}: {code(one.trace_id, 80)}"
    yield (
        f"{plain(one.note, 400)} Estimated frequency in {code(one.operation, 50)}: "
        f"{percent(one.frequency)} ({percent(one.frequency_low)} to {percent(one.frequency_high)})."
    )
    if one.input_excerpt:
        yield "Prompt:"
        yield block(one.input_excerpt)
    if one.output_excerpt:
        yield "Answer:"
        yield block(one.output_excerpt)
    if one.judged:
        yield "A language model's words on it:"
        yield block(one.judged)
