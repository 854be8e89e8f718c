"""Rounds written out by hand: one that looks like a real one, and one of many events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from nightpane.ids import deterministic_ulid, deterministic_uuid

START = datetime(2026, 3, 8, 22, 0, tzinfo=UTC)
HARM = "<img src=x onerror=document.title=1>[bold]\x1b[31m"
DIFF = "--- a/train.py\n+++ b/train.py\n@@ -1,3 +1,3 @@\n"
DIFF += " def step():\n-    lr = 3e-4\n+    lr = 2e-4\n"


class Writer:
    """Writes the events of one round, each ``seconds`` after its start."""

    def __init__(self, name: str, *, run: str = "run") -> None:
        self.round_id = deterministic_ulid(int(START.timestamp() * 1000), name)
        self.run_id = deterministic_ulid(1, run)
        self.events: list[dict[str, Any]] = []

    def tell(
        self, event: str, seconds: float, parent: str | None = "", /, **properties: Any
    ) -> None:
        """Write an event; its parent is the round unless given, None names none."""
        agent = properties.get("agent", "coder")
        envelope = {"project": "autoresearch", "client": "internal", "agent": agent}
        envelope |= {"run_id": self.run_id, "round_id": self.round_id}
        envelope["$ai_trace_id"] = self.round_id
        if parent is not None:
            envelope["$ai_parent_id"] = parent or self.round_id
        self.events.append(
            {
                "event": event,
                "uuid": deterministic_uuid(self.round_id, str(len(self.events))),
                "timestamp": (START + timedelta(seconds=seconds)).isoformat(),
                "distinct_id": f"autoresearch:internal:{agent}",
                "properties": envelope | properties,
            }
        )

    def call(self, seconds: float, parent: str, took_s: float, **properties: Any) -> None:
        """Write a model call that ended ``seconds`` after the start."""
        given = {"$ai_model": "gpt-4o-mini", "$ai_provider": "openai", "$ai_latency": took_s}
        given |= {"$ai_input_tokens": 1840, "$ai_output_tokens": 310}
        given |= {"$ai_span_id": f"call-{len(self.events)}"}
        self.tell("$ai_generation", seconds, parent, **(given | properties))


def demo() -> tuple[str, list[dict[str, Any]]]:
    """Return the id and the events of a round like a loop's own."""
    w = Writer("demo")
    w.tell(
        "round_started",
        0,
        None,
        **{"$ai_span_id": w.round_id},
        model="gpt-4o-mini",
        baseline_score=0.981,
    )
    w.tell(
        "step.plan",
        0.2,
        step_id="plan",
        plan="Lower the learning rate, keep the warm-up",
        confidence=0.7,
    )
    asked = [
        {"role": "system", "content": "You improve a training script. One change a round."},
        {
            "role": "user",
            "content": "# Last round\nval_bpb went from **0.994** to **0.981**.\n\n"
            "- read `train.py`\n- propose one change",
        },
    ]
    answer = [
        {
            "role": "assistant",
            "content": [
                {
                    "type": "text",
                    "text": "I will look at the schedule first.\n\n```python\nlr = 3e-4\n```",
                },
                {
                    "type": "function",
                    "id": "c1",
                    "function": {"name": "read", "arguments": {"path": "train.py"}},
                },
            ],
        }
    ]
    said = {
        "$ai_input": asked,
        "$ai_output_choices": answer,
        "phase": "proposal",
        "task_type": "ar.propose",
    }
    said["$ai_tools"] = [
        {"type": "function", "function": {"name": "read", "parameters": {"path": "string"}}}
    ]
    said["$ai_cache_read_input_tokens"] = 1024
    w.call(4.8, "plan", 4.5, **said)
    for i, (tool, at, took, ok) in enumerate(
        [("read", 5.0, 0.4, True), ("shell", 5.6, 9.2, False), ("shell", 15.1, 21.7, True)]
    ):
        w.tell(
            "step.tool_called", at, step_id=f"tool{i}", tool=tool, args_json='{"path": "train.py"}'
        )
        if tool == "shell":
            w.call(at + took / 2, f"tool{i}", 2.1, **said, agent="coder")
        end = {"ok": ok, "latency_ms": int(took * 1000), "result_json": '"def step(): …"'}
        end |= {} if ok else {"error": "TimeoutError: no GPU was free within 9 s"}
        w.tell("step.tool_returned", at + took, step_id=f"tool{i}", tool=tool, **end)
    w.tell(
        "proposal_generated",
        38,
        summary="Lower the learning rate to 2e-4",
        cost_usd=0.0021,
        diff=DIFF,
    )
    w.tell("proposal_applied", 38.4, target="train.py", diff_bytes=len(DIFF), apply_latency_ms=120)
    w.tell("step.observation", 52, step_id="seen", source="val_bpb", value=0.978)
    w.tell(
        "eval.run",
        60,
        suite_id="suite",
        suite="quality",
        n_cases=3,
        **{"$ai_span_id": "suite"},
        agent="judge",
    )
    for i, case in enumerate(("speed", "memory", "clarity")):
        at = 62 + i * 6.5
        w.call(at + 4, f"suite:{case}", 3.6, **said, agent="judge")
        w.tell(
            "eval.case",
            at + 4.4,
            "suite",
            suite_id="suite",
            case_id=case,
            dim=case,
            score=0.9 - i / 6,
            passed=i < 2,
            rationale="Compared with the round before",
            agent="judge",
        )
    w.tell(
        "eval.regression",
        79.6,
        "suite:clarity",
        suite_id="suite",
        case_id="clarity",
        dim="clarity",
        prior_score=0.8,
        new_score=0.57,
        delta=-0.23,
        agent="judge",
    )
    w.tell("round_scored", 81, score=0.978, metric="val_bpb", direction="min", agent="judge")
    w.tell("round_kept", 81.2, delta=0.003, new_best=0.978, cost_usd=0.0034)
    return w.round_id, w.events


def big(count: int) -> tuple[str, list[dict[str, Any]]]:
    """Return the id and the events of a round of many events: calls in steps, messages of 4 kB."""
    w = Writer(f"big{count}", run="big")
    w.tell("round_started", 0, None, **{"$ai_span_id": w.round_id})
    i = 0
    while len(w.events) < count - 1:
        w.tell("step.tool_called", i, step_id=f"t{i}", tool=f"tool {i}", args_json="{}")
        for j in range(3):
            w.call(i + 0.2 * j + 0.3, f"t{i}", 0.1, **{"$ai_input": "text " * 800})
        w.tell(
            "step.tool_returned",
            i + 0.9,
            step_id=f"t{i}",
            tool=f"tool {i}",
            ok=True,
            latency_ms=900,
        )
        i += 1
    w.events = w.events[: count - 1]
    w.tell("round_kept", i + 1, new_best=1.0)
    return w.round_id, w.events


def batch(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return events as rows of ``replay.queries.read_events``."""
    return [
        {"id": e["uuid"], "event": e["event"], "timestamp": e["timestamp"], **e["properties"]}
        for e in events
    ]
