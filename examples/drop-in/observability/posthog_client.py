# fmt: off
# ruff: noqa
"""Tracks what this loop does in PostHog: one file, the same in every repository.

    from observability.posthog_client import in_round, in_run, ph, track

    with in_run():
        with in_round(agent="coder", model="m-1", baseline_score=0.33):
            track("round_scored", score=0.31, metric="val_loss", direction="min")
            track("round_kept", delta=0.02, new_best=0.31)  # or round_reverted
    client = Anthropic(posthog_client=ph)  # its calls join the round they are made in

Settings: POSTHOG_API_KEY, POSTHOG_HOST, AUTORESEARCH_PROJECT, AUTORESEARCH_CLIENT,
NIGHTPANE_STRICT, NIGHTPANE_PRIVACY_MODE. Where nightpane is installed every call goes to its Pane,
which keeps events on disk until they are delivered. Elsewhere the memory of PostHog's SDK holds
them: what cannot be delivered by the end of the process is lost.
"""

from __future__ import annotations

import atexit
import importlib
import logging
import os
import re
import secrets
import subprocess
import time
import uuid as uuids
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from posthog import Posthog

# What each event requires, how long its texts may be, and what privacy mode leaves out.
REQUIRED: dict[str, str] = {
    "round_started": "round_id", "proposal_generated": "round_id",
    "proposal_applied": "round_id", "round_scored": "score round_id", "round_kept": "round_id",
    "round_reverted": "failure_mode round_id", "model_escalated": "from_model to_model round_id",
    "stop_triggered": "reason", "finetune_batch_published": "batch_id",
    "step.plan": "step_id round_id", "step.tool_called": "step_id tool round_id",
    "step.tool_returned": "step_id tool ok round_id",
    "step.observation": "step_id source round_id", "step.reflection": "step_id round_id",
    "step.retry": "step_id round_id", "eval.run": "suite_id suite round_id",
    "eval.case": "suite_id case_id round_id", "eval.regression": "case_id round_id",
}
UNLESS = {"score": "crashed"}
LONGEST: dict[str, dict[str, int]] = {
    "proposal_generated": {"summary": 2000, "diff": 20000},
    "round_scored": {"reported_because": 2000}, "round_reverted": {"reason": 2000},
    "model_escalated": {"reason": 2000}, "step.plan": {"plan": 500},
    "step.tool_called": {"args_json": 2000},
    "step.tool_returned": {"result_json": 2000, "error": 400},
    "step.retry": {"prior_error": 400}, "eval.case": {"rationale": 800},
}
PRIVATE = {
    "$ai_input", "$ai_input_state", "$ai_instructions", "$ai_output", "$ai_output_choices",
    "$ai_output_state", "$ai_reasoning", "$ai_tools", "$ai_user_prompt", "args_json",
    "completion", "diff", "instructions", "messages", "plan", "prompt", "rationale", "response",
    "result_json", "summary", "system_prompt",
}
# The commonest secrets, by name and by look; nightpane itself knows many more.
SECRET_NAME = re.compile(r"(api|private|access)_?key|authorization|passw|secret|credential|cookie")
SECRET = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|\b(?:sk-|ph[xs]_|gh[pousr]_|github_pat_|glpat-|hf_|gsk_|xai-|xox[a-z]-|npm_)[\w-]{16,}"
    r"|\bAKIA[A-Z0-9]{16}|\bAIza[\w-]{35}|\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*"
    r"|\b[Bb]earer ([\w.~+/-]{20,}=*)|://[^\s/:@]*:([^\s/@]+)@"
)

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ULID = re.compile(f"[0-7][{ALPHABET}]{{25}}", re.IGNORECASE)
# The ids of traces that PostHog's wrappers make up when they are given none.
MADE_UP = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[47][-0-9a-f]{21}|trace_[0-9a-f]{32}")


@dataclass
class Place:
    """A run or a round: what is tracked in it inherits its ids and its agent."""

    ids: dict[str, str]
    agent: str | None
    closed_by: tuple[str, ...] = ()
    rounds: int = 0


place_here: ContextVar[Place] = ContextVar("place_here", default=Place({}, None))  # noqa: B039


