"""Versions in conditions: major, minor and patch, whatever follows them left out.

As PostHog's SDKs and its ``sortableSemver`` read them. Leading zeros are read, as its flag service
does ("3.08" is what phones send).
"""

from __future__ import annotations

from typing import Any

from nightpane.flags.values import text

__all__ = ["bounds", "parse"]

Version = tuple[int, int, int]


def parse(value: Any) -> Version:
    """Return a version, missing parts 0. Raises ValueError for what is none."""
    parts = _numbers(text(value).strip().lstrip("vV").split("-")[0].split("+")[0].split("."))
    return (parts[0], parts[1], parts[2])


def bounds(operator: str, value: Any) -> tuple[Version, Version]:
    """Return what ``~1.2.3``, ``^1.2.3`` or ``1.2.*`` spans, without its end. Raises ValueError."""
    if operator == "semver_wildcard":
        return _wildcard(text(value))
    low = parse(value)
    major, minor, patch = low
    if operator == "semver_tilde" or (major == 0 and minor > 0):
        return low, (major, minor + 1, 0)
    return low, (major + 1, 0, 0) if major else (0, 0, patch + 1)


def _wildcard(value: str) -> tuple[Version, Version]:
    parts = [part for part in value.strip().lstrip("vV").replace("*", "").split(".") if part]
    major, minor, patch = _numbers(parts)[:3]
    if len(parts) == 1:
        return (major, 0, 0), (major + 1, 0, 0)
    if len(parts) == 2:
        return (major, minor, 0), (major, minor + 1, 0)
    return (major, minor, patch), (major, minor, patch + 1)


def _numbers(parts: list[str]) -> list[int]:
    if not parts or not parts[0]:
        raise ValueError("no version")
    found = []
    for part in [*parts[:3], "", ""][:3]:
        if part and not (part.isascii() and part.isdigit()):
            raise ValueError(f"{part!r} is no part of a version")
        found.append(int(part or 0))
    return found
