"""A look back: what was known before a past span of weeks, who was open in it, and a model that saw only the former."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.catalogue import identities
from models.learners import Floats, even_rows, probability
from models.prior import SmallModel
from models.rolling import known_at
from models.win_calendar import ClosingCalendar
from models.win_core import Effort, WinCore
from models.win_curve import Curves, Fate, fate
from models.win_errors import NoSnapshots, OneOutcomeOnly
from models.win_params import WinParams
from models.win_past import PastDate, rates

_MIN_CLOSED = 15  # of each outcome, for a past date to be worth a forecast
_JUDGED_ROWS = 3_000


@dataclass(frozen=True, slots=True)
class Span:
    """Snapshots from before `cut` with their fate as known then, and those of the weeks after, to be forecast."""

    cut: pd.Timestamp
    train: pd.DataFrame
    what: Fate
    open_then: pd.DataFrame
    base: Curves
    stage: Curves
    calendar: ClosingCalendar


def span_of(
    rows: pd.DataFrame, cut: pd.Timestamp, last: pd.Timestamp, *, edges: Floats, start_month: int, seed: int
) -> Span | None:
    """The span from `cut` to `last`; None where too little had closed by then, or no deal was open."""
    train, open_then = known_at(rows, cut).reset_index(drop=True), rows[rows["as_of"].between(cut, last)]
    open_then = open_then.iloc[even_rows(len(open_then), _JUDGED_ROWS, seed)]
    what = fate(train, cut)
    closed = closed_deals(train, what)
    if min(closed.sum(), (~closed).sum()) < _MIN_CLOSED or not len(open_then):
        return None
    base, stage = rates(train, open_then, cut, edges)
    return Span(cut, train, what, open_then, base, stage, ClosingCalendar(start_month).fit(train, cut))


def ridge_at(span: Span, *, seed: int) -> PastDate:
    """What the small company's ridge would have said."""
    fields = SmallModel(random_state=seed).fit(span.train, span.what)
    said = span.stage.scaled(probability(fields.logits(span.open_then)))
    return PastDate(span.cut, span.open_then, span.base, span.stage, fields=said)


def learners_at(span: Span, params: WinParams, *, effort: Effort, seed: int) -> PastDate:
    """What the large company's learners would have said, unmixed."""
    core = WinCore(span.base.edges, effort=effort, calendar=span.calendar, random_state=seed)
    weight = params.weights(span.train, span.cut)
    core.fit(span.train, span.what, weight=weight, leave_out=() if params.identity else identity_names())
    return PastDate(span.cut, span.open_then, span.base, span.stage, parts=core.parts(span.open_then))


@cache
def identity_names() -> frozenset[str]:
    """Features that tell who works on a deal."""
    return frozenset(identities("deal"))


def closed_deals(rows: pd.DataFrame, what: Fate) -> npt.NDArray[np.bool_]:
    """Whether won, a value for each closed deal."""
    closed = pd.Series(what.won[what.closed], index=rows["deal_id"].to_numpy(object)[what.closed])
    return closed.groupby(level=0).first().to_numpy(bool)


def counts_of(rows: pd.DataFrame, what: Fate) -> tuple[int, int]:
    """How many deals were won and lost, of snapshots with their fate."""
    if not len(rows):
        raise NoSnapshots("There is no deal to learn from. Import deals with created_at and outcome first.")
    closed = closed_deals(rows, what)
    return int(closed.sum()), int((~closed).sum())


def outcomes_of(rows: pd.DataFrame, what: Fate) -> tuple[int, int]:
    """The same; an error where there are none of one of them."""
    won, lost = counts_of(rows, what)
    if not won or not lost:
        raise OneOutcomeOnly(won, lost)
    return won, lost
