"""``nightpane token-machine``: the proxy, its rules, and what the data says of both."""

from __future__ import annotations

import difflib
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nightpane.cli._output import emit, json_option, printable
from nightpane.config import load
from nightpane.errors import ApiError, ConfigError, MissingExtraError

if TYPE_CHECKING:
    from nightpane.router.grades import Grade
    from nightpane.router.propose import Proposal
    from nightpane.router.report import Report
    from nightpane.router.rules import Rules

__all__ = ["command"]

_F = TypeVar("_F", bound=Callable[..., Any])
_FILE = "token-machine.toml"


def _file_option(function: _F) -> _F:
    return click.option(
        "--file",
        "path",
        type=click.Path(dir_okay=False, path_type=Path),
        default=Path(_FILE),
        show_default=True,
        help="The rules.",
    )(function)


@click.group()
def command() -> None:
    """Route model calls: serve, check, report, propose, apply, revert, init."""


@command.command("init")
@_file_option
@json_option
def init(path: Path, as_json: bool) -> None:
    """Write a commented example; a file that is there is left alone."""
    from nightpane.router.example import EXAMPLE

    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(EXAMPLE)
    except FileExistsError as error:
        raise ConfigError(f"{path} is there already: delete it first, or name another") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error}") from error
    _say({"path": str(path)}, f"wrote {path}; then: nightpane token-machine check", as_json)


@command.command("check")
@_file_option
@json_option
def check(path: Path, as_json: bool) -> int:
    """Check the rules as serve would: fields, keys, prices. Ends with 1 for a key or a price that
    is missing, 2 for a wrong file."""
    from nightpane.router.rules import read

    rules = read(path, needs_keys=False)
    try:
        problems = _problems(path)
    except ModuleNotFoundError as error:
        raise MissingExtraError("token-machine") from error
    document = {"rule_id": rules.id, "problems": problems, **_counts(rules)}

    def render(to: Console) -> None:
        for problem in problems:
            _print(to, problem, "red")
        counts = ", ".join(f"{count} {what}" for what, count in _counts(rules).items())
        _print(to, f"rules {rules.id}: {counts}")

    emit(document, as_json=as_json, render=render)
    return 1 if problems else 0


@command.command("serve")
@_file_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=8330, show_default=True, type=click.IntRange(0, 65535), help="0: a free one."
)
@click.option("--allow-network", is_flag=True, help="Listen where other machines reach it.")
@json_option
def serve(path: Path, host: str, port: int, allow_network: bool, as_json: bool) -> None:
    """Serve OpenAI's API until interrupted; events go to the pane, the data comes from there."""
    if host not in ("127.0.0.1", "::1", "localhost") and not allow_network:
        raise ConfigError(
            f"--host {host} lets other machines in, and keys travel unencrypted: add "
            "--allow-network if that is meant"
        )
    from nightpane import Pane
    from nightpane.router.rules import read

    try:
        from nightpane.router import serve as serving
        from nightpane.router.service import Service
    except ModuleNotFoundError as error:
        raise MissingExtraError("token-machine") from error
    rules = read(path)
    if rules.settings.project is None and load().project is None:
        raise ConfigError(
            f"no project for the events: set project under [router] in {path}, or "
            "AUTORESEARCH_PROJECT"
        )
    with Pane(project=rules.settings.project) as pane, _ledger() as ledger:
        service = _service(Service, path, pane, ledger)
        serving.serve(
            service,
            host=host,
            port=port,
            on_ready=lambda url: _ready(url, service.rules.id, as_json),
        )


@command.command("report")
@_file_option
@click.option("--day", metavar="DATE", help="The day (UTC); default: today.")
@click.option("--emit", "emits", is_flag=True, help="Emit summary and anomalies, each once.")
@json_option
def show(path: Path, day: str | None, emits: bool, as_json: bool) -> int:
    """Grade users and agents, and say what looks wrong. Ends with 1 when something does."""
    from nightpane.router.report import report, tell

    at = _day(day)
    rules, cells = _read(path, at)
    found = report(cells, rules, at)
    if emits:
        from nightpane import Pane
        from nightpane.token_machine import TokenMachine

        with Pane(project=rules.settings.project) as pane, _ledger() as ledger:
            is_over = at < datetime.now(UTC).date()
            tell(found, TokenMachine(pane), ledger, is_over=is_over)
            pane.flush()
    emit(found.document(), as_json=as_json, render=lambda to: _draw(found, to))
    return 1 if found.anomalies else 0


@command.command("propose")
@_file_option
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the new rules here."
)
@json_option
def propose_(path: Path, out: Path | None, as_json: bool) -> int:
    """Propose changes of the rules from the data, with their diff. Ends with 1 when there are any.

    Nothing is changed: give --out, look at it, then apply it.
    """
    from nightpane.router.propose import changed, propose

    rules, cells = _read(path, datetime.now(UTC).date())
    proposals = propose(cells, rules)
    text = path.read_text("utf-8")
    new = changed(text, proposals)
    diff = list(
        difflib.unified_diff(
            text.splitlines(), new.splitlines(), str(path), str(out or "proposed"), lineterm=""
        )
    )
    if out is not None and proposals:
        out.write_text(new, "utf-8")
    document = {"proposals": [asdict(one) for one in proposals], "diff": diff, "out": out}
    emit(document, as_json=as_json, render=lambda to: _draw_proposals(proposals, diff, to))
    return 1 if proposals else 0


