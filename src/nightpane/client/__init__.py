"""The client: what runs inside a loop. Events go from ``Pane.track()`` to a spool on disk, and
from there to PostHog or the local server, in the background.
"""

from nightpane.client.health import Health
from nightpane.client.pane import Pane
from nightpane.client.rounds import Round, Run

__all__ = ["Health", "Pane", "Round", "Run"]
