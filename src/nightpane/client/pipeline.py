"""The choke point: ``before_send`` of the official SDK, and everything an event passes there.

Redact, stamp the envelope, validate, append to the spool, return None: the SDK's own queue, which
loses what it holds when the process dies, never sees an event. It must never raise into the SDK,
never write a raw event when redaction failed, and never wait for the network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nightpane import catalog
from nightpane.client import encoding
from nightpane.client.envelope import Envelope, Place
from nightpane.client.handover import Handover, Tracked
from nightpane.client.health import Counters, Voice
from nightpane.client.redact import KeyMask, Redactor, mask_values, may_hold_secret
from nightpane.client.scopes import shown
from nightpane.client.values import Plain
from nightpane.errors import CatalogError, NightpaneError, SpoolError, SpoolFullError

__all__ = ["Pipeline"]

_MAX_NAME = 200
_MAX_KNOWN = 1000
# Stored timestamps must not depend on which attempt was answered: every retry is the same event.
_IGNORE_SENT_AT = "$ignore_sent_at"


class Pipeline:
    """Called by the SDK with each event; keeps it in the spool through ``append``."""

    def __init__(
        self,
        *,
        envelope: Envelope,
        mask: KeyMask,
        redactors: Sequence[Redactor],
        append: Callable[[bytes], None],
        place: Callable[[], Place | None],
        counters: Counters,
        voice: Voice,
        strict: bool,
    ) -> None:
        self._envelope = envelope
        self._mask = mask
        self._redactors = tuple(redactors)
        self._append = append
        self._place = place
        self._counters = counters
        self._voice = voice
        self._strict = strict
        self._known: dict[str, set[str]] = {}

    def __call__(self, message: dict[str, Any]) -> None:
        """Keep one event. Never raises; the outcome goes to the handover, the counters, the log."""
        handover = None
        if isinstance(message, Tracked):
            handover = message.handover
            handover.taken = True
        try:
            written = self._keep(message, handover)
        except NightpaneError as error:
            self.not_written(error, handover)
        except Exception as error:  # noqa: BLE001 (the loop survives whatever goes wrong here)
            self.not_written(_unforeseen(error), handover)
        else:
            if handover is not None:
                handover.written, handover.dropped = written, not written

    def not_written(self, error: NightpaneError, handover: Handover | None) -> None:
        """Count and say that an event is lost, and why."""
        reason = _reason(error)
        self._counters.add(f"not_written.{reason}")
        self._counters.last_error = str(error)
        self._voice.say(reason, f"an event was not kept: {error}")
        if handover is not None:
            handover.error = error

    def _keep(self, message: dict[str, Any], handover: Handover | None) -> bool:
        notes = handover.notes if handover is not None else []
        message["event"] = self._name(message.get("event"), notes)
        properties = self._redact(message, handover, notes)
        if properties is None:
            self._counters.add("dropped_by_redactor")
            return False
        self._stamp(message, properties, handover)
        message["properties"] = catalog.cut_texts(message["event"], message["properties"])
        self._validate(message["event"], message["properties"], notes)
        self._write(message)
        self._counters.add("written")
        return True

    def _name(self, event: Any, notes: list[str]) -> str:
        if type(event) is str and 0 < len(event) <= _MAX_NAME:
            return event
        name = (str.__str__(event) if isinstance(event, str) else shown(event)).strip()[:_MAX_NAME]
        notes.append(f"event name {name!r}: expected a text of 1 to {_MAX_NAME} characters")
        return name or "(unnamed)"

    def _redact(
        self, message: dict[str, Any], handover: Handover | None, notes: list[str]
    ) -> dict[str, Any] | None:
        """Return the event's properties, plain and without secrets; None to drop the event.

        Everything else that the caller gave is freed of secrets in place.
        """
        try:
            plain = Plain(self._mask, notes)
            properties = plain.mapping(message.get("properties") or {})
            for key in message.keys() - _STANDARD_KEYS:
                message[key] = plain.value(message[key], key)
            for redactor in self._redactors:
                changed = redactor({**message, "properties": properties})
                if changed is None:
                    return None
                properties = plain.mapping(changed["properties"])
            return self._mask_values(message, properties, handover, plain)
        except Exception as error:  # noqa: BLE001 (a redactor is the user's code)
            self._counters.add("redaction_failures")
            what = f"{type(error).__name__} while redacting: the event's properties were left out"
            self._voice.say("redaction", f"{what}; the callables given as redact= must not raise")
            for key in message.keys() - _STANDARD_KEYS:
                del message[key]
            self._mask_rest(message, handover, notes, [])
            return {"$nightpane_redaction_failed": what}

    def _mask_values(
        self,
        message: dict[str, Any],
        properties: dict[str, Any],
        handover: Handover | None,
        plain: Plain,
    ) -> dict[str, Any]:
        texts = [*plain.texts, *plain.notes, message["event"], str(message["distinct_id"])]
        if handover is not None:
            texts += [text for text in (handover.agent, handover.round_id) if text]
        if not may_hold_secret("\n".join(texts)):
            return properties
        found: list[str] = []
        masked: dict[str, Any] = mask_values(properties, found)
        self._mask_rest(message, handover, plain.notes, found)
        if found:
            self._counters.add("redacted")
        return masked

    def _mask_rest(
        self,
        message: dict[str, Any],
        handover: Handover | None,
        notes: list[str],
        found: list[str],
    ) -> None:
        for key in message.keys() - {"properties"}:
            message[key] = mask_values(message[key], found)
        notes[:] = mask_values(notes, found)
        if handover is not None:
            handover.agent = mask_values(handover.agent, found)
            handover.round_id = mask_values(handover.round_id, found)

    def _stamp(
        self, message: dict[str, Any], properties: dict[str, Any], handover: Handover | None
    ) -> None:
        event = message["event"]
        if handover is not None:
            agent, round_id, ts = handover.agent, handover.round_id, handover.ts
            place, anonymous = handover.place, not handover.has_distinct_id
        else:
            agent, round_id, ts, place = None, None, None, self._place()
            # So the SDK marks an event whose caller named nobody.
            anonymous = properties.get("$process_person_profile") is False
        stamped = self._envelope.stamp(
            event, properties, place, agent=agent, round_id=round_id, ts=ts
        )
        stamped[_IGNORE_SENT_AT] = True
        if event in _WITH_SPAN_ID:
            stamped.setdefault("$ai_span_id", message["uuid"])
        if anonymous:
            stamped.pop("$process_person_profile", None)
            message["distinct_id"] = self._envelope.distinct_id(stamped)
        message["properties"] = stamped

    def _validate(self, event: str, properties: dict[str, Any], notes: list[str]) -> None:
        known = self._known.get(event)
        if known is None:
            known = self._learn(event)
        unknown = properties.keys() - known
        if unknown:
            self._warn_of_unknown(event, unknown, known)
        problems = notes + catalog.problems(event, properties)
        if not problems:
            return
        if self._strict:
            raise CatalogError(event, problems)
        properties["$nightpane_invalid"] = problems
        self._counters.add("invalid")
        self._voice.once(f"invalid {event} {problems[0]}", f"event {event!r}: {problems[0]}")

    def _warn_of_unknown(self, event: str, unknown: set[str], known: set[str]) -> None:
        """Warn once of each property the catalogue does not have; then it is known."""
        for name in unknown:
            if event in catalog.EVENTS and not name.startswith(("$", "dim_")):
                self._voice.once(
                    f"property {event} {name}",
                    f"property {name!r} of event {event!r} is not in the catalogue: sent as it is",
                )
            if len(known) < _MAX_KNOWN:
                known.add(name)

    def _learn(self, event: str) -> set[str]:
        spec = catalog.EVENTS.get(event)
        names = {prop.name for prop in catalog.ENVELOPE}
        if spec is not None:
            names |= {prop.name for prop in spec.properties}
            names |= {f"{prop.name}_length" for prop in spec.properties if prop.max_chars}
        elif not event.startswith("$"):
            self._voice.once(
                f"event {event}", f"event {event!r} is not in the catalogue: sent as it is"
            )
        if len(self._known) < _MAX_KNOWN:
            self._known[event] = names
        return names

    def _write(self, message: dict[str, Any]) -> None:
        payload = encoding.encode(message)
        if len(payload) > encoding.MAX_EVENT_BYTES:
            limit = encoding.limit_bytes(message["event"])
            if len(payload) > limit:
                self._counters.add("truncated")
                payload = encoding.shorten(message, limit)
        self._append(payload)


_STANDARD_KEYS = frozenset({"event", "properties", "distinct_id", "timestamp", "uuid"})
_WITH_SPAN_ID = frozenset({"$ai_generation", "$ai_embedding", "$ai_span"})


def _unforeseen(error: Exception) -> NightpaneError:
    # Its text may quote the event: only the kind of it is told.
    return NightpaneError(f"{type(error).__name__} in nightpane's client")


def _reason(error: NightpaneError) -> str:
    if isinstance(error, SpoolFullError):
        return "spool_full"
    if isinstance(error, SpoolError):
        return "spool_fault"
    return "invalid" if isinstance(error, CatalogError) else "fault"
