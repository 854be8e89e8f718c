"""Operations, invariants and rules: what may change, what may not, and what gets better."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.gtm.making import container, shop, tag, variable

from nightpane.errors import GtmError
from nightpane.gtm.container import Container
from nightpane.gtm.invariants import check, cost_of
from nightpane.gtm.mending import propose
from nightpane.gtm.mutations import ALL_PAGES, apply, operations
from nightpane.gtm.scorer import score

ALL: list[dict[str, Any]] = [
    {"op": "add_tag", "name": "GA4 - add_to_cart", "type": "gaawe",
     "parameter": {"eventName": "add_to_cart", "x": "{{value}}"}, "firing": ["cart", ALL_PAGES],
     "folder": "GA4"},
    {"op": "add_trigger", "name": "CE - lead", "event": "lead"},
    {"op": "add_variable", "name": "CJS - Event ID", "type": "jsm", "parameter": {}},
    {"op": "rename", "kind": "variable", "entity": "value", "name": "DLV - value"},
    {"op": "rename", "kind": "trigger", "entity": "11", "name": "CE - add_to_cart"},
    {"op": "assign_folder", "folder": "GA4", "tags": ["1", "purchase event"],
     "variables": ["DLV - value"]},
]  # fmt: skip


def test_operations_are_applied_in_order_and_the_container_stays() -> None:
    before = shop()
    text = before.text
    after = apply(before, ALL)
    assert before.text == text
    added = after.tags[-1]
    assert (added.id, added.name, added.folder_id) == ("4", "GA4 - add_to_cart", "30")
    assert added.document["firingTriggerId"] == ["11", ALL_PAGES]
    assert (added.document["accountId"], added.document["containerId"]) == ("1", "2")
    assert [one.name for one in after.triggers][1:] == ["CE - add_to_cart", "CE - any", "CE - lead"]
    # References follow the variable's new name, also in what was added before.
    assert added.parameter("x") == "{{DLV - value}}"
    assert after.tags[2].parameter("value") == "{{DLV - value}}"
    assert [one.folder_id for one in after.tags] == ["30", "30", None, "30"]
    assert check(before, after) == []
    assert cost_of(before, after) == 3


def test_parameters_are_merged_by_key() -> None:
    change = {"op": "modify_tag", "tag": "2", "set": {"parameter": {"eventName": "b", "new": "1"}}}
    after = apply(shop(), [change])
    assert after.tags[1].parameter("eventName") == "b"
    assert after.tags[1].parameter("new") == "1"
    assert cost_of(shop(), after) == 1


def test_consent_on_all_costs_once() -> None:
    before = container(tag=[tag(1, "Consent - Init"), tag(2, "GA4 - a"), tag(3, "Meta - b")])
    after = apply(before, [{"op": "set_consent", "status": "NEEDED"}])
    settings = [one.document.get("consentSettings") for one in after.tags]
    assert settings[0] is None
    assert [one["consentStatus"] for one in settings[1:] if one] == ["NEEDED", "NEEDED"]
    assert settings[1] is not None
    assert settings[1]["consentType"]["list"] == [
        {"type": "TEMPLATE", "value": "analytics_storage"}
    ]
    assert cost_of(before, after) == 1
    assert check(before, after) == []


@pytest.mark.parametrize(
    ("operation", "says"),
    [
        ({"op": "remove_tag"}, "operation 1: 'remove_tag' is unknown; there is add_tag"),
        ({"op": ["add_tag"]}, "is unknown"),
        (7, "operation 1 is 7, no object"),
        ({"op": "add_tag", "name": "a", "type": "html", "firing": ["9" * 5000]}, "no triggers are"),
        ({"op": "modify_tag", "tag": "1", "set": {"parameter": [7]}}, "no object with a key"),
        (
            {"op": "modify_tag", "tag": "1", "set": {"parameter": [{"key": []}]}},
            "object with a key",
        ),
        ({"op": "modify_tag", "tag": "1", "set": {"notes": float("nan")}}, "NaN is no number"),
        ({"op": "rename", "kind": "tag", "entity": "1", "name": "\ud800"}, "half a character"),
        ({"op": "add_tag", "name": "a"}, "'type' is None"),
        ({"op": "add_tag", "name": "a", "type": "html", "firing": ["x"]}, "no triggers are named"),
        ({"op": "add_tag", "name": "a", "type": "html", "firing": "x"}, "'firing' is no list"),
        ({"op": "add_tag", "name": "a", "type": "html", "parameter": 3}, "neither a list nor"),
        ({"op": "add_tag", "name": "a", "type": "html", "parameter": {"a": 3}}, "value is 3"),
        ({"op": "add_folder", "name": "GA4"}, "named 'GA4' is there already"),
        ({"op": "modify_tag", "tag": "1", "set": {"tagId": "9"}}, "'tagId' may not change"),
        ({"op": "modify_tag", "tag": "1", "set": {}}, "no object with fields"),
        ({"op": "set_consent", "status": "MAYBE"}, "is not NEEDED"),
        ({"op": "rename", "kind": "folder", "entity": "30", "name": "x"}, "kind 'folder'"),
        ({"op": "rename", "kind": "tag", "entity": "1", "name": "purchase event"}, "already"),
        ({"op": "rename", "kind": "variable", "entity": "20", "name": "a}}b"}, "has braces"),
        ({"op": "assign_folder", "folder": "Meta", "tags": []}, "no folders are named 'Meta'"),
    ],
)
def test_an_operation_that_cannot_be_applied_says_why(operation: Any, says: str) -> None:
    with pytest.raises(GtmError, match=says):
        apply(shop(), [operation])


def test_operations_are_read_from_json() -> None:
    assert operations('[{"op": "add_folder", "name": "x"}]')[0]["op"] == "add_folder"
    for text in ("{", "{}", "[3]", "[" * 100_000):
        with pytest.raises(GtmError, match="operations are no"):
            operations(text)


def changed(change: Callable[[dict[str, Any]], Any]) -> Container:
    document = copy.deepcopy(dict(shop().document))
    change(document["containerVersion"])
    return Container.parse(json.dumps(document))


def put(version: dict[str, Any], kind: str, index: int, **fields: Any) -> None:
    version.setdefault(kind, [])[index].update(fields)


SABOTAGE: list[tuple[str, Callable[[dict[str, Any]], Any]]] = [
    ("nothing is removed", lambda v: v["tag"].pop()),
    ("nothing is removed", lambda v: v["folder"].pop()),
    ("nothing is removed", lambda v: v["trigger"].pop()),
    ("frame unchanged", lambda v: v["container"].update(publicId="GTM-OTHER")),
    ("frame unchanged", lambda v: v.update(accountId="9")),
    ("frame unchanged", lambda v: v["builtInVariable"].pop()),
    ("placeholders survive", lambda v: put(v, "tag", 1, notes="done")),
    ("ids are unique", lambda v: v["tag"].append({**v["tag"][0], "name": "copy"})),
    ("names are unique", lambda v: v["tag"].append({**v["tag"][0], "tagId": "99"})),
    ("only what may change", lambda v: put(v, "tag", 0, type="html")),
    ("only what may change", lambda v: put(v, "tag", 0, fingerprint="7")),
    ("only what may change", lambda v: put(v, "trigger", 0, type="PAGEVIEW")),
    ("only what may change", lambda v: put(v, "variable", 0, parameter=[])),
    ("only what may change", lambda v: put(v, "folder", 0, name="other")),
    ("ids are given by code", lambda v: v["folder"].append({"folderId": "7", "name": "x"})),
    ("ids are given by code", lambda v: v["folder"].append({"folderId": "x", "name": "x"})),
    ("only expected additions",
     lambda v: v.setdefault("customTemplate", []).append({"templateId": "1", "name": "x"})),
    ("references resolve", lambda v: put(v, "tag", 0, firingTriggerId=["77"])),
    ("references resolve", lambda v: put(v, "tag", 0, parentFolderId="77")),
    ("references resolve",
     lambda v: put(v, "tag", 0, parameter=[{"key": "a", "value": "{{Gone}}"}])),
    # A variable renamed behind the tags that use it.
    ("references resolve", lambda v: put(v, "variable", 1, name="DLV - value")),
    ("budget", lambda v: [v["folder"].append({"folderId": f"{n}", "name": f"{n}"})
                          for n in range(31, 35)]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "change"), SABOTAGE, ids=[f"{n} {one[0]}" for n, one in enumerate(SABOTAGE)]
)
def test_every_sabotage_is_found(rule: str, change: Callable[[dict[str, Any]], Any]) -> None:
    breaches = check(shop(), changed(change))
    assert rule in [one.rule for one in breaches]
    assert all(one.where and one.message for one in breaches)


def test_nothing_changed_breaks_nothing() -> None:
    assert check(shop(), shop()) == []
    assert check(shop(), shop(), budget=0) == []


def test_what_was_wrong_before_is_no_breach() -> None:
    broken = container(tag=[tag(1, "GA4 - a", parameter={"a": "{{Gone}}"}, firingTriggerId=["9"])])
    renamed = apply(broken, [{"op": "rename", "kind": "tag", "entity": "1", "name": "GA4 - b"}])
    assert check(broken, renamed) == []


def test_rules_make_a_container_better_within_the_invariants() -> None:
    start = best = shop()
    verdict = score(best)
    begun, tried = verdict.score, []
    for _ in range(40):
        proposed = propose(verdict, best, tried)
        if proposed is None:
            break
        candidate = apply(best, proposed.operations)
        assert check(best, candidate) == []
        found = score(candidate)
        if found.score > verdict.score:
            best, verdict = candidate, found
        else:
            tried.append(proposed.operations)
    assert verdict.score > begun + 0.3
    assert verdict.dimensions["tagCoverage"] >= 0.9
    assert verdict.dimensions["folderOrganization"] == 1
    assert check(start, best, budget=10_000) == []


def test_what_was_tried_is_not_proposed_again() -> None:
    verdict, tried = score(shop()), []
    while (proposed := propose(verdict, shop(), tried)) is not None:
        assert proposed.operations not in tried
        tried.append(proposed.operations)
    assert len(tried) > 5


def test_what_only_a_person_knows_is_not_made_up() -> None:
    """A label of another conversion, one of two properties, one of two values."""
    sends = {"conversionId": "{{Const - Conversion ID}}", "conversionLabel": "{{Const - Label}}"}
    found = container(
        tag=[
            tag(1, "GAds - Purchase", "awct", parameter=sends),
            tag(2, "GAds - Lead", "awct"),
            tag(3, "GA4 - a", "gaawe", parameter={"measurementIdOverride": "G-ONE"}),
            tag(4, "GA4 - b", "gaawe", parameter={"measurementIdOverride": "G-TWO"}),
            tag(5, "GA4 - c", "gaawe"),
        ],
        variable=[
            variable(1, "Const - Conversion ID", "c"),
            variable(2, "Const - Label", "c"),
            variable(3, "DLV - value"),
            variable(4, "DLV - item.value"),
        ],
    )
    verdict, tried = score(found), []
    while (proposed := propose(verdict, found, tried)) is not None:
        tried.append(proposed.operations)
    given = [
        (one["tag"], name)
        for operations in tried
        for one in operations
        for name in one.get("set", {}).get("parameter", ())
    ]
    assert ("2", "conversionId") in given
    assert not {("2", "conversionLabel"), ("2", "conversionValue")} & set(given)
    assert ("5", "measurementIdOverride") not in given
    assert "add_tag" in {one["op"] for operations in tried for one in operations}
    assert not any(one.get("type") == "gaawe" for operations in tried for one in operations)


def test_the_lowest_dimension_with_an_error_comes_first() -> None:
    verdict = score(shop())
    proposed = propose(verdict, shop())
    assert proposed is not None
    errors = [
        name
        for name in verdict.cases
        if any(case.severity == "error" for case in verdict.wrong(name))
    ]
    assert proposed.dimension in errors
    assert verdict.dimensions[proposed.dimension] == min(verdict.dimensions[e] for e in errors)
