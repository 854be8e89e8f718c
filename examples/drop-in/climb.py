"""A loop in a repository that does not depend on nightpane: all it has is the drop-in file.

    POSTHOG_API_KEY=phc_… POSTHOG_HOST=http://127.0.0.1:8321 AUTORESEARCH_PROJECT=autoresearch \
        python examples/drop-in/climb.py
"""

from __future__ import annotations

import random

from observability.posthog_client import in_round, in_run, new_ulid, track

ROUNDS = 3


def propose(x: float, seed: int) -> float:
    """Return a neighbour of the best candidate so far."""
    step_id = new_ulid()
    track("step.tool_called", step_id=step_id, tool="propose", args_json=f'{{"x": {x}}}')
    proposal = x + random.Random(seed).uniform(-1, 1)
    track("step.tool_returned", step_id=step_id, tool="propose", ok=True, latency_ms=1)
    return proposal


def measure(x: float) -> float:
    """Return the score of a candidate, the mean over a suite of two cases."""
    suite_id = new_ulid()
    cases = {"near_two": -((x - 2) ** 2), "near_three": -((x - 3) ** 2)}
    track("eval.run", suite_id=suite_id, suite="parabolas", n_cases=len(cases), agent="judge")
    for case_id, score in cases.items():
        track("eval.case", suite_id=suite_id, case_id=case_id, score=score, agent="judge")
    return sum(cases.values()) / len(cases)


def main() -> None:
    """Climb for some rounds."""
    best_x, best = 0.0, -6.5
    with in_run():
        for number in range(ROUNDS):
            with in_round(agent="coder", model="random-walk", baseline_score=best):
                track("step.plan", step_id=new_ulid(), plan="step aside", agent="planner")
                x = propose(best_x, seed=number)
                track("proposal_generated", summary=f"x = {x:.3f}", model="random-walk")
                track("proposal_applied", target="x")
                score = measure(x)
                track("round_scored", score=score, metric="height", direction="max")
                if score > best:
                    track("round_kept", delta=score - best, new_best=score)
                    best_x, best = x, score
                else:
                    track("round_reverted", failure_mode="score_missed")
        track("stop_triggered", reason="max_rounds", rounds_completed=ROUNDS, final_best_score=best)


if __name__ == "__main__":
    main()