def track(
    event: str, *, agent: str | None = None, round_id: str | None = None, **props: Any
) -> str | None:
    """Track one event; return its uuid, None when it was not taken.

    Inside a run or a round its ids and agent are inherited; elsewhere ``agent`` is required.
    """
    place = place_here.get()
    agent = agent or place.agent
    if event in place.closed_by:
        place.closed_by = ()
    if _pane is not None:
        taken: str | None = _pane.track(event, agent=agent, round_id=round_id, **props)
        return taken
    given = {**round_ids(round_id), **props, **({"agent": agent} if agent else {})}
    if STRICT and (wrong := problems(event, stamped(event, given))):
        raise ValueError(f"event {event!r} does not fit the catalogue: {'; '.join(wrong)}")
    uuid: str | None = ph.capture(event, distinct_id=agent_id(agent or AGENT), properties=given)
    return uuid


@contextmanager
def in_run(*, agent: str = "orchestrator", run_id: str | None = None) -> Iterator[str]:
    """Begin a run and give its ULID; leaving it tracks ``stop_triggered`` unless that was done."""
    place = Place({"run_id": run_id or new_ulid()}, agent, closed_by=("stop_triggered",))
    why = "max_rounds"
    with standing_in(place):
        try:
            yield place.ids["run_id"]
        except BaseException as error:
            why = "error" if isinstance(error, Exception) else "interrupted"
            raise
        finally:
            if place.closed_by:
                track("stop_triggered", reason=why, rounds_completed=place.rounds)


@contextmanager
def in_round(
    *, agent: str | None = None, round_id: str | None = None, **started: Any
) -> Iterator[str]:
    """Begin a round and give its ULID: tracks ``round_started`` with ``started``.

    Left without ``round_kept`` or ``round_reverted``, it is reverted.
    """
    run = place_here.get()
    ids = run.ids | round_ids(round_id or new_ulid())
    place = Place(ids, agent or run.agent, closed_by=("round_kept", "round_reverted"))
    mode, reason = "invalid", "the round was left without round_kept or round_reverted"
    with standing_in(place):
        track("round_started", **{"n_prior_rounds": run.rounds, **started})
        run.rounds += 1
        try:
            yield ids["round_id"]
        except BaseException as error:
            mode = "exception" if isinstance(error, Exception) else "interrupted"
            reason = f"{type(error).__qualname__}: {error}".removesuffix(": ")[:400]
            raise
        finally:
            if place.closed_by:
                track("round_reverted", failure_mode=mode, reason=reason)


@contextmanager
def standing_in(place: Place) -> Iterator[None]:
    """Run a block in a place; nightpane's own tools and suites are then in that round as well."""
    named = [f"nightpane.{name}={place.ids.get(name, '')}" for name in ("run_id", "round_id")]
    joins = _pane is not None and "round_id" in place.ids
    token = place_here.set(place)
    try:
        with _pane.join(",".join(named), agent=place.agent) if joins else nullcontext():
            yield
    finally:
        place_here.reset(token)


def agent_id(name: str) -> str:
    """Return the distinct_id of an agent of this loop."""
    return f"{PROJECT}:{CLIENT}:{name}"[:200]


def new_ulid() -> str:
    """Return a new ULID, such as a ``step_id`` or a ``suite_id``."""
    bits = time.time_ns() // 1_000_000 << 80 | secrets.randbits(80)
    return "".join(ALPHABET[bits >> shift & 31] for shift in range(125, -1, -5))


def round_ids(round_id: str | None) -> dict[str, str]:
    """Return what follows from a round's id: its trace, its session, the parent of its events."""
    if round_id is None:
        return {}
    ids = {"round_id": round_id, "$ai_trace_id": round_id, "$ai_parent_id": round_id}
    if ULID.fullmatch(round_id):
        places = enumerate(reversed(round_id.upper()))
        bits = sum(ALPHABET.index(char) << 5 * at for at, char in places)
        bits = bits & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62  # a UUID of version 7
        ids["$session_id"] = str(uuids.UUID(int=bits))
    return ids


def before_send(message: dict[str, Any]) -> dict[str, Any]:
    """Finish every event that leaves, those of PostHog's wrappers included."""
    event = message["event"]
    props = masked(stamped(event, message["properties"]))
    if event in ("$ai_generation", "$ai_embedding", "$ai_span"):
        props.setdefault("$ai_span_id", message["uuid"])
    wrong = problems(event, props)
    props.setdefault("agent", AGENT)
    if props.pop("$process_person_profile", None) is False:  # the caller named nobody
        message["distinct_id"] = agent_id(props["agent"])
    for name, limit in LONGEST.get(event, {}).items():
        if isinstance(text := props.get(name), str) and len(text) > limit:
            props |= {name: text[:limit], f"{name}_length": len(text)}
    invalid = {"$nightpane_invalid": wrong} if wrong else {}
    return {**message, "properties": {**props, **invalid}}


