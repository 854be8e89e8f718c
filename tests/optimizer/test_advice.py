"""Every rule's advice for every provider, from findings made by hand: no server, no queries."""

from __future__ import annotations

import ast
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from nightpane.optimizer import price_map
from nightpane.optimizer.fields import Scope
from nightpane.optimizer.model import (
    Call,
    Contents,
    Diagnosis,
    FailureFinding,
    Metrics,
    OperationFailures,
    OperationMetrics,
    Patterns,
    Pricing,
    Recommendation,
    Sample,
    Saving,
    Spread,
    Tails,
    Tokens,
    Unpriced,
    Usage,
    Verdict,
    WindowTotals,
)
from nightpane.optimizer.price_map import PriceMap, Prices
from nightpane.optimizer.recommendations import (
    accounting,
    cache_misses,
    context_stuffing,
    failing,
    identical_calls,
    malformed_output,
    model_misuse,
    money,
    prompt_bloat,
    retry_storm,
    runaway_output,
    tool_loop,
)
from nightpane.optimizer.recommendations.facts import (
    Draft,
    Group,
    Material,
    Part,
    Plan,
    Prefixed,
    Prompts,
    Subject,
    TraceCalls,
)
from nightpane.optimizer.recommendations.measuring import hogql, timing
from nightpane.optimizer.recommendations.snippets import literal
from nightpane.optimizer.savings import together

