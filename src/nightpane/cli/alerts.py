"""``nightpane alerts``: thresholds a person sets, by exit code."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import click
from rich.console import Console
from rich.markup import escape

from nightpane import alerts, config, slack
from nightpane.alerts import Finding, News, Told
from nightpane.cli._output import emit, json_option, printable
from nightpane.config import Settings
from nightpane.errors import ApiError, ConfigError
from nightpane.query import QueryClient

__all__ = ["command"]

_file_option = click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path),
    default=Path(alerts.FILE_NAME),
    show_default=True,
    help="The file of thresholds.",
)


@click.group()
def command() -> None:
    """Check the thresholds you set, by exit code."""


@command.command("init")
@_file_option
@json_option
def init(path: Path, as_json: bool) -> None:
    """Write a commented example; a file that is there is left alone."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(alerts.EXAMPLE)
    except FileExistsError as error:
        raise ConfigError(f"{path} is there already: delete it first, or name another") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error}") from error
    line = f"wrote {path}; change its numbers, then: nightpane alerts check"
    emit({"path": str(path)}, as_json=as_json, render=lambda to: to.print(escape(line)))


@command.command("check")
@_file_option
@click.option("--all", "show_all", is_flag=True, help="Also what is quiet, and what was told.")
@click.option("--watch", "watch_s", type=click.FloatRange(min=1), help="Again every SECONDS.")
@click.option(
    "--post-slack",
    metavar="URL",
    help=f"Post what is new to this webhook; '-' reads it from {slack.ADDRESS_ENV}.",
)
@json_option
def check(
    path: Path, show_all: bool, watch_s: float | None, post_slack: str | None, as_json: bool
) -> int:
    """Check the thresholds. Ends with 0 when none fires, 1 when one does, 2 for a wrong file, 3
    when nothing answers.

    What was told is not told again until it gets worse by as much as its threshold; the exit code
    says how things stand.
    """
    rules = alerts.read(path)
    url = None if post_slack is None else slack.address(post_slack)
    settings = config.load()
    client = QueryClient.from_settings(settings)
    told = Told(settings.state_dir, str(path.absolute()), client.host, client.project_id)
    while True:
        try:
            findings = alerts.check(client, rules)
            news = told.news(findings)
            _tell(findings, news, settings, show_all=show_all, as_json=as_json, watch=bool(watch_s))
            if url is not None and (news.new or news.over):
                slack.post(url, _message(news, settings))
            told.remember(findings)
        except ApiError as error:
            if watch_s is None:
                # A query the server refuses is no mistake in the file.
                error.exit_code = 3
                raise
            click.echo(f"error: {error}", err=True)
        if watch_s is None:
            return 1 if any(finding.fired for finding in findings) else 0
        time.sleep(watch_s)


def _tell(
    findings: Sequence[Finding],
    news: News,
    settings: Settings,
    *,
    show_all: bool,
    as_json: bool,
    watch: bool,
) -> None:
    document = {
        "checked_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "fired": sum(finding.fired for finding in findings),
        "alerts": [
            {**asdict(f), "new": f in news.new, "links": _links(f, settings)}
            for f in findings
            if show_all or f.fired
        ],
        "over": list(news.over),
    }
    if as_json and watch:
        click.echo(json.dumps(document, ensure_ascii=False, default=str))
        return

    def render(to: Console) -> None:
        _draw(findings if show_all else news.new, news, settings, to)
        known = document["fired"] - len(news.new)  # type: ignore[operator]
        if known and not watch and not show_all:
            to.print(f"{known} still firing, told before: --all shows them")
        elif not document["fired"] and not watch:
            to.print(f"no alert fires ({len(findings)} looked at)")

    emit(document, as_json=as_json, render=render)


def _draw(shown: Sequence[Finding], news: News, settings: Settings, to: Console) -> None:
    for finding in shown:
        word = "[red]fired[/red]" if finding.fired else "quiet"
        to.print(f"{word} {_safe(_title(finding))}: {_safe(finding.says)}", soft_wrap=True)
        for link in _links(finding, settings) if finding.fired else []:
            to.print(f"      {_safe(link)}", soft_wrap=True)
    for key in news.over:
        to.print(f"over  {_safe(key)}")


def _title(finding: Finding) -> str:
    loop = finding.project or "(no project)"
    if finding.client != "internal":
        loop += f" · {finding.client}"
    return f"{finding.rule} ({loop})"


def _links(finding: Finding, settings: Settings) -> list[str]:
    """Return where to look: the rounds' pages, which PostHog itself does not have."""
    host = settings.host or ""
    if (urlsplit(host).hostname or "").endswith("posthog.com"):
        return []
    links = [f"{host}/round/{quote(one, safe='')}" for one in finding.rounds]
    if not links and finding.project is not None:
        links = [f"{host}/?project={quote(finding.project, safe='')}"]
    return links


def _message(news: News, settings: Settings) -> str:
    lines: list[str] = []
    for finding in news.new:
        links = "".join(f"\n{slack.escape(link)}" for link in _links(finding, settings))
        lines.append(f"*{_slack(_title(finding))}*: {_slack(finding.says)}{links}")
    lines += [f"over: {_slack(key)}" for key in news.over]
    return "\n".join(lines)[:30_000]


def _slack(text: str) -> str:
    return slack.escape(printable(text)).replace("*", "∗").replace("`", "ˋ")


def _safe(text: Any) -> str:
    return escape(printable(str(text)))
