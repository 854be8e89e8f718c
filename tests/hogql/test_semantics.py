"""HogQL's meaning: properties and their types, NULLs, time, tables, every clause of a SELECT."""
# ruff: noqa: E501 (one case a line)

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from tests.hogql.sample import EVENTS, HOSTILE_KEYS, START

from nightpane.errors import HogQLError
from nightpane.server.hogql_run import compile_for, run_hogql
from nightpane.store import Store

Props = list[dict[str, Any]]
PROPS: Props = [dict(event.properties) for event in EVENTS]

SCORE_TREND = """SELECT
  toDate(timestamp) AS day,
  properties.project AS project,
  max(toFloat(properties.score)) AS best_score,
  count() AS n_rounds
FROM events
WHERE event = 'round_scored'
  AND timestamp > now() - INTERVAL 30 DAY
GROUP BY day, project
ORDER BY day DESC"""


def test_the_score_trend_query_runs_as_it_is_written(store: Store) -> None:
    answer = run_hogql(store, SCORE_TREND)
    assert answer["columns"] == ["day", "project", "best_score", "n_rounds"]
    assert answer["limit"] == 100


def test_hot_properties_are_plain_columns(store: Store) -> None:
    sql = compile_for(store, SCORE_TREND).sql
    assert "max(_t1.`mat_score`)" in sql
    assert "ifNull" not in sql
    assert "equals(_t1.event, 'round_scored')" in sql


def test_numeric_properties_are_numbers(ask: Any) -> None:
    expected = sum(props["num"] for props in PROPS if "num" in props)
    assert ask("SELECT sum(properties.num) FROM events") == [[expected]]


def test_an_integer_beyond_two_to_the_53_stays_exact(ask: Any) -> None:
    rows = ask("SELECT properties.big FROM events ORDER BY timestamp, uuid LIMIT 200")
    assert {row[0] for row in rows} <= {str(2**60 + number) for number in range(200)}


def test_text_properties_keep_what_was_sent(ask: Any) -> None:
    rows = ask("SELECT properties.mixed FROM events WHERE event != 'first' LIMIT 1000")
    spelled = {None, "1", "true", "x", "2.5", '[1,"a"]', '{"k":1}'}
    assert {row[0] for row in rows} == spelled


@pytest.mark.parametrize("name", ["ok", "flag", "$ai_is_error"])
def test_booleans_can_be_written_in_every_way(ask: Any, name: str) -> None:
    expected = sum(1 for props in PROPS if props.get(name) is True)
    for form in ("{}", "{} = true", "{} = 'true'", "{} = 1", "{} != false AND {} IS NOT NULL"):
        condition = form.replace("{}", f"properties.{name}")
        assert ask(f"SELECT countIf({condition}) FROM events") == [[expected]]
        assert ask(f"SELECT count() FROM events WHERE {condition}") == [[expected]]
        assert ask(f"SELECT sum(if({condition}, 1, 0)) FROM events") == [[expected]]


def test_an_untyped_property_as_a_condition_is_true_when_it_says_true(ask: Any) -> None:
    expected = sum(1 for props in PROPS if props.get("mixed") is True)
    assert ask("SELECT countIf(properties.mixed) FROM events") == [[expected]]


def test_datetime_properties_are_times(ask: Any) -> None:
    query = "SELECT countIf(properties.when >= '2026-03-15') FROM events"
    assert ask(query) == [[sum(1 for props in PROPS if props["when"] >= "2026-03-15")]]


def test_nested_properties(ask: Any) -> None:
    query = """SELECT properties.nested.list[2], properties.nested.list.1, properties.nested.deep.s,
        properties.nested['deep']['n'], properties.nested.nothing, properties.nested.deep,
        JSONExtractInt(properties, 'nested', 'deep', 'n'), properties.$ai_input[1].content
        FROM events WHERE event != 'first' ORDER BY timestamp LIMIT 1"""
    deep = '{"n":0,"s":"it\'s \\"quoted\\""}'
    assert ask(query) == [["20", "10", 'it\'s "quoted"', "0", None, deep, 0, "prompt 0"]]


