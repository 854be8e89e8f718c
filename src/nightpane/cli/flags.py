"""``nightpane flags``: the flags a loop reads, over PostHog's management API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from nightpane.cli._output import emit, json_option, printable
from nightpane.config import load
from nightpane.errors import ConfigError
from nightpane.management import Resource
from nightpane.query import QueryClient

__all__ = ["command", "shares"]

_KEY = click.argument("key")


@click.group("flags")
def command() -> None:
    """List and set the flags that a loop reads, here or in PostHog.

    \b
    nightpane flags init
    nightpane flags set scorer_v2 --variants control=50,test=50 --by round
    nightpane flags set budget_usd --value 2.5
    """


@command.command("list")
@json_option
@click.option("--search", default="", help="Only flags with this in their key or description.")
def _list(as_json: bool, search: str) -> None:
    """List the project's flags."""
    found = _flags().list(search=search) if search else _flags().list()
    emit(found, as_json=as_json, render=lambda console: _draw(found, console))


@command.command("show")
@_KEY
@json_option
@click.option("--for", "whom", metavar="DISTINCT_ID", help="Tell what it comes to for an agent.")
@click.option("--round", "round_id", metavar="ID", help="… in this round, for flags set by round.")
def _show(key: str, as_json: bool, whom: str | None, round_id: str | None) -> None:
    """Show one flag, and what it comes to for somebody."""
    flag = _find(_flags(), key)
    document = {"flag": flag, "result": _result(key, whom, round_id)} if whom else flag

    def render(console: Console) -> None:
        console.print_json(json.dumps(flag["filters"]))
        _draw([flag], console)
        if whom:
            result = document["result"]
            value = result.get("variant") or result["enabled"]
            reason = result["reason"]["description"]
            console.print(printable(f"{whom}: {value} ({reason})"), markup=False)

    emit(document, as_json=as_json, render=render)


@command.command("set")
@_KEY
@json_option
@click.option("--rollout", type=click.FloatRange(0, 100), help="Percentage for whom it is on.")
@click.option("--variants", metavar="NAME=SHARE,…", help="Variants and their shares, 100 in all.")
@click.option("--value", metavar="JSON", help="On for all, carrying this value.")
@click.option(
    "--payload",
    "payloads",
    multiple=True,
    metavar="[VARIANT=]JSON",
    help="What it carries when on, or with a variant.",
)
@click.option(
    "--by",
    type=click.Choice(["agent", "round"]),
    help="Whose place decides: an agent's, the same in each round, or each round's own.",
)
@click.option("--on/--off", "active", default=None, help="Switch the whole flag.")
@click.option("--description", help="What it is for.")
def _set(key: str, as_json: bool, **options: Any) -> None:
    """Set a flag, and make it when there is none. What no option names stays as it is."""
    flags = _flags()
    flag = _find(flags, key, missing_ok=True)
    changes = _changes(flag or {"key": key, "filters": None}, **options)
    kept = flags.change(flag["id"], changes) if flag else flags.create({"key": key, **changes})
    emit(kept, as_json=as_json, render=lambda console: _draw([kept], console))


@command.command("delete")
@_KEY
@json_option
def _delete(key: str, as_json: bool) -> None:
    """Delete a flag. Loops then use the default."""
    flags = _flags()
    gone = flags.delete(_find(flags, key)["id"])
    emit(gone, as_json=as_json, render=lambda console: console.print(f"{key} deleted"))


@command.command("init")
@json_option
def _init(as_json: bool) -> None:
    """Make the loop's ready flags, set to their defaults; those there are stay as they are."""
    from nightpane.client.knobs import Knobs

    flags = _flags()
    there = {flag["key"] for flag in flags.list()}
    made = [
        flags.create(_knob_flag(key, knob.default, knob.meaning))
        for key, knob in Knobs.declared().items()
        if key not in there
    ]
    kept = [key for key in Knobs.declared() if key in there]
    document = {"made": made, "kept": kept}

    def render(console: Console) -> None:
        _draw(made, console)
        if kept:
            console.print(f"there already: {', '.join(kept)}", style="dim")

    emit(document, as_json=as_json, render=render)


def _flags() -> Resource:
    return Resource(QueryClient.from_settings(load()), "feature_flags")


def _find(flags: Resource, key: str, *, missing_ok: bool = False) -> Any:
    for flag in flags.list(search=key):
        if flag["key"] == key:
            return flag
    if missing_ok:
        return None
    raise ConfigError(f"there is no flag {key!r}: 'nightpane flags list' shows those there are")


def _result(key: str, whom: str, round_id: str | None) -> Any:
    settings = load()
    body = {"api_key": settings.api_key, "distinct_id": whom, "device_id": round_id}
    client = QueryClient.from_settings(settings)
    answer = client.request("POST", "/flags/?v=2", {**body, "flag_keys_to_evaluate": [key]})
    found = answer["flags"].get(key)
    if found is None:
        raise ConfigError(f"{client.host} does not evaluate {key!r} for the project API key given")
    return found


