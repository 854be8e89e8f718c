"""Server containers: clients, the Conversions API, hashing, consent, and the templates' safety."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlsplit

from nightpane.gtm.case import Case
from nightpane.gtm.container import Container, Entity
from nightpane.gtm.rubric import Limits
from nightpane.gtm.signals import Signals

__all__ = [
    "capi_config",
    "consent_forwarding",
    "data_client_coverage",
    "duplicate_ids",
    "event_normalization",
    "missing_references",
    "pii_hashing",
    "prefixed_names",
    "request_routing",
    "server_references",
    "template_safety",
]

_CAPI = re.compile(r"capi|conversions api", re.IGNORECASE)
_USER_FIELDS = ("em", "ph", "fn", "ln", "ct", "zp", "country")
_CONSENT = re.compile(r"consent_state|ad_storage|analytics_storage|consent_mode", re.IGNORECASE)
_RAW_USER = re.compile(r"\{\{[^{}]*(?:e-?mail|phone)[^{}]*\}\}", re.IGNORECASE)
_HASHED = re.compile(r"sha-?256|hash", re.IGNORECASE)
_EVAL = re.compile(r"\beval\s*\(|new\s+Function\b")
_PREFIX = re.compile(r"(?:GA4|Meta|GAds|Google Ads|TikTok|LinkedIn|Consent)\b.* - ")


def _text(entity: Entity) -> str:
    return json.dumps(entity.document, ensure_ascii=False)


def _capi_tags(container: Container) -> list[Entity]:
    return [tag for tag in container.tags if _CAPI.search(tag.name)]


def data_client_coverage(
    container: Container, _signals: Signals | None, _limits: Limits
) -> Iterator[Case]:
    """Yield a case for GA4's client and one for Meta's."""
    clients = container.entities("client")
    for what, pattern in (("GA4", "ga4|gaaw"), ("Meta", "meta|facebook|fb")):
        found = re.compile(pattern, re.IGNORECASE)
        there = any(found.search(f"{one.name} {one.type}") for one in clients)
        yield Case(
            check="client is there",
            subject=what,
            points=float(there),
            rationale=f"{'a' if there else 'no'} client takes {what}'s requests",
            fix="" if there else f"add a client for {what}",
        )


def capi_config(container: Container, _signals: Signals | None, limits: Limits) -> Iterator[Case]:
    """Yield a case for each Conversions API tag: its event id, its source, what it says of the
    user."""
    tags = _capi_tags(container)
    for tag in tags:
        text = _text(tag)
        fields = sum(f'"{name}"' in text for name in _USER_FIELDS)
        wanting = [
            *([("event_id", 0.3)] if "event_id" not in text else []),
            *([("action_source", 0.1)] if "action_source" not in text else []),
            *(
                [(f"{limits.user_fields:g} user fields", 0.1)]
                if fields < limits.user_fields
                else []
            ),
        ]
        named = ", ".join(name for name, _ in wanting)
        yield Case(
            check="tag is complete" if "event_id" in text else "event id is sent",
            subject=tag.name,
            points=max(1.0 - sum(cost for _, cost in wanting), 0.0),
            rationale=f"{tag.label} lacks {named}" if named else f"{tag.label} has what it needs",
            fix=f"give {tag.label} {named}" if named else "",
            kind="tag",
            entity_id=tag.id,
        )
    if not tags:
        yield Case(
            check="tag is there",
            subject="Meta",
            points=0.0,
            rationale="no tag sends to the Conversions API",
            fix="add a tag 'Meta - CAPI'",
        )


def pii_hashing(container: Container, _signals: Signals | None, _limits: Limits) -> Iterator[Case]:
    """Yield what hashing is missing: half off without any, a tenth where an address goes raw."""
    hashes = any(_HASHED.search(_text(one)) for one in container.entities("transformation"))
    tags = _capi_tags(container)
    unhashed = bool(tags) and not hashes and not any("sha256" in _text(tag) for tag in tags)
    yield Case(
        check="user data is hashed",
        subject="hashing",
        points=1.0,
        rationale="no transformation hashes what identifies a person" if unhashed
        else "what identifies a person is hashed, or nothing sends it",
        fix="add a transformation that hashes e-mail and phone by SHA-256" if unhashed else "",
        weight=0.0,
        deduct=0.5 if unhashed else 0.0,
    )  # fmt: skip
    raw = [tag for tag in tags if not hashes and _RAW_USER.search(_text(tag))]
    for tag in raw:
        yield Case(
            check="no raw address",
            subject=tag.name,
            points=1.0,
            rationale=f"{tag.label} sends an e-mail address or phone number as it is",
            fix=f"hash what {tag.label} sends",
            weight=0.0,
            deduct=0.1,
            kind="tag",
            entity_id=tag.id,
        )


def consent_forwarding(
    container: Container, _signals: Signals | None, _limits: Limits
) -> Iterator[Case]:
    """Yield a case for each tag that forwards events: does it say what was consented to?"""
    for tag in container.tags:
        says = bool(_CONSENT.search(_text(tag)))
        yield Case(
            check="consent is forwarded",
            subject=tag.name,
            points=float(says),
            rationale=f"{tag.label} {'forwards' if says else 'does not forward'} consent",
            fix="" if says else f"forward the consent state with {tag.label}",
            kind="tag",
            entity_id=tag.id,
        )
    if not container.tags:
        yield Case(
            check="consent is forwarded",
            subject="tags",
            points=0.0,
            rationale="there is no tag that forwards events",
            fix="add a tag that forwards events",
        )


def event_normalization(
    container: Container, signals: Signals | None, limits: Limits
) -> Iterator[Case]:
    """Yield a case for each event of Meta with ten conversions or more: does a tag name it?"""
    yield from events_named(container, signals, limits, check="event has a tag")


def events_named(
    container: Container, signals: Signals | None, limits: Limits, *, check: str
) -> Iterator[Case]:
    """Yield what each event without a tag of its name costs; half a score without events."""
    if signals is None or signals.events is None:
        yield Case(
            check="events are known",
            subject="events",
            points=0.5,
            rationale="there is no snapshot of Meta's events: nothing can be said",
            fix="give a snapshot of Meta's events",
        )
        return
    for event in signals.events:
        if event.count < limits.many_conversions:
            continue
        plain = event.name.replace("_", "").lower()
        there = any(plain in re.sub(r"[\W_]", "", tag.name.lower()) for tag in container.tags)
        yield Case(
            check=check,
            subject=event.name,
            points=1.0,
            rationale=f"{'a' if there else 'no'} tag is named for {event.name}",
            fix="" if there else f"add a tag for {event.name}",
            weight=0.0,
            deduct=0.0 if there else 0.15,
        )


def template_safety(
    container: Container, _signals: Signals | None, _limits: Limits
) -> Iterator[Case]:
    """Yield what each custom template costs that lacks its sections or runs text as code."""
    for template in container.entities("customTemplate"):
        text = str(template.document.get("templateData", ""))
        whole = "___INFO___" in text and "PERMISSIONS___" in text
        runs = bool(_EVAL.search(text))
        yield Case(
            check="runs no text as code" if runs else "template is whole",
            subject=template.name,
            points=1.0,
            rationale=f"{template.label} {'runs text as code' if runs else 'runs no text as code'}"
            f" and {'has' if whole else 'lacks'} its info and permissions",
            fix="" if whole and not runs else f"mend or replace {template.label}",
            weight=0.0,
            deduct=(0.0 if whole else 0.1) + (0.5 if runs else 0.0),
            kind="customTemplate",
            entity_id=template.id,
        )


def request_routing(
    container: Container, _signals: Signals | None, _limits: Limits
) -> Iterator[Case]:
    """Yield what a missing or malformed address of the tagging server costs."""
    about = container.version.get("container")
    given = about.get("taggingServerUrls") if isinstance(about, dict) else None
    urls = [str(one) for one in given] if isinstance(given, list) else []
    malformed = [url for url in urls if not _is_https(url)]
    deduct = 0.5 if malformed else 0.0 if urls else 0.3
    yield Case(
        check="address is sound" if malformed else "address is given",
        subject=", ".join(urls) or "none",
        points=1.0,
        rationale=f"{', '.join(malformed)} is no address of a server" if malformed
        else "the tagging server has an address" if urls else "the tagging server has no address",
        fix="" if not deduct else "set taggingServerUrls to the server's https address",
        weight=0.0,
        deduct=deduct,
    )  # fmt: skip


def _is_https(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" and bool(parts.hostname)


def missing_references(container: Container) -> list[str]:
    """Return the names that entities refer to and that no variable, built-in ones included, has."""
    known = {one.name for one in container.variables} | container.built_in_names | {"_event"}
    used = {
        name
        for kind in ("tag", "variable", "client", "transformation")
        for entity in container.entities(kind)
        for name in entity.names_used()
    }
    return sorted(used - known)


def duplicate_ids(container: Container) -> list[str]:
    """Return the ids that two entities of a kind share, as ``kind id``."""
    found = []
    for kind in ("tag", "trigger", "variable", "folder", "client"):
        counts = Counter(entity.id for entity in container.entities(kind))
        found += [f"{kind} {one}" for one, count in counts.items() if count > 1]
    return found


def server_references(
    container: Container, _signals: Signals | None, _limits: Limits
) -> Iterator[Case]:
    """Yield what references that lead nowhere cost, a tenth each, and ids that stand twice."""
    yield from reference_costs(container, each=0.1)


def reference_costs(container: Container, *, each: float) -> Iterator[Case]:
    """Yield a case for each reference without a variable, and one for ids that stand twice."""
    for name in missing_references(container):
        yield Case(
            check="reference resolves",
            subject=name,
            points=1.0,
            rationale=f"{{{{{name}}}}} is used, and no variable is named so",
            fix=f"add a variable {name!r}, or mend the reference",
            weight=0.0,
            deduct=each,
        )
    if double := duplicate_ids(container):
        yield Case(
            check="ids are unique",
            subject=", ".join(double),
            points=1.0,
            rationale=f"{', '.join(double)} stands twice",
            fix="give each entity an id of its own",
            weight=0.0,
            deduct=0.5,
        )


def prefixed_names(
    container: Container, _signals: Signals | None, _limits: Limits
) -> Iterator[Case]:
    """Yield a case for each tag: does its name begin with where its events go?"""
    for tag in container.tags:
        fits = bool(_PREFIX.match(tag.name))
        yield Case(
            check="destination in the name",
            subject=tag.name,
            points=float(fits),
            rationale=f"{tag.label} is {'' if fits else 'not '}named for where it sends",
            fix="" if fits else f"begin the name of {tag.label} with its destination and ' - '",
            kind="tag",
            entity_id=tag.id,
        )