@pytest.mark.parametrize("key", HOSTILE_KEYS)
def test_any_key_can_be_read(ask: Any, store: Store, key: str) -> None:
    expected = [[f"value of {key!r}"]]
    by_value = "SELECT properties[{key}] FROM events WHERE properties[{key}] IS NOT NULL"
    assert ask(by_value, {"key": key}) == expected
    if "\0" not in key:  # HogQL has no way to write NUL in a text
        quoted = key.replace("\\", "\\\\").replace("'", "\\'")
        assert ask(f"SELECT properties['{quoted}'] FROM events WHERE event != 'first' LIMIT 1")
        assert ask(by_value.replace("{key}", f"'{quoted}'")) == expected
    assert compile_for(store, by_value, {"key": key}).columns == (key,)


def test_zero_is_no_index(store: Store) -> None:
    with pytest.raises(HogQLError, match="SQL indexes start from one"):
        compile_for(store, "SELECT properties.nested.list[0] FROM events")


def test_or_zero_reads_the_raw_text(ask: Any) -> None:
    query = "SELECT toFloatOrZero(properties.word), toFloatOrZero('2.5'), toIntOrZero('x')"
    assert ask(query + " FROM events WHERE event = 'first'") == [[0, 2.5, 0]]


# NULLs


def test_equality_with_a_missing_property(ask: Any) -> None:
    total = len(PROPS)
    has = sum(1 for props in PROPS if "num" in props)
    one = sum(1 for props in PROPS if props.get("num") == 1)
    assert ask("SELECT countIf(properties.num = 1) FROM events") == [[one]]
    assert ask("SELECT count() FROM events WHERE properties.num != 1") == [[total - one]]
    assert ask("SELECT count() FROM events WHERE NOT (properties.num = 1)") == [[total - one]]
    assert ask("SELECT count() FROM events WHERE properties.num = null") == [[total - has]]
    assert ask("SELECT count() FROM events WHERE properties.num IS NOT NULL") == [[has]]
    assert ask("SELECT count() FROM events WHERE properties.num < 1e9") == [[has]]
    assert ask("SELECT count() FROM events WHERE NOT (properties.num < 1e9)") == [[total - has]]


def test_a_comparison_is_never_null(ask: Any) -> None:
    query = """SELECT properties.nothing = 'a', properties.nothing != 'a', properties.nothing < 'a',
        properties.nothing LIKE 'a', properties.nothing NOT LIKE 'a', properties.nothing =~ 'a',
        properties.nothing = properties.nought, properties.nothing != properties.nought,
        properties.nothing IN ('a'), properties.nothing NOT IN ('a'),
        properties.nothing IN ('a', null), properties.nothing IS NOT DISTINCT FROM null,
        properties.nothing BETWEEN 'a' AND 'b' FROM events LIMIT 1"""
    assert ask(query) == [[0, 1, 0, 0, 1, 0, 1, 0, 0, 1, 1, 1, 0]]


def test_a_subquery_with_null_is_a_list_like_any_other(ask: Any) -> None:
    inner = "SELECT properties.rare FROM events"
    rows = ask(f"SELECT countIf(properties.rare IN ({inner})), count() FROM events")
    assert rows == [[len(PROPS), len(PROPS)]]


def test_concat_takes_null_as_empty(ask: Any) -> None:
    query = "SELECT concat('a', properties.nothing, 1, null), properties.nothing || 'b' FROM events"
    assert ask(query + " LIMIT 1") == [["a1", "b"]]


def test_literals_meet_columns_of_another_type(ask: Any) -> None:
    one = sum(1 for props in PROPS if props.get("num") == 1)
    assert ask("SELECT count() FROM events WHERE properties.num = '1'") == [[one]]
    assert ask("SELECT count() FROM events WHERE properties.num IN ('1', 'x')") == [[one]]
    assert ask("SELECT count() FROM events WHERE properties.num = 'x'") == [[0]]
    mixed = sum(
        1 for props in PROPS if props.get("mixed") in (1, "1") and props["mixed"] is not True
    )
    assert ask("SELECT count() FROM events WHERE properties.mixed = 1") == [[mixed]]
    assert ask("SELECT count() FROM events WHERE properties.mixed IN (1, 'x', true)") == [
        [sum(1 for props in PROPS if props.get("mixed") in (1, "1", "x", True))]
    ]
    assert ask("SELECT count() FROM events WHERE uuid = 'no uuid'") == [[0]]
    assert ask("SELECT count() FROM events WHERE uuid = {u}", {"u": EVENTS[3].uuid}) == [[1]]


