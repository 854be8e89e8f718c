"""One model call on its way from posthog.ai to a pane.

posthog.ai captures a streamed call when the stream ends: perhaps after its round was left, in
another round, or on another thread. So each call gets a stand-in for the PostHog client that
remembers where it was started. Nothing here may raise into the loop or change a call's result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nightpane.client.envelope import Place
from nightpane.client.pane import Pane, newest_pane
from nightpane.client.redact import PRIVATE_PROPERTIES
from nightpane.client.scopes import Scope, current_scope, innermost_scope, standing_in
from nightpane.errors import ConfigError

__all__ = ["Call", "Frames", "PaneChoice"]


class PaneChoice:
    """Which pane a call goes to: the given one, else that of the scope the call is made in.

    Outside of every scope it is the newest pane of the process. Raises ConfigError when none is
    given and none was made yet.
    """

    __slots__ = ("_fallback", "given")

    def __init__(self, pane: Pane | None, what: str) -> None:
        self.given = pane
        self._fallback = pane or newest_pane()
        if self._fallback is None:
            raise ConfigError(
                f"{what} found no pane to record to: make one first, "
                'pane = nightpane.Pane("autoresearch"), or pass pane='
            )

    def call(self, *, private: bool | None = False) -> Call:
        """Return a call that is started here and now."""
        if self.given is not None:
            return Call(self.given, current_scope(self.given), private=private is True)
        scope = innermost_scope()
        pane = scope._pane if scope is not None else newest_pane() or self._fallback
        assert pane is not None  # noqa: S101 (__init__ has seen to it)
        return Call(pane, scope, private=private is True)


class Call:
    """What posthog.ai takes for its PostHog client during one call."""

    __slots__ = ("_pane", "_private", "_scope")

    enable_exception_autocapture = False

    def __init__(self, pane: Pane, scope: Scope | None, *, private: bool) -> None:
        self._pane = pane
        self._scope = scope
        self._private = private

    @property
    def privacy_mode(self) -> bool:
        """Whether prompts and completions are left out."""
        return self._private or bool(self._pane.posthog.privacy_mode)

    @property
    def enable_full_ai_capture(self) -> bool:
        """Whether images and audio are kept, as the pane's PostHog client says."""
        return getattr(self._pane.posthog, "enable_full_ai_capture", False) is True

    @property
    def place(self) -> Place | None:
        """What the call inherits from where it was started."""
        return None if self._scope is None else self._scope.place

    def capture(
        self, event: str, *, properties: Mapping[str, Any] | None = None, **more: Any
    ) -> str | None:
        """Keep an event of this call, as ``posthog.Posthog.capture`` does."""
        kept = dict(properties or {})
        if self._private:
            kept.update(dict.fromkeys(PRIVATE_PROPERTIES & kept.keys()))
        with standing_in(self._scope):
            uuid: str | None = self._pane.posthog.capture(event, properties=kept, **more)
            return uuid

    # The lane follows from the event's size, later.
    capture_ai = capture

    def flush(self) -> None:
        """Do nothing: what was captured is on disk."""


class Frames:
    """What a framework's tracer takes for its PostHog client, for all its calls.

    A framework has traces of its own. Inside a round, such a trace becomes a span of the round's:
    its ``$ai_trace`` turns into an ``$ai_span`` with the trace's id, and what had no parent within
    the trace hangs below it.
    """

    enable_exception_autocapture = False

    def __init__(self, call: Callable[[], Call]) -> None:
        self._call = call

    @property
    def privacy_mode(self) -> bool:
        """Whether prompts and completions are left out."""
        return self._call().privacy_mode

    @property
    def enable_full_ai_capture(self) -> bool:
        """Whether images and audio are kept."""
        return self._call().enable_full_ai_capture

    def capture(
        self, event: str, *, properties: Mapping[str, Any] | None = None, **more: Any
    ) -> str | None:
        """Keep an event, nested into the round it happens in."""
        call = self._call()
        event, nested = _nest(event, dict(properties or {}), call.place)
        return call.capture(event, properties=nested, **more)

    capture_ai = capture

    def flush(self) -> None:
        """Do nothing: what was captured is on disk."""


def _nest(
    event: str, properties: dict[str, Any], place: Place | None
) -> tuple[str, dict[str, Any]]:
    inherited = place.properties if place is not None else {}
    trace_id, ours = properties.get("$ai_trace_id"), inherited.get("$ai_trace_id")
    if ours is None or trace_id is None or trace_id == ours:
        return event, properties
    above = inherited.get("$ai_parent_id", ours)
    properties["$ai_trace_id"] = ours
    if event == "$ai_trace":
        name = properties.pop("$ai_trace_name", None)
        properties.setdefault("$ai_span_name", name)
        properties |= {"$ai_span_id": str(trace_id), "$ai_parent_id": above}
        return "$ai_span", properties
    if properties.get("$ai_parent_id") is None:
        # Its own root, as a model that was called without a chain around it.
        is_root = str(properties.get("$ai_span_id")) == str(trace_id)
        properties["$ai_parent_id"] = above if is_root else str(trace_id)
    return event, properties
