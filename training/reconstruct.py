"""Forecasts of past dates, each by models that saw only what was known then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import pandas as pd

from crm.company import Company
from crm.errors import NotReady
from crm.lake import View
from models.amounts import AmountModel
from models.attainment import AttainmentModel
from models.win import WinModel
from training.backtest import light_model
from training.snapshots import deal_snapshots, open_snapshots

Progress = Callable[[str], None]
RECONSTRUCTED = "reconstructed"
_FEW_DRAWS = 500


def reconstruct(
    view: View,
    company: Company,
    *,
    as_ofs: Sequence[datetime],
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, pd.DataFrame]:
    """Forecasts of past dates, each by a model that saw only what was known then.

    Parameters
    ----------
    as_ofs : sequence of datetime, UTC
        Past dates.

    Returns
    -------
    dict of str to pd.DataFrame
        'deals', 'reps', 'teams' with the columns of the score files and `as_of`; dates without enough history are
        left out.
    """
    say = progress or (lambda _: None)
    found: dict[str, list[pd.DataFrame]] = {"deals": [], "reps": [], "teams": []}
    if not as_ofs:
        return {name: pd.DataFrame() for name in found}
    rows = deal_snapshots(view, company, until=max(as_ofs))
    for as_of in as_ofs:
        say(f"Forecasts as of {as_of:%Y-%m-%d}")
        for name, table in _reconstruct_one(view, company, rows, pd.Timestamp(as_of), seed).items():
            found[name].append(table)
    return {name: pd.concat(t, ignore_index=True) if t else pd.DataFrame() for name, t in found.items()}


def _reconstruct_one(
    view: View, company: Company, rows: pd.DataFrame, as_of: pd.Timestamp, seed: int
) -> dict[str, pd.DataFrame]:
    win = light_model(company, seed=seed)
    deals = open_snapshots(view, company, as_of=as_of)
    try:
        # Snapshots of the moment itself have no outcome yet, and stand only where it was asked for; later ones and what
        # became known later are not looked at.
        win.fit(rows[rows["as_of"] < as_of], until=as_of)
    except NotReady:
        return {}
    end = company.period_of(as_of.tz_convert(company.time_zone).date()).bounds(company.time_zone)[1]
    scored = win.score(deals, as_of=as_of, period_end=pd.Timestamp(end).tz_convert("UTC"))
    amounts = AmountModel(seed).fit(view, company, until=as_of)
    scored.insert(5, "expected_amount", scored["win_probability"].to_numpy() * amounts.when_won(deals))
    found = {"deals": scored, **_reconstruct_periods(view, company, win, scored, as_of, seed)}
    return {name: table.assign(as_of=as_of, model_version=RECONSTRUCTED) for name, table in found.items()}


def _reconstruct_periods(
    view: View, company: Company, win: WinModel, scored: pd.DataFrame, as_of: pd.Timestamp, seed: int
) -> dict[str, pd.DataFrame]:
    try:
        model = AttainmentModel(seed, draws=_FEW_DRAWS, periods=1).fit(view, company, until=as_of, win=win)
        reps, teams, _ = model.score(view, company, as_of=as_of, deals_scored=scored)
    except NotReady:  # nothing was sold yet
        return {}
    return {"reps": reps, "teams": teams}
