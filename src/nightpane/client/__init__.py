"""The client: what runs inside a loop. Events go from ``Pane.track()`` to a spool on disk, and
from there to PostHog or the local server, in the background.
"""

from nightpane.client.health import Health
from nightpane.client.knobs import Knob, Knobs
from nightpane.client.pane import Pane
from nightpane.client.rounds import Round
from nightpane.client.runs import Run
from nightpane.client.steps import Step, ToolStep
from nightpane.client.suites import Case, Suite
from nightpane.client.tools import tool
from nightpane.client.working import JoinedRound

__all__ = [
    "Case",
    "Health",
    "JoinedRound",
    "Knob",
    "Knobs",
    "Pane",
    "Round",
    "Run",
    "Step",
    "Suite",
    "ToolStep",
    "tool",
]
