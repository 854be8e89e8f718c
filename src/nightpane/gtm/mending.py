"""What would mend a container, worked out from its verdict by rules, without a model.

The lowest dimension with an error comes first, else the lowest. What cannot be known from the
container (an account's ids, say) is never made up: such a flaw is left to a person or a model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from nightpane.errors import GtmError
from nightpane.gtm.case import Case
from nightpane.gtm.container import Container, Entity
from nightpane.gtm.dimensions.ads import META_EVENTS
from nightpane.gtm.dimensions.order import FOLDERS, PREFIXES, event_name
from nightpane.gtm.invariants import check
from nightpane.gtm.mutations import ALL_PAGES, CONSENT_INITIALIZATION, Operation, apply
from nightpane.gtm.scorer import Verdict

__all__ = ["Proposed", "propose"]

_EVENT_ID = "CJS - Event ID"
_EVENT_ID_CODE = (
    "function() {\n  return Date.now() + '.' + Math.random().toString(36).slice(2, 12);\n}"
)
_CONSENT_CODE = (
    "<script>\n  window.dataLayer = window.dataLayer || [];\n"
    "  function gtag() { dataLayer.push(arguments); }\n"
    "  gtag('consent', 'default', {\n    ad_storage: 'denied', ad_user_data: 'denied',\n"
    "    ad_personalization: 'denied', analytics_storage: 'denied', wait_for_update: 500\n  });\n"
    "</script>"
)
_PLATFORMS = (
    ("Consent", re.compile("consent", re.IGNORECASE), ()),
    ("Meta", re.compile("meta|facebook|pixel", re.IGNORECASE), ()),
    ("GA4", re.compile("ga4|analytics", re.IGNORECASE), ("gaawe", "googtag", "sgtmgaaw")),
    ("GAds", re.compile("gads|google ads|adwords|linker", re.IGNORECASE), ("awct", "gclidw", "sp")),
)
_OTHER = "Tag"


@dataclass(frozen=True, slots=True)
class Proposed:
    """Operations, and in a sentence what they mend."""

    dimension: str
    operations: tuple[Operation, ...]
    summary: str


def propose(
    verdict: Verdict, container: Container, tried: Sequence[Sequence[Operation]] = ()
) -> Proposed | None:
    """Return the first operations that mend something and keep the invariants; None when no rule
    knows one. What was ``tried`` (and not kept) is not proposed again."""
    seen = {_key(one) for one in tried}
    for dimension in _order(verdict):
        for proposed in _mended(dimension, verdict.wrong(dimension), container):
            if _key(proposed.operations) in seen:
                continue
            try:
                after = apply(container, proposed.operations)
            except GtmError:
                # A rule's guess (a name that is taken, say) does not fit this container.
                continue
            if not check(container, after):
                return proposed
    return None


def _order(verdict: Verdict) -> list[str]:
    """Return the dimensions with something wrong: those with an error first, lowest first."""
    wrong = {name: verdict.wrong(name) for name in verdict.cases}
    names = [name for name, cases in wrong.items() if cases]
    has_error = {name: any(one.severity == "error" for one in wrong[name]) for name in names}
    return sorted(names, key=lambda name: (not has_error[name], verdict.dimensions[name]))


def _key(operations: Sequence[Operation]) -> str:
    return json.dumps(list(operations), sort_keys=True)


def _mended(dimension: str, cases: Sequence[Case], container: Container) -> Iterator[Proposed]:
    rule = _RULES.get(dimension)
    if rule is None:
        return
    for summary, operations in rule(cases, container):
        if operations:
            yield Proposed(dimension, tuple(operations), summary)


_Found = Iterator[tuple[str, list[Operation]]]


def _add_events(cases: Sequence[Case], container: Container) -> _Found:
    """Add a tag for each event that none sends, with its trigger; then the tags of fixed kinds."""
    measurement = _measurement(container)
    for case in cases:
        if case.check == "event is sent" and measurement:
            yield f"send {case.subject} to GA4", _event_tag(container, case.subject, measurement)
        elif case.subject == "Conversion Linker":
            yield "add a Conversion Linker", [
                {"op": "add_tag", "name": "GAds - Conversion Linker", "type": "gclidw",
                 "firing": [ALL_PAGES], **_folder(container, "Google Ads")}
            ]  # fmt: skip
        elif case.subject == "GA4 configuration" and measurement:
            yield "add the GA4 configuration", [
                {"op": "add_tag", "name": "GA4 - Config", "type": "googtag",
                 "parameter": {"tagId": measurement}, "firing": [ALL_PAGES],
                 **_folder(container, "GA4")}
            ]  # fmt: skip


def _event_tag(container: Container, event: str, measurement: str) -> list[Operation]:
    trigger, operations = _trigger_for(container, event)
    parameter = {
        "eventName": event,
        "sendEcommerceData": "true",
        "measurementIdOverride": measurement,
    }
    tag = {"op": "add_tag", "name": f"GA4 - {event}", "type": "gaawe", "parameter": parameter,
           "firing": [trigger], **_folder(container, "GA4")}  # fmt: skip
    return [*operations, tag]


def _trigger_for(container: Container, event: str) -> tuple[str, list[Operation]]:
    """Return the trigger of an event, and the operation that adds it where there is none."""
    for trigger in container.triggers:
        if trigger.type == "CUSTOM_EVENT" and event_name(trigger) == event:
            return trigger.id, []
    name = f"CE - {event}"
    return name, [{"op": "add_trigger", "name": name, "event": event}]


def _measurement(container: Container) -> str | None:
    """Return the GA4 measurement id as the container's own tags give it, None when none does, or
    when they give several: which property is meant, only a person knows."""
    for kind, key in (("gaawe", "measurementIdOverride"), ("gaawe", "measurementId"),
                      ("googtag", "tagId")):  # fmt: skip
        found = {tag.text(key) for tag in container.tags if tag.type == kind} - {None, ""}
        if found:
            return found.pop() if len(found) == 1 else None
    return None


def _folder(container: Container, name: str) -> dict[str, str]:
    return {"folder": name} if any(one.name == name for one in container.folders) else {}


def _add_parameters(cases: Sequence[Case], container: Container) -> _Found:
    """Give tags the parameters they lack, three tags at a time, where the container knows them."""
    by_tag: dict[str, dict[str, str]] = {}
    for case in cases:
        value = _known_value(container, case)
        if value is not None:
            by_tag.setdefault(case.entity_id, {})[case.subject] = value
    given = [
        {"op": "modify_tag", "tag": tag, "set": {"parameter": parameter}}
        for tag, parameter in by_tag.items()
    ]
    for at in range(0, len(given), 3):
        some = given[at : at + 3]
        yield f"complete the parameters of {len(some)} tags", list(some)


def _known_value(container: Container, case: Case) -> str | None:
    tag = next(one for one in container.tags if one.id == case.entity_id)
    if case.subject == "sendEcommerceData":
        return "true"
    if case.subject == "measurementIdOverride":
        return _measurement(container)
    if case.subject == "eventName":
        fired = tag.document.get("firingTriggerId", ())
        events = [event_name(one) for one in container.triggers if one.id in fired]
        return events[0] if len(events) == 1 else None
    words = {"conversionValue": "value", "currencyCode": "currency",
             "conversionId": "conversion id", "conversionLabel": "label"}  # fmt: skip
    wanted = words.get(case.subject)
    names = [one.name for one in container.variables if wanted and wanted in one.name.lower()]
    if case.subject == "conversionLabel":
        # A label is of one conversion: that of another tag would count this one as the other.
        names = [one for one in names if not any(one in tag.names_used() for tag in container.tags)]
    return f"{{{{{names[0]}}}}}" if len(names) == 1 else None


def _make_event_ids(cases: Sequence[Case], container: Container) -> _Found:
    """Add the variable that makes an event's id; then have Meta's template tags send it."""
    if any(case.check in ("event id is made", "is there") for case in cases):
        yield "make an id for each event", [
            {"op": "add_variable", "name": _EVENT_ID, "type": "jsm",
             "parameter": {"javascript": _EVENT_ID_CODE}}
        ]  # fmt: skip
    maker = next((one.name for one in container.variables if "event id" in one.name.lower()), None)
    tags = [one for one in container.tags if one.id in {case.entity_id for case in cases}
            and one.type.startswith("cvt_")]  # fmt: skip
    if maker is not None:
        for at in range(0, len(tags), 3):
            some = tags[at : at + 3]
            parameter = {"eventId": f"{{{{{maker}}}}}"}
            yield (
                f"send the event id with {len(some)} Meta tags",
                [
                    {"op": "modify_tag", "tag": tag.id, "set": {"parameter": parameter}}
                    for tag in some
                ],
            )


def _ask_consent(cases: Sequence[Case], container: Container) -> _Found:
    """Set consent up before anything fires, and ask for it with every tag."""
    if any(case.check == "consent is set up" for case in cases):
        yield "set consent up before tags fire", [
            {"op": "add_tag", "name": "Consent - Init", "type": "html",
             "parameter": {"html": _CONSENT_CODE}, "firing": [CONSENT_INITIALIZATION],
             **_folder(container, "Consent")}
        ]  # fmt: skip
    if any(case.check in ("consent status", "consent is stated") for case in cases):
        yield "ask for consent with every tag", [{"op": "set_consent", "status": "NEEDED"}]


def _rename(cases: Sequence[Case], container: Container) -> _Found:
    """Rename everything that the convention covers, at once; else one by one."""
    renames = [one for case in cases if (one := _new_name(container, case)) is not None]
    if renames:
        yield f"rename {len(renames)} by the convention", list(renames)
    for one in renames:
        yield f"rename {one['entity']} by the convention", [one]


def _new_name(container: Container, case: Case) -> Operation | None:
    entity = next((one for one in container.entities(case.kind) if one.id == case.entity_id), None)
    if entity is None:
        return None
    taken = {one.name for one in container.entities(case.kind)}
    plain = base = _conventional(entity)
    number = 2
    while base in taken:
        base, number = f"{plain} ({number})", number + 1
    return {"op": "rename", "kind": entity.kind, "entity": entity.id, "name": base}


def _conventional(entity: Entity) -> str:
    rest = re.sub(r"\s*[|/:]\s*", " - ", entity.name).strip()
    if entity.kind == "trigger":
        return f"CE - {event_name(entity) or rest}"
    if entity.kind == "variable":
        prefix = PREFIXES[entity.type]
        rest = re.sub(rf"^{prefix}\s*-?\s*", "", rest, flags=re.IGNORECASE)
        return f"{prefix} - {rest}"
    platform = _platform(entity)
    rest = re.sub(r"^(?:GA4|GAds|Google Ads|Meta|Consent)\b\s*-?\s*", "", rest, flags=re.IGNORECASE)
    return f"{platform} - {rest or entity.type}"


def _platform(tag: Entity) -> str:
    for name, pattern, types in _PLATFORMS:
        if tag.type in types or pattern.search(tag.name):
            return name
    return _OTHER


def _use_triggers(cases: Sequence[Case], container: Container) -> _Found:
    """Fire a GA4 tag on each trigger that fires none."""
    measurement = _measurement(container)
    sent = {tag.text("eventName") for tag in container.tags if tag.type == "gaawe"}
    for case in cases:
        trigger = next((one for one in container.triggers if one.id == case.entity_id), None)
        event = None if trigger is None else event_name(trigger)
        if case.check == "fires a tag" and event and measurement and event not in sent:
            yield f"send {event} to GA4", _event_tag(container, event, measurement)


def _put_in_folders(cases: Sequence[Case], container: Container) -> _Found:
    """Make the folders that are needed, and put everything in its own."""
    moves: dict[str, dict[str, list[str]]] = {}
    for case in cases:
        entity = next(
            (one for one in container.entities(case.kind) if one.id == case.entity_id), None
        )
        if entity is not None:
            held = moves.setdefault(_folder_for(entity), {"tags": [], "variables": []})
            of_kind = held[f"{entity.kind}s"]
            of_kind += [entity.id] if entity.id not in of_kind else []
    there = {one.name for one in container.folders}
    missing = [name for name in moves if name not in there][:3]
    made: list[Operation] = [{"op": "add_folder", "name": name} for name in missing]
    ready = {name: held for name, held in moves.items() if name in there or name in missing}
    placed = [{"op": "assign_folder", "folder": name, **held} for name, held in ready.items()]
    if placed:
        count = sum(len(ids) for held in ready.values() for ids in held.values())
        yield f"put {count} in folders", [*made, *placed]


def _folder_for(entity: Entity) -> str:
    if entity.kind == "variable":
        return "Variables"
    named = next((name for head, name in FOLDERS.items() if entity.name.startswith(head)), None)
    if named is not None:
        return named
    return {"GAds": "Google Ads", _OTHER: "Other"}.get(_platform(entity), _platform(entity))


def _add_meta_events(cases: Sequence[Case], container: Container) -> _Found:
    """Add a Meta tag for each conversion event without one, where the pixel is on the page."""
    has_pixel = any("fbq('init'" in str(tag.parameter("html")) for tag in container.tags)
    for case in cases:
        if case.subject not in META_EVENTS or not has_pixel:
            continue
        name = "".join(word.capitalize() for word in case.subject.split("_"))
        trigger, operations = _trigger_for(container, _GA4_NAMES.get(case.subject, case.subject))
        html = f"<script>\n  fbq('track', '{name}');\n</script>"
        tag = {"op": "add_tag", "name": f"Meta - {name}", "type": "html",
               "parameter": {"html": html}, "firing": [trigger],
               **_folder(container, "Meta")}  # fmt: skip
        yield f"send {case.subject} to Meta", [*operations, tag]


# Meta's events by GA4's names, where a trigger of the one serves the other.
_GA4_NAMES = {
    "view_content": "view_item",
    "initiate_checkout": "begin_checkout",
    "lead": "generate_lead",
    "complete_registration": "sign_up",
}


def _add_variables(cases: Sequence[Case], container: Container) -> _Found:
    """Add a variable for each data-layer reference that leads nowhere, and for Meta's cookies."""
    for case in cases:
        if case.check == "reference resolves" and case.subject.startswith("DLV - "):
            yield f"add the variable {case.subject}", [
                {"op": "add_variable", "name": case.subject, "type": "v",
                 "parameter": {"dataLayerVersion": "2",
                               "name": case.subject.removeprefix("DLV - ")}}
            ]  # fmt: skip
    cookies = [one for one in ("fbc", "fbp")
               if any(one in case.subject for case in cases)]  # fmt: skip
    if cookies:
        yield "read Meta's cookies", [
            {"op": "add_variable", "name": f"Cookie - _{one}", "type": "k",
             "parameter": {"name": f"_{one}"}}
            for one in cookies
            if not any(one in variable.name.lower() for variable in container.variables)
        ]  # fmt: skip


