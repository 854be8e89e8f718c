"""The steps of a round: what an agent does inside it, each with an id that its own parts name.

A step's pair of events shares that id however the step ends. The exception that ends it passes on
unchanged, and nothing here raises in its place.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from nightpane.catalog import Event, StepRetry, StepToolCalled, StepToolReturned
from nightpane.client.jsontext import JsonText, json_text
from nightpane.client.scopes import Scope, describe
from nightpane.errors import NightpaneError
from nightpane.ids import new_ulid

if TYPE_CHECKING:
    from nightpane.client.pane import Pane

__all__ = ["Step", "ToolStep", "quietly"]

_T = TypeVar("_T")
_MAX_CHARS = 2_000
_MAX_FAILED = 256
_NOTHING = JsonText(None, None, None)

log = logging.getLogger("nightpane")


class Step(Scope):
    """A plan, an observation, a reflection or a retry; what happens ``with`` it hangs under it.

    It is emitted as soon as it has something to say: when it is made, else by ``says()``, else when
    it is left. ``uuid`` is then the event's, None when the event could not be written.
    """

    def __init__(
        self,
        pane: Pane,
        outer: Scope,
        event: type[Event],
        about: Mapping[str, Any],
        agent: str | None,
    ) -> None:
        self.step_id = new_ulid()
        self.uuid: str | None = None
        self._event = event
        self._within = outer.place
        self._begun: float | None = None
        self._said = False
        super().__init__(pane, outer.place.inside(self.step_id, agent))
        if any(value is not None for value in about.values()):
            self.says(**about)

    def says(self, **about: Any) -> str | None:
        """Emit the step with what there is to say; return the event's uuid.

        ``about`` are properties of the event; the catalogue names them, others may be added.
        """
        if self._said:
            self._pane._say_misuse(f"step {self.step_id} was emitted already: say it all at once")
            return None
        self._said = True
        declared = {name: about.pop(name) for name in self._event._names if name in about}
        event = self._event(**{**declared, "step_id": self.step_id})
        self.uuid = self._pane._emit(
            event,
            self._within,
            self.place.agent,
            {"$ai_span_id": self.step_id, **about},
            timestamp=self._begun,
        )
        return self.uuid

    def _begin(self) -> None:
        self._begun = time.time()

    def _end(self, error: BaseException | None) -> None:
        if not self._said:
            quietly(self.says, error)


class ToolStep(Scope):
    """One call of a tool: entering it emits ``step.tool_called``, leaving ``step.tool_returned``.

    A call that follows a failed one of the same tool with the same arguments, in the same place, is
    a further attempt: it begins with ``step.retry``.
    """

    def __init__(
        self,
        pane: Pane,
        outer: Scope,
        tool: str,
        args: Any = None,
        *,
        timeout_ms: int | None = None,
        task_type: str | None = None,
        agent: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self.step_id = new_ulid()
        self.tool = tool
        self.attempt = 1
        self._scope = outer
        self._args = args
        self._timeout_ms = timeout_ms
        self._task_type = task_type or (outer.place.calls or {}).get("task_type")
        self._extra = extra or {}
        self._result: tuple[Any] | None = None
        self._result_bytes: int | None = None
        self._key: tuple[str, int] = (tool, 0)
        self._started = 0.0
        super().__init__(pane, outer.place.inside(self.step_id, agent))

    def returns(self, result: _T, *, result_bytes: int | None = None) -> _T:
        """Note what the tool returns, and pass it on: ``return step.returns(result)``."""
        self._result, self._result_bytes = (result,), result_bytes
        return result

    def _begin(self) -> None:
        args = _NOTHING
        if self._args is not None:
            args = json_text(self._args, self._pane._mask, _MAX_CHARS)
        self._key = (self.tool, hash(args.text))
        self._say_retry()
        event = StepToolCalled(
            step_id=self.step_id,
            tool=self.tool,
            args_json=args.text,
            timeout_ms=self._timeout_ms,
            task_type=self._task_type,
        )
        self._args = None
        length = {} if args.length is None else {"args_json_length": args.length}
        self._emit(event, {**length, **self._extra})
        self._started = time.perf_counter()

    def _end(self, error: BaseException | None) -> None:
        latency_ms = round((time.perf_counter() - self._started) * 1000)
        if error is None:
            self._scope._failed.pop(self._key, None)
        else:
            self._note_failure(describe(error))
        quietly(lambda: self._say_returned(latency_ms, error), error)

    def _say_returned(self, latency_ms: int, error: BaseException | None) -> None:
        result = _NOTHING
        if error is None and self._result is not None and self._result[0] is not None:
            result = json_text(self._result[0], self._pane._mask, _MAX_CHARS)
        self._result = None
        event = StepToolReturned(
            step_id=self.step_id,
            tool=self.tool,
            ok=error is None,
            latency_ms=latency_ms,
            result_json=result.text,
            result_bytes=self._result_bytes or result.size_bytes,
            error=None if error is None else describe(error, None),
        )
        self._emit(event, {} if result.length is None else {"result_json_length": result.length})

    def _say_retry(self) -> None:
        before = self._scope._failed.get(self._key)
        if before is None:
            return
        attempts, step_id, error = before
        self.attempt = attempts + 1
        event = StepRetry(
            step_id=self.step_id,
            cause=error.partition(":")[0],
            attempt=self.attempt,
            prior_error=error,
            prior_step_id=step_id,
        )
        self._emit(event, {"tool": self.tool})

    def _note_failure(self, error: str) -> None:
        failed = self._scope._failed
        failed.pop(self._key, None)
        while len(failed) >= _MAX_FAILED:
            failed.pop(next(iter(failed), self._key), None)
        failed[self._key] = (self.attempt, self.step_id, error)

    def _emit(self, event: Event, extra: Mapping[str, Any]) -> None:
        place = self._scope.place
        try:
            self._pane._emit(event, place, self.place.agent, {"$ai_span_id": self.step_id, **extra})
        except NightpaneError as problem:
            # Strict panes raise, but a tool may also be called where there is no round to be in.
            if place.round_id is not None:
                raise
            log.error("%s could not be emitted outside of a round: %s", event.event, problem)


def quietly(action: Callable[[], object], error: BaseException | None) -> None:
    """Do it; while the loop's own exception passes, nothing is raised in its place."""
    try:
        action()
    except NightpaneError as problem:
        if error is None:
            raise
        log.error("a step could not be emitted: %s", problem)
