"""What a change must never do: every kind of sabotage is found, every allowed change passes."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.gtm.making import container, folder, shop, tag, trigger, variable

from nightpane.errors import GtmError
from nightpane.gtm.container import ID_FIELDS, Container
from nightpane.gtm.importable import problems
from nightpane.gtm.invariants import TAG_FIELDS, check
from nightpane.gtm.mutations import ALL_PAGES, Operation, apply

OWN = {"accountId": "1", "containerId": "2"}


def rich() -> Container:
    """Something refers to a tag or a variable in every way there is."""
    reference = {"type": "TAG_REFERENCE", "key": "measurementId", "value": "first"}
    uses = {"parameter": [{"type": "TEMPLATE", "key": "k", "value": "{{v}}"}]}
    second = tag(2, "GA4 - second", setupTag=[{"tagName": "first"}], **OWN)
    second["parameter"] = [reference, *uses["parameter"]]
    return container(
        tag=[tag(1, "first", **OWN), second],
        trigger=[{**trigger(5, "CE - a", "a"), **OWN}],
        variable=[{**variable(7, "v"), **OWN}],
        folder=[{**folder(9, "GA4"), **OWN}],
        client=[{"clientId": "1", "name": "c", "type": "gaaw_client", **uses}],
        gtagConfig=[{"gtagConfigId": "1", "type": "googtag", **uses}],
        customTemplate=[{"templateId": "1", "name": "t", "templateData": "'{{v}}'"}],
    )


def test_what_refers_to_a_name_follows_it() -> None:
    before = rich()
    after = apply(
        before,
        [
            {"op": "rename", "kind": "tag", "entity": "1", "name": "GA4 - first"},
            {"op": "rename", "kind": "variable", "entity": "v", "name": "DLV - v"},
        ],
    )
    second = after.tags[1].document
    assert second["setupTag"] == [{"tagName": "GA4 - first"}]
    assert after.tags[1].parameter("measurementId") == "GA4 - first"
    assert after.tags[1].parameter("k") == "{{DLV - v}}"
    assert after.entities("client")[0].parameter("k") == "{{DLV - v}}"
    assert after.version["gtagConfig"][0]["parameter"][0]["value"] == "{{DLV - v}}"
    # A template's code is its own.
    assert after.entities("customTemplate")[0].document["templateData"] == "'{{v}}'"
    assert check(before, after, budget=0) == []


def test_names_can_be_swapped() -> None:
    before = container(
        tag=[tag(1, "A - a", parameter={"x": "{{p}}"})],
        variable=[variable(1, "p"), variable(2, "q")],
    )
    names = [("1", "t"), ("2", "p"), ("1", "q")]
    swap = [{"op": "rename", "kind": "variable", "entity": e, "name": n} for e, n in names]
    after = apply(before, swap)
    assert after.tags[0].parameter("x") == "{{q}}"
    assert check(before, after, budget=0) == []


def test_two_with_one_id_or_name_stay_apart() -> None:
    before = container(tag=[tag(1, "A - a"), tag(1, "A - b"), tag(3, "same"), tag(4, "same")])
    assert check(before, before, budget=0) == []
    left = container(tag=[tag(1, "A - b"), tag(3, "same"), tag(4, "same")])
    assert "nothing is removed" in [one.rule for one in check(before, left)]
    after = apply(before, [{"op": "rename", "kind": "tag", "entity": "3", "name": "A - c"}])
    assert check(before, after, budget=0) == []


def test_a_consent_that_is_asked_for_keeps_its_types() -> None:
    types = {"type": "LIST", "list": [{"type": "TEMPLATE", "value": "functionality_storage"}]}
    needed = {"consentStatus": "NEEDED", "consentType": types}
    before = container(tag=[tag(1, "Chat - a", consentSettings=needed)])
    after = apply(before, [{"op": "set_consent", "status": "NEEDED"}])
    assert after.document == before.document


def test_a_fingerprint_follows_the_largest() -> None:
    before = container(tag=[tag(1, "A - a", fingerprint="1700000000000")])
    after = apply(before, [{"op": "add_folder", "name": "GA4"}])
    assert after.folders[0].document["fingerprint"] == "1700000000001"
    assert (after.folders[0].id, after.folders[0].document["accountId"]) == ("1", "1")


def changed(change: Callable[[dict[str, Any]], Any]) -> Container:
    document = copy.deepcopy(dict(rich().document))
    change(document["containerVersion"])
    return Container.parse(json.dumps(document))


def added(**fields: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda v: v["tag"].append({**tag(3, "GA4 - x"), **OWN, **fields})


SABOTAGE: list[tuple[str, Callable[[dict[str, Any]], Any]]] = [
    ("the order stays", lambda v: v["tag"].reverse()),
    ("only what may change", lambda v: v["tag"][0].update(paused=None)),
    ("only what may change", lambda v: v["tag"][1]["setupTag"].clear()),
    ("only what may change", lambda v: v["client"][0].update(name="d")),
    ("only what may change", lambda v: v["customTemplate"][0].update(templateData="eval(1)")),
    ("frame unchanged", lambda v: v["gtagConfig"].clear()),
    ("frame unchanged", lambda v: v.update(zone=None)),
    ("frame unchanged", lambda v: v.update(description="new")),
    ("references resolve", lambda v: v["tag"][0].update(name="behind their back")),
    ("references resolve", lambda v: v["variable"][0].update(name="behind their back")),
    ("references resolve", added(parameter=[
        {"type": "TAG_REFERENCE", "key": "k", "value": "nobody"}])),
    ("references resolve", added(parameter=[
        {"type": "TRIGGER_REFERENCE", "key": "k", "value": "77"}])),
    ("references resolve", added(blockingTriggerId=["77"])),
    ("stays importable", added(accountId="9")),
    ("stays importable", added(containerId="9")),
    ("stays importable", added(type="made_up")),
    ("stays importable", added(type="cvt_1_77")),
    ("stays importable", added(fingerprint="x")),
    ("stays importable", added(tagFiringOption="SOMETIMES")),
    ("stays importable", added(consentSettings={"consentStatus": "PERHAPS"})),
    ("stays importable", added(consentSettings={"consentStatus": "NEEDED", "consentType": 1})),
    ("stays importable", added(parameter=[{"type": "text", "key": "k", "value": "1"}])),
    ("stays importable", added(parameter=[{"type": "LIST", "key": "k", "value": "1"}])),
    ("stays importable", added(parameter=[{"type": "BOOLEAN", "key": "k", "value": "maybe"}])),
    ("stays importable", added(parameter=[{"type": "TEMPLATE", "value": "1"}])),
    ("stays importable", lambda v: v["tag"][0].update(notes=7)),
    ("ids are given by code", added(tagId="²")),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "change"), SABOTAGE)
def test_each_sabotage_is_found(rule: str, change: Callable[[dict[str, Any]], Any]) -> None:
    breaches = check(rich(), changed(change), budget=99)
    assert rule in [one.rule for one in breaches]
    assert all(one.where and one.message for one in breaches)


def test_a_tag_of_a_template_that_is_there_is_importable() -> None:
    assert check(rich(), changed(added(type="cvt_1_1"))) == []
    assert check(rich(), changed(added())) == []


# Any operations, and any sabotage

_NAMES = st.sampled_from(["GA4 - a", "Meta - b", "x", "DLV - y", "CE - z", "ü | %"])
_FOLDERS = st.sampled_from(["GA4", "30", "Meta", None])
_OPERATION: st.SearchStrategy[Operation] = st.one_of(
    st.fixed_dictionaries({
        "op": st.just("add_tag"), "name": _NAMES, "type": st.sampled_from(["html", "gaawe"]),
        "parameter": st.dictionaries(
            st.sampled_from(["a", "b"]),
            st.sampled_from(["1", "{{value}}", "{{Page URL}}", "{{_event}}"])),
        "firing": st.lists(st.sampled_from(["10", "cart", ALL_PAGES]), max_size=2),
        "folder": _FOLDERS}),
    st.fixed_dictionaries({"op": st.just("add_trigger"), "name": _NAMES, "event": _NAMES}),
    st.fixed_dictionaries({"op": st.just("add_variable"), "name": _NAMES,
                           "type": st.sampled_from(["c", "jsm"]), "parameter": st.just({})}),
    st.fixed_dictionaries({"op": st.just("add_folder"), "name": _NAMES}),
    st.fixed_dictionaries({"op": st.just("modify_tag"), "tag": st.sampled_from(["1", "3"]),
                           "set": st.fixed_dictionaries({}, optional={
                               "parameter": st.just({"new": "{{value}}"}), "notes": _NAMES,
                               "name": _NAMES, "firingTriggerId": st.just(["11"])})}),
    st.fixed_dictionaries({"op": st.just("set_consent"),
                           "status": st.sampled_from(["NEEDED", "NOT_NEEDED"])}),
    st.fixed_dictionaries({"op": st.just("rename"),
                           "kind": st.sampled_from(["tag", "trigger", "variable"]),
                           "entity": st.sampled_from(["1", "3", "10", "11", "20", "21", "value"]),
                           "name": _NAMES}),
    st.fixed_dictionaries({"op": st.just("assign_folder"), "folder": st.just("GA4"),
                           "tags": st.lists(st.sampled_from(["1", "2", "3"])),
                           "variables": st.lists(st.sampled_from(["20", "21"]))}),
)  # fmt: skip


@settings(max_examples=50, deadline=None, derandomize=True)
@given(operations=st.lists(_OPERATION, max_size=6))
def test_whatever_operations_do_is_allowed(operations: list[Operation]) -> None:
    """What apply lets through breaks nothing, but for the budget and a rename to a taken name."""
    before = after = shop()
    for operation in operations:
        try:
            after = apply(after, [operation])
        except GtmError:
            continue
    rules = {one.rule for one in check(before, after, budget=len(operations))}
    assert rules <= {"names are unique"}
    assert set(problems(after)) <= set(problems(before))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6), junk=st.sampled_from([None, "", "x", "{{Gone}}", [], {}, "DROP"])
)
def test_no_change_outside_what_may_change_passes(seed: int, junk: Any) -> None:
    """A value put or taken out anywhere but in what may change is refused or a breach."""
    before = rich()
    document = copy.deepcopy(dict(before.document))
    places: list[tuple[Any, Any]] = []

    def walk(value: Any, kind: str | None) -> None:
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            inner = key if value is document["containerVersion"] else kind
            if not _may(kind, key, value):
                places.append((value, key))
                if isinstance(value[key], dict | list):
                    walk(value[key], inner)

    walk(document, None)
    holder, key = random.Random(seed).choice(places)
    if holder[key] == junk:
        return
    if junk == "DROP":
        del holder[key]
    else:
        holder[key] = junk
    try:
        after = Container.parse(json.dumps(document))
    except GtmError:
        return
    assert check(before, after, budget=99) != []


def _may(kind: str | None, key: Any, holder: Any) -> bool:
    is_entity = isinstance(holder, dict) and ID_FIELDS.get(str(kind)) in holder
    if not is_entity:
        return False
    free = {"tag": TAG_FIELDS, "trigger": {"name", "parentFolderId"}}
    return key in free.get(str(kind), {"name", "parentFolderId"} if kind == "variable" else ())


def test_a_large_container_is_checked_in_seconds() -> None:
    many = range(1, 601)
    large = container(
        tag=[tag(n, f"GA4 - {n}", "gaawe", parameter={"v": f"{{{{v{n}}}}}"}) for n in many],
        trigger=[trigger(n, f"CE - {n}", f"e{n}") for n in many],
        variable=[variable(n, f"v{n}") for n in many],
    )
    began = perf_counter()
    assert check(large, large) == []
    # It takes a third of a second; one that compares each with all takes many times as long.
    assert perf_counter() - began < 3
