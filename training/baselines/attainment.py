"""Plain forecasts of where a rep's period ends, with ranges from their own past errors: what simulation must beat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from crm.company import Company
from crm.errors import NotReady
from crm.lake import View
from models.learners import Floats
from models.prior import RateCurves
from models.rollup import People, booked, credit_matrix, people_at
from models.win_curve import edges_of, fate

WAYS = ("run_rate", "pipeline_rate", "redrawn_weeks", "last_year")
QUANTILES = (0.1, 0.5, 0.9)
_WEEK = 7.0
_BLOCK = 4  # weeks redrawn together
_DRAWS = 400
_HORIZON_WEEKS = 60
_YEAR = pd.Timedelta(days=365)
_OWN_WINS = 10.0
_LEAST_ERRORS = 20
_NEAR = 0.2  # of a period: errors at about the same age


class NoPastPeriods(NotReady):
    """There is no period that was over before this one."""

    def __init__(self) -> None:
        super().__init__("Ranges come from errors in earlier periods, and none was over by then. Import more history.")


@dataclass(frozen=True, slots=True)
class PeriodMoment:
    """A moment inside a period that is over: what was known then, what each way would have said, what came.

    Attributes
    ----------
    points : dict of str to shape (reps,)
        Bookings at the period's end by way, base currency.
    redrawn : shape (reps, draws)
        The same from weeks of the past year, four in a row at a time, the same ones for all reps within a draw.
    scale : shape (reps,)
        What a rep usually books in such a period, drawn towards the company's mean.
    judged : shape (reps,), bool
        Who worked then and had something to come or to look back on.
    """

    at: pd.Timestamp
    start: pd.Timestamp
    end: pd.Timestamp
    people: People
    closed: Floats
    actual: Floats
    points: dict[str, Floats]
    redrawn: Floats
    scale: Floats
    judged: np.ndarray[tuple[int], np.dtype[np.bool_]]

    @property
    def age(self) -> float:
        """Share of the period that is over."""
        return float((self.at - self.start) / (self.end - self.start))


class PeriodBaseline(BaseEstimator):
    """Bookings of a rep and of the company at a period's end, in three quantiles.

    Parameters
    ----------
    way : {'run_rate', 'pipeline_rate', 'redrawn_weeks', 'last_year'}
        At the same pace to the end; open deals at their stage's rate of being won in time, plus the usual business
        from deals not made yet; weeks of the past year redrawn; what the same period brought a year ago.
    """

    def __init__(self, way: str = "pipeline_rate") -> None:
        self.way = way

    def fit(self, past: Sequence[PeriodMoment], *, before: pd.Timestamp) -> Self:
        """Keep the errors of moments in periods that were over `before`, in units of what a rep usually books.

        Raises
        ------
        NoPastPeriods
            If there is none.
        """
        known = [m for m in past if m.end <= before]
        if not known:
            raise NoPastPeriods
        self.ages_ = np.concatenate([np.full(int(m.judged.sum()), m.age) for m in known])
        self.errors_ = np.concatenate([((m.actual - m.points[self.way]) / m.scale)[m.judged] for m in known])
        self.whole_ages_ = np.array([m.age for m in known])
        self.whole_errors_ = np.array([(m.actual - m.points[self.way]).sum() / m.scale.sum() for m in known])
        return self

    def predict(self, moment: PeriodMoment) -> Floats:
        """Quantiles .1, .5, .9 by rep, shape (reps, 3); never below what is closed."""
        if self.way == "redrawn_weeks":
            return np.quantile(moment.redrawn, QUANTILES, axis=1).T
        errors = np.quantile(_near(self.errors_, self.ages_, moment.age), QUANTILES)
        said = moment.points[self.way][:, None] + moment.scale[:, None] * errors[None, :]
        return np.asarray(np.maximum(said, moment.closed[:, None]))

    def predict_company(self, moment: PeriodMoment) -> Floats:
        """The same of the company's sum, shape (3,)."""
        if self.way == "redrawn_weeks":
            return np.asarray(np.quantile(moment.redrawn.sum(axis=0), QUANTILES))
        errors = np.quantile(_near(self.whole_errors_, self.whole_ages_, moment.age, least=1), QUANTILES)
        said = moment.points[self.way].sum() + moment.scale.sum() * errors
        return np.asarray(np.maximum(said, moment.closed.sum()))


