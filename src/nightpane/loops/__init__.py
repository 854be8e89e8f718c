"""What a loop that runs unattended stands on: rules, a journal, a workspace, commands."""

from nightpane.loops.journal import Journal
from nightpane.loops.keep import Better, Decision, KeepRule, MinimumDelta, NoiseAware
from nightpane.loops.processes import Outcome, run_command
from nightpane.loops.stop import Limits, Progress
from nightpane.loops.workspace import Change, Workspace

__all__ = [
    "Better",
    "Change",
    "Decision",
    "Journal",
    "KeepRule",
    "Limits",
    "MinimumDelta",
    "NoiseAware",
    "Outcome",
    "Progress",
    "Workspace",
    "run_command",
]
