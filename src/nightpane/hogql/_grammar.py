"""The grammar's own process: reads a query a line, writes its tree a line, both as JSON.

Run as a script, never imported: PostHog's parser needs seconds for a few nested brackets, holds
Python's lock meanwhile and can overflow the stack, and none of that may happen to the server. It
also imports two modules of PostHog's server that the ``posthog`` SDK does not ship; they stand in
here, where nothing else can meet them. Only the standard library and the parser are imported.
"""

import json
import resource
import signal
import sys
import threading
from types import ModuleType
from typing import Any

_STACK_BYTES = 256 * 1024 * 1024
_LIMIT_S = 5  # of the processor's time; past it the signal ends this process
_MEMORY_BYTES = 2 * 1024 * 1024 * 1024
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
# The first query that uses a rule of the grammar pays for it: these have paid for most of them.
_FIRST = (
    "WITH a AS (SELECT toDate(timestamp) AS day, properties.x AS x, count() AS n FROM events e "
    "LEFT JOIN persons p ON e.person_id = p.id WHERE event = 'x' AND timestamp > now() - "
    "INTERVAL 30 DAY AND (x IN ('a', 'b') OR NOT y BETWEEN 1 AND 2.5 AND z IS NOT NULL) "
    "GROUP BY day, x HAVING n >= 1 ORDER BY day DESC, x LIMIT 10 OFFSET 2) "
    "SELECT a.day, sum(n) OVER (PARTITION BY x ORDER BY day), CASE WHEN n > 1 THEN 'a' ELSE 'b' "
    "END AS c, arrayMap(v -> v * 2 + 1, [1, 2]), {p}, quantile(0.5)(n), n ? 1 : -2, n ?? 3 FROM a "
    "WHERE day IN (SELECT day FROM a) LIMIT 1 BY x UNION ALL SELECT * FROM (SELECT 1 AS b) AS t"
)


class _BaseHogQLError(Exception):
    def __init__(
        self, message: str = "", *, start: int | None = None, end: int | None = None
    ) -> None:
        super().__init__(message)
        self.start = start
        self.end = end


def _load() -> Any:
    errors = ModuleType("posthog.hogql.errors")
    errors.__dict__["BaseHogQLError"] = _BaseHogQLError
    for name in _ERRORS:
        errors.__dict__[name] = type(name, (_BaseHogQLError,), {})
    package = ModuleType("posthog.hogql")
    package.__dict__["errors"] = errors
    sys.modules.update({"posthog.hogql": package, "posthog.hogql.errors": errors})
    import hogql_parser

    return hogql_parser


def _serve() -> None:
    try:
        parser = _load()
    except ImportError:
        parser = None
    else:
        parser.parse_select_json(_FIRST)
    for line in sys.stdin.buffer:
        if parser is None:
            answer = '{"missing": true}'
        else:
            how, text = json.loads(line)
            signal.setitimer(signal.ITIMER_PROF, _LIMIT_S)
            answer = getattr(parser, how)(text).replace("\n", " ")
            signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdout.buffer.write(answer.encode("utf-8") + b"\n")
        sys.stdout.buffer.flush()


def _main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the end of its input is what ends it
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    threading.stack_size(_STACK_BYTES)
    thread = threading.Thread(target=_serve)
    thread.start()
    thread.join()


if __name__ == "__main__":
    _main()
