"""The morning on a terminal, drawn with rich. Text from the data is never read as markup."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nightpane.digest import words
from nightpane.digest.model import Loop, Morning, ScoreLine
from nightpane.stats import Verdict

__all__ = ["print_morning"]

_STYLES = {
    Verdict.IMPROVING: "bold green",
    Verdict.PLATEAU: "bold yellow",
    Verdict.STUCK: "bold red",
    Verdict.UNCLEAR: "bold cyan",
    Verdict.NOT_ENOUGH_DATA: "dim",
}
_BAR = 24


def print_morning(morning: Morning, console: Console) -> None:
    """Draw the digest."""
    console.print(Text(f"Night of {morning.night.label}", style="dim"))
    console.print(Text(words.headline(morning), style="bold"))
    if morning.newest is not None and morning.loops and morning.is_latest:
        console.print(Text(f"Newest event {words.age(morning.newest, morning.now)}.", style="dim"))
    for step in words.next_steps(morning):
        console.print(Text(step))
    for loop in morning.loops:
        console.print()
        console.print(_loop(loop, morning))
    for quiet in morning.quiet:
        name = words.loop_name(quiet.project, quiet.client)
        console.print(
            Text(f"\n{name} ran {quiet.rounds:,} rounds the night before, and none in this one.")
        )


def _loop(loop: Loop, morning: Morning) -> RenderableType:
    title = Text(words.loop_name(loop.project, loop.client), style="bold underline")
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column()
    for name, value in words.facts(loop, morning):
        facts.add_row(name, Text(value))
    facts.add_row("rounds that", _funnel(loop))
    parts: list[RenderableType] = [title]
    parts += [Padding(_verdict(line, several=len(loop.scores) > 1), (0, 0)) for line in loop.scores]
    return Group(*parts, Padding(facts, (0, 0, 0, 2)))


def _verdict(line: ScoreLine, *, several: bool) -> Text:
    verdict = line.progress.verdict
    text = Text("  ")
    if several:
        text.append(f"{words.metric_name(line.metric)}: ")
    text.append(str(verdict), style=_STYLES[verdict])
    return text.append(f"  {words.evidence(line.progress)}.")


def _funnel(loop: Loop) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column()
    table.add_column(justify="right")
    table.add_column(no_wrap=True)
    whole = max((stage.rounds or 0 for stage in loop.counts.stages), default=0) or 1
    for stage in loop.counts.stages:
        if stage.rounds is None:
            table.add_row(stage.name, Text("–", style="dim"), Text("not emitted", style="dim"))
            continue
        bar = "█" * round(_BAR * stage.rounds / whole)
        table.add_row(stage.name, f"{stage.rounds:,}", Text(bar, style="blue"))
    return table
