"""The family of exceptions nightpane raises, so that one ``except`` can catch them all.

NightpaneError
├── ConfigError            a setting is missing or unusable
├── CatalogError           an event does not fit the catalogue (strict mode only)
├── SpoolError             the spool on disk cannot be read or written
│   └── SpoolFullError     its size limit is reached and nothing in it is delivered yet
├── ApiError               a PostHog API answered with an error
│   └── UnreachableError   no answer came at all
├── HogQLError             a query is refused, with the place in its text
├── StoreError             the local store cannot do what was asked
│   ├── StoreBusyError     more waits to be written than is held in memory
│   ├── StoreLockedError   another process owns the store
│   └── QueryLimitError    a query reached its limit of time, memory or rows
├── LoopError              a loop cannot begin, or cannot go on
├── LedgerError            a ledger file cannot be read at all
├── GtmError               a Tag Manager container, or a file about one, is not well formed
├── OtlpError              an OpenTelemetry request cannot be read
├── ExperimentError        an experiment, or a question about one, is not well formed
├── InsightError           an insight's query node is not well formed, or asks what is not here
└── MissingExtraError      an optional part of nightpane is not installed

Every message names what was wrong, the value, where it stood, and what to do next.
"""

from __future__ import annotations

__all__ = [
    "ApiError",
    "CatalogError",
    "ConfigError",
    "ExperimentError",
    "GtmError",
    "HogQLError",
    "InsightError",
    "LedgerError",
    "LoopError",
    "MissingExtraError",
    "NightpaneError",
    "OtlpError",
    "QueryLimitError",
    "SpoolError",
    "SpoolFullError",
    "StoreBusyError",
    "StoreError",
    "StoreLockedError",
    "UnreachableError",
]


class NightpaneError(Exception):
    """Base of every exception nightpane raises on purpose.

    ``exit_code`` is what the command line ends with: 2 for a usage mistake, 3 for the environment.
    """

    exit_code = 3


class ConfigError(NightpaneError):
    """A setting is missing or unusable."""

    exit_code = 2


class CatalogError(NightpaneError):
    """An event does not fit the catalogue; ``problems`` lists each misfit."""

    exit_code = 2

    def __init__(self, event: str, problems: list[str]) -> None:
        super().__init__(f"event {event!r}: " + "; ".join(problems))
        self.event = event
        self.problems = problems


class SpoolError(NightpaneError):
    """The spool on disk cannot be read or written."""


class SpoolFullError(SpoolError):
    """The spool's size limit is reached and everything in it is still undelivered."""


class ApiError(NightpaneError):
    """A PostHog API answered with an error.

    ``status`` is the HTTP status, ``type`` and ``code`` are PostHog's words for the error and
    ``detail`` its text.
    """

    def __init__(self, detail: str, *, status: int = 0, type: str = "", code: str = "") -> None:  # noqa: A002 (PostHog's field name)
        super().__init__(detail)
        self.detail = detail
        self.status = status
        self.type = type
        self.code = code
        if status == 400:
            self.exit_code = 2


class UnreachableError(ApiError):
    """The host gave no answer: refused, timed out, or unknown."""


class HogQLError(NightpaneError):
    """A HogQL query is refused.

    ``start`` and ``end`` are character offsets into the query, None when the whole query is meant;
    ``code`` is PostHog's error code.
    """

    exit_code = 2

    def __init__(
        self,
        message: str,
        *,
        start: int | None = None,
        end: int | None = None,
        code: str = "hogql_error",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.start = start
        self.end = end
        self.code = code


class StoreError(NightpaneError):
    """The local store cannot do what was asked."""


class StoreBusyError(StoreError):
    """More is waiting to be written than the store holds in memory: try again later."""


class StoreLockedError(StoreError):
    """Another process owns the store."""


class QueryLimitError(StoreError):
    """A query was stopped at its limit of time, memory or rows."""


class LedgerError(NightpaneError):
    """A ledger file cannot be read at all (a bad line in a good file is reported, not raised)."""

    exit_code = 2


class LoopError(NightpaneError):
    """A loop cannot begin, or cannot go on: its target, its files or its commands are not fit."""


class GtmError(NightpaneError):
    """A Google Tag Manager container, its signals, a rubric or operations are not well formed."""

    exit_code = 2


class OtlpError(NightpaneError):
    """An OpenTelemetry (OTLP) request cannot be read at all (one bad span is refused alone)."""

    exit_code = 2


class ExperimentError(NightpaneError):
    """An experiment, or a question about one, is not well formed; ``attr`` names the field."""

    exit_code = 2

    def __init__(self, message: str, *, attr: str | None = None) -> None:
        super().__init__(message)
        self.attr = attr


class InsightError(NightpaneError):
    """An insight's query is not well formed; ``attr`` is the path of the field in it."""

    exit_code = 2

    def __init__(self, message: str, *, attr: str | None = None) -> None:
        super().__init__(message)
        self.attr = attr


class MissingExtraError(NightpaneError):
    """An optional part of nightpane is needed and not installed."""

    def __init__(self, extra: str) -> None:
        super().__init__(
            f"this needs nightpane's extra {extra!r}: install it with "
            f"python -m pip install 'nightpane[{extra}]'"
        )
        self.extra = extra
