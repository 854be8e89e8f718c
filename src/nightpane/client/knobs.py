"""The loop's knobs: flags that a loop reads at the start of a round, with a type and a default.

A knob is declared once, below or in a subclass of ``Knobs``. What a round read is stamped on its
events as ``$feature/<key>``, and each knob it used is one ``$feature_flag_called`` of that round.
A flag that is off, missing, of another type or out of reach leaves the default. Nothing here raises
into the loop.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, overload

from nightpane.client.envelope import Place
from nightpane.client.flag_source import Reading, Source
from nightpane.errors import ConfigError

if TYPE_CHECKING:
    from nightpane.client.pane import Pane

__all__ = ["Knob", "Knobs", "read_knobs"]

_T = TypeVar("_T", bool, int, float, str)
_CONTROL = "control"


class Knob(Generic[_T]):
    """A knob's default, whose type is the knob's, and what it is for.

    A flag sets it by its payload, else by its variant's key (a number in text is one). Without
    either, a bool is whether the flag is on; the variant ``control`` is off.
    """

    def __init__(self, default: _T, meaning: str) -> None:
        self.default: _T = default
        self.meaning = meaning
        self.key = ""

    @property
    def type_name(self) -> str:
        """The name of the knob's type: bool, int, float or str."""
        return type(self.default).__name__

    def __set_name__(self, owner: type, name: str) -> None:
        if type(self.default) not in (bool, int, float, str):
            raise ConfigError(
                f"the knob {name!r} has the default {self.default!r}: use a bool, int, float or str"
            )
        self.key = name

    @overload
    def __get__(self, knobs: None, owner: type) -> Knob[_T]: ...
    @overload
    def __get__(self, knobs: Knobs, owner: type) -> _T: ...
    def __get__(self, knobs: Knobs | None, owner: type) -> Knob[_T] | _T:
        """Return what the knob is set to."""
        if knobs is None:
            return self
        setting: _T = knobs._use(self)
        return setting

    def typed(self, reading: Reading) -> _T | None:
        """Return a reading as this knob's type, None when it leaves the default."""
        found: _T | None = _typed(reading, type(self.default))
        return found