# Time


def test_texts_are_read_as_times(ask: Any) -> None:
    day = sum(1 for event in EVENTS if event.timestamp.date() == date(2026, 3, 2))
    for query in (
        "timestamp >= '2026-03-02' AND timestamp < '2026-03-03'",
        "timestamp BETWEEN '2026-03-02' AND '2026-03-02 23:59:59'",
        "toDate(timestamp) = '2026-03-02'",
        "'2026-03-02T00:00:00Z' <= timestamp AND timestamp < toDateTime('2026-03-03')",
        "toStartOfDay(timestamp) = '2026-03-02'",
    ):
        assert ask(f"SELECT count() FROM events WHERE {query}") == [[day]]


def test_another_timezone(ask: Any) -> None:
    rows = ask(
        "SELECT min(timestamp), toStartOfDay(min(timestamp)) AS d, toDate(min(timestamp)), "
        "countIf(timestamp < '2026-03-01 09:00:00') FROM events WHERE event != 'first'",
        timezone="Asia/Tokyo",
    )
    assert rows == [["2026-03-01T09:00:00+09:00", "2026-03-01T00:00:00+09:00", "2026-03-01", 0]]


def test_times_are_written_as_posthog_writes_them(ask: Any) -> None:
    query = """SELECT toDateTime('2026-01-02 03:04:05'), toDateTime('2026-01-02T03:04:05.25Z'),
        toDate('2026-01-02'), toDateTime('nonsense'), [toDateTime('2026-01-02')], toDate('x')"""
    assert ask(query) == [
        [
            "2026-01-02T03:04:05Z",
            "2026-01-02T03:04:05.250000Z",
            "2026-01-02",
            None,
            ["2026-01-02T00:00:00Z"],
            None,
        ]
    ]


def test_differences_and_intervals(ask: Any) -> None:
    query = """SELECT dateDiff('day', '2026-01-01', toDateTime('2026-01-31')),
        toDate('2026-01-31') + INTERVAL 1 DAY, dateAdd('hour', 2, toDateTime('2026-01-01')),
        date_trunc('month', toDateTime('2026-02-17')), dateSub('week', 1, toDate('2026-01-08')),
        toDateTime('2026-03-01') - INTERVAL 2 MONTH, date_part('year', toDate('2026-01-01'))"""
    assert ask(query) == [
        [
            *(30, "2026-02-01", "2026-01-01T02:00:00Z", "2026-02-01", "2026-01-01"),
            *("2026-01-01T00:00:00Z", 2026),
        ]
    ]


# Tables


def test_star_shows_posthogs_columns_and_no_others(store: Store) -> None:
    columns = run_hogql(store, "SELECT * FROM events LIMIT 1")["columns"]
    assert columns[:7] == [
        *("uuid", "event", "properties", "timestamp", "distinct_id", "elements_chain"),
        "created_at",
    ]
    assert not [name for name in columns if name.startswith("mat_") or name == "props"]
    assert run_hogql(store, "SELECT * EXCLUDE (uuid) FROM events")["columns"] == columns[1:]
    assert run_hogql(store, "SELECT * FROM persons")["columns"] == [
        *("id", "created_at", "properties", "is_identified")
    ]


def test_persons_join_only_when_used(store: Store, ask: Any) -> None:
    assert "JOIN" not in compile_for(store, "SELECT person.id, person_id FROM events").sql
    rows = ask(
        "SELECT distinct_id, person.properties.email, person.properties.age FROM events "
        "GROUP BY 1, 2, 3 ORDER BY 1"
    )
    assert rows == [[f"d{n}", f"d{n}@example.org", str(20 + n)] for n in range(3)]
    rows = ask("SELECT properties.email FROM persons ORDER BY properties.email")
    assert rows == [[f"d{n}@example.org"] for n in range(3)]


