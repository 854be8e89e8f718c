"""``nightpane import``: ledgers of loops that already ran become events, with a summary."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nightpane.cli._output import console, emit, json_option, printable
from nightpane.errors import LedgerError

if TYPE_CHECKING:
    from rich.console import Console

    from nightpane.config import Settings
    from nightpane.ledgers import Ledger

FLUSH_EVERY = 5000
FLUSH_TIMEOUT_S = 30.0
_SHOWN_REASONS, _SHOWN_LINES, _NAME_CHARS = 8, 6, 32
_TIMES = {
    "git": "of the commits",
    "file": "as the ledger has them",
    "partly estimated": "partly estimated",
    "estimated": "estimated, evenly spaced",
    "none": "none",
}


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
    """Import FILES: results.tsv, autoresearch.jsonl, loop-results JSON and their relatives.

    The format is recognised by content. Importing a file again adds nothing, and importing one
    that has grown adds the new rounds. A file imported with a wrong metric or direction is not
    corrected by importing it again, so look with --dry-run first.

    Exit codes: 0 all read and delivered, 1 some lines or files were not read, 2 no file was a
    ledger, 3 what was read could not be delivered yet (it waits in the spool).
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
        "events": sum(item.get("events", 0) for item in done),
        "dry_run": dry_run,
        "delivered": delivered,
        "host": settings.host,
        "warnings": importer.warnings,
    }
    emit(report, as_json=as_json, render=lambda out: _render(out, report))
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

        try:
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


def _render(out: Console, report: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column("ledger", no_wrap=True)
    for name in ("rounds", "kept", "reverted", "crashed", "best"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("metric")
    read = [item for item in report["files"] if "error" not in item]
    for item in read:
        table.add_row(
            Text(_short(printable(Path(item["path"]).name))),
            *(str(item[name]) for name in ("rounds", "kept", "reverted", "crashed")),
            "-" if item["best_score"] is None else f"{item['best_score']:.6g}",
            Text(printable(item["metric"] or "-")),
        )
    if read:
        out.print(table)
    for item in report["files"]:
        _render_details(out, item)
    for warning in report["warnings"]:
        out.print(Text(f"warning: {printable(warning)}", style="yellow"))
    out.print(Text(_ending(report)))


def _short(name: str) -> str:
    """A name's beginning and end, which tell files of one folder apart."""
    return name if len(name) <= _NAME_CHARS else f"{name[:10]}…{name[11 - _NAME_CHARS :]}"


def _render_details(out: Console, item: dict[str, Any]) -> None:
    from rich.padding import Padding
    from rich.text import Text

    out.print()
    if "error" in item:
        out.print(Text(f"not imported: {printable(item['error'])}", style="red"))
        return
    name = printable(Path(item["path"]).name)
    out.print(Text(f"{name}: {item['format']}, project {printable(item['project'])}"), style="bold")
    for line in _details(item):
        out.print(Padding(Text(printable(line)), (0, 0, 0, 2), expand=False))


def _details(item: dict[str, Any]) -> Iterator[str]:
    if item["metric"]:
        how = "guessed" if item["metric_guessed"] else "as stated"
        yield f"metric {item['metric']} ({how}); {item['direction_how']}"
    if item["best_commit"]:
        yield f"best at {item['best_commit']}, line {item['best_line']}"
    if item["first_at"]:
        span = f"{item['first_at'][:16]} to {item['last_at'][:16]}".replace("T", " ") + " UTC"
        yield f"times: {_TIMES[item['timestamps']]}; {span}"
    if item["undecided"]:
        yield f"{item['undecided']} rounds neither kept nor reverted"
    yield from item["notes"]
    if item["lost"]:
        yield f"{item['lost']} events could not be kept: nightpane doctor says more"
    if not item["rounds"]:
        yield "no rounds in it"
    reasons: dict[str, list[int]] = {}
    for problem in item["unread_lines"]:
        reasons.setdefault(problem["reason"], []).append(problem["line"])
    for reason, lines in list(reasons.items())[:_SHOWN_REASONS]:
        shown = ", ".join(map(str, lines[:_SHOWN_LINES]))
        more = f" and {len(lines) - _SHOWN_LINES} more" if len(lines) > _SHOWN_LINES else ""
        yield f"not read: {reason}: line {shown}{more}"
    rest = len(reasons) - _SHOWN_REASONS
    if rest > 0:
        yield f"not read: {rest} more reasons; --json lists the lines"
    listed = len(item["unread_lines"])
    if item["unread"] > listed:
        yield f"{item['unread']} lines were not read, of which {listed} are listed"


def _ending(report: dict[str, Any]) -> str:
    count = f"\n{report['rounds']} rounds, {report['events']} events"
    if report["dry_run"]:
        return f"{count}: nothing was imported (--dry-run)"
    if report["delivered"] is None:
        return f"{count}: nothing to import"
    if report["delivered"]:
        return f"{count}: delivered to {printable(report['host'] or 'the server')}"
    return (
        f"{count}: not delivered yet, they wait in the spool. Start the server (nightpane up) or "
        "check the host, then run: nightpane spool flush"
    )
