"""Cuts inside periods that are over: what was known then, what each way would have said of open deals, what came."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from crm.company import Company
from crm.errors import NotReady
from crm.lake import View
from features.build import build
from models.amounts import AmountModel
from models.attainment_new import NewBusiness, new_business
from models.learners import Floats, even_rows
from models.prior import RateCurves
from models.rollup import People, booked, credit_matrix, is_sale, people_at
from models.win import WinModel
from models.win_calendar import seconds_of
from models.win_curve import fate

AGES = (1 / 6, 1 / 2, 5 / 6)
"""Share of the period that is over at a cut."""
_APART = pd.Timedelta(days=28)
_ROWS = 12_000
_DRAWS = 400
_BLOCK = 4  # weeks redrawn together
_LEAST_CLOSED = 50


@dataclass
class PastCut:
    """A moment inside a period that is over: what was known then, and what came.

    Attributes
    ----------
    closed, actual : shape (reps,)
        Bookings of the period by the cut, and at its end.
    win, lose : dict of str to shape (deals,)
        By way, each open deal's chance to be won, and lost, by the period's end.
    new, counts : NewBusiness
        In money, and in numbers of deals.
    won, lost : shape (reps,)
        Numbers won and lost between the cut and the period's end.
    """

    at: pd.Timestamp
    start: pd.Timestamp
    end: pd.Timestamp
    age: float
    people: People
    closed: Floats
    deals: pd.DataFrame
    credit: csr_array
    win: dict[str, Floats]
    amounts: AmountModel
    new: NewBusiness
    weekly: Floats
    actual: Floats
    lose: dict[str, Floats]
    counts: NewBusiness
    won: Floats
    lost: Floats
    features: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def judged(self) -> list[int]:
        """Places of the reps who worked then and had something to come or to look back on."""
        something = (self.credit.sum(axis=1) > 0) | (self.new.expected > 0)
        return [i for i, rep in enumerate(self.people.reps) if rep in self.people.working and something[i]]

    @property
    def run_rate(self) -> Floats:
        """Closed so far, at the same pace to the end."""
        return self.closed / self.age

    def redrawn(self, seed: int) -> Floats:
        """Weeks of the past year in blocks of four, the same ones for all reps within a draw."""
        rng = np.random.default_rng(seed)
        weeks = (self.end - self.at).total_seconds() / 86_400 / 7
        blocks = int(np.ceil(weeks / _BLOCK))
        first = rng.integers(0, self.weekly.shape[1], (_DRAWS, blocks))
        chosen = (first[:, :, None] + np.arange(_BLOCK)).reshape(_DRAWS, -1) % self.weekly.shape[1]
        sums = self.weekly[:, chosen].sum(axis=2) * weeks / (blocks * _BLOCK)
        return self.closed[:, None] + sums


def past_cuts(
    view: View, company: Company, shares: pd.DataFrame, *, until: pd.Timestamp, win: WinModel, periods: int, seed: int
) -> list[PastCut]:
    """Cuts in the last complete quarters, oldest first; win chances by models that knew no more than its start."""
    spans = _periods(company, shares, until, periods)
    if not spans:
        return []
    moments = {at: (start, end, age) for start, end in spans for age in AGES for at in [_moment(start, end, age)]}
    rows = _snapshots(view, company, list(moments), spans, until, seed)
    targets = _rep_features(view, company, shares, list(moments))
    found: list[PastCut] = []
    for start, end in spans:
        known = rows[rows["as_of"] <= start]
        try:
            model = _light(win, seed).fit(known, until=start)
            model.calibrator_ = win.calibrator_  # one learnt on past forecasts, of which a light model has none
        except NotReady:  # too little was closed by then
            continue
        amounts = AmountModel(seed).fit(view, company, until=start, snapshots=known)
        stage = RateCurves(model.edges_, by_stage=True).fit(known, fate(known, start))
        for at, (begin, _, age) in moments.items():
            if begin == start:
                cut = _cut(view, company, shares, rows, at, (start, end, age), model, stage, amounts)
                cut.features = targets[targets["as_of"] == at].reset_index(drop=True)
                found.append(cut)
    return found


def _cut(
    view: View, company: Company, shares: pd.DataFrame, rows: pd.DataFrame, at: pd.Timestamp,
    period: tuple[pd.Timestamp, pd.Timestamp, float], model: WinModel, stage: RateCurves,
    amounts: AmountModel,
) -> PastCut:  # fmt: skip
    start, end, age = period
    people = people_at(view, shares, at, at.tz_convert(company.time_zone).date())
    deals = rows[rows["as_of"] == at].reset_index(drop=True)
    days, last = (end - at).total_seconds() / 86_400, end - pd.Timedelta(microseconds=1)
    ahead = {
        "simulation": model.calendar_.by(model.curves(deals), seconds_of(deals["as_of"]), np.full(len(deals), days)),
        "stage_rate": stage.curves(deals).by(days),
    }
    new, counts = (
        new_business(shares, people, at=at, days=days, calendar=model.calendar_, metric=m)
        for m in ("bookings", "won_deals")
    )
    won, lost = (booked(shares[shares["closed_at"] > at], people, at, last, m) for m in ("won_deals", "lost_deals"))
    return PastCut(
        at, start, end, age, people,
        closed=booked(shares, people, start, at, "bookings"),
        deals=deals,
        credit=credit_matrix(deals["deal_id"], deals["owner_id"].astype(object), shares, people),
        win={way: chances[0] * is_sale(deals) for way, chances in ahead.items()},
        lose={way: chances[1] * is_sale(deals) for way, chances in ahead.items()},
        amounts=amounts,
        new=new,
        counts=counts,
        weekly=_weekly(shares, people, at),
        actual=booked(shares, people, start, last, "bookings"),
        won=won,
        lost=lost,
    )  # fmt: skip


def _weekly(shares: pd.DataFrame, people: People, at: pd.Timestamp) -> Floats:
    """Bookings by rep and week of the year before a moment, shape (reps, 52), oldest first."""
    ago = (at - shares["closed_at"]).dt.total_seconds() / 86_400 / 7
    won = shares[shares["won"] & (ago >= 0) & (ago < 52) & (shares["amount"] > 0)]
    place, nobody = people.place, len(people.reps) - 1
    found = np.zeros((len(people.reps), 52))
    rep = [place.get(r, nobody) for r in won["rep_id"]]
    week = 51 - ago[won.index].to_numpy(np.float64).astype(np.intp)
    np.add.at(found, (rep, week), (won["share"] * won["amount"]).to_numpy(np.float64))
    return found


def _periods(
    company: Company, shares: pd.DataFrame, until: pd.Timestamp, most: int
) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
    """The last complete quarters with enough deals closed before them, oldest first."""
    ended = shares.loc[shares["closed_at"] <= until, "closed_at"].sort_values()
    if len(ended) < _LEAST_CLOSED:
        return []
    enough = ended.iloc[_LEAST_CLOSED - 1]
    period = company.period_of(until.tz_convert(company.time_zone).date())
    found: list[tuple[pd.Timestamp, pd.Timestamp]] = []
    for _ in range(most):
        period = company.previous(period)
        start, end = (pd.Timestamp(m).tz_convert("UTC") for m in period.bounds(company.time_zone))
        if start < enough:
            break
        found.append((start, end))
    return found[::-1]


def _moment(start: pd.Timestamp, end: pd.Timestamp, age: float) -> pd.Timestamp:
    return start + (end - start) * age


def _snapshots(
    view: View, company: Company, moments: list[pd.Timestamp],
    periods: list[tuple[pd.Timestamp, pd.Timestamp]], until: pd.Timestamp, seed: int,
) -> pd.DataFrame:  # fmt: skip
    """Deals open at the cuts, all of them, and every four weeks before, for the models of the past: with their end."""
    deals = view.arrow("deals").select(["deal_id", "created_at", "closed_at", "outcome"]).to_pandas()
    deals = deals[(deals["outcome"] == "open") | deals["closed_at"].notna()]
    first = deals.loc[deals["closed_at"].notna(), "closed_at"].min()
    grid = pd.date_range(end=periods[-1][0], start=min(first, periods[-1][0]), freq=_APART)
    older = _open_at(deals, [pd.Timestamp(day) for day in grid if day not in moments])
    older = older.iloc[even_rows(len(older), _ROWS, seed)]
    spine = pd.concat([older, _open_at(deals, moments)], ignore_index=True)
    rows = build(view, spine[["deal_id", "as_of"]], "deal", company=company)
    ended = (spine["outcome"] != "open") & (spine["closed_at"] <= until)
    rows["_closed_at"] = spine["closed_at"].where(ended).to_numpy()
    rows["_closed_at"] = pd.to_datetime(rows["_closed_at"], utc=True)
    rows["_outcome"] = spine["outcome"].where(ended, "open").to_numpy(object)
    return rows


def _open_at(deals: pd.DataFrame, moments: list[pd.Timestamp]) -> pd.DataFrame:
    parts = []
    for at in moments:
        there = (deals["created_at"] <= at) & ((deals["outcome"] == "open") | (deals["closed_at"] > at))
        parts.append(deals[there].assign(as_of=pd.Timestamp(at)))
    spine = pd.concat(parts, ignore_index=True) if parts else deals.iloc[:0].assign(as_of=pd.NaT)
    spine["as_of"] = pd.to_datetime(spine["as_of"], utc=True).astype("datetime64[us, UTC]")
    return spine


def _rep_features(view: View, company: Company, shares: pd.DataFrame, moments: list[pd.Timestamp]) -> pd.DataFrame:
    reps = sorted(set(shares["rep_id"]) - {""})
    spine = pd.DataFrame([(rep, at) for at in moments for rep in reps], columns=["rep_id", "as_of"])
    spine["as_of"] = pd.to_datetime(spine["as_of"], utc=True).astype("datetime64[us, UTC]")
    return build(view, spine, "rep", company=company)


def _light(win: WinModel, seed: int) -> WinModel:
    """One like the win model in use: its parameters with fewer trees and rows."""
    return WinModel(
        seed, win.horizon_weeks, win.start_month, trees=30, rows=8_000, replicates=0, cuts=0, params=win.params_
    )
