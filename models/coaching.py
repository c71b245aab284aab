"""Next steps for open deals, ranked, with what each rests on; what is only seen together is never called a cause."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from crm.company import Company
from crm.lake import View, connect
from features.catalogue import Feature
from features.themes import themes
from models.actions import PAUSE, Action, values
from models.coaching_duties import Duty, duties
from models.coaching_evidence import LEAST, Evidence, Randomised, evidence_for
from models.coaching_gaps import Gaps, actionable, gaps_of
from models.coaching_words import below_won, nothing_known, rests_on
from models.effects import Effects
from models.effects_history import past_of
from models.effects_rows import DAY, since_last
from models.effects_rules import PRIOR_SD, Basis, Known, believed
from models.learners import Floats
from models.own_actions import catalogue
from models.supposed import Step, after_steps
from models.win import WinModel

MOST = 3
COLUMNS = (
    "deal_id rank action due_in_days expected_uplift uplift_low uplift_high basis reasons contact_id colleague_id "
    "expected_value as_of"
).split()
ENDS = "ends"
"""Column beside these: steps that no longer fit once this one is done, as a JSON list."""
_BIAS = 0.02
_Z90 = 1.645
_PROCESS_STEP = 0.9
_PROCESS_ROWS = 100
_HOPELESS = 0.5  # of the median chance

_UNMET = """
with met as (
    select distinct deal_id, contact_id from activities
    where kind in ('call', 'meeting', 'demo', 'visit') and coalesce(recorded_at, occurred_at) <= $at
      and contact_id is not null and deal_id is not null
)
select a.deal_id, min(c.contact_id) filter (where c.seniority in ('vp', 'c-level')) as decision_maker,
       min(c.contact_id) as anyone
from asked a join deals d using (deal_id) join contacts c on c.account_id = d.account_id
left join met m on m.deal_id = a.deal_id and m.contact_id = c.contact_id
where m.contact_id is null and coalesce(c.created_at <= $at, true) and coalesce(c.left_at > $at, true)
group by a.deal_id
"""
_WITH_A_MOVE = """
select a.kind, count(*) as times,
       avg(case when exists (select 1 from deal_changes c where c.deal_id = a.deal_id and c.field = 'stage'
           and c.changed_at between a.occurred_at - interval 1 day and a.occurred_at + interval 7 day)
           then 1.0 else 0.0 end) as moved
from (select kind, deal_id, occurred_at from activities
      where deal_id is not null and occurred_at <= $at and coalesce(direction, 'out') = 'out') a
