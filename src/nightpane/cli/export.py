"""``nightpane export``: rounds as OpenTelemetry traces, to a file or to a receiver."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import click
from rich.console import Console

from nightpane.cli._output import console, emit, json_option
from nightpane.config import load
from nightpane.errors import ConfigError
from nightpane.otel import FORMATS, Receiver, Span, encode, export_rounds
from nightpane.query import QueryClient

__all__ = ["command"]

_RELATIVE = re.compile(r"-(\d{1,6})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_CALLS = ("$ai_generation", "$ai_embedding")


@dataclass(slots=True)
class Exported:
    """What was exported, in counts."""

    rounds: int = 0
    spans: int = 0
    model_calls: int = 0
    bytes: int = 0
    refused_spans: int = 0


@click.command("export")
@click.option(
    "--format",
    "kind",
    type=click.Choice(sorted(FORMATS)),
    default="otlp-json",
    show_default=True,
    help="OTLP in JSON (a request a line) or in protobuf.",
)
@click.option("--round", "round_id", metavar="ID", help="Only this round.")
@click.option("--run", "run_id", metavar="ID", help="Only the rounds of this run.")
@click.option(
    "--since", metavar="TIME", help="Only rounds begun since: -1d, -12h, or 2026-03-08T22:00."
)
@click.option("--output", metavar="FILE", help="Write to this file ('-' is standard output).")
@click.option("--endpoint", metavar="URL", help="Post to this OTLP address, path included.")
@click.option(
    "--header", "headers", multiple=True, metavar="NAME=VALUE", help="Send with each request."
)
@json_option
def command(
    kind: str,
    round_id: str | None,
    run_id: str | None,
    since: str | None,
    output: str | None,
    endpoint: str | None,
    headers: tuple[str, ...],
    as_json: bool,
) -> None:
    """Export rounds as OpenTelemetry traces, one trace a round.

    \b
    nightpane export --since -1d --output rounds.jsonl
    nightpane export --run 01K9Z3… --format otlp-protobuf \\
        --endpoint http://localhost:4318/v1/traces --header x-api-key=…
    """
    if (output is None) == (endpoint is None):
        raise click.UsageError("say where to: either --output FILE or --endpoint URL")
    if headers and endpoint is None:
        raise click.UsageError("--header goes with --endpoint")
    if as_json and output == "-":
        raise click.UsageError("--json and --output - exclude each other: both print")
    query = QueryClient.from_settings(load())
    rounds = export_rounds(
        query, round_id=round_id, run_id=run_id, since=None if since is None else _time(since)
    )
    if endpoint is not None:
        done = _post(rounds, kind, Receiver(_address(endpoint), kind, _headers(headers)))
    else:
        done = _write(rounds, kind, output or "-")
    if output == "-":
        _draw(done, console(stderr=True))
    else:
        emit(asdict(done), as_json=as_json, render=lambda screen: _draw(done, screen))


def _write(rounds: Iterable[list[Span]], kind: str, output: str) -> Exported:
    done = Exported()
    end = b"\n" if kind == "otlp-json" else b""
    opened = nullcontext(sys.stdout.buffer) if output == "-" else _open(Path(output))
    with opened as file:
        for spans in rounds:
            request = encode(spans, kind)
            file.write(request + end)
            _count(done, spans, request)
    return done


def _post(rounds: Iterable[list[Span]], kind: str, receiver: Receiver) -> Exported:
    done = Exported()
    for spans in rounds:
        request = encode(spans, kind)
        done.refused_spans += receiver.post(request)
        _count(done, spans, request)
    return done


def _count(done: Exported, spans: list[Span], request: bytes) -> None:
    done.rounds += 1
    done.spans += len(spans)
    done.model_calls += sum(span.attributes.get("nightpane.event") in _CALLS for span in spans)
    done.bytes += len(request)


def _draw(done: Exported, screen: Console) -> None:
    refused = f", {done.refused_spans:,} refused" if done.refused_spans else ""
    screen.print(
        f"{done.rounds:,} rounds, {done.spans:,} spans ({done.model_calls:,} model calls)"
        f"{refused}, {done.bytes:,} bytes",
        markup=False,
    )


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("wb")
    except OSError as error:
        raise ConfigError(f"--output {path} cannot be written: {error.strerror}") from error


def _time(text: str) -> datetime:
    relative = _RELATIVE.fullmatch(text)
    try:
        if relative is not None:
            amount = {_UNITS[relative.group(2)]: int(relative.group(1))}
            return datetime.now(UTC) - timedelta(**amount)
        found = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise ConfigError(
            f"--since {text!r} is no time: write -1d, -12h, -30m, -2w or 2026-03-08T22:00"
        ) from None
    return found.astimezone() if found.tzinfo is None else found


def _address(endpoint: str) -> str:
    if not endpoint.startswith(("http://", "https://")):
        raise ConfigError(
            f"--endpoint {endpoint!r} must begin with http:// or https://, "
            "for example http://localhost:4318/v1/traces"
        )
    return endpoint


def _headers(given: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not equals or not name.strip():
            raise ConfigError(f"--header {item.partition('=')[0]!r} has no value: write NAME=VALUE")
        found[name.strip()] = value.strip()
    return found
