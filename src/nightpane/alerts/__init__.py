"""Alerts: thresholds a person sets, checked against what the query API says.

Knows only HogQL and a file; it decides nothing on its own and repeats nothing it has told.
"""

from nightpane.alerts.check import Finding, check
from nightpane.alerts.example import EXAMPLE
from nightpane.alerts.rules import FILE_NAME, KINDS, Rule, read
from nightpane.alerts.state import News, Told

__all__ = ["EXAMPLE", "FILE_NAME", "KINDS", "Finding", "News", "Rule", "Told", "check", "read"]