group by a.kind
"""


@dataclass(frozen=True, slots=True)
class _Gains:
    """What one action would change: uplift with its interval, for which deals it fits, what it rests on; shape (n,).

    `after` has the values then of features that it changes, `pull` what these take from a deal beside deals won, `ends`
    for each step whether it fits no longer then.
    """

    action: Action
    fits: npt.NDArray[np.bool_]
    after: Mapping[str, Floats]
    pull: Floats
    ends: Mapping[str, npt.NDArray[np.bool_]]
    uplift: Floats
    low: Floats
    high: Floats
    contact: npt.NDArray[np.object_]
    evidence: Evidence | None = None

    def basis(self, row: int) -> Basis:
        """What the figure of one deal rests on."""
        if self.evidence is None or not self.evidence.holds[row]:
            return "association"
        return "measured" if self.evidence.measured else "adjusted"

    def tier(self, row: int) -> int:
        """0: chance or history speaks for it on this deal; 1: history leans to it; 2: it is only seen together."""
        found = self.evidence
        if found is None or not (found.holds[row] or found.speaks[row] or found.leans[row]):
            return 2
        return 1 if found.leans[row] else 0

    def starts(self, row: int) -> bool:
        """Whether it may be named: history or chance says something of it, or what it changes holds the deal back."""
        return bool(self.fits[row] and self.uplift[row] >= LEAST and (self.tier(row) < 2 or self.pull[row] < 0))

    def place(self, row: int) -> tuple[int, float]:
        """Sorts best first: what there is more ground for, then what is believed to bring more."""
        return self.tier(row), -self.uplift[row]


@dataclass(frozen=True, slots=True)
class _Told:
    """What lines are written from beside the figures: how deals stand beside deals won, features, horizon, cost."""

    gaps: Gaps
    features: Mapping[str, Feature]
    weeks: int
    hour_cost: float


def advise(
    X: pd.DataFrame,
    win: WinModel,
    *,
    view: View,
    company: Company,
    as_of: pd.Timestamp,
    effects: Effects | None = None,
    randomised: Mapping[str, Randomised] = MappingProxyType({}),
    not_again: Collection[tuple[str, str]] = frozenset(),
    reasons: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """At most three next steps a deal, best first.

    They start from what holds a deal below deals that were won from the same stage: contributions to the chance of
    features that somebody can act on. A step of which nothing more is known is named only where what it changes holds
    the deal back. Where an effect was measured, on history adjusted or by chance, it stands and comes first. Elsewhere
    the win model looks at each deal as it would be had the step just been written down, see `after_steps`. As that
    compares deals which differ in more than the step, the difference is only 'seen together': it is drawn towards 0 as
    `shrunk` says and its 90 % interval holds 0. No step is named whose features the model does not use, or that is
    itself a move to the next stage. Where nothing that fits helps and the chance is low, the step is `pause`. A model
    no better than the base rate gives none.

    Parameters
    ----------
    X : shape (n, p)
        Open deals with their features, as `features.build` makes them.
    as_of : Timestamp
        Moment of the advice; contacts and activities recorded later are not looked at.
    effects : Effects, optional
        What was measured on the company's history.
    randomised : mapping of str to Randomised
        By step, what suggestions held back by chance say.
    not_again : collection of (deal_id, step)
        What people did, put off or called wrong: not suggested.
    reasons : DataFrame, optional
        What the deals' chances are made of, where that was worked out before: entity_id, feature, contribution.

    Returns
    -------
    DataFrame
        The columns of `coach` without model_version, and `ENDS`; `expected_value` is the uplift times the deal's
        amount, less what the hours of the step cost.

    Raises
    ------
    NoWonDeals
        If the model was kept by a version that did not look at deals won from each stage.
    """
    at = pd.Timestamp(as_of)
    X = X.reset_index(drop=True)
    if not len(X) or not win.note["signal"]:
        return _table([], at)
    unmet, steps = _unmet(view, X, at), _process_steps(view, at)
    chance = win.predict_proba_won(X)
    actions = catalogue(company)
    just_done = _just_done(X, actions, view, company, at)
    for action in actions:
        turned_down = np.array([(deal, action.name) in not_again for deal in X["deal_id"]], dtype=bool)
        just_done[action.name] = just_done.get(action.name, False) | turned_down
    evidence = evidence_for(
        X, chance, actions, effects=effects, randomised=randomised, view=view, company=company, as_of=at
    )
    known = actionable(company)
    gaps = gaps_of(X, win, known, reasons)
    ahead = [
        _step(action, X, unmet, just_done, evidence.get(action.name)) for action in actions if action.kind not in steps
    ]
    supposed = after_steps(X, ahead, view=view, company=company, as_of=at)
    gains = [
        _gains(
            step, moved, ends, X, win, chance, gaps, evidence.get(step.action.name), randomised.get(step.action.name)
        )
        for step, moved, ends in zip(ahead, supposed, _ends(ahead, supposed, len(X)), strict=True)
    ]
    gains = [gain for gain in gains if gain.after or gain.evidence is not None]
    owed = duties(X, view, at)
    due = {deal: [d for d in each if (deal, d.action.name) not in not_again] for deal, each in owed.items()}
    told = _Told(gaps, known, company_horizon(company, win), company.advice.hour_cost)
    return _table(_ranked(X, gains, chance, due, told), at)


def on_track(
    X: pd.DataFrame, win: WinModel, advice: pd.DataFrame, *, company: Company, reasons: pd.DataFrame | None = None
) -> pd.Series:
    """Deals that stand as deals won from the same stage stood, with nothing to be done about it: their keys.

    No theme of what somebody can act on holds them below those deals, and no step is named for them.

    Parameters
    ----------
    X, reasons
        As for `advise`.
    advice : DataFrame
        What `advise` said.
    """
    if not len(X) or not win.note["signal"]:
        return pd.Series([], dtype=object, name="deal_id")
    none = gaps_of(X, win, actionable(company), reasons).none_below(themes("deal", company))
    found = X.loc[none & ~X["deal_id"].isin(advice["deal_id"]).to_numpy(), "deal_id"].astype(object)
    return found.reset_index(drop=True)


def shrunk(difference: Floats, trial: Randomised | None = None) -> tuple[Floats, Floats, Floats]:
    """Uplift and its 90 % interval from a difference between deals with and without a step, three of shape (n,).

    Prior N(0, .03^2); the difference counts with a variance of .03 |difference| + .02^2: it may be bias that no amount
    of data removes, and the more so the larger it is. The uplift rises with the difference, stays below .03, and the
    interval always holds 0: middle / sd < |d| t / sqrt((t^2 + |d| t) |d| t) < 1 with t = .03. What chance says, not
    proved yet, is weighed in as a third source; the interval is then widened to hold 0.
    """
    doubt = np.abs(difference) * PRIOR_SD + _BIAS**2
    weight = 1 / PRIOR_SD**2 + 1 / doubt
    middle = difference / doubt / weight
    if trial is not None:
        both = [believed(Known(float(d), float(v)), trial.known) for d, v in zip(difference, doubt, strict=True)]
        middle, weight = np.array([b.mean for b in both]), np.array([1 / b.variance for b in both])
    half = _Z90 / np.sqrt(weight)
    if trial is not None:
        half = np.maximum(half, np.abs(middle) + LEAST)
    return middle, middle - half, middle + half


def company_horizon(company: Company, win: WinModel) -> int:
    """Weeks within which 'won' is meant: the model's own, which a change in company.yaml reaches with retraining."""
    return int(getattr(win, "horizon_weeks", company.win.horizon_weeks))


