"""The boards: each one PostHog insight definition, in code, with the query its figures come from.

Knows only HogQL: never the local store, never a chart library.
"""

from nightpane.boards.board import Board
from nightpane.boards.round_funnel import ROUND_FUNNEL, STAGES
from nightpane.boards.rounds import per_round
from nightpane.boards.runs import ROUNDS, RUNS
from nightpane.boards.scope import Scope, literal
from nightpane.boards.score_trend import SCORE_TREND

BOARDS: dict[str, Board] = {board.name: board for board in (ROUND_FUNNEL, SCORE_TREND)}
LISTS: dict[str, Board] = {board.name: board for board in (RUNS, ROUNDS)}

__all__ = [
    "BOARDS",
    "LISTS",
    "ROUNDS",
    "ROUND_FUNNEL",
    "RUNS",
    "SCORE_TREND",
    "STAGES",
    "Board",
    "Scope",
    "literal",
    "per_round",
]
