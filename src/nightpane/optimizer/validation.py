"""Step 11: the report is read again from its files, and held against the project.

Nothing is taken from memory: every file is parsed, every cited trace is looked for, every total is
asked afresh, every recommendation must have its five parts.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nightpane.errors import NightpaneError
from nightpane.optimizer import record
from nightpane.optimizer.folder import Folder
from nightpane.optimizer.record import Record
from nightpane.optimizer.report.advice import PARTS
from nightpane.optimizer.source import Source

__all__ = ["FILE", "SECTIONS", "Check", "run"]

FILE = "validation_report.json"
SECTIONS = (
    "Executive Summary",
    "Cost Analysis",
    "High-Variance Investigation",
    "Failure-Mode Analysis",
    "Qualitative Findings",
    "Recommendations",
    "Implementation Roadmap",
    "Appendix",
)
_VERSION = 1
_CENT = 0.005
_MOST_IDS = 10_000
_PRIORITY = re.compile(r"^### Priority \d+: ", re.MULTILINE)
_FENCE = re.compile(r"^(`{3,})[^`\n]*\n.*?^\1$", re.MULTILINE | re.DOTALL)
_TOTALS = "SELECT count() AS calls, sum(cost) AS cost, countIf(failed) AS errors FROM %s"
_FOUND = "SELECT DISTINCT trace FROM %s WHERE trace IN {ids} LIMIT 50000"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked: its stage, whether it holds, and what was seen."""

    stage: str
    name: str
    passed: bool
    detail: str


def run(source: Source, folder: Folder, now: datetime | None = None) -> bool:
    """Check the report in the folder, write ``validation_report.json``, return whether it passed.

    ``source`` must ask afresh: not from the answers that the report was made of. Raises ConfigError
    when the folder holds no report.
    """
    report = record.load(folder.root)
    checks = [check for part in _PARTS for check in _checked(part, source, folder.root, report)]
    stages = {
        stage: all(check.passed for check in checks if check.stage == stage)
        for stage in dict.fromkeys(check.stage for check in checks)
    }
    passed = all(stages.values())
    folder.json(
        FILE,
        {
            "version": _VERSION,
            "run_date": (now or datetime.now(UTC)).isoformat(timespec="seconds"),
            "backend": "posthog",
            "parameters": {
                "host": report.document["host"],
                "project_id": report.document["project_id"],
                **{key: report.document["scope"][key] for key in ("start", "end", "project")},
                "min_recommendations": report.document["min_recommendations"],
            },
            "stages": stages,
            "results": [
                {"stage": c.stage, "check": c.name, "passed": c.passed, "detail": c.detail}
                for c in checks
            ],
            "overall_passed": passed,
        },
    )
    return passed


_Part = Callable[[Source, Path, Record], Iterator[Check]]


def _checked(part: _Part, source: Source, root: Path, report: Record) -> Iterator[Check]:
    """Run a part of the checks; a file that is not there or cannot be parsed fails it."""
    try:
        yield from part(source, root, report)
    except (OSError, ValueError, KeyError, TypeError) as error:
        yield Check(part.__name__.strip("_"), "files", False, f"{type(error).__name__}: {error}")
    except NightpaneError as error:
        yield Check(part.__name__.strip("_"), "query", False, str(error))


def _connect(source: Source, _: Path, report: Record) -> Iterator[Check]:
    scope, stated = report.scope, report.document["totals"]
    row = source.ask(_TOTALS % scope.calls("cost", "failed"), scope.values())[0]
    yield Check("connect", "generations", row["calls"] > 0, f"{row['calls']} in the window")
    for name in ("calls", "errors"):
        same = int(row[name]) == stated[name]
        yield Check("connect", f"{name} asked again", same, f"{stated[name]}, now {row[name]}")
    cost = float(row["cost"] or 0)
    same = abs(cost - stated["cost_usd"]) < _CENT
    yield Check("connect", "cost asked again", same, f"{stated['cost_usd']:.4f}, now {cost:.4f}")


def _pricing(_: Source, root: Path, report: Record) -> Iterator[Check]:  # noqa: ARG001 (as all)
    models = _json(root, "data/model_pricing.json")
    known = all(
        price["input_cost_per_token"] > 0 and price["litellm_provider"] for price in models.values()
    )
    yield Check("pricing", "model_pricing.json", bool(models) and known, f"{len(models)} models")