def test_sessions(ask: Any) -> None:
    rows = ask(
        "SELECT session_id, $session_duration, $start_timestamp FROM sessions ORDER BY session_id"
    )
    hours = [event.timestamp for event in EVENTS[1:]]
    first, second = hours[0::2], hours[1::2]
    expected = [int((times[-1] - times[0]).total_seconds()) for times in (second, first)]
    assert sorted(row[1] for row in rows) == sorted(expected)
    joined = ask(
        "SELECT session.$session_duration AS d, count() FROM events WHERE event != 'first' "
        "GROUP BY d ORDER BY d"
    )
    assert sum(row[1] for row in joined) == 200
    assert ask("SELECT session.id FROM events WHERE event = 'first'") == [[None]]


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("WITH a AS (SELECT 1 AS x), b AS (SELECT x + 1 AS y FROM a) SELECT x, y FROM a, b", [[1, 2]]),
        ("WITH 5 AS n SELECT n + 1", [[6]]),
        ("WITH (SELECT count() FROM events) AS total SELECT total", [[201]]),
        ("WITH a(p, q) AS (SELECT 1, 2) SELECT q, p FROM a", [[2, 1]]),
        ("WITH events AS (SELECT 7 AS event) SELECT event FROM events", [[7]]),
        ("SELECT q FROM (SELECT 1, 2) AS t(p, q)", [[2]]),
        ("SELECT x FROM (SELECT 1 AS x UNION ALL SELECT 2) ORDER BY x DESC", [[2], [1]]),
        ("SELECT 1 UNION DISTINCT SELECT 1", [[1]]),
        ("SELECT number FROM numbers(4) INTERSECT SELECT 3", [[3]]),
        ("SELECT number FROM numbers(2) EXCEPT SELECT 0", [[1]]),
        ("SELECT a.x, b.y FROM (SELECT 1 AS x) a LEFT JOIN (SELECT 1 AS x, 2 AS y) b ON a.x = b.x", [[1, 2]]),
        ("SELECT x, y FROM (SELECT 1 AS x) a RIGHT JOIN (SELECT 2 AS x, 3 AS y) b USING (x)", [[2, 3]]),
        ("SELECT x FROM (SELECT 1 AS x) a FULL JOIN (SELECT 2 AS x) b USING x ORDER BY x", [[1], [2]]),
        ("SELECT a.number, b.number FROM numbers(2) a CROSS JOIN numbers(1) b ORDER BY 1", [[0, 0], [1, 0]]),
        ("SELECT x FROM (SELECT [1, 2] AS xs) ARRAY JOIN xs AS x", [[1], [2]]),
        ("SELECT x FROM (SELECT emptyArrayInt64() AS xs) LEFT ARRAY JOIN xs AS x", [[0]]),
        ("SELECT number FROM numbers(9) ORDER BY number LIMIT 1 BY number % 2", [[0], [1]]),
        ("SELECT number FROM numbers(9) ORDER BY number LIMIT 2 OFFSET 3", [[3], [4]]),
        ("SELECT number FROM numbers(9) ORDER BY number % 3 LIMIT 2 WITH TIES", [[0], [3], [6]]),
        ("SELECT DISTINCT number % 2 AS p FROM numbers(9) ORDER BY p", [[0], [1]]),
        ("SELECT number % 2 AS p, count() AS n FROM numbers(5) GROUP BY p HAVING n > 2", [[0, 3]]),
        ("SELECT number FROM numbers(3) QUALIFY row_number() OVER (ORDER BY number DESC) = 1", [[2]]),
        ("SELECT sum(number) OVER w FROM numbers(3) WINDOW w AS (ORDER BY number)", [[0], [1], [3]]),
        ("SELECT lagInFrame(number, 1, 9) OVER (ORDER BY number) FROM numbers(2)", [[9], [0]]),
        ("SELECT count() AS n FROM numbers(4) GROUP BY ROLLUP(number % 2) ORDER BY n", [[2], [2], [4]]),
        ("SELECT arrayMap(x -> x * 2, arrayFilter((x) -> x > 1, [1, 2, 3]))", [[[4, 6]]]),
        ("SELECT (1, 'a').2, [5, 6][-1], {'k': 1}['k'], [1, 2, 3][2:3]", [["a", 6, 1, [2, 3]]]),
        ("SELECT 1 ? 2 : 3, null ?? 4, 5 BETWEEN 1 AND 9, not 1", [[2, 4, 1, 0]]),
        ("SELECT CASE WHEN 0 THEN 'a' END, CASE 2 WHEN 1 THEN 'x' ELSE 'y' END", [[None, "y"]]),
        ("SELECT 'abc' LIKE 'a%', 'abc' ILIKE 'A_C', 'abc' =~ '^a', 'abc' !~ 'z', 'ABC' =~* 'b'", [[1, 1, 1, 1, 1]]),
        ("SELECT toInt('7'), toInt('x'), toFloat('1.5'), toString(3), toBool('true')", [[7, None, 1.5, "3", True]]),
        ("SELECT '5'::int, cast('2.5' AS float), cast(1, 'String')", [[5, 2.5, "1"]]),
        ("SELECT exists(SELECT 1 WHERE 0), 3 IN (SELECT 3), (SELECT 4)", [[0, 1, 4]]),
        ("SELECT count(*), count(DISTINCT number % 3), sum(number) FILTER (WHERE number > 1) FROM numbers(4)", [[4, 3, 5]]),
        ("SELECT quantileExact(0.5)(number), median(number), argMax(number, -number) FROM numbers(5)", [[2, 2, 0]]),
        ("SELECT 1 / 0, -1 / 0, nan, [inf, 1.5]", [[None, None, None, [None, 1.5]]]),
        ("SELECT 18446744073709551615, -9223372036854775808, 340282366920938463463374607431768211455", [[2**64 - 1, -(2**63), 2**128 - 1]]),
        ("SELECT number FROM (SELECT number FROM numbers(3) ORDER BY number DESC NULLS FIRST LIMIT 1)", [[2]]),
        ("SELECT x FROM (SELECT arrayJoin([1, null, 2]) AS x) ORDER BY x ASC NULLS FIRST", [[None], [1], [2]]),
        ("SELECT windowFunnel(99)(toDateTime(number), number = 1, number = 2) FROM numbers(4)", [[2]]),
        ("SELECT toDateTime(toDateTime('2026-01-01T00:00:00.5Z'))", [["2026-01-01T00:00:00Z"]]),
        ("SELECT simpleLinearRegression(number, number * 2) FROM numbers(9)", [[[2, 0]]]),
        ("SELECT event FROM (SELECT *, upper(event) AS event FROM events) WHERE event = 'FIRST'", [["FIRST"]]),
        ("SELECT `count()` FROM (SELECT event, count() FROM events WHERE event = 'first' GROUP BY 1)", [[1]]),
        ("SELECT 1 AS x, arrayMap(x -> x + 1, [1]), x", [[1, [2], 1]]),
        ("SELECT f'{1 + 1} is two'", [["2 is two"]]),
        ("SELECT y + 1 AS x, number AS y FROM numbers(1)", [[1, 0]]),
        ("SELECT max(number) AS number FROM numbers(5) WHERE number < 3", [[2]]),
        ("SELECT toUUID('00000000-0000-0000-0000-000000000001')", [["00000000-0000-0000-0000-000000000001"]]),
    ],
)  # fmt: skip
def test_queries(ask: Any, query: str, rows: list[list[Any]]) -> None:
    assert ask(query) == rows


