"""What is described at once equals what is built in one go, deal by deal and account by account."""

import numpy as np
import pandas as pd
import pytest

from crm.company import Company
from crm.simulate import lake_view, simulate
from features.build import KEYS, BadSpine, build
from features.online import Online


@pytest.fixture(scope="module")
def company():
    sample = simulate(reps=5, months=14, seed=4)
    return lake_view(sample), Company.parse(sample.settings)


@pytest.mark.parametrize(("entity", "table"), [("deal", "deals"), ("account", "accounts")])
def test_each_row_alone_is_as_in_the_batch(company, entity, table):
    view, settings = company
    key, draw = KEYS[entity], np.random.default_rng(0)
    days = pd.to_timedelta(draw.integers(0, 320 * 86_400, 12), unit="s")
    rows = pd.DataFrame({key: draw.choice(view.arrow(table)[key].to_pylist(), 12)})
    rows["as_of"] = (pd.Timestamp("2026-01-01", tz="UTC") + days).astype("datetime64[us, UTC]")
    together = build(view, rows, entity, company=settings)
    with Online(view, settings, entity=entity) as online:
        alone = [online.describe(rows.iloc[[i]]) for i in range(len(rows))]
    for i, one in enumerate(alone):
        wanted = together.iloc[[i]].reset_index(drop=True)
        for column in wanted:
            if isinstance(wanted[column].dtype, pd.CategoricalDtype):  # a single row has its own category alone
                assert one[column].astype(object).tolist() == wanted[column].astype(object).tolist(), column
            else:
                pd.testing.assert_series_equal(one[column], wanted[column], rtol=1e-9, atol=1e-9)


def test_bad_rows_are_refused_and_the_next_are_described(company):
    view, settings = company
    deal = view.arrow("deals")["deal_id"][0].as_py()
    with Online(view, settings) as online:
        with pytest.raises(BadSpine, match="no column as_of"):
            online.describe(pd.DataFrame({"deal_id": [deal]}))
        rows = pd.DataFrame({"deal_id": [deal], "as_of": pd.to_datetime(["2026-06-01"], utc=True)})
        assert online.describe(rows.astype({"as_of": "datetime64[us, UTC]"}))["deal_id"].tolist() == [deal]
