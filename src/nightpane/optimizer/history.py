"""Step 9: what became of earlier recommendations.

What shipped or was rejected is not recommended again; each earlier number is measured afresh with
its own query; what got worse is named. Where there is no history, that is said.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from nightpane.errors import ConfigError
from nightpane.optimizer import record
from nightpane.optimizer.measure import measure, reached
from nightpane.optimizer.model import Earlier, History, Metrics, Options
from nightpane.optimizer.record import Record
from nightpane.optimizer.source import Source
from nightpane.optimizer.words import code, percent, plain, usd
from nightpane.stats import wilson

__all__ = ["run"]

Status = Literal["shipped", "rejected", "open"]

MOST_MEASURED = 15
"""So many earlier numbers are measured again; each costs a query."""
_WORSE = 1.25  # cost per call, against the earlier report's: below, the mix of calls explains it
_LEAST_CALLS = 20
_LINE = re.compile(
    r"^[\s*+-]*(?:\[.\]\s*)?(shipped|merged|rejected|closed)[:\s]+(\S+)\s*(.*)$", re.IGNORECASE
)
_WORDS: Mapping[str, Status] = {
    "shipped": "shipped",
    "merged": "shipped",
    "rejected": "rejected",
    "closed": "rejected",
    "open": "open",
}
_GH = ("gh", "pr", "list", "--state", "all", "--limit", "300", "--json", "number,title,body,state")
_GH_TIMEOUT_S = 15


def run(source: Source, options: Options, metrics: Metrics) -> History:
    """Return what became of the recommendations of the earlier report, empty without any.

    The earlier report is ``--history``'s folder or file, else the one in the results folder.
    Raises ConfigError when ``--history`` names something that cannot be read.
    """
    earlier, listed, where = _sources(options)
    if earlier is None and not listed:
        return History(where, (), frozenset(), ())
    statuses = {**_pull_requests(earlier), **listed}
    measured = tuple(_earlier(source, options.now, earlier, statuses))
    skip = frozenset(one.id for one in measured if one.status != "open") | {
        name for name, (status, _) in statuses.items() if status != "open"
    }
    return History(where, measured, skip, tuple(_worse(earlier, metrics, measured)))


_Listed = dict[str, tuple[Status, str]]


def _sources(options: Options) -> tuple[Record | None, _Listed, str]:
    """The earlier report, what a file lists, and where that is from ("" when there is neither)."""
    if options.history is None:
        own = options.results_dir / record.FILE
        if not own.is_file():
            return None, {}, ""
        return record.load(own), {}, "the earlier report in this folder"
    path = options.history
    if path.is_dir():
        return record.load(path), {}, f"the report in {path.name}"
    listed = _listed(path)
    if listed is None:
        return record.load(path), {}, path.name
    own = options.results_dir / record.FILE
    return record.load(own) if own.is_file() else None, listed, path.name


def _listed(path: Path) -> _Listed | None:
    """What a file lists as shipped or rejected; None when it is a report's own record."""
    try:
        text = path.read_text("utf-8", errors="replace")
    except OSError as error:
        raise ConfigError(f"--history {path} cannot be read: {error.strerror}") from None
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if isinstance(document, dict):
        return None
    found: _Listed = {}
    if isinstance(document, list):
        for item in document:
            word = str(item.get("status", "")).lower() if isinstance(item, dict) else ""
            if word not in _WORDS or "id" not in item:
                raise ConfigError(
                    f"--history {path}: expected objects with 'id' and 'status' "
                    f"({', '.join(_WORDS)}), found {plain(str(item))}"
                )
            found[str(item["id"])] = (_WORDS[word], str(item.get("note", "")))
        return found
    for line in text.splitlines():
        if match := _LINE.match(line):
            found[match[2].strip("`")] = (_WORDS[match[1].lower()], match[3])
    if text.strip() and not found:
        raise ConfigError(
            f"--history {path} lists nothing: expected lines such as "
            "'shipped cache_misses:agent_loop pull request 12', or JSON"
        )
    return found


