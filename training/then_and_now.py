"""What is held against what when a model in use is watched: its inputs then and now, churn forecasts and what came."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from crm.company import Company
from crm.lake import View
from features.build import build
from features.catalogue import Entity
from models.churn_rows import NoCustomers, customers

_YEAR = pd.Timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Inputs:
    """Rows of features a model learnt from, and such as it is asked about now; `unit` says what a row is.

    Columns that hang on the date alone, such as days until the quarter ends, are left out: they always move.
    """

    before: pd.DataFrame
    now: pd.DataFrame
    unit: str

    @classmethod
    def of(cls, before: pd.DataFrame, now: pd.DataFrame, unit: str) -> Inputs:
        """Both sides without columns that have one value a date on each."""
        calendar = [name for name in before if name != "as_of" and _one_a_date(before, name) and _one_a_date(now, name)]
        return cls(before.drop(columns=calendar), now.drop(columns=calendar), unit)


def deal_inputs(rows: pd.DataFrame, since: pd.Timestamp) -> Inputs:
    """A row a deal of the year before a moment, and a row a deal since.

    Parameters
    ----------
    rows : shape (n, p)
        Snapshots as `training.snapshots.deal_snapshots` makes them.
    """
    year = rows[(rows["as_of"] <= since) & (rows["as_of"] > since - _YEAR)]
    before, now = (part.drop_duplicates("deal_id", keep="last") for part in (year, rows[rows["as_of"] > since]))
    # A deal that is open on both sides would stand against itself.
    return Inputs.of(before[~before["deal_id"].isin(now["deal_id"])], now, "deals")


def customer_inputs(view: View, company: Company, since: pd.Timestamp, at: pd.Timestamp) -> Inputs:
    """The customers of a moment, and those of a later one; most are the same, which makes the tests careful.

    Raises
    ------
    NoCustomers
        If there are neither orders nor subscriptions.
    """
    known = customers(view, company, at)
    sides = [_built(view, company, "account", known.live(moment)["account_id"], moment) for moment in (since, at)]
    return Inputs.of(sides[0], sides[1] if at > since else sides[1].iloc[:0], "customers")


def rep_inputs(view: View, company: Company, since: pd.Timestamp, at: pd.Timestamp) -> Inputs:
    """The reps of now, and those of the last moment before `since` that lay as far into its fiscal quarter."""
    then = at
    while then > since:
        then = _a_quarter_before(company, then)
    sides = [_built(view, company, "rep", _reps(view, moment), moment) for moment in (then, at)]
    return Inputs.of(sides[0], sides[1] if at > since else sides[1].iloc[:0], "reps")


def judged_customers(said: pd.DataFrame, view: View, company: Company, *, until: pd.Timestamp) -> pd.DataFrame:
    """Issued churn forecasts whose horizon is over, beside who left: `account_id`, `as_of`, `forecast`, `came`.

    Parameters
    ----------
    said : shape (n, p)
        `account_id`, `as_of`, `churn_probability`, `horizon_days`, as the ledger keeps them.
    """
    parts = []
    try:
        known = customers(view, company, until)
    except NoCustomers:
        return pd.DataFrame()
    for (as_of, days), rows in said.groupby(["as_of", "horizon_days"]) if len(said) else ():
        at = pd.Timestamp(as_of)
        if at + pd.Timedelta(days=float(days)) > until:
            continue
        live = known.live(at).merge(rows[["account_id", "churn_probability"]], on="account_id")
        came = known.left(live, at, float(days))
        forecast = live["churn_probability"].to_numpy(np.float64)
        parts.append(pd.DataFrame({"account_id": live["account_id"], "as_of": at, "forecast": forecast, "came": came}))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _one_a_date(rows: pd.DataFrame, name: str) -> bool:
    """Whether a column has one value on each date of which there are several rows."""
    return bool((rows.groupby("as_of")[name].nunique(dropna=False) <= 1).all())


def _a_quarter_before(company: Company, at: pd.Timestamp) -> pd.Timestamp:
    """The moment as far into the fiscal quarter before as this one is into its own, as a share of it."""
    period = company.period_of(at.tz_convert(company.time_zone).date())
    spans = [one.bounds(company.time_zone) for one in (period, company.previous(period))]
    (start, end), (earlier, its_end) = ([pd.Timestamp(m).tz_convert("UTC") for m in span] for span in spans)
    return earlier + (its_end - earlier) * ((at - start) / (end - start))


def _reps(view: View, at: pd.Timestamp) -> pd.Series:
    reps = view.arrow("reps").to_pandas() if "reps" in view.present else pd.DataFrame({"rep_id": []})
    there = pd.Series(data=True, index=reps.index)
    for name, gone in (("hired_on", False), ("left_on", True)):
        if name in reps:
            day = pd.to_datetime(reps[name], utc=True)
            there &= day.isna() | ((day > at) if gone else (day <= at))
    return reps.loc[there, "rep_id"]


def _built(view: View, company: Company, entity: Entity, keys: pd.Series, at: pd.Timestamp) -> pd.DataFrame:
    key = {"account": "account_id", "rep": "rep_id"}[entity]
    spine = pd.DataFrame({key: keys.to_numpy(object), "as_of": at})
    spine["as_of"] = pd.to_datetime(spine["as_of"], utc=True).astype("datetime64[us, UTC]")
    return build(view, spine, entity, company=company) if len(spine) else spine