class Knobs:
    """What the flags of a round (or run) set its knobs to. Reading an attribute counts as its use.

    Subclass it for other knobs or other defaults: ``temperature = Knob(0.7, "what it is for")``.
    """

    scorer_v2 = Knob(False, "score with the second version of the scorer")
    escalate_after = Knob(5, "rounds without a gain before a stronger model is taken")
    max_rounds = Knob(100, "rounds after which the run ends")
    budget_usd = Knob(10.0, "dollars after which the run ends")
    kill_switch = Knob(False, "end the run before the next round")

    _declared: ClassVar[Mapping[str, Knob[Any]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._declared = _declared_in(cls)

    def __init__(
        self,
        readings: Mapping[str, Reading],
        called: Callable[[Knobs, Reading], object] | None = None,
    ) -> None:
        self._readings = readings
        self._called = called
        self._used: set[str] = set()

    @classmethod
    def declared(cls) -> Mapping[str, Knob[Any]]:
        """Return the knobs by key, in the order of their declaration."""
        return cls._declared

    def reading(self, key: str) -> Reading:
        """Return the flag itself, variant and payload included, without using the knob."""
        return self._readings.get(key) or Reading(key)

    def source(self, key: str) -> Source:
        """Return where a knob's setting comes from: local, remote, last known, or default."""
        knob = self._declared.get(key)
        reading = self.reading(key)
        return "default" if knob is None or knob.typed(reading) is None else reading.source

    def as_dict(self) -> dict[str, bool | int | float | str]:
        """Return what every knob is set to, without using them."""
        return {key: self._value(knob) for key, knob in self._declared.items()}

    def response(self, key: str) -> bool | int | float | str | None:
        """Return what events say of the flag: its variant, else what it set the knob to.

        False for a flag that is off, None for one there is not.
        """
        value = self.reading(key).value
        if value is not True:
            return value
        knob = self._declared.get(key)
        setting = None if knob is None else knob.typed(self.reading(key))
        return True if setting is None else setting

    def stamps(self) -> dict[str, Any]:
        """Return the properties that the events of a round with these knobs carry."""
        responses = {key: self.response(key) for key in self._readings}
        stamps: dict[str, Any] = {
            f"$feature/{key}": value for key, value in responses.items() if value is not None
        }
        if stamps:
            active = [key for key in responses if self.reading(key).value]
            stamps["$active_feature_flags"] = active
        return stamps

    def _value(self, knob: Knob[Any]) -> Any:
        setting = knob.typed(self.reading(knob.key))
        return knob.default if setting is None else setting

    def _use(self, knob: Knob[Any]) -> Any:
        if knob.key not in self._used:
            self._used.add(knob.key)
            reading = self.reading(knob.key)
            if self._called is not None and reading.value is not None:
                self._called(self, reading)
        return self._value(knob)


def read_knobs(
    pane: Pane, kind: type[Knobs], place: Place, agent: str | None = None
) -> tuple[Knobs, Place]:
    """Return the knobs of a place, and the place with what they are stamped on its events.

    In a round, the first use of each is tracked, and flags that go by device id go by the round.
    """
    round_id = place.round_id
    agent = agent or place.agent
    distinct_id = pane._agent_id(agent)
    readings = pane._flag_source.read(kind.declared(), distinct_id, round_id)
    if round_id is None:
        return kind(readings), place

    def called(knobs: Knobs, reading: Reading) -> None:
        properties = {**_called(knobs, reading), "$device_id": round_id}
        pane._track("$feature_flag_called", properties, place=stamped, agent=agent)

    knobs = kind(readings, called)
    stamped = Place({**place.properties, **knobs.stamps()}, place.agent, place.calls)
    return knobs, stamped


def _called(knobs: Knobs, reading: Reading) -> dict[str, Any]:
    """Return what PostHog's SDKs say of a flag that was used; nothing that is not known."""
    response = knobs.response(reading.key)
    said = {
        "$feature_flag": reading.key,
        "$feature_flag_response": response,
        f"$feature/{reading.key}": response,
        "locally_evaluated": reading.source == "local",
        "$feature_flag_payload": reading.payload,
        "$feature_flag_id": reading.flag_id,
        "$feature_flag_version": reading.version,
        "$feature_flag_reason": reading.reason,
        "$feature_flag_request_id": reading.request_id,
        "$feature_flag_evaluated_at": reading.evaluated_at,
        "$feature_flag_has_experiment": reading.has_experiment,
        "$feature_flag_error": reading.error,
        "flag_source": reading.source,
    }
    return {name: value for name, value in said.items() if value is not None}


def _declared_in(kind: type[Knobs]) -> dict[str, Knob[Any]]:
    found: dict[str, Knob[Any]] = {}
    for one in reversed(kind.__mro__):
        found |= {name: made for name, made in vars(one).items() if isinstance(made, Knob)}
    return found


def _typed(reading: Reading, kind: type) -> Any:
    value = reading.value
    if not value:
        # Off is a switch's setting; to anything else it says nothing.
        return value if kind is bool else None
    variant = value if isinstance(value, str) else None
    for given in (reading.payload, variant):
        found = None if given is None else _converted(given, kind)
        if found is not None:
            return found
    return (variant is None or not _is_off(variant)) if kind is bool else None


def _is_off(variant: str) -> bool:
    return variant == _CONTROL or variant.startswith("holdout-")


def _converted(given: Any, kind: type) -> Any:
    """Return a payload or a variant's key as a type, None when it is not of it."""
    if kind is str:
        return given if isinstance(given, str) and not given.startswith("holdout-") else None
    if kind is bool:
        return given if isinstance(given, bool) else None
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        return None
    try:
        number = float(given)
    except (ValueError, OverflowError):
        return None
    if not math.isfinite(number) or (kind is int and not number.is_integer()):
        return None
    return kind(number)


Knobs._declared = _declared_in(Knobs)
