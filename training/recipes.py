"""Recipes fitted without the newest slice of the past and asked about it: what the gate judges."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from crm.errors import NotReady
from crm.lake import View
from models.learners import even_rows
from models.prior import RateCurves
from models.rolling import known_at, plan, won_within
from models.win import WinModel
from models.win_curve import edges_of, fate
from models.win_past import rates
from training import gate
from training.policy import Policy
from training.segments import GATE_SEGMENTS, gate_segments
from training.verdicts import Sentence

_MOST_ROWS = 6_000
_WEEKS_A_SPAN = 4  # as models.rolling.plan has them
_ASKED = 9  # times one deal is forecast to see how long it takes


def _as_they_are(rows: pd.DataFrame) -> pd.DataFrame:
    return rows


@dataclass(frozen=True)
class Recipe:
    """How a win model is made: an unfitted model, and what is done to its rows first (unset: nothing)."""

    model: WinModel
    prepare: Callable[[pd.DataFrame], pd.DataFrame] = _as_they_are

    @property
    def is_plain(self) -> bool:
        """Whether the product's own model is fitted on rows as they are: `training.ranges` can add to such a one."""
        return type(self.model) is WinModel and self.prepare is _as_they_are

    def fit(self, rows: pd.DataFrame, until: pd.Timestamp, *, ranges: bool = True, **settings: Any) -> WinModel:
        """A new model by this recipe from rows, shape (n, p), and what was known at `until`; see `WinModel.fit`."""
        made: WinModel = clone(self.model).set_params(**settings)
        return made.fit(self.prepare(rows), until=until, ranges=ranges)

    def twin(self, rows: pd.DataFrame, cut: pd.Timestamp) -> WinModel:
        """The model as it could have been made at `cut`; without intervals, which the gate does not ask for."""
        return self.fit(known_at(rows, cut).reset_index(drop=True), cut, replicates=0)

    def settled(self, twin: WinModel) -> Recipe:
        """The recipe with what the twin decided: the same parameters and number of trees on all rows."""
        return Recipe(clone(self.model).set_params(params=twin.params_), self.prepare)


@dataclass(frozen=True, slots=True)
class Slice:
    """The newest snapshots whose outcomes within `days` are known, from `cut` on."""

    cut: pd.Timestamp
    days: float
    rows: pd.DataFrame
    won: np.ndarray[tuple[int], np.dtype[np.bool_]]


@dataclass(frozen=True)
class Judged:
    """What the gate saw and said; `table` has a row a forecast, `twin` is the challenger's."""

    verdict: gate.Verdict
    table: pd.DataFrame
    twin: WinModel | None


def newest_slice(rows: pd.DataFrame, until: pd.Timestamp, model: WinModel, policy: Policy) -> Slice | None:
    """The newest weeks of snapshots that can be judged; None where there are none.

    Parameters
    ----------
    rows : shape (n, p)
        Snapshots as `training.snapshots.deal_snapshots` makes them.
    """
    if not len(rows):
        return None
    known = fate(rows, until)
    pooled = RateCurves(edges_of(model.horizon_weeks), by_stage=False).fit(rows, known).curves(rows.iloc[:1])
    every = plan(rows, until, pooled, cuts=1_000)
    if not every.spans:
        return None
    spans = every.spans[: max(1, min(policy.slice_weeks // _WEEKS_A_SPAN, len(every.spans) // 3))]
    cut, last = spans[-1][0], spans[0][1]
    found = rows[rows["as_of"].between(cut, last)]
    found = found.iloc[even_rows(len(found), _MOST_ROWS, model.random_state)].reset_index(drop=True)
    return Slice(cut, every.horizon_days, found, won_within(found, until, every.horizon_days))


def judge(
    challenger: Recipe,
    champion: Recipe | None,
    rows: pd.DataFrame,
    newest: Slice | None,
    *,
    view: View,
    policy: Policy,
    also: Sequence[gate.Check] = (),
    seed: int = 0,
) -> Judged:
    """Fit both recipes on what was known before the slice, let them forecast it, and compare.

    Parameters
    ----------
    champion : Recipe, optional
        None: the challenger is held against base rate and stage rate.
    also : sequence of gate.Check
        What was checked before.
    """
    twin = _made(challenger, rows, newest)
    if newest is None or twin is None:
        return Judged(gate.unjudged(there_is_champion=champion is not None), pd.DataFrame(), twin)
    table = _asked(twin, rows, newest).assign(**gate_segments(view, newest.rows))
    if champion is None:
        return Judged(gate.judge_first(table, policy, seed=seed), table, twin)
    rival = _made(champion, rows, newest)
    if rival is None:
        return Judged(gate.unjudged(there_is_champion=True), table, twin)
    table["champion"] = _said(rival, newest)
    checks = (*also, quick_enough(lambda: twin.curves(newest.rows.iloc[:1]), policy))
    verdict = gate.judge(table, policy, segments=GATE_SEGMENTS, also=checks, seed=seed)
    return Judged(verdict, table, twin)


def quick_enough(ask: Callable[[], object], policy: Policy, *, one: str = "deal") -> gate.Check:
    """Whether one deal, or customer, is forecast within the policy's time, by the median of a few tries."""
    took = []
    for _ in range(_ASKED):
        start = time.thread_time()
        ask()
        took.append(1_000 * (time.thread_time() - start))
    usual = float(np.median(took))
    said = Sentence(
        "One {one} takes {usual:.1f} ms of one processor to forecast, {allowed:.0f} are allowed.",
        "每次预测占用单个处理器{usual:.1f}毫秒，上限{allowed:.0f}毫秒。",
    ).given(one=one, usual=usual, allowed=policy.latency_ms)
    return gate.Check("too slow", usual <= policy.latency_ms, said)


def _made(recipe: Recipe, rows: pd.DataFrame, newest: Slice | None) -> WinModel | None:
    if newest is None:
        return None
    try:
        return recipe.twin(rows, newest.cut)
    except NotReady:  # too little had closed by then
        return None


def _said(model: WinModel, newest: Slice) -> Any:
    return model.curves(newest.rows).by(newest.days)[0]


def _asked(twin: WinModel, rows: pd.DataFrame, newest: Slice) -> pd.DataFrame:
    before = known_at(rows, newest.cut).reset_index(drop=True)
    base, stage = rates(before, newest.rows, newest.cut, twin.edges_)
    return pd.DataFrame(
        {
            "deal_id": newest.rows["deal_id"].to_numpy(object),
            "as_of": newest.rows["as_of"],
            "won": newest.won,
            "challenger": _said(twin, newest),
            "base_rate": base.by(newest.days)[0],
            "stage_rate": stage.by(newest.days)[0],
        }
    )
