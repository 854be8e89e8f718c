"""Running a report: the eleven steps in order, each handing plain values to the next.

A run that was cut off (connection, limit, Ctrl-C) is taken up where it stopped, with the same
window, by running it again into the same folder.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from nightpane.errors import NightpaneError
from nightpane.optimizer import causes as root_causes
from nightpane.optimizer import (
    connect,
    failures,
    history,
    metrics,
    pricing,
    recommendations,
    report,
    samples,
    validation,
    variance,
)
from nightpane.optimizer.fields import Scope
from nightpane.optimizer.folder import Folder
from nightpane.optimizer.model import Analysis, Options, Target
from nightpane.optimizer.source import Answers, Source
from nightpane.query import Query

__all__ = ["Progress", "Result", "optimize"]

Progress = Callable[[int, str], None]
"""Called with the step's number (1 to 11) and what it has to say, counts included."""

_STATE = "cache/run.json"


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a run: the folder, the analysis in it, and whether its validation passed."""

    folder: Path
    analysis: Analysis
    passed: bool


def optimize(
    query: Query,
    options: Options,
    progress: Progress = lambda _step, _text: None,
    *,
    target: Target,
    wait: Callable[[float], None] | None = None,
) -> Result:
    """Write a report into the results folder, and return what it says.

    Raises NothingToReadError when the project cannot be read or holds no generations: the reason is
    then in ``summary.md``, and there is no report. Raises ApiError when a later query fails;
    running again takes up what was heard so far.
    """
    folder = Folder(options.results_dir, target.key)
    folder.open()
    connect.write_environment(folder, target, options)
    answers = Answers(folder.path("cache"), folder.clean)
    options = _resume(folder, answers, options, target)
    at = [1]
    pause: dict[str, Any] = {} if wait is None else {"wait": wait}
    source = Source(
        query,
        answers,
        say=lambda text: progress(at[0], text),
        **pause,
    )

    def tell(step: int, text: str) -> None:
        at[0] = step
        progress(step, text)

    try:
        analysis = _steps(source, folder, options, target, tell)
    except NightpaneError as error:
        # The message may quote an answer of the server, and that the request: never the key.
        error.args = tuple(folder.clean(str(part)) for part in error.args)
        raise
    # Afresh: the answers that the report was made of would only agree with themselves.
    passed = validation.run(Source(query, budget=source.left, **pause), folder, options.now)
    tell(11, f"validation {'passed' if passed else 'FAILED'}: validation_report.json")
    shutil.rmtree(folder.path("cache"), ignore_errors=True)
    return Result(folder.root, analysis, passed)


def _steps(
    source: Source, folder: Folder, options: Options, target: Target, tell: Progress
) -> Analysis:
    scope = Scope(options.now - timedelta(days=options.window_days), options.now, options.project)
    connection = connect.run(source, folder, scope, target)
    tell(1, f"{connection.generations:,} generations in {scope.days} days of {target.host}")
    priced, scope = pricing.run(source, folder, scope, options)
    tell(2, pricing.tell(priced))
    measured = metrics.run(source, folder, scope, priced)
    tell(
        3,
        f"{len(measured.operations):,} operations, {len(measured.models):,} models, "
        f"{measured.cost_usd:,.2f} USD",
    )
    varied = variance.run(source, folder, scope, measured, options)
    tell(
        4,
        f"{sum(one.outlier_traces for one in varied):,} outlier traces in {len(varied)} operations",
    )
    found = root_causes.run(source, folder, scope, measured, varied, priced)
    tell(5, f"{len(found.traces):,} outliers and {len(found.operations):,} operations diagnosed")
    failed = failures.run(source, folder, scope, measured, found)
    tell(6, f"{sum(one.errors for one in failed.operations):,} errors examined")
    read = samples.run(source, folder, scope, measured, varied, found, failed, options)
    tell(7, f"{len(read):,} traces read")
    past = history.run(source, options, measured)
    tell(9, f"{len(past.earlier):,} earlier recommendations ({past.source or 'no history'})")
    advice = recommendations.run(
        source, scope, options, priced, measured, varied, found, failed, read, past
    )
    tell(8, f"{len(advice):,} recommendations")
    analysis = Analysis(
        options,
        connection,
        priced,
        measured,
        varied,
        found,
        failed,
        read,
        past,
        advice,
        source.spent,
    )
    report.run(source, folder, scope, analysis)
    tell(10, f"recommendations.md, after {source.spent} queries")
    return analysis


def _resume(folder: Folder, answers: Answers, options: Options, target: Target) -> Options:
    """Take over the window of an unfinished run of the same options in this folder, or begin."""
    same = {
        "host": target.host,
        "project_id": target.project_id,
        "project": options.project,
        "window_days": options.window_days,
    }
    try:
        state = json.loads(folder.path(_STATE).read_text("utf-8"))
        now = datetime.fromisoformat(state.pop("now"))
    except (OSError, ValueError, KeyError):
        state, now = None, options.now
    # A window of yesterday would be an old report: better a new one.
    if state == same and options.now - now < timedelta(hours=12):
        return replace(options, now=now)
    answers.forget()
    folder.json(_STATE, {**same, "now": options.now.isoformat()})
    return options
