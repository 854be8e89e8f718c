"""One span or log record as one PostHog event: what both have in common.

Whatever is no known attribute stays a property under its own name, as in PostHog, so that a loop's
own attributes (``phase``, ``task_type``) can be asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from nightpane.ids import deterministic_uuid
from nightpane.otel.attributes import count, decoded, text
from nightpane.otel.content import CONTENT, CONTENT_PREFIXES
from nightpane.otel.fields import MAPPED
from nightpane.otel.kinds import SPAN, TRACE
from nightpane.otel.model import Source, SpanEvent

__all__ = ["Translation", "base", "event", "expanded", "outcome", "timestamp"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_USED = frozenset(
    {
        *("gen_ai.operation.name", "llm.request.type", "openinference.span.kind", "event.name"),
        *("mlflow.spanType", "mlflow.chat.tokenUsage", "mlflow.llm.cost", "ai.operationId"),
        *("traceloop.span.kind", "posthog.distinct_id", "posthog.ai.debug", "user.id"),
        *("error.type", "http.response.status_code", "http.status_code"),
        *("operation.name", "resource.name"),
    }
)
_USED_PREFIXES = (
    *("nightpane.", "$ai_", "mlflow.chat.tokenUsage.", "mlflow.llm.cost.", "ai.request.headers."),
    *CONTENT_PREFIXES,
)
_ID_NAMES = ("$ai_trace_id", "$ai_span_id", "$ai_parent_id")
_NOISE = ("host.", "process.", "os.", "telemetry.")
_STATUS = ("http.response.status_code", "http.status_code", "error.type")
# A resource is repeated on each of its spans: what is large there would grow without bound.
_MAX_RESOURCE_NAMES = 32
_MAX_RESOURCE_CHARS = 256
_MLFLOW_OBJECTS = ("mlflow.chat.tokenUsage", "mlflow.llm.cost")


@dataclass(slots=True)
class Translation:
    """The events a request becomes, in the form PostHog's capture takes them.

    ``refused`` counts what was unusable, ``refusal`` says why (the first reason); ``passed_over``
    counts what has nothing to do with a model.
    """

    events: list[dict[str, Any]] = field(default_factory=list)
    refused: int = 0
    refusal: str = ""
    passed_over: int = 0

    def refuse(self, why: str) -> None:
        """Count one that is unusable."""
        self.refused += 1
        self.refusal = self.refusal or why


def event(
    name: str, *, uuid: str, time_ns: int, who: tuple[str, bool], properties: dict[str, Any]
) -> dict[str, Any]:
    """Return an event as capture takes it; one that is its trace's root becomes ``$ai_trace``."""
    if name == SPAN and (
        "$ai_parent_id" not in properties or properties["$ai_span_id"] == properties["$ai_trace_id"]
    ):
        name = TRACE
        properties.pop("$ai_parent_id", None)
        properties.setdefault("$ai_trace_name", properties.get("$ai_span_name"))
    person, is_somebody = who
    if not is_somebody:
        properties.setdefault("$process_person_profile", False)
    made = {"event": name, "uuid": uuid, "distinct_id": person, "properties": properties}
    if time_ns:
        made["timestamp"] = timestamp(time_ns)
    return made


def timestamp(time_ns: int) -> str:
    """Return nanoseconds since the epoch as ISO 8601, to the microsecond."""
    return (_EPOCH + timedelta(microseconds=time_ns // 1000)).isoformat()


def event_uuid(attributes: Mapping[str, Any], *parts: str) -> str:
    """Return the uuid a span states (an exported event's own), else the one drawn from its ids."""
    stated = attributes.get("nightpane.uuid")
    if isinstance(stated, str):
        try:
            return str(UUID(stated))
        except ValueError:
            pass  # not ours
    return deterministic_uuid("otel", *parts)


def expanded(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the attributes with MLflow's objects spread over names of their own."""
    if not any(name in attributes for name in _MLFLOW_OBJECTS):
        return attributes
    spread = dict(attributes)
    for name in _MLFLOW_OBJECTS:
        inner = decoded(attributes.get(name))
        if isinstance(inner, dict):
            spread |= {f"{name}.{key}": value for key, value in inner.items()}
    return spread


def base(attributes: Mapping[str, Any], source: Source) -> dict[str, Any]:
    """Return the properties that are kept under their own names, and where the event came from."""
    library = f"opentelemetry/{source.scope}" if source.scope else "opentelemetry"
    kept = _of_resource(source.resource)
    kept |= {name: value for name, value in attributes.items() if _is_kept(name, value)}
    return {
        "$lib": "posthog-otel",
        **(
            {"$lib_version": source.scope_version[:_MAX_RESOURCE_CHARS]}
            if source.scope_version
            else {}
        ),
        "$ai_lib": library[:_MAX_RESOURCE_CHARS],
        "$ai_ingestion_source": "otel",
        "$geoip_disable": True,
        **kept,
    }


def stated(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the PostHog properties that a span states in so many words: these win."""
    return {
        name: value
        for name, value in attributes.items()
        if name.startswith("$ai_")
        and value not in (None, "")
        and (name not in _ID_NAMES or isinstance(value, str))
    }


def outcome(
    attributes: Mapping[str, Any], events: Iterable[SpanEvent], failed: bool, message: str
) -> dict[str, Any]:
    """Return whether it failed and how: by its status, ``error.type``, or its last exception."""
    kind = text(attributes.get("error.type"))
    found: dict[str, Any] = {}
    status = _http_status(attributes)
    if status is not None:
        found["$ai_http_status"] = status
    if not failed and kind is None:
        return found
    raised = _exception(events)
    kind = text(raised.get("exception.type")) or kind
    said = text(raised.get("exception.message")) or message or text(attributes.get("error.message"))
    found["$ai_is_error"] = True
    found["$ai_error"] = ": ".join(one for one in (kind, said) if one) or "span status is ERROR"
    if kind is not None:
        found["$ai_error_type"] = kind
    return found


def _exception(events: Iterable[SpanEvent]) -> Mapping[str, Any]:
    last: Mapping[str, Any] = {}
    for one in events:
        if one.name == "exception" or "exception.type" in one.attributes:
            last = one.attributes
    return last


def _http_status(attributes: Mapping[str, Any]) -> int | None:
    for name in _STATUS:
        found = count(attributes.get(name))
        if found is not None and 100 <= found <= 599:
            return found
    return None


def _is_kept(name: str, value: Any) -> bool:
    return not (
        value is None
        or name in MAPPED
        or name in CONTENT
        or name in _USED
        or name.startswith(_USED_PREFIXES)
    )


def _of_resource(resource: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in resource.items():
        if len(kept) == _MAX_RESOURCE_NAMES:
            break
        if name.startswith(_NOISE) or len(name) > _MAX_RESOURCE_CHARS or not _is_kept(name, value):
            continue
        if isinstance(value, str):
            kept[name] = value[:_MAX_RESOURCE_CHARS]
        elif isinstance(value, bool | int | float):
            kept[name] = value
    return kept
