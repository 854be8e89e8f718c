"""``nightpane gtm``: score containers, check a change of one, and the versions in a store."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nightpane.cli._output import emit, json_option, printable
from nightpane.config import load
from nightpane.errors import GtmError

if TYPE_CHECKING:
    from rich.console import Console

    from nightpane.gtm.corpus import Batch
    from nightpane.gtm.invariants import Breach
    from nightpane.gtm.scorer import Verdict
    from nightpane.gtm.store import Run, Store

__all__ = ["command"]

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group("gtm")
def command() -> None:
    """Score Tag Manager containers, check changes, and keep their versions."""


@command.command("score")
@click.argument("container", type=_FILE)
@click.option("--signals", type=_FILE, help="A snapshot of what the advertising accounts saw.")
@click.option("--old-signals", is_flag=True, help="Allow a snapshot of more than 72 hours.")
@click.option("--profile", help="Weigh by this profile of the rubric.")
@click.option("--rubric", type=_FILE, help="A rubric of your own.")
@click.option("--judge", metavar="MODEL", help="A model grades too, at OPENAI_BASE_URL.")
@click.option("--cases", is_flag=True, help="Tell everything that is wrong, case by case.")
@json_option
def score(
    container: Path,
    signals: Path | None,
    old_signals: bool,
    profile: str | None,
    rubric: Path | None,
    judge: str | None,
    cases: bool,
    as_json: bool,
) -> int:
    """Score a CONTAINER's export, dimension by dimension. Exit code 1 when one gates the score."""
    from nightpane.gtm.asking import asking
    from nightpane.gtm.container import Container
    from nightpane.gtm.judge import Judge, blended
    from nightpane.gtm.rubric import Rubric
    from nightpane.gtm.scorer import score as scored
    from nightpane.gtm.signals import Signals

    seen = None if signals is None else Signals.read(signals)
    if seen is not None and not old_signals:
        warning = seen.age_warning(datetime.now(UTC))
        if warning:
            click.echo(warning, err=True)
    by = Rubric.default() if rubric is None else Rubric.read(rubric)
    read = Container.read(container)
    verdict = scored(read, seen, by, profile)
    weights = by.weights(verdict.profile)
    document = _document(verdict, weights)
    grades = {} if judge is None else dict(Judge(asking(judge), by).grade(read, verdict))
    if grades:
        document["judge"] = {name: asdict(one) for name, one in grades.items()}
        document["judged_score"] = blended(verdict, grades, by)

    def draw(console: Console) -> None:
        _draw(verdict, weights, cases, console)
        for name, one in grades.items():
            line = f"{name}: {one.grade:.2f} by {judge}: {one.rationale}"
            console.print(printable(line), markup=False, soft_wrap=True)

    emit(document, as_json=as_json, render=draw)
    return 1 if verdict.gates else 0


@command.command("check")
@click.argument("before", type=_FILE)
@click.argument("after", type=_FILE)
@click.option("--budget", type=click.IntRange(0), default=3, show_default=True)
@json_option
def check(before: Path, after: Path, budget: int, as_json: bool) -> int:
    """Tell what invariants a change from BEFORE to AFTER breaks. Exit code 1 when any."""
    from nightpane.gtm.container import Container
    from nightpane.gtm.invariants import check as checked

    breaches = checked(Container.read(before), Container.read(after), budget=budget)
    document = [{"rule": one.rule, "where": one.where, "message": one.message} for one in breaches]
    emit(document, as_json=as_json, render=lambda console: _draw_breaches(breaches, console))
    return 1 if breaches else 0


@command.command("versions")
@click.argument("store")
@json_option
def versions(store: str, as_json: bool) -> None:
    """List the runs of a STORE: a folder, s3://bucket/prefix or an address of R2."""
    runs = _store(store).runs()
    document = [{**one.manifest, "versions": list(one.versions)} for one in runs]
    emit(document, as_json=as_json, render=lambda console: _draw_runs(runs, console))


@command.command("restore")
@click.argument("store")
@click.argument("run_id")
@click.argument("number", type=click.IntRange(0))
@click.argument("output", type=click.Path(path_type=Path, dir_okay=False))
@json_option
def restore(store: str, run_id: str, number: int, output: Path, as_json: bool) -> None:
    """Write the container that a run had after round NUMBER (0: at its beginning) to OUTPUT."""
    opened = _store(store)
    there = [one for run in opened.runs() if run.run_id == run_id for one in run.versions]
    kept = [one for one in there if one <= number]
    if not kept:
        raise GtmError(f"the run {run_id!r} is not in {store}: 'nightpane gtm versions' lists them")
    opened.container(run_id, max(kept)).write(output)
    document = {"run_id": run_id, "round": max(kept), "file": str(output)}
    said = f"round {max(kept)} of {run_id} in {output}"
    emit(document, as_json=as_json, render=lambda console: console.print(said, markup=False))


