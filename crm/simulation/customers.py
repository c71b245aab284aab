"""What customers do after they bought: satisfaction, tickets, surveys, orders, payments, contracts, leaving."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from crm.simulation.calendar import DAY_US
from crm.simulation.deals import EXPANSION, RENEWAL, Births, births, expansion_key, join, renewal_key
from crm.simulation.market import CONTRACT_OF_FAMILY, PRODUCTS, Market
from crm.simulation.process import INBOUND_RATE, Process
from crm.simulation.randomness import Bools, Dice, Floats, Ints

YEARLY, MONTHLY, ORDERS = 1, 2, 3
N_MOODS = 5
START_MOOD = 3
HAZARD = np.array([0.045, 0.018, 0.007, 0.0025, 0.001])
"""Weekly chance that a customer without yearly contract leaves, by satisfaction."""
_MOOD_UP, _MOOD_DOWN = 0.030, 0.022
_TICKET = np.array([0.11, 0.09, 0.06, 0.05, 0.04])
_TICKET_HURTS = np.array([0.20, 0.50])  # a minor one, a severe one
_SEVERE = 0.3
RENEWAL_LEAD_WEEKS = 13
_RENEWAL_INTEREST = np.array([0, 1, 2, 3, 4])
_EXPANSION = np.array([0.001, 0.004, 0.010, 0.015, 0.020])


class Customers:
    """State of every account, a week at a time; what happened is kept in `log`, by table."""

    def __init__(self, seed: int, process: Process, market: Market) -> None:
        self._seed, self._process, self._market = seed, process, market
        self._calendar = process.calendar
        count = len(market.seat)
        self.contract = np.zeros(count, dtype=np.int64)
        self.mood = np.full(count, START_MOOD)
        self.renews_week = np.full(count, 1 << 30)
        self.log: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._next_order = np.full(count, np.inf)
        self._gap = np.zeros(count)
        self._spend = np.zeros(count)
        self._product = np.zeros(count, dtype=np.int64)
        self._yearly = np.zeros(count)
        self._begin_with_old_customers()

    def step(self, week: int, owner: Ints, present: Bools) -> Births:
        """Live one week; return the renewals and expansions opened in it.

        Parameters
        ----------
        week : int
            Number of the week.
        owner : shape (accounts,)
            Who looks after each account this week.
        present : shape (people,)
            Who is at work.
        """
        live = np.flatnonzero(self.contract)
        dice = Dice(self._seed, "customer", live, week)
        self._record_truth(week, live)
        leaves = (self.contract[live] != YEARLY) & (dice.uniform("leave") < self.hazard(live))
        self.end(week, live[leaves], self._calendar.monday_us[week] // DAY_US + 7)
        live, dice = live[~leaves], Dice(self._seed, "customer", live[~leaves], week)
        hurt = self._tickets(week, live, dice)
        move = dice.uniform("mood")
        mood = self.mood[live] + (move < _MOOD_UP) - (move > 1 - _MOOD_DOWN) - hurt
        self._survey(week, live, dice)
        self._order(week, live, dice, owner)
        self._check_in(week, live, dice, owner, present)
        opened = self._opened(week, live, dice, owner)
        self.mood[live] = np.clip(mood, 0, N_MOODS - 1)
        return opened

    def hazard(self, accounts: Ints) -> Floats:
        """Weekly chance to leave of customers without a yearly contract."""
        if self._process.setting == "no_signal":
            return np.full(len(accounts), HAZARD[2])
        return HAZARD[self.mood[accounts]]

    def won(self, week: int, deals: dict[str, Ints], amount: Floats) -> None:
        """Take in won deals: `account, kind, product, family, gid, owner, time`; amount in the deal's currency."""
        account, kind = deals["account"], deals["kind"]
        renewal = kind == RENEWAL
        self.renews_week[account[renewal]] = np.maximum(self.renews_week[account[renewal]], week) + 52
        contract = CONTRACT_OF_FAMILY[deals["family"]]
        sale = ~renewal
        subscribed, bought = sale & (contract != ORDERS), sale & (contract == ORDERS)
        fresh = sale & (self.contract[account] == 0)
        # Two deals of one account won in the same week: the later row decides what the account becomes.
        self.contract[account[fresh]] = contract[fresh]
        self.mood[account[fresh]] = START_MOOD
        self._product[account[fresh]] = deals["product"][fresh]
        self._begin_contract(week, account[subscribed], amount[subscribed], deals["product"][subscribed],
                             deals["time"][subscribed] // DAY_US + 3)  # fmt: skip
        starts = bought & ~np.isfinite(self._next_order[account]) & (self.contract[account] == ORDERS)
        self._begin_orders(week, account[starts], amount[starts])
        paying = subscribed | renewal
        dice = Dice(self._seed, "won", deals["gid"], week)
        self._orders_of(
            account[bought], deals["time"][bought], amount[bought], deals["product"][bought],
            deals["gid"][bought], deals["owner"][bought], Dice(self._seed, "paid", account[bought], week),
        )  # fmt: skip
        days = (20 + 40 * dice.uniform("days")).astype(np.int64)
        self.log["payments"].append(
            {"account": account[paying], "order": np.full(int(paying.sum()), -1),
             "paid": (deals["time"] + days * DAY_US)[paying], "amount": amount[paying]}
        )  # fmt: skip

    def lost_renewals(self, week: int, accounts: Ints) -> None:
        """End the contracts whose renewal was lost: on the renewal day, or now if that has passed."""
        accounts = accounts[self.contract[accounts] == YEARLY]
        due = np.maximum(self.renews_week[accounts], week + 1)
        self.end(week, accounts, self._calendar.monday_us[0] // DAY_US + 7 * due)

    def end(self, week: int, accounts: Ints, day: Ints | int) -> None:
        """Let customers go in this week; their contracts end on the given day."""
        last = np.broadcast_to(np.asarray(day), accounts.shape).copy()
        self.log["ends"].append(
            {"account": accounts, "day": last, "told": 0 * last + self._calendar.start_day + 7 * week}
        )
        self.contract[accounts] = 0
        self.renews_week[accounts] = 1 << 30
        self._next_order[accounts] = np.inf
        self._yearly[accounts] = 0.0

    def _begin_with_old_customers(self) -> None:
        old = np.flatnonzero(self._market.customer_from_start)
        dice = Dice(self._seed, "old customer", old, 0)
        product = (dice.uniform("product") * len(PRODUCTS)).astype(np.int64)
        contract = CONTRACT_OF_FAMILY[PRODUCTS["family"].to_numpy()[product]]
        to_own = np.where(self._market.chinese[old], 1 / 0.128, 1.0)
        amount = np.array([4e3, 1.2e4, 4e4])[self._market.segment[old]] * np.exp(0.6 * dice.normal("amount")) * to_own
        self.contract[old], self._product[old] = contract, product
        self.mood[old] = 1 + (dice.uniform("mood") * 4).astype(np.int64)
        orders = contract == ORDERS
        self._begin_orders(0, old[orders], amount[orders])
        age = (dice.uniform("age") * 52).astype(np.int64)
        for weeks_old in range(52):
            mine = ~orders & (age == weeks_old)
            day = self._calendar.start_day - 7 * weeks_old
            self._begin_contract(
                -weeks_old, old[mine], np.round(amount[mine], 2), product[mine], np.full(int(mine.sum()), day)
            )

    def _begin_contract(self, week: int, account: Ints, amount: Floats, product: Ints, day: Ints) -> None:
        first = self._yearly[account] == 0
        self._yearly[account] += amount
        yearly = self.contract[account] == YEARLY
        renew = first & yearly & (self.renews_week[account] >= 1 << 30)
        self.renews_week[account[renew]] = week + 53
        self.log["subscriptions"].append(
            {"account": account, "day": day, "product": product, "mrr": np.round(amount / 12, 2),
             "quantity": np.maximum(1, np.rint(amount / (12 * 300))), "yearly": yearly}
        )  # fmt: skip

    def _begin_orders(self, week: int, account: Ints, amount: Floats) -> None:
        dice = Dice(self._seed, "rhythm", account, 0)
        self._gap[account] = 3 + 9 * dice.uniform("gap")
        self._spend[account] = np.maximum(0.25 * amount, 50.0)
        self._next_order[account] = week + 1 + self._gap[account] * dice.uniform("first")

    def _tickets(self, week: int, live: Ints, dice: Dice) -> Ints:
        opens = dice.uniform("ticket") < _TICKET[self.mood[live]]
        severe = dice.uniform("severe") < _SEVERE
        hurts = opens & (dice.uniform("hurts") < _TICKET_HURTS[severe.astype(np.int64)])
        opened = self._calendar.working_time(week, dice.uniform("opened"))
        days = np.exp(0.6 + 0.8 * severe + 0.9 * hurts + 0.7 * dice.normal("days"))
        score = np.clip(np.rint(self.mood[live] + 0.8 - 1.2 * hurts + 0.8 * dice.normal("score")), 1, 5)
        self.log["tickets"].append(
            {"account": live[opens], "opened": opened[opens],
             "closed": opened[opens] + (days[opens] * DAY_US).astype(np.int64),
             "severe": severe[opens], "score": np.where(dice.uniform("answered") < 0.6, score, -1)[opens]}
        )  # fmt: skip
        return hurts.astype(np.int64)

    def _survey(self, week: int, live: Ints, dice: Dice) -> None:
        asked = ((live + week) % 26 == 0) & (dice.uniform("survey") < 0.35)
        score = np.clip(np.rint(2.2 + 1.9 * self.mood[live] + 1.3 * dice.normal("survey score")), 0, 10)
        time = self._calendar.working_time(week, dice.uniform("asked"))
        self.log["surveys"].append({"account": live[asked], "asked": time[asked], "score": score[asked]})

    def _order(self, week: int, live: Ints, dice: Dice, owner: Ints) -> None:
        due = (self.contract[live] == ORDERS) & (self._next_order[live] <= week)
        account, mood = live[due], self.mood[live][due]
        # An unhappy customer orders later and less.
        stretch = np.array([1.7, 1.35, 1.1, 1.0, 0.95])[mood] * np.exp(0.25 * dice.normal("gap")[due])
        shrink = np.array([0.55, 0.75, 0.92, 1.0, 1.05])[mood] * np.exp(0.35 * dice.normal("spend")[due])
        self._next_order[account] = week + self._gap[account] * stretch
        time = self._calendar.working_time(week, dice.uniform("ordered")[due])
        amount = np.round(self._spend[account] * shrink, 2)
        none = np.full(len(account), -1)
        paid = Dice(self._seed, "paid", account, week + 4096)
        self._orders_of(account, time, amount, self._product[account], none, owner[account], paid)

    def _orders_of(
        self, account: Ints, time: Ints, amount: Floats, product: Ints, gid: Ints, owner: Ints, dice: Dice
    ) -> None:
        days = (12 + 45 * dice.uniform("days")).astype(np.int64)
        self.log["orders"].append(
            {"account": account, "time": time, "amount": amount, "product": product, "gid": gid, "owner": owner,
             "paid": np.where(dice.uniform("pays") < 0.97, time + days * DAY_US, -1),
             "returned": np.where(dice.uniform("returns") < 0.02, time + (days + 5) * DAY_US, -1),
             "cancelled": np.where(dice.uniform("cancels") < 0.01, time + 2 * DAY_US, -1)}
        )  # fmt: skip

    def _check_in(self, week: int, live: Ints, dice: Dice, owner: Ints, present: Bools) -> None:
        calls = (dice.uniform("check in") < 0.03) & present[owner[live]]
        writes = dice.uniform("writes") < 0.3 * INBOUND_RATE[self.mood[live]]
        for rows, code in ((calls, 0), (writes, 1)):
            time = self._calendar.working_time(week, dice.uniform(f"contact {code}"))
            self.log["contacts"].append(
                {
                    "account": live[rows],
                    "time": time[rows],
                    "owner": owner[live[rows]],
                    "inbound": np.full(int(rows.sum()), code),
                }
            )

    def _opened(self, week: int, live: Ints, dice: Dice, owner: Ints) -> Births:
        mood = self.mood[live]
        grows = dice.uniform("expand") < _EXPANSION[mood]
        renews = (self.contract[live] == YEARLY) & (self.renews_week[live] - week == RENEWAL_LEAD_WEEKS)
        time = self._calendar.working_time(week, dice.uniform("opens"))
        parts = []
        for rows, kind, key, source in (
            (grows, EXPANSION, expansion_key, 6),
            (renews, RENEWAL, renewal_key, 7),
        ):
            account = live[rows]
            own = np.where(self._market.chinese[account], 0.128, 1.0)
            given: dict[str, Any] = {"source": source}
            if kind == RENEWAL:
                given |= {"interest": _RENEWAL_INTEREST[mood[rows]], "value": self._yearly[account] * own,
                          "product": self._product[account]}  # fmt: skip
            else:
                given |= {"stage": 1, "interest": np.clip(mood[rows], 1, 3)}
            parts.append(
                births(len(account), kind=kind, account=account, owner=owner[account], created=time[rows],
                       key=key(account, week), **given)
            )  # fmt: skip
        return join(parts)

    def _record_truth(self, week: int, live: Ints) -> None:
        if week % 4 == self._calendar.weeks % 4:
            self.log["truth"].append(
                {"account": live, "week": np.full(len(live), week), "mood": self.mood[live].copy(),
                 "contract": self.contract[live], "renews": self.renews_week[live], "hazard": self.hazard(live)}
            )  # fmt: skip
