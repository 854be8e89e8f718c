"""Results in the terminal, also those of PostHog, which say less."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from nightpane.cli._experiment_view import draw_results, in_words


def drawn(answer: dict[str, Any]) -> str:
    text = io.StringIO()
    draw_results({"name": "second scorer"}, answer, Console(file=text, width=200))
    return text.getvalue()


def posthogs(**variant: Any) -> dict[str, Any]:
    """Return what PostHog's documentation shows of an answer, with a variant's own figures."""
    return {
        "metric": {"name": "kept rate", "metric_type": "funnel"},
        "baseline": {"key": "control", "number_of_samples": 200, "sum": 40, "sum_squares": 40},
        "variant_results": [
            {"key": "test", "number_of_samples": 210, "sum": 63, "sum_squares": 63, **variant}
        ],
    }


def test_posthogs_verdict_is_told_as_its_own() -> None:
    answer = posthogs(
        method="bayesian", significant=True, chance_to_win=0.99999, credible_interval=[0.1, 0.9]
    )
    text = drawn(answer)
    assert "+50.0%" in text
    assert "+10.0% to +90.0%" in text
    assert "> 99.9%" in text
    assert in_words(answer) == {"test": "significant at this look (not guarded against peeking)"}


def test_a_frequentist_answer_has_a_p_value_and_no_chance() -> None:
    text = drawn(
        posthogs(
            method="frequentist", significant=False, p_value=0.2, confidence_interval=[-0.1, 0.9]
        )
    )
    assert "0.2" in text
    assert "no verdict" in text
    assert "%  " in text


def test_what_posthog_could_not_work_out_says_why() -> None:
    failed = {"validation_failures": ["not-enough-exposures"], "significant": None}
    answer = posthogs(method="bayesian", chance_to_win=None, credible_interval=None, **failed)
    assert in_words(answer) == {"test": "not enough data: not-enough-exposures"}
    assert "–" in drawn(answer)


def test_names_from_the_data_cannot_drive_the_terminal() -> None:
    answer = posthogs(method="bayesian", significant=False)
    answer["variant_results"][0]["key"] = "\x1b[31mred[/]"
    assert "\x1b" not in drawn(answer)