def period_moment(
    view: View,
    company: Company,
    shares: pd.DataFrame,
    rows: pd.DataFrame,
    *,
    at: pd.Timestamp,
    start: pd.Timestamp,
    end: pd.Timestamp,
) -> PeriodMoment:
    """What was known at a moment that is a date of the snapshots `rows`, and what came of it.

    Parameters
    ----------
    shares : DataFrame
        As `models.rollup.credits_of` gives it.
    rows : DataFrame
        Snapshots as `training.snapshots.deal_snapshots` makes them.
    """
    people = people_at(view, shares, at, at.tz_convert(company.time_zone).date())
    closed = booked(shares, people, start, at, "bookings")
    days = (end - at).total_seconds() / 86_400
    weekly = _weekly(shares, people, at)
    usual = weekly.mean(axis=1) * (end - start).total_seconds() / 86_400 / _WEEK
    new = new_business(shares, people, at=at, days=days)
    pipeline = _pipeline(rows, shares, people, at, days)
    redrawn = closed[:, None] + _redrawn(weekly, days / _WEEK)
    year = pd.DateOffset(years=1)
    points = {
        "run_rate": closed / max(float((at - start) / (end - start)), 1e-9),
        "pipeline_rate": closed + pipeline + new,
        "redrawn_weeks": redrawn.mean(axis=1),
        "last_year": np.maximum(booked(shares, people, start - year, _until(end - year), "bookings"), closed),
    }
    working = np.array([rep in people.working for rep in people.reps])
    return PeriodMoment(
        at, start, end, people, closed, booked(shares, people, start, _until(end), "bookings"), points, redrawn,
        np.maximum((usual + usual.mean()) / 2, 1.0), working & ((pipeline > 0) | (new > 0)),
    )  # fmt: skip


def new_business(shares: pd.DataFrame, people: People, *, at: pd.Timestamp, days: float) -> Floats:
    """What deals that are made after a moment usually bring within `days`, shape (reps,), base currency.

    Of all starting days of the year before, a win that took c days falls into the share (days - c) / 365 of windows.
    A rep's own sum counts n / (n + 10) for n such wins, against the mean of all who work.
    """
    won = shares[shares["won"] & (shares["closed_at"] <= at) & (shares["closed_at"] > at - _YEAR)]
    left = days - (won["closed_at"] - won["created_at"]).dt.total_seconds().to_numpy(np.float64) / 86_400
    place = np.array([people.place.get(rep, len(people.reps) - 1) for rep in won["rep_id"]], dtype=np.intp)
    value = won["share"].to_numpy(np.float64) * won["amount"].fillna(0.0).to_numpy(np.float64)
    brought = np.bincount(place, weights=value * np.maximum(left, 0.0) / 365, minlength=len(people.reps))
    wins = np.bincount(place[left > 0], minlength=len(people.reps))
    working = np.array([rep in people.working for rep in people.reps])
    usual = brought.sum() / max(1, int(working.sum()))
    trust = wins / (wins + _OWN_WINS)
    return np.where(working, trust * brought + (1 - trust) * usual, 0.0)


def _pipeline(rows: pd.DataFrame, shares: pd.DataFrame, people: People, at: pd.Timestamp, days: float) -> Floats:
    deals, past = rows[rows["as_of"] == at], rows[rows["as_of"] < at]
    if not len(deals) or not len(past):
        return np.zeros(len(people.reps))
    stage = RateCurves(edges_of(_HORIZON_WEEKS), by_stage=True).fit(past, fate(past, at)).curves(deals)
    amount = deals["amount"].to_numpy(np.float64, na_value=np.nan)
    credit = credit_matrix(deals["deal_id"], deals["owner_id"].astype(object), shares, people)
    return np.asarray(credit @ (np.nan_to_num(amount) * stage.by(days)[0]))


def _weekly(shares: pd.DataFrame, people: People, at: pd.Timestamp) -> Floats:
    """Bookings by rep and week of the year before a moment, shape (reps, up to 52), oldest first.

    Weeks before the company's first win are not on record; as weeks without business they would make all look small.
    """
    week = pd.Timedelta(weeks=1)
    first = shares.loc[shares["won"] & (shares["closed_at"] <= at), "closed_at"].min()
    weeks = 1 if pd.isna(first) else int(np.clip(np.ceil((at - first) / week), 1, 52))
    ago = range(weeks, 0, -1)
    return np.column_stack(
        [booked(shares, people, at - k * week, _until(at - (k - 1) * week), "bookings") for k in ago]
    )


def _redrawn(weekly: Floats, weeks: float) -> Floats:
    blocks = max(1, int(np.ceil(weeks / _BLOCK)))
    first = np.random.default_rng(0).integers(0, weekly.shape[1], (_DRAWS, blocks))
    chosen = (first[:, :, None] + np.arange(_BLOCK)).reshape(_DRAWS, -1) % weekly.shape[1]
    return np.asarray(weekly[:, chosen].sum(axis=2) * weeks / (blocks * _BLOCK))


def _near(errors: Floats, ages: Floats, age: float, *, least: int = _LEAST_ERRORS) -> Floats:
    """Errors made at about the same age of a period; all where those are too few."""
    near = errors[np.abs(ages - age) <= _NEAR]
    return near if len(near) >= least else errors


def _until(end: pd.Timestamp) -> pd.Timestamp:
    return end - pd.Timedelta(microseconds=1)
