"""What the record says of a deal's hidden state: a forward filter over interest and grade, week by week.

It knows the process and each owner's skill and style, and sees each deal's first-day fields, stages, actions, answers,
planned closing days and calls; not the hidden fit of the account, the competitor, luck, or other deals. So it is about
the best that any model can do from a deal's own record (Rabiner 1989, "A tutorial on hidden Markov models", for the
recursion). It takes usual practice for granted: under a policy its likelihoods are off.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr
from scipy.stats import poisson

from crm.simulation.deals import LEAD, NEW, SOURCES, visible_quality
from crm.simulation.history import History, gather
from crm.simulation.pipeline import (
    CALL_COMMIT,
    CALL_NOISE,
    CALL_RATE,
    PULL_RATE,
    PUSH_RATE,
    Rows,
    call_score,
)
from crm.simulation.process import (
    ABSENT_ACTIVITY,
    ACTIONS,
    EFFECTIVE,
    GRADES,
    INBOUND_RATE,
    LOSS,
    N_INTEREST,
    REPLY_RATE,
    may_work,
)
from crm.simulation.randomness import Floats, Ints

_GRADES = np.arange(len(GRADES))
_INTEREST = np.arange(N_INTEREST)


def beliefs(history: History) -> Floats:
    """Chance of each grade and interest at the start of each deal-week.

    Returns
    -------
    float32, shape (rows, grades, interest)
        Rows as `gather(history.pipeline.log["truth"])` has them.
    """
    states, seen = history.pipeline.log["truth"], history.pipeline.log["seen"]
    prior = _Prior(history)
    belief = prior.of(states[0]["key"])
    found = [belief.astype(np.float32)]
    for state, acts, after in zip(states[:-1], seen, states[1:], strict=True):
        stays = np.flatnonzero(acts["event"] > LOSS)
        week = int(state["week"][0])
        kept = {name: values[stays] for name, values in state.items()}
        kept |= {name: values[stays] for name, values in acts.items()}
        kept["new_stage"] = after["stage"][: len(stays)]
        belief = np.concatenate([_next(history, week, kept, belief[stays]), prior.of(after["key"][len(stays) :])])
        found.append(belief.astype(np.float32))
    return np.concatenate(found)


class _Prior:
    """What is known of a deal on its first day."""

    def __init__(self, history: History) -> None:
        deals = gather(history.pipeline.done)
        order = np.argsort(deals["key"])
        self._deals = {name: values[order] for name, values in deals.items()}
        self._history = history
        states = gather(history.pipeline.log["truth"])
        begun, first = np.unique(states["key"], return_index=True)
        rows = np.searchsorted(self._deals["key"], begun)
        group = _group({name: self._deals[name][rows] for name in ("kind", "source")})
        # Where interest comes from satisfaction or from a lead, the company's own shares stand for it.
        self._shares = {
            number: np.bincount(states["interest"][first][group == number], minlength=N_INTEREST) + 0.5
            for number in (1, 2, 3)
        }

    def of(self, keys: Ints) -> Floats:
        """(deals, grades, interest)."""
        rows = np.searchsorted(self._deals["key"], keys)
        deals = {name: values[rows] for name, values in self._deals.items()}
        drift = self._history.calendar.drift[np.clip(deals["week"], 0, self._history.calendar.weeks)]
        industry = self._history.market.industry[deals["account"]]
        mean, spread = visible_quality(
            deals["kind"], deals["source"], industry, deals["family"], deals["need_score"], drift
        )
        mean = mean + self._history.staff.skill[deals["first_owner"]]
        half = (GRADES[1] - GRADES[0]) / 2
        edges = np.concatenate([[-np.inf], GRADES[:-1] + half, [np.inf]])
        grade = np.diff(ndtr((edges[None, :] - mean[:, None]) / spread[:, None]), axis=1)
        return np.asarray(grade[:, :, None] * self._interest(deals))

    def _interest(self, deals: Rows) -> Floats:
        levels = np.concatenate([[-np.inf], _INTEREST[:-1] + 0.5, [np.inf]])
        drawn = np.diff(ndtr((levels[None, :] - 2 - 0.35 * GRADES[:, None]) / 0.8), axis=1)
        chance = np.repeat(drawn[None], len(deals["key"]), axis=0)
        group = _group(deals)
        for number, share in self._shares.items():
            chance[group == number] = share / share.sum()
        return chance


def _group(deals: Rows) -> Ints:
    """0 interest drawn from quality, 1 expansions, 2 renewals, 3 deals that were leads."""
    converted = (deals["kind"] == NEW) & (deals["source"] == SOURCES.index("lead"))
    return np.where(converted, 3, np.where(deals["kind"] == LEAD, 0, deals["kind"]))


def _next(history: History, week: int, rows: Rows, belief: Floats) -> Floats:
    """One week: weigh by what was done and answered, move interest, weigh by what followed."""
    present = history.staff.present[rows["owner"], week]
    belief = belief * _acts(history, rows, present)[:, None, :]
    belief = _moved(history, week, rows, belief)
    belief = belief * _event(history, week, rows) * _plans(history, week, rows, present)[:, None, :]
    return np.asarray(belief / np.maximum(belief.sum(axis=(1, 2), keepdims=True), 1e-300))


def _acts(history: History, rows: Rows, present: Ints) -> Floats:
    """(deals, interest): likelihood of the week's actions and answers."""
    lot = rows["lot"] // len(GRADES)
    chance = history.process.actions[lot[:, None], rows["stage"][:, None], _INTEREST[None, :], rows["marks"][:, None]]
    chance = chance * np.where(present, 1.0, ABSENT_ACTIVITY)[:, None, None]
    done = rows["done"][:, None, :]
    likely = np.prod(np.where(done, chance, 1 - chance)[..., 1:], axis=-1)
    likely *= poisson.pmf(rows["emails"][:, None], chance[..., 0])
    answered, silent = rows["replies"][:, None], (rows["emails"] - rows["replies"])[:, None]
    likely *= REPLY_RATE**answered * (1 - REPLY_RATE) ** silent
    return np.asarray(likely * np.where(rows["writes"][:, None], INBOUND_RATE, 1 - INBOUND_RATE))


