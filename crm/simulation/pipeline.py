"""Open deals, a week at a time: actions, interest, stages, amounts, closing days, calls, closing, handing over."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crm.simulation.calendar import DAY_US
from crm.simulation.deals import LEAD, RENEWAL, Births, births, describe, lead_child
from crm.simulation.market import Market
from crm.simulation.policy import Policy
from crm.simulation.process import (
    ABSENT_ACTIVITY,
    ACTIONS,
    EFFECTIVE,
    GRADES,
    INBOUND_RATE,
    LOSS,
    MET,
    N_INTEREST,
    PROPOSAL,
    REPLY_RATE,
    SHOWN,
    WIN,
    Process,
    after_event,
    grade_of,
    lot_of,
    may_work,
)
from crm.simulation.randomness import Bools, Dice, Floats, Ints
from crm.simulation.staff import Staff

Rows = dict[str, NDArray[Any]]
CATEGORIES = ("pipeline", "best case", "commit", "closed", "omitted")
OTHER_KINDS = ("reply", "inbound email", "proposal")
"""Activities that are no choice of the rep; coded behind `ACTIONS`."""
OPEN, WON, LOST = range(3)
_LEAD_SOURCE = 5
PUSH_RATE = np.array([0.26, 0.38, 0.50, 0.62, 0.74])
"""Chance in a week that a planned closing day that has come up is put off, by interest."""
PULL_RATE = np.array([0.0, 0.0, 0.0, 0.02, 0.02])
CALL_RATE, CALL_NOISE, CALL_COMMIT = 0.25, 0.45, 0.75
"""The rep's own call: how often it is looked at, its noise, how far above 'best case' it must be for 'commit'."""
_HOUR_US = 3_600_000_000
_EPOCH = date(1970, 1, 1)


def call_score(kind: Ints, stage: Ints, interest: Ints) -> Floats:
    """How good a deal looks to an unbiased rep; above 0 it is called 'best case'."""
    return np.asarray(2.2 * stage / np.where(kind == RENEWAL, 2, 4) + 0.30 * (interest - 2) - 1.55, dtype=np.float64)


