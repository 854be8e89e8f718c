"""The tables HogQL can read and their columns: PostHog's names, this store's places.

``team_id`` is not among them: the store holds one project and never shows the field.
"""

from __future__ import annotations

from collections.abc import Callable

from nightpane.hogql.literals import identifier, string
from nightpane.hogql.state import Expr, State
from nightpane.hogql.types import BOOL, DATETIME, INT, STRING, UUID_, Type

__all__ = ["EVENT_COLUMNS", "EVENT_STAR", "PERSON_COLUMNS", "SESSION_COLUMNS", "SESSION_STAR"]
__all__ += ["event_column", "persons_sql", "sessions_sql"]

_Column = Callable[[State, str], Expr]
_TEXT = STRING.null()


def _plain(name: str, kind: Type) -> _Column:
    return lambda _, table: Expr(f"{table}.{name}", kind)


def _time(name: str) -> _Column:
    def read(state: State, table: str) -> Expr:
        column = f"{table}.{name}"
        if state.timezone == "UTC":
            return Expr(column, DATETIME)
        return Expr(f"toTimeZone({column}, {string(state.timezone)})", DATETIME)

    return read


def _property(name: str) -> _Column:
    def read(state: State, table: str) -> Expr:
        if name in state.layout.hot:
            return Expr(f"{table}.{identifier('mat_' + name)}", _TEXT)
        return Expr(f"{table}.props.{identifier(name)}.:String", _TEXT)

    return read


def _empty(_: State, __: str) -> Expr:
    # PostHog has these columns for browser events; here they are always empty.
    return Expr("''", STRING)


def _none(_: State, __: str) -> Expr:
    return Expr("CAST([], 'Array(String)')", Type("array", item=STRING))


def _session_uuid(state: State, table: str) -> Expr:
    session = _property("$session_id")(state, table).sql
    return Expr(f"toUUIDOrNull(toString({session}))", UUID_.null())


def _person_mode(_: State, table: str) -> Expr:
    profile = f"{table}.props.{identifier('$process_person_profile')}.:String"
    return Expr(f"if(ifNull({profile}, '') = 'false', 'propertyless', 'full')", STRING)


EVENT_COLUMNS: dict[str, _Column] = {
    "uuid": _plain("uuid", UUID_),
    "event": _plain("event", STRING),
    "properties": _plain("properties", Type("string", document="event")),
    "timestamp": _time("timestamp"),
    "distinct_id": _plain("distinct_id", STRING),
    "elements_chain": _empty,
    "created_at": _time("created_at"),
    "$session_id": _property("$session_id"),
    "$window_id": _property("$window_id"),
    **{f"$group_{n}": _empty for n in range(5)},
    "elements_chain_href": _empty,
    "elements_chain_texts": _none,
    "elements_chain_ids": _none,
    "elements_chain_elements": _none,
    "person_id": _plain("person_id", UUID_),
    "person_mode": _person_mode,
    "$session_id_uuid": _session_uuid,
}
EVENT_STAR = tuple(EVENT_COLUMNS)[:18]

PERSON_COLUMNS: dict[str, Type] = {
    "id": UUID_,
    "created_at": DATETIME,
    "properties": Type("string", document="person"),
    "is_identified": BOOL,
}

_PERSON_SOURCES = {
    "created_at": ("argMax(p.created_at, p.version)", "DateTime64(6, \\'UTC\\')"),
    "properties": ("argMax(p.properties, p.version)", "String"),
    "is_identified": ("argMax(p.is_identified, p.version)", "Bool"),
}

_BOUNCE = (
    "countIf({t}.event = '$pageview') <= 1 AND countIf({t}.event = '$autocapture') = 0"
    " AND dateDiff('second', min({t}.timestamp), max({t}.timestamp)) < 10"
)