# Limits of rows


def test_limit_offset_and_has_more(store: Store) -> None:
    answer = run_hogql(store, "SELECT number FROM numbers(200)")
    assert (len(answer["results"]), answer["hasMore"], answer["limit"]) == (100, True, 100)
    answer = run_hogql(store, "SELECT number FROM numbers(100)")
    assert (len(answer["results"]), answer["hasMore"]) == (100, False)
    answer = run_hogql(store, "SELECT number FROM numbers(60000) LIMIT 1000000")
    assert (len(answer["results"]), answer["hasMore"], answer["limit"]) == (50_000, True, 50_000)
    answer = run_hogql(store, "SELECT number FROM numbers(9) LIMIT 2 OFFSET 3")
    assert (answer["results"], answer["offset"], answer["hasMore"]) == ([[3], [4]], 3, True)
    answer = run_hogql(store, "SELECT 1 UNION ALL SELECT 2 LIMIT 1")
    assert len(answer["results"]) in (1, 2)
    assert (
        "LIMIT 50000)"
        in compile_for(store, "SELECT count() FROM (SELECT 1 FROM numbers(9) LIMIT 99999999)").sql
    )


# Values


def test_values_keep_their_type(ask: Any) -> None:
    values = {
        "text": "it's \\ \" ` \0 \n {x} %s 😀",
        "none": None,
        "yes": True,
        "number": -2.5,
        "list": ["a", 1, None],
        "day": date(2026, 1, 2),
        "at": datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
        "n": 2,
    }
    assert ask("SELECT {text}, {none}, {yes}, {number}, {day}, {at}", values) == [
        [values["text"], None, True, -2.5, "2026-01-02", "2026-01-02T03:04:00Z"]
    ]
    assert ask("SELECT number FROM numbers(9) ORDER BY number LIMIT {n}", values) == [[0], [1]]
    assert ask("SELECT 'a' IN {list}, 'b' IN {list}, 1 IN {empty}", values | {"empty": []}) == [
        [1, 0, 0]
    ]
    assert ask("SELECT {a.b}", {"a": {"b": 3}}) == [[3]]


