"""One run: fit, past dates, log, register, and the gate's verdict."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from crm.company import Company
from crm.lake import View
from models.win_params import WinParams
from training import fit_attainment, fit_churn, fit_win, registry
from training.fit_result import TrainResult
from training.policy import policy_of
from training.registry import What
from training.tuning import TRIALS

Progress = Callable[[str], None]


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

    A win model is in use before its ranges are there: `training.ranges.fit_ranges` adds them.

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
        return fit_win.train(
            view, company, tracking=tracking, snapshots=snapshots, as_of=as_of, seed=seed, trials=trials, params=taken,
            policy=policy_of("win"), say=say,
        )  # fmt: skip
    if what == "churn":
        return fit_churn.train(
            view, company, tracking=tracking, as_of=as_of, policy=policy_of("churn"), seed=seed, say=say
        )
    return fit_attainment.train(view, company, tracking=tracking, as_of=as_of, seed=seed, say=say)


def _silent(_: str) -> None:
    return
