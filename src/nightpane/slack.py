"""Posts one message to a Slack incoming webhook.

The webhook's address is a secret: whoever has it can post. It is never printed, logged or put in an
error, and it is never sent anywhere else (no redirect is followed).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from nightpane.errors import ApiError, ConfigError, UnreachableError

__all__ = ["ADDRESS_ENV", "address", "escape", "post"]

ADDRESS_ENV = "NIGHTPANE_SLACK_URL"

_TIMEOUT_S = 15.0
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
# What Slack answers: a word or two of its own. Anything else may repeat what it was sent.
_WORDS = re.compile(r"[a-z_ ]{1,60}\Z")


def address(given: str) -> str:
    """Return the webhook's address: ``given``, or for ``-`` what ``NIGHTPANE_SLACK_URL`` holds.

    Raises ConfigError when there is none, or when it is not an https address.
    """
    url = os.environ.get(ADDRESS_ENV, "") if given == "-" else given
    if not url.strip():
        raise ConfigError(f"no Slack webhook: '-' reads it from {ADDRESS_ENV}, which is not set")
    _check(url.strip())
    return url.strip()


def escape(text: str) -> str:
    """Return text that Slack shows as it is: no mention, no link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def post(url: str, message: str | Sequence[Mapping[str, Any]], *, text: str = "") -> None:
    """Post ``message``: a text, or Slack blocks with ``text`` for notifications beside them.

    It is sent once: what may have arrived is not sent again. Texts are Slack's mrkdwn: ``escape``
    what comes from data. Raises ConfigError for an unusable address, UnreachableError when nothing
    answers, ApiError when Slack refuses.
    """
    import requests  # imported late: as in the query client

    _check(url)
    body = {"text": message} if isinstance(message, str) else {"text": text, "blocks": [*message]}
    try:
        answer = requests.post(url, json=body, timeout=_TIMEOUT_S, allow_redirects=False)
    except requests.RequestException as error:
        # Its text holds the address; so would its traceback.
        raise UnreachableError(
            f"the Slack webhook does not answer ({type(error).__name__}): nothing is known to be "
            "posted; look at the network, then try again"
        ) from None
    if answer.status_code != 200:
        said = answer.text.strip()
        why = f": {said}" if _WORDS.match(said) else ""
        raise ApiError(
            f"the Slack webhook refused the message with {answer.status_code}{why}; "
            "look whether the webhook still exists and its channel takes messages",
            status=answer.status_code,
        )


def _check(url: str) -> None:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        host = None
    if host is None or not (
        parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)
    ):
        raise ConfigError(
            "the Slack webhook's address must begin with https:// (it is not shown here: it is a "
            "secret)"
        )