@pytest.mark.parametrize(
    "text", ["' OR 1=1 --", "\\' OR 1=1 --", "'); DROP TABLE events; --", "{x}"]
)
def test_a_value_is_never_part_of_the_query(ask: Any, text: str) -> None:
    assert ask("SELECT count() FROM events WHERE event = {v}", {"v": text}) == [[0]]
    assert ask("SELECT {v}", {"v": text}) == [[text]]


def test_a_placeholder_without_a_value(store: Store) -> None:
    with pytest.raises(HogQLError, match=r"Unresolved placeholder: \{x\}"):
        compile_for(store, "SELECT {x}")
    with pytest.raises(HogQLError, match="Variable y is missing from query"):
        compile_for(store, "SELECT {variables.y}")
    with pytest.raises(HogQLError, match="half of a surrogate"):
        compile_for(store, "SELECT {x}", {"x": "\ud800"})


def test_variables_and_filters(ask: Any) -> None:
    variables = {
        "1": {"code_name": "p", "value": "autoagent"},
        "2": {"code_name": "q", "isNull": 1},
    }
    rows = ask("SELECT {variables.p}, {variables.q}", variables=variables)
    assert rows == [["autoagent", None]]
    query = "SELECT count() FROM events WHERE {filters}"
    assert ask(query) == [[len(EVENTS)]]
    day = {"date_from": "2026-03-02", "date_to": "2026-03-02"}
    assert ask(query, filters={"dateRange": day}) == [[24]]
    scored = sum(1 for props in PROPS if props.get("project") == "autoagent")
    for item in (
        {"key": "project", "value": ["autoagent"], "operator": "exact", "type": "event"},
        {"key": "project", "value": "AUTOAG", "operator": "icontains", "type": "event"},
        {"key": "properties.project = 'autoagent'", "type": "hogql"},
        {"key": "project", "value": "^autoa", "operator": "regex", "type": "event"},
    ):
        assert ask(query, filters={"properties": [item]}) == [[scored]]
    unlike = {"key": "project", "value": ["autoagent"], "operator": "is_not", "type": "event"}
    assert ask(query, filters={"properties": [unlike]}) == [[len(EVENTS) - scored]]
    with pytest.raises(HogQLError) as refused:
        ask(query, filters={"properties": [{"key": "x", "operator": "near", "value": 1}]})
    assert refused.value.code == "invalid_property_filter"


def test_columns_are_named_as_posthog_names_them(store: Store) -> None:
    query = "SELECT event, properties.score, count(), 1 + 1, count() AS n, e.event FROM events e"
    assert compile_for(store, query + " GROUP BY 1, 2").columns == (
        *("event", "score", "count()", "plus(1, 1)", "n", "event"),
    )


def test_funnels_take_events_times(ask: Any) -> None:
    query = """SELECT windowFunnel(864000)(timestamp, event = 'first', event = 'round_scored'),
        sequenceMatch('(?1).*(?2)')(timestamp, event = 'first', event = 'round_kept') FROM events"""
    assert ask(query) == [[2, 1]]


def test_start_is_what_the_sample_says(ask: Any) -> None:
    assert ask("SELECT min(timestamp) FROM events") == [[START.isoformat().replace("+00:00", "Z")]]
