"""Will this customer leave: trees, a logistic and the rate by rhythm in the mix that past dates favour."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from crm.company import Company
from crm.errors import NotReady
from crm.lake import View
from features.build import build
from models.churn_choice import LEAST_LEFT, choose
from models.churn_core import ChurnCore, ChurnMix
from models.churn_rows import customers
from models.explain import explanation, in_probability, shared_remainder, shown
from models.learners import Floats, even_rows, probability, safe_logit
from models.quality import Quality, quality_of
from models.rolling import Gain

if TYPE_CHECKING:
    import shap

_APART = pd.Timedelta(days=28)
_DATES = 26
_ROWS = 20_000
_WARM_UP = pd.Timedelta(days=90)
_SMALL = 100  # customers of the rarer kind below which the data are called small


class TooFewLeft(NotReady):
    """Hardly anybody left, or hardly anybody stayed, within the horizon."""

    def __init__(self, left: int, stayed: int, days: int) -> None:
        super().__init__(
            f"Of the customers on record {left} left within {days} days and {stayed} did not; {LEAST_LEFT} of each "
            "are needed. Import more history, or set churn.horizon_days or churn.silent_days in company.yaml."
        )


@dataclass(frozen=True, slots=True)
class ChurnNote:
    """Figures and a sentence; `skill` is the share of the base rate's log loss that is saved on later dates."""

    n_accounts: int
    n_left: int
    base_rate: float
    skill: float | None
    skill_low: float | None
    skill_high: float | None
    signal: bool
    quality: Quality
    small_data: bool
    strength: float
    trees: bool
    sentence_en: str
    sentence_zh: str


class ChurnModel(BaseEstimator):
    """Probability that a live customer is lost within the company's horizon.

    Under contract: no running contract at the horizon's end. Without: silent by then for `churn.silent_days`, or for
    three times the customer's own usual gap between orders (drawn towards all customers' gap). Learnt from snapshots
    every four weeks whose horizon has passed. What counts how much is decided on several past dates, see
    `models.churn_choice.choose`: where no mix is surely better than the base rate, every forecast is the base rate.

    Parameters
    ----------
    random_state : int
        Seed.
    mix : ChurnMix, optional
        What counts how much, where that was decided before (as `form_`); unset: decided on past dates.
    """

    def __init__(self, random_state: int = 0, mix: ChurnMix | None = None) -> None:
        self.random_state = random_state
        self.mix = mix

    def fit(self, view: View, company: Company, *, until: pd.Timestamp, rows: pd.DataFrame | None = None) -> Self:
        """Learn from what was known at `until`.

        Parameters
        ----------
        rows : shape (n, p), optional
            What `rows` gave for that moment; unset: made here.

        Raises
        ------
        NoCustomers
            If there are neither orders nor subscriptions.
        TooFewLeft
            If fewer than five customers left, or stayed, in the time on record.
        """
        until = pd.Timestamp(until)
        self.horizon_days_ = company.churn.horizon_days
        rows = self.rows(view, company, until=until) if rows is None else rows
        left = rows["_left"].to_numpy(bool)
        self.n_accounts_ = int(rows["account_id"].nunique())
        self.n_left_ = int(rows.loc[left, "account_id"].nunique())
        self.n_stayed_ = int(rows.loc[~left, "account_id"].nunique())
        if min(self.n_left_, self.n_stayed_) < LEAST_LEFT:
            raise TooFewLeft(self.n_left_, self.n_stayed_, self.horizon_days_)
        X = rows.drop(columns="_left")
        self.base_ = float(left.mean())
        horizon = pd.Timedelta(days=self.horizon_days_)
        found = choose(X, left, horizon, self.random_state, given=self.mix)
        self.mix_, self.form_, self.trial_, self.past_ = found.mix, found.form, found.gain, found.past
        self.core_ = ChurnCore(self.random_state).fit(X, left)
        sample = X[X["as_of"] == X["as_of"].max()]
        self.reference_parts_: Floats = self.core_.contributions(sample, self.mix_).mean(axis=0)
        self.reference_logit_ = float(safe_logit(self.predict_proba_left(sample)).mean())
        return self

    def rows(self, view: View, company: Company, *, until: pd.Timestamp) -> pd.DataFrame:
        """Customers on past dates, every four weeks, with their features and `_left`: what `fit` learns from.

        Raises
        ------
        NoCustomers, TooFewLeft
            If there are none.
        """
        days = company.churn.horizon_days
        known, last = customers(view, company, pd.Timestamp(until)), pd.Timestamp(until) - pd.Timedelta(days=days)
        dates = [last - _APART * k for k in range(_DATES)]
        dates = [at for at in dates if at >= known.first + _WARM_UP]
        parts = []
        for at in dates:
            live = known.live(at)
            parts.append(_spine(live, at).assign(_left=known.left(live, at, days)))
        if not any(map(len, parts)):
            raise TooFewLeft(0, 0, days)
        spine = pd.concat([p for p in parts if len(p)], ignore_index=True)
        spine = spine.iloc[even_rows(len(spine), _ROWS, self.random_state)].reset_index(drop=True)
        rows = build(view, spine[["account_id", "as_of"]], "account", company=company)
        return rows.assign(_left=spine["_left"].to_numpy(bool))

    def predict_proba_left(self, X: pd.DataFrame) -> Floats:
        """Probability of being lost within the horizon, shape (n,)."""
        if not len(X) or not self.signal_:
            return np.full(len(X), self.base_)
        return probability(self.core_.logits(X, self.mix_))

    @property
    def signal_(self) -> bool:
        """Whether customers get different forecasts."""
        return self.mix_.strength > 0 or self.mix_.by_rhythm

    def accounts(self, view: View, company: Company, *, as_of: pd.Timestamp) -> pd.DataFrame:
        """Live customers with their features at a moment: what `predict_proba_left` and `explain` take."""
        live = customers(view, company, pd.Timestamp(as_of)).live(pd.Timestamp(as_of))
        return build(view, _spine(live, pd.Timestamp(as_of)), "account", company=company)

    def score(self, view: View, company: Company, *, as_of: pd.Timestamp) -> pd.DataFrame:
        """The columns of `accounts.parquet` for live customers, without model_version.

        Raises
        ------
        NoCustomers
            If there are neither orders nor subscriptions by then.
        """
        at = pd.Timestamp(as_of)
        known = customers(view, company, at)
        live = known.live(at)
        X = build(view, _spine(live, at), "account", company=company)
        p = self.predict_proba_left(X)
        return pd.DataFrame(
            {
                "account_id": X["account_id"],
                "as_of": X["as_of"],
                "churn_probability": p,
                "horizon_days": self.horizon_days_,
                "value_at_risk": p * known.yearly_value(live, at),
            }
        )

    def explain(self, X: pd.DataFrame) -> shap.Explanation:
        """Contributions in probability: `base_values` + `values.sum(axis=1)` is the churn probability to 1e-6.

        They start from the typical live customer.
        """
        names = self.core_.encoder_.names_
        parts = self.core_.contributions(X, self.mix_) - self.reference_parts_
        target = safe_logit(self.predict_proba_left(X)) - self.reference_logit_
        values, start = in_probability(shared_remainder(parts, target), self.reference_logit_)
        return explanation(values, np.full(len(X), start), shown(X, names), names)

    @property
    def note(self) -> dict[str, Any]:
        """How many customers left, the base rate, the skill against it with its 90 % interval, a sentence on it."""
        return asdict(_note(self))


