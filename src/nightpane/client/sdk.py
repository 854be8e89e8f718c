"""The official SDK's client, set up so that it sends nothing itself.

``before_send`` takes every event; no queue, no consumer thread and no exit hook of the SDK is used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import posthog
from posthog.client import add_context_tags
from posthog.utils import system_context
from posthog.version import VERSION

__all__ = ["NO_KEY", "QuietPosthog", "context_properties", "open_posthog", "sdk_properties"]

# The SDK is disabled by an empty key; the key that is sent is the spool's affair.
NO_KEY = "phc_not_configured_yet"


class QuietPosthog(posthog.Posthog):
    """The SDK's client, without asking the operating system for its name at each event.

    That takes longer (50 µs) than all the rest of ``capture()``; the envelope knows it.
    """

    def _capture_properties(self, properties: dict[str, Any] | None) -> dict[str, Any]:
        if self.capture_trace_context:
            whole: dict[str, Any] = super()._capture_properties(properties)  # type: ignore[no-untyped-call]
            return whole
        tagged: dict[str, Any] = add_context_tags(dict(properties or {}))  # type: ignore[no-untyped-call]
        return tagged


def open_posthog(
    before_send: Callable[[dict[str, Any]], None],
    *,
    api_key: str | None,
    host: str | None,
    privacy_mode: bool,
) -> QuietPosthog:
    """Return a client whose every event goes to ``before_send`` and nowhere else."""
    return QuietPosthog(
        api_key or NO_KEY,
        host=host,
        send=False,
        sync_mode=True,
        enable_local_evaluation=False,
        privacy_mode=privacy_mode,
        before_send=before_send,
    )


def sdk_properties() -> dict[str, Any]:
    """Return what the SDK says of itself and its surroundings on every event."""
    return {
        **system_context(),
        "$lib": "posthog-python",
        "$lib_version": VERSION,
        "$geoip_disable": True,
        "$is_server": True,
    }


def context_properties() -> dict[str, Any]:
    """Return the tags and the session of the SDK's context that is active here, if one is."""
    tags: dict[str, Any] = add_context_tags({})  # type: ignore[no-untyped-call]
    return tags
