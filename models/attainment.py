"""Where a period ends for a rep, a team, the company: one simulation of closed, open and new business."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from crm.company import Company
from crm.errors import NotReady
from crm.lake import View
from features.build import build, open_deals
from models.amounts import AmountModel
from models.attainment_compare import WAYS, compare, pinball
from models.attainment_draw import PeriodInputs
from models.attainment_errors import Errors, learn, raised
from models.attainment_new import new_business
from models.attainment_past import AGES, PastCut, past_cuts
from models.attainment_rows import PeriodForecast, explained, first_period, joined, rows_of
from models.learners import Floats
from models.rollup import COMPANY, booked, credit_matrix, credits_of, is_sale, people_at, targets
from models.simulation import DRAWS
from models.win import WinModel
from models.win_calendar import seconds_of

_AGE_EDGES = (0.0, 1 / 3, 2 / 3, 1.0)
_QUARTER = 365.25 / 4  # days: levels are learnt at ages of quarters
_AGE_NAMES = ("early", "middle", "late")


class NothingSold(NotReady):
    """No deal was ever won, so nothing tells what a period brings."""

    def __init__(self) -> None:
        super().__init__(
            "No deal was won with a time of closing by then. "
            "Import deals with outcome and closed_at, or take a later date."
        )


class NoAmounts(NotReady):
    """Deals were won, none with an amount, and nothing but money has a goal."""

    def __init__(self, deals: int) -> None:
        super().__init__(
            "None of {deals} deals won has an amount, so bookings cannot be forecast. "
            "Import deals with amount, or set goals for won_deals.",
            deals=deals,
        )


class AttainmentModel(BaseEstimator):
    """Bookings, won deals and the share won of a period, by rep, team and company.

    Closed so far, plus each open deal won by the period's end with the win model's chance, plus deals not made yet at
    the rep's own pace; errors that deals share are learnt from past cuts. The win model's chances are
    used, or the stages' rates at ages of a period where these had the clearly lower pinball loss on past ones; run
    rate, redrawn weeks and LightGBM quantiles are judged beside them in `note` (they tell nothing of single deals, so
    sums would not agree).

    Parameters
    ----------
    random_state : int
        Seed of all draws.
    draws : int
        How many.
    periods : int
        Past quarters that are tried; 0: errors and ways are the defaults (for reconstructing the past).
    """

    def __init__(self, random_state: int = 0, draws: int = DRAWS, periods: int = 3) -> None:
        self.random_state = random_state
        self.draws = draws
        self.periods = periods

    def fit(
        self,
        view: View,
        company: Company,
        *,
        until: pd.Timestamp,
        win: WinModel,
        cuts: Sequence[PastCut] | None = None,
    ) -> Self:
        """Learn amounts, errors of the past and which way was best, from what was known at `until`.

        Parameters
        ----------
        cuts : sequence of PastCut, optional
            What `attainment_past.past_cuts` made, for fits at several moments; those of periods that were over at
            `until` count, `periods` of them at most. Unset: made here.

        Raises
        ------
        NothingSold
            If no deal was won by then.
        NoAmounts
            If none of those won has an amount, and no goal but for bookings runs.
        """
        until = pd.Timestamp(until)
        shares = credits_of(view, company)
        _check_sold(view, company, shares[shares["won"] & (shares["closed_at"] <= until)], until)
        self.win_ = win
        self.amounts_ = AmountModel(self.random_state).fit(view, company, until=until)
        if cuts is None:
            cuts = past_cuts(view, company, shares, until=until, win=win, periods=self.periods, seed=self.random_state)
        over = [cut for cut in cuts if cut.end <= until]
        cuts = over[max(len(over) - self.periods * len(AGES), 0) :]
        self.errors_ = {way: learn(cuts, way) for way in WAYS}
        self.past_ = past = compare(cuts, seed=self.random_state)
        self.ways_ = _best_ways(past)
        self.note_ = _note(past, len(cuts), self.errors_["simulation"], self.ways_)
        return self

    @property
    def note(self) -> dict[str, Any]:
        """Pinball losses by way (share of what came), coverage at past cuts, errors, a sentence in both languages."""
        return dict(self.note_)

    def score(
        self, view: View, company: Company, *, as_of: pd.Timestamp, deals_scored: pd.DataFrame
    ) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        """Forecasts of the running periods.

        Parameters
        ----------
        deals_scored : DataFrame
            As `WinModel.score` gives it: `deal_id`, `p_win_in_period` to the end of the fiscal quarter. Deals that are
            not in it, and other periods, are forecast by the win model that was given to `fit`.

        Returns
        -------
        reps, teams, explained : DataFrame
            The columns of `reps.parquet` and `teams.parquet` without model_version, and of `reasons.parquet` for reps:
            `closed`, `deal:<id>`, `new business`, in base currency, adding up to the expected total.
        """
        running = self.running(view, company, as_of=as_of, deals_scored=deals_scored)
        return self.told(running, view, company, as_of=as_of)

    def running(
        self, view: View, company: Company, *, as_of: pd.Timestamp, deals_scored: pd.DataFrame
    ) -> list[PeriodForecast]:
        """The simulations behind `score`: the fiscal quarter's bookings first, then what else has a goal."""
        at = pd.Timestamp(as_of)
        today = at.tz_convert(company.time_zone).date()
        quarter = company.period_of(today)
        wanted = {(quarter.start, quarter.end, "bookings")} | {
            (g.period_start, g.period_end, g.metric) for g in targets(view, company, at, today).itertuples()
        }
        ordered = sorted(wanted, key=lambda w: (w[:2] != (quarter.start, quarter.end), w[2] != "bookings", *w))
        return self.forecasts(view, company, as_of=at, deals_scored=deals_scored, periods=ordered)

    def told(
        self, running: Sequence[PeriodForecast], view: View, company: Company, *, as_of: pd.Timestamp
    ) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        """What `score` gives, from the simulations of `running`."""
        at = pd.Timestamp(as_of)
        today = at.tz_convert(company.time_zone).date()
        goals, quarter = targets(view, company, at, today), company.period_of(today)
        reps, teams, reasons = [], [], []
        for forecast in running:
            rows = rows_of(forecast, goals, default=(forecast.start, forecast.end) == (quarter.start, quarter.end))
            reps.append(rows[0])
            teams.append(rows[1])
            if forecast.metric == "bookings" and len(rows[0]):
                reasons.append(explained(forecast, rows[0]["rep_id"]))
        return joined(reps, "rep_id"), joined(teams, "team_id"), first_period(reasons)

    def forecasts(
        self,
        view: View,
        company: Company,
        *,
        as_of: pd.Timestamp,
        deals_scored: pd.DataFrame,
        periods: list[tuple[date, date, str]],
    ) -> list[PeriodForecast]:
        """The simulations behind `score`, one for each (first day, first day after, metric)."""
        found = self.inputs(view, company, as_of=as_of, deals_scored=deals_scored, periods=periods)
        return [one.forecast() for one in found]

    def inputs(
        self,
        view: View,
        company: Company,
        *,
        as_of: pd.Timestamp,
        deals_scored: pd.DataFrame,
        periods: list[tuple[date, date, str]],
    ) -> list[PeriodInputs]:
        """What `forecasts` draws from, so that it can be drawn again with a change; parameters as there."""
        at = pd.Timestamp(as_of)
        today = at.tz_convert(company.time_zone).date()
        shares = credits_of(view, company)
        people = people_at(view, shares, at, today)
        spine = open_deals(view, at)
        deals = build(view, spine, "deal", company=company)
        credit = credit_matrix(deals["deal_id"], deals["owner_id"].astype(object), shares, people)
        ends = company.period_of(today).end
        found = []
        for start, end, metric in periods:
            opens, closes = (_moment(day, company) for day in (start, end))
            days = max((closes - at).total_seconds() / 86_400, 0.0)
            way = self.ways_[_age_name(1 - days / ((closes - opens).total_seconds() / 86_400))]
            gone = max(1 - days / _QUARTER, 0.0)
            errors = self.errors_[way].at(gone)
            level = errors.level.at(gone)
            chances = self._chances(deals, days, way, deals_scored if end == ends else deals_scored.iloc[:0])
            chances = _levelled(chances, level)
            new = new_business(shares, people, at=at, days=days, calendar=self.win_.calendar_, metric=metric)
            new = new.raised(level)
            last = min(at, closes - pd.Timedelta(microseconds=1))
            so_far = {m: booked(shares, people, opens, last, m) for m in ("bookings", "won_deals", "lost_deals")}
            found.append(
                PeriodInputs(
                    start, end, metric, people, deals, credit, so_far, chances, new, errors, self.amounts_,
                    self.random_state, self.draws,
                )
            )  # fmt: skip
        return found

    def _chances(self, deals: pd.DataFrame, days: float, way: str, deals_scored: pd.DataFrame) -> tuple[Floats, Floats]:
        """Of each open deal, to be won and to be lost within so many days: two of shape (n,)."""
        if not len(deals):
            return np.zeros(0), np.zeros(0)
        if way == "stage_rate":
            won, lost = self.win_.rate_.curves(deals).by(days)
        else:
            won, lost = _given(deals_scored, deals)
            if not np.isfinite(won + lost).all():
                ahead = np.full(len(deals), days)
                own = self.win_.calendar_.by(self.win_.curves(deals), seconds_of(deals["as_of"]), ahead)
                won, lost = (np.where(np.isfinite(p), p, mine) for p, mine in zip((won, lost), own, strict=True))
        return won * is_sale(deals), lost * is_sale(deals)


