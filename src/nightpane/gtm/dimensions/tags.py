"""Tags: is every event of a shop covered, and has every tag what it needs?"""

from __future__ import annotations

import re
from collections.abc import Iterator

from nightpane.gtm.case import Case
from nightpane.gtm.container import Container, Entity
from nightpane.gtm.rubric import Limits
from nightpane.gtm.signals import Signals

__all__ = ["EVENTS", "REQUIRED", "param_completeness", "tag_coverage"]

# GA4's recommended events of an online shop.
EVENTS = (
    "view_item",
    "view_item_list",
    "select_item",
    "add_to_cart",
    "view_cart",
    "begin_checkout",
    "add_payment_info",
    "purchase",
)
# The parameters without which a tag of the type does not do its work.
REQUIRED = {
    "gaawe": ("sendEcommerceData", "eventName", "measurementIdOverride"),
    "awct": ("conversionId", "conversionLabel", "conversionValue", "currencyCode"),
    "googtag": ("tagId",),
}
_NAMED = (
    ("GA4 configuration", re.compile("ga4.*config", re.IGNORECASE), ()),
    ("Conversion Linker", re.compile("conversion linker", re.IGNORECASE), ("gclidw",)),
    ("Google Ads conversion", re.compile("gads.*conversion", re.IGNORECASE), ("awct",)),
)


def tag_coverage(container: Container, _signals: Signals | None, _limits: Limits) -> Iterator[Case]:
    """Yield a case for each of eight GA4 events and three kinds of tag that should be there."""
    sent = {tag.text("eventName") for tag in container.tags if tag.type == "gaawe"}
    for event in EVENTS:
        there = event in sent
        yield Case(
            check="event is sent",
            subject=event,
            points=float(there),
            rationale=f"a GA4 event tag sends {event}" if there else f"no GA4 tag sends {event}",
            fix="" if there else f"add a GA4 event tag for {event}",
        )
    for what, name, types in _NAMED:
        there = any(name.search(tag.name) or tag.type in types for tag in container.tags)
        yield Case(
            check="tag is there",
            subject=what,
            points=float(there),
            rationale=f"there is a tag for {what}" if there else f"no tag is for {what}",
            fix="" if there else f"add a tag for {what}",
        )


def param_completeness(
    container: Container, _signals: Signals | None, _limits: Limits
) -> Iterator[Case]:
    """Yield a case for each parameter that a tag's type requires."""
    for tag in container.tags:
        for key in REQUIRED.get(tag.type, ()):
            yield _parameter(tag, key)


def _parameter(tag: Entity, key: str) -> Case:
    there = bool(tag.parameter(key))
    return Case(
        check="required parameter",
        subject=key,
        points=float(there),
        rationale=f"{tag.label} {'has' if there else 'lacks'} {key}",
        fix="" if there else f"give {tag.label} the parameter {key}",
        kind="tag",
        entity_id=tag.id,
    )
