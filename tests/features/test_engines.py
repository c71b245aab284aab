"""Spark gives the numbers that DuckDB gives: every standard feature, on a history made to tell the two apart."""

import numpy as np
import pandas as pd
import pytest
from pyspark import SparkContext

from crm.company import Company
from crm.lake import Lake
from features.build import build
from features.language import BadDefinition
from features.session import UnknownEngine, engine_of, opened
from features.spark import SparkEngine
from tests.features.random_history import COMPANY, RandomHistory
from tests.features.rows import a_touch, spine, view


def differing(a: pd.Series, b: pd.Series) -> list[tuple]:
    if a.dtype == np.float64:
        same = np.isclose(a, b, rtol=1e-9, atol=1e-9, equal_nan=True)
    else:
        same = (a.astype(object) == b.astype(object)) | (a.isna() & b.isna())
    return list(zip(a[~same], b[~same], strict=True))[:3]


@pytest.mark.spark
@pytest.mark.parametrize("entity", ["deal", "rep", "account"])
def test_every_feature_has_the_same_value_and_is_missing_in_the_same_places(entity):
    history = RandomHistory(7)
    tables, points = history.view(), history.spine(entity)
    duck, spark = (build(tables, points, entity, company=COMPANY, engine=e) for e in ("duckdb", "spark"))
    assert spark.dtypes.map(str).to_dict() == duck.dtypes.map(str).to_dict()
    assert {name: pairs for name in duck if (pairs := differing(duck[name], spark[name]))} == {}
    # The history reaches the features: few say nothing, and nearly all differ from row to row.
    told = [name for name in duck.columns[2:] if duck[name].nunique() > 1]
    assert len(told) > 0.85 * (len(duck.columns) - 2), sorted(set(duck.columns[2:]) - set(told))


@pytest.mark.spark
def test_the_lake_is_read_from_its_own_files(tmp_path):
    """Files of two imports, the second with a column that the first had not; in a folder named like a pattern."""
    lake = Lake(tmp_path / "two {one} *", engine="spark")
    whole = {name: RandomHistory(3).view().arrow(name) for name in ("deals", "activities", "fx_rates")}
    first = {name: rows.slice(0, 40).drop_columns(["x_fit"] if name == "deals" else []) for name, rows in whole.items()}
    lake.merge(first, source="first")
    lake.merge(whole, source="second")
    view = lake.view()
    assert len(view.paths("deals")) > 1
    assert engine_of(view) == "spark"
    assert engine_of(lake.at(1)) == "spark"
    with opened(engine_of(view), view, "UTC") as session:
        assert isinstance(session, SparkEngine)
        for name in (*whole, "goals"):
            query = f"select * from {name} order by _seq"
            assert session.fetch(query).to_pylist() == session.local.sql(query).to_arrow_table().to_pylist()


@pytest.mark.spark
def test_a_definition_that_spark_refuses_is_named():
    own = {"block": "account_contact", "name": "mine", "sql": "sum(kind)", "unit": "count", "en": "My own"}
    tables = view(accounts=[{"account_id": "a1"}], activities=[a_touch(1, "2026-03-01", "call")])
    points = spine("account_id", ("a1", "2026-03-02"))
    with pytest.raises(BadDefinition, match="feature mine: the engine cannot use it"):
        build(tables, points, "account", company=Company.parse({"features": [own]}), engine="spark")


@pytest.mark.spark
@pytest.mark.slow_study
def test_a_spark_whose_java_was_killed_is_started_anew(caplog):
    tables = view(accounts=[{"account_id": "a1"}])
    for _ in range(2):
        with opened("spark", tables, "UTC") as session:
            assert session.fetch("select account_id from accounts")["account_id"].to_pylist() == ["a1"]
        java = SparkContext._active_spark_context._gateway.proc
        java.kill()
        java.wait()
    assert caplog.text.count("Java process has ended") == 1


def test_an_engine_that_is_none_is_refused():
    with pytest.raises(UnknownEngine, match="no engine 'polars'"), opened("polars", RandomHistory(0).view(), "UTC"):
        pass
