"""Formulas over series, such as ``A / B * 100``: PostHog's arithmetic, never evaluated as code.

Series are A, B, …; the operations are ``+ - * / % **`` and brackets. Dividing by zero gives 0, as
in PostHog, so that a day without any events is not an error.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping, Sequence

from nightpane.insights.reading import wrong

__all__ = ["Formula"]

_OPERATIONS: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_MOST_CHARS = 1_000
_LARGEST_POWER = 1_000
_ONLY = "Formulas only support arithmetic ( + - * / % ** ) between series"


class Formula:
    """A formula that was read and found sound. Raises InsightError for any other."""

    def __init__(self, text: str, series: int, attr: str) -> None:
        self.text = text
        self._attr = attr
        self._names = [chr(ord("A") + i) for i in range(series)]
        if len(text) > _MOST_CHARS:
            raise wrong(attr, f"a formula has at most {_MOST_CHARS:,} characters.")
        try:
            self._tree = ast.parse(text.strip().upper(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise wrong(attr, f"{text!r} is not a formula such as A / B.") from error
        self._check(self._tree)

    def of(self, figures: Sequence[float | None]) -> float:
        """Return the result for one figure of each series; a missing one is 0."""
        return self._value(self._tree, figures)

    def _value(self, node: ast.expr, figures: Sequence[float | None]) -> float:
        if isinstance(node, ast.BinOp):
            left, right = self._value(node.left, figures), self._value(node.right, figures)
            try:
                found = _OPERATIONS[type(node.op)](left, right)
            except (ZeroDivisionError, OverflowError):
                return 0
            # A root of a negative number is complex: no number of a chart, so none.
            return found if isinstance(found, int | float) and math.isfinite(found) else 0
        if isinstance(node, ast.UnaryOp):
            value = self._value(node.operand, figures)
            return -value if isinstance(node.op, ast.USub) else value
        if isinstance(node, ast.Name):
            figure = figures[self._names.index(node.id)]
            return 0 if figure is None else figure
        # _check let nothing through but these and numbers.
        return float(ast.literal_eval(node))

    def _check(self, node: ast.expr) -> None:
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
            if isinstance(node.op, ast.Pow) and not _small(node.right):
                raise wrong(self._attr, f"a power is a number up to {_LARGEST_POWER:,}.")
            self._check(node.left)
            self._check(node.right)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            self._check(node.operand)
        elif isinstance(node, ast.Name):
            if node.id not in self._names:
                raise wrong(
                    self._attr,
                    f"Formula references series {node.id}, but only {len(self._names)} "
                    f"series are defined ({', '.join(self._names)}).",
                )
        elif not isinstance(node, ast.Constant) or type(node.value) not in (int, float):
            raise wrong(self._attr, f"{_ONLY}, not {type(node).__name__}.")


def _small(node: ast.expr) -> bool:
    sign = node.operand if isinstance(node, ast.UnaryOp) else node
    if not isinstance(sign, ast.Constant):
        return False
    return isinstance(sign.value, int | float) and abs(sign.value) <= _LARGEST_POWER
