"""How often an operation shows what one of its traces showed.

Where an earlier step counted it over the whole window, that count is the answer. Else it is the
share among the operation's sampled traces, which were chosen for being unusual: the basis says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nightpane.optimizer.model import Causes, Contents, Failures, Patterns, Tails
from nightpane.optimizer.samples.facts import Finding, Reading, times
from nightpane.stats import wilson

__all__ = ["Frequency", "frequency"]


@dataclass(frozen=True, slots=True)
class Frequency:
    """A share with its 95 % interval (Wilson) and what it was counted over."""

    share: float
    low: float
    high: float
    basis: str


def frequency(
    reading: Reading,
    finding: Finding | None,
    all_: Sequence[tuple[Reading, Finding | None]],
    causes: Causes,
    failures: Failures,
) -> Frequency:
    """Return how frequent a finding (None: nothing abnormal) is in the operation of a reading."""
    name = reading.picked.operation
    counted = None
    if finding is not None:
        counted = _counted(finding, name, causes, failures, grown="grow" in finding.note)
    kind = finding.abnormality if finding else None
    own = [one for one in all_ if one[0].picked.operation == name]
    same = sum((one.abnormality if one else None) == kind for _, one in own)
    # A count that missed what the sample shows did not know the shape of these answers.
    if counted is not None and counted[0] >= same:
        found, of, what = counted
        return _of(found, of, f"{found:,} of {of:,} {what}")
    return _of(
        same,
        len(own),
        f"{same} of {times(len(own), 'sampled trace')}, chosen by cost, latency and errors",
    )


def _of(found: int, of: int, basis: str) -> Frequency:
    interval = wilson(min(found, of), of)
    assert interval is not None  # noqa: S101 (at least the trace itself was counted)
    return Frequency(interval_rate(found, of), interval.low, interval.high, basis)


def interval_rate(found: int, of: int) -> float:
    """Return a share that is at most 1."""
    return min(found, of) / of


def _counted(
    finding: Finding, name: str, causes: Causes, failures: Failures, *, grown: bool
) -> tuple[int, int, str] | None:
    """Return (found, of, words) where an earlier step counted the same thing over all calls."""
    failed = failures.operation(name)
    contents = causes.contents.get(name, Contents())
    patterns = causes.patterns.get(name, Patterns())
    tails = causes.tails.get(name, Tails())
    whole = causes.contents_part.startswith("all ")
    calls = failed.calls if failed else 0
    options: dict[str, tuple[tuple[int, int, str], ...]] = {
        "retry_storm": ((_storms(name, causes, patterns), patterns.traces, "traces, estimated"),),
        "tool_abuse": (
            (
                contents.loop_traces if whole else 0,
                patterns.traces,
                "traces call a tool four times with the same arguments",
            ),
        ),
        "response_truncation": (
            (failed.truncated if failed else 0, calls, "calls of the window end at their limit"),
        ),
        "empty_output": (
            (failed.empty if failed else 0, calls, "calls of the window have no output tokens"),
            (contents.empty_outputs, contents.outputs, "answers that were searched hold nothing"),
        ),
        "json_corruption": (
            (contents.malformed_outputs, contents.outputs, "answers that were searched"),
        ),
        "prompt_stuffing": (
            (patterns.growing_traces if grown else 0, patterns.traces, "traces grow like this"),
            (
                0 if grown else tails.prompt_calls,
                calls,
                "calls of the window exceed five times the median",
            ),
        ),
    }
    return next(
        (one for one in options.get(finding.abnormality, ()) if one[0] > 0 and one[1] > 0), None
    )


def _storms(name: str, causes: Causes, patterns: Patterns) -> int:
    """Return the traces with prompts of one size, less the part that reading did not confirm."""
    diagnosis = causes.operation(name)
    verdict = diagnosis.verdict("retry_storm") if diagnosis else None
    if verdict is None or not verdict.confirmed:
        return 0
    read = float(verdict.numbers.get("read_traces") or 0)
    storms = float(verdict.numbers.get("storms_read") or 0)
    return max(1, round(patterns.repeating_traces * storms / read)) if read else 0
