"""Asking a model over an OpenAI-compatible address, such as Token Machine's.

The address is OPENAI_BASE_URL and the key OPENAI_API_KEY, both from the environment; neither is
ever told.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import requests

from nightpane.errors import GtmError
from nightpane.gtm.judge import Complete

__all__ = ["asking"]

_BASE = "https://api.openai.com/v1"
_TIMEOUT_S = 120


def asking(model: str, *, baggage: str | None = None) -> Complete:
    """Return what asks a model. ``baggage`` joins its calls to a round.

    It raises GtmError when there is no key, no answer, or an answer without a text.
    """

    def complete(messages: Sequence[Mapping[str, str]]) -> str:
        key = os.environ.get("OPENAI_API_KEY")
        if not key:
            raise GtmError("no key for the judge: set OPENAI_API_KEY, and OPENAI_BASE_URL for "
                           "another address than OpenAI's")  # fmt: skip
        headers = {"Authorization": f"Bearer {key}"}
        if baggage:
            headers["baggage"] = baggage
        base = os.environ.get("OPENAI_BASE_URL", _BASE).rstrip("/")
        body = {"model": model, "messages": list(messages), "temperature": 0}
        try:
            answer = requests.post(
                f"{base}/chat/completions", json=body, headers=headers, timeout=_TIMEOUT_S
            )
        except requests.RequestException as error:
            raise GtmError(
                f"the judge {model!r} does not answer: {type(error).__name__}"
            ) from error
        if not answer.ok:
            raise GtmError(f"the judge {model!r} refused with {answer.status_code}")
        try:
            return str(answer.json()["choices"][0]["message"]["content"])
        except (ValueError, LookupError, TypeError) as error:
            raise GtmError(f"the judge {model!r} answered without a text") from error

    return complete
