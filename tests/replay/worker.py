"""A child process of a round: joins it by its environment, works, judges. Run by test_real.py."""

from __future__ import annotations

import nightpane

pane = nightpane.Pane("autoresearch", strict=True)
with pane.join(agent="judge") as round_:
    with round_.tool("probe", {"i": 1}) as step:
        step.returns(1)
    with round_.suite("nine", n_cases=2) as suite:
        for name in ("speed", "memory"):
            with suite.case(name, dim=name) as case:
                about = {"$ai_model": "gpt-4o-mini", "$ai_provider": "openai"}
                about |= {"$ai_input_tokens": 1000, "$ai_output_tokens": 100, "$ai_latency": 0}
                about |= {"$ai_span_name": f"judge {name}", "$ai_input": "score this"}
                pane.posthog.capture("$ai_generation", properties=about)
                case.judged(0.5, passed=True)
pane.close()
