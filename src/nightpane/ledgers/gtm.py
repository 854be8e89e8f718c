"""GTM-AutoResearch's result files: one JSON document a run.

The file is written when the run ends, and ``startTime`` is that moment. A round that was not
kept repeats the standing best's score and dimensions; the candidate's own score survives only in
the text ("76.8% <= 77.3%, reverted"), to a tenth of a point. (Format as found in the results
folder of Organized-AI/gtm-autoresearch, April 2026.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from nightpane.ledgers import values
from nightpane.ledgers.model import Moment, Problem, Row, Segment, Stop

__all__ = ["GtmResults", "recognise"]

_PERCENT = r"(\d{1,3}(?:\.\d+)?)\s*%"
_REVERTED = re.compile(rf"{_PERCENT}\s*(?:<=|≤|<)\s*{_PERCENT}")
_IMPROVED = re.compile(rf"{_PERCENT}\s*(?:→|->|=>)\s*{_PERCENT}")
_STATUS = {"json_fail": "validation failed", "validation_fail": "validation failed"}
_SPACING = timedelta(minutes=1)


@dataclass(slots=True)
class GtmResults:
    """A recognised result file."""

    document: Mapping[str, Any]
    name: str = "gtm-loop-results"
    project: str = "gtm-autoresearch"
    client: str | None = None
    notes: list[str] = field(default_factory=list)

    def records(self) -> Iterator[Row | Problem | Stop]:
        """Yield the rounds; a record's "line" is its place in the list, from 1."""
        results = self.document["results"]
        segment = Segment(
            metric="score",
            direction="max",
            name=_text(self.document.get("templatePath")),
            metric_stated=True,
            start_score=self._start_score(),
            headers=(_text(self.document.get("startTime")) or "",),
        )
        ended = values.as_moment(self.document.get("startTime"))
        for index, result in enumerate(results):
            if not isinstance(result, Mapping):
                yield Problem(index + 1, "not an object")
                continue
            when = None
            if ended is not None:
                when = Moment(ended.at - (len(results) - 1 - index) * _SPACING, exact=False)
            yield self._row(result, index, segment, when)

    def _row(
        self, result: Mapping[str, Any], index: int, segment: Segment, when: Moment | None
    ) -> Row:
        action = _text(result.get("action")) or ""
        improved = action == "improved"
        summary = _text(result.get("mutationSummary"))
        score = values.as_number(result.get("score")) if improved else _rejected_score(summary)
        rest: dict[str, Any] = {"template_path": segment.name, "loop_round": result.get("round")}
        if improved:
            rest["issue_count"] = result.get("issueCount")
        elif score is not None:
            rest["score_resolution"] = 0.001
        return Row(
            line=index + 1,
            index=index,
            segment=segment,
            status=_STATUS.get(action, action or None),
            score=score,
            score_text="" if score is None else repr(score),
            description=summary,
            when=when,
            properties={k: v for k, v in values.json_safe(rest).items() if v is not None},
            dims=_dims(result.get("dimensions")) if improved else {},
        )

    def _start_score(self) -> float | None:
        """The seed's score. ``startScore`` is it only where the first round did not replace it."""
        first = self.document["results"][0] if self.document["results"] else None
        stated = values.as_number(self.document.get("startScore"))
        if not isinstance(first, Mapping) or first.get("action") != "improved":
            return stated
        if "startDimensions" in self.document or stated != values.as_number(first.get("score")):
            return stated
        match = _IMPROVED.search(_text(first.get("mutationSummary")) or "")
        return None if match is None else round(float(match[1]) / 100, 6)


def _rejected_score(summary: str | None) -> float | None:
    match = _REVERTED.search(summary or "")
    return None if match is None else round(float(match[1]) / 100, 6)


def _text(value: Any) -> str | None:
    return values.json_safe(value)[:2000] if isinstance(value, str) and value.strip() else None


def _dims(value: Any) -> dict[str, float]:
    if not isinstance(value, Mapping):
        return {}
    found = {
        str(k): number for k, v in value.items() if (number := values.as_number(v)) is not None
    }
    return values.json_safe(found)  # type: ignore[no-any-return]


def recognise(document: Any) -> GtmResults | None:
    """Return the result file in a JSON document, None when it is another kind."""
    if not isinstance(document, Mapping) or not isinstance(document.get("results"), list):
        return None
    results = document["results"]
    shaped = [r for r in results if isinstance(r, Mapping) and "action" in r and "score" in r]
    if not ({"startScore", "bestScore", "finalScore"} & set(document)) or (results and not shaped):
        return None
    client = document.get("client")
    identity = client.get("id") if isinstance(client, Mapping) else client
    return GtmResults(document, client=_text(identity))