def _step(
    action: Action, X: pd.DataFrame, unmet: pd.DataFrame, just_done: Mapping[str, npt.NDArray[np.bool_]],
    evidence: Evidence | None,
) -> Step:  # fmt: skip
    """The deals that a step fits, and with whom it is to be done."""
    fits = action.fits(X) & ~just_done.get(action.name, np.zeros(len(X), dtype=bool))
    if evidence is not None:
        fits = fits & ~evidence.barred
    contact = np.full(len(X), None, dtype=object)
    if action.needs:
        contact = unmet[action.needs].to_numpy(object)
        fits = fits & np.array([c is not None for c in contact])
    return Step(action, np.flatnonzero(fits), contact)


def _ends(steps: Sequence[Step], supposed: Sequence[pd.DataFrame], n: int) -> list[dict[str, npt.NDArray[np.bool_]]]:
    """For each step, by other step, the deals of which that one fits now and not once the step is done, shape (n,)."""
    found: list[dict[str, npt.NDArray[np.bool_]]] = [{} for _ in steps]
    if not (sizes := [len(moved) for moved in supposed]) or not sum(sizes):
        return found
    every, starts = pd.concat(supposed, ignore_index=True), np.cumsum([0, *sizes])
    for other in steps:
        still, now = other.action.fits(every), np.zeros(n, dtype=bool)
        now[other.rows] = True
        for k, step in enumerate(steps):
            gone = np.zeros(n, dtype=bool)
            gone[step.rows] = now[step.rows] & ~still[starts[k] : starts[k + 1]]
            found[k][other.action.name] = gone
    return found


