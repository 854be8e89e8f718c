"""The corpus: what is admitted, what is the same, what must not be in it."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest

from nightpane.errors import GtmError
from nightpane.gtm.corpus import Example, batch, validate
from nightpane.gtm.redact import Redactor

WORDS = [f"{a}{b}{c}" for a in "bcdfg" for b in "aeiou" for c in "klmnprst"]


def example(number: int, **more: object) -> Example:
    words = random.Random(number)
    problem = " ".join(words.sample(WORDS, 30))
    made = Example(
        run_id="RUN1", number=number, score=0.8, state="A container.", problem=problem,
        operations=[{"op": "add_folder", "name": words.choice(WORDS)}],
    )  # fmt: skip
    return replace(made, **more)  # type: ignore[arg-type]


def test_a_batch_is_split_and_the_same_again() -> None:
    found = batch([example(number) for number in range(200)])
    assert found.size == 200
    assert 8 <= len(found.held_out) <= 35
    assert batch([example(number) for number in reversed(range(200))]) == found
    more = batch([example(number) for number in range(260)])
    assert set(found.held_out) <= set(more.held_out)
    for line in (*found.training, *found.held_out):
        validate(line)
        document = json.loads(line)
        assert [one["role"] for one in document["messages"]] == ["system", "user", "assistant"]
        assert document["metadata"]["run_id"] == "RUN1"


def test_the_threshold_is_inclusive_and_long_states_stay_out() -> None:
    examples = [example(number) for number in range(60)]
    examples += [example(100, score=0.75), example(101, score=0.749)]
    examples += [example(102, state="x" * 3201), example(103, state="x" * 3200)]
    found = batch(examples)
    assert found.size == 62
    assert dict(found.left_out) == {
        "below the threshold": 1,
        "a state of more than 800 tokens": 1,
    }


def test_near_duplicates_are_one() -> None:
    examples = [example(number) for number in range(60)]
    near = replace(examples[0], number=999, problem=examples[0].problem.upper() + " x")
    found = batch([*examples, near])
    assert found.left_out["near-duplicates"] == 1
    many = [replace(examples[0], number=1000 + n) for n in range(60)]
    with pytest.raises(GtmError, match="60 of 120 examples say what another says"):
        batch([*examples, *many])


def test_too_few_are_refused_with_the_reason() -> None:
    with pytest.raises(
        GtmError, match=r"49 examples are too few, 50 are needed \(left out: 1 below"
    ):
        batch([*(example(number) for number in range(49)), example(99, score=0.1)])
    assert batch([example(1)], least=1).size == 1


IDENTIFIERS = [
    "GTM-ABC1234", "G-SKY4H7Q2LP", "AW-987654321/AbC-D", "UA-1234567-1", "act_645790768357540",
    "jane.doe@example.com", "https://shop.example.com/cart?a=1", "+1 (555) 123-4567",
    "1029907382331846", "accounts/6247752723", "EAAGm0PX4ZCpsBAKZCx1234567890", "sst.mydomain.com",
]  # fmt: skip


@pytest.mark.parametrize("identifier", IDENTIFIERS)
def test_no_identifier_is_in_it(identifier: str) -> None:
    texts = (f"tag for {identifier}.", f"'{identifier}'", f"a {identifier}, b")
    made = [
        example(1, state=texts[0], problem=texts[1],
                operations=[{"op": "add_tag", "parameter": {"id": texts[2]}}])
    ]  # fmt: skip
    (line,) = (*batch(made, least=1).training, *batch(made, least=1).held_out)
    assert identifier not in line
    assert identifier.rpartition("/")[2][:8] not in line


def test_what_says_nothing_of_anybody_stays() -> None:
    text = "view_item fires on {{DLV - ecommerce.value}} at 2147479553, 0.92 of 12 rounds, %%ID%%"
    assert Redactor().text(text) == text


def test_the_same_identifier_has_the_same_name() -> None:
    redactor = Redactor()
    assert redactor.text("GTM-AAAA11, GTM-BBBB22") == "[CONTAINER_1], [CONTAINER_2]"
    assert redactor.text("GTM-BBBB22") == "[CONTAINER_2]"
    assert redactor.found == {"CONTAINER": 2}


@pytest.mark.parametrize(
    "line",
    [
        "[]",
        "{",
        '{"messages": []}',
        '{"messages": [{"role": "user", "content": "a"}]}',
        json.dumps({"messages": [{"role": one, "content": " "} for one in
                                 ("system", "user", "assistant")]}),
    ],
)  # fmt: skip
def test_what_is_no_example_is_refused(line: str) -> None:
    with pytest.raises(GtmError):
        validate(line)
