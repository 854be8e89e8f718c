"""What the columns of a ledger are for, by their names and by what stands in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from nightpane.ledgers import metrics, status, values

__all__ = ["ROLES", "Layout", "has_ledger_names", "headerless", "layout", "role_of"]

# First names first: a table with both `description` and `notes` is described by the former.
ROLES: Mapping[str, tuple[str, ...]] = {
    role: tuple(names.split())
    for role, names in {
        "commit": "commit commit_hash commit_sha commit_id git_commit git_sha git_hash sha hash "
        "githash revision rev short_sha",
        "status": "decision keep_discard keep_or_discard keep_revert kept keep accepted accept "
        "verdict status outcome action result state retained correctness",
        "description": "description desc change changes summary hypothesis idea notes note comment "
        "comments message what experiment name title strategy candidate tag",
        "timestamp": "timestamp datetime date time created_at finished_at ended_at completed_at "
        "logged_at started_at ts utc when t",
        "cost_usd": "cost_usd total_cost_usd estimated_cost_usd usd cost",
    }.items()
}
_YES = dict.fromkeys(("true", "yes", "y", "1"), "keep")
_NO = dict.fromkeys(("false", "no", "n", "0"), "discard")
_YES_NO_NAMES = {"kept", "keep", "accepted", "accept", "retained", "improved", "adopted"}
_ORDINALS = {
    "iteration",
    "iter",
    "round",
    "run",
    "trial",
    "experiment",
    "exp",
    "step",
    "id",
    "attempt",
}
_SQUEEZE = str.maketrans("", "", "_- `*")
_KNOWN = {name.replace("_", "") for names in ROLES.values() for name in names} | _ORDINALS


@dataclass(frozen=True, slots=True)
class Layout:
    """Where in a row each thing stands. Indexes are None for what the table has not.

    ``stated`` tells that the metric's column was named by the user. ``states`` are the columns
    that tell what became of a round, the one that decides first.
    """

    names: tuple[str, ...]
    metric: int | None
    roles: Mapping[str, int] = field(default_factory=dict)
    former: int | None = None
    stated: bool = False
    from_header: bool = True
    states: tuple[int, ...] = ()

    @property
    def metric_name(self) -> str | None:
        """The metric's name as the header writes it."""
        return None if self.metric is None else self.names[self.metric]

    def status_of(self, cells: Sequence[str]) -> str | None:
        """Return a row's status: the first column's that is plain, but a crash in any of them."""
        texts = [text for index in self.states if (text := self._state(cells, index)) is not None]
        if len(texts) > 1:
            for text in texts:
                found = status.verdict(text)
                if found is not None and found.kind == "crashed":
                    return text
            texts.sort(key=lambda text: not status.is_plain(text))
        return texts[0] if texts else None

    def _state(self, cells: Sequence[str], index: int) -> str | None:
        """A cell's text; a yes or no in a column such as ``kept`` becomes a word."""
        text = cells[index].strip() if index < len(cells) else ""
        if metrics.normalised(self.names[index]) in _YES_NO_NAMES:
            text = {**_YES, **_NO}.get(text.lower(), text)
        return text or None


def role_of(name: str) -> str | None:
    """Return the role a column's name suggests."""
    plain = metrics.normalised(name)
    return next((role for role, names in ROLES.items() if plain in names), None)


def has_ledger_names(names: Sequence[str]) -> bool:
    """Tell whether a row of cells is the header of a ledger rather than of any table.

    It needs a status or commit column and one more name that is known, or an ordinal or time
    column beside a metric that is plainly one.
    """
    if not any(
        len(name) <= 24 and name.strip().lower().translate(_SQUEEZE) in _KNOWN for name in names
    ):
        return False  # by far the most lines: told cheaply
    plain = [metrics.normalised(name) for name in names]
    if len(plain) < 2 or any(len(name) > 60 for name in names):
        return False
    if any(values.as_number(name) is not None for name in names if name.strip()):
        return False
    roles = {role_of(name) for name in names if name.strip()}
    known = sum(1 for name in plain if role_of(name) is not None)
    metric = metrics.known_metric(name for name in plain if name)
    if "commit" in roles and (known >= 2 or metric):
        return True
    if roles & {"status"} and (known >= 2 or metric):
        return (
            bool({"status", "decision", "outcome", "verdict", "kept", "accepted"} & set(plain))
            or metric
        )
    ordinal = bool(_ORDINALS & set(plain)) or "timestamp" in roles
    return ordinal and metric and ("description" in roles or len(plain) <= 8)