def _say_more(cases: Sequence[Case], container: Container) -> _Found:
    """Have Conversions API tags send an event's id and its source."""
    tags = [case.entity_id for case in cases if case.entity_id]
    parameter = {"event_id": "{{ED - event_id}}", "action_source": "website"}
    yield from _with_event_data(container, tags, "event_id", parameter)


def _forward_consent(cases: Sequence[Case], container: Container) -> _Found:
    """Have tags forward the state of consent that came with the event."""
    tags = [case.entity_id for case in cases if case.entity_id]
    parameter = {"consent_state": "{{ED - consent_state}}"}
    yield from _with_event_data(container, tags, "consent_state", parameter)


def _with_event_data(
    container: Container, tags: Sequence[str], key: str, parameter: Mapping[str, str]
) -> _Found:
    """Give tags a parameter of the event's data, as many as a round affords."""
    name = f"ED - {key}"
    there = any(one.name == name for one in container.variables)
    variable = {"op": "add_variable", "name": name, "type": "ed", "parameter": {"keyPath": key}}
    made: list[Operation] = [] if there else [variable]
    some = tags[: 3 - len(made)]
    changes = [{"op": "modify_tag", "tag": tag, "set": {"parameter": parameter}} for tag in some]
    if changes:
        yield f"send {key} with {len(changes)} tags", [*made, *changes]


_RULES: Mapping[str, Callable[[Sequence[Case], Container], _Found]] = {
    "tagCoverage": _add_events,
    "paramCompleteness": _add_parameters,
    "deduplication": _make_event_ids,
    "eventIdOnAll": _make_event_ids,
    "consentSettings": _ask_consent,
    "adConsent": _ask_consent,
    "namingConventions": _rename,
    "prefixedNames": _rename,
    "variableHygiene": _add_variables,
    "webReferences": _add_variables,
    "serverReferences": _add_variables,
    "capiCoverage": _add_variables,
    "leadCapture": _add_variables,
    "triggerQuality": _use_triggers,
    "triggerOrphans": _use_triggers,
    "folderOrganization": _put_in_folders,
    "metaAdsAlignment": _add_meta_events,
    "capiConfig": _say_more,
    "consentForwarding": _forward_consent,
}
