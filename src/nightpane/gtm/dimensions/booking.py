"""Web containers of a business that takes leads and bookings: are both seen, and counted once?"""

from __future__ import annotations

import re
from collections.abc import Iterator

from nightpane.gtm.case import Case
from nightpane.gtm.container import Container, Entity
from nightpane.gtm.dimensions.consent import consent_status, is_event_id
from nightpane.gtm.dimensions.server import duplicate_ids, events_named, reference_costs
from nightpane.gtm.rubric import Limits
from nightpane.gtm.signals import Signals

__all__ = [
    "ad_consent",
    "booking_conversion",
    "custom_conversion_parity",
    "event_id_on_all",
    "google_ads_coverage",
    "lead_capture",
    "trigger_orphans",
    "web_references",
]

_AD_OR_ANALYTICS = re.compile(r"^(?:GA4|Meta|GAds|Google|TikTok|LinkedIn)\b", re.IGNORECASE)
_PLATFORM = re.compile(r"cookiebot|onetrust|usercentrics|iubenda|termly|consent", re.IGNORECASE)


def _has(container: Container, kind: str, pattern: str) -> bool:
    found = re.compile(pattern, re.IGNORECASE)
    return any(found.search(one.name) for one in container.entities(kind))


def _cost(what: str, there: bool, deduct: float, *, error: bool) -> Case:
    return Case(
        check="is there" if error else "should be there",
        subject=what,
        points=1.0,
        rationale=f"there is {'' if there else 'no '}{what}",
        fix="" if there else f"add {what}",
        weight=0.0,
        deduct=0.0 if there else deduct,
    )


def lead_capture(container: Container, _signals: Signals | None, _limits: Limits) -> Iterator[Case]:
    """Yield what each missing part of catching a lead costs."""
    yield _cost("Meta lead tag", _has(container, "tag", "meta.*lead"), 0.25, error=True)
    yield _cost("fbp variable", _has(container, "variable", "fbp"), 0.25, error=True)
    yield _cost("fbc variable", _has(container, "variable", "fbc"), 0.25, error=True)
    google = _has(container, "tag", "(gads|google|ga4).*lead")
    yield _cost("Google lead tag", google, 0.1, error=False)
    user = _has(container, "variable", r"user|e-?mail|phone")
    yield _cost("variable of user data", user, 0.1, error=False)


def booking_conversion(
    container: Container, _signals: Signals | None, _limits: Limits
) -> Iterator[Case]:
    """Yield what each missing part of counting a booking costs."""
    purchases = [tag for tag in container.tags if tag.type == "awct" and _is_purchase(tag)]
    yield _cost("Meta purchase tag", _has(container, "tag", "meta.*purchase"), 0.2, error=True)
    yield _cost("Google Ads purchase tag", bool(purchases), 0.2, error=True)
    for what, key, deduct in (
        ("value", "conversionValue", 0.2),
        ("currency", "currencyCode", 0.05),
    ):
        there = any(tag.parameter(key) for tag in purchases)
        yield _cost(f"{what} of a purchase", there, deduct, error=what == "value")


def _is_purchase(tag: Entity) -> bool:
    return bool(re.search("purchase|booking", tag.name, re.IGNORECASE))


def custom_conversion_parity(
    container: Container, signals: Signals | None, limits: Limits
) -> Iterator[Case]:
    """Yield a case for each event of Meta with ten conversions or more: does a tag name it?"""
    yield from events_named(container, signals, limits, check="conversion has a tag")


def event_id_on_all(
    container: Container, _signals: Signals | None, _limits: Limits
) -> Iterator[Case]:
    """Yield what it costs that no variable makes an event id, or that a Meta tag sends none."""
    made = any(is_event_id(one.name.replace("_", " ")) for one in container.variables)
    yield _cost("variable that makes an event id", made, 0.5, error=True)
    meta = [tag for tag in container.tags if "meta" in tag.name.lower()]
    without = [
        tag.name
        for tag in meta
        if not any(is_event_id(name.replace("_", " ")) for name in tag.names_used())
    ]
    yield Case(
        check="event id is sent",
        subject=", ".join(without[:5]) or "Meta",
        points=1.0,
        rationale=f"{len(without)} of {len(meta)} Meta tags send no event id",
        fix="send the event id with each Meta tag" if without else "",
        weight=0.0,
        deduct=0.5 if without else 0.0,
    )


def ad_consent(container: Container, _signals: Signals | None, _limits: Limits) -> Iterator[Case]:
    """Yield a case for how consent is set up, and one for each advertising or analytics tag."""
    set_up = any(_PLATFORM.search(f"{tag.name} {tag.type}") for tag in container.tags)
    yield Case(
        check="consent is set up",
        subject="consent",
        points=float(set_up),
        rationale=f"{'a' if set_up else 'no'} tag sets consent up",
        fix="" if set_up else "add a consent platform, or a tag 'Consent - Init'",
        weight=0.4,
    )
    tags = [tag for tag in container.tags if _AD_OR_ANALYTICS.match(tag.name)]
    for tag in tags:
        needed = consent_status(tag) == "NEEDED"
        yield Case(
            check="consent status",
            subject=tag.name,
            points=float(needed),
            rationale=f"{tag.label} has the consent status {consent_status(tag)}",
            fix="" if needed else f"set the consent status of {tag.label} to NEEDED",
            weight=0.6 / len(tags),
            kind="tag",
            entity_id=tag.id,
        )


def trigger_orphans(
    container: Container, _signals: Signals | None, _limits: Limits
) -> Iterator[Case]:
    """Yield a case for each trigger: does a tag fire on it? Ids that stand twice cost half."""
    fired = {one for tag in container.tags for one in tag.document.get("firingTriggerId", ())}
    for trigger in container.triggers:
        used = trigger.id in fired
        yield Case(
            check="fires a tag",
            subject=trigger.name,
            points=float(used),
            rationale=f"{trigger.label} fires {'a' if used else 'no'} tag",
            fix="" if used else f"fire a tag on {trigger.label}",
            kind="trigger",
            entity_id=trigger.id,
        )
    if double := [one for one in duplicate_ids(container) if one.startswith("trigger ")]:
        yield Case(
            check="ids are unique",
            subject=", ".join(double),
            points=1.0,
            rationale=f"{', '.join(double)} stands twice",
            fix="give each trigger an id of its own",
            weight=0.0,
            deduct=0.5,
        )


def web_references(
    container: Container, _signals: Signals | None, _limits: Limits
) -> Iterator[Case]:
    """Yield what references that lead nowhere cost, a twentieth each, and ids that stand twice."""
    yield from reference_costs(container, each=0.05)


def google_ads_coverage(
    container: Container, _signals: Signals | None, _limits: Limits
) -> Iterator[Case]:
    """Yield a case for a Google Ads conversion of a purchase, a lead and a filled cart."""
    names = [tag.name for tag in container.tags if tag.type == "awct"]
    for what, pattern in (("purchase", "purchase|booking"), ("lead", "lead"), ("cart", "cart")):
        there = any(re.search(pattern, name, re.IGNORECASE) for name in names)
        yield Case(
            check="Google Ads conversion",
            subject=what,
            points=float(there),
            rationale=f"{'a' if there else 'no'} Google Ads conversion counts the {what}",
            fix="" if there else f"add a Google Ads conversion tag for the {what}",
        )