def layout(
    names: Sequence[str],
    sample: Sequence[Sequence[str]],
    *,
    metric: str | None = None,
    decimal_comma: bool = False,
) -> Layout:
    """Return the layout a header and some rows below it suggest."""
    names = tuple(
        name.strip().strip("`*_").strip() or f"column_{i + 1}" for i, name in enumerate(names)
    )
    roles = _roles(names, sample)
    wanted = None if metric is None else _named(names, metric)
    index = wanted if wanted is not None else _metric(names, sample, roles, decimal_comma)
    former = _former(names, index) if index is not None else None
    states = _states(names, sample, roles)
    return Layout(names, index, roles, former, wanted is not None, states=states)


def _named(names: Sequence[str], metric: str) -> int | None:
    exact = [i for i, name in enumerate(names) if name == metric]
    loose = [
        i for i, name in enumerate(names) if metrics.normalised(name) == metrics.normalised(metric)
    ]
    return next(iter(exact or loose), None)


def _roles(names: Sequence[str], sample: Sequence[Sequence[str]]) -> dict[str, int]:
    plain = [metrics.normalised(name) for name in names]
    roles: dict[str, int] = {}
    for role, candidates in ROLES.items():
        for candidate in candidates:
            index = plain.index(candidate) if candidate in plain else None
            if (
                index is None
                or index in roles.values()
                or not _fits(role, candidate, index, sample)
            ):
                continue
            roles[role] = index
            break
    if (
        "status" not in roles
        and (found := _status_by_content(len(names), sample, set(roles.values()))) is not None
    ):
        roles["status"] = found
    return roles


def _states(
    names: Sequence[str], sample: Sequence[Sequence[str]], roles: Mapping[str, int]
) -> tuple[int, ...]:
    """The status column, and further ones named as such whose words are plain."""
    if "status" not in roles:
        return ()
    found = [roles["status"]]
    for index, name in enumerate(names):
        plain = metrics.normalised(name)
        if index in roles.values() or plain not in ROLES["status"] or not sample:
            continue
        if plain != "action" and _fits("status", plain, index, sample):
            found.append(index)
    return tuple(found)


def _fits(role: str, name: str, index: int, sample: Sequence[Sequence[str]]) -> bool:
    cells = [row[index] for row in sample if index < len(row) and not values.is_missing(row[index])]
    if not cells:
        return name in {"commit", "status", "timestamp", "description", "cost_usd"}
    if role == "timestamp":
        return _share(cells, lambda cell: values.as_moment(cell) is not None) > 0.5
    if role == "cost_usd":
        return name != "cost" or _share(cells, lambda c: values.as_number(c) is not None) > 0.5
    if role == "status":
        if (
            name in _YES_NO_NAMES
            and _share(cells, lambda c: c.strip().lower() in {**_YES, **_NO}) > 0.5
        ):
            return True
        return name == "status" or _share(cells, status.is_plain) >= 0.5
    if role == "description":
        return _share(cells, lambda cell: values.as_number(cell) is None) > 0.5
    return True


def _status_by_content(width: int, sample: Sequence[Sequence[str]], taken: set[int]) -> int | None:
    for index in range(width):
        cells = [row[index] for row in sample if index < len(row) and row[index].strip()]
        if index in taken or len(cells) * 2 < len(sample):
            continue
        if cells and _share(cells, lambda cell: len(cell) <= 30 and status.is_plain(cell)) >= 0.6:
            return index
    return None


def _share(cells: Sequence[str], test: Callable[[str], bool]) -> float:
    return sum(1 for cell in cells if test(cell)) / len(cells)


def _numeric(index: int, sample: Sequence[Sequence[str]], decimal_comma: bool) -> bool:
    cells = [row[index] for row in sample if index < len(row) and not values.is_missing(row[index])]
    numbers = sum(
        1 for cell in cells if values.as_number(cell, decimal_comma=decimal_comma) is not None
    )
    return numbers > 0 and numbers * 2 >= len(cells)


