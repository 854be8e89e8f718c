"""The rubric: the dimensions, what weighs them, what is enough and what matters, in one file."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, get_args

from nightpane.errors import GtmError
from nightpane.gtm.case import Severity
from nightpane.gtm.strict import read_text

__all__ = ["Limits", "Rubric"]

_TOLERANCE = 0.01
_MOST = 1e9
_TOP = ("threshold", "judge_weight", "dimensions", "profiles", "limits", "severities")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is enough: see the comments in ``rubric.toml``."""

    full_dedup_rate: float
    full_match_quality: float
    cookie_cost: float
    many_conversions: float
    user_fields: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rubric:
    """A rubric: each dimension's text, each profile's weights, what is enough, the severities of
    each dimension's checks, and two numbers between 0 and 1: the ``threshold`` below which a
    dimension gates the score, the ``judge_weight`` of a model judge."""

    dimensions: Mapping[str, str]
    profiles: Mapping[str, Mapping[str, float]]
    threshold: float
    judge_weight: float
    limits: Limits
    severities: Mapping[str, Mapping[str, Severity]]

    @staticmethod
    @cache
    def default() -> Rubric:
        """Return the rubric that comes with nightpane."""
        return Rubric.parse(_shipped(), "rubric.toml")

    @classmethod
    def read(cls, path: Path) -> Rubric:
        """Return a file's rubric. Raises GtmError naming what is wrong in it."""
        return cls.parse(read_text(path), str(path))

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
        shipped = tomllib.loads(_shipped())
        return cls(
            dimensions=dimensions,
            profiles=profiles,
            threshold=_share(document, "threshold", where),
            judge_weight=_share(document, "judge_weight", where),
            limits=_limits(shipped["limits"], document.get("limits", {}), where),
            severities=_severities(shipped["severities"], document.get("severities", {}), where),
        )

    def severity(self, dimension: str, check: str) -> Severity:
        """Return how much it matters that a check of a dimension failed."""
        return self.severities[dimension][check]

    def weights(self, profile: str) -> Mapping[str, float]:
        """Return a profile's weights. Raises GtmError when there is no such profile."""
        if profile not in self.profiles:
            known = ", ".join(self.profiles)
            raise GtmError(f"no profile {profile!r}: the rubric has {known}")
        return self.profiles[profile]


@cache
def _shipped() -> str:
    return resources.files("nightpane.gtm").joinpath("rubric.toml").read_text("utf-8")


def _limits(shipped: Mapping[str, float], given: Any, where: str) -> Limits:
    """Return the limits, those that are not given as they are shipped."""
    if not isinstance(given, dict):
        raise GtmError(f"{where}: limits is no table")
    known = [one.name for one in fields(Limits)]
    for name, limit in given.items():
        if name not in known:
            raise GtmError(f"{where}, [limits]: {name} is unknown; there is {', '.join(known)}")
        if isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 < limit <= _MOST:
            raise GtmError(f"{where}, [limits]: {name} is {limit!r}; it must be above 0")
    return Limits(**{**shipped, **given})


def _severities(
    shipped: Mapping[str, Mapping[str, Severity]], given: Any, where: str
) -> Mapping[str, Mapping[str, Severity]]:
    """Return the severities, those that are not given as they are shipped."""
    found = {dimension: dict(checks) for dimension, checks in shipped.items()}
    if not isinstance(given, dict):
        raise GtmError(f"{where}: severities is no table")
    for dimension, checks in given.items():
        here = f"{where}, [severities.{dimension}]"
        if dimension not in found or not isinstance(checks, dict):
            raise GtmError(f"{here} is no table of a dimension that can be scored")
        for check, severity in checks.items():
            if check not in found[dimension]:
                raise GtmError(f"{here}: {check!r} is unknown; there is {list(found[dimension])}")
            if severity not in get_args(Severity):
                raise GtmError(f"{here}: {check!r} is {severity!r}; it is error, warning or info")
            found[dimension][check] = severity
    return found


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
