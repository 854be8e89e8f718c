"""Git hooks that annotate commits, so that a change of the loop is a line on its charts.

A hook of ours never blocks, fails or speaks: it starts a process in the background and is done.
"""

from nightpane.hooks.install import Hook, Report, install, status, uninstall
from nightpane.hooks.repository import HOOKS, Repository
from nightpane.hooks.rules import Rules
from nightpane.hooks.run import Seen, run

__all__ = [
    "HOOKS",
    "Hook",
    "Report",
    "Repository",
    "Rules",
    "Seen",
    "install",
    "run",
    "status",
    "uninstall",
]
