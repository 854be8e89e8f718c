"""``@tool``: a function whose calls are steps of whatever round they happen in.

The function behaves as without it: same values, same exceptions, same kind (a coroutine function
stays one, a generator stays lazy). Outside of a run it is just called.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar, overload

from nightpane.client.scopes import Scope, innermost_scope, swap
from nightpane.client.steps import ToolStep

__all__ = ["tool"]

_P = ParamSpec("_P")
_R = TypeVar("_R")
_Begin = Callable[[tuple[Any, ...], Mapping[str, Any]], "ToolStep | None"]


@overload
def tool(function: Callable[_P, _R], /) -> Callable[_P, _R]: ...
@overload
def tool(
    name: str | None = None,
    /,
    *,
    timeout_ms: int | None = None,
    task_type: str | None = None,
    agent: str | None = None,
) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]: ...
def tool(
    function: Callable[..., Any] | str | None = None,
    /,
    *,
    timeout_ms: int | None = None,
    task_type: str | None = None,
    agent: str | None = None,
) -> Any:
    """Return the function, whose calls emit ``step.tool_called`` and ``step.tool_returned``.

    Its pane, round and place are those of the calling thread or task. The step's name is the
    function's unless given (``@tool("search")``), ``agent`` the round's. Works for functions,
    coroutine functions, generators and asynchronous generators, whose call begins with the first
    item.
    """
    name = function if isinstance(function, str) else None
    about = {"timeout_ms": timeout_ms, "task_type": task_type, "agent": agent}

    def decorate(function: Callable[..., Any]) -> Any:
        if isinstance(function, staticmethod | classmethod):
            return type(function)(_wrapped(function.__func__, name, about))
        return _wrapped(function, name, about)

    return decorate if function is None or isinstance(function, str) else decorate(function)


def _wrapped(
    function: Callable[..., Any], name: str | None, about: Mapping[str, Any]
) -> Callable[..., Any]:
    called = name or str(getattr(function, "__name__", type(function).__name__))
    named = _namer(function)

    def begin(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> ToolStep | None:
        outer = innermost_scope()
        if outer is None:
            return None
        return ToolStep(outer._pane, outer, called, named(args, kwargs), **about)

    for is_kind, wrap in _KINDS:
        if is_kind(function) or is_kind(getattr(function, "__call__", None)):  # noqa: B004
            return functools.wraps(function)(wrap(function, begin))
    return functools.wraps(function)(_function(function, begin))


def _namer(function: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """Return what gives a call's arguments by name, without the object of a method."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [one.name for one in parameters if one.kind in positional]
    rest = [one.name for one in parameters if one.kind is inspect.Parameter.VAR_POSITIONAL]
    first = 1 if names[:1] in (["self"], ["cls"]) else 0

    def named(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        found = dict(zip(names[first:], args[first:], strict=False))
        if len(args) > len(names):
            found[rest[0] if rest else "args"] = args[len(names) :]
        return {**found, **kwargs}

    return named


def _function(function: Callable[..., Any], begin: _Begin) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        step = begin(args, kwargs)
        if step is None:
            return function(*args, **kwargs)
        with step:
            return step.returns(function(*args, **kwargs))

    return call


def _coroutine_function(function: Callable[..., Any], begin: _Begin) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        step = begin(args, kwargs)
        if step is None:
            return await function(*args, **kwargs)
        async with step:
            return step.returns(await function(*args, **kwargs))

    return call


# The two below hand on next(), send(), throw() and close(), as PEP 380 has it for "yield from":
# which would do, were the body not to stand in its step, and the caller between items not.
def _generator_function(function: Callable[..., Any], begin: _Begin) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        body = _Body(begin(args, kwargs))
        items = function(*args, **kwargs)
        advance = functools.partial(next, items)
        while True:
            try:
                with body:
                    item = advance()
            except StopIteration as stop:
                body.end(None, stop.value)
                return stop.value
            except BaseException as error:
                body.end(error)
                raise
            body.count(item)
            try:
                advance = functools.partial(items.send, (yield item))
            except GeneratorExit:
                with body.closing():
                    items.close()
                raise
            except BaseException as error:  # noqa: BLE001 (thrown in: the body's to handle)
                advance = functools.partial(items.throw, error)

    return call


def _async_generator_function(function: Callable[..., Any], begin: _Begin) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        body = _Body(begin(args, kwargs))
        items = function(*args, **kwargs)
        advance = items.__anext__
        while True:
            try:
                with body:
                    item = await advance()
            except StopAsyncIteration:
                body.end(None)
                return
            except BaseException as error:
                body.end(error)
                raise
            body.count(item)
            try:
                advance = functools.partial(items.asend, (yield item))
            except GeneratorExit:
                with body.closing():
                    await items.aclose()
                raise
            except BaseException as error:  # noqa: BLE001 (thrown in: the body's to handle)
                advance = functools.partial(items.athrow, error)

    return call


class _Body:
    """The body of a generator: runs ``with`` it, in the tool's step or what it entered since."""

    def __init__(self, step: ToolStep | None) -> None:
        self._step = step
        self._inside: Scope | None = None
        self._caller: Scope | None = None
        self._size_bytes: int | None = 0
        if step is not None:
            self._caller = innermost_scope()
            step.__enter__()
            self._inside = swap(self._caller)

    def __enter__(self) -> None:
        if self._step is not None:
            self._caller = swap(self._inside)

    def __exit__(self, *_: object) -> None:
        if self._step is not None:
            self._inside = swap(self._caller)

    def count(self, item: Any) -> None:
        """Add an item's size, where it has one that is quickly told."""
        if isinstance(item, str):
            item = item if item.isascii() else item.encode("utf-8", "replace")
        elif not isinstance(item, bytes):
            self._size_bytes = None
        if self._size_bytes is not None:
            self._size_bytes += len(item)

    @contextmanager
    def closing(self) -> Iterator[None]:
        """Run what closes the body, which had not come to its end: that is no failure of it."""
        try:
            with self:
                yield
        except BaseException as error:
            self.end(error)
            raise
        self.end(None)

    def end(self, error: BaseException | None, result: Any = None) -> None:
        """Leave the tool's step."""
        if self._step is None:
            return
        caller = swap(self._step)
        try:
            if error is None:
                self._step.returns(result, result_bytes=self._size_bytes)
            self._step.__exit__(None if error is None else type(error), error, None)
        finally:
            swap(caller)


_KINDS: tuple[tuple[Callable[[Any], bool], Callable[..., Callable[..., Any]]], ...] = (
    (inspect.isasyncgenfunction, _async_generator_function),
    (inspect.iscoroutinefunction, _coroutine_function),
    (inspect.isgeneratorfunction, _generator_function),
)
