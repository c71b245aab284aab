"""What may stand in a definition means the same on Spark: each against DuckDB, on rows made to tell them apart."""

import math
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from crm.lake import TableView
from features.session import opened
from features.spark_sql import NoSparkSql, parsed, spark_sql

ROWS = pa.table(
    {
        # Near halves, zeros, NaN, a missing value beside the greatest order, texts that only one of the two reads.
        "x": pa.array([1.005, 2.5, -2.5, 0.0, None, 3.5, float("nan"), 1e17]),
        "y": pa.array([3.0, 0.0, 2.0, 0.0, 9.0, None, 7.0, 1.0]),
        "n": pa.array([1, 2, 3, 4, 5, 6, 7, 0], pa.int64()),
        "m": pa.array([Decimal(v) for v in "0.01 0.02 100.10 33.33 1.00 7.77 0.10 12345678901234.56".split()]),
        "ok": pa.array([True, False, None, True, False, True, True, False]),
        "t": pa.array(["12", "12d", "1_000", " 5 ", "inf", "2.5F", "x", None]),
        "d": pa.array(
            ["2026-03-01", "2026", "2026-03", "2026/3/1", "2026-02-30", "2026-03-01 10:00:00", "2026-03-01 x", None]
        ),
        "w": pa.array(["a", "B", None, "a\\b", "ab", "Ä", "", "z"]),
        "moment": pa.array(
            [datetime(2026, 3, k + 1, 12, 0, 0, 1 + k, tzinfo=UTC) for k in range(8)], pa.timestamp("us", "UTC")
        ),
        "day": pa.array([date(2026, 11, 1)] * 7 + [None]),
    }
)
AGGREGATES = """
count(*) | count(x) | count(distinct w) filter (where n > 1) | count(distinct n % 3)
sum(n) | sum(m) | sum(x) filter (where n < 4) | sum(n) filter (where n > 99)
avg(n) | avg(m) | avg(m) / 3 | sum(m) / sum(n) | count(*) * 1.0 / 7
min(x) filter (where n < 6) | max(w) | min(moment) | max(n) filter (where ok)
median(y) | median(n) | median(n) filter (where n > 2) | quantile(n, 0.3) | quantile(n, 0.5) filter (where n > 1)
stddev(n) | stddev_samp(y) | stddev(y) filter (where n = 1) | bool_or(ok) | bool_and(ok) filter (where n = 4)
arg_max(x, y) | arg_min(w, n) | arg_max(w, moment) filter (where n < 4)
arg_max(n, (y, n)) filter (where y is not null)
sum(n) / nullif(sum(0 * n), 0) | sum(n) / (count(*) - 8) | (count(*) - 8) / (count(*) - 8) | -sum(n) / (count(*) - 8)
sum(exp(-n / 7)) / nullif(sum(exp(-n / 7)) filter (where n > 3), 0) | max((y > 2)::int) | sum(ok::int)
"""
ON_ROWS = """
x / y | n / 2 | n / 0 | m / 3 | m * 1.5 | 1 / 3 | n % 3 | n % nullif(n - 1, 0)
round(x) | round(x, 2) | round(y / 7, 3) | floor(y / 2) | ceil(y / 2) | abs(m) | sign(y - 2)
try_cast(x as integer) | try_cast(t as bigint) | (n / 2)::int
m::double | n::varchar | m::varchar | ok::varchar | ok::int | (y > 2)::bigint | w::varchar
try_cast(t as double) | try_cast(d as date) | try_cast(w as double) | try_cast(x as double)
ln(y) | ln(-n) | ln(y + 1) | exp(n) | exp(y * 1000) | sqrt(y) | pow(y, 2) | pow(n, -1) | sqrt(-y)
greatest(x, y) | least(n, y, 4) | greatest(n, null) | coalesce(w, t, 'none') | nullif(n, 4)
lower(w) | upper(w) | w like 'a%' | w like 'a\\b' | w ilike 'b' | w in ('a', 'z') | w not in ('a', 'z') | w || t
case when x > 1 then 1.0 when x is null then -1 end | ok and y > 1 | ok or y > 1 | not ok | w is distinct from t
y between 1 and 3 | x = 2.5 | m > 0.1 | n = m | epoch(moment) / 86400
date_diff('microsecond', moment, timestamptz '2026-03-02')
date_diff('day', day, date '2027-01-01') | day_start(day) | month(day) | last_day(day)
"""


def listed(text: str) -> list[str]:
    return [one.strip() for line in text.strip().splitlines() for one in line.split(" | ")]


def both(query: str, time_zone: str = "Europe/Berlin") -> tuple[list[dict], list[dict]]:
    found = []
    for engine in ("duckdb", "spark"):
        with opened(engine, TableView({}), time_zone) as session:
            session.local.register("_rows", ROWS)
            session.local.execute("create temp table given as select * from _rows")
            session.share("given")
            session.make("kept", "select * from given")
            found.append(session.fetch(query).to_pylist())
    return found[0], found[1]


def same(a: object, b: object) -> bool:
    if isinstance(a, (int, float, Decimal)) and isinstance(b, (int, float, Decimal)):
        return math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-12) or (math.isnan(a) and math.isnan(b))
    return a == b


@pytest.mark.spark
def test_every_aggregate_means_the_same():
    names = listed(AGGREGATES)
    duck, spark = both(f"select {', '.join(f'{sql} as f{i}' for i, sql in enumerate(names))} from kept")
    differ = {sql: (duck[0][f"f{i}"], spark[0][f"f{i}"]) for i, sql in enumerate(names)}
    assert {sql: pair for sql, pair in differ.items() if not same(*pair)} == {}


@pytest.mark.spark
def test_every_expression_on_a_row_means_the_same():
    names = listed(ON_ROWS)
    duck, spark = both(f"select {', '.join(f'{sql} as f{i}' for i, sql in enumerate(names))} from kept order by n")
    differ = {
        sql: [(a[f"f{i}"], b[f"f{i}"]) for a, b in zip(duck, spark, strict=True) if not same(a[f"f{i}"], b[f"f{i}"])]
        for i, sql in enumerate(names)
    }
    assert {sql: pairs for sql, pairs in differ.items() if pairs} == {}


def test_what_spark_would_count_in_another_way_is_refused():
    with pytest.raises(NoSparkSql, match=r"date_diff\('month'"):
        spark_sql(parsed("select date_diff('month', a, b) from t"), "UTC")
