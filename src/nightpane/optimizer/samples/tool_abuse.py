"""Tool abuse: the same tool with the same arguments, again and again.

To run the same tests after every edit is work, so equal calls count when nothing came between them,
or when they are most of what the trace does.
"""

from __future__ import annotations

from collections import Counter
from itertools import groupby

from nightpane.optimizer.messages import ToolCall
from nightpane.optimizer.samples.facts import Finding, Reading
from nightpane.optimizer.words import code

__all__ = ["detect"]

_IN_A_ROW = 3
_IN_ALL = 4
_SHARE = 0.5


def detect(reading: Reading) -> Finding | None:
    """Return the tool call that is made three times in a row, or is half of four and more."""
    made = [
        (call, place)
        for place, one in enumerate(reading.exchanges)
        if one.succeeded
        for call in _whole(one.tools, whole=one.whole)
    ]
    if len(made) < _IN_A_ROW:
        return None
    rows = [list(same) for _, same in groupby(made, key=lambda one: one[0])]
    row = max(rows, key=len)
    (most, count), *_ = Counter(call for call, _ in made).most_common(1)
    if len(row) >= _IN_A_ROW:
        call, place = row[-1]
        how = f"{len(row)} times in a row"
    elif count >= _IN_ALL and count >= _SHARE * len(made):
        call, place = most, max(at for one, at in made if one == most)
        how = f"in {count} of its {len(made)} tool calls"
    else:
        return None
    return Finding(
        "tool_abuse",
        f"It calls {code(call.name, 60)} with the same arguments {how}: "
        f"{code(call.arguments, 100)}.",
        at=place,
    )


def _whole(calls: tuple[ToolCall, ...], *, whole: bool) -> tuple[ToolCall, ...]:
    """Of an answer that was cut, the last call's arguments may not be all."""
    return calls if whole else calls[:-1]
