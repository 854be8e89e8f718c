"""A fine-tune corpus from rounds that were kept: chat examples, one a line, as providers take them.

Each example says how a container stood, what was wrong, and what mended it. Nothing in it names an
account: identifiers are redacted before anything is written.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nightpane.errors import GtmError
from nightpane.gtm.container import Container
from nightpane.gtm.redact import Redactor
from nightpane.gtm.scorer import Verdict

__all__ = ["Batch", "Example", "batch", "told", "validate"]

THRESHOLD = 0.75
"""The score a kept round needs, itself included."""
MOST_STATE_TOKENS = 800
LEAST_EXAMPLES = 50
MOST_DUPLICATES = 0.40
HELD_OUT = 0.10
SIMILAR = 0.92
"""Two examples at this cosine of their character trigrams, or above, are one."""

_CHARS_A_TOKEN = 4
_MOST_PROBLEMS = 12
_MOST_NAMES = 40
_ROLES = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A kept round: how the container stood, what was wrong, the operations that mended it."""

    run_id: str
    number: int
    score: float
    state: str
    problem: str
    operations: Sequence[Mapping[str, Any]]
    client: str = "internal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Two files' lines, and what was left out why. ``digest`` is of both files."""

    training: tuple[str, ...]
    held_out: tuple[str, ...]
    left_out: Mapping[str, int]
    digest: str

    @property
    def size(self) -> int:
        """How many examples there are."""
        return len(self.training) + len(self.held_out)


def told(container: Container, verdict: Verdict) -> Mapping[str, str]:
    """Return in words how a container stands (``state``) and what is wrong with it (``problem``),
    for a model."""
    lines = [f"A Google Tag Manager container, {'server' if container.is_server else 'web'}."]
    for what, entities in (
        ("Tags", container.tags),
        ("Triggers", container.triggers),
        ("Variables", container.variables),
        ("Folders", container.folders),
    ):
        names = ", ".join(f"{one.name} ({one.type})" if one.type else one.name
                          for one in entities[:_MOST_NAMES])  # fmt: skip
        more = f" and {len(entities) - _MOST_NAMES} more" if len(entities) > _MOST_NAMES else ""
        lines.append(f"{what}: {names or 'none'}{more}.")
    scores = ", ".join(f"{name} {value:.2f}" for name, value in verdict.dimensions.items())
    wrong = [case for name in verdict.cases for case in verdict.wrong(name)]
    worst = sorted(wrong, key=lambda case: case.severity != "error")[:_MOST_PROBLEMS]
    problem = [f"Score {verdict.score:.4f} ({scores}).", "Wrong:"]
    problem += [f"- {case.severity}: {case.rationale}" for case in worst]
    return {"state": "\n".join(lines), "problem": "\n".join(problem)}


def batch(
    examples: Iterable[Example],
    *,
    threshold: float = THRESHOLD,
    least: int = LEAST_EXAMPLES,
) -> Batch:
    """Return a batch of the examples at the threshold or above, near-duplicates left out.

    One in ten is held out, chosen by its digest, so the same example is always on the same side.
    Tokens are counted as four characters each. Raises GtmError when fewer than ``least`` examples
    remain, or when more than 40 % of those admitted were duplicates.
    """
    left_out: Counter[str] = Counter()
    lines: list[str] = []
    grams: list[_Grams] = []
    admitted = 0
    redactor = Redactor()
    for example in sorted(examples, key=lambda one: (one.run_id, one.number)):
        if example.score < threshold:
            left_out["below the threshold"] += 1
            continue
        state = redactor.text(example.state)
        if len(state) > MOST_STATE_TOKENS * _CHARS_A_TOKEN:
            left_out[f"a state of more than {MOST_STATE_TOKENS} tokens"] += 1
            continue
        admitted += 1
        line, said = _line(example, state, redactor)
        found = _grams(said)
        if any(_cosine(found, other) >= SIMILAR for other in grams):
            left_out["near-duplicates"] += 1
            continue
        validate(line)
        grams.append(found)
        lines.append(line)
    _check(lines, admitted, left_out, least)
    held = [line for line in lines if _is_held_out(line)]
    training = [line for line in lines if not _is_held_out(line)]
    digest = hashlib.sha256("\n".join([*training, "", *held]).encode()).hexdigest()
    return Batch(
        training=tuple(training), held_out=tuple(held), left_out=dict(left_out), digest=digest
    )


def validate(line: str) -> None:
    """Raise GtmError when a line is no example that a provider would take."""
    try:
        document = json.loads(line)
    except ValueError as error:
        raise GtmError(f"the example is no JSON: {error}") from error
    messages = document.get("messages") if isinstance(document, dict) else None
    if not isinstance(messages, list) or [
        one.get("role") for one in messages if isinstance(one, dict)
    ] != list(_ROLES):
        raise GtmError("an example has three messages: of system, user and assistant")
    for one in messages:
        if not isinstance(one.get("content"), str) or not one["content"].strip():
            raise GtmError(f"the {one['role']}'s message is empty")
    if "\n" in line:
        raise GtmError("an example stands on one line")


def _check(lines: Sequence[str], admitted: int, left_out: Mapping[str, int], least: int) -> None:
    duplicates = left_out.get("near-duplicates", 0)
    if admitted and duplicates / admitted > MOST_DUPLICATES:
        raise GtmError(
            f"{duplicates} of {admitted} examples say what another says, more than "
            f"{MOST_DUPLICATES:.0%}: such a corpus teaches one thing"
        )
    if len(lines) < least:
        why = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
        raise GtmError(
            f"{len(lines)} examples are too few, {least} are needed"
            + (f" (left out: {why})" if why else "")
        )


def _line(example: Example, state: str, redactor: Redactor) -> tuple[str, str]:
    """Return the example's line, and what it says without its metadata."""
    problem = redactor.text(example.problem)
    solution = json.dumps(redactor.values(list(example.operations)), ensure_ascii=False)
    contents = (state, problem, solution)
    messages = [
        {"role": role, "content": content} for role, content in zip(_ROLES, contents, strict=True)
    ]
    metadata = {
        "client": example.client,
        "run_id": example.run_id,
        "round": example.number,
        "score": round(example.score, 4),
        "state_version": hashlib.sha256(state.encode()).hexdigest()[:16],
    }
    document = {"messages": messages, "metadata": metadata}
    return json.dumps(document, ensure_ascii=False), f"{problem}\n{solution}"


@dataclass(frozen=True, slots=True)
class _Grams:
    """How often a text has each run of three characters, and the length of that vector."""

    counts: Mapping[str, int]
    norm: float


def _grams(text: str) -> _Grams:
    plain = re.sub(r"\s+", " ", text.lower())
    counts = Counter(plain[at : at + 3] for at in range(max(len(plain) - 2, 1)))
    return _Grams(counts, math.sqrt(sum(count**2 for count in counts.values())))


def _cosine(one: _Grams, other: _Grams) -> float:
    shared = one.counts.keys() & other.counts.keys()
    product = sum(one.counts[gram] * other.counts[gram] for gram in shared)
    return product / (one.norm * other.norm)


def _is_held_out(line: str) -> bool:
    digest = hashlib.sha256(line.encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < HELD_OUT
