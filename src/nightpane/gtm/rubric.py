"""The rubric: which dimensions there are, and how each profile weighs them, in one file."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from nightpane.errors import GtmError

__all__ = ["Rubric"]

_TOLERANCE = 0.01
_TOP = ("threshold", "judge_weight", "dimensions", "profiles")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rubric:
    """A rubric: each dimension's text, each profile's weights, and two numbers between 0 and 1: the
    ``threshold`` below which a dimension gates the score, the ``judge_weight`` of a model judge."""

    dimensions: Mapping[str, str]
    profiles: Mapping[str, Mapping[str, float]]
    threshold: float
    judge_weight: float

    @staticmethod
    @cache
    def default() -> Rubric:
        """Return the rubric that comes with nightpane."""
        text = resources.files("nightpane.gtm").joinpath("rubric.toml").read_text("utf-8")
        return Rubric.parse(text, "rubric.toml")

    @classmethod
    def read(cls, path: Path) -> Rubric:
        """Return a file's rubric. Raises GtmError naming what is wrong in it."""
        try:
            return cls.parse(path.read_text("utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise GtmError(f"{path} cannot be read: {error}") from error

    @classmethod
    def parse(cls, text: str, where: str) -> Rubric:
        """Return a text's rubric. Raises GtmError for unknown keys and dimensions, and for weights
        that do not add up to 1 within 0.01."""
        try:
            document = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise GtmError(f"{where}: {error}") from error
        if unknown := sorted(document.keys() - set(_TOP)):
            raise GtmError(f"{where}: {', '.join(unknown)} is unknown; there is {', '.join(_TOP)}")
        dimensions = _table(document, "dimensions", where)
        if not all(isinstance(one, str) for one in dimensions.values()):
            raise GtmError(f"{where}, [dimensions]: each has a text")
        profiles = {
            name: _weights(table, dimensions, f"{where}, [profiles.{name}]")
            for name, table in _table(document, "profiles", where).items()
        }
        return cls(
            dimensions=dimensions,
            profiles=profiles,
            threshold=_share(document, "threshold", where),
            judge_weight=_share(document, "judge_weight", where),
        )

    def weights(self, profile: str) -> Mapping[str, float]:
        """Return a profile's weights. Raises GtmError when there is no such profile."""
        if profile not in self.profiles:
            known = ", ".join(self.profiles)
            raise GtmError(f"no profile {profile!r}: the rubric has {known}")
        return self.profiles[profile]


def _table(document: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    found = document.get(name)
    if not isinstance(found, dict) or not found:
        raise GtmError(f"{where}: [{name}] is missing or empty")
    return found


def _weights(table: Any, dimensions: Mapping[str, str], where: str) -> Mapping[str, float]:
    if not isinstance(table, dict):
        raise GtmError(f"{where} is no table")
    for name, weight in table.items():
        if name not in dimensions:
            raise GtmError(f"{where}: {name} is no dimension of [dimensions]")
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight <= 1:
            raise GtmError(f"{where}: {name} is {weight!r}; a weight is above 0 and at most 1")
    total = math.fsum(table.values())
    if abs(total - 1) > _TOLERANCE:
        raise GtmError(f"{where}: the weights add up to {total:g}; they must to 1")
    return {name: float(weight) for name, weight in table.items()}


def _share(document: Mapping[str, Any], name: str, where: str) -> float:
    found = document.get(name, 0.0)
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found <= 1:
        raise GtmError(f"{where}: {name} is {found!r}; it must be between 0 and 1")
    return float(found)
