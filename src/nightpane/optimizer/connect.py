"""Step 1: prove that the project can be read and holds generations, or say why not and stop.

Nothing is analysed that could not be read: a failure ends the run with its reason, and how to mend
it, in ``summary.md``.
"""

from __future__ import annotations

from nightpane.errors import ApiError, NightpaneError, UnreachableError
from nightpane.optimizer.fields import Scope, moment
from nightpane.optimizer.folder import Folder
from nightpane.optimizer.model import Connection, Options, Target
from nightpane.optimizer.source import Source

__all__ = ["NothingToReadError", "run", "write_environment"]

_COUNT = "SELECT count() AS n, min(timestamp) AS first, max(timestamp) AS last FROM events WHERE "
_REFUSED = (401, 403)
_MEND_KEY = (
    "Set POSTHOG_PERSONAL_API_KEY to a personal API key (phx_…) with the scope query:read, and "
    "POSTHOG_PROJECT_ID to a project it may read. `nightpane doctor` tests both."
)
_MEND_EMPTY = (
    "Record model calls with nightpane.llm.wrap, PostHog's wrappers or OpenTelemetry, or look "
    "further back with --window-days."
)


class NothingToReadError(NightpaneError):
    """The project cannot be read, or holds no generations in the window. ``exit_code`` is 2 when
    the key or the project is at fault, 3 when the surroundings are."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def run(source: Source, folder: Folder, scope: Scope, target: Target) -> Connection:
    """Return what there is to read. Raises NothingToReadError, the reason being in summary.md."""
    try:
        row = source.ask(_COUNT + scope.where, scope.values())[0]
    except ApiError as error:
        raise _stop(folder, *_why(error, target)) from error
    if not row["n"]:
        raise _stop(folder, *_empty(scope, target))
    return Connection(
        target.host,
        target.project_id,
        scope.start,
        scope.end,
        int(row["n"]),
        moment(row["first"]),
        moment(row["last"]),
    )


def write_environment(folder: Folder, target: Target, options: Options) -> None:
    """Write ``.env``: which project the report reads, and the key only where that was asked for."""
    values = {"POSTHOG_HOST": target.host, "POSTHOG_PROJECT_ID": target.project_id}
    if options.save_key:
        values["POSTHOG_PERSONAL_API_KEY"] = target.key
    folder.environment(values)


def _why(error: ApiError, target: Target) -> tuple[str, str, int]:
    if error.status in _REFUSED:
        return (
            f"{target.host} refuses the key (HTTP {error.status}) for project {target.project_id}.",
            _MEND_KEY,
            2,
        )
    if isinstance(error, UnreachableError):
        return (
            f"{target.host} does not answer.",
            "Check POSTHOG_HOST and the network; `nightpane up` starts the local server.",
            3,
        )
    return (
        f"{target.host} cannot answer: {error.detail}",
        "Check POSTHOG_HOST and POSTHOG_PROJECT_ID with `nightpane doctor`.",
        3,
    )


def _empty(scope: Scope, target: Target) -> tuple[str, str, int]:
    of = f" of project {scope.project!r}" if scope.project else ""
    what = (
        f"Project {target.project_id} of {target.host} holds no $ai_generation events{of} in the "
        f"{scope.days} days up to {scope.end:%Y-%m-%d %H:%M} UTC."
    )
    return what, _MEND_EMPTY, 3


def _stop(folder: Folder, what: str, mend: str, exit_code: int) -> NothingToReadError:
    old = folder.path("recommendations.md").exists()
    left = "\n`recommendations.md` in this folder is of an earlier run.\n" if old else ""
    folder.text("summary.md", f"# No report\n\n{what}\n\n**How to mend it:** {mend}\n{left}")
    return NothingToReadError(folder.clean(f"{what} {mend}"), exit_code)
