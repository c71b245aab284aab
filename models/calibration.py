"""Scores to probabilities that hold: maps of the whole win curve, kept only where they helped on several past dates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from models.learners import Floats, probability, safe_logit
from models.rolling import gain, log_loss, won_within
from models.win_curve import Curves, bin_rows, curves_of, fate

_MIN_WINS = 50


class Calibrator(Protocol):
    """A map of every bin's P(won in it | open at its start)."""

    def __call__(self, won: Floats) -> Floats:
        """Mapped probabilities, same shape."""
        ...


class Sigmoid:
    """a + b logit on every bin alike.

    References
    ----------
    Platt (1999), "Probabilistic outputs for support vector machines".
    """

    def fit(self, won: Floats, y: npt.NDArray[np.bool_]) -> Self:
        """Learn from bins' probabilities and what happened, each shape (m,)."""
        model = LogisticRegression(C=np.inf, solver="newton-cholesky").fit(safe_logit(won)[:, None], y)
        self.a_, self.b_ = float(model.intercept_[0]), max(0.0, float(model.coef_[0, 0]))
        return self

    def __call__(self, won: Floats) -> Floats:
        """Mapped probabilities, same shape."""
        return np.asarray(np.where(won > 0, probability(self.a_ + self.b_ * safe_logit(won)), 0.0))


class Isotonic:
    """A rising step map of every bin alike.

    References
    ----------
    Zadrozny and Elkan (2002), "Transforming classifier scores into accurate multiclass probability estimates".
    """

    def fit(self, won: Floats, y: npt.NDArray[np.bool_]) -> Self:
        """Learn from bins' probabilities and what happened, each shape (m,)."""
        model = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(won, y)
        self.from_, self.to_ = model.X_thresholds_, model.y_thresholds_
        return self

    def __call__(self, won: Floats) -> Floats:
        """Mapped probabilities, same shape."""
        return np.asarray(np.interp(won, self.from_, self.to_), dtype=np.float64)


CANDIDATES: dict[str, type[Sigmoid] | type[Isotonic]] = {"sigmoid": Sigmoid, "isotonic": Isotonic}


@dataclass(frozen=True, slots=True)
class PastForecast:
    """Curves issued at a past date for the deals open then; `snapshots` carries what came of them."""

    cut: pd.Timestamp
    snapshots: pd.DataFrame
    curves: Curves


def calibrated(curves: Curves, calibrator: Calibrator | None) -> Curves:
    """Curves with every bin's probability of a win mapped; losses keep their own odds."""
    if calibrator is None:
        return curves
    won, lost = curves.hazards
    return curves_of(curves.edges, calibrator(won), lost)


def fit_calibrator(kind: str, past: Sequence[PastForecast], until: pd.Timestamp) -> Calibrator | None:
    """A calibrator from past forecasts and what was known of them at `until`; None where too few deals were won."""
    if not past:
        return None
    scores, outcomes = [], []
    for forecast in past:
        pairs = bin_rows(fate(forecast.snapshots, until), forecast.curves.edges)
        scores.append(forecast.curves.hazards[0][pairs.row, pairs.bin])
        outcomes.append(pairs.won)
    won, y = np.concatenate(scores), np.concatenate(outcomes)
    if y.sum() < _MIN_WINS or y.all():
        return None
    return CANDIDATES[kind]().fit(won, y)


def keep_if_better(past: Sequence[PastForecast], until: pd.Timestamp, days: float) -> tuple[str, Calibrator | None]:
    """The calibrator that lowered the log loss on later dates by more than its standard error, else none.

    For each date but the oldest, a candidate is fitted on the older dates as their outcomes were known then.

    Parameters
    ----------
    past : sequence of PastForecast
        Forecasts of several past dates, each by a model that had not seen what came.
    until : Timestamp
        Up to when outcomes are known now.
    days : float
        Horizon of the log loss, in days.

    Returns
    -------
    tuple
        Name ('none', 'sigmoid', 'isotonic') and the calibrator fitted on all dates.
    """
    ordered = sorted(past, key=lambda forecast: forecast.cut)
    best, name = 0.0, "none"
    for kind in CANDIDATES:
        mean, se = _later_gain(kind, ordered, until, days)
        if mean > se and mean > best:
            best, name = mean, kind
    return (name, fit_calibrator(name, ordered, until)) if name != "none" else ("none", None)


def _later_gain(kind: str, ordered: list[PastForecast], until: pd.Timestamp, days: float) -> tuple[float, float]:
    losses, rivals, deals = [], [], []
    for index, forecast in enumerate(ordered[1:], start=1):
        calibrator = fit_calibrator(kind, ordered[:index], forecast.cut)
        if calibrator is None:
            continue
        y = won_within(forecast.snapshots, until, days)
        losses.append(log_loss(y, calibrated(forecast.curves, calibrator).by(days)[0]))
        rivals.append(log_loss(y, forecast.curves.by(days)[0]))
        deals.append(forecast.snapshots["deal_id"].to_numpy(object))
    if len(losses) < 2:  # a single later slice decides wrongly
        return 0.0, np.inf
    found = gain(np.concatenate(losses), np.concatenate(rivals), np.concatenate(deals))
    return found.mean, found.se


def calibration_error(p: Floats, y: npt.NDArray[np.bool_], *, bins: int = 10) -> float:
    """Expected calibration error over bins of equal numbers of forecasts."""
    if not len(p):
        return float("nan")
    groups = np.array_split(np.argsort(p, kind="stable"), min(bins, len(p)))
    return float(sum(abs(p[g].sum() - y[g].sum()) for g in groups) / len(p))
