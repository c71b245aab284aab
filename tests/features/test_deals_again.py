"""Records of owner, product, source and stage found a second way: every past deal replayed by plain pandas."""

from functools import cache

import numpy as np
import pandas as pd
import pytest

from crm.stages import stage_order
from features.build import build, open_deals
from tests.features.small_company import small_company

MOMENT = pd.Timestamp("2026-09-10 10:00", tz="UTC")


@cache
def tables():
    view, company = small_company()
    log = view.arrow("deal_changes").to_pandas()
    log["known"] = log["recorded_at"].fillna(log["changed_at"])
    stages = {stage for order in stage_order(view, company).values() for stage in order}
    assert set(log.loc[log["field"] == "stage", "new_value"]) <= stages
    accounts = view.arrow("accounts").to_pandas().set_index("account_id")
    deals = view.arrow("deals").to_pandas().set_index("deal_id")
    deals["segment"] = deals["account_id"].map(accounts["segment"])
    log = log.sort_values(["changed_at", "_seq"])
    return deals, dict(list(log.groupby(["deal_id", "field"]))), log.iloc[:0]


@pytest.fixture(scope="module")
def built():
    view, company = small_company()
    table = build(view, open_deals(view, MOMENT).iloc[::2], "deal", company=company).set_index("deal_id")
    assert len(table) > 25
    return table


def of_field(deal, field):
    _, logs, nothing = tables()
    return logs.get((deal, field), nothing)


def value(deal, field, today, at):
    """A field's value at a moment."""
    own = of_field(deal, field)
    before = own[own["known"] <= at]
    return before["new_value"].iloc[-1] if len(before) else own["old_value"].iloc[0] if len(own) else today


@cache
def past():
    """Deals closed by the moment, each as of its closing."""
    deals = tables()[0]
    closed = deals[(deals["outcome"] != "open") & (deals["closed_at"] <= MOMENT) & (deals["kind"] != "lead")]
    rows = []
    for key, deal in closed.iterrows():
        calls = of_field(key, "forecast_category")
        calls = calls[calls["known"] <= deal["closed_at"]]
        said = {*calls["old_value"], *calls["new_value"]} if len(calls) else {deal["forecast_category"]}
        rows.append(
            {
                "owner": value(key, "owner_id", deal["owner_id"], deal["closed_at"]),
                "product": deal["product_id"],
                "source": deal["source"],
                "won": deal["outcome"] == "won",
                "called": "commit" in said,
                "days": (deal["closed_at"] - deal["created_at"]) / pd.Timedelta(days=1),
            }
        )
    return pd.DataFrame(rows)


def drawn(own, company, usual):
    return (own.sum() + 10 * usual(company)) / (len(own) + 10)


def test_rates_cycles_and_calls(built):
    done = past()
    wins, called = done[done["won"]], done[done["called"]]
    assert min(len(wins), len(called)) > 20
    for key, row in built.iterrows():
        owner = row["owner_id"]
        rates = {"product_win_rate": ("product", row["product_id"]), "source_win_rate": ("source", row["source"])}
        for name, (column, which) in rates.items():
            wanted = drawn(done.loc[done[column] == which, "won"], done["won"], np.mean)
            assert row[name] == pytest.approx(wanted), (key, name)
        wanted = drawn(called.loc[called["owner"] == owner, "won"], called["won"], np.mean)
        assert row["owner_call_rate"] == pytest.approx(wanted), key
        own = wins.loc[wins["owner"] == owner, "days"]
        usual = (len(own) * (own.median() if len(own) else 0) + 10 * wins["days"].median()) / (len(own) + 10)
        assert row["owner_usual_cycle"] == pytest.approx(usual), key


def test_open_deals_of_the_owner(built):
    deals = tables()[0]
    then = deals[(deals["created_at"] <= MOMENT) & (deals["kind"] != "lead")]
    then = then[(then["outcome"] == "open") | (then["closed_at"] > MOMENT)]
    owners = pd.Series([value(key, "owner_id", deal["owner_id"], MOMENT) for key, deal in then.iterrows()])
    counts = owners.value_counts()
    wanted = built["owner_id"].astype(object).map(counts).fillna(0)
    assert wanted.nunique() > 3
    assert built["owner_open_deals"].tolist() == wanted.tolist()


def stays():
    """Stage, segment and days of each stay that had ended by the moment."""
    deals = tables()[0]
    for key, deal in deals.iterrows():
        moves = of_field(key, "stage")
        moves = moves[~(moves["known"] > deal["closed_at"])]
        since = deal["created_at"]
        for move in moves[moves["known"] <= MOMENT].itertuples():
            yield move.old_value, deal["segment"], (move.known - since) / pd.Timedelta(days=1)
            since = move.known
        if deal["closed_at"] <= MOMENT:
            yield (
                value(key, "stage", deal["stage"], deal["closed_at"]),
                deal["segment"],
                (deal["closed_at"] - since) / pd.Timedelta(days=1),
            )


def test_usual_time_in_a_stage(built):
    found = pd.DataFrame(stays(), columns=["stage", "segment", "days"])
    assert len(found) > 200
    for key, row in built.iterrows():
        here = found[found["stage"] == row["stage"]]
        own = here.loc[here["segment"] == row["segment"], "days"]
        usual = here["days"].median()
        segment = (len(own) * (own.median() if len(own) else 0) + 10 * usual) / (len(own) + 10)
        assert row["days_in_stage"] / row["stage_days_to_usual"] == pytest.approx(usual), key
        assert row["days_in_stage"] / row["stage_days_to_segment"] == pytest.approx(segment), key


def test_days_pushed_and_amount_moved(built):
    deals = tables()[0]
    for key, row in built.iterrows():
        dates, amounts = (of_field(key, field) for field in ("close_date", "amount"))
        dates, then = dates[dates["known"] <= MOMENT], amounts[amounts["known"] <= MOMENT]
        days = (pd.to_datetime(dates["new_value"]) - pd.to_datetime(dates["old_value"])).dt.days
        assert row["close_date_pushed_days"] == days[days > 0].sum(), key
        if len(then) and pd.notna(row["amount"]):
            moved = float(then["new_value"].iloc[-1]) / float(then["old_value"].iloc[0])
            assert row["amount_to_first"] == pytest.approx(moved), key
    assert (built["close_date_pushed_days"] > 0).sum() > 5
    assert (built["amount_to_first"].dropna() != 1).sum() > 5
    assert len(deals) > 100
