"""What an experiment counts: which thing a variant is given to, and which thing is measured.

A flag gives a variant to a round, a run or an agent. Whatever is measured, n counts the things
that variants were given to and never anything finer: a hundred rounds of two agents are two
independent observations, not a hundred.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from nightpane.errors import ExperimentError

__all__ = ["Unit", "Units", "assignment_of", "units_for"]


class Unit(StrEnum):
    """A thing that can be given a variant, or be measured; finer ones first."""

    ROUND = "round"
    RUN = "run"
    AGENT = "agent"


_ORDER = (Unit.ROUND, Unit.RUN, Unit.AGENT)


@dataclass(frozen=True, slots=True)
class Units:
    """``assigned``: what has a variant, and is counted. ``measured``: what has a value.

    Where the two differ, an assigned thing's value is the mean over what it measured (for a ratio,
    the sums).
    """

    assigned: Unit
    measured: Unit

    @property
    def clustered(self) -> bool:
        """Whether several measured things share one variant."""
        return self.assigned is not self.measured

    def explain(self) -> str:
        """Return the sentence that a result states its n with."""
        if not self.clustered:
            return f"n counts {self.assigned}s: each is given a variant and measured once"
        return (
            f"n counts {self.assigned}s, which are given the variants; each counts with the mean "
            f"over its {self.measured}s, since {self.measured}s of one {self.assigned} are alike"
        )


def assignment_of(flag: Mapping[str, Any]) -> Unit:
    """Return what a flag gives variants to: rounds when it is bucketed by device_id, else agents.

    nightpane's pane names the round as the device and the agent as the person.
    """
    return Unit.ROUND if flag.get("bucketing_identifier") == "device_id" else Unit.AGENT


def units_for(flag: Mapping[str, Any], criteria: Mapping[str, Any], *, best_of: bool) -> Units:
    """Return the units of an experiment on a flag.

    ``exposure_criteria`` may name them: ``assignment_unit`` and ``analysis_unit``. By default
    rounds are measured; for a metric that takes the best of its events, runs, unless the flag
    varies from round to round within a run. Raises ExperimentError for units that cannot be.
    """
    said = _named(criteria, "assignment_unit")
    assigned = assignment_of(flag) if said is None else said
    measured = _named(criteria, "analysis_unit")
    if measured is None:
        measured = Unit.RUN if best_of and assigned is not Unit.ROUND else Unit.ROUND
    if _ORDER.index(measured) > _ORDER.index(assigned):
        raise ExperimentError(
            f"The flag gives variants to {assigned}s, which vary within a {measured}: a {measured} "
            f"has no variant of its own. Measure {assigned}s, or bucket the flag by {measured}.",
            attr="exposure_criteria",
        )
    return Units(assigned, measured)


def _named(criteria: Mapping[str, Any], key: str) -> Unit | None:
    value = criteria.get(key)
    if value is None:
        return None
    if value not in list(Unit):
        raise ExperimentError(
            f'{key}: "{value}" is not a valid choice: {", ".join(_ORDER)} are.',
            attr="exposure_criteria",
        )
    return Unit(value)
