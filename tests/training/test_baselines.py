"""Baselines against values counted by hand on a few snapshots, and each on a small company."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import training
from training.baselines import BASELINES, BaseRate, CatBoostBaseline, OdooBayes, OwnCall, StageRate, available
from training.baselines.attainment import WAYS
from training.baselines.base import NothingToLearn, known_rows
from training.baselines.churn import CHURN_BASELINES
from training.baselines.learned import LogisticBaseline
from training.verdicts import NAMES

DAY = pd.Timedelta(days=1)
T0 = pd.Timestamp("2026-01-01", tz="UTC")
UNTIL = T0 + 100 * DAY


def snapshots(*deals):
    """Rows of (deal, day seen, day closed or None, outcome, fields)."""
    rows = [
        {
            "deal_id": deal,
            "as_of": T0 + seen * DAY,
            **fields,
            "_closed_at": pd.NaT if closed is None else T0 + closed * DAY,
            "_outcome": outcome,
        }
        for deal, seen, closed, outcome, fields in deals
    ]
    table = pd.DataFrame(rows)
    for name in ("as_of", "_closed_at"):
        table[name] = pd.to_datetime(table[name], utc=True).astype("datetime64[us, UTC]")
    return table


def test_within_so_many_days_only_those_watched_for_so_long_count():
    rows = snapshots(
        ("a", 0, 20, "won", {}), ("b", 0, None, "open", {}), ("c", 0, 60, "won", {}), ("d", 95, 96, "won", {})
    )
    found, won = known_rows(rows, UNTIL, 30.0)
    # d closed at once, but was not watched for 30 days: counting it would favour quick ends. c was won too late.
    assert dict(zip(found["deal_id"], won, strict=True)) == {"a": True, "b": False, "c": False}
    found, won = known_rows(rows, UNTIL, None)
    assert dict(zip(found["deal_id"], won, strict=True)) == {"a": True, "c": True, "d": True}


def test_what_closed_later_is_not_known():
    rows = snapshots(("a", 0, 20, "won", {}), ("b", 0, 90, "lost", {}))
    found, _ = known_rows(rows, T0 + 50 * DAY, None)
    assert list(found["deal_id"]) == ["a"]


@pytest.mark.parametrize("name", BASELINES)
def test_nothing_known_is_told(name):
    with pytest.raises(NothingToLearn, match="Import more history"):
        BASELINES[name](30.0).fit(snapshots(("a", 99, None, "open", {"stage": "s"})).iloc[:0], until=UNTIL)


def test_the_base_rate_is_the_share_won_in_time():
    rows = snapshots(
        *((f"w{i}", 0, 3, "won", {}) for i in range(30)), *((f"l{i}", 0, 5, "lost", {}) for i in range(70))
    )
    found = BaseRate(7.0).fit(rows, until=UNTIL).predict_proba_won(rows)
    np.testing.assert_allclose(found, 0.3)


def test_the_stage_rate_is_drawn_to_the_base_rate_by_ten_deals():
    early = [(f"e{i}", 0, 3, "won" if i < 10 else "lost", {"stage": "early"}) for i in range(40)]
    late = [(f"f{i}", 0, 3, "won" if i < 30 else "lost", {"stage": "late"}) for i in range(40)]
    rows = snapshots(*early, *late)
    said = StageRate(7.0).fit(rows, until=UNTIL).predict_proba_won(snapshots(early[0], late[0]))
    # 10 of 40 and 30 of 40, base rate 40 of 80: (10 + 10 * .5) / 50 = .3, (30 + 5) / 50 = .7.
    np.testing.assert_allclose(said, [0.3, 0.7])


def test_a_call_is_worth_what_it_was_and_an_owner_what_his_calls_were():
    def call(deal, outcome, category, owner):
        return (deal, 0, 5, outcome, {"forecast_category": category, "owner_id": owner})

    rows = snapshots(
        *(call(f"a{i}", "won" if i < 16 else "lost", "commit", "bold" if i < 10 else "shy") for i in range(20)),
        *(call(f"b{i}", "won" if i < 4 else "lost", "pipeline", "shy") for i in range(20)),
    )
    model = OwnCall(30.0).fit(rows, until=UNTIL)
    # All: (20 + .5) / 41 = .5. Commit: (16 + 10 * .5) / 30 = .7; bold won 10 of 10: (10 + 7) / 20 = .85.
    # Pipeline: (4 + 5) / 30 = .3; bold never called that, so the category's share holds; so does all deals' for 'new'.
    asked = snapshots(
        call("x", "won", "commit", "bold"), call("y", "won", "pipeline", "bold"), call("z", "won", "new", "shy")
    )
    np.testing.assert_allclose(model.predict_proba_won(asked), [0.85, 0.3, 0.5])


def test_odoos_recipe_by_hand():
    def deal(name, outcome, source, stage, place):
        return (name, 0, 5, outcome, {"source": source, "stage": stage, "stage_index": place})

    rows = snapshots(
        deal("a", "won", "fair", "offer", 2.0),
        deal("b", "won", "fair", "first", 1.0),
        deal("c", "lost", "web", "first", 1.0),
        deal("d", "lost", "fair", "first", 1.0),
        deal("e", "lost", "web", "offer", 2.0),
        deal("f", "lost", "web", "first", 1.0),
    )
    said = OdooBayes().fit(rows, until=UNTIL).predict_proba_won(rows.iloc[[0, 2]])
    # Won 2.1, lost 4.1 with .1 added. 'fair': won 2.1, lost 1.1; 'web': won .1, lost 3.1.
    # 'offer': won 2.1 (won deals count in all stages), lost 1.1; 'first': won 2.1, lost 4.1 (all came so far).
    win = 2.1 * (2.1 / 2.1) * (2.1 / 2.1)
    lose = 4.1 * (1.1 / 4.1) * (1.1 / 4.1)
    web_win, web_lose = 2.1 * (0.1 / 2.1), 4.1 * (3.1 / 4.1)
    np.testing.assert_allclose(said, [win / (win + lose), web_win / (web_win + web_lose)])


def test_odoos_recipe_passes_over_what_is_missing_or_new():
    rows = snapshots(("a", 0, 5, "won", {"source": "fair"}), ("b", 0, 5, "lost", {"source": "web"}))
    asked = rows.assign(source=[None, "never seen"])
    np.testing.assert_allclose(OdooBayes().fit(rows, until=UNTIL).predict_proba_won(asked), 0.5)


def quick(name, days):
    model = available()[name](days)
    return model.set_params(trees=15) if name == "catboost" else model


@pytest.mark.parametrize("name", available())
@pytest.mark.parametrize("days", [60.0, None])
def test_each_gives_a_probability_for_every_open_deal(name, days, tiny_rows):
    cut = tiny_rows["as_of"].sort_values().unique()[-12]
    deals = tiny_rows[tiny_rows["as_of"] == cut]
    said = quick(name, days).fit(tiny_rows, until=cut).predict_proba_won(deals)
    assert said.shape == (len(deals),)
    assert ((said >= 0) & (said <= 1)).all()


@pytest.mark.parametrize("name", available())
@pytest.mark.parametrize("outcome", ["won", "lost", "both"])
@pytest.mark.parametrize("fields", [{}, {"stage": "s", "amount": 5.0}, {"stage": None, "amount": np.nan}])
def test_deals_without_a_difference_all_get_the_same_finite_chance(name, outcome, fields):
    ends = {"won": ["won"] * 40, "lost": ["lost"] * 40, "both": ["won", "lost"] * 20}[outcome]
    rows = snapshots(*((f"d{i}", 0, 5, end, fields) for i, end in enumerate(ends)))
    said = quick(name, 30.0).fit(rows, until=UNTIL).predict_proba_won(rows)
    assert np.ptp(said) == pytest.approx(0, abs=1e-9)
    low, high = {"won": (0.5, 1), "lost": (0, 0.5), "both": (0.4, 0.6)}[outcome]
    assert low <= said[0] <= high


@pytest.mark.parametrize("name", available())
def test_what_came_later_changes_nothing(name, tiny_rows):
    cut = tiny_rows["as_of"].sort_values().unique()[-12]
    deals = tiny_rows[tiny_rows["as_of"] == cut]
    later = tiny_rows["_closed_at"] > cut
    changed = tiny_rows.assign(
        _outcome=tiny_rows["_outcome"].mask(later, "open"), _closed_at=tiny_rows["_closed_at"].mask(later)
    )
    changed = changed[changed["as_of"] <= cut]
    told = [quick(name, 60.0).fit(rows, until=cut).predict_proba_won(deals) for rows in (tiny_rows, changed)]
    np.testing.assert_array_equal(*told)


@pytest.mark.parametrize("kind", [LogisticBaseline, CatBoostBaseline])
def test_learners_find_what_decides(kind):
    if kind is CatBoostBaseline:
        pytest.importorskip("catboost")
    rng = np.random.default_rng(0)
    good = rng.random(600) < 0.5
    won = rng.random(600) < np.where(good, 0.8, 0.2)
    fields = [{"need": "high" if g else "low", "noise": n} for g, n in zip(good, rng.random(600), strict=True)]
    rows = snapshots(*((f"d{i}", 0, 5, "won" if won[i] else "lost", fields[i]) for i in range(600)))
    said = kind(30.0).fit(rows, until=UNTIL).predict_proba_won(rows)
    # The shares that came, a little drawn together by penalties.
    assert said[good].mean() == pytest.approx(won[good].mean(), abs=0.07)
    assert said[~good].mean() == pytest.approx(won[~good].mean(), abs=0.07)


@pytest.mark.parametrize("name", sorted({*BASELINES, *WAYS, *CHURN_BASELINES}))
def test_every_rival_is_told_of_in_the_guide_and_has_a_name_in_both_languages(name):
    guide = Path(training.__file__).parents[1] / "docs" / "forecasts.md"
    assert f"`{name}`" in guide.read_text(encoding="utf-8")
    assert all(NAMES[name])
