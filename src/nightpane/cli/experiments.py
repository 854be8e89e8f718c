"""``nightpane experiments``: experiments on the loop itself, by PostHog's management API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import click
from rich.console import Console

from nightpane.cli._experiment_view import draw_list, draw_one, draw_results, in_words
from nightpane.cli._output import emit, json_option, printable
from nightpane.config import load
from nightpane.errors import ConfigError, ExperimentError
from nightpane.experiments.presets import PRESETS, preset
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
    """


@command.command("list")
@json_option
def show_list(as_json: bool) -> None:
    """List the experiments."""
    found = _all(_client())
    emit(found, as_json=as_json, render=lambda to: draw_list(found, to))


@command.command("show")
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Show one experiment: its flag, its variants, its metrics."""
    found = _find(_client(), name)
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
    "--variant",
    "variants",
    multiple=True,
    metavar="KEY=PERCENT",
    help="A variant of the new flag; default: control=50 and test=50.",
)
@click.option(
    "--per",
    type=click.Choice(_UNITS),
    help="What is given a variant. Default: round for a new flag, else as the flag is bucketed.",
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
    client = _client()
    made = client.request("POST", _path(client), _body(name, **options))
    if at_once:
        made = _act(client, made, "launch")
    emit(made, as_json=as_json, render=lambda to: draw_one(made, to))


@command.command("launch")
@click.argument("name")
@json_option
def launch(name: str, as_json: bool) -> None:
    """Launch a draft: its flag is switched on and exposures count from now."""
    client = _client()
    done = _act(client, _find(client, name), "launch")
    _say(done, f"{done['name']} runs", as_json)


@command.command("end")
@click.argument("name")
@click.option("--conclusion", type=click.Choice(_CONCLUSIONS), help="What came of it.")
@click.option("--comment", help="Why.")
@json_option
def end(name: str, conclusion: str | None, comment: str | None, as_json: bool) -> None:
    """End an experiment: exposures after now no longer count. Its flag stays as it is."""
    client = _client()
    said = {"conclusion": conclusion, "conclusion_comment": comment}
    body = {key: value for key, value in said.items() if value is not None}
    done = _act(client, _find(client, name), "end", body)
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
    client = _client()
    found = _find(client, name)
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
    variants: tuple[str, ...],
    per: str | None,
    lower_is_better: bool,
    minimum_effect: float,
    method: str,
    description: str,
) -> dict[str, Any]:
    criteria = {"multiple_variant_handling": "exclude"}
    parameters: dict[str, Any] = {"minimum_detectable_effect": minimum_effect}
    if variants:
        parameters["feature_flag_variants"] = [_variant(one) for one in variants]
    return {
        "name": name,
        "description": description,
        "feature_flag_key": key,
        "feature_flag": {"bucketing_identifier": None if per == "agent" else "device_id"},
        "metrics": [
            preset(one, lower_is_better=lower_is_better) for one in metrics or ("best_score",)
        ],
        "exposure_criteria": criteria if per is None else {**criteria, "assignment_unit": per},
        "stats_config": {"method": method},
        "parameters": parameters,
    }


def _variant(text: str) -> dict[str, Any]:
    key, equals, share = text.partition("=")
    try:
        percent = float(share)
    except ValueError:
        equals = ""
    if not key or not equals:
        raise ConfigError(f"--variant {text!r} is not a variant: write it as test=50")
    return {"key": key, "name": key, "rollout_percentage": percent}


def _client() -> QueryClient:
    return QueryClient.from_settings(load())


def _path(client: QueryClient, rest: str = "") -> str:
    return f"/api/projects/{client.project_id}/experiments/{rest}"


def _act(
    client: QueryClient, found: Experiment, action: str, body: Mapping[str, Any] | None = None
) -> Experiment:
    return client.request("POST", _path(client, f"{found['id']}/{action}/"), dict(body or {}))


def _all(client: QueryClient) -> list[Experiment]:
    found: list[Experiment] = []
    while True:
        page = urlencode({"limit": 100, "offset": len(found)})
        answer = client.request("GET", _path(client, f"?{page}"))
        found += answer.get("results") or []
        if not answer.get("next") or not answer.get("results"):
            return found


def _find(client: QueryClient, name: str) -> Experiment:
    """Return the experiment of that name, id or flag. Raises ConfigError unless it is one."""
    known = _all(client)
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
