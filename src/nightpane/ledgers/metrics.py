"""Which way a metric points, guessed from its name, and which column looks like the metric.

Both are guesses. Whoever uses them says so to the user, and takes what the user states instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from nightpane.ledgers.model import Direction
from nightpane.ledgers.values import words

__all__ = [
    "best_name",
    "direction_of",
    "is_former",
    "normalised",
    "words_of",
    "zero_is_no_value",
]

_LOWER = words(
    "loss losses bpb bpc ppl perplexity error errors err rmse mse mae mape smape rmsle nll "
    "ece brier wer cer der fid kid latency time times runtime duration seconds second sec "
    "secs ms us µs μs ns millis milliseconds minutes hours cost costs price usd memory mem "
    "vram rss regret violations failures failed failing fails bugs warnings drawdown dd bytes "
    "kb mb gb allocs allocations distance divergence kl entropy crossentropy deviation "
    "penalty misses residual p50 p90 p95 p99 ttft tpot itl jitter crossings energy wall "
    "elapsed mismatch mismatches cycles instructions overhead fpr fnr eer perplexities "
    "logloss hinge imbalance skew lag stalls conflicts toffoli"
)
_HIGHER = words(
    "score scores acc accuracy auc auroc roc auprc prauc f1 fscore precision recall map ndcg "
    "ndcg10 mrr reward rewards return returns throughput tps toks qps rps fps ops ips speedup "
    "tflops gflops flops mfu mbu utilization efficiency psnr ssim sharpe sortino calmar "
    "profit pnl win wins winrate r2 rsq correlation corr spearman pearson kendall iou miou "
    "dice bleu rouge rougel meteor bertscore passed coverage quality hits gain gains yield "
    "similarity silhouette elo likelihood fitness utility mcc kappa war bandwidth velocity "
    "improvement agreement completeness alignment reduction savings saved solved reliability "
    "correctness success matches faithfulness relevance helpfulness em exactmatch cagr equity "
    "roi ic"
)
# Words that only decide when no other word of the name does, and that evidence overrules easily.
_WEAK_HIGHER = words("rate pass ratio hit confidence percent pct progress count total")
_WEAK_LOWER = words("gap complexity lines loc variance size gates depth")
_PHRASES: tuple[tuple[str, Direction], ...] = (
    ("per_byte", "min"),
    ("per_character", "min"),
    ("per_token_loss", "min"),
    ("ms_per", "min"),
    ("us_per", "min"),
    ("time_per", "min"),
    ("time_to", "min"),
    ("cost_per", "min"),
    ("seconds_per", "min"),
    ("per_second", "max"),
    ("per_sec", "max"),
    ("tok_s", "max"),
    ("toks_s", "max"),
    ("tokens_s", "max"),
    ("tok_per_s", "max"),
    ("tokens_per_s", "max"),
    ("samples_s", "max"),
    ("it_s", "max"),
    ("req_s", "max"),
    ("gb_s", "max"),
    ("mb_s", "max"),
    ("false_positive", "min"),
    ("false_negative", "min"),
    ("neg_log", "min"),
    ("negative_log", "min"),
    ("edit_distance", "min"),
    ("lower_is_better", "min"),
    ("higher_is_better", "max"),
)
_FLIPS = {"neg", "negative", "minus", "inverse", "inv"}
_BEST_NAMES = words(
    "val_bpb score metric metric_value primary_metric avg_score mean_score new_score "
    "metric_after score_after value val"
)
_FORMER = re.compile(
    r"^(old|before|prev|previous|parent|prior|baseline|base|start|initial|from)(_|$)"
    r"|(_|^)(before|old|prev|previous|baseline)$"
)
_ZERO_IS_NO_VALUE = words(
    "bpb bpc ppl perplexity fid latency time runtime duration seconds ms us µs μs ns"
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NOT_WORD = re.compile(r"[^0-9a-zµμ]+")


@lru_cache(maxsize=4096)
def normalised(name: str) -> str:
    """Return a column's name as lower-case words joined by underscores."""
    return _NOT_WORD.sub("_", _CAMEL.sub("_", name.strip()[:200]).lower()).strip("_")


def words_of(name: str) -> list[str]:
    """Return the words of a column's name."""
    return normalised(name).split("_")


def is_former(name: str) -> bool:
    """Tell whether a column holds a score from before the round (``old_score``, ``…_before``)."""
    return _FORMER.search(normalised(name)) is not None


def zero_is_no_value(name: str) -> bool:
    """Tell whether the metric can hardly be exactly 0, so that 0 stands for "not measured"."""
    return bool(_ZERO_IS_NO_VALUE & set(words_of(name)))


