"""Containers found in the wild: the scores that were published, and rounds of improvement."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nightpane.gtm.container import Container
from nightpane.gtm.invariants import check
from nightpane.gtm.mending import propose
from nightpane.gtm.mutations import apply
from nightpane.gtm.scorer import score
from nightpane.gtm.signals import Action, Event, Signals

SHARED = Path(__file__).parents[3] / "shared" / "data" / "gtm"
pytestmark = pytest.mark.skipif(
    not SHARED.is_dir(), reason="../shared/data/gtm is absent: real containers cannot be scored"
)
CONTAINERS = sorted((SHARED / "containers").glob("*.json"))


def named(part: str, folder: str = "containers") -> Path:
    (found,) = (SHARED / folder).glob(f"*{part}*.json")
    return found


PURCHASE = Event(
    name="Purchase", count=10, value=100, browser=10, server=10, dedup_rate=0.9, match_quality=7
)
ACTION = Action(
    name="p", category="PURCHASE", enabled=True, conversions=10, value=100, snippet="AW-123/fixture"
)


@pytest.mark.parametrize(
    ("part", "signals", "profile", "expected"),
    [
        ("tests_fixtures", None, None, 0.3682),
        ("tests_fixtures", Signals(events=(PURCHASE,)), None, 0.4053),
        ("tests_fixtures", Signals(events=(PURCHASE,), actions=(ACTION,)), None, 0.3711),
        ("HRE_seed", "meta-ads-snapshot", None, 0.8577),
        ("sample-server", None, "structural", 0.3258),
        ("addingwell", None, None, 0.6960),
        ("michael-chen-au", None, None, 0.4474),
    ],
)
def test_published_scores(
    part: str, signals: Signals | str | None, profile: str | None, expected: float
) -> None:
    if isinstance(signals, str):
        signals = Signals.read(named(signals, "signals"))
    verdict = score(Container.read(named(part)), signals, profile=profile)
    assert verdict.score == pytest.approx(expected, abs=5e-5)


def test_the_seeds_dimensions() -> None:
    signals = Signals.read(named("enriched", "signals"))
    found = score(Container.read(named("HRE_seed")), signals).dimensions
    assert found["metaAdsAlignment"] == found["capiCoverage"] == pytest.approx(0.9814, abs=5e-5)
    assert found["funnelIntegrity"] == pytest.approx(0.7)


@pytest.mark.parametrize("path", CONTAINERS, ids=lambda path: path.stem[-30:])
def test_rounds_make_it_better_and_it_stays_importable(path: Path) -> None:
    seed = best = Container.read(path)
    assert json.loads(seed.text) == json.loads(path.read_text("utf-8"))
    verdict = score(best)
    begun, tried = verdict.score, []
    for _ in range(30):
        proposed = propose(verdict, best, tried)
        if proposed is None:
            break
        candidate = apply(best, proposed.operations)
        found = score(candidate)
        if found.score > verdict.score and not check(best, candidate):
            best, verdict = candidate, found
        else:
            tried.append(proposed.operations)
    assert verdict.score > begun + 0.1
    assert check(seed, best, budget=10_000) == []
    assert Container.parse(best.text).document == best.document
    for entity in (*best.tags, *best.triggers, *best.variables):
        assert entity.type
        assert entity.id.isdecimal()