def before_nightpane(message: dict[str, Any]) -> Any:
    """Have nightpane's events outside of rounds tell their run as well."""
    if run_id := place_here.get().ids.get("run_id"):
        message["properties"].setdefault("run_id", run_id)
    return _hook(message)


def stamped(event: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event's properties with the envelope's before them."""
    ids, agent = place_here.get().ids, place_here.get().agent
    if given.get("round_id") not in (None, ids.get("round_id")):  # of another round
        ids = {name: ids[name] for name in ids if name == "run_id"}
    known = {"agent": agent} if agent else {}
    props = {**ENVELOPE, **ids, **known, "ts": time.time(), **given}
    parent, trace = props.get("$ai_parent_id"), ids.get("$ai_trace_id")
    if event == "round_started" and parent == props.get("round_id"):
        props["$ai_span_id"] = props.pop("$ai_parent_id", None)
    if event.startswith("$ai_") and trace and (own := props["$ai_trace_id"]) != trace:
        if MADE_UP.fullmatch(str(own)):
            props["$ai_trace_id"] = trace
            props["$ai_parent_id"] = ids["$ai_parent_id"] if parent == own else parent
        elif "$ai_parent_id" not in given:  # a trace of somebody's choice is a tree of its own
            del props["$ai_parent_id"]
    props.pop("$context_tags", None)
    return props


def problems(event: str, props: Mapping[str, Any]) -> list[str]:
    """Return which required properties are missing."""
    required = ("" if event.startswith("$") else "agent ") + REQUIRED.get(event, "")
    missing = (name for name in required.split() if props.get(name) is None)
    wrong = [name for name in missing if props.get(UNLESS.get(name, "")) is not True]
    return [f"{name} is missing; it is required" for name in wrong]


def masked(value: Any, name: str = "") -> Any:
    """Return a value without secrets, known by their name or their look."""
    if PRIVACY and name in PRIVATE:
        return None
    if value and value is not True and SECRET_NAME.search(re.sub(r"[-.\s]", "_", name.lower())):
        return "[redacted:key]"
    if isinstance(value, dict):
        return {key: masked(one, str(key)) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [masked(one) for one in value]
    if isinstance(value, str):
        return SECRET.sub(lambda one: one[0].replace(one[one.lastindex or 0], "[redacted]"), value)
    return value


def git_sha() -> dict[str, str]:
    """Return the short commit of the repository that this file is in, if it can be told."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
        return {"git_sha": done.stdout[:7]}
    except (OSError, subprocess.SubprocessError):
        return {}


def open_posthog() -> Posthog:
    """Return PostHog's client, one that sends nothing when it is not told where to."""
    key, host = os.environ.get("POSTHOG_API_KEY"), os.environ.get("POSTHOG_HOST")
    if off := not (key and host):
        logging.warning("nothing is sent: POSTHOG_API_KEY and POSTHOG_HOST are not both set")
    options: dict[str, Any] = {"disabled": off, "privacy_mode": PRIVACY, "before_send": before_send}
    client = Posthog(key or "-", host=host, **options)
    atexit.register(client.flush)  # by itself the SDK gives up after a second
    return client


AGENT = "orchestrator"
STRICT, PRIVACY = (
    os.environ.get(name, "").strip().lower() in ("1", "true", "yes", "on")
    for name in ("NIGHTPANE_STRICT", "NIGHTPANE_PRIVACY_MODE")
)
try:
    _pane: Any = importlib.import_module("nightpane").Pane()
    _hook, _pane.posthog.before_send = _pane.posthog.before_send, before_nightpane
except ImportError:
    _pane = _hook = None
PROJECT: str = _pane.project if _pane else os.environ.get("AUTORESEARCH_PROJECT", "")
CLIENT: str = _pane.client if _pane else os.environ.get("AUTORESEARCH_CLIENT") or "internal"
if not PROJECT:
    raise RuntimeError("AUTORESEARCH_PROJECT is not set: name this loop, such as autoresearch")
ENVELOPE = {"project": PROJECT, "client": CLIENT, **git_sha(), "$ignore_sent_at": True}
ph: Posthog = _pane.posthog if _pane else open_posthog()
# Delivers what was tracked so far, within ten seconds; at exit that is done as well.
flush: Callable[[], object] = (_pane or ph).flush
# Made by nightpane init, which tells by this digest whether it was changed: 4480cdebe6aa7736
