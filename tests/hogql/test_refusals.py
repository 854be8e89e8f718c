"""What is refused, in whose words, and where the error points."""
# ruff: noqa: E501 (one case a line)

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from nightpane import hogql
from nightpane.errors import HogQLError
from nightpane.server.hogql_run import LAYOUT

TYPES = {"score": "Numeric", "ok": "Boolean"}


def compile_(query: str) -> hogql.Compiled:
    return hogql.compile(query, layout=LAYOUT, property_types=TYPES)


def refusal(query: str) -> HogQLError:
    with pytest.raises(HogQLError) as caught:
        compile_(query)
    return caught.value


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT 1 FROM other", 'Unknown table "other".'),
        ("SELECT chipotle FROM events", "Unable to resolve field: chipotle"),
        ("SELECT x FROM (SELECT 1 AS y)", "Unable to resolve field: x"),
        ("SELECT e.chipotle FROM events e", "Field not found: chipotle"),
        ("SELECT person.chipotle FROM events", "Field not found: chipotle"),
        ("SELECT score FROM events", "Unable to resolve field: score. Perhaps you meant 'properties.score'?"),
        ("SELECT hamburger(event) FROM events", "Unsupported function call 'hamburger(...)'"),
        ("SELECT toStrin(event) FROM events", "Unsupported function call 'toStrin(...)'. Perhaps you meant 'toString(...)'"),
        ("SELECT avg(avg(properties.score)) FROM events", "Aggregation 'avg' cannot be nested inside another aggregation 'avg'."),
        ("SELECT sum(n) FROM (SELECT 1 AS n) WHERE 1 GROUP BY sum(max(n))", "Aggregation 'max' cannot be nested"),
        ("SELECT count() AS n, sum(n) FROM events", "Aggregation 'count' cannot be nested inside another aggregation 'sum'."),
        ("SELECT person FROM events", "Can't select a table when a column is expected: person"),
        ("SELECT session FROM events", "Can't select a table when a column is expected: session"),
        ("SELECT events FROM events", "Can't select a table when a column is expected: events"),
        ("SELECT event AS team_id FROM events", "\"team_id\" cannot be an alias or identifier, as it's a reserved keyword"),
        ("SELECT 1 AS true", "\"true\" cannot be an alias or identifier, as it's a reserved keyword"),
        ("SELECT team_id FROM events", "Unable to resolve field: team_id"),
        ('SELECT 1 AS "x%y"', 'The HogQL identifier "x%y" is not permitted as it contains the "%" character'),
        ("SELECT quantile(0.5, 0.9)(1)", "Aggregation 'quantile' expects 1 parameter, found 2"),
        ("SELECT quantile(1)", "Aggregation 'quantile' expects 1 parameter, found 0"),
        ("SELECT lower()", "Function 'lower' expects 1 argument, found 0"),
        ("SELECT if(1, 2)", "Function 'if' expects 3 arguments, found 2"),
        ("", "Empty query"),
        (" \n", "Empty query"),
        ("SELECT 1; SELECT 2", "mismatched input"),
        ("SELECT 1; DROP TABLE events", "mismatched input"),
        ("INSERT INTO events SELECT 1", "mismatched input"),
        ("DROP TABLE events", "mismatched input"),
        ("SELECT 1 SETTINGS max_threads = 1", "Unsupported: SelectStmt.settingsClause()"),
        ("SELECT (x -> x)(1)", "You can only call simple functions in HogQL, not expressions"),
        ("SELECT a.b(1) FROM (SELECT 1 AS a)", "You can only call simple functions in HogQL, not expressions"),
        ("SELECT * FROM events, persons", "Cannot use '*' without table name when there are multiple tables in the query"),
        ("SELECT id FROM persons a JOIN persons b ON a.id = b.id", "Ambiguous query. Found multiple sources for field: id"),
        ("SELECT 1 FROM events JOIN events ON 1", 'Already have joined a table called "events"'),
        ("SELECT 1 AS a, 2 AS a", "Cannot redefine an alias with the name: a"),
        ("SELECT 1 FROM events FINAL", "The FINAL keyword is not supported in HogQL"),
        ("SELECT 1 FROM events SAMPLE 0.1", "SAMPLE is not supported"),
        ("SELECT 1 FROM events WHERE event IN COHORT 1", "IN COHORT is not supported"),
        ("SELECT matchesAction('x') FROM events", "Unsupported function call 'matchesAction(...)'"),
        ("WITH RECURSIVE a AS (SELECT 1) SELECT * FROM a", "WITH RECURSIVE is not supported"),
        ("SELECT event FROM events GROUP BY event WITH TOTALS", "WITH TOTALS is not supported"),
        ("(SELECT 1 AS a UNION ALL SELECT 2) ORDER BY a", "ORDER BY after several SELECTs is not supported"),
        ("SELECT event FROM events ORDER BY event COLLATE 'en'", "COLLATE is not supported"),
        ("SELECT 1 LIMIT 1 + 1", "LIMIT must be a whole number"),
        ("SELECT 1 UNION ALL SELECT 1, 2", "UNION ALL joins queries of 1 and 2 columns"),
        ("SELECT <a />", "HTML-like tags"),
        ("SELECT number FROM numbers(1000000000000)", "numbers() gives at most 1,000,000 rows"),
        ("SELECT number FROM numbers((SELECT 9))", "numbers() takes whole numbers"),
        ("SELECT * FROM (VALUES (1))", "VALUES is not supported"),
        ("SELECT groupArray(event ORDER BY timestamp) FROM events", "ORDER BY inside a function call is not supported"),
        ("SELECT 1::nonsense", "Unsupported type cast to 'nonsense'"),
        ("SELECT JSONExtract('{}', 'AggregateFunction(count)')", "Unsupported type in JSONExtract"),
        ("SELECT JSONExtract('{}', concat('Int', '64'))", "JSONExtract needs the name of a type"),
        ("SELECT sum(event) OVER nowhere FROM events", "Unknown window: nowhere"),
        ("SELECT row_number() FROM events", "Unsupported function call 'row_number(...)'"),
        ("SELECT arrayMap(team_id -> 1, [1])", "\"team_id\" cannot be an alias"),
    ],
)  # fmt: skip
def test_refused(query: str, message: str) -> None:
    assert refusal(query).message.startswith(message)


