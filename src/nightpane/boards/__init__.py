"""The boards: each one PostHog insight definition, in code, with the query its figures come from.

Knows only HogQL: never the local store, never a chart library.
"""

from nightpane.boards.board import Board
from nightpane.boards.round_funnel import ROUND_FUNNEL, STAGES
from nightpane.boards.rounds import per_round
from nightpane.boards.runs import CHANGES, LOOPS, ROUNDS, RUNS
from nightpane.boards.scope import HogQL, Scope
from nightpane.boards.score_trend import SCORE_TREND

BOARDS: dict[str, Board] = {board.name: board for board in (ROUND_FUNNEL, SCORE_TREND)}
LISTS: dict[str, Board] = {board.name: board for board in (LOOPS, RUNS, ROUNDS)}

__all__ = [
    "BOARDS",
    "CHANGES",
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
