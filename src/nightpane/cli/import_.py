"""``nightpane import``: what already ran becomes events: ledgers, and recorded model calls."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nightpane.cli import _import_report
from nightpane.cli._output import console, emit, json_option, printable
from nightpane.errors import LedgerError

if TYPE_CHECKING:
    from nightpane.config import Settings
    from nightpane.ledgers import Ledger

FLUSH_EVERY = 5000
FLUSH_TIMEOUT_S = 30.0


@click.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--project", help="The loop's name (default: by the ledger's format).")
@click.option("--client", help="The tenant (default: internal, or the file's own).")
@click.option("--metric", metavar="COLUMN", help="The column or key of the score.")
@click.option(
    "--direction", type=click.Choice(["min", "max"]), help="Whether lower or higher is better."
)
@click.option(
    "--repo",
    type=click.Path(path_type=Path),
    help="A git repository: commits' times become the rounds' times.",
)
@click.option("--dry-run", is_flag=True, help="Read and report; import nothing.")
@json_option
def command(
    files: tuple[Path, ...],
    project: str | None,
    client: str | None,
    metric: str | None,
    direction: Any,
    repo: Path | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Import FILES: ledgers of loops (results.tsv, autoresearch.jsonl, loop-results JSON and their
    relatives), and model calls that another tool recorded (trajectories, session logs, exports).

    The format is recognised by content. Importing a file again adds nothing, and importing one
    that has grown adds what is new. A ledger imported with a wrong metric or direction is not
    corrected by importing it again, so look with --dry-run first.

    Exit codes: 0 all read and delivered, 1 some lines or files were not read, 2 no file was
    recognised, 3 what was read could not be delivered yet (it waits in the spool).
    """
    from nightpane import config

    settings = config.load(project=project, client=client)
    importer = _Importer(settings, dry_run=dry_run, client=client)
    done: list[dict[str, Any]] = []
    with _progress(len(files), hidden=as_json) as step, _no_warnings():
        for path in files:
            step(path.name)
            done.append(importer.take(path, metric=metric, direction=direction, repo=repo))
        delivered = importer.finish()
    report = {
        "files": done,
        "rounds": sum(item.get("rounds", 0) for item in done),
        "calls": sum(item.get("calls", 0) for item in done),
        "events": sum(item.get("events", 0) for item in done),
        "dry_run": dry_run,
        "delivered": delivered,
        "host": settings.host,
        "warnings": importer.warnings,
    }
    emit(report, as_json=as_json, render=lambda out: _import_report.render(out, report))
    return _exit_code(report)


def _exit_code(report: dict[str, Any]) -> int:
    failed = [item for item in report["files"] if "error" in item]
    if len(failed) == len(report["files"]):
        return 2
    if report["delivered"] is False or any(item.get("lost") for item in report["files"]):
        return 3
    return 1 if failed or any(item.get("unread") for item in report["files"]) else 0


class _Importer:
    """Reads each file and hands its events to the pane of its project and client."""

    def __init__(self, settings: Settings, *, dry_run: bool, client: str | None) -> None:
        from nightpane.ledgers import Anchors

        self.settings = settings
        self.dry_run = dry_run
        self.client = client
        self.anchors = Anchors(None if dry_run else settings.state_dir / "ledgers")
        self.panes: dict[tuple[str, str], Any] = {}
        self.delivered = True
        self.patience_s = FLUSH_TIMEOUT_S if settings.host is not None else 0.5

    @property
    def warnings(self) -> list[str]:
        return self.anchors.warnings

    def take(
        self, path: Path, *, metric: str | None, direction: Any, repo: Path | None
    ) -> dict[str, Any]:
        """Import one file; return its summary, or why it is none."""
        from nightpane.ledgers import import_ledger, read
        from nightpane.ledgers.summary import summary
        from nightpane.traces import is_trace_file

        try:
            if is_trace_file(path):
                return self._take_traces(path)
            ledger = read(path, metric=metric, direction=direction, repo=repo)
            project, client = self._scope(ledger)
            pane = None if self.dry_run or not ledger.n_rounds else self._pane(project, client)
            imported = import_ledger(
                ledger,
                pane,
                project=project,
                client=client,
                anchors=self.anchors,
                progress=None if pane is None else self._flush_now_and_then(pane),
            )
        except LedgerError as error:
            return {"path": str(path), "error": str(error)}
        return summary(ledger, imported, project=project, client=client)

    def _take_traces(self, path: Path) -> dict[str, Any]:
        from nightpane import traces

        source = traces.read(path)
        project = self.settings.project or source.agent
        pane = None if self.dry_run else self._pane(project, self.settings.client)
        progress = None if pane is None else self._flush_now_and_then(pane)
        done = traces.import_traces(source, pane, progress)
        return traces.summary(source, done, project=project, client=self.settings.client)

    def _scope(self, ledger: Ledger) -> tuple[str, str]:
        project = self.settings.project or ledger.project
        named = self.client is not None or self.settings.client != "internal"
        return project, self.settings.client if named else ledger.client or self.settings.client

    def _pane(self, project: str, client: str) -> Any:
        from nightpane.client import Pane

        if (project, client) not in self.panes:
            self.panes[project, client] = Pane(
                project=project, client=client, historical_migration=True
            )
        return self.panes[project, client]

    def _flush_now_and_then(self, pane: Any) -> Any:
        """A ledger larger than the spool's limit must be delivered on the way."""

        def after(count: int) -> None:
            if count % FLUSH_EVERY == 0 and self.delivered:
                self.delivered = bool(pane.flush(self.patience_s))

        return after

    def finish(self) -> bool | None:
        """Deliver what is left; return whether all arrived, None when nothing was to deliver."""
        if not self.panes:
            return None
        for pane in self.panes.values():
            # Each is tried, but only the first failure is waited for.
            arrived = bool(pane.flush(self.patience_s if self.delivered else 0.5))
            self.delivered = self.delivered and arrived
            pane.close(timeout_s=0.0)
        return self.delivered


@contextmanager
def _no_warnings() -> Iterator[None]:
    """A ledger's own columns are no mistake: do not warn that the catalogue has them not."""
    log = logging.getLogger("nightpane")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


@contextmanager
def _progress(count: int, *, hidden: bool) -> Iterator[Any]:
    """Show which of several files is being read, on a terminal."""
    if hidden or count < 2:
        yield lambda name: None  # noqa: ARG005 (called with the file's name)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=count)
        started = False

        def step(name: str) -> None:
            nonlocal started
            bar.update(task, description=printable(name), advance=1 if started else 0)
            started = True

        yield step