def _moved(history: History, week: int, rows: Rows, belief: Floats) -> Floats:
    unmoved = np.ones(len(belief))
    for action in EFFECTIVE:
        works = rows["done"][:, ACTIONS.index(action)] & may_work(action, rows["marks"])
        unmoved *= 1 - works * history.process.lift(action, rows["segment"], week)
    lifted = _shift_up(belief) * (1 - unmoved)[:, None, None] + belief * unmoved[:, None, None]
    rise, fall = history.process.moves.T
    stay = (1 - rise - fall)[None, :, None]
    return np.asarray(
        _shift_up(lifted) * rise[None, :, None] + _shift_down(lifted) * fall[None, :, None] + lifted * stay
    )


def _shift_up(belief: Floats) -> Floats:
    moved = np.zeros_like(belief)
    moved[..., 1:] = belief[..., :-1]
    moved[..., -1] += belief[..., -1]
    return moved


def _shift_down(belief: Floats) -> Floats:
    return _shift_up(belief[..., ::-1])[..., ::-1]


def _event(history: History, week: int, rows: Rows) -> Floats:
    """(deals, grades, interest): likelihood of the week's event, or of none."""
    lot = rows["lot"] // len(GRADES) * len(GRADES)
    chance = history.process.event_chances(
        lot[:, None, None] + _GRADES[None, :, None], rows["stage"][:, None, None], _INTEREST[None, None, :], week
    )
    chance = np.concatenate([chance, 1 - chance.sum(axis=-1, keepdims=True)], axis=-1)
    return np.asarray(np.take_along_axis(chance, rows["event"][:, None, None, None], axis=-1)[..., 0])


def _plans(history: History, week: int, rows: Rows, present: Ints) -> Floats:
    """(deals, interest): likelihood of what became of the planned closing day and of the owner's call."""
    today = history.calendar.start_day + 7 * week
    due, later, sooner = rows["day"] <= today + 6, rows["new_day"] > rows["day"], rows["new_day"] < rows["day"]
    could_pull = ~due & (rows["day"] - today > 14)
    pushed = np.where(later[:, None], PUSH_RATE, 1 - PUSH_RATE)
    pulled = np.where(sooner[:, None], PULL_RATE, 1 - PULL_RATE)
    likely = np.where((due & present)[:, None], pushed, 1.0) * np.where(could_pull[:, None], pulled, 1.0)
    score = call_score(rows["kind"][:, None], rows["new_stage"][:, None], _INTEREST[None, :])
    score = score + history.staff.call_bias[rows["owner"]][:, None]
    below, committed = ndtr(-score / CALL_NOISE), ndtr((score - CALL_COMMIT) / CALL_NOISE)
    call = np.stack([below, 1 - below - committed, committed], axis=-1)
    now = np.maximum(rows["new_call"], 0)[:, None, None]
    said = CALL_RATE * np.take_along_axis(call, now, axis=-1)[..., 0]
    unchanged = rows["new_call"] == rows["call"]
    said = np.where(unchanged[:, None], 1 - CALL_RATE + said, said)
    return np.asarray(likely * np.where((rows["kind"] == LEAD)[:, None], 1.0, said))