def _metrics(_: Source, root: Path, report: Record) -> Iterator[Check]:
    totals = report.document["totals"]
    for name in ("metrics_by_span", "metrics_by_model"):
        rows = _csv(root, f"data/{name}.csv")
        calls = sum(int(row["calls"]) for row in rows)
        cost = sum(float(row["total_cost_usd"]) for row in rows)
        same = calls == totals["calls"] and abs(cost - totals["cost_usd"]) < _CENT
        detail = f"{len(rows)} rows: {calls} calls, {cost:.4f} USD"
        yield Check("metrics", f"{name}.csv adds up", same, detail)


def _variance(_: Source, root: Path, report: Record) -> Iterator[Check]:  # noqa: ARG001 (as all)
    for operation, one in _json(root, "data/cost_variance.json").items():
        ordered = one["min"] <= one["median"] <= one["p95"] <= one["max"]
        yield Check("variance", operation, ordered, f"{one['n']} traces")


def _failures(_: Source, root: Path, report: Record) -> Iterator[Check]:
    errors = sum(one["errors"] for one in report.document["operations"])
    stated = report.document["totals"]["errors"]
    rows = _csv(root, "data/metrics_by_span.csv")
    rates = [float(row["error_rate"]) for row in rows]
    yield Check("failures", "errors add up", errors == stated, f"{errors} of {stated}")
    yield Check(
        "failures", "rates are shares", all(0 <= one <= 1 for one in rates), f"{len(rates)}"
    )


def _qualitative(source: Source, root: Path, report: Record) -> Iterator[Check]:
    samples = _json(root, "data/qualitative_samples.json")
    cited = {str(one["trace_id"]) for one in samples}
    for one in _json(root, "data/cost_variance.json").values():
        cited |= set(one["outlier_trace_ids"])
    for one in report.recommendations:
        cited |= {row["trace_id"] for row in one["evidence"]} | set(one["saving"]["trace_ids"])
    ids = sorted(cited)[:_MOST_IDS]
    scope = report.scope
    rows = source.ask(_FOUND % scope.calls("trace"), scope.values({"ids": ids})) if ids else []
    missing = set(ids) - {row["trace"] for row in rows}
    detail = f"{len(ids)} ids, {len(missing)} not found {sorted(missing)[:3] or ''}".strip()
    yield Check("qualitative", "every cited trace exists", not missing, detail)


def _report(_: Source, root: Path, report: Record) -> Iterator[Check]:
    text = (root / "recommendations.md").read_text("utf-8")
    bare = _FENCE.sub("", text)
    titles = re.findall(r"^## (.+)$", bare, re.MULTILINE)
    yield Check("report", "sections", titles == list(SECTIONS), ", ".join(titles))
    found = _PRIORITY.split(text[text.index("## Recommendations") :])[1:]
    count = len(report.recommendations)
    yield Check(
        "report", "recommendations written", len(found) == count, f"{len(found)} of {count}"
    )
    wanted = report.document["min_recommendations"]
    said = count >= wanted or "The data supports" in bare
    yield Check("report", "enough, or said why not", said, f"{count}, wanted {wanted}")
    for one, written in zip(report.recommendations, found, strict=False):
        lacking = [part for part in PARTS if f"#### {part}" not in written]
        code = written.count("```python")
        lacking += [] if code >= 2 else ["before and after in Python"]
        lacking += [] if "```sql" in written and one["measurement"]["hogql"] else ["the query"]
        lacking += [] if one["evidence"] else ["a real trace"]
        detail = f"lacks {', '.join(lacking)}" if lacking else "all five parts"
        yield Check("report", str(one["id"]), not lacking, detail)
    for name in ("summary.md", "recommendations.html"):
        size = (root / name).stat().st_size
        yield Check("report", name, size > 0, f"{size} bytes")
    for name in re.findall(r"^!\[[^\]]*\]\((figures/[a-z_]+\.png)\)$", bare, re.MULTILINE):
        drawn = (root / name).read_bytes().startswith(b"\x89PNG")
        yield Check("report", name, drawn, "a PNG" if drawn else "no PNG")


_PARTS: tuple[_Part, ...] = (
    _connect,
    _pricing,
    _metrics,
    _variance,
    _failures,
    _qualitative,
    _report,
)


def _json(root: Path, name: str) -> Any:
    return json.loads((root / name).read_text("utf-8"))


def _csv(root: Path, name: str) -> list[dict[str, str]]:
    with (root / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
