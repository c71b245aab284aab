"""A deal given whole is described by SQLite as DuckDB describes it: every feature, on a history made to differ."""

import logging

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from crm.company import Company
from features import online as module
from features.added import TABLES
from features.online import Online
from features.sqlite_sql import NoSqliteSql, sqlite_sql
from tests.features.random_history import COMPANY, RandomHistory
from tests.features.test_added import alike

PLAIN = Company.parse(
    {
        "base_currency": "EUR",
        "time_zone": "America/New_York",
        "fiscal": {"start_month": 2},
        "stages": {"*": ["Qualify", "Demo", "Quote"]},
        "features": [
            {"block": block, "name": f"own_{i}", "sql": sql, "unit": "count", "en": "My own"}
            for i, (block, sql) in enumerate(
                [
                    ("deal_activity", "avg(duration_minutes) / (count(*) - 3)"),
                    ("deal_activity", "median(greatest(duration_minutes, 20)) filter (where kind <> 'note')"),
                    ("deal_activity", "arg_max(duration_minutes, age) / 2"),
                    ("company_record", "median(amount) filter (where age > days(0.5))"),
                    ("customer_orders", "sum(ln(abs(amount) + 1)) filter (where age < days(200))"),
                ]
            )
        ],
    }
)


def one_deal(view, deal):
    return {name: view.arrow(name).filter(pc.equal(view.arrow(name)["deal_id"], deal)) for name in TABLES}


def at(deal, moment):
    return pd.DataFrame({"deal_id": [deal], "as_of": pd.Series([moment]).astype("datetime64[us, UTC]")})


@pytest.mark.parametrize("seed", [7, *(pytest.param(seed, marks=pytest.mark.slow_study) for seed in range(8, 14))])
def test_every_feature_of_a_deal_is_what_duckdb_says(seed, monkeypatch, caplog):
    history = RandomHistory(seed)
    view, draw = history.view(), np.random.default_rng(seed)
    with caplog.at_level(logging.INFO, "features.online"), Online(view, PLAIN) as online:
        frames = []
        for n in draw.choice(70, 6, replace=False):
            deal = f"deal{n}"
            moment = pd.Timestamp("2026-01-10", tz="UTC") + pd.Timedelta(hours=int(draw.integers(2000)))
            given = one_deal(view, deal)
            if n % 2:  # a deal that the view does not have, with the other's rows
                deal = f"new{n}"
                given = {k: t.set_column(t.column_names.index("deal_id"), "deal_id", pa.array([deal] * t.num_rows))
                         for k, t in given.items()}  # fmt: skip
            found = []
            for most in (20, 0):
                monkeypatch.setattr(module, "MOST", most)
                found.append(online.describe_with(given, at(deal, moment)))
            alike(*found)
            assert found[0].dtypes.map(str).to_dict() == found[1].dtypes.map(str).to_dict()
            frames.append(found[0])
    assert not caplog.records  # nothing was left to DuckDB
    rows = pd.concat([frame.astype(object) for frame in frames])
    differed = [name for name in rows.columns[2:] if rows[name].astype(str).nunique() > 1]
    assert len(differed) > 0.7 * (len(rows.columns) - 2), sorted(set(rows.columns[2:]) - set(differed))


def test_a_definition_that_sqlite_has_no_words_for_is_left_to_duckdb(monkeypatch, caplog):
    view = RandomHistory(7).view()
    given, spine = one_deal(view, "deal3"), at("deal3", pd.Timestamp("2026-02-01", tz="UTC"))
    with caplog.at_level(logging.INFO, "features.online"), Online(view, COMPANY) as online:
        found = online.describe_with(given, spine)
        monkeypatch.setattr(module, "MOST", 0)
        alike(found, online.describe_with(given, spine))
    assert [record.getMessage() for record in caplog.records] == [
        "deals are described by DuckDB: SQLite has no quantile as DuckDB has."
    ]


@pytest.mark.parametrize(
    "sql",
    [
        "quantile(x, 0.3)",
        "stddev(x)",
        "arg_max(x, (y, z))",
        "arg_max(x, (changed_at, y))",
        "cast(x as int)",
        "date_diff('month', x, y)",
        "count(*) filter (where words = 1)",
        "count(*) filter (where words in (1, 2))",
        "words like 'A%'",
        "x // 2",
        "round(x, 2)",
    ],
)
def test_what_sqlite_would_take_for_something_else_is_refused(sql):
    with pytest.raises(NoSqliteSql):
        sqlite_sql(f"select {sql} from t", {"words"})
