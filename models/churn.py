"""Will this customer leave: monotone trees beside a ridge logistic, drawn to the base rate where they tell nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator

from crm.company import Company
from crm.errors import NotReady
from crm.lake import View
from features.build import build
from models.churn_rows import Customers, customers
from models.encoding import Encoder
from models.explain import explanation, in_probability, shared_remainder, shown
from models.learners import THREADS, Blend, Floats, Matrix, even_rows, one_thread, probability, safe_logit
from models.prior import trust
from models.rolling import Gain, gain, log_loss

if TYPE_CHECKING:
    import shap

_APART = pd.Timedelta(days=28)
_DATES = 26
_ROWS = 20_000
_WARM_UP = pd.Timedelta(days=90)
_RIDGE = 0.05
_TREES_FROM = 100  # customers of the rarer kind below which trees are left out
_LEAST_LEFT = 5
# What is known of signs beforehand: it keeps trees on small data from learning the opposite.
_SIGNS = {
    "days_since_order": 1, "silence_to_usual": 1, "spend_to_usual": -1, "orders_90d": -1, "spend_90d": -1,
    "open_tickets": 1, "oldest_ticket_days": 1, "ticket_satisfaction": -1, "survey_score": -1,
}  # fmt: skip


class TooFewLeft(NotReady):
    """Hardly anybody left, or hardly anybody stayed, within the horizon."""

    def __init__(self, left: int, stayed: int, days: int) -> None:
        super().__init__(
            f"Of the customers on record {left} left within {days} days and {stayed} did not; {_LEAST_LEFT} of each "
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
    small_data: bool
    strength: float
    trees: bool
    sentence_en: str
    sentence_zh: str


class ChurnModel(BaseEstimator):
    """Probability that a live customer is lost within the company's horizon.

    Under contract: no running contract at the horizon's end. Without: silent by then for `churn.silent_days`, or for
    three times the customer's own usual gap between orders (drawn towards all customers' gap). Learnt from snapshots
    every four weeks whose horizon has passed. How far the features are trusted is decided on later dates than the
    trial model saw: where the 90 % interval of the gain over the base rate holds 0, every forecast is the base rate.

    Parameters
    ----------
    random_state : int
        Seed.
    """

    def __init__(self, random_state: int = 0) -> None:
        self.random_state = random_state

    def fit(self, view: View, company: Company, *, until: pd.Timestamp) -> Self:
        """Learn from what was known at `until`.

        Raises
        ------
        NoCustomers
            If there are neither orders nor subscriptions.
        TooFewLeft
            If fewer than five customers left, or stayed, in the time on record.
        """
        until = pd.Timestamp(until)
        self.horizon_days_ = company.churn.horizon_days
        rows = self._rows(view, company, customers(view, company, until), until)
        left = rows["_left"].to_numpy(bool)
        self.n_accounts_ = int(rows["account_id"].nunique())
        self.n_left_ = int(rows.loc[left, "account_id"].nunique())
        self.n_stayed_ = int(rows.loc[~left, "account_id"].nunique())
        if min(self.n_left_, self.n_stayed_) < _LEAST_LEFT:
            raise TooFewLeft(self.n_left_, self.n_stayed_, self.horizon_days_)
        X = rows.drop(columns="_left")
        self.base_ = float(left.mean())
        self.with_trees_ = min(self.n_left_, self.n_stayed_) >= _TREES_FROM
        self.trial_, signal = self._try(X, left)
        # Small data: n counts customers, of which the rarer kind says how much is there to learn from.
        self.strength_ = trust(2 * min(self.n_left_, self.n_stayed_)) if signal else 0.0
        self.core_ = _Core(self.with_trees_, self.random_state).fit(X, left)
        sample = X[X["as_of"] == X["as_of"].max()]
        self.reference_parts_: Floats = self.core_.contributions(sample).mean(axis=0)
        self.reference_logit_ = float(safe_logit(self.predict_proba_left(sample)).mean())
        return self

    def predict_proba_left(self, X: pd.DataFrame) -> Floats:
        """Probability of being lost within the horizon, shape (n,)."""
        base = float(safe_logit(np.array([self.base_]))[0])
        if not self.strength_ or not len(X):
            return np.full(len(X), self.base_)
        return probability((1 - self.strength_) * base + self.strength_ * self.core_.logits(X))

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
        parts = self.strength_ * (self.core_.contributions(X) - self.reference_parts_)
        target = safe_logit(self.predict_proba_left(X)) - self.reference_logit_
        values, start = in_probability(shared_remainder(parts, target), self.reference_logit_)
        return explanation(values, np.full(len(X), start), shown(X, names), names)

    @property
    def note(self) -> dict[str, Any]:
        """How many customers left, the base rate, the skill against it with its 90 % interval, a sentence on it."""
        return asdict(_note(self))

    def _rows(self, view: View, company: Company, known: Customers, until: pd.Timestamp) -> pd.DataFrame:
        last = until - pd.Timedelta(days=self.horizon_days_)
        dates = [last - _APART * k for k in range(_DATES)]
        dates = [at for at in dates if at >= known.first + _WARM_UP]
        parts = []
        for at in dates:
            live = known.live(at)
            parts.append(_spine(live, at).assign(_left=known.left(live, at, self.horizon_days_)))
        if not any(map(len, parts)):
            raise TooFewLeft(0, 0, self.horizon_days_)
        spine = pd.concat([p for p in parts if len(p)], ignore_index=True)
        spine = spine.iloc[even_rows(len(spine), _ROWS, self.random_state)].reset_index(drop=True)
        rows = build(view, spine[["account_id", "as_of"]], "account", company=company)
        return rows.assign(_left=spine["_left"].to_numpy(bool))

    def _try(self, X: pd.DataFrame, left: npt.NDArray[np.bool_]) -> tuple[Gain | None, bool]:
        """Forecast the newer dates by a model whose own outcomes were all known before the first of them."""
        dates = np.sort(X["as_of"].unique())
        if len(dates) < 3:
            return None, False
        judged_from = pd.Timestamp(dates[-max(1, len(dates) // 3)])
        train = (X["as_of"] + pd.Timedelta(days=self.horizon_days_) <= judged_from).to_numpy()
        test = (X["as_of"] >= judged_from).to_numpy()
        if min(left[train].sum(), (~left[train]).sum()) < _LEAST_LEFT or not test.any():
            return None, False
        core = _Core(self.with_trees_, self.random_state).fit(X[train], left[train])
        rate = float(left[train].mean())
        share = trust(2 * min(X.loc[train & which, "account_id"].nunique() for which in (left, ~left)))
        said = probability((1 - share) * safe_logit(np.array([rate])) + share * core.logits(X[test]))
        plain = np.full(int(test.sum()), rate)
        found = gain(
            log_loss(left[test], said), log_loss(left[test], plain), X.loc[test, "account_id"].to_numpy(object)
        )
        return found, not found.holds_zero and found.skill > 0


class _Core:
    """Monotone LightGBM and a ridge logistic; mean of their log odds."""

    def __init__(self, trees: bool, random_state: int) -> None:
        self.trees = trees
        self.random_state = random_state

    def fit(self, X: pd.DataFrame, left: npt.NDArray[np.bool_]) -> Self:
        self.encoder_ = Encoder().fit(X)
        matrix = self._matrix(X)
        with one_thread():
            self.linear_ = Blend(trees=0, ridge=_RIDGE).fit(matrix, left, categorical=[])
        self.booster_ = self._fit_trees(matrix.trees, left) if self.trees else None
        return self

    def logits(self, X: pd.DataFrame) -> Floats:
        """Log odds of leaving, shape (n,)."""
        matrix = self._matrix(X)
        linear = self.linear_.logits(matrix, 0.0)
        if self.booster_ is None:
            return linear
        return (linear + np.asarray(self.booster_.predict(matrix.trees, raw_score=True, num_threads=THREADS))) / 2

    def contributions(self, X: pd.DataFrame) -> Floats:
        """Parts of the log odds by feature, shape (n, features), without the constant."""
        matrix = self._matrix(X)
        linear = self.linear_.contributions(matrix, 0.0, self.encoder_.linear_feature_)[:, :-1]
        if self.booster_ is None:
            return linear
        trees = np.asarray(self.booster_.predict(matrix.trees, pred_contrib=True, num_threads=THREADS))
        return (linear + trees[:, :-1]) / 2

    def _fit_trees(self, T: Floats, left: npt.NDArray[np.bool_]) -> lgb.Booster:
        settings = {
            "objective": "binary", "num_leaves": 7, "max_depth": 4, "learning_rate": 0.03,
            "min_data_in_leaf": int(np.clip(len(left) / 20, 5, 200)), "lambda_l2": 5.0, "max_bin": 127,
            "monotone_constraints": _signs(self.encoder_.names_), "seed": self.random_state, "num_threads": THREADS,
            "deterministic": True, "force_row_wise": True, "verbosity": -1,
        }  # fmt: skip
        rows = lgb.Dataset(T, left.astype(np.float64), categorical_feature=self.encoder_.categorical_, params=settings)
        return lgb.train(settings, rows, num_boost_round=150)

    def _matrix(self, X: pd.DataFrame) -> Matrix:
        return Matrix(self.encoder_.trees(X), self.encoder_.linear(X))


def _signs(names: Sequence[str]) -> list[int]:
    return [_SIGNS.get(name, 0) for name in names]


def _spine(live: pd.DataFrame, at: pd.Timestamp) -> pd.DataFrame:
    moment = pd.Series(at, index=live.index).astype("datetime64[us, UTC]")
    return pd.DataFrame({"account_id": live["account_id"], "as_of": moment})


def _note(model: ChurnModel) -> ChurnNote:
    trial = model.trial_
    small = min(model.n_left_, model.n_stayed_) < _TREES_FROM
    english, chinese = _sentences(model, trial)
    return ChurnNote(
        n_accounts=model.n_accounts_,
        n_left=model.n_left_,
        base_rate=model.base_,
        skill=trial.skill if trial else None,
        skill_low=trial.low if trial else None,
        skill_high=trial.high if trial else None,
        signal=model.strength_ > 0,
        small_data=small,
        strength=model.strength_,
        trees=model.with_trees_,
        sentence_en=english,
        sentence_zh=chinese,
    )


def _sentences(model: ChurnModel, trial: Gain | None) -> tuple[str, str]:
    rate = f"{100 * model.base_:.1f}%"
    if trial is None:
        return (
            f"The history is too short to try forecasts on later dates: every customer gets the base rate, {rate}.",
            f"历史数据太短，无法在更晚的日期上检验：所有客户均采用基准流失率{rate}。",
        )
    share, low, high = (f"{100 * v:.1f}%" for v in (trial.skill, trial.low, trial.high))
    if not model.strength_:
        en = f"No better than the base rate ({rate}): on later dates the log loss was lower by {share} "
        return (
            en + f"(90% interval {low} to {high}), so every customer gets the base rate.",
            f"不优于基准流失率（{rate}）：在更晚的日期上对数损失降低{share}（90%区间{low}至{high}），故所有客户均采用基准流失率。",
        )
    few = model.strength_ < 0.8
    en = f"Better than the base rate: on later dates the log loss was lower by {share} (90% interval {low} to {high})."
    zh = f"优于基准流失率：在更晚的日期上对数损失降低{share}（90%区间{low}至{high}）。"
    if few:
        en += f" As only {model.n_left_} customers left, forecasts lean on the base rate."
        zh += f"由于仅有{model.n_left_}个客户流失，预测向基准率收缩。"
    return en, zh
