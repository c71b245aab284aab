"""Next steps as they are shown: with effects measured on history and by chance, less what chance holds back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pandas as pd

from crm.company import Company
from crm.lake import View, connect
from models.coaching_evidence import Randomised
from models.effects import Effects
from models.effects_rows import HORIZON_WEEKS
from models.effects_sequence import LEAST_UNITS
from serving.feedback import not_again
from serving.holdback import ALL, hold_back, trials
from serving.home import Home
from serving.store import Store
from training.registry import Champion


def advice_for(
    X: pd.DataFrame,
    champion: Champion,
    scored: pd.DataFrame,
    *,
    home: Home,
    store: Store | None,
    view: View,
    company: Company,
    as_of: pd.Timestamp,
    effects: Effects | None,
    reasons: pd.DataFrame | None,
    issued: bool,
) -> tuple[pd.DataFrame, pd.Series]:
    """Suggestions for open deals, with the model's version; and the deals that are on track and need none.

    Parameters
    ----------
    X : shape (n, p)
        Open deals with their features.
    scored : DataFrame
        `deal_id` and `win_probability` as forecast.
    store : Store, optional
        The home's store where it is open already.
    reasons : DataFrame, optional
        What the deals' chances are made of, as they are kept.
    issued : bool
        Whether they will be shown to people: then chance holds some back, and what it said so far counts. Suggestions
        of a past moment are only looked at.

    Raises
    ------
    NoWonDeals
        If the model was kept by a version that did not look at deals won from each stage.
    """
    from models.coaching import advise, on_track

    known = {"view": view, "company": company, "as_of": as_of, "reasons": reasons}
    if not issued:
        found = advise(X, champion.model, **known, effects=effects)
        fine = on_track(X, champion.model, found, company=company, reasons=reasons)
        return found.assign(model_version=champion.version), fine
    with _opened(home, store) as book:
        chance = _randomised(book, view, company, as_of, effects)
        answered = not_again(book, at=datetime.now(UTC))
        found = advise(X, champion.model, **known, effects=effects, randomised=chance, not_again=answered)
        owners = _owners(view)
        deals = scored[["deal_id", "win_probability"]].assign(owner_id=scored["deal_id"].map(owners))
        shown = hold_back(book, found, deals, share=company.advice.hold_back, model_version=champion.version)
    fine = on_track(X, champion.model, found, company=company, reasons=reasons)
    return shown.assign(model_version=champion.version), fine


def weeks_of(effects: Effects | None) -> int:
    """Within how many weeks 'won' is meant when suggestions are compared."""
    return HORIZON_WEEKS if effects is None or effects.table.empty else int(effects.table["horizon_weeks"].iloc[0])


def _randomised(
    store: Store, view: View, company: Company, as_of: pd.Timestamp, effects: Effects | None
) -> dict[str, Randomised]:
    found = trials(store, view, weeks=weeks_of(effects), as_of=as_of.to_pydatetime(), share=company.advice.hold_back)
    return {
        t.action: Randomised(t.found.mean, t.found.variance, t.found.proves)
        for t in found
        if t.action != ALL and t.known >= LEAST_UNITS
    }


def _owners(view: View) -> dict[str, str]:
    with connect() as con:
        view.attach(con)
        return dict(con.execute("select deal_id, owner_id from deals where owner_id is not null").fetchall())


@contextmanager
def _opened(home: Home, store: Store | None) -> Iterator[Store]:
    if store is not None:
        yield store
        return
    own = Store(home.database_url)
    try:
        yield own
    finally:
        own.close()