@pytest.mark.parametrize(
    ("query", "marked"),
    [
        ("SELECT 1,\n  chipotle FROM events", "chipotle"),
        ("SELECT '😀', hamburger(1)", "hamburger(1)"),
        ("SELECT 1 FROM system.tables", "system.tables"),
        ("SELECT avg(sum(1))", "sum(1)"),
        ("SELECT {x}", "{x}"),
        ("SELECT 1 AS team_id", "1 AS team_id"),
    ],
)
def test_the_error_points_at_the_place(query: str, marked: str) -> None:
    error = refusal(query)
    assert error.start is not None
    assert error.end is not None
    assert query[error.start : error.end] == marked
    line, column = hogql.position(query, error.start)
    assert query.split("\n")[line - 1][column - 1 :].startswith(marked.split("\n")[0])


def test_syntax_errors_have_their_own_code_and_place() -> None:
    error = refusal("SELECT ( FROM events")
    assert error.code == "hogql_syntax_error"
    assert error.start is not None


def test_a_query_may_have_a_hundred_thousand_characters() -> None:
    assert "may have 100,000" in refusal("SELECT '" + "a" * 100_000 + "'").message


def test_a_lone_surrogate_is_refused() -> None:
    assert "surrogate" in refusal("SELECT '\ud800'").message


# Security: everything here must be refused before the engine sees anything.

