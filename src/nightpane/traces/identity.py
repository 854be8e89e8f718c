"""Ids that are the same each time a file is read, wherever it lies."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

__all__ = ["trace_id"]

# What PostHog allows in a trace id.
_FOREIGN = re.compile(r"[^A-Za-z0-9\-_~.@()!':|]+")


def trace_id(name: str, *content: Any) -> str:
    """Return a trace id from a name and, where names repeat, what tells the content apart."""
    cleaned = _FOREIGN.sub("-", name).strip("-")[:100] or "trace"
    if not content:
        return cleaned
    text = json.dumps(content, sort_keys=True, default=str)
    return f"{cleaned}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"
