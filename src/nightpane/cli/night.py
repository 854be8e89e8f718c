"""``nightpane night``: several loops to their limits, unattended, and the morning after them.

The file's keys are the options of ``nightpane loop``; it must know none of its own beside them.
"""

from __future__ import annotations

import difflib
import os
import shlex
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nightpane import slack
from nightpane.cli._output import emit, json_option, printable
from nightpane.cli.loop import command as loops
from nightpane.config import Settings, load
from nightpane.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from nightpane.loops.night import Ended, Job, Night

__all__ = ["command"]

_NIGHT: Mapping[str, type] = {
    "hours": float,
    "at_once": int,
    "grace_minutes": float,
    "morning": str,
    "post_slack": bool,
}
_LOOP = ("name", "kind", "target")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """A night's file, read and checked."""

    jobs: tuple[Job, ...]
    hours: float | None
    at_once: int | None
    grace_s: float
    morning: Path | None
    post_slack: bool


@click.command("night")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--check", is_flag=True, help="Only read the file, and say what would run.")
@json_option
def command(file: Path, check: bool, as_json: bool) -> int:
    """Run the loops of FILE through a night, and leave the morning's digest.

    Each loop is a process of its own, begun again when it crashes. When the hours are over, each
    finishes the round it is in. Exit code 1 when a loop did not end in order.
    """
    from nightpane.loops.night import Night

    plan = _read(file)
    if check:
        shown = [{"name": job.name, "command": list(job.command[1:])} for job in plan.jobs]
        emit(shown, as_json=as_json, render=lambda console: _list(plan, console))
        return 0
    settings = load()
    began = datetime.now().astimezone()
    night = Night(
        jobs=plan.jobs,
        folder=settings.state_dir / "nights" / began.strftime("%Y-%m-%dT%H%M%S"),
        hours=plan.hours,
        at_once=plan.at_once,
        grace_s=plan.grace_s,
        say=lambda name, line: click.echo(f"{name}: {printable(line)}", err=True),
    )
    with _stopped_by_signals(night):
        ended = night.run()
    told = _morning(plan, settings)
    document = {"loops": [_document(one) for one in ended], "morning": told}
    emit(document, as_json=as_json, render=lambda console: _draw(ended, told, console))
    return 0 if all(one.ok for one in ended) and told["exit_code"] == 0 else 1


# The file


def _read(path: Path) -> _Plan:
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    _known(document, ("night", "loop"), str(path))
    night = document.get("night", {})
    tables = document.get("loop")
    if not isinstance(tables, list) or not tables:
        raise ConfigError(f"{path} names no loop: write [[loop]] for each")
    _known(night, tuple(_NIGHT), f"{path}, [night]")
    for name, value in night.items():
        _check(name, value, f"{path}, [night]")
    folder = path.resolve().parent
    jobs = tuple(_job(table, folder, f"{path}, loop {n}") for n, table in enumerate(tables, 1))
    for what in ("name", "target"):
        seen = [table[what] for table in tables]
        if double := next((one for one in seen if seen.count(one) > 1), None):
            raise ConfigError(f"{path}: two loops have the {what} {double!r}")
    minutes = night.get("grace_minutes", 10.0)
    morning = night.get("morning")
    return _Plan(
        jobs=jobs,
        hours=night.get("hours"),
        at_once=night.get("at_once"),
        grace_s=minutes * 60,
        morning=None if morning is None else folder / morning,
        post_slack=night.get("post_slack", False),
    )


def _check(name: str, value: Any, where: str) -> None:
    kind = _NIGHT[name]
    if kind is str:
        fits, wanted = isinstance(value, str) and bool(value.strip()), "a text"
    elif kind is bool:
        fits, wanted = isinstance(value, bool), "true or false"
    else:
        fits = isinstance(value, int if kind is int else (int, float)) and value > 0
        fits, wanted = fits and not isinstance(value, bool), "a number above 0"
    if not fits:
        raise ConfigError(f"{where}: {name} is {value!r}; it must be {wanted}")
    if name == "post_slack" and value:
        # A missing address is found before the night, not after it.
        slack.address("-")


def _job(table: Any, folder: Path, where: str) -> Job:
    """Return a loop's job: its table as the command line that ``nightpane loop`` takes."""
    from nightpane.loops.night import Job

    if not isinstance(table, dict):
        raise ConfigError(f"{where}: write [[loop]], with two brackets")
    for name in _LOOP:
        if not isinstance(table.get(name), str) or not table[name].strip():
            raise ConfigError(f"{where}: {name} is missing or no text")
    name, kind = table["name"], table["kind"]
    if kind not in loops.commands:
        known = ", ".join(sorted(loops.commands))
        raise ConfigError(f"{where}: kind {kind!r} is unknown; use one of {known}")
    if not all(char.isalnum() or char in "-_" for char in name):
        raise ConfigError(f"{where}: name {name!r} becomes a file's: use letters, digits, - and _")
    chosen = loops.commands[kind]
    options = {_key(one): one for one in chosen.params if isinstance(one, click.Option)}
    del options["json"]
    _known(table, (*_LOOP, *options), where)
    arguments = [str((folder / table["target"]).resolve())]
    for key, value in table.items():
        if key not in _LOOP:
            arguments += _arguments(options[key], value, f"{where}: {key}")
    _try(chosen, arguments, folder, where)
    begin = (sys.executable, "-m", "nightpane", "loop", kind)
    return Job(name, (*begin, *arguments, "--json"), folder)


