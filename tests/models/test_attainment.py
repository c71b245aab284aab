"""The simulation of a period against truths known beforehand, and the model on a small company."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from crm.company import Company
from models.amounts import AmountModel
from models.attainment import AttainmentModel, NothingSold
from models.attainment_errors import learn, raised
from models.attainment_new import NewBusiness, new_business
from models.attainment_past import PastCut
from models.rollup import NOBODY, People
from models.simulation import Losses, Spread, draw_period
from models.win_calendar import ClosingCalendar
from tests.builders import a_deal, view_of
from tests.models.sold_company import sold

AT = pd.Timestamp("2026-06-01", tz="UTC")
NONE = Spread(0.0, 0.0)


def even_days():
    calendar = ClosingCalendar()
    calendar.won_ = calendar.lost_ = np.ones(15), np.ones(7)  # no day of a quarter or week pulls
    return calendar


def amounts(pool):
    model = AmountModel()
    model.moved_, model.moved_list_, model.spread_ = np.asarray(pool), np.ones(1), np.ones(1)
    model.usual_, model.usual_kind_ = {}, {}
    return model


def world(rng, spread, deals=40, reps=5):
    """A period whose chances, amounts and rates are known, and how it came out."""
    p, worth = rng.beta(1.5, 3.0, deals), rng.lognormal(8, 0.8, deals)
    owner, rate = rng.integers(0, reps, deals), rng.uniform(0.5, 3, reps)
    pool = rng.lognormal(8, 0.8, 50)
    shift = rng.normal(0, spread.common) + rng.normal(0, spread.own, reps)
    factor = 1.5**2 * (spread.common**2 + spread.own**2)
    chance = 1 / (1 + np.exp(-(np.log(p / (1 - p)) * np.sqrt(1 + 0.346 * factor) + 1.5 * shift[owner])))
    came = np.bincount(owner, weights=worth * (rng.random(deals) < chance), minlength=reps)
    count = rng.poisson(rate * np.exp(shift - (spread.common**2 + spread.own**2) / 2))
    came += [rng.choice(pool, n).sum() for n in count]
    new = NewBusiness(rate[:, None], np.zeros((reps, 1)), [pool], np.ones(reps))
    credit = csr_array((np.ones(deals), (owner, np.arange(deals))), shape=(reps, deals))
    return p, pd.DataFrame({"amount": worth, "kind": "new"}), credit, new, came


@pytest.mark.parametrize("spread", [Spread(0.0, 0.0), Spread(0.3, 0.2)])
def test_ranges_hold_what_comes_as_often_as_they_say(spread):
    rng = np.random.default_rng(5)
    held_rep, held_all = [], []
    for seed in range(250):
        p, deals, credit, new, came = world(rng, spread)
        draws = draw_period(
            np.zeros(5), p, deals, credit, new, amounts=amounts([1.0]), spread=spread, seed=seed, draws=500
        )
        low, high = np.quantile(draws.reps, [0.1, 0.9], axis=1)
        held_rep += list((came >= low) & (came <= high))
        low, high = np.quantile(draws.of([0, 1, 2, 3, 4]), [0.1, 0.9])
        held_all.append(low <= came.sum() <= high)
    # 80 % of 250 worlds: standard error sqrt(.16 / 250) = .025; reps of one world are not independent.
    assert np.mean(held_all) == pytest.approx(0.8, abs=3 * 0.025)
    assert np.mean(held_rep) == pytest.approx(0.8, abs=3 * 0.025)


def test_without_the_common_error_the_company_range_is_too_narrow():
    # The trap that the common error is there for: each deal right on average, the sum far too sure.
    rng = np.random.default_rng(6)
    held = []
    for seed in range(150):
        p, deals, credit, new, came = world(rng, Spread(0.4, 0.0), deals=200)
        draws = draw_period(
            np.zeros(5), p, deals, credit, new, amounts=amounts([1.0]), spread=Spread(0.0, 0.0), seed=seed, draws=300
        )
        low, high = np.quantile(draws.of([0, 1, 2, 3, 4]), [0.1, 0.9])
        held.append(low <= came.sum() <= high)
    assert np.mean(held) < 0.8 - 3 * np.sqrt(0.16 / 150)


def past(rng, n, spread=NONE, lost=NONE, factor=1.0, deals=40, reps=6):
    """Cuts of periods that are over, with errors that deals share: `factor` times as many won and lost as said."""
    names = [*"abcdefghijklmnopqrstuvwxyz"[: reps - 1], NOBODY]
    people, cuts = People(names, {"company": [*range(reps)]}, frozenset(names[:-1]), {}), []
    for number in range(n):
        p, owner, rate = rng.beta(1.5, 3.0, deals), rng.integers(0, reps, deals), rng.uniform(0.5, 3, reps)
        credit = csr_array((np.ones(deals), (owner, np.arange(deals))), shape=(reps, deals))
        age, ends = (1 / 6, 1 / 2, 5 / 6)[number % 3], []
        for errors in (spread, lost):  # in what is left shared errors average out less
            shift = rng.normal(0, errors.common / np.sqrt(1 - age)) + rng.normal(0, errors.own, reps)
            chance = 1 / (1 + np.exp(-(np.log(p / (1 - p)) + 1.5 * shift[owner])))
            some = np.bincount(owner, weights=rng.random(deals) < factor * chance, minlength=reps)
            ends.append(some + rng.poisson(factor * rate * np.exp(shift)))
        new = NewBusiness(rate[:, None], rate[:, None], [np.ones(1)], np.ones(reps))
        start = AT - pd.Timedelta(days=91 * (number // 3))
        cuts.append(
            PastCut(
                start, start, start + pd.Timedelta(days=91), age, people, np.zeros(reps),
                pd.DataFrame(index=range(deals)), credit, {"simulation": p}, amounts([1.0]), new, np.zeros((reps, 52)),
                ends[0], {"simulation": p}, new, *ends,
            )
        )  # fmt: skip
    return cuts


@pytest.mark.parametrize(("spread", "low", "high"), [(Spread(0.2, 0.2), 0.10, 0.23), (NONE, 0.0, 0.09)])
def test_the_common_error_is_told_from_luck(spread, low, high):
    # With chances from beta(1.5, 3) a shift of v moves the sum of open deals by 1.5 E[p (1 - p)] / E[p] v = .82 v, new
    # business by v: .2 gives .18. 90 cuts count as 30; of 13 + 10 wins expected luck is sqrt(18) / 23.8 = 18 %, its
    # square halved by the mean of what is left: .18^2 is known to sqrt(2 / 30) (.18^2 + .016) = .0125, and six errors
    # of .05 in 36 pull: .17 with error .03. Where there is none, it is known to sqrt(2 / 30) .016 = .064^2.
    cuts = past(np.random.default_rng(7), 90, spread=spread)
    assert low <= learn(cuts, "simulation").won.common <= high


def test_losses_have_an_error_of_their_own():
    found = learn(past(np.random.default_rng(8), 90, lost=Spread(0.2, 0.0)), "simulation")
    assert found.lost.common > 0.10  # as for wins above
    assert found.won.common < 0.09


def test_what_is_shared_averages_out_less_in_a_short_rest():
    # Weeks that are good or bad for all: of a quarter of the weeks the mean scatters twice as much. Not without end.
    found = learn([], "simulation")
    assert found.at(3 / 4).won.common == pytest.approx(2 * found.at(0.0).won.common)
    assert found.at(3 / 4).lost.own == found.lost.own
    assert found.at(1.0).won.common == found.at(0.95).won.common


def test_reps_own_errors_are_told_from_luck():
    # 20 reps with 30 wins each: luck is about 18 % of a rep's wins, and 30 cuts of 20 reps tell .3 from 0 with ease;
    # the own error moves a rep's sum by .82 to 1 times .3, as above.
    rng = np.random.default_rng(9)
    some, none = (past(rng, 30, spread=Spread(0.0, own), deals=1_600, reps=20) for own in (0.3, 0.0))
    assert 0.2 <= learn(some, "simulation").won.own <= 0.35
    assert learn(none, "simulation").won.own <= 0.08


def test_a_level_that_is_off_is_put_right_as_far_as_it_is_certain():
    # A fifth more is won than said. 200 deals and 10 new: 77 wins expected, luck .09. Ages 1/3 apart count as
    # 1 : e^-1.1 : e^-2.2, shares .70 .23 .08, so of three quarters luck leaves .09^2 .54 / 3 = .0014; with a common
    # error of .05 to .1 another .0014 to .006, against .07^2 before: .4 to .65 of .2 are put right, error .02.
    cuts = past(np.random.default_rng(10), 9, factor=1.2, deals=200)
    assert 0.04 <= learn(cuts, "simulation").level.at(1 / 6) <= 0.17
    # Of 60 quarters luck leaves nothing, the common error .1 .1 2 / 60 = .0003 at most: at least .9 of .2, error .01.
    cuts = past(np.random.default_rng(11), 180, factor=1.2, deals=200)
    assert 0.15 <= learn(cuts, "simulation").level.at(1 / 2) <= 0.23
    assert learn([], "simulation").level.at(1 / 2) == 0


def test_raised_chances_have_the_sum_that_is_asked_for_and_keep_their_order():
    p = np.array([0.0, 0.05, 0.4, 0.9, 1.0])
    more = raised(p, 0.1)
    assert more[1:4].sum() == pytest.approx(1.35 * 1.1)
    assert more[[0, 4]].tolist() == [0, 1]  # what is certain stays so
    odds = np.log(more[1:4] / (1 - more[1:4])) - np.log(p[1:4] / (1 - p[1:4]))
    np.testing.assert_allclose(odds, odds[0])
    np.testing.assert_array_equal(raised(np.zeros(3), 0.1), np.zeros(3))
    assert raised(np.array([0.9, 0.95]), 1.0).sum() == pytest.approx(1.9)  # .95 of two deals, no more


def test_ranges_of_the_share_won_hold_what_comes_as_often_as_they_say():
    rng, spread, lost = np.random.default_rng(12), Spread(0.2, 0.1), Spread(0.3, 0.1)
    held = []
    for seed in range(250):
        n, reps = 60, 4
        won, losing = rng.beta(1.5, 3.0, n), rng.beta(1.5, 3.0, n)  # of those that are not won
        owner, rate = rng.integers(0, reps, n), rng.uniform(0.5, 3, reps)
        shifts = [rng.normal(0, s.common) + rng.normal(0, s.own, reps) for s in (spread, lost)]
        real = []
        for p, shift, s in zip((won, losing), shifts, (spread, lost), strict=True):
            factor = 1.5**2 * (s.common**2 + s.own**2)
            real.append(1 / (1 + np.exp(-(np.log(p / (1 - p)) * np.sqrt(1 + 0.346 * factor) + 1.5 * shift[owner]))))
        wins = rng.random(n) < real[0]
        losses = ~wins & (rng.random(n) < real[1])
        mean = [np.exp(shift - (s.common**2 + s.own**2) / 2) for shift, s in zip(shifts, (spread, lost), strict=True)]
        total = [both.sum() + rng.poisson(rate * m).sum() for both, m in zip((wins, losses), mean, strict=True)]
        new = NewBusiness(rate[:, None], rate[:, None], [np.ones(1)], np.ones(reps))
        credit = csr_array((np.ones(n), (owner, np.arange(n))), shape=(reps, n))
        draws = draw_period(
            np.zeros(reps), won, pd.DataFrame(index=range(n)), credit, new, amounts=None, spread=spread,
            lost=Losses(np.zeros(reps), losing * (1 - won), lost), seed=seed, draws=500,
        )  # fmt: skip
        low, high = np.quantile(draws.of([0, 1, 2, 3]), [0.1, 0.9])
        held.append(low <= total[0] / sum(total) <= high)
    assert np.mean(held) == pytest.approx(0.8, abs=3 * 0.025)  # standard error as above


def test_a_shared_error_leaves_the_mean_where_it_was():
    p = np.array([0.1, 0.4, 0.8])
    none = NewBusiness(np.zeros((1, 1)), np.zeros((1, 1)), [np.ones(1)], np.ones(1))
    credit = csr_array(np.ones((1, 3)))
    draws = draw_period(
        np.zeros(1), p, pd.DataFrame(index=range(3)), credit, none, amounts=None, spread=Spread(0.2, 0.1), draws=20_000
    )
    # Standard error sqrt(p (1 - p) / 20000) is .0035 at most, the stretch is an approximation to about .005.
    np.testing.assert_allclose(draws.deals.mean(axis=1), p, atol=0.015)


def test_new_business_comes_at_the_pace_of_the_past():
    # 40 reps make a Poisson number of deals, 2 a week, all won ten days later for 100.
    rng, reps, rows = np.random.default_rng(1), 40, []
    for rep in range(reps):
        for day in np.flatnonzero(rng.poisson(2 / 7, 500)):
            made = AT - pd.Timedelta(days=int(day), hours=1)
            rows.append((f"d{rep}-{day}", f"r{rep:02d}", 1.0, made, made + pd.Timedelta(days=10), "new", True, 100.0))
    shares = pd.DataFrame(rows, columns="deal_id rep_id share created_at closed_at kind won amount".split())
    names = [f"r{rep:02d}" for rep in range(reps)]
    began = dict.fromkeys(names, AT - pd.Timedelta(days=900))
    people = People([*names, NOBODY], {"company": list(range(reps + 1))}, frozenset(names), began)
    new = new_business(shares, people, at=AT, days=28, calendar=even_days())
    # Made in the first 18 of 28 days: on a day at least one with chance 1 - exp(-2/7), in all 18 times that, 4.47.
    expected = 18 * (1 - np.exp(-2 / 7))
    # A half-life of 13 weeks keeps 131 days' worth of deals, halved in variance: 40 reps * 131 * .25 = 1,300 of them,
    # standard error 2 % of the mean, .1; smoothing over a week blurs the ten days to both sides alike.
    assert new.rate[:-1].sum(axis=1).mean() == pytest.approx(expected, abs=0.3)
    np.testing.assert_allclose(new.expected[:-1], 100 * new.rate[:-1].sum(axis=1))


def test_a_rep_who_just_began_is_expected_to_sell_as_the_others_do():
    # No window since the start: the rate is the company's mean, (0 + 6 L) / (0 + 6).
    made = AT - pd.Timedelta(days=5)
    days = [made - pd.Timedelta(days=7 * k) for k in range(60)]
    old = [(f"d{k}", "old", 1.0, day, day + pd.Timedelta(days=2), "new", True, 100.0) for k, day in enumerate(days)]
    shares = pd.DataFrame(old, columns="deal_id rep_id share created_at closed_at kind won amount".split())
    began = {"old": AT - pd.Timedelta(days=900), "young": AT}
    people = People(["old", "young", NOBODY], {"company": [0, 1, 2]}, frozenset(["old", "young"]), began)
    new = new_business(shares, people, at=AT, days=28, calendar=even_days())
    # One deal a week, won in two days: those made in the first 26 of 28 days. Nobody is no new hand: no deal, no rate.
    np.testing.assert_allclose(new.rate[:, 0], [26 / 7, 26 / 7, 0.0], rtol=0.05)


def test_without_a_win_there_is_no_forecast_but_a_mend():
    with pytest.raises(NothingSold, match="Import deals with outcome and closed_at"):
        AttainmentModel().fit(view_of(deals=[a_deal()]), Company(), until=AT, win=None)


@pytest.fixture(scope="module")
def scored():
    s = sold()
    return s.attainment.score(s.view, s.company, as_of=s.as_of, deals_scored=s.scored)


def test_reasons_of_a_rep_add_up_to_the_expected_total(scored):
    reps, _, explained = scored
    total = reps.set_index("rep_id")[["expected_closed", "expected_open", "expected_new"]].sum(axis=1)
    parts = explained.groupby("entity_id")["contribution"].sum()
    np.testing.assert_allclose(parts[total.index], total, atol=1e-6)
    np.testing.assert_allclose(explained.groupby("entity_id")["prediction"].first()[total.index], total, atol=1e-6)
    assert {"closed", "new business"} <= set(explained["feature"])


def test_actual_to_date_is_what_sql_says(scored):
    s, (reps, teams, _) = sold(), scored
    deals = s.view.arrow("deals").to_pandas()
    # In base currency: all deals of the sample in EUR, others at the day's rate by an as-of join in pandas.
    rates = s.view.arrow("fx_rates").to_pandas().sort_values("on_date")
    won = deals[
        (deals.outcome == "won") & (deals.closed_at >= pd.Timestamp("2026-10-01", tz="UTC")) & deals.amount.notna()
    ]
    total = 0.0
    for deal in won.itertuples():
        known = rates[(rates.currency == deal.currency) & (rates.on_date <= deal.closed_at.date())]
        total += float(deal.amount) * (1.0 if deal.currency == s.company.base_currency else known.rate_to_base.iloc[-1])
    quarter = teams[(teams.team_id == "company") & (teams.period_start == pd.Timestamp("2026-10-01").date())]
    assert quarter["actual_to_date"].item() == pytest.approx(total, rel=1e-9)
    assert (reps[["p10", "p50", "p90"]].diff(axis=1).iloc[:, 1:] >= 0).all().all()
    assert (reps["p10"] >= reps["actual_to_date"] - 1e-6).all()  # what is closed stays closed


def test_the_chance_to_reach_a_target_is_never_quite_0_or_1(scored):
    reps = scored[0]
    known = reps["target"].notna()
    assert known.any()
    assert reps.loc[known, "p_attain"].between(1 / 402, 401 / 402).all()
    assert reps.loc[~known, "p_attain"].isna().all()


def test_without_goals_the_fiscal_quarter_is_forecast_without_a_target():
    s = sold()
    tables = {t: s.view.arrow(t) for t in s.view.present if t != "goals"}
    reps, teams, _ = s.attainment.score(type(s.view)(tables), s.company, as_of=s.as_of, deals_scored=s.scored)
    for table in (reps, teams):
        assert len(table)
        assert table[["target", "p_attain"]].isna().all().all()
        assert {str(d) for d in table["period_start"]} == {"2026-10-01"}


def test_the_note_sets_every_way_beside_the_others():
    note = sold().attainment.note
    for way in ("simulation", "stage_rate", "redrawn_weeks", "run_rate"):
        assert note[f"pinball_rep_{way}"] > 0
    assert 0 <= note["coverage_rep"] <= 1
    assert "80%" in note["sentence_en"]
