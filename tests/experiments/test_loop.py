"""The whole way: an experiment from the command line, a loop that reads its flag, the verdict."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from nightpane import Pane
from nightpane.cli.main import cli
from nightpane.testing import LocalServer

ROUNDS = 240


@pytest.fixture
def nightpane(server: LocalServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Run a command against the module's server; return what it printed."""
    for name, value in server.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, exit_code: int = 0) -> str:
        done = CliRunner().invoke(cli, ["experiments", *arguments])
        assert done.exit_code == exit_code, f"{done.output}{done.exception!r}"
        return done.stdout

    return run


def loop(tmp_path: Path, *, effect: float, seed: int, rounds: int = ROUNDS) -> dict[str, str]:
    """Run a loop that scores better by ``effect`` where scorer_v2 is on; return rounds' variants.

    Round ids are made from the seed, so that the split is the same each time.
    """
    rng = random.Random(seed)
    variants = {}
    pane = Pane("sim", spool_dir=tmp_path / f"spool-{seed}", strict=True)
    with pane, pane.run(agent="coder", metric="accuracy", direction="max") as night:
        for number in range(rounds):
            made = f"01KK{number:06d}" + "".join(rng.choices("0123456789ABCDEF", k=16))
            with night.round(round_id=made) as round_:
                better = round_.knobs.scorer_v2
                variants[made] = "test" if better else "control"
                score = rng.gauss(0.5 + effect * better, 0.1)
                round_.scored(score)
                if score > 0.58:
                    round_.keep(cost_usd=rng.uniform(0.01, 0.02))
                else:
                    round_.revert("score_missed", cost_usd=rng.uniform(0.01, 0.02))
        assert pane.flush(30)
    return variants


def test_a_better_scorer_is_found(nightpane: Any, tmp_path: Path) -> None:
    made = json.loads(
        nightpane(
            *("create", "second scorer", "--flag", "scorer_v2", "--minimum-effect", "10"),
            *("--metric", "best_score", "--metric", "kept_rate", "--metric", "cost_per_kept"),
            "--json",
        )
    )
    assert made["status"] == "draft"
    assert made["feature_flag"]["bucketing_identifier"] == "device_id"
    assert "launch" in nightpane("show", "second scorer")
    assert "second scorer runs" in nightpane("launch", "second scorer")
    variants = loop(tmp_path, effect=0.08, seed=1)
    counts = {key: list(variants.values()).count(key) for key in ("control", "test")}
    assert min(counts.values()) > 0.4 * ROUNDS

    best, kept, cost = json.loads(nightpane("results", "second scorer", "--json"))
    assert best["exposures"]["total_exposures"] == {**counts, "$multiple": 0}
    (test,) = best["variant_results"]
    assert test["decision"] == "better"
    assert test["significant"] is True
    assert test["guard"]["significant"] is True
    assert test["credible_interval"][0] < 0.08 / 0.5 < test["credible_interval"][1]
    assert test["chance_to_win"] > 0.99
    assert kept["variant_results"][0]["chance_to_win"] > 0.99
    assert cost["variant_results"][0]["effect"] < 0
    assert best["warnings"][0].startswith("the flag varies from round to round")

    table = nightpane("results", "second scorer", "--metric", "best_score")
    assert "better" in table
    assert f"{counts['test']}" in table
    assert "n counts rounds" in table
    assert "has ended" in nightpane("end", "second scorer", "--conclusion", "won")
    assert "stopped" in nightpane("list")


def test_the_same_scorer_is_not_called_better(nightpane: Any, tmp_path: Path) -> None:
    # The same flag serves the next experiment.
    nightpane("create", "no change", "--flag", "scorer_v2", "--minimum-effect", "10", "--launch")
    loop(tmp_path, effect=0.0, seed=2)
    (best,) = json.loads(nightpane("results", "no change", "--json"))
    (test,) = best["variant_results"]
    assert test["significant"] is False
    assert test["decision"] in ("no effect seen", "not enough data")
    assert sum(best["exposures"]["total_exposures"].values()) == ROUNDS


def test_a_short_night_says_how_many_rounds_are_missing(nightpane: Any, tmp_path: Path) -> None:
    nightpane("create", "short", "--flag", "scorer_v2", "--minimum-effect", "8", "--launch")
    loop(tmp_path, effect=0.3, seed=3, rounds=30)
    (best,) = json.loads(nightpane("results", "short", "--json"))
    needed = best["variant_results"][0]["sample_size_needed"]
    assert best["in_words"] == {"test": f"not enough data: 30 of about {2 * needed} rounds"}
    assert f"30 of about {2 * needed} rounds" in nightpane("results", "short")


def test_a_mistake_is_one_line(nightpane: Any) -> None:
    done = CliRunner().invoke(cli, ["experiments", "results", "nowhere"])
    assert "there is no experiment 'nowhere'" in str(done.exception)
    done = CliRunner().invoke(
        cli, ["experiments", "create", "x", "--flag", "x", "--variants", "test"]
    )
    assert "write control=50,test=50" in str(done.exception)
    nightpane("create", "drafted", "--flag", "drafted_flag")
    done = CliRunner().invoke(cli, ["experiments", "results", "drafted"])
    assert "launch it first" in str(done.exception)