@command.command("apply")
@click.argument("new", type=click.Path(dir_okay=False, path_type=Path))
@_file_option
@json_option
def apply(new: Path, path: Path, as_json: bool) -> None:
    """Put the rules of the file NEW in force, and annotate the moment. 'revert' takes it back."""
    from nightpane.router.versions import Versions

    try:
        text = new.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{new} cannot be read: {error}") from error
    change = Versions(path).apply(text)
    _annotated(
        asdict(change), f"routing rule {change.id} in force, before {change.before}", as_json
    )


@command.command("revert")
@_file_option
@json_option
def revert(path: Path, as_json: bool) -> None:
    """Put the rules in force that were before those of now, and annotate the moment."""
    from nightpane.router.versions import Versions

    change = Versions(path).revert()
    text = f"routing rule {change.before} taken back: {change.id} in force again"
    _annotated(asdict(change), text, as_json)


def _problems(path: Path) -> list[str]:
    """Return what would keep serve from starting, though the file itself is well formed."""
    from nightpane.router.rules import read
    from nightpane.router.upstream import Upstream, unpriced

    try:
        rules = read(path)
        return unpriced(rules, Upstream(rules))
    except ConfigError as error:
        return [str(error)]


def _counts(rules: Rules) -> dict[str, int]:
    return {
        "models": len(rules.models),
        "task types": len(rules.task_types),
        "keys": len(rules.keys),
    }


def _service(make: Any, path: Path, pane: Any, ledger: Any) -> Any:
    from nightpane.query import QueryClient
    from nightpane.router.report import learn
    from nightpane.token_machine import TokenMachine

    try:
        query = QueryClient.from_settings(load(), retries=0)
    except (ApiError, ConfigError) as error:
        click.secho(f"warning: no data, so every task goes to its default: {error}", err=True)
        query = None
    asks = None if query is None else (lambda rules: learn(query, rules))
    return make(path, ledger, TokenMachine(pane), learn=asks)


def _ledger() -> Any:
    from contextlib import closing

    from nightpane.router.ledger import Ledger

    return closing(Ledger(load().state_dir / "token-machine" / "ledger.db"))


def _ready(url: str, rule: str, as_json: bool) -> None:
    if as_json:
        about = {"pid": os.getpid(), "url": url, "rule_id": rule}
        sys.stdout.write(json.dumps(about) + "\n")
    else:
        sys.stdout.write(f"token machine serves {url} by rules {rule}\n  Ctrl-C ends it.\n")
    sys.stdout.flush()


def _read(path: Path, day: date) -> tuple[Rules, Any]:
    from datetime import time

    from nightpane.query import QueryClient
    from nightpane.router.evidence import read_cells
    from nightpane.router.rules import read

    rules = read(path, needs_keys=False)
    client = QueryClient.from_settings(load())
    return rules, read_cells(client, rules, now=datetime.combine(day, time.max, UTC))


def _day(text: str | None) -> date:
    try:
        return date.fromisoformat(text) if text else datetime.now(UTC).date()
    except ValueError:
        raise click.BadParameter(f"{text!r} is no date", param_hint="--day") from None


def _annotated(document: dict[str, Any], text: str, as_json: bool) -> None:
    from nightpane import annotations

    state = annotations.annotate(text).state
    _say({**document, "annotation": state}, f"{text}; the annotation is {state}", as_json)


def _draw(report: Report, to: Console) -> None:
    quality = "no grade" if report.quality is None else f"quality {report.quality:.3f}"
    _print(
        to,
        f"{report.day}: {report.calls} calls, {report.errors} failed, "
        f"{report.cost_usd:.4f} USD ({report.priced} priced), {quality} (n={report.graded})",
    )
    for title, grades in (("user", report.users), ("agent", report.agents)):
        if grades:
            to.print(_grades(title, grades))
    if report.escalation_candidates:
        _print(to, f"may need a better model: {', '.join(report.escalation_candidates)}")
    for one in report.anomalies:
        _print(to, f"{one.type}: {one.recommendation}", "red")


def _grades(title: str, grades: Sequence[Grade]) -> Table:
    table = Table(box=None)
    for name in (title, "grade", "quality per USD", "calls", "USD", "note"):
        table.add_column(name)
    for one in grades:
        letter = "-" if one.letter is None else one.letter + ("" if one.is_certain else "?")
        efficiency = ""
        if one.efficiency is not None and one.low is not None and one.high is not None:
            efficiency = f"{one.efficiency:.4g} ({one.low:.4g} to {one.high:.4g})"
        cells = (one.name, letter, efficiency, str(one.calls), f"{one.cost_usd:.4f}")
        unsure = "its interval reaches another letter" if letter.endswith("?") else ""
        table.add_row(*(_safe(cell) for cell in (*cells, one.why_not or unsure)))
    return table


def _draw_proposals(proposals: Sequence[Proposal], diff: Sequence[str], to: Console) -> None:
    if not proposals:
        to.print("nothing to propose: the data speaks for the rules, or says too little")
    words = {"default": "default becomes", "add": "new candidate", "remove": "no candidate more:"}
    for one in proposals:
        _print(to, f"{one.task_type}: {words[one.action]} {one.model}: {one.why}")
        if one.saves_usd_per_day is not None:
            saves = f"{one.saves_usd_per_day:.4f} ({one.saves_low:.4f} to {one.saves_high:.4f})"
            _print(to, f"    saves {saves} USD a day where the default serves")
    for line in diff:
        style = {"+": "green", "-": "red"}.get(line[:1], "")
        _print(to, line, style)


def _say(document: dict[str, Any], text: str, as_json: bool) -> None:
    emit(document, as_json=as_json, render=lambda to: _print(to, text))


def _print(to: Console, text: str, style: str = "") -> None:
    to.print(_safe(text), style=style, soft_wrap=True)


def _safe(text: str) -> Text:
    return Text(printable(text))
