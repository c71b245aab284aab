"""What `bellwether monitor` finds: what calls for a new training, and which data broke; kept for page and metrics."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pandas as pd

from crm.company import Company
from crm.errors import NotReady
from crm.lake import View, newest_event
from serving import watched
from serving.accuracy import judged_deals
from serving.home import Home
from serving.ledger import Ledger
from serving.store import Store
from serving.watched import Watched
from training import registry, retrain
from training.gaps import gaps
from training.retrain import Retrain, retrain_policy
from training.snapshots import deal_snapshots
from training.then_and_now import customer_inputs, deal_inputs, judged_customers, rep_inputs
from training.trigger import Trigger

Progress = Callable[[str], None]


def monitor(home: Home, store: Store, *, as_of: datetime | None = None, say: Progress = lambda _: None) -> Watched:
    """Look at all triggers and at the data, and keep what was found in the home.

    Raises
    ------
    NoModel
        If no model is in use.
    """
    view, company, policy = home.lake.view(), home.company(), retrain_policy()
    at = as_of or newest_event(view)
    triggers: list[Trigger] = []
    for what in registry.KINDS:
        version = registry.champion_version(what, tracking=home.tracking)
        if version is None:
            continue
        say(f"Looking at the {what} model")
        champion = registry.load(what, version, tracking=home.tracking)
        triggers += [
            retrain.by_age(what, champion, at, policy),
            retrain.by_outcomes(what, champion, view, at, policy),
            retrain.by_definitions(what, champion, company),
        ]
        triggers += _of_inputs(home, store, champion, what, view, company, at, policy)
    if not triggers:
        raise registry.NoModel("win")
    say("Looking at the data")
    found = Watched(at.isoformat(), view.cut.number, triggers, [gap.text for gap in gaps(view, as_of=at)])
    watched.keep(home, found)
    return found


def _of_inputs(
    home: Home, store: Store, champion: registry.Champion, what: str, view: View, company: Company, at: datetime,
    policy: Retrain,
) -> list[Trigger]:  # fmt: skip
    since, until, ledger = retrain.until_of(champion), pd.Timestamp(at), Ledger(store)
    if what == "win":
        rows = deal_snapshots(view, company, until=at, folder=home.snapshots)
        judged = _judged_deals(ledger, view, company, until)
        return [
            retrain.by_inputs(what, deal_inputs(rows, since), policy)[0],
            retrain.by_calibration(what, judged, policy),
        ]
    if what == "attainment":  # periods are few and share their fortunes: `forecast accuracy` judges these forecasts
        return [retrain.by_inputs(what, rep_inputs(view, company, since, until), policy)[0]]
    judged = judged_customers(ledger.forecasts("issued", "account"), view, company, until=until)
    return [
        retrain.by_inputs(what, customer_inputs(view, company, since, until), policy)[0],
        retrain.by_calibration(what, judged, policy, unit="account"),
    ]


def _judged_deals(ledger: Ledger, view: View, company: Company, until: pd.Timestamp) -> pd.DataFrame:
    try:
        judged = judged_deals(ledger.forecasts("issued", "deal"), view, company, until=until)
    except NotReady:
        return pd.DataFrame()
    return judged.rename(columns={"won": "came"})
