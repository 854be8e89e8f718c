"""Where in the loop the code stands: the run, round and step of this thread or task.

Nesting lives in a context variable, so threads and asyncio tasks each see their own. A thread that
is started inside a round does not: give it ``round.bind(function)``, or use the round itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from nightpane.client.envelope import Place

if TYPE_CHECKING:
    from nightpane.client.pane import Pane

__all__ = ["Scope", "current_place", "current_scope"]

_P = ParamSpec("_P")
_R = TypeVar("_R")
_S = TypeVar("_S", bound="Scope")

_current: ContextVar[Scope | None] = ContextVar("nightpane_scope", default=None)


class Scope:
    """A run, a round or a part of one: entered and left once, ``with`` or ``async with``."""

    _pane: Pane
    place: Place

    def __init__(self, pane: Pane, place: Place) -> None:
        self._pane = pane
        self._outer: Scope | None = None
        self.place = place
        self._token: Token[Scope | None] | None = None
        self._pid = os.getpid()
        # Calls of tools that failed in here, for what is tried again: attempts, step, error.
        self._failed: dict[tuple[str, int], tuple[int, str, str]] = {}

    def bind(self, function: Callable[_P, _R]) -> Callable[_P, _R]:
        """Return ``function`` made to run inside this scope, on whatever thread calls it."""

        def bound(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            token = _current.set(self)
            try:
                return function(*args, **kwargs)
            finally:
                _current.reset(token)

        return bound

    def __enter__(self: _S) -> _S:
        self._outer = _current.get()
        self._token = _current.set(self)
        try:
            self._begin()
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            # A forked child leaves the parent's rounds to the parent.
            if os.getpid() == self._pid:
                self._end(error)
        finally:
            self._leave()

    async def __aenter__(self: _S) -> _S:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, trace)

    def _begin(self) -> None:
        """Do what comes with entering."""

    def _end(self, error: BaseException | None) -> None:
        """Do what comes with leaving, by an exception or at the end."""

    def _leave(self) -> None:
        token, self._token = self._token, None
        if token is None:
            return
        try:
            _current.reset(token)
        except ValueError:
            # Left in another context than entered, as a generator may be.
            _current.set(self._outer)


def swap(scope: Scope | None) -> Scope | None:
    """Make the calling code stand in another scope; return the one before."""
    before = _current.get()
    _current.set(scope)
    return before


def innermost_scope() -> Scope | None:
    """Return the innermost scope of any pane that the calling code stands in."""
    return _current.get()


@contextmanager
def standing_in(scope: Scope | None) -> Iterator[None]:
    """Run a block inside a scope noted earlier, wherever the code stands by now."""
    token = _current.set(scope)
    try:
        yield
    finally:
        _current.reset(token)


def current_scope(pane: Pane) -> Scope | None:
    """Return the innermost scope of this pane that the calling code stands in."""
    scope = _current.get()
    while scope is not None and scope._pane is not pane:
        scope = scope._outer
    return scope


def current_place(pane: Pane) -> Place | None:
    """Return what an event of this pane inherits here."""
    scope = current_scope(pane)
    return None if scope is None else scope.place


def failure(error: BaseException) -> tuple[str, str]:
    """Return failure mode and reason for a round left by an exception."""
    mode = "exception" if isinstance(error, Exception) else "interrupted"
    if type(error).__name__ == "CancelledError":
        mode = "interrupted"
    return mode, describe(error)


def describe(error: BaseException, limit: int | None = 400) -> str:
    """Return an exception's class and message, at most ``limit`` characters; never raises."""
    name = type(error).__qualname__
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 (a user's exception may not even print)
        text = ""
    return (f"{name}: {text}" if text else name)[:limit]


def shown(value: Any) -> str:
    """Return a value's text for a message, cut; never raises."""
    try:
        return repr(value)[:100]
    except Exception:  # noqa: BLE001 (a user's object may not even print)
        return type(value).__qualname__


def number(value: Any) -> float | None:
    """Return a finite number, None for anything else; never raises."""
    if value is None or isinstance(value, bool | str | bytes):
        return None
    try:
        result = float(value)
    except Exception:  # noqa: BLE001 (a user's object may raise anything)
        return None
    return result if result - result == 0.0 else None