@command.command("corpus")
@click.argument("store")
@click.argument("output", type=click.Path(path_type=Path, file_okay=False))
@click.option("--threshold", type=click.FloatRange(0, 1), default=0.75, show_default=True)
@click.option("--least", type=click.IntRange(1), default=50, show_default=True, metavar="N")
@click.option("--client", help="Only this client's runs.")
@click.option("--target-model", help="The model it is meant to train, for the event.")
@click.option("--project", default="gtm-autoresearch", show_default=True)
@json_option
def corpus(
    store: str,
    output: Path,
    threshold: float,
    least: int,
    client: str | None,
    target_model: str | None,
    project: str,
    as_json: bool,
) -> None:
    """Roll a STORE's kept rounds into a fine-tune corpus in the folder OUTPUT.

    Writes vN.jsonl and vN_eval.jsonl, keeps both in the store, and emits
    finetune_batch_published.
    """
    from nightpane import Pane
    from nightpane.catalog import FinetuneBatchPublished
    from nightpane.gtm.corpus import batch
    from nightpane.loops.gtm_versions import examples

    opened = _store(store)
    found = [
        example
        for run in opened.runs()
        if client is None or run.manifest.get("client") == client
        for example in examples(opened, run.run_id, str(run.manifest.get("client", "internal")))
    ]
    made = batch(found, threshold=threshold, least=least)
    name = _next(output)
    for suffix, lines in (("", made.training), ("_eval", made.held_out)):
        content = "".join(f"{line}\n" for line in lines)
        (output / f"{name}{suffix}.jsonl").write_text(content, "utf-8")
        opened.put_file(f"corpus/{made.digest[:16]}/{name}{suffix}.jsonl", content.encode())
    key = f"corpus/{made.digest[:16]}/{name}.jsonl"
    event = FinetuneBatchPublished(
        batch_id=made.digest[:16], n_examples=made.size, r2_key=key, target_model=target_model
    )
    with Pane(project=project, client=client or "internal") as pane:
        pane.emit(event, agent="trainer")
        if load(project=project).host is not None:
            pane.flush(timeout_s=10)
    document = {
        "batch_id": made.digest[:16],
        "file": str(output / f"{name}.jsonl"),
        "key": key,
        "training": len(made.training),
        "held_out": len(made.held_out),
        "left_out": dict(made.left_out),
    }
    emit(document, as_json=as_json, render=lambda console: _draw_batch(made, name, console))


def _store(address: str) -> Store:
    from nightpane.gtm.store import Store

    return Store(address)


def _next(output: Path) -> str:
    """Return the name of the next version in a folder."""
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GtmError(f"{output} cannot be made: {error}") from error
    numbers = [path.stem.removeprefix("v") for path in output.glob("v*.jsonl")]
    return f"v{max((int(one) for one in numbers if one.isdecimal()), default=0) + 1}"


def _document(verdict: Verdict, weights: Mapping[str, float]) -> dict[str, object]:
    return {
        "score": verdict.score,
        "profile": verdict.profile,
        "gates": list(verdict.gates),
        "dimensions": {
            name: {
                "score": value,
                "weight": weights[name],
                "cases": [
                    {
                        "check": case.check,
                        "subject": case.subject,
                        "points": case.points,
                        "deduct": case.deduct,
                        "severity": case.severity,
                        "rationale": case.rationale,
                        "fix": case.fix,
                    }
                    for case in verdict.cases[name]
                ],
            }
            for name, value in verdict.dimensions.items()
        },
    }


def _draw(verdict: Verdict, weights: Mapping[str, float], cases: bool, console: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    console.print(f"score {verdict.score:.4f} ({verdict.profile})", markup=False)
    table = Table(box=None, pad_edge=False)
    for title in ("dimension", "score", "weight", "errors", "wrong"):
        table.add_column(title, justify="left" if title == "dimension" else "right")
    for name, value in verdict.dimensions.items():
        wrong = verdict.wrong(name)
        errors = sum(case.severity == "error" for case in wrong)
        style = "red" if name in verdict.gates else ""
        table.add_row(
            Text(name, style=style),
            f"{value:.4f}",
            f"{weights[name]:g}",
            str(errors),
            str(len(wrong)),
        )
    console.print(table)
    if not cases:
        return
    for name in verdict.dimensions:
        for case in verdict.wrong(name):
            line = f"{name}: {case.severity}: {case.rationale}; {case.fix}"
            console.print(printable(line), markup=False, soft_wrap=True)


def _draw_breaches(breaches: list[Breach], console: Console) -> None:
    for one in breaches:
        console.print(printable(str(one)), markup=False, soft_wrap=True)
    if not breaches:
        console.print("nothing is broken")


def _draw_runs(runs: list[Run], console: Console) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("run", "client", "rounds", "kept", "from", "to", "versions"):
        table.add_column(title, justify="left" if title in ("run", "client") else "right")
    for run in runs:
        told = run.manifest
        kept = told.get("outcomes", {}).get("improved", 0)
        cells = (run.run_id, told.get("client"), told.get("rounds"), kept, told.get("seed_score"))
        shown = (*cells, told.get("best_score"), len(run.versions))
        table.add_row(*(printable(json.dumps(one).strip('"')) for one in shown))
    console.print(table)


def _draw_batch(made: Batch, name: str, console: Console) -> None:
    console.print(f"{name}.jsonl: {len(made.training)} examples, {len(made.held_out)} held out")
    for why, count in made.left_out.items():
        console.print(f"left out: {count} {why}")