def _spine(live: pd.DataFrame, at: pd.Timestamp) -> pd.DataFrame:
    moment = pd.Series(at, index=live.index).astype("datetime64[us, UTC]")
    return pd.DataFrame({"account_id": live["account_id"], "as_of": moment})


def _note(model: ChurnModel) -> ChurnNote:
    trial = model.trial_
    small = min(model.n_left_, model.n_stayed_) < _SMALL
    english, chinese = _sentences(model, trial)
    return ChurnNote(
        n_accounts=model.n_accounts_,
        n_left=model.n_left_,
        base_rate=model.base_,
        skill=trial.skill if trial else None,
        skill_low=trial.low if trial else None,
        skill_high=trial.high if trial else None,
        signal=model.signal_,
        quality=quality_of(tried=trial is not None, signal=model.signal_, little=small),
        small_data=small,
        strength=model.mix_.strength,
        trees=model.mix_.trees * model.mix_.strength > 0,
        sentence_en=english,
        sentence_zh=chinese,
    )


def _sentences(model: ChurnModel, trial: Gain | None) -> tuple[str, str]:
    rate = f"{100 * model.base_:.1f}%"
    if trial is None:
        return (
            f"The history is too short to try forecasts on later dates: the usual mix is taken; {rate} leave.",
            f"历史数据太短，无法在更晚的日期上检验：采用常用组合；流失率为{rate}。",
        )
    share, low, high = (f"{100 * v:.1f}%" for v in (trial.skill, trial.low, trial.high))
    if not model.signal_:
        en = f"No better than the base rate ({rate}): on later dates the log loss was lower by {share} "
        return (
            en + f"(90% interval {low} to {high}), so every customer gets the base rate.",
            f"不优于基准流失率（{rate}）：在更晚的日期上对数损失降低{share}（90%区间{low}至{high}），故所有客户均采用基准流失率。",
        )
    few = model.mix_.strength < 0.8
    en = f"Better than the base rate: on later dates the log loss was lower by {share} (90% interval {low} to {high})."
    zh = f"优于基准流失率：在更晚的日期上对数损失降低{share}（90%区间{low}至{high}）。"
    if few:
        en += f" As only {model.n_left_} customers left, forecasts lean on a rate."
        zh += f"由于仅有{model.n_left_}个客户流失，预测向流失率收缩。"
    return en, zh
