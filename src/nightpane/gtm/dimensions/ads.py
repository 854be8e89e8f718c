"""Advertising: are the conversions that the accounts saw what the container's tags send?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from nightpane.gtm.case import Case
from nightpane.gtm.container import Container, Entity
from nightpane.gtm.rubric import Limits
from nightpane.gtm.signals import Action, Event, Signals

__all__ = [
    "META_EVENTS",
    "capi_coverage",
    "funnel_integrity",
    "google_ads_alignment",
    "meta_ads_alignment",
    "meta_tag",
]

# Meta's standard events, as its snapshot spells them.
META_EVENTS = (
    "view_content",
    "add_to_cart",
    "initiate_checkout",
    "add_payment_info",
    "purchase",
    "search",
    "lead",
    "add_to_wishlist",
    "complete_registration",
)
_BROWSER, _SERVER, _DEDUP, _QUALITY = 0.4, 0.3, 0.15, 0.15
# How a conversion action's tag is named, by the action's category.
_CATEGORIES = {
    "PURCHASE": "gads.*purchase",
    "ADD_TO_CART": "gads.*add.?to.?cart",
    "BEGIN_CHECKOUT": "gads.*(begin|checkout)",
    "LEAD": "gads.*lead",
    "SUBMIT_LEAD_FORM": "gads.*lead",
    "PAGE_VIEW": "gads.*(page.?view|remarketing)",
    "REMARKETING": "gads.*(page.?view|remarketing)",
    "SIGNUP": "gads.*sign.?up",
}
_CONVERSION = "gads.*conversion"


def meta_tag(container: Container, event: str) -> Entity | None:
    """Return the tag whose name says that it sends a standard event of Meta, None without."""
    if event not in META_EVENTS:
        return None
    pattern = re.compile("meta.*" + event.replace("_", "[ _]?"), re.IGNORECASE)
    return next((tag for tag in container.tags if pattern.search(tag.name)), None)


def _weights(events: Sequence[Event]) -> list[float]:
    values = [one.value for one in events]
    if not any(values):
        values = [one.count for one in events]
    total = sum(values)
    return [value / total for value in values] if total else [0.0] * len(values)


def meta_ads_alignment(
    container: Container, signals: Signals | None, _limits: Limits
) -> Iterator[Case]:
    """Yield a case for each conversion event of Meta, weighed by its share of the value."""
    events = (signals.events if signals else None) or ()
    for event, weight in zip(events, _weights(events), strict=True):
        if event.name not in META_EVENTS:
            yield Case(
                check="event is known",
                subject=event.name,
                points=0.5,
                rationale=f"{event.name!r} is no standard event of Meta, or not spelt as one",
                fix=f"name the event as Meta's standard event, in place of {event.name!r}",
                weight=weight,
            )
            continue
        tag = meta_tag(container, event.name)
        yield Case(
            check="event has a tag",
            subject=event.name,
            points=float(tag is not None),
            rationale=f"{tag.label} sends {event.name}" if tag else f"no tag sends {event.name}",
            fix="" if tag else f"add a tag 'Meta - {event.name}'",
            weight=weight,
        )


def capi_coverage(container: Container, signals: Signals | None, limits: Limits) -> Iterator[Case]:
    """Yield a case for each conversion event by browser and server, and what missing cookies
    cost."""
    events = (signals.events if signals else None) or ()
    weights = _weights(events)
    for event, weight in zip(events, weights, strict=True):
        if weight:
            yield _delivered(container, event, weight, limits)
    if not any(weights):
        yield Case(
            check="events are known",
            subject="events",
            points=0.5,
            rationale="the snapshot has no event with a weight: nothing can be said",
            fix="take a snapshot that has conversions",
        )
        return
    for cookie in ("fbc", "fbp"):
        there = any(cookie in one.name.lower() for one in container.variables)
        yield Case(
            check="cookie is read",
            subject=cookie,
            points=1.0,
            rationale=f"{'a' if there else 'no'} variable reads the cookie _{cookie}",
            fix="" if there else f"add a variable 'Cookie - _{cookie}'",
            weight=0.0,
            deduct=0.0 if there else limits.cookie_cost,
        )


def _delivered(container: Container, event: Event, weight: float, limits: Limits) -> Case:
    tag = meta_tag(container, event.name)
    by_browser = float(tag is not None)
    if event.browser is None and event.server is None:
        return Case(
            check="event is delivered",
            subject=event.name,
            points=by_browser,
            rationale=f"{tag.label} sends {event.name}" if tag else f"no tag sends {event.name}",
            fix="" if tag else f"add a tag 'Meta - {event.name}'",
            weight=weight,
        )
    browser, server = event.browser or 0.0, event.server or 0.0
    one_source = not (browser and server)
    dedup = quality = 1.0
    if event.dedup_rate is not None and not one_source:
        dedup = min(event.dedup_rate / limits.full_dedup_rate, 1.0)
    if event.match_quality is not None:
        quality = min(event.match_quality / limits.full_match_quality, 1.0)
    no_server = browser > 0 and server == 0
    points = _BROWSER * by_browser + _SERVER * (server > 0) + _DEDUP * dedup + _QUALITY * quality
    wanting = [
        *(["a browser tag"] if not tag else []),
        *(["events by server"] if server == 0 else []),
        *(["deduplication"] if dedup < 1 else []),
        *(["match quality"] if quality < 1 else []),
    ]
    return Case(
        check="event comes by server too" if no_server else "event is delivered",
        subject=event.name,
        points=min(points, 1.0),
        rationale=f"{event.name}: {browser:g} by browser, {server:g} by server"
        + (f"; wanting {', '.join(wanting)}" if wanting else ""),
        fix=f"{event.name} needs {', '.join(wanting)}" if wanting else "",
        weight=weight,
    )


def funnel_integrity(
    _container: Container, signals: Signals | None, _limits: Limits
) -> Iterator[Case]:
    """Yield a case for each step of the funnel; without one there is half a score."""
    for step in signals.funnel if signals else ():
        under_half = step.status == "low" and step.ratio < step.expected_low / 2
        points = 1.0 if step.status == "normal" else 0.0 if under_half else 0.5
        yield Case(
            check="step is whole" if under_half else "step is usual",
            subject=step.name,
            points=points,
            rationale=f"{step.name}: {step.ratio:.1%}, which is {step.status}",
            fix="" if points == 1 else f"see whether both events of {step.name} are sent once",
        )
    if not (signals and signals.funnel):
        yield Case(
            check="funnel is known",
            subject="funnel",
            points=0.5,
            rationale="the snapshot has no funnel: nothing can be said",
            fix="take a snapshot with a funnel",
        )


def google_ads_alignment(
    container: Container, signals: Signals | None, _limits: Limits
) -> Iterator[Case]:
    """Yield a case for each enabled conversion action with conversions, by its value."""
    actions = [one for one in (signals.actions if signals else None) or ()
               if one.enabled and one.conversions >= 1]  # fmt: skip
    if not actions:
        yield Case(
            check="actions are known",
            subject="actions",
            points=0.5,
            rationale="no enabled conversion action has a conversion: nothing can be said",
            fix="take a snapshot of the conversion actions",
        )
        return
    by_value = any(one.value for one in actions)
    for action in actions:
        yield _converted(container, action, action.value if by_value else action.conversions)


def _converted(container: Container, action: Action, weight: float) -> Case:
    pattern = re.compile(_CATEGORIES.get(action.category, _CONVERSION), re.IGNORECASE)
    is_purchase = action.category == "PURCHASE"
    tags = [
        tag
        for tag in container.tags
        if pattern.search(tag.name) or (is_purchase and tag.type == "awct")
    ]
    points = max((_same_action(container, tag, action) for tag in tags), default=0.0)
    found = {
        0.0: "has no tag",
        0.7: "has a tag with another id or label",
        0.8: "has a tag whose id and label cannot be compared",
        1.0: "has its tag",
    }[points]
    return Case(
        check="tag has the action's id" if points else "conversion action has a tag",
        subject=action.name,
        points=points,
        rationale=f"the conversion action {action.name!r} {found}",
        fix="" if points == 1 else f"give {action.name!r} a tag with {action.snippet or 'its id'}",
        weight=weight,
    )


def _same_action(container: Container, tag: Entity, action: Action) -> float:
    """Return 1 where id and label are the action's, 0.7 where not, 0.8 where nobody can tell."""
    own_id, label = (_constant(container, tag.parameter(key)) for key in
                     ("conversionId", "conversionLabel"))  # fmt: skip
    if action.snippet is None or not own_id or not label:
        return 0.8
    wanted_id, _, wanted_label = action.snippet.removeprefix("AW-").partition("/")
    same = own_id.removeprefix("AW-") == wanted_id and label == wanted_label
    return 1.0 if same else 0.7


def _constant(container: Container, value: object, depth: int = 0) -> str | None:
    """Return a parameter's text, followed through a constant; None where it is not known here."""
    if not isinstance(value, str) or not value or depth > len(container.variables):
        return None
    if value.startswith("{{") and value.endswith("}}"):
        name = value[2:-2].strip()
        for variable in container.variables:
            if variable.name == name and variable.type == "c":
                return _constant(container, variable.parameter("value"), depth + 1)
        return None
    return None if "%%" in value else value
