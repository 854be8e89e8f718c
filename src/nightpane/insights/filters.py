"""Property filters of an insight as HogQL: every operator, groups of AND and OR, cohorts.

What cannot be evaluated on this store (feature flags, page elements, groups) is refused by name: an
answer that left a filter out would be an answer to another question.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from nightpane.errors import InsightError
from nightpane.insights.dates import calendar_step, is_bare_date, moment_of
from nightpane.insights.question import Context, Values, expression, quoted
from nightpane.insights.reading import Fields, wrong

__all__ = ["Filters", "property_of"]

_PLACES = {"event": "properties.", "person": "person.properties.", "session": "session."}
_PLACES |= {"event_metadata": ""}
_METADATA: tuple[str, ...] = (
    "event",
    "distinct_id",
    "person_id",
    "timestamp",
    "uuid",
    "created_at",
)
_METADATA += ("$session_id", "$window_id", "person_mode")
_COMPARED = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "min": ">=", "max": "<="}
_MATCHED = {"icontains": "ilike", "not_icontains": "not ilike", "regex": "=~", "not_regex": "!~"}
_MATCHED |= {"icontains_multi": "ilike", "not_icontains_multi": "not ilike"}
_NEGATED = ("not_icontains", "not_regex", "not_icontains_multi")
_DATES = {"is_date_before": "<", "is_date_after": ">", "is_date_exact": "="}
_VERSIONS = {"semver_eq": "=", "semver_neq": "!=", "semver_gt": ">", "semver_gte": ">="}
_VERSIONS |= {"semver_lt": "<", "semver_lte": "<="}
_WHY_NOT = {
    "feature": "the flags of an event are its properties $feature/<flag>: use type 'event'",
    "element": "there are no page elements here",
    "group": "there are no groups here",
}
_MOST_DEEP = 20


def property_of(kind: str, key: str, attr: str) -> str:
    """Return a property or column as HogQL. Raises InsightError for a kind that is not here."""
    place = _PLACES.get(kind)
    if place is None:
        why = _WHY_NOT.get(kind, f"only {', '.join(_PLACES)}, hogql, cohort are supported")
        raise wrong(attr, f"properties of type {kind!r} are not supported: {why}.")
    if kind == "event_metadata" and key not in _METADATA:
        raise wrong(attr, f"{key!r} is not one of {', '.join(_METADATA)}.")
    return place + quoted(key)


class Filters:
    """Turns filters into conditions; ``values`` are added to. Every method raises InsightError.

    ``of_persons`` makes them conditions of the table of persons named ``person``, not of events.
    """

    def __init__(self, values: Values, context: Context, *, of_persons: bool = False) -> None:
        self._values = values
        self._context = context
        self._of_persons = of_persons

    def of(self, given: Any, attr: str) -> str | None:
        """Return the condition of a ``properties`` field: a list or a group; None without any."""
        if given is None:
            return None
        if isinstance(given, Mapping):
            return self._group(Fields(given, attr), 0)
        if not isinstance(given, list):
            raise wrong(attr, "must be a list of filters, or a group of them.")
        return self._joined(given, attr, "and", 0)

    def cohort(self, cohort_id: Any, attr: str) -> str:
        """Return the condition of belonging to a cohort."""
        return self._cohort(cohort_id, attr, 0)

    def _joined(self, given: list[Any], attr: str, word: str, depth: int) -> str | None:
        if depth > _MOST_DEEP:
            raise wrong(attr, f"filters are nested deeper than {_MOST_DEEP} levels.")
        items = [Fields(item, f"{attr}.{i}") for i, item in enumerate(given)]
        found = [self._one(item, depth) for item in items]
        tests = [test for test in found if test is not None]
        if len(tests) < 2:
            return tests[0] if tests else None
        return f"({f' {word} '.join(tests)})"

    def _group(self, group: Fields, depth: int) -> str | None:
        word = group.choice("type", ("AND", "OR"), "AND") or "AND"
        return self._joined(group.items("values"), group.at("values"), word.lower(), depth + 1)

    def _one(self, item: Fields, depth: int) -> str | None:
        if "values" in item.given and "key" not in item.given:
            return self._group(item, depth)
        kind = item.text("type") or "event"
        if kind == "empty":
            return None
        if kind == "hogql":
            return expression(item.text("key"), item.at("key"))
        if kind in ("cohort", "static-cohort", "precalculated-cohort"):
            condition = self._cohort(item.given.get("value"), item.at("value"), depth)
            negated = item.flag("negation") or item.given.get("operator") == "not_in"
            return f"not {condition}" if negated else condition
        key = item.text("key")
        if not key:
            raise wrong(item.at("key"), "a property filter needs a key.")
        if self._of_persons and kind != "person":
            raise wrong(
                item.at("type"), f"persons are not filtered by properties of type {kind!r}."
            )
        return self._test(item, property_of(kind, key, item.at("type")))

    def _test(self, item: Fields, field: str) -> str:
        operator, value = item.text("operator") or "exact", item.given.get("value")
        if operator in ("is_set", "is_not_set"):
            return f"{field} is {'not ' if operator == 'is_set' else ''}null"
        if "value" not in item.given:
            raise wrong(item.at("value"), "a property filter needs a value.")
        if operator in ("exact", "is_not", "in", "not_in"):
            return self._equal(field, value, negated=operator in ("is_not", "not_in"))
        tests: dict[str, Callable[[], str]] = {
            **dict.fromkeys(_COMPARED, lambda: self._compared(item, field, operator, value)),
            **dict.fromkeys(_MATCHED, lambda: self._matched(item, field, operator, value)),
            **dict.fromkeys(_DATES, lambda: self._dated(item, field, operator, value)),
            **dict.fromkeys(_VERSIONS, lambda: self._versioned(item, field, operator, value)),
            **dict.fromkeys(
                ("between", "not_between"), lambda: self._between(item, field, operator, value)
            ),
        }
        test = tests.get(operator)
        if test is None:
            raise wrong(
                item.at("operator"),
                f"the operator {operator!r} is not supported: "
                f"exact, is_not, in, not_in, is_set, is_not_set, {', '.join(tests)} are.",
            )
        return test()

    def _equal(self, field: str, value: Any, *, negated: bool) -> str:
        if not isinstance(value, list):
            return f"{field} {'!=' if negated else '='} {self._values.place(_plain(value))}"
        if not value:
            return "true" if negated else "false"
        listed = self._values.place([_plain(item) for item in value])
        return f"{field} {'not in' if negated else 'in'} {listed}"

    def _compared(self, item: Fields, field: str, operator: str, value: Any) -> str:
        if isinstance(value, list):
            value = value[0] if len(value) == 1 else value
        number = _number(value)
        if number is None:
            if not isinstance(value, str):
                raise wrong(item.at("value"), f"{operator} compares with a number or a text.")
            return f"{field} {_COMPARED[operator]} {self._values.place(value)}"
        return f"toFloat({field}) {_COMPARED[operator]} {self._values.place(number)}"

    def _matched(self, item: Fields, field: str, operator: str, value: Any) -> str:
        listed = value if isinstance(value, list) else [value]
        if not listed or not all(isinstance(one, str | int | float) for one in listed):
            raise wrong(item.at("value"), f"{operator} takes a text, or a list of them.")
        tests = []
        for one in listed:
            text = str(one).lower() if isinstance(one, bool) else str(one)
            if "icontains" in operator:
                text = f"%{_literally(text)}%"
            tests.append(f"toString({field}) {_MATCHED[operator]} {self._values.place(text)}")
        if len(tests) == 1:
            return tests[0]
        return f"({(' and ' if operator in _NEGATED else ' or ').join(tests)})"

    def _between(self, item: Fields, field: str, operator: str, value: Any) -> str:
        ends = [_number(one) for one in value] if isinstance(value, list) else []
        if len(ends) != 2 or None in ends:
            raise wrong(item.at("value"), f"{operator} takes a list of two numbers.")
        low, high = (self._values.place(end) for end in ends)
        if operator == "between":
            return f"(toFloat({field}) >= {low} and toFloat({field}) <= {high})"
        return f"(toFloat({field}) < {low} or toFloat({field}) > {high})"

    def _versioned(self, item: Fields, field: str, operator: str, value: Any) -> str:
        if not isinstance(value, str):
            raise wrong(item.at("value"), f"{operator} takes a version such as '1.2.3'.")
        op, given = _VERSIONS[operator], self._values.place(value)
        return f"sortableSemVer(toString({field})) {op} sortableSemVer({given})"

    def _dated(self, item: Fields, field: str, operator: str, value: Any) -> str:
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            raise wrong(item.at("value"), f"{operator} takes a date, or one such as -7d.")
        moment = self._moment(value, item.at("value"))
        whole_day = isinstance(value, str) and is_bare_date(value)
        if operator == "is_date_exact" and whole_day:
            day, following = self._day(moment)
            return f"(toDateTime({field}) >= {day} and toDateTime({field}) < {following})"
        if operator == "is_date_after" and whole_day:
            return f"toDateTime({field}) >= {self._day(moment)[1]}"
        return f"toDateTime({field}) {_DATES[operator]} {self._values.place(moment)}"

    def _day(self, moment: datetime) -> tuple[str, str]:
        return self._values.place(moment), self._values.place(calendar_step(moment, "day"))

    def _moment(self, value: str | float, attr: str) -> datetime:
        if isinstance(value, str):
            return moment_of(value, self._context.now, self._context.timezone, attr)
        # PostHog reads a number as seconds since 1970.
        try:
            return datetime.fromtimestamp(value, UTC)
        except (OverflowError, OSError, ValueError) as error:
            raise wrong(attr, f"{value!r} is not a moment in seconds since 1970.") from error

    def _cohort(self, cohort_id: Any, attr: str, depth: int) -> str:
        if depth > _MOST_DEEP:
            raise wrong(attr, "cohorts are built on each other too deeply.")
        document = _cohort_document(self._context, cohort_id, attr)
        if document.get("is_static"):
            members = list((document.get("members") or {}).get("persons") or ())
            person = "person.id" if self._of_persons else "person_id"
            return f"{person} in {self._values.place(members)}" if members else "false"
        group = (document.get("filters") or {}).get("properties") or {}
        try:
            condition = self._group(Fields(group, f"cohort {cohort_id}"), depth + 1)
        except InsightError as error:
            raise wrong(attr, f"cohort {cohort_id} cannot be evaluated: {error}") from error
        return "true" if condition is None else f"({condition})"


def _cohort_document(context: Context, cohort_id: Any, attr: str) -> Mapping[str, Any]:
    number = _number(cohort_id)
    if number is None or int(number) != number:
        raise wrong(attr, f"{cohort_id!r} is not the number of a cohort.")
    document = context.cohort(int(number))
    if document is None or document.get("deleted"):
        raise wrong(attr, f"there is no cohort {int(number)}.")
    return document


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise InsightError(f"A property filter compares with a text, number or boolean, not {value!r}.")


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _literally(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
