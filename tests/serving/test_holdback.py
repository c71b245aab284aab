"""Suggestions held back by chance: drawn once, kept before they are shown, compared as drawn."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import select

from models.coaching import COLUMNS
from serving.holdback import hold_back, luck, trials
from serving.tables.advice import HoldBack
from tests.builders import a_deal, view_of

AS_OF = pd.Timestamp("2026-03-02", tz="UTC")


def advice(n=200, actions=("call", "demo"), as_of=AS_OF):
    rows = [
        {"deal_id": f"d{i}", "rank": rank, "action": action, "as_of": as_of}
        for i in range(n)
        for rank, action in enumerate(actions, start=1)
    ]
    return pd.DataFrame(rows, columns=COLUMNS).astype({"rank": "int64"}).assign(as_of=as_of)


def deals(n=200, p=0.4):
    return pd.DataFrame({"deal_id": [f"d{i}" for i in range(n)], "win_probability": p, "owner_id": "r1"})


def kept(store):
    with store.reading() as session:
        return {(row.deal_id, row.action): row for row in session.scalars(select(HoldBack))}


def draw(store, table=None, share=0.25, **values):
    return hold_back(store, advice() if table is None else table, deals(), share=share, model_version="3", **values)


def test_about_the_share_is_held_back_and_all_draws_are_kept(store):
    shown = draw(store)
    rows = kept(store)
    assert len(rows) == 400
    held = {pair for pair, row in rows.items() if row.held_back}
    # 400 draws at a quarter: 100, with a standard deviation of 8.7.
    assert 65 <= len(held) <= 135
    assert set(zip(shown["deal_id"], shown["action"], strict=True)) == set(rows) - held
    one = rows["d0", "call"]
    assert (one.share, one.forecast, one.owner_id, one.model_version) == (0.25, 0.4, "r1", "3")
    assert one.as_of == AS_OF.to_pydatetime()


def test_a_draw_is_for_good(store):
    first = draw(store)
    again = draw(store, share=0.5)
    pd.testing.assert_frame_equal(first, again)
    assert {row.share for row in kept(store).values()} == {0.25}
    # Asked for a part of it, the answers are the same.
    some = draw(store, advice(20))
    assert some["deal_id"].tolist() == first.loc[first["deal_id"].isin(set(some["deal_id"])), "deal_id"].tolist()


def test_what_is_held_back_uses_up_its_place(store):
    shown = draw(store)
    per_deal = shown.groupby("deal_id")["rank"].agg(["count", "max"])
    assert (per_deal["count"] == per_deal["max"]).all()  # ranked from 1 without gaps
    held = [row for row in kept(store).values() if row.held_back]
    assert len(shown) == 400 - len(held)


def test_nothing_is_drawn_where_nothing_is_to_be_held_back(store):
    pd.testing.assert_frame_equal(draw(store, share=0.0), advice())
    assert kept(store) == {}


def test_a_pause_is_never_held_back(store):
    shown = draw(store, advice(actions=("pause",)), share=0.5)
    assert len(shown) == 200
    assert kept(store) == {}


def test_luck_is_even_and_hangs_on_salt_deal_and_action():
    values = np.array([luck("salt", f"d{i}", "call") for i in range(2000)])
    # The mean of 2,000 even numbers: .5 with a standard deviation of .0065.
    assert abs(values.mean() - 0.5) < 0.03
    assert luck("salt", "d1", "call") == values[1]
    assert len({luck("salt", "d1", "call"), luck("other", "d1", "call"), luck("salt", "d1", "demo")}) == 3


def test_the_comparison_is_the_difference_between_the_arms(store):
    draw(store, advice(actions=("call",)), share=0.5)
    rows = kept(store)
    # Shown deals are won after four weeks, held-back ones never; d0 to d99 were drawn early enough.
    shown = {deal for (deal, _), row in rows.items() if not row.held_back}
    table = [
        a_deal(f"d{i}", outcome="won", closed_at="2026-03-30T00:00:00Z") if f"d{i}" in shown else a_deal(f"d{i}")
        for i in range(200)
    ]
    now = AS_OF.to_pydatetime() + timedelta(weeks=8)
    found = trials(store, view_of(deals=table), weeks=8, as_of=now, share=0.5)
    assert [t.action for t in found] == ["", "call"]
    every = found[0]
    assert (every.shown, every.held_back, every.known) == (len(shown), 200 - len(shown), 200)
    # x = (1 - .4) / .5 where shown, -(0 - .4) / .5 = .8 where held back.
    assert every.found.mean == pytest.approx((1.2 * len(shown) + 0.8 * (200 - len(shown))) / 200)
    assert not every.found.proves  # under 500 units nothing is proved
    assert every.more_needed > 300


def test_outcomes_that_are_not_known_yet_do_not_count(store):
    draw(store)
    found = trials(store, view_of(deals=[a_deal("d1")]), weeks=8, as_of=datetime(2026, 3, 30, tzinfo=UTC), share=0.25)
    assert found[0].known == 0
    assert found[0].more_needed > 1000


def test_without_draws_there_is_nothing_to_compare(store):
    assert trials(store, view_of(deals=[a_deal("d1")]), weeks=8, as_of=datetime.now(UTC), share=0.1) == []
