"""``wrap``: a provider's client, its calls recorded by posthog.ai's own recorders.

The client stays the one that was configured: only the methods that call a model are replaced, on
this one object. A call never fails, waits or changes because it is recorded.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, TypeVar

from nightpane.client.pane import Pane
from nightpane.llm.calls import PaneChoice
from nightpane.llm.outcome import Outcome, is_raw, say
from nightpane.llm.providers import Provider, Recording, provider_of, resource_at

__all__ = ["wrap"]

_C = TypeVar("_C")
_Method = Callable[..., Any]
_Make = Callable[[SimpleNamespace], Any]
_MARK = "_nightpane_choice"


def wrap(client: _C, pane: Pane | None = None) -> _C:
    """Return the given client, with every model call recorded in the round it is made in.

    ``client`` is one of ``openai`` (also Azure), ``anthropic`` (also Bedrock, Vertex) or
    ``google.genai``, synchronous or not. Without ``pane`` a call goes to the pane of the scope it
    is made in, outside of every scope to the newest pane. Wrapping again changes only the pane.

    Raises ConfigError for any other client, and when there is no pane at all.
    """
    provider = provider_of(client)
    choice = PaneChoice(pane, "nightpane.llm.wrap")
    is_wrapped = _MARK in vars(client)
    setattr(client, _MARK, choice)
    if not is_wrapped:
        for path in provider.methods:
            _replace_methods(client, provider, path)
        for name in {"copy", "with_options"} & set(dir(client)):
            setattr(client, name, _wrapping(client, getattr(client, name)))
    return client


def _replace_methods(client: Any, provider: Provider, path: str) -> None:
    resource = resource_at(client, path)
    for name, as_method in provider.methods[path].items() if resource is not None else ():
        method = getattr(resource, name, None)
        if method is not None:
            setattr(resource, name, _recorded(client, provider, path, method, as_method))
    if resource is not None:
        # Made before, from the method that is replaced now.
        vars(resource).pop("with_raw_response", None)


def _recorded(
    client: Any, provider: Provider, path: str, method: _Method, as_method: str
) -> _Method:
    """Return a method of a client that is recorded where it is called."""
    is_async = type(resource_at(client, path)).__name__.startswith("Async")
    run: Callable[..., Any] = _awaited if is_async else _called
    if as_method == "stream":
        run = _managed

    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        raw = is_raw(kwargs)
        if raw == "stream" or (raw and kwargs.get("stream")):
            # The caller reads the body, if anybody does: there is nothing to record it from.
            return method(*args, **_without_ours(kwargs))
        started = getattr(client, _MARK).call(private=kwargs.get("posthog_privacy_mode"))
        recording = Recording(client, path, is_async, started)
        make = functools.partial(provider.recorder, recording)
        return run(make, method, as_method, args, kwargs)

    return call


def _called(make: _Make, method: _Method, as_method: str, args: Any, kwargs: Any) -> Any:
    outcome = Outcome()
    try:
        recorder = make(SimpleNamespace(**{as_method: outcome.noting(method)}))
        return outcome.result(getattr(recorder, as_method)(*args, **kwargs))
    except Exception as error:  # noqa: BLE001 (either the provider's, or recording it failed)
        if not outcome.was_asked:
            say(error)
            return method(*args, **_without_ours(kwargs))
        return outcome.rescue(error)


async def _awaited(make: _Make, method: _Method, as_method: str, args: Any, kwargs: Any) -> Any:
    outcome = Outcome()
    try:
        recorder = make(SimpleNamespace(**{as_method: outcome.noting_async(method)}))
        return outcome.result(await getattr(recorder, as_method)(*args, **kwargs))
    except Exception as error:  # noqa: BLE001 (either the provider's, or recording it failed)
        if not outcome.was_asked:
            say(error)
            return await method(*args, **_without_ours(kwargs))
        return outcome.rescue(error)


def _managed(make: _Make, _method: _Method, as_method: str, args: Any, kwargs: Any) -> Any:
    """Return a context manager whose stream is recorded, as Anthropic's ``messages.stream``."""
    return getattr(make(SimpleNamespace()), as_method)(*args, **kwargs)


def _wrapping(client: Any, method: _Method) -> _Method:
    """Return a method that makes another client of this one, made to wrap that too."""

    @functools.wraps(method)
    def make(*args: Any, **kwargs: Any) -> Any:
        return wrap(method(*args, **kwargs), getattr(client, _MARK).given)

    return make


def _without_ours(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in kwargs.items() if not name.startswith("posthog_")}
