"""Loads PostHog's grammar, which expects two modules of PostHog's own server.

``hogql_parser`` imports ``posthog.hogql`` and ``posthog.hogql.errors``; the ``posthog`` SDK ships
neither. They stand in ``sys.modules`` only while the parser is being imported, so that nothing else
in the process ever sees them.
"""

from __future__ import annotations

import sys
import threading
from types import ModuleType
from typing import Any

from nightpane.errors import MissingExtraError

__all__ = ["load_parser"]

_ERRORS = (
    "ExposedHogQLError",
    "InternalHogQLError",
    "SyntaxError",
    "NotImplementedError",
    "ParsingError",
    "QueryError",
    "ResolutionError",
    "ImpossibleASTError",
)
_lock = threading.Lock()
_parser: Any = None


class _BaseHogQLError(Exception):
    def __init__(self, message: str = "", *, start: int | None = None, end: int | None = None):
        super().__init__(message)
        self.start = start
        self.end = end


def load_parser() -> Any:
    """Return the module ``hogql_parser``. Raises MissingExtraError when it is not installed."""
    global _parser
    with _lock:
        if _parser is None:
            _parser = _import()
        return _parser


def _import() -> Any:
    errors = ModuleType("posthog.hogql.errors")
    errors.__dict__["BaseHogQLError"] = _BaseHogQLError
    for name in _ERRORS:
        errors.__dict__[name] = type(name, (_BaseHogQLError,), {})
    package = ModuleType("posthog.hogql")
    package.__dict__["errors"] = errors
    stand_ins = {"posthog.hogql": package, "posthog.hogql.errors": errors}
    before = {name: sys.modules.get(name) for name in stand_ins}
    sys.modules.update(stand_ins)
    try:
        import hogql_parser
    except ImportError as error:
        raise MissingExtraError("server") from error
    finally:
        for name, module in before.items():
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module
    return hogql_parser
