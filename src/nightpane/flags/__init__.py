"""What a feature flag comes to for somebody, by PostHog's rules: pure functions on documents."""

from __future__ import annotations

from nightpane.flags.evaluate import FlagSet
from nightpane.flags.hashing import bucket
from nightpane.flags.model import Context, Result

__all__ = ["Context", "FlagSet", "Result", "bucket"]
