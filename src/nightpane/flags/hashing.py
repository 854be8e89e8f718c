"""Where somebody falls between 0 and 1, for a flag: the same place on every machine, for ever.

PostHog's own hash; another one would give an agent another variant on the laptop than in the cloud.
"""

from __future__ import annotations

import hashlib

__all__ = ["bucket", "holdout_bucket"]

_DIGITS = 15
_SCALE = float(16**_DIGITS - 1)


def bucket(flag_key: str, identifier: str, salt: str = "") -> float:
    """Return where an identifier falls for a flag; ``salt`` "variant" is PostHog's for variants."""
    return _place(f"{flag_key}.{identifier}{salt}")


def holdout_bucket(identifier: str) -> float:
    """Return where an identifier falls for holdouts, which are the same for every flag."""
    return _place(f"holdout-{identifier}")


def _place(text: str) -> float:
    digest = hashlib.sha1(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
    return int(digest[:_DIGITS], 16) / _SCALE
