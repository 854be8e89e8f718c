"""Containers read and written; what is none is refused with the place."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.gtm.making import container, shop, tag, variable

from nightpane.errors import GtmError
from nightpane.gtm.container import Container, references
from nightpane.gtm.invariants import check
from nightpane.gtm.mending import propose
from nightpane.gtm.mutations import apply
from nightpane.gtm.scorer import score
from nightpane.gtm.signals import Event, Signals


def test_what_was_read_is_written(tmp_path: Path) -> None:
    document = json.loads(shop().text)
    document["containerVersion"]["somethingNew"] = {"z": [1, 2.5, None, "ü"], "a": True}
    document["containerVersion"]["tag"][0]["priority"] = {"type": "INTEGER", "value": "5"}
    text = json.dumps(document, ensure_ascii=False)
    found = Container.parse(text)
    found.write(tmp_path / "out.json")
    again = (tmp_path / "out.json").read_text("utf-8")
    assert json.loads(again) == document
    assert list(json.loads(again)["containerVersion"]) == list(document["containerVersion"])
    assert Container.read(tmp_path / "out.json").document == document
    assert [one.name for one in tmp_path.iterdir()] == ["out.json"]


def test_a_byte_order_mark_is_no_content(tmp_path: Path) -> None:
    path = tmp_path / "marked.json"
    path.write_text(shop().text, "utf-8-sig")
    assert Container.read(path).document == shop().document


def test_references_are_found_to_the_bottom() -> None:
    value = [{"list": [{"map": [{"value": "a {{One}} and {{ Two }}"}]}]}, "{{One}}", 7, "{{}}"]
    assert list(references(value)) == ["One", "Two", "One"]


def entity(**fields: Any) -> str:
    document = json.loads(shop().text)
    document["containerVersion"]["tag"][0].update(fields)
    return json.dumps(document)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "it is no JSON"),
        ("[]", "holds no JSON object"),
        ('{"a": 1, "a": 2}', "the key 'a' stands twice"),
        ('{"a": NaN}', "NaN is no number"),
        ('{"a": 1e999}', "1e999 is too large"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a": 1' + "0" * 400 + "}", "of 401 digits is too large"),
        ('{"a": 1' + "0" * 9000 + "}", "of 9001 digits is too large"),
        ('{"a": ["\\ud800"]}', r"^a\[0\] holds half a character"),
        ('{"a": ' + "[" * 61 + "]" * 61 + "}", "is nested more than 60 deep"),
        ('{"exportFormatVersion": 1}', "exportFormatVersion is 1"),
        ('{"exportFormatVersion": 2}', "containerVersion is missing"),
        (
            '{"exportFormatVersion": 2, "containerVersion": {"tag": 3}}',
            "containerVersion.tag is no",
        ),
        (
            '{"exportFormatVersion": 2, "containerVersion": {"accountId": 1}}',
            "containerVersion.accountId is 1",
        ),
        (entity(tagId=5), r"containerVersion.tag\[0\].tagId is 5"),
        (entity(tagId="9" * 5000), r"tag\[0\].tagId has 5000 characters"),
        (entity(fingerprint="9" * 5000), r"tag\[0\].fingerprint has 5000 characters"),
        (entity(firingTriggerId=["9" * 5000]), r"firingTriggerId\[0\] has 5000 characters"),
        (entity(parameter=[{"key": []}]), r"parameter\[0\].key is \[\]"),
        (entity(setupTag=[{"tagName": 1}]), r"setupTag\[0\].tagName is 1"),
        (entity(name=""), r"tag\[0\].name is ''"),
        (entity(type=None), r"tag\[0\].type is None"),
        (entity(parameter={}), r"tag\[0\].parameter is no list"),
        (entity(parameter=[{"list": [{"map": [7]}]}]), r"parameter\[0\].list\[0\].map\[0\] is no"),
        (entity(parameter=[{"value": 7}]), r"parameter\[0\].value is 7"),
        (entity(firingTriggerId=[7]), r"firingTriggerId\[0\] is 7"),
        (entity(consentSettings=[]), "consentSettings is no object"),
        (entity(filter=[{"parameter": [7]}]), r"filter\[0\].parameter\[0\] is no object"),
    ],
)
def test_what_is_no_container_is_refused_with_the_place(text: str, says: str) -> None:
    with pytest.raises(GtmError, match=says):
        Container.parse(text)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(GtmError, match="cannot be read"):
        Container.read(tmp_path / "none.json")


JUNK = st.sampled_from(
    [None, True, 1, -1.5, 10**299, "", "x", "9" * 40, "{{" * 9 + "}}", "GA4 - \x1b[31m", [],
     [[]], {}, {"a": 1}, [{}], [None], [{"key": "eventName", "type": "LIST", "list": []}],
     [{"key": [], "value": "x"}], [{"type": "MAP", "key": "x", "map": [{"key": "y"}]}],
     ["2147479553"], [{"tagName": "x"}]]
)  # fmt: skip


def junked(seed: int, junk: Any) -> str:
    document = json.loads(shop().text)
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            places.append((value, key))
            if isinstance(value[key], dict | list):
                walk(value[key])

    walk(document)
    holder, key = random.Random(seed).choice(places)
    holder[key] = junk
    return json.dumps(document)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), junk=JUNK)
def test_junk_at_any_place_is_read_or_refused(seed: int, junk: Any) -> None:
    """Whatever stands in a container: it is refused by name, or can be scored, mended, written."""
    try:
        found = Container.parse(junked(seed, junk))
    except GtmError:
        return
    assert Container.parse(found.text).document == found.document
    assert check(found, found, budget=0) == []
    signals = Signals(events=(Event(name="purchase", count=10, value=1, server=1),), actions=())
    for profile in ("full", "server", "booking"):
        verdict = score(found, signals, profile=profile)
        assert 0 <= verdict.score <= 1
        if (proposed := propose(verdict, found)) is not None:
            assert check(found, apply(found, proposed.operations)) == []


def test_folders_and_server_containers() -> None:
    assert container(server=True).is_server
    assert not shop().is_server
    odd = container(tag=[tag(1, "a", parentFolderId="9")], variable=[variable(2, "b")])
    assert odd.folder_name(odd.tags[0]) is None