def _metric(
    names: Sequence[str],
    sample: Sequence[Sequence[str]],
    roles: Mapping[str, int],
    decimal_comma: bool,
) -> int | None:
    taken = set(roles.values()) - {roles.get("cost_usd", -1)}
    numeric = [
        index
        for index in range(len(names))
        if index not in taken and (not sample or _numeric(index, sample, decimal_comma))
    ]
    commit = roles.get("commit")
    after = None if commit is None else sum(1 for index in numeric if index < commit)
    best = metrics.best_name([names[index] for index in numeric], after=after)
    return None if best is None else numeric[best]


def _former(names: Sequence[str], metric: int) -> int | None:
    """The column with the score before the round, where it is plainly the metric's partner."""
    strip = ("new_", "old_", "prev_", "previous_", "_before", "_after", "_old", "_new", "parent_")

    def stem(name: str) -> str:
        name = metrics.normalised(name)
        for part in strip:
            name = name.removeprefix(part).removesuffix(part)
        return name

    for index, name in enumerate(names):
        if index != metric and metrics.is_former(name) and stem(name) == stem(names[metric]):
            return index
    return None


def headerless(sample: Sequence[Sequence[str]], *, metric: str | None = None) -> Layout | None:
    """Return the layout of a table without a header, None when its rows do not look like rounds.

    They must have a column of plain statuses. A hash, two numbers, a status and a text are
    AutoResearch's own five columns.
    """
    width = max(
        sorted({len(row) for row in sample}, key=[len(r) for r in sample].count)[-1:], default=0
    )
    rows = [row for row in sample if len(row) == width]
    if width < 3 or len(rows) * 2 < len(sample):
        return None
    columns = [[row[i].strip() for row in rows] for i in range(width)]
    state = next((i for i, cells in enumerate(columns) if _plain_states(cells)), None)
    if state is None:
        return None
    numeric = [i for i in range(width) if i != state and _numeric(i, rows, False)]
    roles = {"status": state}
    if (
        commit := _find(columns, lambda c: values.is_hash(c) or c == "HEAD", set(numeric) | {state})
    ) is not None:
        roles["commit"] = commit
    if (when := _find(columns, lambda c: values.as_moment(c) is not None, {state})) is not None:
        roles["timestamp"] = when
        numeric = [i for i in numeric if i != when]
    texts = [i for i in range(width) if i not in {*roles.values(), *numeric}]
    if texts:
        roles["description"] = max(texts, key=lambda i: (sum(map(len, columns[i])), i))
    if width == 5 and commit == 0 and numeric[:2] == [1, 2] and state == 3:
        names: tuple[str, ...] = ("commit", "val_bpb", "memory_gb", "status", "description")
        return Layout(names, 1, roles, None, False, False, (state,))
    names = tuple(f"column_{i + 1}" for i in range(width))
    stated = None if metric is None else _named(names, metric)
    index, former = (stated, None) if stated is not None else _varying(columns, numeric)
    return Layout(names, index, roles, former, stated is not None, False, (state,))


def _plain_states(cells: Sequence[str]) -> bool:
    return all(len(cell) <= 30 for cell in cells) and _share(cells, status.is_plain) >= 0.6


def _find(
    columns: Sequence[Sequence[str]], test: Callable[[str], bool], taken: set[int]
) -> int | None:
    for index, cells in enumerate(columns):
        if index not in taken and _share(cells, test) >= 0.5:
            return index
    return None


def _varying(
    columns: Sequence[Sequence[str]], numeric: Sequence[int]
) -> tuple[int | None, int | None]:
    """The first number that varies; of a pair "before, after" the second and the first."""
    usable = [i for i in numeric if len(set(columns[i])) > 1] or list(numeric)
    for index in usable:
        before, after = columns[index], columns[index + 1] if index + 1 in numeric else []
        if (
            len(before) > 2
            and after
            and all(a == b for a, b in zip(after, before[1:], strict=False))
        ):
            return index + 1, index
    return (usable[0], None) if usable else (None, None)
