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
from training.drift import FEWEST, calibration_drift, input_drift
from training.policy import POLICY_FILE, BadPolicy
from training.then_and_now import Inputs
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
    automatic: bool = False


def retrain_policy(path: Path = RETRAIN_FILE) -> Retrain:
    """The policy of `mlflow/retrain.yaml`; a key left out has its default.

    Raises
    ------
    BadPolicy
        If a key is unknown, no number above 0, or `automatic` neither yes nor no.
    """
    found = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}) if path.exists() else {}
    known = [f.name for f in fields(Retrain)]
    for key, value in found.items():
        if key not in known:
            raise BadPolicy(f"{path.name}: {key} is not a known key. Known: {', '.join(known)}.")
        if key == "automatic":
            if not isinstance(value, bool):
                raise BadPolicy(f"{path.name}: {key} is {value!r}. Give yes or no.")
        elif isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise BadPolicy(f"{path.name}: {key} is {value!r}. Give a number above 0.")
    return Retrain(**found)


def by_age(what: str, champion: registry.Champion, as_of: datetime, policy: Retrain) -> Trigger:
    """The schedule."""
    days = (pd.Timestamp(as_of) - until_of(champion)).total_seconds() / 86_400
    text = f"Its data end {max(0.0, days):.0f} days before the newest; {policy.every_days:.0f} are allowed."
    return Trigger(what, "schedule", days >= policy.every_days, text, days, policy.every_days)


def by_outcomes(what: str, champion: registry.Champion, view: View, as_of: datetime, policy: Retrain) -> Trigger:
    """How many deals, or customers, ended since it was trained."""
    learnt = float(champion.meta["metrics"].get("n_accounts" if what == "churn" else "n_closed", np.nan))
    since = until_of(champion)
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


def by_inputs(what: str, inputs: Inputs, policy: Retrain) -> tuple[Trigger, pd.DataFrame]:
    """Drift of inputs: the trigger, and `training.drift.input_drift`'s table."""
    before, now, limit = inputs.before, inputs.now, float(policy.drifted_inputs)
    few = min(len(before), len(now))
    if few < FEWEST:
        text = f"{few} {inputs.unit} to compare inputs with; {FEWEST} are needed."
        if not len(now):
            text = "Nothing newer than its training data to compare inputs with."
        return Trigger(what, "input drift", False, text, 0.0, limit, known=False), pd.DataFrame()
    table = input_drift(before, now, psi=policy.psi, error=policy.error)
    moved = table[table["drifted"]]
    named = ", ".join(f"{r.column} ({r.before} to {r.now}, PSI {r.psi:.2f})" for r in moved.head(5).itertuples())
    text = f"{len(moved)} of {len(table)} inputs drifted" + (f": {named}." if named else ".")
    return Trigger(what, "input drift", len(moved) >= limit, text, float(len(moved)), limit), table


def by_calibration(what: str, judged: pd.DataFrame, policy: Retrain, *, unit: str = "deal") -> Trigger:
    """Drift of calibration: the first issued forecast of each deal, or customer, that can be judged, in order of time.

    Parameters
    ----------
    judged : shape (n, p)
        `<unit>_id`, `as_of`, `forecast`, `came`; empty where nothing can be judged yet.
    """
    found: dict[str, Any] = {"drifted": False, "statistic": 0.0, "bound": np.inf, "rows": 0}
    if len(judged):
        judged = judged.sort_values("as_of", kind="stable").drop_duplicates(f"{unit}_id")
        p, came = judged["forecast"].to_numpy(np.float64), judged["came"].to_numpy(bool)
        found = calibration_drift(p, came, error=policy.error)
    if not np.isfinite(found["bound"]):
        text = f"{found['rows']} issued forecasts can be judged; {FEWEST} are needed to watch calibration."
        return Trigger(what, "calibration drift", False, text, 0.0, 0.0, known=False)
    of = "deals" if unit == "deal" else "customers"
    figures = f"CUSUM {found['statistic']:.1f}, bound {found['bound']:.1f}, {found['rows']} {of}"
    text = f"Issued forecasts hold ({figures})."
    if found["drifted"]:
        start = judged["as_of"].iloc[min(found["since"], len(judged) - 1)]
        text = f"Issued forecasts are {found['direction']} since {start:%Y-%m-%d} ({figures})."
    return Trigger(
        what, "calibration drift", bool(found["drifted"]), text, float(found["statistic"]), float(found["bound"])
    )


def until_of(champion: registry.Champion) -> pd.Timestamp:
    """The end of the data that a model was made from."""
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
