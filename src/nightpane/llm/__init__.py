"""Model calls, recorded in the round they are made in."""

from nightpane.llm.wrap import wrap

__all__ = ["wrap"]
