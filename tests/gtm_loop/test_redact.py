"""Identifiers in texts of containers, and in operations, which stay JSON."""

from __future__ import annotations

import json

import pytest

from nightpane.gtm.corpus import Example, batch, validate
from nightpane.gtm.redact import Redactor

HOSTILE = '<script src="https://cdn.shop.example.xyz/t.js?id=9">"GTM-ABC1234"</script>\n\u202e'


def test_hostile_operations_stay_json_and_name_nobody() -> None:
    operations = [{"op": "set", "value": HOSTILE, "at": 1234567, "on": True, "none": None}]
    example = Example(
        run_id="r1", number=1, score=0.8, state="A container.", problem=HOSTILE,
        operations=operations,
    )  # fmt: skip
    made = batch([example], least=1)
    (line,) = [*made.training, *made.held_out]
    validate(line)
    solution = {one["role"]: one["content"] for one in json.loads(line)["messages"]}["assistant"]
    (done,) = json.loads(solution)
    assert done["value"] == '<script src="[URL_1]">"[CONTAINER_1]"</script>\n\u202e'
    assert done["at"] == "[ID_1]"
    assert (done["on"], done["none"]) == (True, None)
    for secret in ("shop.example", "ABC1234", "1234567"):
        assert secret not in line


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("ask jo.doe+x@mail.example.org", "ask [EMAIL_1]"),
        ("GTM-K3LM9 and GTM-K3LM9", "[CONTAINER_1] and [CONTAINER_1]"),
        ("G-1A2B3C4D5E, UA-12345-6", "[MEASUREMENT_1], [MEASUREMENT_2]"),
        ("AW-123456789/AbC-D_efG", "[ADS_1]"),
        ("act_1234 in accounts/77", "[ACCOUNT_1] in [ACCOUNT_2]"),
        ("pixel 123456789012345", "pixel [PHONE_1]"),
        ("call +49 (30) 123-4567", "call [PHONE_1]"),
        ("https://a.xyz/p?q=1 //b.example.zone/x www.c.com", "[URL_1] [URL_2] [HOST_1]"),
        ("trigger 2147479553 // a comment, v2.5", "trigger 2147479553 // a comment, v2.5"),
    ],
)
def test_identifiers_are_redacted(said: str, left: str) -> None:
    assert Redactor().text(said) == left
