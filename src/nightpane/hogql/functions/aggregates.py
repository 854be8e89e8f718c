"""Aggregate and window functions, with the combinators they may carry."""

from __future__ import annotations

import re
from dataclasses import replace

from nightpane.hogql.functions.table import Function, read_table

__all__ = ["AGGREGATES", "WINDOW_ONLY", "aggregate"]

_TABLE = """
count 0-1 int!
countDistinct count_distinct>uniqExact 1+ int!
sum sumWithOverflow sumKahan sumCount 1 same
avg 1 float
min max any anyLast anyHeavy first_value>first_value last_value>last_value 1 same
any_value>any 1 same
argMin argMax argAndMin>argAndMin argAndMax>argAndMax 2 same
avgWeighted 2 float
median medianExact medianDeterministic>medianDeterministic 1-2 float
medianTiming medianTDigest medianBFloat16 1 float
quantile quantileExact quantileExactLow quantileExactHigh quantileTiming quantileTDigest 1;1 float
quantileBFloat16 quantileExactExclusive quantileExactInclusive 1;1 float
quantileInterpolatedWeighted 2;1 float
quantileDeterministic quantileExactWeighted quantileTDigestWeighted 2;1 float
quantileTimingWeighted 2;1 float
quantileGK 1;1-2 float
quantileDD 1;1-2 float
quantiles quantilesExact quantilesExactLow quantilesExactHigh quantilesTiming 1;1+ array!
quantilesTDigest 1;1+ array!
quantilesBFloat16 quantilesExactExclusive quantilesExactInclusive 1;1+ array!
quantilesDeterministic quantilesExactWeighted quantilesTDigestWeighted 2;1+ array!
percentile_cont>quantileExactInclusive 1;1 float
stddevPop stddevSamp varPop varSamp 1 float
stddevPopStable stddevSampStable varPopStable varSampStable 1 float
stddev>stddevSamp variance>varSamp std>stddevPop 1 float
covarPop covarSamp corr covarPopStable covarSampStable corrStable 2 float
covarPopMatrix covarSampMatrix corrMatrix 1+ any
skewPop skewSamp kurtPop kurtSamp 1 float
entropy 1+ float
simpleLinearRegression 2 tuple!
stochasticLinearRegression>simpleLinearRegression 2 tuple!
uniq uniqExact uniqHLL12 1+ int!
uniqCombined uniqCombined64 1+;0-1 int!
uniqUpTo 1+;1 int!
groupArray array_agg>groupArray 1;0-1 array!
groupArrayLast 1;1 array!
groupArraySorted 1;1 array!
groupArraySample 1;1-2 array!
groupArrayInsertAt 2;0-2 array!
groupArrayMovingAvg groupArrayMovingSum 1;0-1 array!
groupArrayIntersect 1 array!
groupUniqArray 1;0-1 array!
groupConcat string_agg>groupConcat 1;0-2 string
groupBitAnd groupBitOr groupBitXor 1 int
groupBitmap groupBitmapAnd groupBitmapOr groupBitmapXor 1 int
topK approx_top_k>approx_top_k 1;0-3 array!
topKWeighted 2;0-3 array!
approx_top_sum 2;1-2 array!
histogram 1;1 array!
sumMap minMap maxMap 1-2 any
sumMapFiltered 2;1 any
deltaSum 1 same
deltaSumTimestamp 2 same
boundingRatio 2 float
rankCorr 2 float
cramersV cramersVBiasCorrected contingency theilsU 2 float
mannWhitneyUTest 2;0-2 tuple!
studentTTest welchTTest 2;0-1 tuple!
kolmogorovSmirnovTest 2;0-2 tuple!
meanZTest 2;3 tuple!
analysisOfVariance anova>analysisOfVariance 2 tuple!
exponentialMovingAverage 2;1 float
exponentialTimeDecayedAvg exponentialTimeDecayedCount exponentialTimeDecayedMax 1-2;1 float
exponentialTimeDecayedSum 2;1 float
intervalLengthSum 2 int!
maxIntersections maxIntersectionsPosition 2 int!
sequenceMatch 2+;1 bool!
sequenceCount 2+;1 int!
windowFunnel 2+;1+ int!
retention 2+ array!
sparkbar 1-2;1-3 string
largestTriangleThreeBuckets lttb>largestTriangleThreeBuckets 2;1 array!
singleValueOrNull 1 same?
categoricalInformationValue 2+ array!
every>min 1 same
bool_and>min bool_or>max 1 same
"""

_WINDOW = """
row_number rank dense_rank denseRank>dense_rank 0 int!
percent_rank percentRank>percent_rank cume_dist 0 float!
ntile 1 int!
lag lead lagInFrame leadInFrame 1-3 same?
nth_value 2 same?
nonNegativeDerivative 2-3 float
"""

AGGREGATES: dict[str, Function] = read_table(_TABLE, aggregate=True)
WINDOW_ONLY: dict[str, Function] = read_table(_WINDOW)

# Combinators that ClickHouse applies from the inside out, as PostHog lets them be written.
_SUFFIX = re.compile(r"(If|Array|Map|ForEach|Distinct|OrDefault|OrNull|ArgMin|ArgMax|State|Merge)$")
_EXTRA = {"If": 1, "ArgMin": 1, "ArgMax": 1}
_RESULT = {"OrNull": "same?", "Map": "any", "ForEach": "array!", "State": "any", "Merge": "any"}


def aggregate(name: str) -> Function | None:
    """Return the aggregate of that name, with up to three combinators, None when there is none."""
    found = AGGREGATES.get(name)
    suffixes: list[str] = []
    base = name
    while found is None and len(suffixes) < 3 and (match := _SUFFIX.search(base)):
        suffixes.append(match.group(1))
        base = base[: match.start()]
        found = AGGREGATES.get(base)
    if found is None:
        return None
    for suffix in reversed(suffixes):
        extra = _EXTRA.get(suffix, 0)
        least = 1 if suffix == "Merge" else found.least + extra
        most = 1 if suffix == "Merge" else None if found.most is None else found.most + extra
        result = _RESULT.get(suffix, found.result)
        if suffix == "OrNull" and found.result != "same":
            result = found.result.rstrip("!?") + "?"
        engine = found.engine + suffix
        found = replace(found, name=name, engine=engine, least=least, most=most, result=result)
    return found
