"""What the provider really answered, kept apart from what posthog.ai makes of it.

posthog.ai reads answers whose shape it may not know: an endpoint that only resembles OpenAI's, a
newer SDK. When it fails over one, the caller gets the provider's answer all the same, and all of a
stream. An error of the provider passes unchanged.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

__all__ = ["Outcome", "guarded", "is_raw", "say"]

log = logging.getLogger("nightpane")

_RAW_HEADER = "X-Stainless-Raw-Response"
_UNSET = object()
_MAX_SAID = 100
_said: set[str] = set()


class Outcome:
    """The provider's side of one call."""

    __slots__ = ("_error", "_is_raw", "_source", "_value", "was_asked")

    def __init__(self) -> None:
        self.was_asked = False
        self._value: Any = None
        self._error: Exception | None = None
        self._source: _Source | _AsyncSource | None = None
        self._is_raw = False

    def noting(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``method`` made to leave its answer here on the way to posthog.ai."""

        def noted(*args: Any, **kwargs: Any) -> Any:
            self._ask(kwargs)
            try:
                self._value = method(*args, **kwargs)
            except Exception as error:
                self._error = error
                raise
            return self._seen()

        return noted

    def noting_async(self, method: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
        """Return an awaitable ``method`` made to leave its answer here."""

        async def noted(*args: Any, **kwargs: Any) -> Any:
            self._ask(kwargs)
            try:
                self._value = await method(*args, **kwargs)
            except Exception as error:
                self._error = error
                raise
            seen = self._seen()
            return await seen if self._is_raw and hasattr(seen, "__await__") else seen

        return noted

    def result(self, made: Any) -> Any:
        """Return what the caller gets, once posthog.ai made ``made`` of the answer."""
        if self._is_raw:
            return self._value
        return made if self._source is None else _guarded(made, self._source)

    def rescue(self, error: Exception) -> Any:
        """Return the provider's answer, or raise its error, although recording it failed."""
        if error is not self._error:
            say(error)
        if self._error is not None:
            raise self._error
        return self._value

    def _ask(self, kwargs: dict[str, Any]) -> None:
        self.was_asked, self._is_raw = True, bool(is_raw(kwargs))

    def _seen(self) -> Any:
        value = self._value
        if self._is_raw:
            # The caller gets headers and body; posthog.ai needs the answer in them.
            return value.parse()
        self._source = _noted(value)
        return value if self._source is None else self._source


def is_raw(kwargs: dict[str, Any]) -> str:
    """Tell whether a call asks for the HTTP response itself, whole or as a stream of bytes.

    ``with_raw_response`` and ``with_streaming_response`` ask by a header.
    """
    headers = kwargs.get("extra_headers")
    return str(headers.get(_RAW_HEADER, "")) if isinstance(headers, dict) else ""


def guarded(stream: Any, record: Callable[[Any], Any]) -> Any:
    """Return ``record(stream)``, and where that fails the rest of the provider's stream."""
    source = _noted(stream)
    return record(stream) if source is None else _guarded(record(source), source)


class _Noted:
    """A provider's stream: the chunk that the caller has not got yet, and how it ended."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.end: Exception | None = None
        self.chunk: Any = _UNSET

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Source(_Noted):
    def __iter__(self) -> _Source:
        return self

    def __next__(self) -> Any:
        try:
            self.chunk = next(self._stream)
        except Exception as end:
            self.end = end
            raise
        return self.chunk


class _AsyncSource(_Noted):
    def __aiter__(self) -> _AsyncSource:
        return self

    async def __anext__(self) -> Any:
        try:
            self.chunk = await self._stream.__anext__()
        except Exception as end:
            self.end = end
            raise
        return self.chunk


class _Guarded:
    """posthog.ai's stream; where that fails, the rest of the provider's."""

    def __init__(self, made: Any, source: _Noted) -> None:
        self._made = made
        self._source = source
        self._is_broken = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._made, name)

    def _left_over(self, error: Exception) -> Any:
        """Return the chunk that posthog.ai failed over, if any; raise when the stream is over."""
        if isinstance(error, StopIteration | StopAsyncIteration):
            raise error
        if error is not self._source.end:
            say(error)
        if self._source.end is not None:
            raise self._source.end
        self._is_broken = True
        return self._source.chunk


class _Stream(_Guarded):
    def __iter__(self) -> _Stream:
        return self

    def __next__(self) -> Any:
        if self._is_broken:
            return next(self._source)
        try:
            chunk = next(self._made)
        except Exception as error:  # noqa: BLE001 (the provider's, or recording failed)
            chunk = self._left_over(error)
            return next(self._source) if chunk is _UNSET else chunk
        self._source.chunk = _UNSET
        return chunk

    def close(self) -> None:
        """Close the stream."""
        try:
            self._made.close()
        except Exception as error:  # noqa: BLE001 (posthog.ai captures on closing)
            say(error)

    def __enter__(self) -> _Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _AsyncStream(_Guarded):
    def __aiter__(self) -> _AsyncStream:
        return self

    async def __anext__(self) -> Any:
        if self._is_broken:
            return await self._source.__anext__()
        try:
            chunk = await self._made.__anext__()
        except Exception as error:  # noqa: BLE001 (the provider's, or recording failed)
            chunk = self._left_over(error)
            return await self._source.__anext__() if chunk is _UNSET else chunk
        self._source.chunk = _UNSET
        return chunk

    async def close(self) -> None:
        """Close the stream."""
        close = getattr(self._made, "aclose", None) or self._made.close
        try:
            await close()
        except Exception as error:  # noqa: BLE001 (posthog.ai captures on closing)
            say(error)

    aclose = close

    async def __aenter__(self) -> _AsyncStream:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _noted(value: Any) -> _Source | _AsyncSource | None:
    """Return a stream with its state noted, None for what is no stream."""
    # Of the class: an answer takes long to say what it has not.
    kind = type(value)
    if hasattr(kind, "__anext__"):
        return _AsyncSource(value)
    return _Source(value) if hasattr(kind, "__next__") else None


def _guarded(made: Any, source: _Source | _AsyncSource) -> Any:
    return _Stream(made, source) if isinstance(source, _Source) else _AsyncStream(made, source)


def say(error: Exception) -> None:
    """Log, once for each kind of error, that recording failed; the provider did not."""
    # Its text may quote a prompt: only the kind of it is told.
    kind = type(error).__name__
    if kind not in _said and len(_said) < _MAX_SAID:
        _said.add(kind)
        log.warning("a model call was not recorded: %s in posthog.ai", kind)