class Pipeline:
    """All open deals; what happened is kept in `log` by table, what is over in `done`.

    Parameters
    ----------
    seed : int
    process, market, staff
        The company.
    policy : Policy or None
        What is done differently, and from when.
    """

    def __init__(self, seed: int, process: Process, market: Market, staff: Staff, policy: Policy | None) -> None:
        self._seed, self._process, self._market, self._staff, self._policy = seed, process, market, staff, policy
        self._calendar = process.calendar
        self.log: dict[str, list[Rows]] = defaultdict(list)
        self.done: list[Rows] = []
        self.open: Rows = {}

    def begin(self, week: int, born: Births) -> None:
        """Take in the deals that were opened in this week; they move from the next week on."""
        fresh = describe(self._seed, born, self._market, self._calendar)
        dice = Dice(self._seed, "begin", born.key, 0)
        quality = fresh.quality + self._staff.skill[fresh.owner]
        drawn = np.clip(np.rint(2 + 0.35 * quality + 0.8 * dice.normal("interest")), 0, N_INTEREST - 1)
        rows: Rows = {
            name: getattr(fresh, name)
            for name in ("key kind account owner created product source family quantity list_amount amount speed "
                         "quality competitor need_score form close_day foreign stage").split()
        }  # fmt: skip
        rows["interest"] = np.where(fresh.interest >= 0, fresh.interest, drawn).astype(np.int64)
        rows["marks"] = np.zeros(len(born), dtype=np.int64)
        rows["segment"] = self._market.segment[fresh.account]
        rows["week"] = np.full(len(born), week)
        rows["lot"] = self._lots(rows)
        rows["first_owner"], rows["first_stage"] = rows["owner"].copy(), rows["stage"].copy()
        rows["category"] = np.where(rows["kind"] == LEAD, -1, 0)
        self.open = {n: np.concatenate([self.open[n], rows[n]]) for n in rows} if self.open else rows

    def hand_over(self, week: int) -> None:
        """Give the deals of those who leave this week to their colleagues."""
        for leaver, heirs in self._staff.leaving.get(week, []):
            mine = np.flatnonzero(self.open["owner"] == leaver)
            heir = np.array(heirs)[(self.open["key"][mine] * 7919 + 13) % len(heirs)]
            time = np.full(len(mine), self._calendar.monday_us[week] + 7 * _HOUR_US)
            self._changed("owner_id", mine, time, self.open["owner"][mine], heir)
            self.open["owner"][mine] = heir
            self.open["lot"] = self._lots(self.open)

    def remember(self, week: int) -> None:
        """Note the hidden state at the beginning of a week, for the true probabilities."""
        names = ("key", "lot", "stage", "interest", "marks", "segment", "kind")
        self.log["truth"].append(
            {n: self.open[n].copy() for n in names} | {"week": np.full(len(self.open["key"]), week)}
        )

    def step(self, week: int) -> tuple[Rows, Births]:
        """Live one week; return the deals that closed in it and the deals that converted leads become."""
        deals = self.open
        dice = Dice(self._seed, "deal week", deals["key"], week)
        before = deals["interest"].copy()
        emails, done = self._act(week, dice)
        self._move_interest(week, dice, done)
        event = self._event(week, dice)
        won, closes = event == WIN, event <= LOSS
        closing = self._calendar.closing_time(week, dice.uniform("closes"), won)
        until = np.where(closes, self._elapsed(week, closing), 1.0)
        replies, writes = self._log_activities(week, dice, before, emails, done, until)
        planned = {"day": deals["close_day"].copy(), "call": deals["category"].copy()}
        offered = self._move_stage(week, dice, event)
        self._plan(week, dice, until, offered)
        self.log["seen"].append(
            planned
            | {"done": done, "emails": emails, "replies": replies, "writes": writes, "event": event}
            | {
                "new_day": deals["close_day"].copy(),
                "new_call": deals["category"].copy(),
                "owner": deals["owner"].copy(),
            }
        )
        return self._close(closes, won, closing)

    def finish(self) -> None:
        """Put what is still open beside what is over."""
        self.done.append(self.open | self._ending(np.zeros(len(self.open["key"]), dtype=np.int64), -1))

    def _lots(self, rows: Rows) -> Ints:
        owner = rows["owner"]
        grade = grade_of(rows["quality"] + self._staff.skill[owner])
        return lot_of(rows["kind"], rows["segment"], rows["speed"], self._staff.style[owner], grade)

    def _act(self, week: int, dice: Dice) -> tuple[Ints, Bools]:
        deals = self.open
        chance = self._process.actions[deals["lot"] // len(GRADES), deals["stage"], deals["interest"], deals["marks"]]
        at_work = np.where(self._staff.present[deals["owner"], week], 1.0, ABSENT_ACTIVITY)
        chance = chance * at_work[:, None]
        emails = dice.poisson("emails", chance[:, 0])
        drawn = [dice.uniform(f"do {action}") for action in ACTIONS[1:]]
        done = np.stack([emails > 0, *(draw < chance[:, n + 1] for n, draw in enumerate(drawn))], axis=1)
        policy = self._policy
        if policy is not None and self._calendar.start_day + 7 * week >= (policy.start - _EPOCH).days:
            seen = {n: deals[n] for n in ("key", "kind", "segment", "stage")} | {"weeks_open": week - deals["week"]}
            done = policy.change(done, pd.DataFrame(seen), dice)
            emails = np.where(done[:, 0], np.maximum(emails, 1), 0)
        return emails, done

    def _move_interest(self, week: int, dice: Dice, done: Bools) -> None:
        deals = self.open
        unmoved = np.ones(len(deals["key"]))
        for action in EFFECTIVE:
            works = done[:, ACTIONS.index(action)] & may_work(action, deals["marks"])
            unmoved *= 1 - works * self._process.lift(action, deals["segment"], week)
        interest = np.minimum(deals["interest"] + (dice.uniform("lift") > unmoved), N_INTEREST - 1)
        deals["marks"] |= (
            MET * done[:, ACTIONS.index("involve_decision_maker")] | SHOWN * done[:, ACTIONS.index("demo")]
        )
        rise, fall = self._process.moves[deals["lot"] % len(GRADES)].T
        draw = dice.uniform("interest")
        deals["interest"] = np.clip(interest + (draw < rise) - (draw > 1 - fall), 0, N_INTEREST - 1)

    def _event(self, week: int, dice: Dice) -> Ints:
        deals = self.open
        chance = self._process.event_chances(deals["lot"], deals["stage"], deals["interest"], week)
        return np.asarray((dice.uniform("event")[:, None] > np.cumsum(chance, axis=1)).sum(axis=1), dtype=np.int64)

    def _elapsed(self, week: int, time: Ints) -> Floats:
        """Share of the week's working hours that has passed at a moment; undoes `working_time`."""
        day, rest = np.divmod(time - self._calendar.monday_us[week], DAY_US)
        return np.asarray((day + (rest / _HOUR_US - 8) / 9) / 5, dtype=np.float64)

    def _move_stage(self, week: int, dice: Dice, event: Ints) -> Ints:
        """Move deals on or back; return the rows of those that got a proposal."""
        deals = self.open
        stage = after_event(deals["kind"], deals["stage"], event)
        rows = np.flatnonzero(stage != deals["stage"])
        time = self._calendar.working_time(week, dice.uniform("moves")[rows])
        self._changed("stage", rows, time, deals["stage"][rows], stage[rows])
        offered = rows[(stage[rows] == PROPOSAL) & (deals["stage"][rows] < PROPOSAL)]
        deals["stage"] = stage
        sent = self._calendar.working_time(week, dice.uniform("moves")[offered]) + _HOUR_US // 2
        self._log_rows("activities", offered, time=sent, code=len(ACTIONS) + 2, minutes=0, contact=0)
        discount = (dice.uniform("discount")[offered] < 0.5) * (0.03 + 0.12 * dice.uniform("how much off")[offered])
        self._change_amount(offered[discount > 0], sent[discount > 0], (1 - discount)[discount > 0])
        return offered

    def _plan(self, week: int, dice: Dice, until: Floats, offered: Ints) -> None:
        """Change amounts, planned closing days and the owner's own call."""
        deals = self.open
        sale = deals["kind"] != LEAD
        sale[offered] = False  # their amount has just been settled
        resized = np.flatnonzero(sale & (dice.uniform("resize") < 0.035))
        time = self._calendar.working_time(week, until * dice.uniform("resized"))
        self._change_amount(resized, time[resized], np.exp(-0.02 + 0.18 * dice.normal("new size")[resized]))
        self._push(week, dice, until)
        self._call(week, dice, until)

    def _push(self, week: int, dice: Dice, until: Floats) -> None:
        deals = self.open
        today = self._calendar.start_day + 7 * week
        due = deals["close_day"] <= today + 6
        at_work = self._staff.present[deals["owner"], week]
        # A cold deal is put off further, and its date is more often left standing in the past.
        cold = 2.0 - deals["interest"]
        pushes = due & at_work & (until >= 1) & (dice.uniform("push") < PUSH_RATE[deals["interest"]])
        days = np.rint((12 + 30 * dice.uniform("how far")) * np.exp(0.15 * cold)).astype(np.int64)
        pulled = ~due & (until >= 1) & (dice.uniform("pull") < PULL_RATE[deals["interest"]])
        early = today + 7 + ((deals["close_day"] - today) * 0.5).astype(np.int64)
        day = np.where(pushes, np.maximum(deals["close_day"], today) + days, np.minimum(early, deals["close_day"]))
        rows = np.flatnonzero(pushes | (pulled & (day < deals["close_day"])))
        time = self._calendar.working_time(week, dice.uniform("pushed")[rows])
        self._changed("close_date", rows, time, deals["close_day"][rows], day[rows])
        deals["close_day"][rows] = day[rows]

    def _call(self, week: int, dice: Dice, until: Floats) -> None:
        deals = self.open
        sales = deals["kind"] != LEAD
        score = call_score(deals["kind"], deals["stage"], deals["interest"]) + self._staff.call_bias[deals["owner"]]
        score = score + CALL_NOISE * dice.normal("gut")
        call = (score > 0).astype(np.int64) + (score > CALL_COMMIT)
        looks = sales & (until >= 1) & (dice.uniform("looks") < CALL_RATE)
        rows = np.flatnonzero(looks & (call != deals["category"]))
        time = self._calendar.working_time(week, dice.uniform("called")[rows])
        self._changed("forecast_category", rows, time, deals["category"][rows], call[rows])
        deals["category"][rows] = call[rows]

    def _close(self, closes: Bools, won: Bools, closing: Ints) -> tuple[Rows, Births]:
        deals = self.open
        rows = np.flatnonzero(closes)
        day = closing[rows] // DAY_US
        moved = rows[deals["close_day"][rows] != day]
        self._changed("close_date", moved, closing[moved], deals["close_day"][moved], closing[moved] // DAY_US)
        deals["close_day"][rows] = day
        sale = rows[deals["kind"][rows] != LEAD]
        end = np.where(won[sale], CATEGORIES.index("closed"), CATEGORIES.index("omitted"))
        self._changed("forecast_category", sale, closing[sale], deals["category"][sale], end)
        deals["category"][sale] = end
        over = {n: v[rows] for n, v in deals.items()} | self._ending(np.where(won[rows], WON, LOST), closing[rows])
        self.open = {n: v[~closes] for n, v in deals.items()}
        self.done.append(over)
        turned = (over["kind"] == LEAD) & (over["outcome"] == WON)
        children = births(
            int(turned.sum()), kind=0, account=over["account"][turned], owner=over["owner"][turned],
            created=over["closed"][turned] + _HOUR_US // 4, key=lead_child(over["key"][turned]),
            source=np.array(_LEAD_SOURCE),
            interest=np.maximum(over["interest"][turned], 1), product=over["product"][turned],
        )  # fmt: skip
        return over, children

    def _ending(self, outcome: Ints, closed: Ints | int) -> Rows:
        return {"outcome": outcome, "closed": np.broadcast_to(np.asarray(closed), outcome.shape).copy()}

    def _change_amount(self, rows: Ints, time: Ints, factor: Floats) -> None:
        new = np.maximum(np.round(self.open["amount"][rows] * factor, 2), 1.0)
        differs = new != self.open["amount"][rows]
        rows, time, new = rows[differs], time[differs], new[differs]
        self._changed("amount", rows, time, self.open["amount"][rows], new)
        self.open["amount"][rows] = new

    def _changed(self, field: str, rows: Ints, time: Ints, old: NDArray[Any], new: NDArray[Any]) -> None:
        self.log[field].append(
            {"key": self.open["key"][rows], "kind": self.open["kind"][rows], "time": time, "old": old, "new": new}
        )

    def _log_activities(
        self, week: int, dice: Dice, interest: Ints, emails: Ints, done: Bools, until: Floats
    ) -> tuple[Ints, Bools]:
        """Write down what was done and what came back; return how many answers, and who wrote unasked."""
        replies = np.zeros(len(emails), dtype=np.int64)
        for number in range(int(emails.max(initial=0))):
            rows = np.flatnonzero(emails > number)
            sent = self._calendar.working_time(week, until[rows] * dice.uniform(f"sent {number}")[rows])
            contact = 1 + (dice.uniform(f"to {number}")[rows] * 997).astype(np.int64)
            self._log_rows("activities", rows, time=sent, code=0, minutes=0, contact=contact)
            back = dice.uniform(f"reply {number}")[rows] < REPLY_RATE[interest[rows]]
            wait = (np.exp(1.2 + dice.normal(f"wait {number}")[rows]) * _HOUR_US).astype(np.int64)
            # A reply that would come after the closing is not written any more.
            ends = np.where(until[rows] < 1, self._calendar.working_time(week, until[rows]), np.iinfo(np.int64).max)
            back &= sent + wait < ends
            replies[rows[back]] += 1
            late = (sent + wait)[back] // 1_000_000 * 1_000_000
            self._log_rows("activities", rows[back], time=late, code=len(ACTIONS), minutes=0, contact=contact[back])
        for code, action in enumerate(ACTIONS[1:], start=1):
            rows = np.flatnonzero(done[:, code])
            self._log_action(week, dice, code, action, rows, until)
        writes = dice.uniform("writes") < INBOUND_RATE[interest]
        self._log_action(week, dice, len(ACTIONS) + 1, "inbound", np.flatnonzero(writes), until)
        return replies, writes

    def _log_action(self, week: int, dice: Dice, code: int, action: str, rows: Ints, until: Floats) -> None:
        time = self._calendar.working_time(week, until[rows] * dice.uniform(f"at {action}")[rows])
        length = {"call": 12, "meeting": 45, "involve_decision_maker": 50, "demo": 60, "visit": 90}.get(action, 0)
        minutes = np.rint(length * np.exp(0.4 * dice.normal(f"length {action}")[rows])).astype(np.int64)
        # 0 stands for nobody, -1 for the account's decision maker, a positive number for one of the others.
        contact = 1 + (dice.uniform(f"with {action}")[rows] * 997).astype(np.int64)
        contact = {"involve_decision_maker": np.full(len(rows), -1), "note": 0 * rows, "task": 0 * rows}.get(
            action, contact
        )
        self._log_rows("activities", rows, time=time, code=code, minutes=minutes, contact=contact)

    def _log_rows(self, table: str, rows: Ints, **values: Ints | int) -> None:
        given = {n: np.broadcast_to(np.asarray(v), rows.shape) for n, v in values.items()}
        self.log[table].append({n: self.open[n][rows] for n in ("key", "account", "owner")} | given)
