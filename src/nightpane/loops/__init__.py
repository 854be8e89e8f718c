"""The loop engine: propose, apply, score, keep or revert, unattended and after any crash."""

from nightpane.loops.engine import Loop, Outcome
from nightpane.loops.keep import Better, Decision, KeepRule, MinimumDelta, NoiseAware
from nightpane.loops.proposing import Brief, CommandProposer, FunctionProposer, Proposal, Proposer
from nightpane.loops.scoring import CommandScorer, Score, Scorer
from nightpane.loops.stop import Limits, Progress
from nightpane.loops.workspace import Change, Workspace

__all__ = [
    "Better",
    "Brief",
    "Change",
    "CommandProposer",
    "CommandScorer",
    "Decision",
    "FunctionProposer",
    "KeepRule",
    "Limits",
    "Loop",
    "MinimumDelta",
    "NoiseAware",
    "Outcome",
    "Progress",
    "Proposal",
    "Proposer",
    "Score",
    "Scorer",
    "Workspace",
]
