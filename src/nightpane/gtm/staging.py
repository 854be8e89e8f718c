"""A container as it goes to people: in a folder that Tag Manager can import, with what changed.

Nothing here publishes: somebody looks at it first.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from nightpane.errors import GtmError
from nightpane.gtm.container import ID_FIELDS, Container
from nightpane.gtm.scorer import Verdict

__all__ = ["changes", "stage", "summary"]

CONTAINER, SUMMARY, DIFF = "container.json", "summary.md", "changes.diff"


def stage(
    folder: Path,
    before: Container,
    after: Container,
    verdicts: tuple[Verdict, Verdict],
    kept: Sequence[str] = (),
) -> None:
    """Write ``after`` into a folder as ``container.json``, with ``summary.md`` and ``changes.diff``
    beside it. ``kept`` are the summaries of the rounds that led there.

    Raises GtmError when the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        after.write(folder / CONTAINER)
        (folder / SUMMARY).write_text(summary(before, after, verdicts, kept), "utf-8")
        (folder / DIFF).write_text(_diff(before, after), "utf-8")
    except OSError as error:
        raise GtmError(f"{folder} cannot be written: {error}") from error


def summary(
    before: Container,
    after: Container,
    verdicts: tuple[Verdict, Verdict],
    kept: Sequence[str] = (),
) -> str:
    """Return in Markdown what changed, and what of it the score saw."""
    was, now = verdicts
    lines = [
        "# A staged container",
        "",
        f"Score {was.score:.4f} before, {now.score:.4f} now ({now.profile}).",
        f"Import `{CONTAINER}` into a workspace of its own, look at it in preview, then publish.",
        "",
        "| dimension | before | now |",
        "|---|---:|---:|",
        *(f"| {name} | {was.dimensions.get(name, 0):.4f} | {value:.4f} |"
          for name, value in now.dimensions.items()),
        "",
        "## Entities",
        "",
        *(_listed(changes(before, after)) or ["Nothing changed."]),
    ]  # fmt: skip
    if kept:
        lines += ["", "## Rounds kept", "", *(f"1. {_plain(one)}" for one in kept)]
    left = [case for name in now.gates for case in now.wrong(name)][:20]
    if left:
        lines += ["", "## Left to do", "", *(f"- {_plain(case.fix)}" for case in left if case.fix)]
    return "\n".join(lines) + "\n"


def changes(before: Container, after: Container) -> Mapping[str, list[str]]:
    """Return the labels of what is new, and of what changed, under ``added`` and ``changed``."""
    added: list[str] = []
    changed: list[str] = []
    for kind in ID_FIELDS:
        were = {one.id: one for one in before.entities(kind)}
        for entity in after.entities(kind):
            if entity.id not in were:
                added.append(entity.label)
            elif entity.document != were[entity.id].document:
                changed.append(entity.label)
    return {"added": added, "changed": changed}


def _listed(found: Mapping[str, list[str]]) -> list[str]:
    return [f"- {what}: {_plain(label)}" for what, labels in found.items() for label in labels]


def _plain(text: str) -> str:
    """Return text of a container as Markdown shows it: on one line, and nothing of it acts."""
    flat = " ".join(text.split())
    return "".join(f"\\{char}" if char in "\\`*_{}[]<>#|!&~" else char for char in flat)


def _diff(before: Container, after: Container) -> str:
    def lines(container: Container) -> list[str]:
        text = json.dumps(container.document, indent=2, ensure_ascii=False)
        return [f"{line}\n" for line in text.splitlines()]

    return "".join(difflib.unified_diff(lines(before), lines(after), "before", "now"))
