"""What a project says of itself rather than what happened in it: flags, cohorts, experiments."""

from __future__ import annotations

from nightpane.definitions.definitions import Definitions, Document

__all__ = ["Definitions", "Document"]
