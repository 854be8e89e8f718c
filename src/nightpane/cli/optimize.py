"""``nightpane optimize``: from a project's model calls to a report a team acts on this week."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape

from nightpane.cli._output import console, emit, json_option, printable
from nightpane.config import load, running_servers
from nightpane.errors import ApiError
from nightpane.query import QueryClient

if TYPE_CHECKING:
    from rich.console import Console

    from nightpane.optimizer import Result
    from nightpane.optimizer.model import Earlier

__all__ = ["command"]


@click.group("optimize", invoke_without_command=True)
@click.option("--window-days", type=click.IntRange(1, 3650), default=30, show_default=True)
@click.option(
    "--top-n",
    type=click.IntRange(1, 50),
    default=5,
    show_default=True,
    help="Operations whose cost per trace is looked into.",
)
@click.option(
    "--sample-size",
    type=click.IntRange(1, 200),
    default=15,
    show_default=True,
    help="Traces that are read.",
)
@click.option(
    "--min-recommendations",
    type=click.IntRange(0, 50),
    default=3,
    show_default=True,
    help="Recommendations to give where the data supports them.",
)
@click.option(
    "--results-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("optimizer-results"),
    show_default=True,
    help="Folder of the report; an interrupted run there is taken up.",
)
@click.option("--project", help="Only the calls of this project.")
@click.option(
    "--history",
    type=click.Path(path_type=Path, exists=True),
    help="An earlier results folder, or a file of what became of its recommendations.",
)
@click.option("--judge", metavar="MODEL", help="A model (through LiteLLM) that adds notes.")
@click.option("--save-key", is_flag=True, help="Write the personal key into the folder's .env.")
@click.option("--no-live-prices", is_flag=True, help="Use the installed price map.")
@click.option(
    "--check",
    metavar="DIR",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Only validate the report in DIR: read its files again, ask its totals again.",
)
@json_option
@click.pass_context
def command(
    context: click.Context,
    window_days: int,
    top_n: int,
    sample_size: int,
    min_recommendations: int,
    results_dir: Path,
    project: str | None,
    history: Path | None,
    judge: str | None,
    save_key: bool,
    no_live_prices: bool,
    check: Path | None,
    as_json: bool,
) -> int:
    """Report what the model calls of a project cost, why, and what to change.

    Reads $ai_generation events through the query API and writes recommendations.md, summary.md and
    the data behind them. Exit code 1 when the report does not pass its own validation.
    """
    if context.invoked_subcommand is not None:
        return 0
    from nightpane.optimizer import Options, Target, optimize

    query = QueryClient.from_settings(load())
    if check is not None:
        return _check(query, check, as_json=as_json)
    result = optimize(
        query,
        Options(
            results_dir=results_dir,
            now=_now(),
            window_days=window_days,
            top_n=top_n,
            sample_size=sample_size,
            min_recommendations=min_recommendations,
            project=project,
            history=history,
            judge=judge,
            save_key=save_key,
            live_prices=not no_live_prices,
        ),
        _say,
        target=Target(query.host, query.project_id, query.personal_api_key),
    )
    _publish(query, result)
    emit(_document(result), as_json=as_json, render=lambda screen: _draw(result, screen))
    return 0 if result.passed else 1


@command.command("verify")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@json_option
def verify_command(folder: Path, as_json: bool) -> int:
    """Measure every number of the report in FOLDER again, over the days up to now.

    Exit code 1 when a target is not reached yet.
    """
    from nightpane.optimizer.verify import verify

    found = verify(QueryClient.from_settings(load()), folder, _now())
    document = [
        {
            "id": one.id,
            "metric": one.metric,
            "baseline": one.baseline,
            "target": one.target,
            "now": one.now,
            "reached": one.reached,
            "note": one.note,
        }
        for one in found
    ]
    emit(document, as_json=as_json, render=lambda screen: _draw_verified(found, screen))
    return 0 if all(one.reached for one in found) else 1


def _check(query: QueryClient, folder: Path, *, as_json: bool) -> int:
    from nightpane.optimizer import validation
    from nightpane.optimizer.folder import Folder
    from nightpane.optimizer.source import Source

    passed = validation.run(Source(query), Folder(folder, query.personal_api_key), _now())
    report = json.loads((folder / validation.FILE).read_text("utf-8"))
    failed = [one for one in report["results"] if not one["passed"]]

    def draw(screen: Console) -> None:
        for one in failed:
            text = f"{one['stage']}: {one['check']}: {one['detail']}"
            screen.print(printable(text), markup=False, style="red")
        count = f"{len(report['results']) - len(failed)} of {len(report['results'])} checks hold"
        screen.print(count, markup=False)

    emit(report, as_json=as_json, render=draw)
    return 0 if passed else 1


def _publish(query: QueryClient, result: Result) -> None:
    """Show the report on the pane, when it is a local server's project that was read."""
    if all(server.host != query.host for server in running_servers(load().state_dir)):
        return
    html = (result.folder / "recommendations.html").read_text("utf-8")
    try:
        query.request("PUT", "/pane/report/", {"html": html})
    except ApiError as error:
        console(stderr=True).print(f"not shown on the pane: {printable(str(error))}", markup=False)


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _draw_verified(found: tuple[Earlier, ...], screen: Console) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("recommendation", "metric"):
        table.add_column(name, overflow="fold")
    for name in ("baseline", "target", "now", "reached"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in found:
        figures = [one.baseline, one.target, one.now]
        shown = ["-" if value is None else f"{value:.4g}" for value in figures]
        verdict = {True: "yes", False: "no", None: one.note}[one.reached]
        cells = [one.id, one.metric, *shown, verdict]
        table.add_row(*(escape(printable(cell)) for cell in cells))
    screen.print(table)


def _say(step: int, text: str) -> None:
    console(stderr=True).print(f"{step:>2}  {printable(text)}", markup=False)


def _document(result: Result) -> dict[str, Any]:
    analysis = result.analysis
    return {
        "results_dir": str(result.folder),
        "passed": result.passed,
        "generations": analysis.connection.generations,
        "total_cost_usd": round(analysis.metrics.cost_usd, 6),
        "queries": analysis.queries,
        "recommendations": [
            {
                "priority": one.priority,
                "id": one.id,
                "title": one.title,
                "operation": one.operation,
                "monthly_usd": round(one.saving.monthly_usd, 2),
            }
            for one in analysis.recommendations
        ],
    }


def _draw(result: Result, screen: Console) -> None:
    for one in result.analysis.recommendations:
        saved = f"{one.saving.monthly_usd:,.2f} USD a month"
        screen.print(f"{one.priority}. {printable(one.title)} ({saved})", markup=False)
    screen.print(str(result.folder / "recommendations.md"), markup=False)
