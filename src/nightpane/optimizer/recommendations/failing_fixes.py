"""What to do about each failure mode, in the code of the provider that the calls use."""

from __future__ import annotations

from nightpane.optimizer.model import Fix
from nightpane.optimizer.recommendations.facts import Subject
from nightpane.optimizer.recommendations.snippets import indented, join
from nightpane.optimizer.words import count

__all__ = ["empty", "errors", "rate_limits", "timeouts", "truncated"]


def truncated(subject: Subject) -> Fix:
    dialect, model = subject.dialect, subject.model
    longest = max(one.tokens.output / one.calls for one in subject.groups("truncated"))
    now, then = round(longest), _raised(subject, longest)
    after = join(
        dialect.client(),
        dialect.call(model, limit=str(then)),
        f"""
        if {dialect.cut}:
            raise ValueError("the answer is cut off: do not use it")
        """,
    )
    return Fix(
        join(dialect.client(), dialect.call(model, limit=str(now)), f"use({dialect.text})"),
        join(after, f"use({dialect.text})"),
        f"The cut answers end at {count(now)} tokens. Raise the limit, and check why an answer "
        "ended before using it; where shorter answers would do, ask for them in the prompt.",
    )


def _raised(subject: Subject, longest: float) -> int:
    price = subject.price(subject.model, subject.dearest.provider)
    most = price.entry.get("max_output_tokens") if price else None
    doubled = max(round(2 * longest), 256)
    return min(doubled, int(most)) if isinstance(most, int | float) and most > longest else doubled


def empty(subject: Subject) -> Fix:
    dialect, model = subject.dialect, subject.model
    reason = {
        "openai": "response.choices[0].finish_reason",
        "anthropic": "response.stop_reason",
        "gemini": "response.candidates[0].finish_reason if response.candidates else "
        "response.prompt_feedback",
        "bedrock": 'response["stopReason"]',
    }[dialect.api]
    text = {
        "openai": 'response.choices[0].message.content or ""',
        "anthropic": '"".join(one.text for one in response.content if one.type == "text")',
        "gemini": 'response.text or ""',
        "bedrock": '"".join(one.get("text", "") '
        'for one in response["output"]["message"]["content"])',
    }[dialect.api]
    call = indented(dialect.call(model))
    after = join(
        "import logging",
        dialect.client(),
        f"def ask(messages: list) -> str:\n{call}\n    text = {text}\n"
        "    if not text.strip():\n"
        f'        logging.error("empty answer: %s", {reason})\n'
        '        raise ValueError("the model answered nothing")\n'
        "    return text",
    )
    return Fix(
        join(dialect.client(), dialect.call(model), f"use({dialect.text})"),
        after,
        "An empty answer passes for a success. Refuse it, and log why the model stopped: a "
        "content filter, a stop sequence at the very start, or a limit that reasoning used up "
        "ask for different remedies.",
    )


def rate_limits(subject: Subject) -> Fix:
    dialect, model = subject.dialect, subject.model
    own = any(one.own for one in subject.bursts)
    call = indented(dialect.call(model), 8)
    before = join(
        "from concurrent.futures import ThreadPoolExecutor",
        dialect.client(tries=0),
        "def ask(messages: list) -> str:\n"
        + indented(dialect.call(model))
        + f"\n    return {dialect.text}",
        "with ThreadPoolExecutor(64) as pool:\n    answers = list(pool.map(ask, conversations))",
    )
    after = join(
        "import threading\nfrom concurrent.futures import ThreadPoolExecutor",
        dialect.client(tries=5),
        "AT_ONCE = threading.BoundedSemaphore(8)",
        "def ask(messages: list) -> str:\n    with AT_ONCE:\n"
        + call
        + f"\n    return {dialect.text}",
        "with ThreadPoolExecutor(64) as pool:\n    answers = list(pool.map(ask, conversations))",
    )
    why = (
        "The limits follow its own bursts: send fewer calls at once, and let the client wait as "
        "the answer's Retry-After asks."
        if own
        else "Its own load is as usual when the limit is reached: another program uses the same "
        "key. Retries with pauses help; a key or a quota of its own helps more."
    )
    return Fix(before, after, f"{why} The numbers are to be set by the account's limit.")


def timeouts(subject: Subject) -> Fix:
    dialect, model = subject.dialect, subject.model
    usual = subject.metrics.latency_s
    limit = max(10, min(600, round(2 * usual.p95)))
    most = max(256, 2 * round(subject.metrics.output.p95))
    return Fix(
        join(dialect.client(), dialect.call(model)),
        join(dialect.client(tries=1, timeout_s=limit), dialect.call(model, limit=str(most))),
        f"Half of its calls answer within {usual.p50:.1f} s and 95 % within {usual.p95:.1f} s. A "
        f"time limit of {limit} s ends the hopeless ones early, one retry gives them a second "
        "chance, and a bound on the answer keeps long generations from running into it. Stream "
        "answers that people wait for.",
    )


def errors(subject: Subject) -> Fix:
    dialect, model = subject.dialect, subject.model
    call = indented(dialect.call(model), 8)
    after = join(
        "import logging",
        dialect.error_import,
        dialect.client(tries=2),
        "def ask(messages: list) -> str:\n"
        "    check(messages)  # what the provider refused, refused here for nothing\n"
        f"    try:\n{call}\n    except {dialect.transient}:\n"
        '        logging.exception("the provider failed twice")\n'
        "        raise\n"
        f"    return {dialect.text}",
    )
    return Fix(
        join(dialect.client(), dialect.call(model), f"use({dialect.text})"),
        after,
        "Read the message in the excerpt first. A request that is wrong (4xx) fails as often as "
        "it is sent: `check` must refuse it before it is. What is the provider's fault (5xx, "
        "connections) is worth a retry with pauses, which the SDK does by itself, and no more "
        "than that.",
    )
