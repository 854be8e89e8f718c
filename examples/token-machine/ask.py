"""Ask through Token Machine's proxy with OpenAI's own client, and grade the answer.

    export OPENAI_BASE_URL=http://127.0.0.1:8330/v1 OPENAI_API_KEY=<a key of the proxy>
    python examples/token-machine/ask.py "Rewrite: buy now"

Inside a round, ``extra_headers=round_.carrier()`` beside the task type puts the call into it.
"""

from __future__ import annotations

import sys

from openai import OpenAI


def main(question: str) -> None:
    """Print the answer, who gave it and what it cost; grade it by its length."""
    with OpenAI() as client:
        raw = client.chat.completions.with_raw_response.create(
            model="auto",
            messages=[{"role": "user", "content": question}],
            extra_headers={"X-Task-Type": "gtm.rewrite"},
        )
        text = raw.parse().choices[0].message.content or ""
        print(text)
        for name in ("model", "reason", "cost-usd"):
            print(f"{name}: {raw.headers.get('x-token-machine-' + name)}")
        grade = {
            "request_id": raw.headers["x-token-machine-request-id"],
            "score": 1.0 if len(text) <= len(question) else 0.5,
        }
        client.post("/feedback", body=grade, cast_to=object)
        print(f"graded: {grade['score']}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "Rewrite in five words: our product is very good")
