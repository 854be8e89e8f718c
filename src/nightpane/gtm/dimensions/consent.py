"""Consent and deduplication: what is asked before a tag fires, and whether an event counts once."""

from __future__ import annotations

from collections.abc import Iterator

from nightpane.gtm.case import Case
from nightpane.gtm.container import Container, Entity
from nightpane.gtm.rubric import Limits
from nightpane.gtm.signals import Signals

__all__ = ["consent_settings", "consent_status", "deduplication", "is_event_id"]

_GENERATOR, _INIT = 0.5, 0.4


def is_event_id(name: str) -> bool:
    """Return whether a variable's name says that it makes an id for each event."""
    return "event id" in name.lower()


def deduplication(
    container: Container, _signals: Signals | None, _limits: Limits
) -> Iterator[Case]:
    """Yield a case for the variable that makes an event's id, and one for each Meta tag's use of
    it; half the score each."""
    there = any(one.type == "jsm" and is_event_id(one.name) for one in container.variables)
    yield Case(
        check="event id is made",
        subject="event id",
        points=float(there),
        rationale=f"{'a' if there else 'no'} custom JavaScript variable makes an event id",
        fix="" if there else "add a custom JavaScript variable 'CJS - Event ID'",
        weight=_GENERATOR,
    )
    meta = [tag for tag in container.tags if "meta" in tag.name.lower()]
    for tag in meta:
        uses = any(is_event_id(name) for name in tag.names_used())
        yield Case(
            check="event id is sent",
            subject=tag.name,
            points=float(uses),
            rationale=f"{tag.label} {'sends an' if uses else 'sends no'} event id",
            fix="" if uses else f"send the event id with {tag.label}",
            weight=(1 - _GENERATOR) / len(meta),
            kind="tag",
            entity_id=tag.id,
        )
    if not meta:
        yield Case(
            check="event id is sent",
            subject="Meta",
            points=1.0,
            rationale="there is no Meta tag that would need one",
            weight=1 - _GENERATOR,
        )


def consent_status(tag: Entity) -> str:
    """Return a tag's consent status in capitals, NOT_SET when it has none."""
    settings = tag.document.get("consentSettings", {})
    return str(settings.get("consentStatus") or "NOT_SET").upper()


def consent_settings(
    container: Container, _signals: Signals | None, _limits: Limits
) -> Iterator[Case]:
    """Yield a case for the tag that sets consent up, and one for each other tag's consent status;
    0.4 and 0.6 of the score."""
    about = [tag for tag in container.tags if "consent" in tag.name.lower()]
    init = any("init" in tag.name.lower() or tag.type == "consent_init" for tag in about)
    yield Case(
        check="consent is set up",
        subject="consent",
        points=float(init),
        rationale=f"{'a' if init else 'no'} tag sets consent up before the others",
        fix="" if init else "add a tag 'Consent - Init' that fires first",
        weight=_INIT,
    )
    others = [tag for tag in container.tags if tag not in about]
    for tag in others:
        status = consent_status(tag)
        yield Case(
            check="consent status" if "consentSettings" in tag.document else "consent is stated",
            subject=tag.name,
            points=float(status == "NEEDED"),
            rationale=f"{tag.label} has the consent status {status}",
            fix="" if status == "NEEDED" else f"set the consent status of {tag.label} to NEEDED",
            weight=(1 - _INIT) / len(others),
            kind="tag",
            entity_id=tag.id,
        )
    if not others:
        yield Case(
            check="consent status",
            subject="tags",
            points=1.0,
            rationale="there is no tag that would need consent",
            weight=1 - _INIT,
        )
