"""Trees from events in any order: against a naive reference, and what does not fit is said."""

from __future__ import annotations

import random
from typing import Any

import pytest
from tests.replay.world import HARM, Writer, batch, demo

from nightpane.replay import Node, Trace, build
from nightpane.replay.terminal import lines_of


def path(trace: Trace, node: Node) -> list[str]:
    """Return a node's ids from the root to itself."""
    found = [node.id]
    while node.parent is not None:
        node = trace.nodes[node.parent]
        found.insert(0, node.id)
    return found


def by_id(trace: Trace) -> dict[str, Node]:
    return {node.id: node for node in trace.nodes}


def random_round(seed: int) -> tuple[Writer, dict[str, str | None], dict[str, float]]:
    """Return a round of random spans, with the parent and the cost of each as it happened."""
    rng = random.Random(seed)
    w = Writer(f"random{seed}")
    w.tell("round_started", 0, None, **{"$ai_span_id": w.round_id})
    parents: dict[str, str | None] = {w.round_id: None}
    costs: dict[str, float] = {}
    for i in range(rng.randrange(1, 120)):
        key, parent = f"s{i}", rng.choice(list(parents))
        parents[key] = parent
        about: dict[str, Any] = {"$ai_span_id": key, "$ai_latency": rng.randrange(1, 50) / 10}
        event = "$ai_span"
        if rng.random() < 0.5:
            event = "$ai_generation"
            costs[key] = about["$ai_total_cost_usd"] = rng.randrange(1, 100) / 1000
        w.tell(event, rng.randrange(1, 10_000) / 10, parent, **about)
    return w, parents, costs


def naive_total(key: str, parents: dict[str, str | None], costs: dict[str, float]) -> float:
    below = sum(naive_total(k, parents, costs) for k, above in parents.items() if above == key)
    return max(costs.get(key, 0.0), below)


@pytest.mark.parametrize("seed", range(25))
def test_random_trees_come_back_as_they_happened(seed: int) -> None:
    w, parents, costs = random_round(seed)
    rows = batch(w.events)
    trace = build(w.round_id, rows)
    for _ in range(3):
        random.Random(seed).shuffle(rows)
        assert build(w.round_id, rows) == trace
    nodes = by_id(trace)
    assert set(nodes) == set(parents)
    for key, node in nodes.items():
        above = None if node.parent is None else trace.nodes[node.parent].id
        assert above == parents[key]
        total = naive_total(key, parents, costs)
        assert node.total_cost_usd == (pytest.approx(total) if total else None)
        assert node.size == sum(key in path(trace, other)[:-1] for other in trace.nodes)
    owns = sum(node.own_cost_usd or 0.0 for node in trace.nodes)
    assert owns == pytest.approx(trace.nodes[0].total_cost_usd or 0.0)
    for before, after in zip(trace.nodes, trace.nodes[1:], strict=False):
        assert after.depth <= before.depth + 1
        if after.parent == before.parent:
            assert before.start_ms <= after.start_ms


def test_what_does_not_fit_stays_in_the_tree_and_is_said() -> None:
    w = Writer("odd")
    w.tell("round_started", 0, None, **{"$ai_span_id": w.round_id})
    w.tell("step.plan", 1, "nobody", **{"$ai_span_id": "orphan"}, step_id="x")
    w.tell("$ai_span", 2, "b", **{"$ai_span_id": "a"})
    w.tell("$ai_span", 3, "a", **{"$ai_span_id": "b"})
    w.tell("$ai_span", 4, "self", **{"$ai_span_id": "self"})
    w.tell("$ai_span", 5, **{"$ai_span_id": "same"})
    w.tell("$ai_span", 6, **{"$ai_span_id": "same"})
    w.tell("step.tool_called", 7, step_id="open", tool="t")
    w.tell("step.tool_called", 9, step_id="late", tool="t")
    w.call(8.0, "late", 2.0)
    w.tell("step.tool_returned", 9.5, step_id="late", tool="t", ok=True, latency_ms=500)
    trace = build(w.round_id, batch(w.events))
    nodes = by_id(trace)
    assert path(trace, nodes["orphan"]) == [w.round_id, "nobody", "orphan"]
    assert nodes["nobody"].kind == "missing"
    assert path(trace, nodes["b"]) == [w.round_id, "a", "b"]
    assert path(trace, nodes["self"]) == [w.round_id, "self"]
    assert sum(node.notes == ("another event has its id",) for node in trace.nodes) == 1
    assert nodes["open"].status == "running"
    assert nodes["call-9"].notes == ("it begins 3 s before what it is in",)
    said = " ".join(trace.notes)
    for part in ("clocks", "never told", "not returned", "used twice", "form circles"):
        assert part in said, part