ESCAPES = [
    "SELECT file('/etc/passwd')",
    "SELECT * FROM file('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
    'SELECT * FROM "/etc/passwd"',
    "SELECT * FROM `/etc/passwd`",
    "SELECT * FROM url('http://127.0.0.1/', 'CSV', 'a String')",
    "SELECT * FROM s3('http://127.0.0.1/x')",
    "SELECT * FROM remote('127.0.0.1', system.one)",
    "SELECT * FROM executable('x', 'CSV', 'a String')",
    "SELECT * FROM filesystem('/')",
    "SELECT * FROM merge('system', '.*')",
    "SELECT * FROM cluster('default', system.one)",
    "SELECT * FROM generateRandom('a String')",
    "SELECT * FROM input('a String')",
    "SELECT * FROM system.tables",
    "SELECT * FROM `system`.`tables`",
    "SELECT * FROM `system.tables`",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM nightpane.events",
    "SELECT * FROM property_definitions",
    "SELECT * FROM person_distinct_ids",
    "SELECT * FROM dictionary('x')",
    "SELECT * FROM view(SELECT 1)",
    "SELECT * FROM numbers_mt(10)",
    "SELECT * FROM zeros(10)",
    "SELECT mat_score FROM events",
    "SELECT events.mat_score FROM events",
    "SELECT props FROM events",
    "SELECT _t1.properties FROM events",
    "SELECT _part FROM events",
    "SELECT version FROM persons",
    *(
        f"SELECT {call}"
        for call in (
            "sleep(3)", "sleepEachRow(1)", "hostName()", "fqdn()", "version()", "currentUser()",
            "currentDatabase()", "getSetting('max_threads')", "getMacro('x')", "getServerPort('x')",
            "dictGet('a', 'b', 1)", "joinGet('a', 'b', 1)", "evalMLMethod(1, 2)", "uptime()",
            "catboostEvaluate('/m', 1)", "initializeAggregation('sum', 1)", "runningAccumulate(1)",
            "finalizeAggregation(1)", "addressToLine(1)", "addressToSymbol(1)", "demangle('x')",
            "filesystemAvailable()", "isIPAddressInFile('x')", "showCertificate()", "tcpPort()",
            "serverUUID()", "getOSKernelVersion()", "buildId()", "blockNumber()", "logTrace('x')",
            "throwIf(1)", "ignore(1)", "executableFunction(1)", "arrayReduce('sum', [1])",
            "encrypt('aes-128-ecb', 'a', 'b')", "queryID()", "connectionId()", "transactionID()",
            "FQDN()", "zookeeperSessionUptime()", "hasColumnInTable('a', 'b', 'c')", "mortonEncode(1)",
            "generateRandomStructure()", "structureToProtobufSchema('a')", "fuzzBits('a', 0.1)",
            "Sleep(1)", "FILE('/etc/passwd')", "`file`('/etc/passwd')", '"file"(\'/etc/passwd\')',
            "fileIf('/etc/passwd', 1)", "urlIf('x', 1)", "sumIfIfIfIf(1, 1)", "ﬁle('/etc/passwd')",
            "file/**/('/etc/passwd')",
        )
    ),
    "SELECT 1 INTO OUTFILE '/tmp/x'",
    "SELECT 1 SETTINGS readonly = 0",
    "SELECT 1 FROM events SETTINGS max_execution_time = 100",
    "SET readonly = 0",
    "SELECT 1; SET readonly = 0",
    "SYSTEM SHUTDOWN",
    "ATTACH TABLE x",
    "EXPLAIN SELECT 1",
    "SHOW TABLES",
    "DESCRIBE TABLE events",
    "WITH file('/etc/passwd') AS x SELECT x",
    "WITH x AS (SELECT file('/etc/passwd')) SELECT * FROM x",
    "SELECT arrayMap(x -> file(x), ['/etc/passwd'])",
    "SELECT 1 WHERE file('/etc/passwd') != ''",
    "SELECT 1 ORDER BY file('/etc/passwd')",
    "SELECT 1 GROUP BY file('/etc/passwd')",
    "SELECT 1 LIMIT 1 BY file('/etc/passwd')",
    "SELECT sum(1) OVER (PARTITION BY file('/etc/passwd')) FROM events",
    "SELECT sum(1) OVER w FROM events WINDOW w AS (ORDER BY file('/etc/passwd'))",
    "SELECT sum(1) OVER (ORDER BY 1 ROWS BETWEEN file('x') PRECEDING AND CURRENT ROW) FROM events",
    "SELECT 1 FROM events ARRAY JOIN [file('/etc/passwd')] AS x",
    "SELECT 1 FROM events a JOIN events b ON a.event = file('/etc/passwd')",
    "SELECT 1 FROM numbers(file('/etc/passwd'))",
    "SELECT quantile(file('/etc/passwd'))(1)",
    "SELECT 1 IN (SELECT file('/etc/passwd'))",
    "SELECT f'{file(\\'/etc/passwd\\')}'",
    "SELECT cast(1 AS file)",
    "SELECT CASE WHEN 1 THEN file('/etc/passwd') END",
    "SELECT sum(1) FILTER (WHERE file('/etc/passwd') = '')",
    "SELECT {'a': file('/etc/passwd')}",
    "SELECT 1 UNION ALL SELECT file('/etc/passwd')",
    "SELECT team_id FROM events UNION ALL SELECT team_id FROM events",
    "SELECT e.team_id FROM events e",
    "SELECT x.team_id FROM (SELECT * FROM events) x",
    "SELECT 1 FROM events WHERE team_id = 2 OR 1 = 1",
    "WITH events AS (SELECT team_id FROM events) SELECT * FROM events",
    "SELECT COLUMNS('mat_.*') FROM events",
    "SELECT COLUMNS('.*') FROM events",
]  # fmt: skip


