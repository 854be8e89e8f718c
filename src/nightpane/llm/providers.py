"""What of posthog.ai records which method of which provider's client.

posthog.ai wraps whole clients that it makes itself. Here its recorders are used one call at a time,
over the client somebody else configured: each gets a PostHog client that stands for the call, and
calls ``ask`` where it would call the provider.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from nightpane.errors import ConfigError
from nightpane.llm.calls import Call
from nightpane.llm.outcome import guarded

__all__ = ["Provider", "Recording", "provider_of", "resource_at"]


@dataclass(frozen=True, slots=True)
class Recording:
    """One call that shall be recorded: of which client, on which resource, and for whom."""

    client: Any
    path: str
    is_async: bool
    call: Call

    def module(self, package: str) -> Any:
        """Return posthog.ai's module for this provider, with or without async."""
        return _module(f"posthog.ai.{package}{'_async' if self.is_async else ''}")


_module = functools.cache(import_module)


@dataclass(frozen=True, slots=True)
class Provider:
    """``methods``: by place in the client, each with the recorder's method that stands for it."""

    methods: dict[str, dict[str, str]]
    recorder: Callable[[Recording, SimpleNamespace], Any]


def provider_of(client: Any) -> Provider:
    """Return how to record a client. Raises ConfigError for one that nobody knows."""
    kind = type(client)
    homes = [base.__module__.split(".")[0] for base in kind.__mro__]
    if "posthog" in homes:
        raise ConfigError(
            f"nightpane.llm.wrap got posthog.ai's own {kind.__name__}, which records already: "
            "pass the provider's client instead"
        )
    for home in homes:
        provider = _PROVIDERS.get(home)
        if provider and any(resource_at(client, path) for path in provider.methods):
            return provider
    raise ConfigError(
        f"nightpane.llm.wrap does not know {kind.__module__}.{kind.__qualname__}: pass a client of "
        "openai, anthropic or google.genai; for others see nightpane.llm.LiteLLMCallback"
    )


def resource_at(client: Any, path: str) -> Any:
    """Return the resource at a dotted place in a client, None when it has none there."""
    found = client
    for name in path.split("."):
        found = getattr(found, name, None)
    return found


def _openai(recording: Recording, ask: SimpleNamespace) -> Any:
    resource = recording.path.rsplit(".", 1)[-1].capitalize()
    recorder = getattr(recording.module("openai.openai"), f"Wrapped{resource}")
    owner = SimpleNamespace(_ph_client=recording.call, base_url=recording.client.base_url)
    return recorder(owner, ask)


def _anthropic(recording: Recording, ask: SimpleNamespace) -> Any:
    name = "AsyncWrappedMessages" if recording.is_async else "WrappedMessages"
    recorder = _with_seam(getattr(recording.module("anthropic.anthropic"), name))
    return recorder(_WithCall(recording.client, recording.call), ask)


@functools.cache
def _with_seam(recorder: Any) -> Any:
    """Return posthog.ai's ``Messages`` with a seam between it and the provider's below it."""
    resource: Any = recorder.__mro__[1]

    class Seam(resource):  # type: ignore[misc]
        def create(self, *args: Any, **kwargs: Any) -> Any:
            return self._ask.create(*args, **kwargs)

    class Messages(recorder, Seam):  # type: ignore[misc]
        def __init__(self, client: Any, ask: SimpleNamespace) -> None:
            super().__init__(client)
            self._ask = ask

        def _track_streaming_response(self, response: Any, *args: Any, **kwargs: Any) -> Any:
            # Where ``messages.stream`` comes by, which makes its request itself.
            record = super()._track_streaming_response
            return guarded(response, lambda stream: record(stream, *args, **kwargs))

    return Messages


class _WithCall:
    """A client as posthog.ai expects it: with a PostHog client, here that of one call."""

    def __init__(self, client: Any, call: Call) -> None:
        self._client = client
        self._ph_client = call

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def _gemini(recording: Recording, ask: SimpleNamespace) -> Any:
    name = "AsyncModels" if recording.is_async else "Models"
    recorder = getattr(recording.module("gemini.gemini"), name)
    client = SimpleNamespace(models=ask, aio=SimpleNamespace(models=ask))
    return recorder(provider_client=client, posthog_client=recording.call)


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


_GEMINI_METHODS = _same("generate_content", "generate_content_stream", "embed_content")
_PROVIDERS = {
    "openai": Provider(
        {
            "chat.completions": _same("create", "parse"),
            "beta.chat.completions": _same("create", "parse"),
            "responses": _same("create", "parse"),
            "embeddings": _same("create"),
        },
        _openai,
    ),
    "anthropic": Provider(
        {
            "messages": {"parse": "create", **_same("create", "stream")},
            "beta.messages": {"parse": "create", **_same("create")},
        },
        _anthropic,
    ),
    "google": Provider({"models": _GEMINI_METHODS, "aio.models": _GEMINI_METHODS}, _gemini),
}
