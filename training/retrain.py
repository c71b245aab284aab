"""When to train again: the policy, and what calls for it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from crm.company import Company
from crm.lake import View, connect
from features.definitions import definition_hash
from training import registry
from training.definitions import TAG, definitions_of
from training.drift import calibration_drift, input_drift
from training.policy import POLICY_FILE, BadPolicy
from training.trigger import Trigger

RETRAIN_FILE = POLICY_FILE.with_name("retrain.yaml")


@dataclass(frozen=True, slots=True)
class Retrain:
    """The policy; each key is explained in `mlflow/retrain.yaml`."""

    every_days: float = 90
    new_outcomes: float = 0.1
    least_outcomes: int = 30
    psi: float = 0.2
    error: float = 0.05
    drifted_inputs: int = 3


def retrain_policy(path: Path = RETRAIN_FILE) -> Retrain:
    """The policy of `mlflow/retrain.yaml`; a key left out has its default.

    Raises
    ------
    BadPolicy
        If a key is unknown or no number above 0.
    """
    found = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}) if path.exists() else {}
    known = [f.name for f in fields(Retrain)]
    for key, value in found.items():
        if key not in known:
            raise BadPolicy(f"{path.name}: {key} is not a known key. Known: {', '.join(known)}.")
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise BadPolicy(f"{path.name}: {key} is {value!r}. Give a number above 0.")
    return Retrain(**found)


def by_age(what: str, champion: registry.Champion, as_of: datetime, policy: Retrain) -> Trigger:
    """The schedule."""
    days = (pd.Timestamp(as_of) - _until(champion)).total_seconds() / 86_400
    text = f"Its data end {max(0.0, days):.0f} days before the newest; {policy.every_days:.0f} are allowed."
    return Trigger(what, "schedule", days >= policy.every_days, text, days, policy.every_days)


def by_outcomes(what: str, champion: registry.Champion, view: View, as_of: datetime, policy: Retrain) -> Trigger:
    """How many deals, or customers, ended since it was trained."""
    learnt = float(champion.meta["metrics"].get("n_accounts" if what == "churn" else "n_closed", np.nan))
    since = _until(champion)
    new = _ended(view, "churn" if what == "churn" else "win", since.to_pydatetime(), as_of)
    if not np.isfinite(learnt):
        learnt = float(_ended(view, "win", datetime.min.replace(tzinfo=since.tzinfo), since.to_pydatetime()))
    limit = max(float(policy.least_outcomes), policy.new_outcomes * learnt)
    of = "contracts" if what == "churn" else "deals"
    text = f"{new} {of} ended since it was trained; {limit:.0f} call for a new training."
    return Trigger(what, "new outcomes", new >= limit, text, float(new), limit)


def by_definitions(what: str, champion: registry.Champion, company: Company) -> Trigger:
    """Whether its features are defined as they were."""
    now = definition_hash(definitions_of(what, company))
    other = champion.meta.get(TAG, "") not in ("", now)
    text = "Its features are defined otherwise now." if other else "Its features are defined as they were."
    return Trigger(what, "feature definitions", other, text, float(other), 1.0)


def by_inputs(
    what: str, champion: registry.Champion, rows: pd.DataFrame, policy: Retrain
) -> tuple[Trigger, pd.DataFrame]:
    """Drift of inputs: a row a deal since it was trained against a row a deal of the year before.

    Parameters
    ----------
    rows : shape (n, p)
        Snapshots as `training.snapshots.deal_snapshots` makes them.
    """
    since = _until(champion)
    year = rows[(rows["as_of"] <= since) & (rows["as_of"] > since - pd.Timedelta(days=365))]
    before, now = (part.drop_duplicates("deal_id", keep="last") for part in (year, rows[rows["as_of"] > since]))
    # A deal that is open on both sides would stand against itself.
    table = input_drift(before[~before["deal_id"].isin(now["deal_id"])], now, psi=policy.psi, error=policy.error)
    moved = table[table["drifted"]]
    named = ", ".join(f"{r.column} ({r.before} to {r.now}, PSI {r.psi:.2f})" for r in moved.head(5).itertuples())
    text = f"{len(moved)} of {len(table)} inputs drifted" + (f": {named}." if named else ".")
    if not len(now):
        text = "Nothing newer than its training data to compare inputs with."
    limit = float(policy.drifted_inputs)
    return Trigger(what, "input drift", len(moved) >= limit, text, float(len(moved)), limit), table


def by_calibration(what: str, judged: pd.DataFrame, policy: Retrain) -> Trigger:
    """Drift of calibration: the first issued forecast of each deal whose period is over, in order of time.

    Parameters
    ----------
    judged : shape (n, p)
        `deal_id`, `as_of`, `forecast`, `won`; empty where nothing can be judged yet.
    """
    found: dict[str, Any] = {"drifted": False, "statistic": 0.0, "bound": np.inf, "rows": 0}
    if len(judged):
        judged = judged.sort_values("as_of", kind="stable").drop_duplicates("deal_id")
        found = calibration_drift(
            judged["forecast"].to_numpy(np.float64), judged["won"].to_numpy(bool), error=policy.error
        )
    if not np.isfinite(found["bound"]):
        text = f"{found['rows']} issued forecasts can be judged; 30 are needed to watch calibration."
        return Trigger(what, "calibration drift", False, text, 0.0, 0.0)
    figures = f"CUSUM {found['statistic']:.1f}, bound {found['bound']:.1f}, {found['rows']} deals"
    text = f"Issued forecasts hold ({figures})."
    if found["drifted"]:
        start = judged["as_of"].iloc[min(found["since"], len(judged) - 1)]
        text = f"Issued forecasts are {found['direction']} since {start:%Y-%m-%d} ({figures})."
    return Trigger(
        what, "calibration drift", bool(found["drifted"]), text, float(found["statistic"]), float(found["bound"])
    )


def _until(champion: registry.Champion) -> pd.Timestamp:
    return pd.Timestamp(champion.meta.get("until") or champion.model.until_).tz_convert("UTC")


def _ended(view: View, what: str, since: datetime, until: datetime) -> int:
    table, ended, moment = "deals", "outcome <> 'open'", "closed_at"
    if what == "churn":
        table, ended, moment = "subscriptions", "ended_on is not null", "ended_on::timestamptz"
    if table not in view.present:
        return 0
    with connect() as con:
        view.attach(con)
        sql = f"select count(*) from {table} where {ended} and {moment} > $since and {moment} <= $until"
        row = con.execute(sql, {"since": since, "until": until}).fetchone()
    assert row is not None
    return int(row[0])
