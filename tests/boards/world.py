"""A fortnight of two loops behind a router, always the same: for the tests and the pictures."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.pane_events import event

from nightpane.ids import deterministic_ulid

START = datetime(2026, 3, 1, 20, tzinfo=UTC)
NIGHTS, ROUNDS = 14, 12
DIMS = ("clarity", "coverage", "naming", "safety")
TASKS = ("gtm.rewrite", "gtm.score", "autoagent.plan")
MODELS = ("haiku-4-5", "sonnet-4-5", "opus-4-5")
TOOLS = ("run_tests", "read_file", "apply_patch")


def world(seed: int = 7) -> list[dict[str, Any]]:
    """Return the events, oldest first."""
    draw = random.Random(seed)
    events: list[dict[str, Any]] = []
    best = {"gtm-autoresearch": 0.5, "autoresearch": 1.2}
    for night in range(NIGHTS):
        for project in best:
            events += _night(draw, project, night, best)
    return sorted(events, key=lambda one: one["timestamp"])


def _night(
    draw: random.Random, project: str, night: int, best: dict[str, float]
) -> list[dict[str, Any]]:
    start = START + timedelta(days=night)
    run = {
        "project": project,
        "client": "acme" if project.startswith("gtm") else "internal",
        "run_id": deterministic_ulid(int(start.timestamp() * 1000), project, "run"),
    }
    events = []
    for number in range(ROUNDS):
        at = start + timedelta(minutes=20 * number)
        events += _round(draw, at, run, number, best)
    over = start + timedelta(minutes=20 * ROUNDS)
    if night % 3 == 1:
        models = {"from_model": MODELS[0], "to_model": MODELS[1 + night % 2]}
        events.append(event("model_escalated", over, **run, **models, stall_rounds=4 + night % 3))
    reason = ("max_rounds", "plateau", "budget", "error")[(night + len(project)) % 4]
    events.append(event("stop_triggered", over, **run, reason=reason, rounds_completed=ROUNDS))
    return events


def _round(
    draw: random.Random, at: datetime, run: dict[str, str], number: int, best: dict[str, float]
) -> list[dict[str, Any]]:
    project = run["project"]
    lower = project == "autoresearch"
    round_id = deterministic_ulid(int(at.timestamp() * 1000), project, str(number))
    here = {**run, "round_id": round_id}
    events = [event("round_started", at, agent="planner", **here)]
    calls = _calls(draw, at, here)
    events += calls
    events.append(event("proposal_generated", at + timedelta(minutes=2), agent="coder", **here))
    if draw.random() < 0.92:
        events.append(event("proposal_applied", at + timedelta(minutes=3), agent="coder", **here))
    events += _steps(draw, at, here)
    over = at + timedelta(minutes=9)
    wrong = draw.random() < 0.18
    if wrong:
        task = calls[1]["properties"]["task_type"]
        events.append(
            event("token_machine.anomaly", at + timedelta(minutes=4), project=project,
                  type="wrong_model", task_type=task)
        )  # fmt: skip
    score = best[project] + draw.gauss(0.01 if lower else -0.01, 0.02)
    dims = {f"dim_{name}": round(draw.uniform(0.4, 1.0), 3) for name in DIMS}
    dims["dim_safety"] = round(dims["dim_safety"] * 0.7, 3)
    about = {"metric": "val_bpb" if lower else "quality", "direction": "min" if lower else "max"}
    grade = {"quality_score": round(draw.uniform(0.5, 0.9), 3)}
    events.append(
        event("round_scored", over, **here, score=round(score, 4), **about, **dims, **grade)
    )
    better = score < best[project] if lower else score > best[project]
    if better and not (wrong and draw.random() < 0.7):
        best[project] = score
        events.append(event("round_kept", over, **here, delta=0.01))
    else:
        mode = draw.choice(("score_missed", "score_missed", "timeout"))
        events.append(event("round_reverted", over, **here, failure_mode=mode))
        if draw.random() < 0.5:
            case = {"case_id": f"case-{draw.randrange(9)}", "dim": draw.choice(DIMS), "delta": -0.1}
            events.append(event("eval.regression", over, **here, **case))
    return events


def _calls(draw: random.Random, at: datetime, here: dict[str, str]) -> list[dict[str, Any]]:
    """One call made directly, and one routed: half of the routed ones the wrapper saw as well."""
    found = []
    direct = {
        "$ai_trace_id": here["round_id"],
        "$ai_span_id": f"{here['round_id']}-direct",
        "phase": draw.choice(("proposal", "critique")),
        "$ai_model": MODELS[1],
        "$ai_latency": round(draw.uniform(1, 9), 2),
        "$ai_total_cost_usd": round(draw.uniform(0.01, 0.05), 5),
        "$ai_input_tokens": draw.randrange(800, 4000),
        "$ai_output_tokens": draw.randrange(50, 900),
        "$ai_cost_passthrough": True,
    }
    found.append(event("$ai_generation", at + timedelta(seconds=30), **here, **direct))
    span = f"{here['round_id']}-routed"
    model, task = draw.choice(MODELS), draw.choice(TASKS)
    cost = round(draw.uniform(0.001, 0.02), 5)
    routed: dict[str, Any] = {
        "task_type": task,
        "model_used": model,
        "cost_usd": cost,
        "latency_ms": draw.randrange(200, 4000),
        "$ai_span_id": span,
    }
    if draw.random() < 0.6:
        routed["quality_score"] = round(draw.uniform(0.4, 1.0), 3)
    found.append(event("token_machine.request", at + timedelta(seconds=60), **here, **routed))
    if draw.random() < 0.5:
        twin = {
            **direct,
            "$ai_span_id": span,
            "$ai_model": model,
            "phase": "score",
            "$ai_total_cost_usd": cost,
        }
        found.append(event("$ai_generation", at + timedelta(seconds=60), **here, **twin))
    return found


def _steps(draw: random.Random, at: datetime, here: dict[str, str]) -> list[dict[str, Any]]:
    found = []
    for place, tool in enumerate(TOOLS):
        ok = draw.random() > 0.1 * (place + 1)
        returned = {
            "step_id": deterministic_ulid(int(at.timestamp() * 1000), here["round_id"], tool),
            "tool": tool,
            "ok": ok,
            "latency_ms": draw.randrange(20, 3000),
            **({} if ok else {"error": f"{tool} failed"}),
        }
        found.append(event("step.tool_returned", at + timedelta(minutes=5), **here, **returned))
    return found