def test_costs_are_never_counted_twice() -> None:
    w = Writer("costs")
    w.tell("$ai_trace", 9, **{"$ai_span_id": "agent", "$ai_total_cost_usd": 0.05})
    w.call(3, "agent", 1, **{"$ai_span_id": "one", "$ai_total_cost_usd": 0.02})
    w.call(5, "agent", 1, **{"$ai_span_id": "two", "$ai_total_cost_usd": 0.03})
    w.call(5, "two", 1, **{"$ai_span_id": "seen twice", "$ai_total_cost_usd": 0.03})
    w.call(6, "", 1, **{"$ai_span_id": "routed", "$ai_total_cost_usd": 0.01})
    w.tell("token_machine.request", 6, "", **{"$ai_span_id": "routed"}, cost_usd=0.01)
    w.call(7, "", 1, **{"$ai_span_id": "unpriced", "$ai_total_cost_usd": 0})
    trace = build(w.round_id, batch(w.events))
    nodes = by_id(trace)
    assert nodes["agent"].total_cost_usd == pytest.approx(0.05)
    assert nodes["agent"].own_cost_usd == 0
    assert nodes["two"].own_cost_usd == 0
    assert len(nodes["routed"].uuids) == 2
    assert nodes["unpriced"].total_cost_usd is None
    assert trace.round.cost_usd == pytest.approx(0.06)
    assert trace.round.cost_source == "calls"
    w.tell("proposal_generated", 8, cost_usd=0.06)
    w.tell("round_kept", 9, cost_usd=0.07)
    told = build(w.round_id, batch(w.events))
    assert (told.round.cost_usd, told.round.cost_source) == (0.07, "round")
    assert told.nodes[0].own_cost_usd == pytest.approx(0.01)
    assert told.calls_cost_usd == pytest.approx(0.06)


def test_a_chain_of_ten_thousand_parts_is_a_tree() -> None:
    w = Writer("deep")
    for i in range(10_000):
        parent = f"s{i - 1}" if i else ""
        w.tell("$ai_span", 1 + i / 100, parent, **{"$ai_span_id": f"s{i}"})
    trace = build(w.round_id, batch(w.events))
    assert max(node.depth for node in trace.nodes) == 10_000


def test_hostile_and_broken_events_are_data() -> None:
    w = Writer("hostile")
    w.tell("round_started", 0, None, **{"$ai_span_id": {"a": 1}}, model=HARM)
    w.tell(HARM, 1, 12, **{"$ai_latency": "soon", "$ai_span_id": 7})
    w.call(1, HARM, -1, **{"$ai_input_tokens": "many", "$ai_total_cost_usd": "NaN"})
    w.tell("step.tool_returned", 2, tool=HARM, ok="false", error=HARM, latency_ms=1e300)
    rows = [*batch(w.events), {"id": "odd", "event": None, "timestamp": "yesterday"}]
    trace = build(w.round_id, rows)
    assert trace.events == 5
    for width in (20, 60, 120):
        for line, _ in lines_of(trace, width):
            assert "\x1b" not in line.plain
            assert line.cell_len <= width


def test_the_terminal_shows_offsets_costs_and_bars() -> None:
    round_id, events = demo()
    lines = [line.plain for line, _ in lines_of(build(round_id, batch(events)), 120)]
    assert lines[0].startswith("   +0.00s round")
    shell = next(line for line in lines if "TimeoutError" in line)
    assert "9.2s" in shell
    assert "█" in shell