def _check_sold(view: View, company: Company, won: pd.DataFrame, until: pd.Timestamp) -> None:
    if not len(won):
        raise NothingSold
    if (won["amount"] > 0).any():
        return
    goals = targets(view, company, until, until.tz_convert(company.time_zone).date())
    if (goals["metric"] == "bookings").all():  # all of none, too: sums of no amounts are no forecast
        raise NoAmounts(won["deal_id"].nunique())


def _levelled(chances: tuple[Floats, Floats], level: float) -> tuple[Floats, Floats]:
    """Chances to be won and lost with the first raised by a share: the second's part of the rest stays."""
    won = raised(chances[0], level)
    return won, chances[1] * (1 - won) / np.maximum(1 - chances[0], 1e-9)


def _given(deals_scored: pd.DataFrame, deals: pd.DataFrame) -> Floats:
    """Chances to be won and lost in the period that were worked out before, shape (2, n); NaN where there are none."""
    found = np.full((2, len(deals)), np.nan)
    if "deal_id" not in deals_scored:
        return found
    for row, name in enumerate(("p_win_in_period", "p_lose_in_period")):
        if name in deals_scored:
            known = dict(zip(deals_scored["deal_id"], deals_scored[name].astype(float), strict=True))
            found[row] = deals["deal_id"].map(known).to_numpy(np.float64)
    return found


