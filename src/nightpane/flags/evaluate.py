"""A project's flags, and what they come to for somebody.

The order is PostHog's: off; early access; holdout; then the conditions, the first that matches
decides. Nothing here reads a clock, a disk or a network.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from nightpane.flags.hashing import bucket, holdout_bucket
from nightpane.flags.model import Context, Result, UnknownError
from nightpane.flags.properties import fits

__all__ = ["FlagSet"]

Flag = Mapping[str, Any]
# Of several reasons for not matching, the one that says most is told.
_WEIGHTS = {"no_group_type": 1, "no_condition_match": 2, "out_of_rollout_bound": 3}
_MOST_NESTED = 20


class FlagSet:
    """A project's flags, with the cohorts and group types their conditions name.

    ``flags`` are PostHog's documents. ``cohorts`` are property groups by cohort id;
    ``static_cohorts`` the ids of those whose members a Context names. ``group_types`` are names by
    index (as text). ``matching_version`` is the project's ``property_matching_version``.
    """

    def __init__(
        self,
        flags: Iterable[Flag],
        *,
        cohorts: Mapping[str, Any] | None = None,
        static_cohorts: Collection[str] = (),
        group_types: Mapping[str, str] | None = None,
        matching_version: int = 1,
    ) -> None:
        self.flags = {str(flag["key"]): flag for flag in flags}
        self.cohorts = cohorts or {}
        self.static_cohorts = frozenset(static_cohorts)
        self.group_types = group_types or {}
        self.matching_version = matching_version
        self._by_id = {str(flag.get("id")): flag for flag in self.flags.values()}

    @classmethod
    def from_definitions(cls, body: Mapping[str, Any]) -> FlagSet:
        """Return the flags of an answer to ``/flags/definitions``."""
        return cls(
            body.get("flags") or [],
            cohorts=body.get("cohorts") or {},
            group_types=body.get("group_type_mapping") or {},
            matching_version=body.get("property_matching_version") or 1,
        )

    def find(self, key_or_id: Any) -> Flag | None:
        """Return a flag by its key, or else by its id."""
        return self.flags.get(str(key_or_id)) or self._by_id.get(str(key_or_id))

    def evaluate(self, context: Context, keys: Collection[str] | None = None) -> dict[str, Result]:
        """Return what each flag (or each of ``keys`` there is) comes to."""
        work = _Evaluation(self, context)
        return {
            key: work.result(flag)
            for key, flag in self.flags.items()
            if keys is None or key in keys
        }

    def payload(self, key: str, value: bool | str | None) -> Any:
        """Return what a flag carries for a value (PostHog keeps JSON text), None for nothing."""
        flag = self.flags.get(key)
        payloads = _filters(flag).get("payloads") if flag else None
        if not payloads or not value:
            return None
        return payloads.get(value if isinstance(value, str) else "true")


class _Evaluation:
    """One context's way through a set of flags; each flag is looked at once."""

    def __init__(self, flags: FlagSet, context: Context) -> None:
        self._set = flags
        self._context = context
        self._results: dict[str, Result] = {}
        self._under_way: list[str] = []
        self._person: Mapping[str, Any] = {
            "distinct_id": context.distinct_id,
            **context.person_properties,
        }

    def result(self, flag: Flag) -> Result:
        """Return what a flag comes to."""
        key = str(flag["key"])
        if key not in self._results:
            self._under_way.append(key)
            try:
                self._results[key] = self._evaluate(flag)
            except UnknownError as error:
                missing = error.reason == "missing_dependency"
                self._results[key] = Result(
                    False if missing else None, error.reason, detail=str(error)
                )
            except (TypeError, ValueError, LookupError, AttributeError, RecursionError) as error:
                # One document nobody can read must not hide the other flags.
                self._results[key] = Result(None, "unknown", detail=f"it is malformed: {error!r}")
            finally:
                self._under_way.pop()
        return self._results[key]

    def _evaluate(self, flag: Flag) -> Result:
        if not flag.get("active"):
            return Result(False, "flag_disabled")
        if flag.get("ensure_experience_continuity") and not self._context.complete:
            raise UnknownError("a flag with experience continuity is evaluated by the server")
        filters = _filters(flag)
        aggregation = filters.get("aggregation_group_type_index")
        if aggregation is not None and not self._context.complete:
            self._require_group_type(aggregation)
        place = self._place(flag, filters, aggregation)
        if place is None:
            return Result(False, "no_group_type")
        identifier, properties = place
        early = self._early_access(flag, filters, aggregation)
        if early is not None:
            return Result(early, "super_condition_value", 0)
        # A person whose device is not known is held out, or not, by their own id.
        held_out = _holdout(filters, identifier or self._context.distinct_id)
        if held_out is not None:
            return Result(held_out, "holdout_condition_value")
        return self._conditions(flag, filters, identifier, properties)

    def _place(
        self, flag: Flag, filters: Mapping[str, Any], aggregation: Any
    ) -> tuple[str | None, Mapping[str, Any]] | None:
        """Return whose place decides and what is known of them; None for a group not given."""
        if aggregation is not None:
            return self._group(aggregation)
        return self._identifier(flag, filters), self._person

    def _identifier(self, flag: Flag, filters: Mapping[str, Any]) -> str | None:
        """Return what a person's place is computed from; None for a device that is not known."""
        context = self._context
        if (flag.get("bucketing_identifier") or filters.get("bucketing_identifier")) == "device_id":
            if not context.device_id and not context.complete:
                raise UnknownError("the flag buckets by device_id and none is given")
            return context.device_id or None
        if flag.get("ensure_experience_continuity") and context.anonymous_id:
            return context.anonymous_id
        return context.distinct_id

    def _group(self, index: Any) -> tuple[str, Mapping[str, Any]] | None:
        """Return a group's key and properties; None when the context names none of the type."""
        name = self._set.group_types.get(str(index))
        key = None if name is None else self._context.groups.get(name)
        if name is None or key is None:
            return None
        return str(key), {"$group_key": key, **self._context.group_properties.get(name, {})}

    def _require_group_type(self, index: Any) -> None:
        if str(index) not in self._set.group_types:
            raise UnknownError(f"the group type {index} is not known")

    def _early_access(
        self, flag: Flag, filters: Mapping[str, Any], aggregation: Any
    ) -> bool | None:
        """Return whether the person chose the feature, None when that does not decide."""
        if filters.get("feature_enrollment") is True:
            key = f"$feature_enrollment/{flag['key']}"
            if key in self._person and (aggregation is None or self._context.complete):
                return self._person[key] is True or self._person[key] == "true"
            if not self._context.complete:
                raise UnknownError(f"the property {key!r} is not given")
            return None
        conditions = filters.get("super_groups") or []
        wanted = (conditions[0].get("properties") or []) if conditions else []
        if not any(one.get("key") in self._person for one in wanted):
            return None
        identifier = self._identifier(flag, filters)
        reason = self._condition(flag, conditions[0], identifier, self._person)
        return reason == "condition_match"

    def _conditions(
        self,
        flag: Flag,
        filters: Mapping[str, Any],
        identifier: str | None,
        properties: Mapping[str, Any],
    ) -> Result:
        aggregation = filters.get("aggregation_group_type_index")
        told = Result(False, "no_condition_match")
        weight, unknown = 0, None
        for index, condition in enumerate(filters.get("groups") or []):
            place: tuple[str | None, Mapping[str, Any]] | None = (identifier, properties)
            try:
                own = condition.get("aggregation_group_type_index", aggregation)
                if own != aggregation:
                    place = self._place(flag, filters, own)
                reason = "no_group_type"
                if place is not None:
                    reason = self._condition(flag, condition, *place)
            except UnknownError as error:
                if error.final or error.reason != "unknown":
                    raise
                unknown = unknown or error
                continue
            if reason == "condition_match" and place is not None:
                return Result(_variant(flag, filters, condition, place[0]), reason, index)
            if _WEIGHTS[reason] > weight:
                told, weight = Result(False, reason, index), _WEIGHTS[reason]
            if reason == "out_of_rollout_bound" and filters.get("early_exit"):
                break
        if unknown is not None:
            raise unknown
        return told

    def _condition(
        self,
        flag: Flag,
        condition: Mapping[str, Any],
        identifier: str | None,
        properties: Mapping[str, Any],
    ) -> str:
        if not self._all(condition.get("properties") or [], properties):
            return "no_condition_match"
        percentage = condition.get("rollout_percentage")
        if identifier is None:
            return "out_of_rollout_bound"
        if percentage is not None and bucket(flag["key"], identifier) > percentage / 100:
            return "out_of_rollout_bound"
        return "condition_match"

    def _all(self, filters: Iterable[Mapping[str, Any]], properties: Mapping[str, Any]) -> bool:
        """Tell whether every filter fits; one that does not outweighs those nobody can tell."""
        unknown: UnknownError | None = None
        for one in filters:
            try:
                if not self._filter(one, properties):
                    return False
            except UnknownError as error:
                unknown = unknown or error
        if unknown is not None:
            raise unknown
        return True

    def _filter(
        self, one: Mapping[str, Any], properties: Mapping[str, Any], nested: int = 0
    ) -> bool:
        kind = one.get("type")
        if kind == "cohort":
            return self._cohort(one, properties, nested)
        if kind == "flag":
            return self._dependency(one)
        return fits(one, properties, self._context, self._set.matching_version)

    def _cohort(self, one: Mapping[str, Any], properties: Mapping[str, Any], nested: int) -> bool:
        cohort_id = str(one.get("value"))
        operator = one.get("operator") or "exact"
        if cohort_id in self._set.static_cohorts and self._context.complete:
            inside = cohort_id in self._context.cohorts
        elif cohort_id in self._set.cohorts and nested < _MOST_NESTED:
            if operator not in ("exact", "in", "not_in"):
                raise UnknownError(f"the cohort operator {operator!r} is not known")
            inside = self._matches(self._set.cohorts[cohort_id], properties, nested + 1)
        else:
            raise UnknownError(f"the cohort {cohort_id} cannot be evaluated here", final=True)
        return inside is (operator != "not_in")

    def _matches(self, group: Any, properties: Mapping[str, Any], nested: int) -> bool:
        """Tell whether properties fit a cohort's group of filters (AND, OR, nested)."""
        if group == {}:
            return True
        values = group.get("values") if isinstance(group, Mapping) else None
        if not isinstance(values, list) or group["type"] not in ("AND", "OR"):
            raise UnknownError("a cohort's property group is malformed", final=True)
        is_and = group["type"] == "AND"
        if not values:
            return True
        unknown: UnknownError | None = None
        decided = not is_and
        found = False
        for one in values:
            try:
                found = found or self._entry(one, properties, nested) is decided
            except UnknownError as error:
                if error.final:
                    raise
                unknown = unknown or error
        if unknown is not None and not found:
            raise unknown
        return decided if found else is_and

    def _entry(self, one: Any, properties: Mapping[str, Any], nested: int) -> bool:
        if not isinstance(one, Mapping):
            raise UnknownError("a cohort's filter is malformed", final=True)
        if not one or "values" in one or one.get("type") in ("AND", "OR"):
            return self._matches(one, properties, nested)
        return self._filter(one, properties, nested) is not bool(one.get("negation"))

    def _dependency(self, one: Mapping[str, Any]) -> bool:
        key, expected = one.get("key"), one.get("value")
        if one.get("operator") != "flag_evaluates_to" or not key or expected is None:
            return False
        flag = self._set.find(key)
        if flag is None:
            reason = "missing_dependency" if self._context.complete else "unknown"
            raise UnknownError(f"the flag {key!r} it depends on does not exist", reason=reason)
        if flag["key"] in self._under_way or one.get("dependency_chain") == []:
            raise UnknownError(f"the flag {key!r} depends on itself")
        found = self.result(flag)
        if found.value is None or found.reason == "missing_dependency":
            reason = found.reason if found.value is False else "unknown"
            raise UnknownError(f"the flag {key!r}: {found.detail}", reason=reason)
        if isinstance(expected, bool):
            return found.enabled is expected
        return bool(found.value == expected)


def _filters(flag: Flag) -> Mapping[str, Any]:
    return flag.get("filters") or {}


def _holdout(filters: Mapping[str, Any], identifier: str) -> str | None:
    holdout = filters.get("holdout") or {}
    percentage = holdout.get("exclusion_percentage")
    if percentage is None or holdout.get("id") is None:
        return None
    share = min(max(float(percentage), 0.0), 100.0)
    if share < 100.0 and holdout_bucket(identifier) > share / 100:
        return None
    return f"holdout-{holdout['id']}"


def _variant(
    flag: Flag, filters: Mapping[str, Any], condition: Mapping[str, Any], identifier: str | None
) -> bool | str:
    """Return the condition's own variant, else the one the identifier falls on; True for none."""
    variants = (filters.get("multivariate") or {}).get("variants") or []
    if condition.get("variant") in [one["key"] for one in variants]:
        return str(condition["variant"])
    place, end = bucket(flag["key"], identifier or "", "variant"), 0.0
    for one in variants:
        end += one["rollout_percentage"] / 100
        if place < end:
            return str(one["key"])
    return True
