"""What nobody in the company can see: true win probabilities, true effects of actions, true chances to leave."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import pandas as pd

from crm.simulation.calendar import TAIL_WEEKS
from crm.simulation.customers import RENEWAL_LEAD_WEEKS, YEARLY
from crm.simulation.deals import deal_ids
from crm.simulation.history import History, gather
from crm.simulation.pipeline import Rows
from crm.simulation.process import (
    ABSENT_ACTIVITY,
    ACTIONS,
    ADVANCE,
    BACK,
    EFFECTIVE,
    GRADES,
    MET,
    N_INTEREST,
    N_MARKS,
    N_STAGES,
    PRESENT,
    SEGMENTS,
    SHOWN,
    SKIP,
    WIN,
    Process,
    all_lots,
    chances,
    may_work,
    parts_of,
)
from crm.simulation.randomness import Floats, Ints
from crm.simulation.record import beliefs

_MARKED = {"involve_decision_maker": MET, "demo": SHOWN}


def true_tables(history: History) -> dict[str, pd.DataFrame]:
    """Compute the truth of every deal-week in the history.

    Returns
    -------
    dict of str to pd.DataFrame
        `deals`: deal_id, as_of (Mondays at 0:00 UTC), p_won: chance to be won in the end given the hidden state
        (interest, quality, the owner's skill and style) and business as usual; p_won_given_record: the same given
        only the deal's own record, see `crm.simulation.record`: about the best a model can do; effect_* of the
        actions that have one: P(won, action this week, then as usual) less P(won, no such action this week, then as
        usual).
        `deal_effects`: the same effects for deals open at the end, a row an action: deal_id, as_of, action, effect.
        `effects`: action, segment (or all), effect: its mean over all open deals of all weeks, n.
        `accounts`: account_id, as_of, satisfaction (0 to 4), p_leaves_week: chance to leave within the week,
        in_renewal: whether a yearly contract is up for renewal.
    """
    rows = gather(history.pipeline.log["truth"])
    belief = beliefs(history)
    cuts = np.searchsorted(rows["week"], np.arange(history.calendar.weeks + 2))
    p_won, p_record = np.zeros(len(belief)), np.zeros(len(belief))
    effects = np.zeros((len(belief), len(ACTIONS)))
    for week, value, gains in _backwards(history.process):
        mine = slice(int(cuts[week]), int(cuts[week + 1]))
        state = tuple(rows[name][mine] for name in ("lot", "stage", "interest", "marks"))
        p_won[mine] = value[state]
        lot = state[0] // len(GRADES) * len(GRADES)
        every = value[lot[:, None] + np.arange(len(GRADES)), state[1][:, None], :, state[3][:, None]]
        p_record[mine] = (belief[mine] * every).sum(axis=(1, 2))
        for action, gain in gains.items():
            effects[mine, ACTIONS.index(action)] = gain[state]
    as_of = _moment(history, rows["week"])
    ids = np.array(deal_ids(rows["key"]), dtype=object)
    last = slice(int(cuts[history.calendar.weeks]), None)
    return {
        "deals": pd.DataFrame(
            {"deal_id": ids, "as_of": as_of, "p_won": p_won, "p_won_given_record": p_record}
            | {f"effect_{action}": effects[:, ACTIONS.index(action)] for action in EFFECTIVE}
        ),
        "deal_effects": _long(ids[last], as_of[last], effects[last]),
        "effects": _mean_effects(rows, effects),
        "accounts": _accounts(history),
    }


def _backwards(process: Process) -> Iterator[tuple[int, Floats, dict[str, Floats]]]:
    """From the last week to the first: the win probability of every state, and what each action adds to it.

    Backward induction over the weekly chain: V_w(s) = sum over what may happen in week w of its chance times
    V_{w+1} of where it leads; 1 when won, 0 when lost, and 0 for what is still open after the tail.
    """
    actions = _usual(process)
    rates = process.rates
    value = np.zeros((len(all_lots()), N_STAGES, N_INTEREST, N_MARKS))
    weeks = process.calendar.weeks
    for week in range(weeks + TAIL_WEEKS, -1, -1):
        after = _after_moves(process, _after_event(chances(rates * process.pulse[week]), value))
        value, gains = _choose(process, actions, after, week, with_gains=week <= weeks)
        if week <= weeks:
            yield week, value, gains


def _usual(process: Process) -> Floats:
    """(lots, stages, interest, marks, actions): chance of an action in a week, at work or not; e-mail: one or more."""
    table = np.repeat(process.actions, len(GRADES), axis=0)
    at_work, away = table.copy(), table * ABSENT_ACTIVITY
    for part in (at_work, away):
        part[..., 0] = -np.expm1(-part[..., 0])
    return np.asarray(PRESENT * at_work + (1 - PRESENT) * away)


def _after_event(chance: Floats, value: Floats) -> Floats:
    """(lots, stages, interest, marks): expectation once interest is settled and the week's event is still to come."""
    kind = parts_of(all_lots())[0]
    last = np.array([4, 4, 2, 2])[kind]
    stay = 1 - chance.sum(axis=-1)
    total = chance[..., WIN, None] + stay[..., None] * value
    lots = np.arange(len(kind))[:, None]
    for event, step in ((ADVANCE, 1), (SKIP, 2), (BACK, -1)):
        to = np.clip(np.arange(N_STAGES)[None, :] + step, 0, last[:, None])
        total += chance[..., event, None] * value[lots, to]
    return np.asarray(total)


def _after_moves(process: Process, settled: Floats) -> Floats:
    """The same before interest has drifted up or down by itself."""
    rise, fall = (process.moves[all_lots() % len(GRADES), n][:, None, None, None] for n in (0, 1))
    up = settled[:, :, np.minimum(np.arange(N_INTEREST) + 1, N_INTEREST - 1)]
    down = settled[:, :, np.maximum(np.arange(N_INTEREST) - 1, 0)]
    return np.asarray(rise * up + fall * down + (1 - rise - fall) * settled)


def _choose(
    process: Process, usual: Floats, after: Floats, week: int, *, with_gains: bool
) -> tuple[Floats, dict[str, Floats]]:
    """Win probability before the week's actions; for each effective action, done for sure less not done."""
    segment = parts_of(all_lots())[1]
    marks = np.arange(N_MARKS)
    works = {
        action: process.lift(action, segment, week)[:, None, None, None] * may_work(action, marks)[None, None, None, :]
        for action in EFFECTIVE
    }
    usual_of = {action: usual[..., ACTIONS.index(action)] for action in EFFECTIVE}
    value = _mix(usual_of, works, after)
    gains = {}
    if with_gains:
        for action in EFFECTIVE:
            done = _mix(usual_of | {action: np.ones_like(value)}, works, after)
            # value = c done + (1 - c) undone, so done - undone = (done - value) / (1 - c); c is at most 0.9.
            # Where an action cannot work, what is left is rounding.
            gains[action] = np.where(works[action] > 0, (done - value) / (1 - usual_of[action]), 0.0)
    return value, gains


def _mix(chance: dict[str, Floats], works: dict[str, Floats], after: Floats) -> Floats:
    """Sum over which marking actions are done; the others only raise interest, so their chances multiply out."""
    raised = after[:, :, np.minimum(np.arange(N_INTEREST) + 1, N_INTEREST - 1)]
    plain = [action for action in EFFECTIVE if action not in _MARKED]
    unmoved_by_plain = np.prod([1 - chance[action] * works[action] for action in plain], axis=0)
    total = np.zeros_like(after)
    for flags in product((False, True), repeat=len(_MARKED)):
        weight, unmoved = np.ones_like(after), unmoved_by_plain
        to = np.arange(N_MARKS)
        for (action, mark), done in zip(_MARKED.items(), flags, strict=True):
            weight = weight * (chance[action] if done else 1 - chance[action])
            if done:
                unmoved, to = unmoved * (1 - works[action]), to | mark
        total += weight * (unmoved * after[..., to] + (1 - unmoved) * raised[..., to])
    return total


def _moment(history: History, week: Ints) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(pd.to_datetime(history.calendar.monday_us[week], unit="us", utc=True)).as_unit("us")


def _long(ids: np.ndarray, as_of: pd.DatetimeIndex, effects: Floats) -> pd.DataFrame:
    count = len(ACTIONS)
    return pd.DataFrame(
        {
            "deal_id": np.repeat(ids, count),
            "as_of": as_of.repeat(count),
            "action": np.tile(np.array(ACTIONS, dtype=object), len(ids)),
            "effect": effects.ravel(),
        }
    )


def _mean_effects(rows: Rows, effects: Floats) -> pd.DataFrame:
    found = []
    for segment, name in enumerate((*SEGMENTS, "all")):
        mine = rows["segment"] == segment if segment < len(SEGMENTS) else np.ones(len(effects), dtype=bool)
        means = effects[mine].mean(axis=0) if mine.any() else np.full(len(ACTIONS), np.nan)
        found += [(action, name, float(mean), int(mine.sum())) for action, mean in zip(ACTIONS, means, strict=True)]
    return pd.DataFrame(found, columns=["action", "segment", "effect", "n"])


def _accounts(history: History) -> pd.DataFrame:
    rows = gather(history.customers.log["truth"])
    due = rows["renews"] - rows["week"]
    waits = rows["contract"] == YEARLY
    return pd.DataFrame(
        {
            "account_id": history.market.accounts["account_id"].to_numpy()[rows["account"]],
            "as_of": _moment(history, rows["week"]),
            "satisfaction": rows["mood"],
            # A yearly contract can end only when it is due to be renewed.
            "p_leaves_week": np.where(waits, 0.0, rows["hazard"]),
            "in_renewal": waits & (due <= RENEWAL_LEAD_WEEKS),
        }
    )
