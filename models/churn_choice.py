"""Which mix forecasts who leaves: decided on past dates, each by a model whose outcomes were all known by then."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.churn_core import ChurnCore, ChurnMix, mixed
from models.learners import Floats, probability
from models.rolling import Gain, gain, log_loss

LEAST_LEFT = 5
_CUTS = 4
_EVERY = 3  # dates from one cut to the next: outcomes of nearer ones are much the same
_TREES = 0.75
_HALF_TRUST = 5.0  # customers of the rarer kind at which the fields' model and the rate weigh the same
_TREE_SHARES = (0.0, 0.5, 0.75, 1.0)
_RATE = ChurnMix(False, _TREES, 0.0)


@dataclass(frozen=True, slots=True)
class Choice:
    """The mix to forecast with, its form (a strength of NaN: by how many left), and how it did in the past.

    `gain` is that over the base rate on past dates, None where the history is too short to try; `past` has a row a
    customer and past date: `account_id`, `as_of`, `left`, `forecast`, `base_rate`.
    """

    mix: ChurnMix
    form: ChurnMix
    gain: Gain | None
    past: pd.DataFrame


@dataclass(frozen=True, slots=True)
class _Past:
    """Forecasts of a past date for those live then, and what came."""

    at: pd.Timestamp
    account: npt.NDArray[np.object_]
    left: npt.NDArray[np.bool_]
    fields: tuple[Floats, Floats]
    rhythm: Floats
    base: Floats
    rarer: int

    def said(self, mix: ChurnMix | None) -> Floats:
        """Log loss of each row, shape (n,), by a mix; None: by the base rate."""
        return log_loss(self.left, probability(self.base) if mix is None else self.forecast(mix))

    def forecast(self, mix: ChurnMix) -> Floats:
        """Probability of each row, shape (n,), by a mix whose shrink was that of what was known then."""
        rate = self.rhythm if mix.by_rhythm else self.base
        return probability(mixed(self.fields, rate, _as_known(mix, self.rarer)))

    def table(self, mix: ChurnMix) -> pd.DataFrame:
        """The same beside what came, a row a customer."""
        told = {"account_id": self.account, "as_of": self.at, "left": self.left, "forecast": self.forecast(mix)}
        return pd.DataFrame(told | {"base_rate": probability(self.base)})


def choose(
    X: pd.DataFrame, left: npt.NDArray[np.bool_], horizon: pd.Timedelta, random_state: int, *,
    given: ChurnMix | None = None,
) -> Choice:  # fmt: skip
    """The mix to forecast with, and how it did on past dates.

    Of all mixes whose gain over the base rate is certain (90 % interval over whole customers above 0) the one of lowest
    log loss is the best. The usual one stands unless that is better by more than its standard error. Where no mix is
    certain, the strength is 0 and the rate everybody's, and so it is where one that was decided before is no longer
    certain. Untried, the usual mix holds.

    Parameters
    ----------
    X : shape (n, p)
        Customers on past dates with `account_id` and `as_of`.
    left : shape (n,)
        Whether they were lost within the horizon.
    given : ChurnMix, optional
        One that was decided before: it is tried all the same, and stands as the form.
    """
    past = _past(X, left, horizon, random_state)
    form, found = _form(past, given)
    mix = _RATE if found is not None and found.holds_zero else _as_known(form, _rarer(X, left))
    tables = [p.table(form) for p in past]
    return Choice(mix, form, found, pd.concat(tables, ignore_index=True) if tables else pd.DataFrame())


def _form(past: list[_Past], given: ChurnMix | None) -> tuple[ChurnMix, Gain | None]:
    usual = given or ChurnMix(True, _TREES, np.nan)
    if not past:
        return usual, None
    account = np.concatenate([p.account for p in past])
    base = _losses(past, None)
    if given is not None:
        return given, gain(_losses(past, given), base, account)
    losses = {mix: _losses(past, mix) for mix in _mixes(usual)}
    gains = {mix: gain(loss, base, account) for mix, loss in losses.items()}
    best = max(gains, key=lambda mix: (not gains[mix].holds_zero, gains[mix].mean))
    if gains[best].holds_zero:
        return _RATE, gains[best]
    over = gain(losses[best], losses[usual], account)
    chosen = usual if not gains[usual].holds_zero and over.mean <= over.se else best
    return chosen, gains[chosen]


def _mixes(usual: ChurnMix) -> list[ChurnMix]:
    """The usual first; a strength of NaN stands for the shrink by how many left."""
    shrunk = [ChurnMix(by, trees, np.nan) for by in (True, False) for trees in _TREE_SHARES]
    full = [ChurnMix(False, trees, 1.0) for trees in _TREE_SHARES]
    rest = [mix for mix in shrunk if (mix.by_rhythm, mix.trees) != (usual.by_rhythm, usual.trees)]
    return [usual, *rest, *full, ChurnMix(True, _TREES, 0.0)]


def _as_known(mix: ChurnMix, rarer: int) -> ChurnMix:
    """A mix whose strength is a number; `rarer` customers left, or stayed, whichever are fewer."""
    if not np.isnan(mix.strength):
        return mix
    return ChurnMix(mix.by_rhythm, mix.trees, rarer / (rarer + _HALF_TRUST))


def _past(X: pd.DataFrame, left: npt.NDArray[np.bool_], horizon: pd.Timedelta, random_state: int) -> list[_Past]:
    """Newest first; where the history is short the oldest dates have too few who left, and are passed over."""
    past = []
    for cut in np.sort(X["as_of"].unique())[::-1][::_EVERY][:_CUTS]:
        train = (X["as_of"] + horizon <= pd.Timestamp(cut)).to_numpy()
        if _rarer(X[train], left[train]) < LEAST_LEFT:
            continue
        core = ChurnCore(random_state).fit(X[train], left[train])
        live = (X["as_of"] == pd.Timestamp(cut)).to_numpy()
        now, rate = X[live], core.rate_
        past.append(
            _Past(
                pd.Timestamp(cut),
                now["account_id"].to_numpy(object),
                left[live],
                core.parts(now),
                rate.logits(now),
                rate.logits(now, by_rhythm=False),
                _rarer(X[train], left[train]),
            )
        )
    return past


def _losses(past: list[_Past], mix: ChurnMix | None) -> Floats:
    return np.concatenate([p.said(mix) for p in past])


def _rarer(X: pd.DataFrame, left: npt.NDArray[np.bool_]) -> int:
    """Customers seen to leave, or seen to stay, whichever are fewer; dates of one customer repeat each other."""
    return min(X.loc[which, "account_id"].nunique() for which in (left, ~left))