def _gains(
    step: Step, moved: pd.DataFrame, ends: Mapping[str, npt.NDArray[np.bool_]], X: pd.DataFrame, win: WinModel,
    chance: Floats, gaps: Gaps, evidence: Evidence | None, trial: Randomised | None,
) -> _Gains:  # fmt: skip
    """What a step would change; `moved` are the deals that it fits as they would look right after it."""
    fits, difference = np.zeros(len(X), dtype=bool), np.zeros(len(X))
    fits[step.rows] = True
    if len(step.rows):
        difference[step.rows] = win.predict_proba_won(moved) - chance[step.rows]
    after = gaps.moved(step.rows, moved)
    uplift, low, high = shrunk(difference, trial)
    if evidence is not None:
        own = ((evidence.uplift, uplift), (evidence.low, low), (evidence.high, high))
        told = evidence.holds | evidence.speaks | evidence.leans
        uplift, low, high = (np.where(told, found, seen) for found, seen in own)
    return _Gains(step.action, fits, after, gaps.pull(after), ends, uplift, low, high, step.contact, evidence)


def _just_done(
    X: pd.DataFrame, actions: Sequence[Action], view: View, company: Company, at: pd.Timestamp
) -> dict[str, npt.NDArray[np.bool_]]:
    """By step, deals on which it was done within its cooling-off time, shape (n,)."""
    cooling = {a.name: a for a in actions if a.shows and a.cooling_off_days}
    past = past_of(view, X[["deal_id", "as_of"]], {a.name: a.kind for a in cooling.values()}, company=company, until=at)
    return {n: since_last(X, past.taken[n]) < a.cooling_off_days * DAY for n, a in cooling.items()}


def _ranked(
    X: pd.DataFrame, gains: list[_Gains], chance: Floats, due: Mapping[str, list[Duty]], told: _Told
) -> list[dict[str, object]]:
    amount = _amount(X)
    low = chance < _HOPELESS * np.median(chance)
    lines: list[dict[str, object]] = []
    ranked = [sorted((g for g in gains if g.starts(row)), key=lambda g: g.place(row)) for row in range(len(X))]
    best_tier = min((best[0].tier(row) for row, best in enumerate(ranked) if best), default=0)
    for row, (deal, best) in enumerate(zip(X["deal_id"], ranked, strict=True)):
        # Where there is ground for some step in the company, one with less of it may follow but never leads.
        leads = bool(best) and best[0].tier(row) == best_tier
        shown = _distinct(best, row)[:MOST] if leads else []
        owed = due.get(deal, [])[: MOST - len(shown)]
        lines += [_line(deal, rank, gain, row, amount[row], told) for rank, gain in enumerate(shown, start=1)]
        lines += [_duty_line(deal, rank, duty) for rank, duty in enumerate(owed, start=len(shown) + 1)]
        if not best and not owed and low[row] and gains and not _any_helps(gains, row):
            said = [{"en": PAUSE.why_en, "zh": PAUSE.why_zh}]
            lines.append(_cells(deal, 1, PAUSE, _nothing_known(), said, None, 0.0))
    return lines


def _any_helps(gains: list[_Gains], row: int) -> bool:
    return any(gain.fits[row] and gain.uplift[row] >= LEAST for gain in gains)


def _duty_line(deal: str, rank: int, duty: Duty) -> dict[str, object]:
    said = [duty.why, nothing_known()]
    return _cells(deal, rank, duty.action, _nothing_known(), said, None, 0.0) | {"colleague_id": duty.colleague}


def _nothing_known() -> tuple[float, float, float]:
    middle, low, high = (float(v[0]) for v in shrunk(np.zeros(1)))
    return middle, low, high


