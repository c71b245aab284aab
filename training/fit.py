"""One run: snapshots, fit, past dates, log, register, and the gate's verdict."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.base import clone

from crm.company import Company
from crm.lake import LakeView, View
from features.definitions import definition_hash
from models.rolling import known_at
from models.win import WinModel
from training import gate, plots, registry
from training.definitions import TABLE, TAG, OtherDefinitions, as_table, check_definitions, definitions_of
from training.metrics import win_metrics
from training.registry import What
from training.snapshots import deal_snapshots

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What a training run gave: where it is logged, whether promoted and why, its figures, and a sentence on them."""

    what: str
    run_id: str
    version: str
    promoted: bool
    verdict: str
    metrics: dict[str, float] = field(default_factory=dict)
    note: str = ""


def train(
    what: What,
    *,
    view: View,
    company: Company,
    tracking: str,
    snapshots: Path | None,
    as_of: datetime,
    seed: int = 0,
    progress: Progress | None = None,
) -> TrainResult:
    """Fit a model on what was known at `as_of`, log and register it, and promote it if the gate lets it pass.

    Parameters
    ----------
    what : {'win', 'attainment', 'churn'}
        Which model; attainment needs a win model first.
    tracking : str
        MLflow's store, such as sqlite:///var/mlflow.db.
    snapshots : Path, optional
        Folder where snapshots are kept.
    progress : callable, optional
        Told in words what is being done.

    Raises
    ------
    NotReady
        If the data does not suffice, with what is missing; nothing is registered then.
    """
    say = progress or _silent
    registry.name_of(what)
    if what == "win":
        return _train_win(view, company, tracking, snapshots, as_of, seed, say)
    return _train_other(what, view, company, tracking, as_of, seed, say)


def win_model(company: Company, *, seed: int = 0, **settings: Any) -> WinModel:
    """The win model with the company's own horizon and fiscal year."""
    return WinModel(seed, company.win.horizon_weeks, company.fiscal.start_month, **settings)


def _train_win(
    view: View, company: Company, tracking: str, folder: Path | None, as_of: datetime, seed: int, say: Progress
) -> TrainResult:
    say("Snapshots of past weeks")
    rows = deal_snapshots(view, company, until=as_of, folder=folder, progress=lambda text, _done: say(text))
    say(f"Fitting the win model on {len(rows):,} snapshots")
    model = win_model(company, seed=seed).fit(rows, until=pd.Timestamp(as_of))
    table = model.choice_.table
    metrics = win_metrics(table) | _numbers(model.note)
    say("Logging and registering")
    logged = registry.log_model(
        "win",
        model,
        tracking=tracking,
        params=model.get_params(),
        metrics=metrics,
        tags=_tags("win", view, company, as_of) | {"note": str(model.note["sentence_en"])},
        tables=_definitions("win", company) | ({"backtest": table} if len(table) else {}),
        figures={"reliability": plots.reliability_svg(table)} if len(table) else {},
    )
    verdict = _win_verdict(model, rows, company, tracking)
    return _finish("win", logged, verdict, metrics, tracking, str(model.note["sentence_en"]))


def _train_other(
    what: What, view: View, company: Company, tracking: str, as_of: datetime, seed: int, say: Progress
) -> TrainResult:
    say(f"Fitting the {what} model")
    model = _fit_attainment(view, company, tracking, as_of, seed) if what == "attainment" else None
    if model is None:
        from models.churn import ChurnModel

        model = ChurnModel(random_state=seed).fit(view, company, until=pd.Timestamp(as_of))
    note = getattr(model, "note", None) or {}
    metrics = _numbers(note)
    say("Logging and registering")
    logged = registry.log_model(
        what,
        model,
        tracking=tracking,
        params=model.get_params() if hasattr(model, "get_params") else {"random_state": seed},
        metrics=metrics,
        tags=_tags(what, view, company, as_of) | {"note": str(note.get("sentence_en", ""))},
        tables=_definitions(what, company),
    )
    champion = registry.champion_version(what, tracking=tracking)
    verdict = gate.first_model() if champion is None else gate.same_recipe()
    return _finish(what, logged, verdict, metrics, tracking, str(note.get("sentence_en", "")))


def _fit_attainment(view: View, company: Company, tracking: str, as_of: datetime, seed: int) -> Any:
    from models.attainment import AttainmentModel

    win = registry.champion("win", tracking=tracking)
    check_definitions("win", win, company, tracking=tracking)
    return AttainmentModel(random_state=seed).fit(view, company, until=pd.Timestamp(as_of), win=win.model)


def _finish(
    what: What, logged: registry.Logged, verdict: gate.Verdict, metrics: dict[str, float], tracking: str, note: str
) -> TrainResult:
    if verdict.promote:
        registry.promote(what, logged.version, tracking=tracking)
    registry.set_verdict(what, logged.version, verdict.text, tracking=tracking)
    return TrainResult(what, logged.run_id, logged.version, verdict.promote, verdict.text, metrics, note)


def _win_verdict(challenger: WinModel, rows: pd.DataFrame, company: Company, tracking: str) -> gate.Verdict:
    version = registry.champion_version("win", tracking=tracking)
    if version is None:
        return gate.first_model()
    found = registry.load("win", version, tracking=tracking)
    try:
        check_definitions("win", found, company, tracking=tracking)
    except OtherDefinitions:
        return gate.other_definitions()
    champion: WinModel = found.model
    forecasts = challenger.choice_.forecasts
    if not forecasts:
        return gate.judge(pd.DataFrame(), gate.policy_of("win"))
    newest = max(forecasts, key=lambda f: f.cut)
    rival = _as_of(champion, challenger, rows, newest.cut)
    if rival is None:
        return gate.same_recipe()
    days = challenger.choice_.horizon_days
    table = challenger.choice_.table
    slice_ = table[table["as_of"] >= newest.cut].assign(challenger=newest.curves.by(days)[0])
    said = rival.curves(newest.snapshots).by(days)[0]
    return gate.judge(slice_.assign(champion=said), gate.policy_of("win"))


def _as_of(champion: WinModel, challenger: WinModel, rows: pd.DataFrame, cut: pd.Timestamp) -> WinModel | None:
    """The champion as it could have forecast at `cut`; None if it would be the challenger's own twin."""
    if champion.until_ <= cut:
        return champion
    if champion.get_params() == challenger.get_params():
        return None
    twin: WinModel = clone(champion).set_params(replicates=0, cuts=min(champion.cuts, 1))
    return twin.fit(known_at(rows, cut), until=cut)


def _tags(what: What, view: View, company: Company, as_of: datetime) -> dict[str, str]:
    cut = str(view.cut.number) if isinstance(view, LakeView) else ""
    return {"until": as_of.isoformat(), "data_cut": cut, TAG: definition_hash(definitions_of(what, company))}


def _definitions(what: What, company: Company) -> dict[str, pd.DataFrame]:
    return {TABLE: as_table(definitions_of(what, company))}


def _numbers(note: dict[str, Any]) -> dict[str, float]:
    return {
        key: float(value)
        for key, value in note.items()
        if isinstance(value, int | float) and math.isfinite(float(value))
    }


def _silent(_: str) -> None:
    return
