"""What a detector reads: one operation's calls in one trace, with their prompts and answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from nightpane.optimizer.messages import Message, ToolCall, is_recorded
from nightpane.optimizer.model import Call, Diagnosis, OperationMetrics, SampleBucket, Tails

__all__ = ["Abnormality", "Detector", "Exchange", "Finding", "Picked", "Reading", "times"]

Abnormality = Literal[
    "retry_storm",
    "tool_abuse",
    "response_truncation",
    "empty_output",
    "refusal",
    "json_corruption",
    "model_confusion",
    "prompt_stuffing",
]


@dataclass(frozen=True, slots=True)
class Picked:
    """A trace of the sample, the operation it stands for, and why it was chosen."""

    operation: str
    trace_id: str
    bucket: SampleBucket


@dataclass(frozen=True, slots=True)
class Exchange:
    """A call with what was asked and answered.

    ``asked`` is empty when the prompt was not fetched or not recorded. ``whole`` tells whether all
    of the answer was: only then may its end be judged.
    """

    call: Call
    asked: tuple[Message, ...]
    answered: tuple[Message, ...]
    whole: bool

    @property
    def is_recorded(self) -> bool:
        """Whether the answer is there to be read (privacy mode leaves none)."""
        return is_recorded(self.call.output_text)

    @property
    def text(self) -> str:
        return "\n".join(one.text for one in self.answered if one.text).strip()

    @property
    def tools(self) -> tuple[ToolCall, ...]:
        return tuple(call for one in self.answered for call in one.calls)

    @property
    def succeeded(self) -> bool:
        return not self.call.failed


@dataclass(frozen=True, slots=True)
class Reading:
    """A sampled trace as read. ``operation`` and ``trace`` are what step 5 found of both."""

    picked: Picked
    metrics: OperationMetrics
    exchanges: tuple[Exchange, ...]
    operation: Diagnosis | None
    trace: Diagnosis | None
    tails: Tails

    @property
    def calls(self) -> tuple[Call, ...]:
        return tuple(one.call for one in self.exchanges)

    def confirmed(self, cause: str) -> bool:
        """Return whether step 5 holds a cause against the trace or its operation."""
        of = [one.verdict(cause) for one in (self.trace, self.operation) if one is not None]
        return any(one is not None and one.confirmed for one in of)


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a trace, in one sentence (Markdown prose), and where it shows.

    ``at`` is the place of the exchange to quote, ``end`` whether its answer's end tells more than
    its beginning.
    """

    abnormality: Abnormality
    note: str
    at: int = 0
    end: bool = False


Detector = Callable[[Reading], Finding | None]


def times(number: int, thing: str) -> str:
    """Return a count with its noun: ``1 call``, ``2 calls``."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
