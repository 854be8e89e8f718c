"""nightpane: one pane of glass for autonomous research loops, on PostHog's event model."""

from nightpane.client import (
    Case,
    Health,
    JoinedRound,
    Knob,
    Knobs,
    Pane,
    Round,
    Run,
    Step,
    Suite,
    ToolStep,
    tool,
)
from nightpane.errors import NightpaneError

__all__ = [
    "Case",
    "Health",
    "JoinedRound",
    "Knob",
    "Knobs",
    "NightpaneError",
    "Pane",
    "Round",
    "Run",
    "Step",
    "Suite",
    "ToolStep",
    "tool",
]
