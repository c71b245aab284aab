"""A small made-up company with the models of its attainment, made once for all tests that need one."""

from functools import cache
from typing import NamedTuple

import pandas as pd

from crm.company import Company
from crm.lake import TableView, newest_event
from crm.simulate import lake_view, simulate
from features.build import build, open_deals
from models.attainment import AttainmentModel
from models.win import WinModel
from training.snapshots import deal_snapshots


class Sold(NamedTuple):
    view: TableView
    company: Company
    as_of: pd.Timestamp
    win: WinModel
    deals: pd.DataFrame
    scored: pd.DataFrame
    attainment: AttainmentModel


@cache
def sold() -> Sold:
    sample = simulate(reps=6, months=15, seed=3)
    view, company = lake_view(sample), Company.parse(sample.settings)
    as_of = pd.Timestamp(newest_event(view))
    rows = deal_snapshots(view, company, until=as_of)
    win = WinModel(trees=30, rows=6_000, replicates=0, cuts=1).fit(rows, until=as_of)
    deals = build(view, open_deals(view, as_of), "deal", company=company)
    scored = win.score(deals, period_end=pd.Timestamp("2027-01-01", tz="UTC"))
    attainment = AttainmentModel(draws=400, periods=1).fit(view, company, until=as_of, win=win)
    return Sold(view, company, as_of, win, deals, scored, attainment)
