"""Run the agent on every task, and let each task's own tests give the reward.

Tasks and results lie as Harbor has them: ``tasks/NAME`` with task.toml, instruction.md, environment
and tests, and ``jobs/JOB/TRIAL/result.json``. This runs without containers: only for an agent that
one trusts.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def main() -> None:
    jobs = HERE / "jobs" / datetime.now(UTC).strftime("%Y-%m-%d__%H-%M-%S-%f")
    for task in sorted(path.parent for path in HERE.glob("tasks/*/task.toml")):
        trial = jobs / f"{task.name}__1"
        trial.mkdir(parents=True)
        result = run(task, trial)
        (trial / "result.json").write_text(json.dumps(result, indent=1), "utf-8")
        reward = (result["verifier_result"] or {"rewards": {}})["rewards"].get("reward")
        print(f"{task.name}: {reward}")


def run(task: Path, trial: Path) -> dict[str, Any]:
    """Return the result of one attempt at a task, as Harbor writes it."""
    settings = tomllib.loads((task / "task.toml").read_text("utf-8"))
    result: dict[str, Any] = {
        "task_name": task.name,
        "trial_name": trial.name,
        "started_at": datetime.now(UTC).isoformat(),
        "exception_info": None,
        "verifier_result": None,
    }
    with tempfile.TemporaryDirectory() as name:
        app = Path(name) / "app"
        shutil.copytree(task / "environment", app)
        try:
            subprocess.run(
                [sys.executable, HERE / "agent.py", app],
                input=(task / "instruction.md").read_bytes(),
                capture_output=True,
                check=True,
                timeout=settings["agent"]["timeout_sec"],
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            kind, message = type(error).__name__, (error.stderr or b"").decode()[-500:]
            result["exception_info"] = {"exception_type": kind, "exception_message": message}
        logs = trial / "verifier"
        logs.mkdir()
        subprocess.run(
            ["bash", task / "tests" / "test.sh"],
            env={**os.environ, "APP": str(app), "TESTS": str(task / "tests"), "LOGS": str(logs)},
            capture_output=True,
            check=True,
            timeout=settings["verifier"]["timeout_sec"],
        )
    reward = float((logs / "reward.txt").read_text("utf-8"))
    result["verifier_result"] = {"rewards": {"reward": reward}}
    result["finished_at"] = datetime.now(UTC).isoformat()
    return result


if __name__ == "__main__":
    main()