@pytest.mark.parametrize("query", ESCAPES)
def test_escapes_are_refused_before_the_engine(query: str) -> None:
    error = refusal(query)
    assert error.message
    assert error.code in ("hogql_error", "hogql_query_error", "hogql_syntax_error")


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1 -- ' ; DROP TABLE x",
        "SELECT 1 /* INTO OUTFILE '/tmp/x' */",
        "SELECT 1 # SETTINGS readonly = 0",
        "SELECT 'FORMAT Null INTO OUTFILE'",
        "SELECT event FORMAT FROM (SELECT 1 AS event)",
        "SELECT 1 FROM events FORMAT",
    ],
)
def test_comments_texts_and_names_are_never_clauses(query: str) -> None:
    sql = compile_(query).sql
    assert "OUTFILE" not in sql.replace("'FORMAT Null INTO OUTFILE'", "")
    assert "SETTINGS" not in sql
    assert "FORMAT" not in sql.replace("'FORMAT Null INTO OUTFILE'", "").replace("`FORMAT`", "")


@pytest.mark.parametrize(
    "name", ["a`b", "a\\", "a' OR 1", 'a"b', "_t1", "_t1.x", "😀", "a\nb", "`"]
)
def test_names_cannot_break_out(name: str) -> None:
    quoted = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    compiled = compile_(f"SELECT 1 AS {quoted}, {quoted} + 1 FROM events")
    assert compiled.columns[0] == name


def test_an_internal_name_is_never_the_querys() -> None:
    sql = compile_("SELECT event AS _t1, _t1 FROM events").sql
    assert "AS _t_1" in sql


def test_expressions_that_use_each_other_cannot_grow_without_bound() -> None:
    steps = "".join(f", a{n} AS (SELECT p.x FROM a{n - 1} p, a{n - 1} q)" for n in range(1, 30))
    error = refusal(f"WITH a0 AS (SELECT 1 AS x){steps} SELECT x FROM a29")
    assert "more than 1,000 tables" in error.message


@pytest.mark.parametrize(
    "query",
    ["SELECT " + "(" * 400 + "1" + ")" * 400, "SELECT " + "+".join(["1"] * 20_000)],
)
def test_what_the_grammar_cannot_swallow_harms_nothing(query: str) -> None:
    assert refusal(query).message
    assert compile_("SELECT 1 AS still_here").columns == ("still_here",)


def test_a_grammar_process_that_was_ended_is_started_again() -> None:
    compile_("SELECT 1 AS before")
    children = {
        int(pid)
        for task in Path("/proc/self/task").iterdir()
        for pid in (task / "children").read_text().split()
    }
    grammars = [
        pid for pid in children if b"_grammar.py" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    assert len(grammars) == 1
    os.kill(grammars[0], signal.SIGKILL)
    assert compile_("SELECT 1 AS after_it").columns == ("after_it",)
