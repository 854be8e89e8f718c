"""Coding agents as proposers: programs that behave like them, with outputs of their shapes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from nightpane.errors import ConfigError
from nightpane.loops import AGENTS, AgentProposer, Brief, NoProposalError
from nightpane.loops.proposing import Tried

SECRET = "sk-do-not-tell"

CLAUDE = {
    "type": "result", "subtype": "success", "is_error": False, "duration_ms": 4460,
    "duration_api_ms": 3630, "num_turns": 3, "result": "I looked around.\n\nHalved the rate.",
    "session_id": "20b9174b", "total_cost_usd": 0.2546475,
    "usage": {"input_tokens": 2, "output_tokens": 57}, "permission_denials": [],
}  # fmt: skip
CODEX = [
    {"type": "thread.started", "thread_id": "019d499a"},
    {"type": "turn.started"},
    {"type": "item.completed", "item": {"id": "item_0", "type": "reasoning", "text": "hm"}},
    {"type": "item.completed", "item": {"id": "item_1", "type": "agent_message", "text": "Done."}},
    {"type": "item.completed", "item": {"id": "item_2", "type": "command_execution"}},
    {"type": "turn.completed", "usage": {"input_tokens": 1200, "output_tokens": 450}},
]
GEMINI = {"response": "Halved the rate.", "stats": {"models": {"gemini": {"tokens": {"total": 9}}}}}
OPENCODE = [
    {"type": "step_start", "timestamp": 1, "sessionID": "ses_1", "part": {"type": "step-start"}},
    {"type": "step_finish", "part": {"id": "prt_1", "type": "step-finish", "cost": 0.007}},
    {"type": "text", "part": {"id": "prt_2", "type": "text", "text": "Halved the rate."}},
    {"type": "step_finish", "part": {"id": "prt_3", "type": "step-finish", "cost": 0.001}},
    {"type": "step_finish", "part": {"id": "prt_3", "type": "step-finish", "cost": 0.001}},
]
AIDER = """Aider v0.86.1
Model: gpt with diff edit format
Halved the rate.
Tokens: 2.1k sent, 84 received. Cost: $0.0041 message, $0.0041 session.
Applied edit to train.py
Tokens: 2.2k sent, 90 received. Cost: $0.0043 message, $0.0084 session.
"""


def lines(records: list[dict[str, object]]) -> str:
    return "\n".join(json.dumps(one) for one in records)


@pytest.fixture
def brief() -> Brief:
    return Brief(
        metric="val_loss", direction="min", best_score=0.5, editable=("train.py", "extra/*"),
        tried=(Tried(number=1, summary="doubled it", status="kept", score=0.5, reason="better"),),
        protected=("score.py",),
    )  # fmt: skip


def program(folder: Path, output: str, *, code: int = 0) -> str:
    """Make a program that prints an output, and writes down how it was called."""
    path = folder / "agent"
    path.write_text(
        f"#!{sys.executable}\n"
        "import json, os, sys\n"
        f"folder = {str(folder)!r}\n"
        "calls = {'argv': sys.argv[1:], 'stdin': sys.stdin.read(), 'cwd': os.getcwd(),\n"
        "         'has_key': 'SOME_API_KEY' in os.environ}\n"
        "open(folder + '/call.json', 'w').write(json.dumps(calls))\n"
        f"print({output!r})\n"
        f"sys.exit({code})\n",
        "utf-8",
    )
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("agent", "output", "summary", "cost_usd"),
    [
        ("claude", json.dumps(CLAUDE), "Halved the rate.", 0.2546475),
        ("claude", json.dumps([{"type": "system"}, CLAUDE]), "Halved the rate.", 0.2546475),
        ("claude", "a warning\n" + json.dumps(CLAUDE, indent=2), "Halved the rate.", 0.2546475),
        ("codex", lines(CODEX), "Done.", None),
        ("gemini", "Loaded cached credentials.\n" + json.dumps(GEMINI, indent=2),
         "Halved the rate.", None),
        ("opencode", lines(OPENCODE), "Halved the rate.", 0.008),
        ("aider", AIDER, "Halved the rate.", 0.0084),
    ],
)  # fmt: skip
def test_what_it_says_and_costs_becomes_the_proposal(
    tmp_path: Path,
    brief: Brief,
    monkeypatch: pytest.MonkeyPatch,
    agent: str,
    output: str,
    summary: str,
    cost_usd: float | None,
) -> None:
    monkeypatch.setenv("SOME_API_KEY", SECRET)
    (tmp_path / "root").mkdir()
    proposer = AgentProposer(
        agent=agent, timeout_s=60, model="some-model", program=program(tmp_path, output)
    )
    said = proposer.propose(brief, tmp_path / "root", tmp_path / "propose.log", {})
    assert said.summary == summary
    assert said.cost_usd == (None if cost_usd is None else pytest.approx(cost_usd))
    call = json.loads((tmp_path / "call.json").read_text("utf-8"))
    assert call["cwd"] == str(tmp_path / "root")
    assert call["has_key"]
    argv = " ".join(call["argv"])
    assert "--model some-model" in argv
    assert "doubled it" not in argv
    given = call["stdin"]
    if agent == "aider":
        given = Path(call["argv"][call["argv"].index("--message-file") + 1]).read_text("utf-8")
        assert call["argv"][-1] != "extra/*"
        assert "train.py" in call["argv"]
    for told in ("val_loss", "lower", "doubled it", "score.py", "train.py, extra/*"):
        assert told in given
    kept = "".join(path.read_text("utf-8") for path in tmp_path.glob("propose*"))
    assert SECRET not in kept + argv


@pytest.mark.parametrize(
    ("agent", "output", "code", "says"),
    [
        ("claude", json.dumps({**CLAUDE, "is_error": True, "result": "API Error: 403"}), 1,
         "API Error: 403"),
        ("claude", json.dumps({"type": "result", "subtype": "error_max_turns"}), 0,
         "error_max_turns"),
        ("codex", lines([*CODEX[:2], {"type": "turn.failed", "error": {"message": "no model"}}]), 0,
         "no model"),
        ("gemini", json.dumps({"error": {"type": "ApiError", "message": "quota"}}), 1, "quota"),
        ("opencode", lines([{"type": "error", "error": {"name": "ProviderAuthError"}}]), 0,
         "ProviderAuthError"),
        ("aider", "litellm.AuthenticationError", 2, "exit code 2"),
        ("claude", "not json at all", 3, "exit code 3: not json at all"),
    ],
)  # fmt: skip
def test_a_failure_is_no_proposal(
    tmp_path: Path, brief: Brief, agent: str, output: str, code: int, says: str
) -> None:
    found = program(tmp_path, output, code=code)
    proposer = AgentProposer(agent=agent, timeout_s=60, program=found)
    with pytest.raises(NoProposalError, match=says) as caught:
        proposer.propose(brief, tmp_path, tmp_path / "propose.log", {})
    is_billed = "403" in says
    assert caught.value.cost_usd == (pytest.approx(0.2546475) if is_billed else None)


def test_an_error_that_was_overcome_is_none(tmp_path: Path, brief: Brief) -> None:
    output = lines([{"type": "error", "message": "stream dropped, again"}, *CODEX])
    proposer = AgentProposer(agent="codex", timeout_s=60, program=program(tmp_path, output))
    assert proposer.propose(brief, tmp_path, tmp_path / "propose.log", {}).summary == "Done."


def test_every_agent_is_asked_not_to_wait_for_anybody() -> None:
    named = {name: AgentProposer(agent=name, timeout_s=1, more=["--x"]) for name in AGENTS}
    commands = {name: one.command(Path("p"), ["train.py"]) for name, one in named.items()}
    assert commands["claude"][:4] == ["claude", "-p", "--output-format", "json"]
    assert commands["codex"][-2:] == ["--x", "-"]
    assert "auto_edit" in commands["gemini"]
    assert commands["opencode"][:2] == ["opencode", "run"]
    assert "--yes-always" in commands["aider"]
    assert all("--x" in command for command in commands.values())


def test_an_unknown_agent_is_named() -> None:
    with pytest.raises(ConfigError, match="'clod' is none of claude, codex"):
        AgentProposer(agent="clod", timeout_s=1)
