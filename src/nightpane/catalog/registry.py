"""All events by name, and what other parts derive from their declarations."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Literal

from nightpane.catalog import core, eval, step, token_machine  # noqa: A004 (the group's name)
from nightpane.catalog.ai import AI_PROPERTIES
from nightpane.catalog.envelope import ENVELOPE
from nightpane.catalog.spec import Event, EventSpec, spec_of

__all__ = ["CLASSES", "EVENTS", "PropertyType", "cut_texts", "property_types"]

PropertyType = Literal["Numeric", "Boolean", "DateTime", "String"]

# In the order of a round's life, then by group.
CLASSES: tuple[type[Event], ...] = (
    core.RoundStarted,
    core.ProposalGenerated,
    core.ProposalApplied,
    core.RoundScored,
    core.RoundKept,
    core.RoundReverted,
    core.ModelEscalated,
    core.StopTriggered,
    core.FinetuneBatchPublished,
    step.StepPlan,
    step.StepToolCalled,
    step.StepToolReturned,
    step.StepObservation,
    step.StepReflection,
    step.StepRetry,
    eval.EvalRun,
    eval.EvalCase,
    eval.EvalRegression,
    token_machine.TokenMachineRequest,
    token_machine.TokenMachineTeamSummary,
    token_machine.TokenMachineAnomaly,
)

EVENTS: Mapping[str, EventSpec] = MappingProxyType(
    {event.event: spec_of(event) for event in CLASSES}
)

_CUTTING = {event.event: event.cut_texts for event in CLASSES if event._cuts}


def cut_texts(event: str, properties: dict[str, Any]) -> dict[str, Any]:
    """Return an event's properties with the texts cut that are longer than their declared limit.

    ``<name>_length`` keeps a text's length before. The same object comes back when nothing is cut.
    """
    cutting = _CUTTING.get(event)
    return properties if cutting is None else cutting(properties)


_TYPES: dict[str, PropertyType] = {
    "str": "String",
    "ULID": "String",
    "int": "Numeric",
    "float": "Numeric",
    "bool": "Boolean",
}


@cache
def property_types() -> Mapping[str, PropertyType]:
    """Return PostHog's type of every property that has one: the server's seed definitions.

    Lists, objects and properties of any type have none. A cut text's ``*_length`` is Numeric.
    """
    found: dict[str, PropertyType] = {}
    declared = [*ENVELOPE, *AI_PROPERTIES]
    declared += [one for spec in EVENTS.values() for one in spec.properties]
    for one in declared:
        if one.type in _TYPES:
            found[one.name] = _TYPES[one.type]
        if one.max_chars is not None:
            found[f"{one.name}_length"] = "Numeric"
    return MappingProxyType(found)