def direction_of(name: str, unit: str | None = None) -> tuple[Direction | None, bool]:
    """Return which way is better by the metric's name (then its unit), and whether that is sure.

    None when neither says. A name such as ``robustness_gap`` says something, but not surely.
    """
    found = _by_name(normalised(name))
    if found[0] is None and unit:
        return _by_name(normalised(unit.replace("/", "_")))
    return found


@lru_cache(maxsize=1024)
def _by_name(name: str) -> tuple[Direction | None, bool]:
    words = name.split("_")
    flip = bool(_FLIPS & set(words)) and "nll" not in words
    padded = f"_{name}_"
    for phrase, direction in _PHRASES:
        if f"_{phrase}_" in padded:
            return direction, True
    found: Direction | None = None
    for word in words:  # the last word is the noun: accuracy_loss is a loss
        stem = word if word in _LOWER | _HIGHER else word.rstrip("0123456789")
        if stem in _LOWER:
            found = "min"
        elif stem in _HIGHER:
            found = "max"
    sure = found is not None
    if found is None and _WEAK_LOWER & set(words):
        found = "min"
    elif found is None and _WEAK_HIGHER & set(words):
        found = "max"
    if found is not None and flip:
        found = "max" if found == "min" else "min"
    return found, sure


def best_name(names: Sequence[str], *, after: int | None = None) -> int | None:
    """Return the index of the name that is most likely the metric's, None when there is none.

    ``names`` are the numeric columns in order; ``after`` is how many of them stand before the
    commit column: AutoResearch's habit is that the metric follows the commit.
    """
    ranked = [(index, _tier(name)) for index, name in enumerate(names)]
    usable = [(index, tier) for index, tier in ranked if tier is not None]
    if after is not None:
        following = [pair for pair in usable if pair[0] >= after]
        first = [index for index, tier in following if tier <= 3]
        if first:
            return _not_training(names, first)
    for tier in (1, 2, 3, 4):
        if found := [index for index, rank in usable if rank == tier]:
            return _not_training(names, found)
    return None


def _not_training(names: Sequence[str], indexes: list[int]) -> int:
    """The first, but the held-out score of a pair of training and held-out ones."""
    first = indexes[0]
    if "train" in words_of(names[first]):
        for index in indexes[1:]:
            if {"val", "valid", "validation", "test", "eval", "dev"} & set(words_of(names[index])):
                return index
    return first


_NEVER = re.compile(
    r"^(id|run|run_id|round|iter|iteration|iterations|step|steps|trial|trial_number|experiment|exp|"
    r"index|idx|no|num|number|seed|version|segment|epoch|epochs|line|attempt|generation|gen|batch|"
    r"n|lr|depth|layers|threshold|timestamp|date|ts|t|confidence|delta|diff|stderr|std|se|"
    r"p_value|pvalue|wilcoxon_p|ci_low|ci_high|cumulative_cost_usd|improvement_pct|rank|priority)$"
    r"|^(n|num|params?|param|config|hyperparams?|arch|delta|asi|seed|best|optuna|count)_"
    r"|_(id|idx|index|std|stderr|se|delta|count|number|version|seed)$"
    r"|^(new_value|old_value|target|goal|schema_version|profile_version|exit_code)$"
)
_SIDE = re.compile(
    r"(^|_)(memory|mem|vram|ram|rss|gb|mb|kb|bytes|time|times|sec|secs|seconds|second|s|ms|us|µs|ns|"
    r"duration|elapsed|wall|runtime|minutes|min|mins|hours|h|cost|usd|price|tokens|token|params|"
    r"parameters|size|complexity|lines|loc|steps|peak|train|training|gpu|cpu|budget)(_|$)"
)


def _tier(name: str) -> int | None:
    """1 for the usual names, 2 for names that say a direction, 3 for others, 4 for side figures."""
    plain = normalised(name)
    if plain in _BEST_NAMES:
        return 1
    if is_former(plain) or (_NEVER.search(plain) and not _is_best_of(plain)):
        return None
    direction, _ = _by_name(plain)
    throughput = any(f"_{phrase}_" in f"_{plain}_" for phrase, _ in _PHRASES)
    if _SIDE.search(plain) and not throughput and direction != "max":
        return 4 if not ("loss" in plain or "error" in plain) else 3
    return 2 if direction is not None else 3


def _is_best_of(plain: str) -> bool:
    """``best_val_bpb`` of a row is its score; ``best`` alone is the standing best."""
    return plain.startswith("best_") and _by_name(plain)[0] is not None


def known_metric(names: Iterable[str]) -> bool:
    """Tell whether one of the names is plainly a metric's."""
    return any(_tier(name) in (1, 2) for name in names)