def _pull_requests(earlier: Record | None) -> _Listed:
    """What pull requests that name a recommendation's id became, where ``gh`` can tell."""
    ids = [one["id"] for one in earlier.recommendations] if earlier else []
    if not ids or shutil.which("gh") is None:
        return {}
    try:
        said = subprocess.run(
            _GH, capture_output=True, text=True, timeout=_GH_TIMEOUT_S, check=True
        )
        requests = json.loads(said.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        # No repository, no login or no network: then the file's own statuses stand alone.
        return {}
    found: _Listed = {}
    for request in requests if isinstance(requests, list) else ():
        text = f"{request.get('title')}\n{request.get('body')}"
        status = {"MERGED": "shipped", "CLOSED": "rejected"}.get(str(request.get("state")))
        for name in ids:
            if status is not None and name in text and found.get(name, ("",))[0] != "shipped":
                found[name] = (_WORDS[status], f"pull request #{request.get('number')}")
    return found


def _earlier(
    source: Source, now: datetime, earlier: Record | None, statuses: _Listed
) -> Iterator[Earlier]:
    if earlier is None:
        for name, (status, note) in statuses.items():
            yield _judged(source, now, {"id": name, "title": name}, status, note, False)
        return
    everything = {one["id"]: one for one in [*earlier.settled, *earlier.recommendations]}
    for place, (name, one) in enumerate(everything.items()):
        own: Status = _WORDS.get(str(one.get("status")), "open")
        status, note = statuses.get(name, (own, str(one.get("note", ""))))
        yield _judged(source, now, one, status, note, place < MOST_MEASURED)


def _judged(
    source: Source, now: datetime, one: Mapping[str, Any], status: Status, note: str, ask: bool
) -> Earlier:
    measurement = one.get("measurement")
    value, why = None, "not measured"
    if measurement and ask:
        value, why = measure(source, measurement, now)
    target = (measurement or {}).get("target")
    baseline = (measurement or {}).get("baseline")
    return Earlier(
        id=str(one["id"]),
        title=str(one.get("title") or one["id"]),
        status=status,
        source=note,
        metric=str((measurement or {}).get("metric", "")),
        baseline=baseline,
        target=target,
        now=value,
        reached=_reached(baseline, target, value),
        note=note if value is not None else "; ".join(filter(None, [note, why])),
        measurement=measurement,
    )


def _reached(baseline: Any, target: Any, value: float | None) -> bool | None:
    if value is None or baseline is None or target is None:
        return None
    return reached(float(baseline), float(target), value)


def _worse(
    earlier: Record | None, metrics: Metrics, measured: tuple[Earlier, ...]
) -> Iterator[str]:
    """Name what got worse: measured numbers beyond their baseline, and operations."""
    for one in measured:
        if one.now is None or one.baseline is None or one.target is None or one.reached:
            continue
        away = one.now > one.baseline if one.target <= one.baseline else one.now < one.baseline
        if away:
            yield (
                f"{one.metric} of {code(one.id)} went from {one.baseline:.4g} to {one.now:.4g}, "
                f"away from its target {one.target:.4g}"
            )
    for before in earlier.document.get("operations", ()) if earlier else ():
        after = metrics.operation(before["operation"])
        if after is None or min(before["calls"], after.calls) < _LEAST_CALLS:
            continue
        each = before["cost_usd"] / before["calls"]
        if each > 0 and after.cost_per_call_usd > _WORSE * each:
            yield (
                f"a call of {code(after.operation)} costs {usd(after.cost_per_call_usd)}, "
                f"{usd(each)} in the earlier report"
            )
        then, now = (
            wilson(before["errors"], before["calls"]),
            wilson(after.errors, after.calls),
        )
        if then is not None and now is not None and now.low > then.high:
            yield (
                f"{percent(after.error_rate)} of the calls of {code(after.operation)} fail, "
                f"{percent(before['errors'] / before['calls'])} in the earlier report"
            )
