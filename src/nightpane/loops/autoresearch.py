"""AutoResearch: one file is edited, a command trains for a time, a number is read from its output.

The protocol of the public autoresearch repository: a git branch a run, a commit on keep, a reset on
revert, and the untracked ledger ``results.tsv`` in the repository's root.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nightpane.client.pane import Pane
from nightpane.loops.engine import Loop
from nightpane.loops.keep import Better, Direction, KeepRule
from nightpane.loops.proposing import Proposer
from nightpane.loops.scoring import CommandScorer, Score
from nightpane.loops.stop import Limits
from nightpane.loops.workspace import Workspace

__all__ = ["LEDGER", "AutoResearch", "state_folder"]

LEDGER = "results.tsv"
_PEAK, _MEMORY = "peak_vram_mb", "memory_gb"


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoResearch:
    """What a person decides: the repository, what may be edited, how it is measured, when to stop.

    ``run`` is the training command, ``timeout_s`` the most it may take, ``metric`` the name before
    the number it prints. ``protect`` names the files that measure (such as prepare.py). With
    ``measure``, a command that runs after it, that command's output has the metric.
    """

    repository: Path
    edit: Sequence[str]
    run: str
    metric: str
    direction: Direction
    timeout_s: float
    limits: Limits
    protect: Sequence[str] = ()
    dims: Sequence[str] = ()
    measure: str | None = None
    rule: KeepRule | None = None
    escalate_after: int | None = None
    kill_flag: str | None = None

    def loop(
        self,
        pane: Pane,
        proposers: Sequence[Proposer],
        state_dir: Path,
        *,
        say: Callable[[str], None] = lambda _text: None,
    ) -> Loop:
        """Return the loop. Its journal lies below ``state_dir``, by the repository's path.

        Raises LoopError when the repository is not fit for one.
        """
        workspace = Workspace(
            self.repository, editable=self.edit, protected=self.protect, own=(LEDGER,)
        )
        return Loop(
            workspace=workspace,
            proposers=proposers,
            scorer=_Training(
                command=self.run,
                metric=self.metric,
                timeout_s=self.timeout_s,
                dims=(*self.dims, _PEAK),
                measure=self.measure,
            ),
            metric=self.metric,
            direction=self.direction,
            limits=self.limits,
            pane=pane,
            folder=state_folder(state_dir, workspace.root),
            results=workspace.root / LEDGER,
            columns=("commit", self.metric, _MEMORY, "status", "description"),
            rule=self.rule or Better(),
            escalate_after=self.escalate_after,
            kill_flag=self.kill_flag,
            say=say,
        )


def state_folder(state_dir: Path, target: Path) -> Path:
    """Return where the loop over a target keeps its journal: one folder a target."""
    name = hashlib.sha256(str(target.resolve()).encode()).hexdigest()[:16]
    return state_dir / "loops" / name


class _Training(CommandScorer):
    """Training also tells its peak memory, which the ledger has in GB."""

    def score(self, root: Path, output: Path, environ: Mapping[str, str]) -> Score:
        found = super().score(root, output, environ)
        dims = dict(found.dims)
        if (peak := dims.pop(_PEAK, None)) is None:
            return found
        dims[_MEMORY] = round(peak / 1024, 1)
        return replace(found, dims=dims, cells={_MEMORY: f"{dims[_MEMORY]:g}"})
