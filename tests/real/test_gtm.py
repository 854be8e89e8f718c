"""Containers found in the wild: the scores that were published, and rounds of improvement."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from nightpane.gtm.container import Container
from nightpane.gtm.importable import problems
from nightpane.gtm.invariants import check
from nightpane.gtm.mending import propose
from nightpane.gtm.mutations import Operation, apply
from nightpane.gtm.rubric import Rubric
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


# The public loop's names of dimensions in the files of its server client.
NAMES = {"naming": "prefixedNames", "variableHygiene": "serverReferences"}


def test_recorded_rounds_weigh_the_same() -> None:
    """Every round of every recorded run: its dimensions, weighed, are its score."""
    weights = Rubric.default().profiles
    seen = 0
    for path in sorted((SHARED / "loop-results").glob("*.json")):
        profile = "server" if "blade-server" in path.name else "meta_only_legacy"
        for row in json.loads(path.read_text("utf-8"))["results"]:
            values = row["dimensions"]
            if profile == "server":
                values = {NAMES.get(name, name): value for name, value in values.items()}
            weighed = weights["full" if len(values) == 12 else profile]
            assert values.keys() == weighed.keys()
            total = sum(weight * values[name] for name, weight in weighed.items())
            assert total == pytest.approx(row["score"], abs=6e-5), path.name
            seen += 1
    assert seen == 70


def rounds(seed: Container, signals: Signals | None, profile: str | None) -> tuple[Container, int]:
    """Return what ten rounds of the rules make of a container, and how many were kept."""
    best, verdict, kept = seed, score(seed, signals, profile=profile), 0
    tried: list[Sequence[Operation]] = []
    for _ in range(10):
        proposed = propose(verdict, best, tried)
        if proposed is None:
            break
        candidate = apply(best, proposed.operations)
        assert check(best, candidate) == []
        found = score(candidate, signals, profile=profile)
        if found.score > verdict.score:
            best, verdict, kept = candidate, found, kept + 1
        else:
            tried.append(proposed.operations)
    return best, kept


@pytest.mark.parametrize("path", CONTAINERS, ids=lambda path: path.stem[-30:])
@pytest.mark.parametrize(
    ("signals", "profile"),
    [(None, None), ("meta-ads-snapshot", "meta_only_legacy"), ("enriched", "full"),
     (None, "booking")],
)  # fmt: skip
def test_rounds_make_it_better_and_it_stays_importable(
    path: Path, signals: str | None, profile: str | None
) -> None:
    seed = Container.read(path)
    assert json.loads(seed.text) == json.loads(path.read_text("utf-8"))
    seen = None if signals is None else Signals.read(named(signals, "signals"))
    best, kept = rounds(seed, seen, profile)
    begun, ended = (score(one, seen, profile=profile).score for one in (seed, best))
    assert kept >= 1
    assert ended > begun + 0.02
    assert check(seed, best, budget=10_000) == []
    assert Container.parse(best.text).document == best.document
    assert set(problems(best)) <= set(problems(seed))
