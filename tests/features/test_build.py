"""The table as asked for: rows, order, types; and the same values found another way."""

import numpy as np
import pandas as pd
import pytest

from features.build import BadSpine, build, open_deals
from features.catalogue import features
from tests.features.rows import COMPANY, a_deal, a_touch, day, spine, view
from tests.features.small_company import small_company


def test_rows_come_back_in_the_order_asked_twice_where_asked_twice():
    tables = view(deals=[a_deal("d1"), a_deal("d2")], activities=[a_touch(1, "2026-02-01", "call")])
    points = [
        ("d2", "2026-03-01"),
        ("d1", "2026-03-01"),
        ("d9", "2026-03-01"),
        ("d1", "2026-01-15"),
        ("d1", "2026-03-01"),
    ]
    table = build(tables, spine("deal_id", *points), "deal", company=COMPANY)
    assert table["deal_id"].tolist() == ["d2", "d1", "d9", "d1", "d1"]
    assert table["touches"].tolist() == [0, 1, 0, 0, 1]
    assert table["days_open"].tolist()[:2] == [59, 59]
    assert np.isnan(table["days_open"][2])  # there is no such deal


def test_no_rows_give_no_rows_but_all_columns():
    table = build(view(deals=[a_deal()]), spine("deal_id"), "deal", company=COMPANY)
    assert len(table) == 0
    assert list(table.columns) == ["deal_id", "as_of", *(one.name for one in features("deal"))]


@pytest.mark.parametrize("entity", ["deal", "rep", "account"])
def test_numbers_are_floats_and_words_are_categories(entity):
    table = build(view(deals=[a_deal()]), spine(f"{entity}_id", ("x", "2026-03-01")), entity, company=COMPANY)
    assert str(table["as_of"].dtype) == "datetime64[us, UTC]"
    for one in features(entity):
        assert (table[one.name].dtype == np.float64) == (one.kind == "number"), one.name
        assert isinstance(table[one.name].dtype, pd.CategoricalDtype) == (one.kind == "category"), one.name


def test_an_order_of_stages_for_all_pipelines_holds_for_each():
    deals = [a_deal(pipeline="north", stage="Quote"), a_deal("d2")]
    log = [
        {
            "deal_id": "d2",
            "changed_at": day("2026-01-05"),
            "field": "stage",
            "old_value": "Qualify",
            "new_value": "Demo",
        }
    ]
    table = build(view(deals=deals, deal_changes=log), spine("deal_id", ("d1", "2026-02-01")), "deal", company=COMPANY)
    assert table["stage_index"].tolist() == [2]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (pd.DataFrame({"deal_id": ["d1"]}), "no column as_of"),
        (pd.DataFrame({"deal_id": ["d1"], "as_of": [pd.Timestamp("2026-01-01")]}), "not in UTC"),
        (
            pd.DataFrame({"deal_id": [None], "as_of": [pd.Timestamp("2026-01-01", tz="UTC")]}),
            "1 of 1 rows have no deal_id",
        ),
    ],
)
def test_rows_that_cannot_be_used_are_refused(rows, said):
    with pytest.raises(BadSpine, match=said):
        build(view(deals=[a_deal()]), rows, "deal", company=COMPANY)


def test_deals_open_at_a_moment():
    deals = [
        a_deal("open"),
        a_deal("later", made="2026-03-02"),
        a_deal("won_after", closed="2026-03-01 00:01", outcome="won"),
        a_deal("won_then", closed="2026-03-01", outcome="won"),
        a_deal("lost_some_day", outcome="lost"),
    ]
    found = open_deals(view(deals=deals), day("2026-03-01"))
    assert found["deal_id"].tolist() == ["open", "won_after"]
    assert found["as_of"].unique().tolist() == [pd.Timestamp("2026-03-01", tz="UTC")]


def test_values_equal_those_of_plain_pandas():
    """A slow second way: one deal after the other, with the log replayed and events filtered by pandas."""
    whole, company = small_company()
    moment = pd.Timestamp("2026-08-20 10:00", tz="UTC")
    asked = open_deals(whole, moment).iloc[::2]
    assert len(asked) > 25
    table = build(whole, asked, "deal", company=company)
    deals = whole.arrow("deals").to_pandas().set_index("deal_id")
    log, touches = (_with_clock(whole.arrow(name).to_pandas()) for name in ("deal_changes", "activities"))
    touches = touches[~touches["kind"].isin(["note", "task"]) & (touches["known"] <= moment)]
    closed = _closed_by(deals, log, moment)
    for name, wanted in pd.DataFrame(
        [
            _by_hand(deals.loc[key], log[log["deal_id"] == key], touches[touches["deal_id"] == key], closed, moment)
            for key in asked["deal_id"]
        ]
    ).items():
        if name in ("stage", "owner_id"):
            assert table[name].astype(object).tolist() == wanted.tolist()
        else:
            np.testing.assert_allclose(table[name], wanted.astype(float), rtol=1e-9, err_msg=name)


def _by_hand(deal, log, touches, closed, moment):
    days = (moment - touches["known"]) / pd.Timedelta(days=1)
    steps = log[(log["field"] == "stage") & (log["known"] <= moment)]
    pushes = log[(log["field"] == "close_date") & (log["known"] <= moment)]
    owner = _then(log, "owner_id", deal["owner_id"], moment)
    mails = touches[(touches["kind"] == "email") & (days < 30)]["direction"]
    own = closed[closed["owner"] == owner]["won"]
    return {
        "stage": _then(log, "stage", deal["stage"], moment),
        "owner_id": owner,
        "days_in_stage": (moment - (steps["known"].max() if len(steps) else deal["created_at"])) / pd.Timedelta(days=1),
        "close_date_pushes": sum(pd.Timestamp(c.new_value) > pd.Timestamp(c.old_value) for c in pushes.itertuples()),
        "touches_30d": (days < 30).sum(),
        "days_silent": days.min(),
        "emails_in_30d": (mails == "in").sum(),
        "emails_out_30d": (mails == "out").sum(),
        "contacts_met": touches[touches["kind"].isin(["call", "meeting", "demo", "visit"])]["contact_id"].nunique(),
        "owner_win_rate": (own.sum() + 10 * closed["won"].mean()) / (len(own) + 10),
    }


def _with_clock(frame):
    happened = "occurred_at" if "occurred_at" in frame else "changed_at"
    return frame.assign(known=frame["recorded_at"].fillna(frame[happened])).sort_values([happened, "_seq"])


def _then(log, field, today, moment):
    own = log[log["field"] == field]
    before = own[own["known"] <= moment]
    return before["new_value"].iloc[-1] if len(before) else own["old_value"].iloc[0] if len(own) else today


def _closed_by(deals, log, moment):
    closed = deals[(deals["outcome"] != "open") & (deals["closed_at"] <= moment) & (deals["kind"] != "lead")]
    moved = dict(list(log[log["field"] == "owner_id"].groupby("deal_id")))
    owners = [
        _then(moved[key], "owner_id", owner, at) if key in moved else owner
        for key, owner, at in zip(closed.index, closed["owner_id"], closed["closed_at"], strict=True)
    ]
    return pd.DataFrame({"owner": owners, "won": (closed["outcome"] == "won").to_numpy()})
