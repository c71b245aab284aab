"""Parameters of the win model for one company: those of the search on past dates, then Optuna's trials of trees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from models.learners import TreeShape
from models.win import FEW_DEALS, FEWEST_TREES
from models.win_params import WinParams
from models.win_search import Arena, Found, Judged, is_better, judged, line, search

if TYPE_CHECKING:
    import optuna

TRIALS = 12
_MOST_TREES = 240
_CHEAP_DEALS = 4_000  # closed deals below which twice as many past spans are looked at
_SPANS = 3


def tune(
    rows: pd.DataFrame,
    *,
    until: pd.Timestamp,
    horizon_weeks: int,
    start_month: int,
    trials: int = TRIALS,
    seed: int = 0,
    say: Callable[[str], None] = lambda _: None,
) -> Found | None:
    """Choose parameters on past dates, by the log loss of what models of then would have said.

    Parameters
    ----------
    rows : shape (n, p)
        Snapshots as `training.snapshots.deal_snapshots` makes them.
    until : Timestamp, UTC
        Up to when outcomes are known; nothing later has a say.
    trials : int
        Shapes of trees that Optuna tries; 0: presets only.

    Returns
    -------
    Found or None
        None where there are too few closed deals for trees, or no past date to try on.

    References
    ----------
    Bergstra et al. (2011), "Algorithms for hyper-parameter optimization", for the order of the trials.
    """
    closed = rows.loc[(rows["_closed_at"] <= until) & (rows["as_of"] <= until), "deal_id"].nunique()
    if closed < FEW_DEALS:
        return None
    arena = Arena(
        rows, until, horizon_weeks=horizon_weeks, start_month=start_month, seed=seed,
        cuts=_SPANS * (2 if closed < _CHEAP_DEALS else 1),
    )  # fmt: skip
    found = search(arena, WinParams(), say=say)
    if found is None or not trials or not found.mix.trees:
        return found
    return _with_trials(found, arena, trials, seed, say)


def _with_trials(found: Found, arena: Arena, trials: int, seed: int, say: Callable[[str], None]) -> Found:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=max(4, trials // 3)))
    tried: list[tuple[WinParams, Judged]] = []
    for number in range(trials):
        say(f"Trying shapes of trees, {number + 1} of {trials}")
        trial = study.ask()
        params = _drawn(trial, found.params)
        forecasts = judged(arena.look(params, beside=found.best.past), found.mix)
        study.tell(trial, float(forecasts.loss.mean()))
        tried.append((params, forecasts))
    params, best = min(tried, key=lambda each: float(each[1].loss.mean()))
    taken = is_better(best, found.best)
    lines = [
        line(f"trial {number}", forecasts, found.best, taken=taken and forecasts is best)
        for number, (_, forecasts) in enumerate(tried, start=1)
    ]
    table = pd.concat([found.table, pd.DataFrame(lines)], ignore_index=True)
    return Found(params, found.mix, table, best) if taken else replace(found, table=table)


def _drawn(trial: optuna.Trial, start: WinParams) -> WinParams:
    """Small trees at slow to middling rates; never so few that they are no model."""
    shape = TreeShape(
        leaves=trial.suggest_int("leaves", 7, 31),
        depth=trial.suggest_int("depth", 3, 6),
        min_rows=trial.suggest_int("min_rows", 20, 300, log=True),
        penalty=trial.suggest_float("penalty", 0.3, 30.0, log=True),
        rate=trial.suggest_float("rate", 0.02, 0.1, log=True),
        column_share=trial.suggest_float("column_share", 0.4, 1.0),
    )
    return replace(start, trees=trial.suggest_int("trees", FEWEST_TREES, _MOST_TREES, step=30), shape=shape)
