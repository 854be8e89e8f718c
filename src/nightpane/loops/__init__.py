"""The loop engine: propose, apply, score, keep or revert, unattended and after any crash."""

from nightpane.loops.agents import AGENTS, AgentProposer
from nightpane.loops.engine import Loop, Outcome
from nightpane.loops.keep import Better, Decision, KeepRule, MinimumDelta, NoiseAware
from nightpane.loops.proposing import (
    Brief,
    CommandProposer,
    FunctionProposer,
    NoProposalError,
    Proposal,
    Proposer,
)
from nightpane.loops.rehearsal import Rehearsal
from nightpane.loops.scoring import CommandScorer, Score, Scorer
from nightpane.loops.stop import Limits, Progress
from nightpane.loops.workspace import Change, Workspace

__all__ = [
    "AGENTS",
    "AgentProposer",
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
    "NoProposalError",
    "NoiseAware",
    "Outcome",
    "Progress",
    "Proposal",
    "Proposer",
    "Rehearsal",
    "Score",
    "Scorer",
    "Workspace",
]
