"""An AutoResearch loop that really trains: propose, apply, train, score, keep or revert.

    python examples/digits/loop.py --rounds 40

Every event goes through nightpane's client to the PostHog project or the local server that the
environment names. Training costs what its processor time costs; ``--usd-per-cpu-hour`` says how
much that is.
"""

from __future__ import annotations

import argparse
import difflib
import json
import random
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import nightpane
from propose import Forest, HillClimb, Proposer, Tried, is_better
from train import Config, Score, TrainingError, train

STALL_ROUNDS = 6  # rounds without a gain before the other proposer takes over


@dataclass
class Night:
    """What the loop knows while it runs."""

    workdir: Path
    seed: int
    usd_per_cpu_s: float
    best: Config = field(default_factory=Config)
    best_loss: float = float("inf")
    since_gain: int = 0
    tried: list[Tried] = field(default_factory=list)

    @property
    def config_file(self) -> Path:
        """The one file a proposal may change."""
        return self.workdir / "train.cfg"


def main() -> None:
    """Run one night and leave its events in the project."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--workdir", type=Path, default=Path(".nightpane/digits"))
    parser.add_argument("--seed", type=int, default=None, help="default: another one each night")
    parser.add_argument("--usd-per-cpu-hour", type=float, default=0.05)
    args = parser.parse_args()
    args.workdir.mkdir(parents=True, exist_ok=True)
    seed = random.randrange(2**31) if args.seed is None else args.seed
    night = Night(args.workdir, seed, args.usd_per_cpu_hour / 3600)
    with nightpane.Pane(project="autoresearch", client="demo") as pane:
        run_night(pane, night, args.rounds)
        if not pane.flush(timeout_s=30):
            print("not everything is delivered yet: 'nightpane spool flush' sends the rest")


def run_night(pane: nightpane.Pane, night: Night, rounds: int) -> None:
    """Run the rounds, one proposer after the other as they stall."""
    ladder: list[Proposer] = [HillClimb(night.seed), Forest(night.seed, read_batches(night))]
    with pane.run() as run, bar() as progress:
        task = progress.add_task("baseline", total=rounds)
        for number in range(rounds):
            run_round(run, night, None if number == 0 else ladder[0])
            progress.update(task, advance=1, description=f"best loss {night.best_loss:.4f}")
            if night.since_gain >= STALL_ROUNDS and len(ladder) > 1:
                run.escalated(
                    agent="proposer",
                    from_model=ladder[0].name,
                    to_model=ladder[1].name,
                    stall_rounds=night.since_gain,
                    reason=f"{night.since_gain} rounds without a gain",
                )
                del ladder[0]
        publish_batch(run, night)
        run.stop("max_rounds")


def run_round(run: nightpane.Run, night: Night, proposer: Proposer | None) -> None:
    """Try one proposal; without a proposer, measure the configuration as it stands."""
    name = proposer.name if proposer else "baseline"
    baseline = night.best_loss if night.tried else None
    with run.round(agent="proposer", model=name, baseline_score=baseline) as round_:
        started = time.perf_counter()
        config = proposer.propose(night.best, night.tried) if proposer else night.best
        diff = "".join(
            difflib.unified_diff(
                night.best.text().splitlines(keepends=True),
                config.text().splitlines(keepends=True),
                "train.cfg",
                "train.cfg",
            )
        )
        round_.generated(model=name, summary=summary(night.best, config), diff=diff,
                         latency_ms=since_ms(started))  # fmt: skip
        started = time.perf_counter()
        night.config_file.write_text(config.text(), "utf-8")
        round_.applied(target=night.config_file.name, diff_bytes=len(diff.encode()),
                       apply_latency_ms=since_ms(started))  # fmt: skip
        cpu_started = time.process_time()
        try:
            score = train(config, night.seed)
        except TrainingError as error:
            cost_usd = (time.process_time() - cpu_started) * night.usd_per_cpu_s
            night.tried.append(Tried(config, None))
            night.since_gain += 1
            put_back(night)
            round_.revert("crash", reason=str(error), cost_usd=cost_usd)
            return
        cost_usd = (time.process_time() - cpu_started) * night.usd_per_cpu_s
        decide(round_, night, config, score, cost_usd)


def decide(
    round_: nightpane.Round, night: Night, config: Config, score: Score, cost_usd: float
) -> None:
    """Keep what beats the best so far, put back what does not."""
    night.tried.append(Tried(config, score.val_loss))
    round_.scored(
        score.val_loss,
        dims={"accuracy": score.accuracy, "worst_class": score.worst_class},
        metric="val_loss",
        direction="min",
        measured=True,
    )
    if is_better(score.val_loss, night.best_loss):
        night.best, night.best_loss, night.since_gain = config, score.val_loss, 0
        round_.keep(cost_usd=cost_usd)
    else:
        night.since_gain += 1
        put_back(night)
        round_.revert("score_missed", cost_usd=cost_usd)


def put_back(night: Night) -> None:
    """Restore the best configuration in the file the loop edits."""
    night.config_file.write_text(night.best.text(), "utf-8")


def publish_batch(run: nightpane.Run, night: Night) -> None:
    """Write the night's rounds as a training batch: the next night's forest learns from it."""
    path = night.workdir / f"batch-{run.run_id}.jsonl"
    lines = [{"config": asdict(one.config), "val_loss": one.val_loss} for one in night.tried]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    run.published(
        agent="proposer",
        batch_id=run.run_id,
        n_examples=len(lines),
        r2_key=path.name,
        target_model=Forest.name,
    )


def read_batches(night: Night) -> list[Tried]:
    """Return the rounds of earlier nights in the same folder."""
    lines = (
        json.loads(line)
        for path in sorted(night.workdir.glob("batch-*.jsonl"))
        for line in path.read_text("utf-8").splitlines()
    )
    return [Tried(Config(**line["config"]), line["val_loss"]) for line in lines]


def summary(before: Config, after: Config) -> str:
    """Return the change in words, such as ``hidden 24 → 64``."""
    old, new = asdict(before), asdict(after)
    changes = [f"{name} {old[name]} → {new[name]}" for name in old if old[name] != new[name]]
    return ", ".join(changes) or "the configuration as it stands"


def since_ms(started: float) -> int:
    """Return the milliseconds since a ``time.perf_counter()``."""
    return round((time.perf_counter() - started) * 1000)


def bar() -> Progress:
    """Return the progress bar of the rounds."""
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    )


if __name__ == "__main__":
    main()
