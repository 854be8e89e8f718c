"""The ``nightpane`` command group: finds subcommands by name and imports only the one that runs."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

from nightpane.errors import NightpaneError

__all__ = ["COMMANDS", "cli", "main"]

COMMANDS: dict[str, tuple[str, str]] = {
    "alerts": ("alerts", "Check the thresholds you set, by exit code."),
    "annotate": ("annotate", "Annotate this moment on every chart."),
    "boards": ("boards", "Keep the boards up in PostHog."),
    "demo": ("demo", "Run a real research loop, then show its morning."),
    "doctor": ("doctor", "Check keys, connection, clock, schema and spool, and say how to mend."),
    "env": ("env", "Print the local server's host and keys as export lines."),
    "experiments": ("experiments", "Try a change of the loop, and hear whether it is better."),
    "export": ("export", "Export rounds as OpenTelemetry traces."),
    "flags": ("flags", "List and set the flags that a loop reads."),
    "gtm": ("gtm", "Score Tag Manager containers, and keep their versions."),
    "hooks": ("hooks", "Annotate commits: install, look at or remove git hooks."),
    "import": ("import_", "Import ledgers of loops that already ran."),
    "init": ("init", "Write the drop-in file into a repository, or check it."),
    "loop": ("loop", "Run a loop: propose, apply, score, keep or revert."),
    "morning": ("morning", "Print last night's digest."),
    "night": ("night", "Run several loops through a night, and leave the morning."),
    "optimize": ("optimize", "Report what model calls cost, why, and what to change."),
    "query": ("query", "Ask a HogQL query."),
    "schema": ("schema", "Print every event and property of the catalogue."),
    "spool": ("spool", "Look at the spool, or deliver what is in it."),
    "tail": ("tail", "Follow events as they arrive."),
    "token-machine": ("token_machine", "Route model calls to the cheapest model that is good."),
    "trace": ("trace", "Replay one round as a tree in time."),
    "up": ("up", "Start the local server and its pane."),
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        return sorted(COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 (click's signature)
        cmd_name: str,
    ) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"nightpane.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # From the table alone: --help imports no subcommand.
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        import difflib

        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"No such command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="nightpane")
def cli() -> None:
    """One pane of glass for autonomous research loops, on PostHog's event model.

    Exit codes: 0 fine, 1 a finding, 2 a mistake in the call, 3 something around it is missing.
    """


def main(argv: list[str] | None = None) -> None:
    """Run the command line and end the process with its exit code."""
    sys.exit(run(argv))


def run(argv: list[str] | None = None) -> int:
    """Run the command line; return its exit code. Mistakes become one line on standard error."""
    try:
        result: Any = cli.main(args=argv, prog_name="nightpane", standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("interrupted", err=True)
        return 130
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except NightpaneError as error:
        click.secho("error: ", fg="red", bold=True, nl=False, err=True)
        click.echo(str(error), err=True)
        return error.exit_code
    except BrokenPipeError:
        # The reader (head, less) has gone: not our error, but nothing more can be printed.
        sys.stderr.close()
        return 0
    return result if isinstance(result, int) else 0
