"""Step 7: a stratified sample of traces, each read, and what is abnormal in it.

One rule a file. A rule accuses on what it read in this trace, never on the operation's reputation
alone, and when in doubt it does not: an error in clean data is worse than a miss.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from nightpane.optimizer.fields import Scope
from nightpane.optimizer.folder import Folder
from nightpane.optimizer.model import (
    Call,
    Causes,
    Failures,
    Metrics,
    OperationVariance,
    Options,
    Sample,
)
from nightpane.optimizer.samples import (
    empty_output,
    excerpts,
    json_corruption,
    judge,
    model_confusion,
    prompt_stuffing,
    refusal,
    response_truncation,
    retry_storm,
    tool_abuse,
)
from nightpane.optimizer.samples.facts import Detector, Exchange, Finding, Reading, times
from nightpane.optimizer.samples.frequency import Frequency, frequency
from nightpane.optimizer.samples.reading import read
from nightpane.optimizer.samples.strata import pick
from nightpane.optimizer.source import Source
from nightpane.optimizer.words import code, count, percent

__all__ = ["DETECTORS", "detect", "run"]

DETECTORS: tuple[Detector, ...] = (
    retry_storm.detect,
    tool_abuse.detect,
    response_truncation.detect,
    empty_output.detect,
    refusal.detect,
    json_corruption.detect,
    model_confusion.detect,
    prompt_stuffing.detect,
)
"""What explains most comes first: an answer that was cut is also no JSON."""


def run(
    source: Source,
    folder: Folder,
    scope: Scope,
    metrics: Metrics,
    variance: tuple[OperationVariance, ...],
    causes: Causes,
    failures: Failures,
    options: Options,
) -> tuple[Sample, ...]:
    """Return the traces that were read, and write ``data/qualitative_samples.json``.

    At most three queries. With ``options.judge`` each trace gets that model's words too.
    """
    picked = pick(source, scope, metrics, variance, causes, failures, options)
    readings = read(source, scope, picked, metrics, causes) if picked else ()
    all_ = [(one, *detect(one)) for one in readings]
    firsts = [(reading, finding) for reading, finding, _ in all_]
    samples = tuple(
        _sample(reading, finding, note, frequency(reading, finding, firsts, causes, failures))
        for reading, finding, note in all_
    )
    if options.judge:
        samples = judge.judged(samples, readings, options.judge, clean=folder.clean, say=source.say)
    folder.json("data/qualitative_samples.json", [_document(one) for one in samples])
    return samples


def detect(reading: Reading) -> tuple[Finding | None, str]:
    """Return the first rule's finding (None: clean), and a note that names the others too."""
    found = [one for detector in DETECTORS if (one := detector(reading)) is not None]
    if not found:
        return None, _clean(reading)
    also = ", ".join(one.abnormality.replace("_", " ") for one in found[1:])
    return found[0], found[0].note + (f" Also {also}." if also else "")


def _clean(reading: Reading) -> str:
    """Return what was read of a trace that no rule objects to."""
    calls = reading.calls
    sent = sum(call.tokens.prompt for call in calls)
    written = sum(call.tokens.output for call in calls)
    size = f"{times(len(calls), 'call')}, {count(sent)} tokens read and {count(written)} written"
    failed = [call for call in calls if call.failed]
    if failed:
        return _failed(failed, calls, size)
    if not any(one.is_recorded for one in reading.exchanges):
        return f"{size}; no answers are recorded, so that only the figures could be judged."
    causes = reading.trace.causes if reading.trace is not None else ()
    named = [cause.replace("_", " ") for cause in causes if cause != "unexplained"]
    dear = f"; dear by {', '.join(named)}" if named else ""
    ends = sorted({call.stop_reason for call in calls if call.stop_reason})
    stops = f", ended by {', '.join(code(one, 30) for one in ends[:4])}" if ends else ""
    told = f"{_tools(reading)}{_growth(reading)}"
    return f"{size}{stops}{told}{dear}; no rule objects to what was asked or answered."


def _failed(failed: list[Call], calls: tuple[Call, ...], size: str) -> str:
    last = failed[-1]
    status = f" with HTTP {last.status}" if last.status else ""
    why = f": {code(last.error, 90)}" if last.error else ""
    if len(calls) == 1:
        return f"Its only call failed{status}{why}; there is no answer to judge."
    which = "All" if len(failed) == len(calls) else f"{len(failed)} of"
    return (
        f"{which} its {len(calls)} calls failed{status}{why}; "
        f"what was asked and answered shows nothing else ({size})."
    )


def _tools(reading: Reading) -> str:
    used = Counter(call.name for one in reading.exchanges for call in one.tools)
    named = ", ".join(f"{code(name, 40)} {number}×" for name, number in used.most_common(3))
    return f", tools {named}" if named else ""


def _growth(reading: Reading) -> str:
    sizes = [call.tokens.prompt for call in reading.calls]
    if len(sizes) < 2 or not sizes[0] or sizes[-1] < 2 * sizes[0]:
        return ""
    cached = sum(call.tokens.cache_read for call in reading.calls) / sum(sizes)
    return (
        f", prompts grow from {count(sizes[0])} to {count(sizes[-1])} tokens "
        f"({percent(cached)} from a cache)"
    )


def _sample(reading: Reading, finding: Finding | None, note: str, frequent: Frequency) -> Sample:
    shown = _shown(reading, finding)
    calls = reading.calls
    return Sample(
        trace_id=reading.picked.trace_id,
        operation=reading.picked.operation,
        bucket=reading.picked.bucket,
        cost_usd=sum(call.cost_usd for call in calls),
        tokens=round(sum(call.tokens.total for call in calls)),
        calls=len(calls),
        input_excerpt=excerpts.question(shown),
        output_excerpt=excerpts.answer(shown, end=finding is not None and finding.end),
        abnormality=finding.abnormality if finding else "clean",
        note=note,
        frequency=frequent.share,
        frequency_low=frequent.low,
        frequency_high=frequent.high,
        basis=frequent.basis,
    )


def _shown(reading: Reading, finding: Finding | None) -> Exchange:
    """Return the exchange to quote, with a prompt if any of the trace was read."""
    if finding is None:
        failed = [one for one in reading.exchanges if one.call.failed]
        return (failed or [one for one in reading.exchanges if one.asked] or reading.exchanges)[-1]
    at = reading.exchanges[finding.at]
    if at.asked:
        return at
    near = min(
        (one for one in enumerate(reading.exchanges) if one[1].asked),
        key=lambda one: abs(one[0] - finding.at),
        default=(0, at),
    )[1]
    return replace(at, asked=near.asked)


def _document(one: Sample) -> dict[str, object]:
    return {
        "trace_id": one.trace_id,
        "operation": one.operation,
        "bucket": one.bucket,
        "cost_usd": round(one.cost_usd, 6),
        "tokens": one.tokens,
        "calls": one.calls,
        "abnormality": one.abnormality,
        "note": one.note,
        "frequency": round(one.frequency, 6),
        "frequency_interval": [round(one.frequency_low, 6), round(one.frequency_high, 6)],
        "frequency_basis": one.basis,
        "input_excerpt": one.input_excerpt,
        "output_excerpt": one.output_excerpt,
        **({"judged": one.judged} if one.judged else {}),
    }
