"""nightpane: one pane of glass for autonomous research loops, on PostHog's event model."""

from nightpane.client import Health, Pane, Round, Run
from nightpane.errors import NightpaneError

__all__ = ["Health", "NightpaneError", "Pane", "Round", "Run"]
