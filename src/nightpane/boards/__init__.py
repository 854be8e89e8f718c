"""The boards: each one PostHog insight definition, in code, with the query its figures come from.

Knows only HogQL: never the local store, never a chart library.
"""

from nightpane.boards.anomaly_regression import ANOMALY_REGRESSION
from nightpane.boards.board import Board
from nightpane.boards.cost_compression import COST_COMPRESSION
from nightpane.boards.cost_per_kept_round import COST_PER_KEPT_ROUND
from nightpane.boards.dimension_heatmap import DIMENSION_HEATMAP
from nightpane.boards.escalations import ESCALATIONS
from nightpane.boards.eval_regressions import EVAL_REGRESSIONS
from nightpane.boards.model_fit import MODEL_FIT
from nightpane.boards.phases import PHASES
from nightpane.boards.round_funnel import ROUND_FUNNEL, STAGES
from nightpane.boards.rounds import per_round
from nightpane.boards.runs import LOOPS, ROUNDS, RUNS
from nightpane.boards.scope import HogQL, Scope
from nightpane.boards.score_trend import SCORE_TREND
from nightpane.boards.stop_reasons import STOP_REASONS
from nightpane.boards.tool_failures import TOOL_FAILURES

_ALL = (
    ROUND_FUNNEL,
    SCORE_TREND,
    DIMENSION_HEATMAP,
    COST_PER_KEPT_ROUND,
    ESCALATIONS,
    STOP_REASONS,
    MODEL_FIT,
    COST_COMPRESSION,
    ANOMALY_REGRESSION,
    PHASES,
    EVAL_REGRESSIONS,
    TOOL_FAILURES,
)
BOARDS: dict[str, Board] = {board.name: board for board in _ALL}
LISTS: dict[str, Board] = {board.name: board for board in (LOOPS, RUNS, ROUNDS)}

__all__ = [
    "BOARDS",
    "LISTS",
    "LOOPS",
    "ROUNDS",
    "ROUND_FUNNEL",
    "RUNS",
    "SCORE_TREND",
    "STAGES",
    "Board",
    "HogQL",
    "Scope",
    "per_round",
]