SESSION_COLUMNS: dict[str, tuple[str, Type]] = {
    "session_id": ("{session}", STRING),
    "id": ("{session}", STRING),
    "session_id_v7": ("toUInt128(toUUID({session}))", INT),
    "distinct_id": ("argMin({t}.distinct_id, {t}.timestamp)", STRING),
    "person_id": ("argMin({t}.person_id, {t}.timestamp)", UUID_),
    "$start_timestamp": ("min({t}.timestamp)", DATETIME),
    "$end_timestamp": ("max({t}.timestamp)", DATETIME),
    "$urls": ("groupUniqArray({url})", Type("array", item=STRING)),
    "$num_uniq_urls": ("uniqExact({url})", INT),
    "$entry_current_url": ("argMin({url}, {t}.timestamp)", _TEXT),
    "$end_current_url": ("argMax({url}, {t}.timestamp)", _TEXT),
    "$entry_pathname": ("path(ifNull(argMin({url}, {t}.timestamp), ''))", STRING),
    "$end_pathname": ("path(ifNull(argMax({url}, {t}.timestamp), ''))", STRING),
    "$entry_hostname": ("domain(ifNull(argMin({url}, {t}.timestamp), ''))", STRING),
    "$end_hostname": ("domain(ifNull(argMax({url}, {t}.timestamp), ''))", STRING),
    "$entry_referring_domain": ("argMin({referrer}, {t}.timestamp)", _TEXT),
    **{
        f"$entry_utm_{name}": (f"argMin({{utm_{name}}}, {{t}}.timestamp)", _TEXT)
        for name in ("source", "medium", "campaign", "term", "content")
    },
    "$pageview_count": ("countIf({t}.event = '$pageview')", INT),
    "$autocapture_count": ("countIf({t}.event = '$autocapture')", INT),
    "$screen_count": ("countIf({t}.event = '$screen')", INT),
    "$session_duration": ("dateDiff('second', min({t}.timestamp), max({t}.timestamp))", INT),
    "duration": ("dateDiff('second', min({t}.timestamp), max({t}.timestamp))", INT),
    "$is_bounce": (_BOUNCE, BOOL),
}
SESSION_STAR = tuple(name for name in SESSION_COLUMNS if name != "session_id_v7")

_SESSION_SOURCES = {
    "url": "$current_url",
    "referrer": "$referring_domain",
    **{
        f"utm_{name}": f"utm_{name}" for name in ("source", "medium", "campaign", "term", "content")
    },
}


def event_column(state: State, table: str, name: str) -> Expr | None:
    """Return a column of events, or None when there is none of that name."""
    column = EVENT_COLUMNS.get(name)
    return column(state, table) if column else None


def persons_sql(state: State, columns: set[str], *, nullable: bool = True) -> str:
    """Return the newest row of each person as a subquery with the given columns.

    ``nullable`` ones are NULL where a join finds no person.
    """
    parts = ["p.id AS id"]
    for name, (sql, kind) in _PERSON_SOURCES.items():
        if name in columns:
            parts.append(f"CAST({sql}, '{_nullable(kind) if nullable else kind}') AS {name}")
    table = state.layout.table("persons")
    return f"(SELECT {', '.join(parts)} FROM {table} AS p GROUP BY p.id)"  # noqa: S608


def sessions_sql(state: State, columns: set[str], *, nullable: bool) -> str:
    """Return sessions as a subquery over events: one row per UUIDv7 ``$session_id``.

    ``nullable`` columns are NULL where a join finds no session.
    """
    stored = _property("$session_id")(state, "e").sql
    session = f"toString(assumeNotNull({stored}))"
    sources = {name: _property(key)(state, "e").sql for name, key in _SESSION_SOURCES.items()}
    parts = [f"{session} AS session_id"]
    for name, (template, kind) in SESSION_COLUMNS.items():
        if name in columns and name != "session_id":
            sql = template.format(t="e", session=session, **sources)
            if nullable and kind.kind != "array":
                sql = f"toNullable({sql})"
            parts.append(f"{sql} AS {identifier(name)}")
    return (
        f"(SELECT {', '.join(parts)} FROM {state.layout.table('events')} AS e"  # noqa: S608
        f" WHERE {stored} IS NOT NULL AND length({session}) = 36"
        f" AND substring({session}, 15, 1) = '7' AND toUUIDOrNull({session}) IS NOT NULL"
        f" GROUP BY {session})"
    )


def _nullable(kind: str) -> str:
    return f"Nullable({kind})"
