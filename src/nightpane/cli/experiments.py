"""``nightpane experiments``: experiments on the loop itself, by PostHog's management API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
from rich.console import Console

from nightpane.cli._experiment_view import draw_list, draw_one, draw_results, in_words
from nightpane.cli._output import emit, json_option, printable
from nightpane.cli.flags import shares
from nightpane.config import load
from nightpane.errors import ConfigError, ExperimentError
from nightpane.experiments.presets import PRESETS, preset
from nightpane.management import Resource
from nightpane.query import QueryClient

__all__ = ["command"]

_CONCLUSIONS = ("won", "lost", "inconclusive", "stopped_early", "invalid")
_UNITS = ("round", "run", "agent")

Experiment = dict[str, Any]


@click.group()
def command() -> None:
    """Try a change of the loop on half of its rounds, and hear whether it is better.

    An experiment is a flag with variants and metrics. The loop reads the flag at the start of each
    round; the results compare the rounds of each variant. NAME is an experiment's name, its id, or
    its flag's key.

    \b
    nightpane experiments create "second scorer" --flag scorer_v2 --minimum-effect 10 --launch
    nightpane experiments results "second scorer"
    """


@command.command("list")
@json_option
def show_list(as_json: bool) -> None:
    """List the experiments."""
    found = _experiments()[1].list()
    emit(found, as_json=as_json, render=lambda to: draw_list(found, to))


@command.command("show")
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Show one experiment: its flag, its variants, its metrics."""
    found = _find(_experiments()[1], name)
    emit(found, as_json=as_json, render=lambda to: draw_one(found, to))


@command.command("create")
@click.argument("name")
@click.option("--flag", "key", required=True, help="Key of its flag; one is made if there is none.")
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    type=click.Choice(PRESETS),
    help="What is compared; may be given again. Default: best_score.",
)
@click.option(
    "--variants",
    metavar="NAME=SHARE,…",
    help="Variants of a new flag, and their shares. Default: control=50,test=50.",
)
@click.option(
    "--by",
    type=click.Choice(_UNITS),
    help="What is given a variant. Default: round for a new flag, else as the flag says.",
)
@click.option("--lower-is-better", is_flag=True, help="The score is one to bring down.")
@click.option(
    "--minimum-effect",
    type=click.FloatRange(min=0, min_open=True),
    default=30.0,
    show_default=True,
    help="Smallest change worth finding, in per cent of the baseline: fewer need more rounds.",
)
@click.option(
    "--method",
    type=click.Choice(("bayesian", "frequentist")),
    default="bayesian",
    show_default=True,
    help="Which figures PostHog's own fields hold.",
)
@click.option("--description", default="", help="What is tried, and why.")
@click.option("--launch", "at_once", is_flag=True, help="Launch it at once.")
@json_option
def create(name: str, as_json: bool, at_once: bool, **options: Any) -> None:
    """Create an experiment as a draft, with its flag when there is none of that key."""
    _, experiments = _experiments()
    made = experiments.create(_body(name, **options))
    if at_once:
        made = experiments.act(made["id"], "launch")
    emit(made, as_json=as_json, render=lambda to: draw_one(made, to))


@command.command("launch")
@click.argument("name")
@json_option
def launch(name: str, as_json: bool) -> None:
    """Launch a draft: its flag is switched on and exposures count from now."""
    _, experiments = _experiments()
    done = experiments.act(_find(experiments, name)["id"], "launch")
    _say(done, f"{done['name']} runs", as_json)


@command.command("end")
@click.argument("name")
@click.option("--conclusion", type=click.Choice(_CONCLUSIONS), help="What came of it.")
@click.option("--comment", help="Why.")
@json_option
def end(name: str, conclusion: str | None, comment: str | None, as_json: bool) -> None:
    """End an experiment: exposures after now no longer count. Its flag stays as it is."""
    _, experiments = _experiments()
    said = {"conclusion": conclusion, "conclusion_comment": comment}
    body = {key: value for key, value in said.items() if value is not None}
    done = experiments.act(_find(experiments, name)["id"], "end", body)
    _say(done, f"{done['name']} has ended", as_json)


@command.command("results")
@click.argument("name")
@click.option("--metric", type=click.Choice(PRESETS), help="Only this one, even if it is not its.")
@click.option("--lower-is-better", is_flag=True, help="With --metric: the score is to come down.")
@json_option
def results(name: str, metric: str | None, lower_is_better: bool, as_json: bool) -> None:
    """Compare the variants of an experiment, metric by metric.

    A variant is called better or worse only when that holds however often it is looked at; until
    then the answer is how much is still missing.
    """
    client, experiments = _experiments()
    found = _find(experiments, name)
    asked = [preset(metric, lower_is_better=lower_is_better)] if metric else _metrics(found)
    answers = [_answer(client, found, one) for one in asked]
    shown = [{**one, "in_words": in_words(one)} for one in answers]
    emit(shown, as_json=as_json, render=lambda to: _draw_all(found, shown, to))


def _draw_all(found: Experiment, answers: list[dict[str, Any]], to: Console) -> None:
    for answer in answers:
        draw_results(found, answer, to)


def _answer(client: QueryClient, found: Experiment, metric: Mapping[str, Any]) -> dict[str, Any]:
    node = {"kind": "ExperimentQuery", "experiment_id": found["id"], "metric": dict(metric)}
    return {"metric": metric, **client.post(node)}


def _metrics(found: Experiment) -> list[dict[str, Any]]:
    metrics = [*(found.get("metrics") or []), *(found.get("metrics_secondary") or [])]
    if not metrics:
        raise ExperimentError(
            f"experiment {found['name']!r} has no metric: choose one with --metric "
            f"({', '.join(PRESETS)})"
        )
    return metrics


def _body(
    name: str,
    *,
    key: str,
    metrics: tuple[str, ...],
    variants: str | None,
    by: str | None,
    lower_is_better: bool,
    minimum_effect: float,
    method: str,
    description: str,
) -> dict[str, Any]:
    criteria = {"multiple_variant_handling": "exclude"}
    parameters: dict[str, Any] = {"minimum_detectable_effect": minimum_effect}
    if variants:
        parameters["feature_flag_variants"] = shares(variants)
    return {
        "name": name,
        "description": description,
        "feature_flag_key": key,
        "feature_flag": {"bucketing_identifier": None if by == "agent" else "device_id"},
        "metrics": [
            preset(one, lower_is_better=lower_is_better) for one in metrics or ("best_score",)
        ],
        "exposure_criteria": criteria if by is None else {**criteria, "assignment_unit": by},
        "stats_config": {"method": method},
        "parameters": parameters,
    }


def _experiments() -> tuple[QueryClient, Resource]:
    client = QueryClient.from_settings(load())
    return client, Resource(client, "experiments")


def _find(experiments: Resource, name: str) -> Experiment:
    """Return the experiment of that name, id or flag. Raises ConfigError unless it is one."""
    known = experiments.list()
    for match in (
        lambda one: one["name"] == name,
        lambda one: str(one["id"]) == name,
        lambda one: one.get("feature_flag_key") == name,
    ):
        found = [one for one in known if match(one)]
        if len(found) > 1:
            ids = ", ".join(str(one["id"]) for one in found)
            raise ConfigError(f"several experiments are named {name!r}: give an id ({ids})")
        if found:
            return found[0]
    names = ", ".join(repr(one["name"]) for one in known[:10]) or "none"
    raise ConfigError(f"there is no experiment {name!r}; known: {names}")


def _say(done: Experiment, text: str, as_json: bool) -> None:
    emit(done, as_json=as_json, render=lambda to: to.print(printable(text), markup=False))