def _best_ways(past: pd.DataFrame) -> dict[str, str]:
    ways = dict.fromkeys(_AGE_NAMES, "simulation")
    if not len(past):
        return ways
    table = past[(past["level"] == "rep") & past["way"].isin(WAYS)]
    table = table.assign(loss=pinball(table), name=[_age_name(a) for a in table["age"]])
    for name, part in table.groupby("name"):
        losses = part.pivot_table(index="as_of", columns="way", values="loss")
        gain = losses["simulation"] - losses["stage_rate"]
        # The plain rate has to win by more than chance: by a standard error over cuts.
        if len(gain) > 1 and gain.mean() > gain.std() / np.sqrt(len(gain)):
            ways[str(name)] = "stage_rate"
    return ways


def _note(past: pd.DataFrame, cuts: int, errors: Errors, ways: dict[str, str]) -> dict[str, Any]:
    note: dict[str, Any] = {
        "past_cuts": cuts,
        "common_error": errors.won.common,
        "own_error": errors.won.own,
        **{f"level_{name}": errors.level.at(age) for name, age in zip(_AGE_NAMES, AGES, strict=True)},
        **{f"way_{age}": way for age, way in ways.items()},
    }
    if not len(past):
        return note | {
            "sentence_en": "The history is too short to try these forecasts on past periods.",
            "sentence_zh": "历史数据太短，无法用过去的期间检验这些预测。",
        }
    for (level, way), part in past.groupby(["level", "way"]):
        # Trees need earlier periods to learn from, so their figure stands on fewer cuts: `.._cuts` says on how many.
        note[f"pinball_{level}_{way}"] = float(pinball(part).sum() / max(part["actual"].sum(), 1e-9))
        note[f"cuts_{level}_{way}"] = int(part["as_of"].nunique())
        for name, same in part.assign(loss=pinball(part)).groupby([_age_name(a) for a in part["age"]]):
            note[f"pinball_{level}_{way}_{name}"] = float(same["loss"].sum() / max(same["actual"].sum(), 1e-9))
    return note | _coverage(past)


def _coverage(past: pd.DataFrame) -> dict[str, Any]:
    ours = past[past["way"] == "simulation"]
    held = (ours["actual"] >= ours["q10"]) & (ours["actual"] <= ours["q90"])
    rep, whole = ours["level"] == "rep", ours["level"] == "company"
    hits, n = int(held[whole].sum()), int(whole.sum())
    share, rows = float(held[rep].mean()), int(rep.sum())
    en = (
        f"On past cuts the 80% range held what came for {100 * share:.0f}% of {rows} rep-periods, "
        f"and for the company {hits} of {n} times."
    )
    zh = f"在过去的时点上，80%区间覆盖了{rows}个销售期间中{100 * share:.0f}%的实际结果；公司层面为{n}次中的{hits}次。"
    return {
        "coverage_rep": share,
        "coverage_company": hits / max(n, 1),
        "sentence_en": en,
        "sentence_zh": zh,
    }


def _age_name(age: float) -> str:
    return _AGE_NAMES[int(np.clip(np.searchsorted(_AGE_EDGES, age, side="right") - 1, 0, 2))]


def _moment(day: date, company: Company) -> pd.Timestamp:
    return pd.Timestamp(day).tz_localize(company.time_zone).tz_convert("UTC")


__all__ = ["COMPANY", "AttainmentModel", "NoAmounts", "NothingSold", "PeriodForecast"]
