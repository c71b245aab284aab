"""One run: snapshots, fit, past dates, log, register, and the gate's verdict."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
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
from models.win_params import WinParams
from models.win_search import Found
from training import gate, plots, registry
from training.definitions import TABLE, TAG, OtherDefinitions, as_table, check_definitions, definitions_of
from training.leaks import leaks
from training.metrics import win_metrics
from training.registry import What
from training.snapshots import deal_snapshots
from training.tuning import TRIALS, tune

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What a training run gave: where it is logged, whether promoted and why, figures, a sentence, warnings."""

    what: str
    run_id: str
    version: str
    promoted: bool
    verdict: str
    metrics: dict[str, float] = field(default_factory=dict)
    note: str = ""
    warnings: tuple[str, ...] = ()


def train(
    what: What,
    *,
    view: View,
    company: Company,
    tracking: str,
    snapshots: Path | None,
    as_of: datetime,
    seed: int = 0,
    trials: int = TRIALS,
    like: str | None = None,
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
    trials : int
        Win model: shapes of trees that are tried on past dates; 0: presets only.
    like : str, optional
        Win model: the version or run whose parameters are taken, or 'champion'; nothing is searched then.
    progress : callable, optional
        Told in words what is being done.

    Raises
    ------
    NotReady
        If the data does not suffice, with what is missing; nothing is registered then.
    UnknownVersion
        If there is no such version or run.
    BadParams
        If that run trained no win model.
    """
    say = progress or _silent
    registry.name_of(what)
    if what == "win":
        taken = WinParams.from_dict(registry.params_of("win", like, tracking=tracking)) if like else None
        return _train_win(view, company, tracking, snapshots, as_of, seed, trials, taken, say)
    return _train_other(what, view, company, tracking, as_of, seed, say)


def win_model(company: Company, *, seed: int = 0, **settings: Any) -> WinModel:
    """The win model with the company's own horizon and fiscal year."""
    return WinModel(seed, company.win.horizon_weeks, company.fiscal.start_month, **settings)


def _train_win(
    view: View, company: Company, tracking: str, folder: Path | None, as_of: datetime, seed: int, trials: int,
    params: WinParams | None, say: Progress,
) -> TrainResult:  # fmt: skip
    say("Snapshots of past weeks")
    rows = deal_snapshots(view, company, until=as_of, folder=folder, progress=lambda text, _done: say(text))
    until, searched = pd.Timestamp(as_of), None
    model = win_model(company, seed=seed, params=params)
    if params is None:
        searched = tune(
            rows, until=until, horizon_weeks=model.horizon_weeks, start_month=model.start_month, trials=trials,
            seed=seed, say=say,
        )  # fmt: skip
        model.set_params(params=searched.params if searched else None)
    suspicious = leaks(rows)
    say(f"Fitting the win model on {len(rows):,} snapshots")
    model.fit(rows, until=until)
    table = model.choice_.table
    metrics = win_metrics(table) | _numbers(model.note) | _identity_metrics(searched)
    note = str(model.note["sentence_en"]) + (f" {searched.identity.sentence}" if searched else "")
    say("Logging and registering")
    logged = registry.log_model(
        "win",
        model,
        tracking=tracking,
        params=_plain(model),
        metrics=metrics,
        tags=_tags("win", view, company, as_of)
        | {"note": note, "leaks": ", ".join(sorted({leak.column for leak in suspicious}))},
        tables=_definitions("win", company)
        | ({"backtest": table} if len(table) else {})
        | ({"search": searched.table} if searched else {})
        | ({"leaks": pd.DataFrame(suspicious)} if suspicious else {}),
        figures={"reliability": plots.reliability_svg(table)} if len(table) else {},
    )
    verdict = _win_verdict(model, rows, company, tracking)
    found = _finish("win", logged, verdict, metrics, tracking, note)
    return replace(found, warnings=tuple(f"{leak.text} {leak.mend}" for leak in suspicious))


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
    if _recipe(champion) == _recipe(challenger):
        return None
    twin: WinModel = clone(champion).set_params(replicates=0, cuts=min(champion.cuts, 1))
    return twin.fit(known_at(rows, cut), until=cut)


def _recipe(model: WinModel) -> dict[str, Any]:
    """What a model was made with, whether it was told so or chose it."""
    return model.get_params() | {"params": model.params_}


def _plain(model: WinModel) -> dict[str, Any]:
    own = {name: value for name, value in model.get_params().items() if name != "params"}
    return own | model.params_.to_dict()


def _tags(what: What, view: View, company: Company, as_of: datetime) -> dict[str, str]:
    cut = str(view.cut.number) if isinstance(view, LakeView) else ""
    return {"until": as_of.isoformat(), "data_cut": cut, TAG: definition_hash(definitions_of(what, company))}


def _definitions(what: What, company: Company) -> dict[str, pd.DataFrame]:
    return {TABLE: as_table(definitions_of(what, company))}


def _identity_metrics(searched: Found | None) -> dict[str, float]:
    """What it saves to look at who works on a deal, tried on past dates."""
    if searched is None:
        return {}
    found = searched.identity
    return {"identity_saved": found.saved, "identity_saved_low": found.low, "identity_saved_high": found.high}


def _numbers(note: dict[str, Any]) -> dict[str, float]:
    return {
        key: float(value)
        for key, value in note.items()
        if isinstance(value, int | float) and math.isfinite(float(value))
    }


def _silent(_: str) -> None:
    return
