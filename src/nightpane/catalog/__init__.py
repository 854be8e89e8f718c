"""The catalogue: every event nightpane emits or understands, declared once.

It holds declarations and what follows from them; it never sends, stores or asks anything.
"""

from nightpane.catalog.ai import AI_EVENTS, AI_PROPERTIES
from nightpane.catalog.core import (
    FinetuneBatchPublished,
    ModelEscalated,
    ProposalApplied,
    ProposalGenerated,
    RoundKept,
    RoundReverted,
    RoundScored,
    RoundStarted,
    StopTriggered,
)
from nightpane.catalog.envelope import ENVELOPE
from nightpane.catalog.eval import EvalCase, EvalRegression, EvalRun
from nightpane.catalog.json_schema import json_schema
from nightpane.catalog.registry import CLASSES, EVENTS, PropertyType, cut_texts, property_types
from nightpane.catalog.sample import sample
from nightpane.catalog.spec import Direction, Event, EventSpec, PropertySpec, cut
from nightpane.catalog.step import (
    StepObservation,
    StepPlan,
    StepReflection,
    StepRetry,
    StepToolCalled,
    StepToolReturned,
)
from nightpane.catalog.token_machine import (
    TokenMachineAnomaly,
    TokenMachineRequest,
    TokenMachineTeamSummary,
)
from nightpane.catalog.validate import problems

__all__ = [
    "AI_EVENTS",
    "AI_PROPERTIES",
    "CLASSES",
    "ENVELOPE",
    "EVENTS",
    "Direction",
    "EvalCase",
    "EvalRegression",
    "EvalRun",
    "Event",
    "EventSpec",
    "FinetuneBatchPublished",
    "ModelEscalated",
    "PropertySpec",
    "PropertyType",
    "ProposalApplied",
    "ProposalGenerated",
    "RoundKept",
    "RoundReverted",
    "RoundScored",
    "RoundStarted",
    "StepObservation",
    "StepPlan",
    "StepReflection",
    "StepRetry",
    "StepToolCalled",
    "StepToolReturned",
    "StopTriggered",
    "TokenMachineAnomaly",
    "TokenMachineRequest",
    "TokenMachineTeamSummary",
    "cut",
    "cut_texts",
    "json_schema",
    "problems",
    "property_types",
    "sample",
]