def _distinct(best: list[_Gains], row: int) -> list[_Gains]:
    """Of steps that look alike to the model (a visit, a meeting) only the first: their figures are the same one."""
    kept: list[_Gains] = []
    for gain in best:
        if all(abs(gain.uplift[row] - other.uplift[row]) > 1e-12 for other in kept):
            kept.append(gain)
    return kept


def _line(deal: str, rank: int, gain: _Gains, row: int, amount: float, told: _Told) -> dict[str, object]:
    figures = (float(gain.uplift[row]), float(gain.low[row]), float(gain.high[row]))
    action, basis, spoken = gain.action, gain.basis(row), gain.tier(row) < 2
    deals, weeks = (int(gain.evidence.deals[row]), gain.evidence.weeks) if gain.evidence else (0, 0)
    gap = told.gaps.largest(row, gain.after)
    said = [
        {"en": action.why_en, "zh": action.why_zh},
        *([below_won(gap, told.features[gap.feature])] if gap else []),
        rests_on(basis, spoken=spoken, deals=deals, weeks=(spoken and weeks) or told.weeks),
    ]
    value = figures[0] * amount - action.effort_hours * told.hour_cost
    ends = [name for name, gone in gain.ends.items() if gone[row] and name != action.name]
    return _cells(deal, rank, action, figures, said, gain.contact[row], value, basis, ends)


def _cells(
    deal: str, rank: int, action: Action, figures: tuple[float, float, float], said: list[dict[str, str]],
    contact: object, value: float, basis: Basis = "association", ends: Sequence[str] = (),
) -> dict[str, object]:  # fmt: skip
    return {
        "deal_id": deal,
        "rank": rank,
        "action": action.name,
        "due_in_days": action.due_in_days,
        "expected_uplift": figures[0],
        "uplift_low": figures[1],
        "uplift_high": figures[2],
        "basis": basis,
        "reasons": json.dumps(said, ensure_ascii=False),
        "contact_id": contact,
        "colleague_id": None,
        "expected_value": value,
        ENDS: json.dumps(list(ends)),
    }


def _table(lines: list[dict[str, object]], at: pd.Timestamp) -> pd.DataFrame:
    table = pd.DataFrame(lines, columns=[*COLUMNS[:-1], "as_of", ENDS])
    table["as_of"] = pd.Series(at, index=table.index).astype("datetime64[us, UTC]")
    numbers = ("expected_uplift", "uplift_low", "uplift_high", "expected_value")
    kinds: dict[str, object] = dict.fromkeys(numbers, np.float64) | {"rank": np.int64, "due_in_days": np.int64}
    for name in ("contact_id", "colleague_id"):
        table[name] = table[name].astype(object).where(table[name].notna(), None)
    return table.astype(kinds)


def _amount(X: pd.DataFrame) -> Floats:
    amount, listed = values(X, "amount"), values(X, "list_amount")
    return np.where(np.isfinite(amount), amount, listed)


def _unmet(view: View, X: pd.DataFrame, at: pd.Timestamp) -> pd.DataFrame:
    """A decision maker and anyone at the account whom nobody has met about the deal; None where there is none."""
    with connect() as con:
        view.attach(con)
        con.register("asked", pa.table({"deal_id": pa.array(X["deal_id"].tolist(), pa.string())}))
        found = con.execute(_UNMET, {"at": at.to_pydatetime()}).df().set_index("deal_id")
    table = found.reindex(X["deal_id"]).astype(object)
    return table.where(table.notna(), None).reset_index()


def _process_steps(view: View, at: pd.Timestamp) -> frozenset[str]:
    """Kinds of activity that come with a move to another stage nine times of ten: part of the stage, not a choice."""
    if "deal_changes" not in view.present:
        return frozenset()
    with connect() as con:
        view.attach(con)
        rows = con.execute(_WITH_A_MOVE, {"at": at.to_pydatetime()}).fetchall()
    return frozenset(kind for kind, times, moved in rows if times >= _PROCESS_ROWS and moved > _PROCESS_STEP)