END = datetime(2026, 5, 31, tzinfo=UTC)
NASTY = "a'b\"c`d\\|</script>{x}\n```\n# not a heading\u202e"
PROVIDERS = [
    ("anthropic", "claude-sonnet-4-5"),
    ("openai", "gpt-4o"),
    ("azure", "gpt-4o"),
    ("gemini", "gemini-2.5-pro"),
    ("google", "google/gemini-2.5-pro"),
    ("vertex_ai", "claude-opus-4-1"),
    ("bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ("deepseek", "deepseek-chat"),
    ("openrouter", "anthropic/claude-sonnet-4-5"),
    ("", NASTY),
]
CAUSES = (
    *("cache_misses", "model_misuse", "identical_calls", "retry_storm", "tool_loop"),
    *("context_stuffing", "prompt_bloat", "runaway_output"),
)


@pytest.fixture(scope="module")
def known() -> PriceMap:
    return price_map.load(live=False)


def subject(known: PriceMap, provider: str, model: str, name: str = "answer") -> Subject:
    """An operation of which everything is wrong."""
    tokens = Tokens(uncached=900_000, output=9_000)
    usage = Usage(name, model, provider, "", 0, True, 7, 100, 0, 10.0, 0.0, tokens)
    metrics = OperationMetrics(
        operation=name,
        calls=100,
        errors=10,
        cost_usd=10.0,
        error_cost_usd=1.0,
        tokens=tokens,
        traces=50,
        latency_s=Spread(1, 3, 90),
        prompt=Spread(9_000, 12_000, 90_000),
        output=Spread(90, 200, 60_000),
        last=END,
        windows=(WindowTotals(7, 40, 4.0, 2, 1e5), WindowTotals(30, 100, 10.0, 10, 9e5)),
        trend=None,
        models=(model,),
    )
    kinds = ("errors", "timeouts", "rate_limits", "truncated", "empty", "malformed")
    whole = Metrics(
        operations=(metrics,),
        models=(),
        windows=metrics.windows,
        daily=(),
        cost_usd=10.0,
        calls=100,
        errors=10,
        tokens=tokens,
        untraced_calls=0,
    )
    return Subject(
        metrics=metrics,
        diagnosis=Diagnosis(
            name, None, 10.0, 100, CAUSES, tuple(Verdict(c, True, "so", {}, 5.0) for c in CAUSES)
        ),
        failures=OperationFailures(
            *(name, 100, 10, 0.05, 0.2, 2, 3, 4, 0.1, 5, 0.1, 6, 1.0, 3.0),
            tuple(FailureFinding(kind, f"{kind} often", 5, 0.5, ("t1",)) for kind in kinds),  # type: ignore[arg-type]
        ),
        bursts=(),
        usage=(usage,),
        patterns=Patterns(
            traces=50,
            calls=100,
            cost_usd=10.0,
            first_prompt_p50=9_000,
            calls_p50=1,
            calls_max=8,
            repeating_traces=3,
            repeating_calls=9,
            repeating_cost_usd=1.0,
            growing_traces=3,
            growing_cost_usd=3.0,
            growing_prompt=90_000,
            growing_resent=70_000,
        ),
        tails=Tails(45_000, 3, 1.0, 9e4, ("t1",), 1_000, 3, 2.0, 9e4, ("t1",)),
        contents=Contents(
            calls=100,
            read=100,
            stable_chars=16_000,
            tool_calls=50,
            loop_traces=3,
            loop_calls=9,
            json_outputs=50,
            malformed_outputs=9,
        ),
        pricing=Pricing(Prices(known, [(model, provider)]), (), (), (usage,)),
        whole=whole,
        scope=Scope(END - timedelta(days=30), END),
        material=material(name, provider, model),
        samples=(
            Sample("t1", name, "dearest", 1.0, 9, 1, "", "{", "json_corruption", "", 1, 0, 1),
        ),
    )


def material(name: str, provider: str, model: str) -> Material:
    start = END - timedelta(days=2)

    def call(trace: str, number: int, prompt: float, **more: object) -> Call:
        at = start + timedelta(seconds=number)
        tokens = Tokens(uncached=prompt, output=50)
        ids = (f"{trace}{number}", trace, name)
        one = Call(*ids, at, model, provider, 0.1, tokens, 1.0, 200, False, "stop")
        return replace(one, **more)  # type: ignore[arg-type]

    tool = '[{"type": "function", "function": {"name": "find", "arguments": "{}"}}]'
    traces = {
        "retry_storm": [call("t1", n, 900, input_hash="h", shape_hash="s") for n in range(6)],
        "context_stuffing": [call("t2", n, 500 + 900.0 * n) for n in range(9)],
        "tool_loop": [call("t3", n, 500 + n, output_text=tool) for n in range(5)],
    }
    kinds = (
        *("model_misuse", "prompt_bloat", "runaway_output", "unpriced", "differing", "timeouts"),
        *("rate_limits", "truncated", "empty", "errors"),
    )
    group = Group(
        *("t1", model, provider, "", 0, 2, 0.5, Tokens(uncached=50_000, output=4_000)),
        prompt_beyond=(20_000, 10_000, 40_000),
        output_beyond=(2_000, 1_000, 3_000),
    )
    prompts = Prompts(10, 10, 2, 1.0, Tokens(uncached=9_000, output=900), model, provider, ("t1",))
    calls = [
        Prefixed(
            *(f"t{n}", 1e9 + 10.0 * n, model, provider, "", 0),
            *(0.1, Tokens(uncached=9_000, output=50), 36_000, "p"),
        )
        for n in range(20)
    ]
    return Material(
        groups={(kind, name): (group,) for kind in kinds},
        traces={(kind, name): TraceCalls({c[0].trace_id: tuple(c)}) for kind, c in traces.items()},
        prompts={name: (prompts,)},
        prefixed={name: tuple(calls)},
    )


def drafts(of: Subject) -> dict[str, Draft]:
    rules = (
        *(cache_misses, model_misuse, identical_calls, retry_storm, tool_loop),
        *(context_stuffing, prompt_bloat, runaway_output, malformed_output),
    )
    found = [rule.advise(of) for rule in rules]
    found += [failing.advise_on(kind, of) for kind in failing.KINDS]
    usage = of.usage[0]
    lacking = Unpriced(usage.model, usage.provider, 100, usage.tokens, None, None, (of.name,))
    found.append(accounting.unpriced(of, lacking))
    return {one.cause: one for one in found if one is not None}


@pytest.mark.parametrize(
    ("provider", "model"), PROVIDERS, ids=[p or "unknown" for p, _ in PROVIDERS]
)
def test_code_is_python_for_every_provider(known: PriceMap, provider: str, model: str) -> None:
    found = drafts(subject(known, provider, model, NASTY))
    always = {*failing.KINDS, "retry_storm", "tool_loop", "identical_calls", "prompt_bloat"}
    assert always | {"runaway_output", "unpriced_model", "malformed"} <= set(found)
    for cause, one in found.items():
        for text in (one.fix.before, one.fix.after):
            ast.parse(text)
        assert one.fix.before != one.fix.after, cause


@pytest.mark.parametrize(
    ("provider", "model", "cache", "limit"),
    [
        ("anthropic", "claude-sonnet-4-5", "cache_control", "max_tokens="),
        ("openai", "gpt-4o", "prompt_cache_key=", "max_completion_tokens="),
        ("gemini", "gemini-2.5-flash", "caches.create", "max_output_tokens="),
        (
            *("bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0"),
            *('"cachePoint": {"type": "default"}', '"maxTokens": '),
        ),
        ("deepseek", "deepseek-chat", "https://api.deepseek.com", "max_tokens="),
    ],
)
def test_the_provider_s_own_parameters(
    known: PriceMap, provider: str, model: str, cache: str, limit: str
) -> None:
    found = drafts(subject(known, provider, model))
    assert cache in found["cache_misses"].fix.after
    assert limit in found["runaway_output"].fix.after
    assert limit in found["truncated"].fix.after


@pytest.mark.parametrize(
    ("provider", "model", "schema"),
    [
        ("openai", "gpt-4o", '"type": "json_schema"'),
        ("anthropic", "claude-sonnet-4-5", '"input_schema": SCHEMA'),
        ("gemini", "gemini-2.5-flash", "response_schema=SCHEMA"),
        ("groq", "llama-3.3-70b-versatile", '"type": "json_object"'),
    ],
)
def test_answers_by_a_schema(known: PriceMap, provider: str, model: str, schema: str) -> None:
    of = subject(known, provider, model)
    assert schema in drafts(of)["malformed"].fix.after
    assert malformed_output.advise(replace(of, samples=())) is None  # none was seen to be corrupt


def test_the_cheaper_model_is_named_as_the_provider_calls_it(known: PriceMap) -> None:
    found = drafts(subject(known, "gemini", "gemini-2.5-pro"))["model_misuse"]
    assert '"gemini-2.5-flash-lite", "gemini-2.5-pro"' in found.fix.after
    assert "gemini/" not in found.fix.after


def test_a_model_without_a_price_is_never_given_a_saving_that_needs_one(known: PriceMap) -> None:
    found = drafts(subject(known, "", NASTY))
    assert not {"cache_misses", "model_misuse"} & set(found)
    assert found["retry_storm"].parts[0].usd == pytest.approx(0.4)  # a call not made costs nothing


def test_nothing_confirmed_nothing_advised(known: PriceMap) -> None:
    of = subject(known, "openai", "gpt-4o")
    assert of.diagnosis is not None
    excluded = tuple(replace(one, confirmed=False) for one in of.diagnosis.verdicts)
    unknown = tuple(replace(one, confirmed=None) for one in of.diagnosis.verdicts)
    for verdicts in (excluded, unknown):
        innocent = replace(of, diagnosis=replace(of.diagnosis, verdicts=verdicts), failures=None)
        assert set(drafts(innocent)) == {"unpriced_model"}


def test_no_saving_exceeds_what_the_calls_cost(known: PriceMap) -> None:
    of = subject(known, "anthropic", "claude-sonnet-4-5")
    for one in drafts(of).values():
        saved = money.saving(of, one, ["t1"])
        assert 0 <= saved.monthly_low_usd <= saved.monthly_usd <= saved.monthly_high_usd
        assert saved.window_usd <= of.metrics.cost_usd
        assert sum(saved.claims.values()) == pytest.approx(saved.window_usd)


def test_prefixes_below_the_provider_s_minimum_are_not_cached(known: PriceMap) -> None:
    of = subject(known, "anthropic", "claude-sonnet-4-5")
    short = replace(of, contents=replace(of.contents, stable_chars=3_000))  # 750 tokens
    assert cache_misses.advise(short) is None
    assert cache_misses.minimum_tokens(known.models["claude-sonnet-4-5"]) == 1024
    assert cache_misses.minimum_tokens(known.models["claude-haiku-4-5"]) == 4096


def test_the_window_is_whole_weeks_and_long_enough_for_the_change(known: PriceMap) -> None:
    of = subject(known, "openai", "gpt-4o")  # 20 traces a week
    large = timing(of, Plan("share", "%", before=60.0, after=6.0, names=("output",)))
    assert (large.days, large.enough) == (14, True)
    small = timing(of, Plan("share", "%", before=6.0, after=5.0, names=("output",)))
    assert (small.days, small.enough) == (28, False)
    assert "will only show it if it is larger" in small.why
    mean = timing(of, Plan("mean", "USD", before=1.0, after=0.5, names=("billed",), cv=0.5))
    assert mean.days == 14


def test_a_measurement_is_bound_to_the_project_and_takes_values_apart(known: PriceMap) -> None:
    plan = Plan("share", "%", 5.0, 1.0, names=("output",), select="max(output)")
    assert "properties.project = {project}" in hogql(plan, "web")
    assert "project" not in hogql(plan, None)
    assert "{operation}" in hogql(plan, None)
    of = subject(known, "", NASTY, NASTY)
    for one in drafts(of).values():
        assert NASTY not in hogql(one.plan, None)


@pytest.mark.parametrize("text", ["gpt-4o", NASTY, "it's", 'say "x"', "é\u2028", "\x00", "", "\\"])
def test_a_literal_is_the_very_text(text: str) -> None:
    assert ast.literal_eval(literal(text)) == text


def test_together_counts_the_same_cost_once(known: PriceMap) -> None:
    of = subject(known, "openai", "gpt-4o")
    base = drafts(of)

    def made(cause: str, parts: list[Part]) -> Recommendation:
        draft = replace(base[cause], parts=parts, scale=1.0)
        saved: Saving = money.saving(of, draft, ["t1"])
        return Recommendation(
            id=cause,
            cause=cause,
            operation=of.name,
            title="",
            problem="",
            why="",
            evidence=(),
            excerpt="",
            fix=draft.fix,
            measurement=None,  # type: ignore[arg-type]
            saving=saved,
            ease=3,
        )

    first = made("cache_misses", [Part("t1", 4.0, 3.0, 5.0, 4.0)])
    second = made("prompt_bloat", [Part("t1", 3.0, 2.0, 4.0, 3.0)])
    third = made("runaway_output", [Part("t1", 2.0, 1.0, 2.0, 0.0)])
    both = together([first, second, third])
    assert both.monthly_usd == pytest.approx(6.0)  # input 4, of which 3 again; output 2
    assert both.overlap_usd == pytest.approx(3.0)