def _arguments(option: click.Option, value: Any, where: str) -> list[str]:
    flag = option.opts[0]
    if option.is_flag:
        if not isinstance(value, bool):
            raise ConfigError(f"{where} is {value!r}; it must be true or false")
        return [flag] if value else []
    many = value if isinstance(value, list) else [value]
    if (isinstance(value, list) and not option.multiple) or not all(
        isinstance(one, str | int | float) and not isinstance(one, bool) for one in many
    ):
        wanted = "a text, a number or a list of them" if option.multiple else "a text or a number"
        raise ConfigError(f"{where} is {value!r}; it must be {wanted}")
    return [f"{flag}={one}" for one in many]


def _try(chosen: click.Command, arguments: list[str], folder: Path, where: str) -> None:
    """Have the command itself read its arguments, so that a mistake is found before the night."""
    here = Path.cwd()
    try:
        os.chdir(folder)
        chosen.make_context(chosen.name, list(arguments))
    except click.ClickException as error:
        raise ConfigError(f"{where}: {error.format_message()}") from error
    finally:
        os.chdir(here)


def _key(option: click.Option) -> str:
    return option.opts[0].lstrip("-").replace("-", "_")


def _known(table: Any, names: tuple[str, ...], where: str) -> None:
    if not isinstance(table, dict):
        raise ConfigError(f"{where} is no table")
    for name in table:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ConfigError(f"{where}: {name} is unknown{hint}")


# Around the night


@contextmanager
def _stopped_by_signals(night: Night) -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, lambda *_: night.stop()) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _morning(plan: _Plan, settings: Settings) -> dict[str, Any]:
    """Write the digest, once everything that waited is delivered; return how that went."""
    if settings.host is None:
        why = (
            "no host is known, so the events wait in the spool: 'nightpane spool flush' once one is"
        )
        return {"exit_code": 3, "said": why, "file": None}
    nightpane = [sys.executable, "-m", "nightpane"]
    subprocess.run([*nightpane, "spool", "flush"], capture_output=True, check=False)
    arguments = [*nightpane, "morning"]
    if plan.morning is not None:
        arguments += ["--output", str(plan.morning)]
    if plan.post_slack:
        arguments += ["--post-slack", "-"]
    done = subprocess.run(arguments, capture_output=True, encoding="utf-8", check=False)
    said = (done.stdout if done.returncode == 0 else done.stderr).strip()
    file = None if plan.morning is None else str(plan.morning)
    return {"exit_code": done.returncode, "said": said, "file": file}


# What is shown


def _document(one: Ended) -> dict[str, Any]:
    return {
        "name": one.name,
        "ok": one.ok,
        "starts": one.starts,
        "exit_code": one.exit_code,
        "why": one.why,
        "log": str(one.log),
        "outcome": one.outcome,
    }


def _list(plan: _Plan, console: Console) -> None:
    for job in plan.jobs:
        shown = shlex.join(["nightpane", *job.command[3:]])
        console.print(f"{job.name}: {printable(shown)}", markup=False, soft_wrap=True)


def _draw(ended: list[Ended], told: dict[str, Any], console: Console) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("loop", "stopped for", "rounds", "kept", "best", "cost"):
        right = title in ("rounds", "kept", "best", "cost")
        table.add_column(title, justify="right" if right else "left")
    for one in ended:
        table.add_row(*_cells(one))
    console.print(table)
    for one in ended:
        if not one.ok:
            why = f"{one.name}: {printable(one.why)}; all it said: {one.log}"
            console.print(why, markup=False, soft_wrap=True)
    console.print(printable(told["said"]), markup=False, soft_wrap=True)


def _cells(one: Ended) -> tuple[str, ...]:
    done = one.outcome
    if done is None:
        why = "never begun" if one.starts == 0 else f"failed, exit code {one.exit_code}"
        return (one.name, why, "", "", "", "")
    best = "" if done["best_score"] is None else f"{done['best_score']:.6g}"
    rounds, kept = str(done["rounds"]), str(done["kept"])
    cost = f"${done['cost_usd']:.2f}" if done["cost_usd"] else "unknown"
    return (one.name, str(done["reason"]), rounds, kept, best, cost)
