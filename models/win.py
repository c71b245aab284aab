"""Will this deal be won: one curve a deal, its end, an interval, reasons, and an honest note on how good it is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone

from models.calibration import calibrated, fit_calibrator, keep_if_better
from models.encoding import Reading
from models.explain import explanation, in_probability, shared_remainder, shown
from models.intervals import resampled_deals, spread_around
from models.learners import Floats, even_rows, one_thread, probability, safe_logit, side_by_side
from models.prior import RateCurves, SmallModel, trust
from models.rolling import plan
from models.win_calendar import ClosingCalendar, seconds_of
from models.win_core import Effort, WinCore, readings
from models.win_curve import Curves, Fate, edges_of, fate
from models.win_errors import NotImpartial, NoWonDeals
from models.win_look import counts_of, identity_names, learners_at, outcomes_of, ridge_at, span_of
from models.win_note import WinNote, note_of
from models.win_params import WinParams
from models.win_past import Choice, PastDate, choose, default_mix, leant, mixes_of
from models.win_unseen import with_unseen
from models.win_won import WonDeals, WonRows, won_rows

if TYPE_CHECKING:
    import shap

FEWEST_TREES = 30
FEW_DEALS = 1_000  # closed deals below which trees lost to the ridge
_CHEAP_DEALS = 4_000  # closed deals below which twice as many past dates are looked at
_REFERENCE_ROWS = 500
_REPLICATE_ROWS = 300_000


@dataclass(frozen=True, slots=True)
class _Replicate:
    """A model on deals drawn with replacement, and the rate that goes with it."""

    fields: WinCore | SmallModel | None
    rate: RateCurves


class WinModel(BaseEstimator):
    """Probability that an open deal is won, and when.

    From 1,000 closed deals on: landmark competing risks (trees and logistic) beside a classifier of the end. Below: a
    strong ridge drawn towards the stage rate. Either counts only as far as its gain over the rate at past dates is
    certain; where the 90 % interval of that gain holds 0, forecasts are the rate itself and `note` says so.

    Parameters
    ----------
    random_state : int
        Seed of all draws.
    horizon_weeks : int
        'Won' means won within so many weeks.
    start_month : int
        First month of the fiscal year.
    trees, rows : int
        Trees a learner has at most, and rows it sees at most.
    replicates : int
        Models on resampled deals behind the interval; 0: no interval, and no model without identity beside it.
    cuts : int
        Past dates that decide mix, calibrator and trust; 0: defaults, full trust (for reconstructing the past).
    params : WinParams, optional
        What was chosen before, as `models.win_search` does; what it leaves open is decided on past dates.

    Attributes
    ----------
    params_ : WinParams
        What this model was made with, nothing left open: given to another one, that one decides nothing anew.
    """

    typical_: pd.DataFrame | None = None  # rows that reasons start from, until their means are worked out
    won_rows_: WonRows | None = None  # rows of deals that were won, likewise

    def __init__(
        self,
        random_state: int = 0,
        horizon_weeks: int = 60,
        start_month: int = 1,
        trees: int = 400,
        rows: int = 150_000,
        replicates: int = 20,
        cuts: int = 3,
        params: WinParams | None = None,
    ) -> None:
        self.random_state = random_state
        self.horizon_weeks = horizon_weeks
        self.start_month = start_month
        self.trees = trees
        self.rows = rows
        self.replicates = replicates
        self.cuts = cuts
        self.params = params

    def fit(self, snapshots: pd.DataFrame, *, until: pd.Timestamp, ranges: bool = True) -> Self:
        """Learn from snapshots as `training.snapshots.deal_snapshots` makes them.

        Parameters
        ----------
        snapshots : shape (n, p)
            `deal_id`, `as_of`, features, `_closed_at`, `_outcome`; several rows a deal, one a date while it was open.
        until : Timestamp, UTC
            Up to when outcomes are known; what lies later is not looked at.
        ranges : bool
            False: the models behind the interval are left to `fit_ranges`, so that this one can be used before.

        Raises
        ------
        NoSnapshots
            If there is no row made by `until`.
        OneOutcomeOnly
            If no deal was won, or none lost.
        """
        until = pd.Timestamp(until)
        rows = snapshots[snapshots["as_of"] <= until].reset_index(drop=True)
        what = fate(rows, until)
        self.until_ = until
        self.params_ = self.params or WinParams()
        self.n_won_, self.n_lost_ = outcomes_of(rows, what)
        self.n_closed_ = self.n_won_ + self.n_lost_
        self.small_ = self.n_closed_ < FEW_DEALS
        self.edges_ = edges_of(self.horizon_weeks)
        self.calendar_ = ClosingCalendar(self.start_month).fit(rows, until)
        self.base_ = RateCurves(self.edges_, by_stage=False).fit(rows, what)
        self.choice_ = self._look_back(rows, until)
        self.rate_ = RateCurves(self.edges_, by_stage=self.choice_.by_stage).fit(rows, what)
        self.fields_ = self._fit_fields(rows, what) if self.choice_.strength else None
        self.calibrator_name_, self.calibrator_ = self._calibrate(until)
        mix = self.choice_.mix
        self.params_ = self.params_.decided(
            trees_share=mix.trees, ever_share=mix.ever, calibrator=self.calibrator_name_
        )
        self.without_identity_ = self._fit_without_identity(rows, what)
        self.replicates_ = self._fit_replicates(rows, what) if ranges else []
        self._set_typical(rows)
        self.won_rows_ = won_rows(rows, what, seed=self.random_state)
        return self

    def fit_plain(self, snapshots: pd.DataFrame, *, until: pd.Timestamp) -> Self:
        """Plain rates, where `fit` raises `OneOutcomeOnly`: the end that no deal had counts as half a deal.

        All deals get the same forecast, the range says how little is known, and `note` what is missing.

        Parameters
        ----------
        snapshots, until
            As given to `fit`.
        """
        until = pd.Timestamp(until)
        rows = snapshots[snapshots["as_of"] <= until].reset_index(drop=True)
        what = fate(rows, until)
        self.until_, self.small_, self.edges_ = until, True, edges_of(self.horizon_weeks)
        self.n_won_, self.n_lost_ = counts_of(rows, what)
        self.n_closed_ = self.n_won_ + self.n_lost_
        self.calendar_ = ClosingCalendar(self.start_month).fit(rows, until)
        self.base_ = self.rate_ = with_unseen(RateCurves(self.edges_, by_stage=False).fit(rows, what), rows, what)
        self.choice_ = Choice(mix=default_mix(rows, until, self.params or WinParams()), by_stage=False)
        self.fields_, self.calibrator_name_, self.calibrator_ = None, "none", None
        mix = self.choice_.mix
        self.params_ = (self.params or WinParams()).decided(
            trees_share=mix.trees, ever_share=mix.ever, calibrator="none"
        )
        self.without_identity_ = None
        self.replicates_ = self._fit_replicates(rows, what)
        self._set_typical(rows)
        self.won_rows_ = won_rows(rows, what, seed=self.random_state)
        return self

    def fit_ranges(self, snapshots: pd.DataFrame) -> Self:
        """Fit the models behind the interval, on the snapshots that `fit` was given; nothing else changes."""
        rows = snapshots[snapshots["as_of"] <= self.until_].reset_index(drop=True)
        self.replicates_ = self._fit_replicates(rows, fate(rows, self.until_))
        return self

    @property
    def one_end(self) -> bool:
        """Whether no deal was won, or none lost: see `fit_plain`."""
        return not self.n_won_ or not self.n_lost_

    @property
    def ranges_missing(self) -> bool:
        """Whether the models behind the interval are still to be fitted."""
        return self.replicates > 0 and not self.replicates_

    def without_people(self, snapshots: pd.DataFrame) -> Self:
        """The same model, every choice alike, whose learners do not look at who works on a deal; it has no interval.

        Fitted on what this one was fitted on, with the same effort, so that their difference is what such features are
        worth. What `score(identity=False)` uses is a lighter one.

        Parameters
        ----------
        snapshots : shape (n, p)
            As given to `fit`.
        """
        other = clone(self)
        vars(other).update(vars(self))
        other.replicates_, other.without_identity_ = [], None
        if self._looks_at_people:
            rows = snapshots[snapshots["as_of"] <= self.until_].reset_index(drop=True)
            other.params_ = replace(self.params_, identity=False)
            other.fields_ = other._fit_fields(rows, fate(rows, self.until_))
            other._set_typical(rows)
            other.won_rows_ = won_rows(rows, fate(rows, self.until_), seed=self.random_state)
        return other

    def predict_proba_won(self, X: pd.DataFrame) -> Floats:
        """Probability of being won within the horizon, shape (n,)."""
        return self.curves(X).ever

    def curve(self, X: pd.DataFrame) -> tuple[Floats, Floats, Floats]:
        """Edges in days, shape (bins + 1,), and shares won and lost by each, shape (n, bins + 1)."""
        curves = self.curves(X)
        return curves.edges, curves.won, curves.lost

    def interval(self, X: pd.DataFrame) -> tuple[Floats, Floats]:
        """90 % interval of the probability, two of shape (n,): how far more data would move it.

        It does not promise to hold a single deal's true odds. NaN where no replicates were fitted.
        """
        return self._interval(X, self.predict_proba_won(X), readings(X))

    def redrawn(self, X: pd.DataFrame) -> Floats:
        """Probability of being won by each of the models on deals drawn with replacement, shape (models, n)."""
        return self._redrawn(X, readings(X))

    def _redrawn(self, X: pd.DataFrame, read: list[Reading] | None) -> Floats:
        said = []
        for replicate in self.replicates_:
            rate = replicate.rate.curves(X)
            said.append(leant(self._fields_curves(replicate.fields, X, rate, read), rate, self.choice_.strength).ever)
        return np.array(said)

    def score(
        self,
        X: pd.DataFrame,
        *,
        as_of: pd.Timestamp | None = None,
        period_end: pd.Timestamp,
        identity: bool = True,
    ) -> pd.DataFrame:
        """The forecast columns of `deals.parquet` for deals X, shape (n, p), same index.

        Parameters
        ----------
        as_of : Timestamp, optional
            Moment of the forecast; unset: each row's own `as_of`.
        period_end : Timestamp
            First moment after the period that `p_win_in_period`, `p_lose_in_period` and `p_slip` are about.
        identity : bool
            False: what such deals come to whoever works on them, the yardstick for appraising a person, and for
            sharing out goals. There is no interval then.

        Raises
        ------
        NotImpartial
            If that is asked of a model made without intervals (`replicates` 0) that looks at who works on a deal.
        """
        read = readings(X)
        curves = self._curves(X, read, identity=identity)
        start = X["as_of"] if as_of is None else pd.Series(pd.Timestamp(as_of), index=X.index)
        ahead = np.maximum((pd.Timestamp(period_end) - start).dt.total_seconds().to_numpy(np.float64) / 86_400, 0.0)
        won, lost = self.calendar_.by(curves, seconds_of(start), ahead)
        low, high = self._interval(X, curves.ever, read) if identity else _no_interval(len(X))
        keys = {name: X[name] for name in ("deal_id", "as_of") if name in X}
        return pd.DataFrame(
            {
                **keys,
                "win_probability": curves.ever,
                "win_probability_low": low,
                "win_probability_high": high,
                "expected_close_date": (start + pd.to_timedelta(curves.days_to_win(), unit="D")).dt.date,
                "p_win_in_period": won,
                "p_lose_in_period": lost,
                "p_slip": np.clip(1 - won - lost, 0.0, 1.0),
            },
            index=X.index,
        )

    def won_within(self, X: pd.DataFrame, days: float) -> Floats:
        """Probability of being won within so many days of each row's `as_of`, shape (n,)."""
        return self.calendar_.by(self.curves(X), seconds_of(X["as_of"]), np.full(len(X), float(days)))[0]

    def explain(self, X: pd.DataFrame) -> shap.Explanation:
        """Contributions in probability: `base_values` + `values.sum(axis=1)` is the win probability to 1e-6.

        The base is the typical open deal's log odds; the stage rate's pull counts as the stage's.
        """
        margins = self._margins(X)
        values, start = in_probability(margins, self.reference_logit_)
        return explanation(values, np.full(len(X), start), shown(X, self.names_), self.names_)

    def won_deals(self) -> WonDeals:
        """What deals won in the past had at each stage, to hold an open deal against.

        Raises
        ------
        NoWonDeals
            If this model was kept by a version that did not look at them.
        """
        self._set_won()
        # Models kept by an earlier version have no such attribute.
        found: WonDeals | None = getattr(self, "won_deals_", None)
        if found is None:
            raise NoWonDeals
        return found

    @property
    def note(self) -> dict[str, Any]:
        """How many deals, the base rate, the skill against it with its 90 % interval, and a sentence on it."""
        return self._note().to_dict()

    def __getstate__(self) -> dict[str, Any]:
        """Without the past snapshots that the choices were made on: they are large and only the gate needs them."""
        self._set_reference()
        self._set_won()
        state: dict[str, Any] = dict(super().__getstate__())
        if "choice_" in state:
            state["choice_"] = replace(state["choice_"], forecasts=())
        return state

    def _note(self) -> WinNote:
        return note_of(
            self.choice_,
            n_won=self.n_won_,
            n_lost=self.n_lost_,
            base_rate=float(self.base_.curves(pd.DataFrame(index=[0])).ever[0]),
            small=self.small_,
            params=self.params_,
        )

    def curves(self, X: pd.DataFrame, *, identity: bool = True) -> Curves:
        """Curves of deals X, shape (n, p): what can be read off them; `identity` as for `score`."""
        return self._curves(X, readings(X), identity=identity)

    def _curves(self, X: pd.DataFrame, read: list[Reading] | None, *, identity: bool) -> Curves:
        rate = self.rate_.curves(X)
        with one_thread():
            fields = self._fields_curves(self.fields_ if identity else self._impartial(), X, rate, read)
        return calibrated(leant(fields, rate, self.choice_.strength), self.calibrator_)

    def _fields_curves(
        self, fields: WinCore | SmallModel | None, X: pd.DataFrame, rate: Curves, read: list[Reading] | None
    ) -> Curves:
        if fields is None or not len(X):
            return rate
        if isinstance(fields, WinCore):
            return fields.parts(X if read is None else read).curves(self.edges_, self.choice_.mix)
        return rate.scaled(probability(fields.logits(X)))

    def _interval(self, X: pd.DataFrame, p: Floats, read: list[Reading] | None) -> tuple[Floats, Floats]:
        return spread_around(p, self._redrawn(X, read)) if self.replicates_ else _no_interval(len(X))

    def _look_back(self, rows: pd.DataFrame, until: pd.Timestamp) -> Choice:
        default = default_mix(rows, until, self.params_)
        most = trust(self.n_closed_) if self.small_ else 1.0
        if not self.cuts:
            return Choice(mix=default, strength=most)
        few = self.n_closed_ < _CHEAP_DEALS
        ahead = plan(rows, until, self.base_.curves(rows.iloc[:1]), cuts=self.cuts * (2 if few else 1))
        looked = side_by_side([partial(self._past_date, rows, *span) for span in ahead.spans])
        past = [date for date in looked if date is not None]
        return choose(past, until, ahead.horizon_days, mixes=mixes_of(self.params_, default), most=most)

    def _past_date(self, rows: pd.DataFrame, cut: pd.Timestamp, last: pd.Timestamp) -> PastDate | None:
        span = span_of(rows, cut, last, edges=self.edges_, start_month=self.start_month, seed=self.random_state)
        if span is None:
            return None
        if self.small_:
            return ridge_at(span, seed=self.random_state)
        # As many trees as in the end: what is decided on weaker models' forecasts does not hold for stronger ones'.
        effort = self._effort(rows=self.rows // 3, linear_rows=15_000)
        return learners_at(span, self.params_, effort=effort, seed=self.random_state)

    def _effort(self, *, rows: int, linear_rows: int, part: float = 1.0) -> Effort:
        """Where fewer trees are grown than the parameters say, steps are longer: a model stopped early is too timid."""
        trees = max(FEWEST_TREES, round(part * min(self.trees, self.params_.trees)))
        return Effort(trees, rows, linear_rows, self.params_.shape.for_fewer(self.params_.trees / trees))

    @property
    def _left_out(self) -> frozenset[str]:
        return frozenset() if self.params_.identity else identity_names()

    @property
    def _looks_at_people(self) -> bool:
        return self.fields_ is not None and bool(identity_names() & set(self.fields_.names))

    def _core(self, effort: Effort, calendar: ClosingCalendar) -> WinCore:
        return WinCore(self.edges_, effort=effort, calendar=calendar, random_state=self.random_state)

    def _fit_fields(self, rows: pd.DataFrame, what: Fate) -> WinCore | SmallModel:
        effort = self._effort(rows=self.rows, linear_rows=min(40_000, self.rows // 3))
        return self._fitted(rows, what, effort, self._left_out)

    def _fitted(self, rows: pd.DataFrame, what: Fate, effort: Effort, left_out: frozenset[str]) -> WinCore | SmallModel:
        if self.small_:
            seen = rows.drop(columns=[name for name in left_out if name in rows])
            return SmallModel(random_state=self.random_state).fit(seen, what)
        core = self._core(effort.only(self.choice_.mix), self.calendar_)
        return core.fit(rows, what, weight=self.params_.weights(rows, self.until_), leave_out=left_out)

    def _fit_without_identity(self, rows: pd.DataFrame, what: Fate) -> WinCore | SmallModel | None:
        """A second model for `score(identity=False)`; None where it would be the first one again."""
        if not self.replicates or not self._looks_at_people:
            return None
        effort = self._effort(rows=self.rows // 2, linear_rows=min(20_000, self.rows // 6), part=0.5)
        return self._fitted(rows, what, effort, identity_names())

    def _impartial(self) -> WinCore | SmallModel | None:
        if not self._looks_at_people:
            return self.fields_
        # Models kept by an earlier version have no such attribute.
        found: WinCore | SmallModel | None = getattr(self, "without_identity_", None)
        if found is None:
            raise NotImpartial
        return found

    def _calibrate(self, until: pd.Timestamp) -> tuple[str, Any]:
        if self.small_ or not self.choice_.strength:
            return "none", None
        kind = self.params_.calibrator
        if kind is not None:
            found = fit_calibrator(kind, self.choice_.forecasts, until) if kind != "none" else None
            return (kind if found is not None else "none"), found
        return keep_if_better(self.choice_.forecasts, until, self.choice_.horizon_days)

    def _fit_replicates(self, rows: pd.DataFrame, what: Fate) -> list[_Replicate]:
        kept = even_rows(len(rows), _REPLICATE_ROWS, self.random_state)
        X, fewer = rows.iloc[kept].reset_index(drop=True), what.take(kept)
        base_weight = self.params_.weights(rows, self.until_)[kept]
        seeds = [self.random_state + 1 + b for b in range(self.replicates)]
        drawn = [(seed, resampled_deals(X["deal_id"], seed=seed)) for seed in seeds]
        return side_by_side([partial(self._fit_replicate, X, fewer, *one, base_weight) for one in drawn])

    def _fit_replicate(self, X: pd.DataFrame, what: Fate, seed: int, times: Floats, weight: Floats) -> _Replicate:
        rate = RateCurves(self.edges_, by_stage=self.choice_.by_stage).fit(X, what, weight=times)
        if self.one_end:
            return _Replicate(None, with_unseen(rate, X, what, seed=seed))
        if self.fields_ is None:
            return _Replicate(None, rate)
        if self.small_:
            drawn = np.repeat(np.arange(len(X)), times.astype(np.intp))
            if len(np.unique(what.won[drawn][what.closed[drawn]])) < 2:
                return _Replicate(None, rate)
            return _Replicate(SmallModel(random_state=self.random_state).fit(X.iloc[drawn], what.take(drawn)), rate)
        rows = min(self.rows, _REPLICATE_ROWS)
        effort = self._effort(rows=rows, linear_rows=min(20_000, rows // 3), part=0.5).only(self.choice_.mix)
        core = self._core(effort, self.calendar_)
        return _Replicate(core.fit(X, what, weight=times * weight, leave_out=self._left_out), rate)

    def _set_typical(self, rows: pd.DataFrame) -> None:
        newest = rows[rows["as_of"] == rows["as_of"].max()]
        newest = newest if len(newest) >= _REFERENCE_ROWS else rows.tail(max(_REFERENCE_ROWS, len(newest)))
        self.typical_ = newest.iloc[even_rows(len(newest), _REFERENCE_ROWS, self.random_state)]
        own = list(self.fields_.names) if self.fields_ is not None else []
        self.names_ = own + ["stage"] * (bool(self.rate_.stages_) and "stage" not in own)

    def _set_reference(self) -> None:
        """What reasons start from: takes a third of a light fit, and models of past dates are never asked for any."""
        rows = self.typical_
        if rows is None:
            return
        self.reference_parts_: Floats = self._log_odds_parts(rows).mean(axis=0)
        self.reference_logit_ = float(safe_logit(self.predict_proba_won(rows)).mean())
        self.typical_ = None

    def _set_won(self) -> None:
        """What deals that were won had, worked out once for the same reason when it is asked for or kept."""
        if (rows := self.won_rows_) is not None:
            self.won_deals_ = rows.learnt(self.names_, self._margins)
            self.won_rows_ = None

    def _margins(self, X: pd.DataFrame) -> Floats:
        """What each feature adds to the log odds of the typical open deal, shape (n, features); all adds up."""
        self._set_reference()
        parts = self._log_odds_parts(X) - self.reference_parts_
        return shared_remainder(parts, safe_logit(self.predict_proba_won(X)) - self.reference_logit_)

    def _log_odds_parts(self, X: pd.DataFrame) -> Floats:
        parts = np.zeros((len(X), len(self.names_)))
        strength = self.choice_.strength if self.fields_ is not None else 0.0
        if isinstance(self.fields_, WinCore):
            parts[:, : len(self.fields_.names)] = strength * self.fields_.contributions(X, self.choice_.mix)
        elif isinstance(self.fields_, SmallModel):
            parts[:, : len(self.fields_.names)] = strength * self.fields_.contributions(X)[:, :-1]
        if "stage" in self.names_:
            parts[:, self.names_.index("stage")] += (1 - strength) * safe_logit(self.rate_.curves(X).ever)
        return parts


def _no_interval(n: int) -> tuple[Floats, Floats]:
    return np.full(n, np.nan), np.full(n, np.nan)
