"""Forecasts of past dates, made by models that saw only what was known then, sealed apart from issued ones."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count

import pandas as pd

from crm.company import Company
from crm.lake import View, connect
from serving.home import Home
from serving.ledger import Ledger
from serving.scoring import seal_reconstructed
from training.reconstruct import reconstruct

Progress = Callable[[str, float | None], None]
_POINTS = (2 / 3, 1 / 3)  # of a quarter
_AT_ONCE = 4  # share one reading of the past; what is sealed is not lost when the work is stopped


def past_moments(company: Company, *, until: datetime, dates: int) -> list[datetime]:
    """Moments at one and two thirds of the quarters that are over, the newest first."""
    period = company.period_of(pd.Timestamp(until).tz_convert(company.time_zone).date())
    found: list[datetime] = []
    while len(found) < dates:
        period = company.previous(period)
        start, end = (pd.Timestamp(m).tz_convert("UTC") for m in period.bounds(company.time_zone))
        found += [(start + timedelta(days=round((end - start).days * share))).to_pydatetime() for share in _POINTS]
    return found[:dates]


def week_before(company: Company, *, until: datetime) -> list[datetime]:
    """The moment a week earlier, to say what moved since, where it lies in the same quarter; else none."""
    before = until - timedelta(days=7)
    quarters = [company.period_of(pd.Timestamp(m).tz_convert(company.time_zone).date()) for m in (before, until)]
    return [before] if quarters[0] == quarters[1] else []


def reconstruct_history(
    home: Home,
    ledger: Ledger,
    *,
    until: datetime,
    dates: int = 8,
    seed: int = 0,
    progress: Progress | None = None,
) -> int:
    """Reconstruct and seal what would have been forecast at past dates; those that are sealed already are skipped.

    Returns
    -------
    int
        Rows added to the ledger.
    """
    say = progress or (lambda _text, _done: None)
    view, company = home.lake.view(), home.company()
    earliest = _first_closing(view)
    sealed = {
        row.as_of for row in ledger.sealed(kind="reconstructed", entity="deal") if row.data_cut == view.cut.number
    }
    moments = [*week_before(company, until=until), *past_moments(company, until=until, dates=dates)]
    wanted = [m for m in moments if earliest is not None and m > earliest]
    left = [m for m in wanted if m not in sealed]
    added, told = 0, count(len(wanted) - len(left))
    for start in range(0, len(left), _AT_ONCE):
        frames = reconstruct(
            view,
            company,
            as_ofs=left[start : start + _AT_ONCE],
            seed=seed,
            progress=lambda text: say(text, next(told) / len(wanted)),
        )
        added += seal_reconstructed(ledger, frames, data_cut=view.cut.number)
    say("done", 1.0)
    return added


def _first_closing(view: View) -> datetime | None:
    with connect() as con:
        view.attach(con)
        found: datetime | None = con.sql("select min(closed_at) from deals where outcome <> 'open'").fetchall()[0][0]
    return found
