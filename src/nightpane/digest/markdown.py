"""The morning as Markdown that stays Markdown: nothing from the data can become a link or a tag."""

from __future__ import annotations

import re

from nightpane.digest import words
from nightpane.digest.model import Loop, Morning

__all__ = ["to_markdown"]

_SPECIAL = re.compile(r"([\\`*_\[\]<>|~&@]|(?<=:)/)")


def to_markdown(morning: Morning) -> str:
    """Return the digest as Markdown, ending with a line break."""
    lines = [
        f"# Night of {morning.night.label}",
        "",
        f"**{_inert(words.headline(morning))}**",
    ]
    steps = words.next_steps(morning)
    if steps:
        lines += ["", "```", *steps, "```"]
    for loop in morning.loops:
        lines += ["", *_loop(loop, morning)]
    for quiet in morning.quiet:
        name = _inert(words.loop_name(quiet.project, quiet.client))
        lines += ["", f"{name} ran {quiet.rounds:,} rounds the night before, and none in this one."]
    return "\n".join(lines) + "\n"


def _loop(loop: Loop, morning: Morning) -> list[str]:
    lines = [f"## {_inert(words.loop_name(loop.project, loop.client))}", ""]
    for line in loop.scores:
        name = f"{_inert(words.metric_name(line.metric))}: " if len(loop.scores) > 1 else ""
        said = _inert(words.evidence(line.progress))
        lines.append(f"- {name}**{line.progress.verdict}**: {said}.")
    lines += ["", "| | |", "|---|---|"]
    lines += [f"| {_inert(name)} | {_inert(value)} |" for name, value in words.facts(loop, morning)]
    stages = ", ".join(
        f"{stage.name} {'not emitted' if stage.rounds is None else f'{stage.rounds:,}'}"
        for stage in loop.counts.stages
    )
    return [*lines, f"| rounds that | {stages} |"]


def _inert(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)
