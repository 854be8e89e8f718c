"""nightpane: one pane of glass for autonomous research loops, on PostHog's event model."""

from nightpane.errors import NightpaneError

__all__ = ["NightpaneError"]