def _changes(
    flag: Mapping[str, Any],
    *,
    rollout: float | None,
    variants: str | None,
    value: str | None,
    payloads: tuple[str, ...],
    by: str | None,
    active: bool | None,
    description: str | None,
) -> dict[str, Any]:
    """Return what the options make of a flag. Raises ConfigError for what does not fit it."""
    new = flag["filters"] is None
    filters = dict(flag["filters"] or {"groups": [{"properties": [], "rollout_percentage": 100}]})
    changes: dict[str, Any] = {}
    if variants is not None:
        filters["multivariate"] = {"variants": shares(variants)}
    if value is not None:
        if variants is not None or payloads:
            raise ConfigError("--value sets what the whole flag carries: not with other payloads")
        filters |= {"multivariate": None, "payloads": {"true": _json("--value", value)}}
        changes["is_remote_configuration"] = True
    if payloads:
        names = [one["key"] for one in (filters.get("multivariate") or {}).get("variants") or []]
        filters["payloads"] = {**(filters.get("payloads") or {}), **_payloads(payloads, names)}
    if rollout is not None:
        filters["groups"] = _rolled_out(flag, filters.get("groups") or [], rollout)
    if new or filters != flag["filters"]:
        changes["filters"] = filters
    if by is not None:
        changes["bucketing_identifier"] = "device_id" if by == "round" else None
    if active is not None:
        changes["active"] = active
    if description is not None:
        changes["name"] = description
    if not changes:
        raise ConfigError("nothing to set: give --rollout, --variants, --value, --on, --off, …")
    return changes


def shares(text: str) -> list[dict[str, Any]]:
    """Return the variants that a text such as ``control=50,test=50`` names. Raises ConfigError."""
    found: list[dict[str, Any]] = []
    for item in text.split(","):
        name, equals, share = item.strip().partition("=")
        try:
            found.append({"key": name, "rollout_percentage": _whole(float(share))})
        except ValueError as error:
            raise ConfigError(
                f"--variants {item!r} has no share: write control=50,test=50"
            ) from error
        if not equals or not name:
            raise ConfigError(f"--variants {item!r} has no name: write control=50,test=50")
    total = sum(one["rollout_percentage"] for one in found)
    if abs(total - 100) > 1e-6:
        raise ConfigError(f"--variants {text!r} add up to {total:g}: their shares must make 100")
    return found


def _payloads(given: tuple[str, ...], variants: list[str]) -> dict[str, str]:
    if not variants:
        if len(given) > 1:
            raise ConfigError("--payload can be given once for a flag without variants")
        return {"true": _json("--payload", given[0])}
    found: dict[str, str] = {}
    for item in given:
        name, _, text = item.partition("=")
        if name not in variants:
            raise ConfigError(
                f"--payload {item!r} names no variant: write {variants[0]}=JSON "
                f"(there are {', '.join(variants)})"
            )
        found[name] = _json(f"--payload {name}", text)
    return found


def _json(option: str, text: str) -> str:
    """Return JSON text; what is none is a text."""
    try:
        return json.dumps(json.loads(text, parse_constant=_no_number), ensure_ascii=False)
    except json.JSONDecodeError:
        return json.dumps(text, ensure_ascii=False)
    except ValueError as error:
        raise ConfigError(f"{option} {text!r}: {error}") from error


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")


def _rolled_out(flag: Mapping[str, Any], groups: list[Any], rollout: float) -> list[Any]:
    if len(groups) > 1:
        raise ConfigError(
            f"the flag {flag['key']!r} has {len(groups)} conditions: set their rollout over the "
            "API or in PostHog"
        )
    group = dict(groups[0]) if groups else {"properties": []}
    return [{**group, "rollout_percentage": _whole(rollout)}]


def _knob_flag(key: str, default: Any, meaning: str) -> dict[str, Any]:
    """Return the flag of a knob, which leaves it at its default."""
    switch = isinstance(default, bool)
    share = 0 if switch and not default else 100
    filters: dict[str, Any] = {"groups": [{"properties": [], "rollout_percentage": share}]}
    if not switch:
        filters["payloads"] = {"true": json.dumps(default)}
    return {
        "key": key,
        "name": meaning,
        "filters": filters,
        "tags": ["nightpane"],
        "is_remote_configuration": not switch,
    }


def _draw(flags: list[dict[str, Any]], console: Console) -> None:
    table = Table(show_edge=False, pad_edge=False)
    for name in ("flag", "state", "set to", "by", "for"):
        table.add_column(name, overflow="fold")
    for flag in flags:
        by = "round" if flag.get("bucketing_identifier") == "device_id" else "agent"
        cells = (flag["key"], "on" if flag["active"] else "off", _setting(flag), by, flag["name"])
        table.add_row(*(printable(str(cell)) for cell in cells))
    if flags:
        console.print(table, markup=False)
    else:
        console.print("no flags", style="dim")


def _setting(flag: Mapping[str, Any]) -> str:
    """Say in a few words what a flag comes to."""
    filters = flag["filters"]
    groups = filters.get("groups") or []
    shares = [
        "100%" if (share := one.get("rollout_percentage")) is None else f"{share:g}%"
        for one in groups
    ]
    said = " or ".join(
        f"{share} of some" if one.get("properties") else share
        for share, one in zip(shares, groups, strict=True)
    )
    variants = (filters.get("multivariate") or {}).get("variants") or []
    if variants:
        split = ", ".join(f"{one['key']} {one['rollout_percentage']:g}%" for one in variants)
        said = f"{split} of {said}"
    payload = (filters.get("payloads") or {}).get("true")
    if payload is not None:
        said = f"{payload} for {said}"
    return said or "nobody"


def _whole(number: float) -> int | float:
    return int(number) if number.is_integer() else number
