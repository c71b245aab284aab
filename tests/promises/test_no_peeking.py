"""Promise 1: a feature as of T uses only what was recorded by T: cutting every table there changes nothing."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from crm.quality import late_filled
from features.build import KEYS, build, open_deals
from tests.features.history import as_it_was, known_at
from tests.features.small_company import small_company

# The history ends on 15 November 2026; these days lie in its later half.
FIRST = datetime(2026, 6, 20, tzinfo=UTC)
MOMENTS = st.integers(0, 140 * 24 * 60).map(lambda minutes: FIRST + timedelta(minutes=minutes))
TABLE_OF = {"rep": "reps", "account": "accounts"}


def rows(view, entity, moment) -> pd.DataFrame:
    """An entity's rows as of the moment, and as of five weeks before."""
    before = moment - timedelta(days=35)
    if entity == "deal":
        return pd.concat([open_deals(view, moment), open_deals(view, before)], ignore_index=True)
    keys = view.arrow(TABLE_OF[entity]).column(KEYS[entity]).to_pylist()
    both = [pd.DataFrame({KEYS[entity]: keys, "as_of": pd.Timestamp(at)}) for at in (moment, before)]
    return pd.concat(both, ignore_index=True).astype({"as_of": "datetime64[us, UTC]"})


@settings(max_examples=2, phases=[Phase.explicit, Phase.generate])  # a smaller moment is no simpler one
@example(moment=FIRST + timedelta(minutes=54969))
@given(moment=MOMENTS)
def test_cutting_every_table_changes_no_feature(moment):
    whole, company = small_company()
    cut, late = as_it_was(whole, moment), late_filled(whole)
    pd.testing.assert_frame_equal(open_deals(cut, moment), open_deals(whole, moment))
    for entity in KEYS:
        spine = rows(whole, entity, moment)
        then = build(cut, spine, entity, company=company, late=late)
        now = build(whole, spine, entity, company=company, late=late)
        for name in now.columns:
            if isinstance(now[name].dtype, pd.CategoricalDtype):
                then[name], now[name] = then[name].astype(object), now[name].astype(object)
        # Sums of floats may come in another order, so equal to twelve digits.
        pd.testing.assert_frame_equal(then, now, rtol=1e-12, atol=1e-9)


def test_the_cut_takes_much_away():
    """Else the property above would say little."""
    whole, company = small_company()
    moment = FIRST + timedelta(days=60)
    cut = as_it_was(whole, moment)
    for table in ("deals", "deal_changes", "activities", "orders", "tickets", "accounts", "contacts"):
        assert cut.arrow(table).num_rows < whole.arrow(table).num_rows, table
    today = whole.arrow("deals").to_pandas().set_index("deal_id")
    seen = build(whole, open_deals(whole, moment), "deal", company=company).set_index("deal_id")
    now = today.loc[seen.index]
    assert (now["outcome"] != "open").mean() > 0.5
    assert (seen["stage"].astype(str) != now["stage"]).mean() > 0.2
    # An activity that took place before but was written down after is not seen.
    activities = whole.arrow("activities").to_pandas()
    late = (activities["occurred_at"] <= moment) & (known_at("activities", activities) > moment)
    late &= activities["deal_id"].isin(seen.index) & ~activities["kind"].isin(["note", "task"])
    deal = activities.loc[late, "deal_id"].iloc[0]
    happened = activities[(activities["deal_id"] == deal) & ~activities["kind"].isin(["note", "task"])]
    assert seen.loc[deal, "touches"] < (happened["occurred_at"] <= moment).sum()


@pytest.mark.parametrize("column", ["stage", "amount", "close_date", "forecast_category"])
def test_todays_value_of_a_field_without_history_is_never_read(column):
    whole, company = small_company()
    tables = {name: whole.arrow(name) for name in whole.present if name != "deal_changes"}
    moment = FIRST + timedelta(days=60)
    spine = open_deals(whole, moment)
    seen = build(type(whole)(tables), spine, "deal", company=company)
    name = "close_date_days" if column == "close_date" else column
    assert seen[name].isna().all()
