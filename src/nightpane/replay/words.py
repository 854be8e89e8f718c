"""A node's name and its line of text, from the events that tell of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nightpane.replay.told import Told, number

__all__ = ["name_of", "text_of"]

_MAX_NAME_CHARS = 120
_MAX_TEXT_CHARS = 300
# The first of these properties that is there names a thing of the kind.
_NAMES: dict[str, tuple[str, ...]] = {
    "tool": ("tool",),
    "observation": ("source",),
    "suite": ("suite",),
    "case": ("case_id",),
    "regression": ("case_id",),
    "generation": ("$ai_span_name", "$ai_model"),
    "embedding": ("$ai_span_name", "$ai_model"),
    "span": ("$ai_span_name",),
    "trace": ("$ai_trace_name", "$ai_span_name"),
    "metric": ("$ai_metric_name",),
    "evaluation": ("$ai_evaluation_name",),
    "request": ("model",),
}


def name_of(kind: str, told: Sequence[Told]) -> str:
    """Return what the thing is called: its own name, else its event's."""
    for one in told:
        for name in _NAMES.get(kind, ()):
            found = one.text(name)
            if found is not None:
                return _line(found, _MAX_NAME_CHARS)
    event = told[0].event if told else ""
    return _line(event.removeprefix("step.").removeprefix("$ai_") or kind, _MAX_NAME_CHARS)


def text_of(told: Sequence[Told]) -> str:
    """Return one line on what it says, "" when it says nothing."""
    said: list[str] = []
    for one in told:
        write = _BY_EVENT.get(one.event)
        said += [part for part in (write(one) if write else ()) if part]
    return _line(" · ".join(dict.fromkeys(said)), _MAX_TEXT_CHARS)


def _line(text: str, limit: int) -> str:
    line = " ".join(text[: limit * 4].split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _texts(*names: str) -> Callable[[Told], list[str]]:
    return lambda one: [one.text(name) or "" for name in names]


def _figure(one: Told, name: str, label: str = "") -> str:
    value = number(one.about.get(name))
    return "" if value is None else f"{label}{value:.6g}"


def _score(one: Told) -> list[str]:
    metric = one.text("metric")
    return [
        _figure(one, "score", f"{metric} " if metric else "score "),
        one.text("direction") or "",
    ]


def _case(one: Told) -> list[str]:
    return [_figure(one, "score"), one.text("rationale") or ""]


def _regression(one: Told) -> list[str]:
    before, now = _figure(one, "prior_score"), _figure(one, "new_score")
    return [f"{before or '?'} → {now or '?'}", one.text("dim") or ""]


def _escalated(one: Told) -> list[str]:
    return [f"{one.text('from_model') or '?'} → {one.text('to_model') or '?'}"]


_BY_EVENT: dict[str, Callable[[Told], list[str]]] = {
    "round_started": _texts("model"),
    "proposal_generated": _texts("summary", "model"),
    "proposal_applied": _texts("target"),
    "round_scored": _score,
    "round_kept": lambda one: [
        _figure(one, "delta", "delta "),
        _figure(one, "new_best", "new best "),
    ],
    "round_reverted": _texts("failure_mode", "reason"),
    "model_escalated": _escalated,
    "step.plan": _texts("plan"),
    "step.tool_called": _texts("args_json"),
    "step.tool_returned": _texts("error", "result_json"),
    "step.observation": _texts("value"),
    "step.reflection": _texts("verdict"),
    "step.retry": lambda one: [_figure(one, "attempt", "attempt "), one.text("cause") or ""],
    "eval.run": lambda one: [_figure(one, "n_cases", "cases ")],
    "eval.case": _case,
    "eval.regression": _regression,
    "$ai_generation": _texts("phase", "task_type"),
    "$ai_embedding": _texts("phase", "task_type"),
    "$ai_metric": _texts("$ai_metric_value"),
    "$ai_feedback": _texts("$ai_feedback_text"),
    "$ai_evaluation": _texts("$ai_evaluation_result"),
    "token_machine.request": _texts("task_type"),
}
