"""Deals, their lines, splits and changes, and all activities, as canonical tables."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crm.simulation.calendar import DAY_US
from crm.simulation.columns import Columns, canonical, days, money, numbered, pick, times
from crm.simulation.deals import COMPETITORS, LEAD, LOSS_REASONS, SOURCES, deal_ids
from crm.simulation.history import History, gather
from crm.simulation.market import BASE_CURRENCY, OTHER_CURRENCY, PRODUCTS
from crm.simulation.pipeline import CATEGORIES, LOST, OPEN, Rows
from crm.simulation.process import ACTIONS, KINDS, PIPELINES, STAGES
from crm.simulation.randomness import Dice, Ints

OUTCOMES = ("open", "won", "lost")
CURRENCIES = (BASE_CURRENCY, OTHER_CURRENCY)
STAGE_WORDS = [word for row in STAGES for word in (*row, *("",) * (5 - len(row)))]
_KIND_OF_CODE = ("email", "call", "meeting", "meeting", "demo", "visit", "note", "task", "email", "email", "proposal")
_DIRECTION_OF_CODE = np.array([1, 1, 1, 1, 1, 1, -1, -1, 0, 0, 1])
_DIRECTIONS = ("in", "out")
_REASON_SHARE = np.array([[0.30, 0.0, 0.40, 0.18, 0.12], [0.25, 0.35, 0.22, 0.11, 0.07]])
_REFERRAL = SOURCES.index("referral")
_ACCESSORIES = (8, 9)


def deal_tables(history: History) -> dict[str, pa.Table]:
    """Build deals, deal_lines, deal_splits, deal_changes, activities."""
    deals = gather(history.pipeline.done)
    order = np.lexsort((deals["key"], deals["created"]))
    deals = {name: values[order] for name, values in deals.items()}
    ids = pa.array(deal_ids(deals["key"]))
    finder = _Finder(deals["key"], ids)
    return {
        "deals": canonical("deals", _deals(history, deals, ids)),
        "deal_lines": canonical("deal_lines", _lines(history, deals, ids)),
        "deal_splits": canonical("deal_splits", _splits(history, deals, ids)),
        "deal_changes": canonical("deal_changes", _changes(history, finder)),
        "activities": canonical("activities", _activities(history, finder)),
    }


class _Finder:
    """From a deal's key to its identifier."""

    def __init__(self, keys: Ints, ids: pa.Array) -> None:
        self._order = np.argsort(keys)
        self._sorted, self._ids = keys[self._order], ids

    def ids(self, keys: Ints) -> pa.Array:
        place = np.minimum(np.searchsorted(self._sorted, keys), len(self._sorted) - 1)
        return pick(self._ids, np.where(keys >= 0, self._order[place], -1))


def deal_names(history: History, keys: Ints) -> pa.Array:
    """Identifiers of deals by key; -1 gives null."""
    deals = gather(history.pipeline.done)["key"]
    return _Finder(deals, pa.array(deal_ids(deals))).ids(keys)


def _deals(history: History, deals: Rows, ids: pa.Array) -> Columns:
    dice = Dice(history.seed, "deal record", deals["key"], 0)
    kind, lost, lead = deals["kind"], deals["outcome"] == LOST, deals["kind"] == LEAD
    accounts, reps = history.market.accounts, history.staff.reps
    rival = deals["competitor"]
    known = (rival > 0) & (dice.uniform("rival") < np.where(deals["outcome"] == OPEN, 0.3, 0.7)) & ~lead
    reason = dice.pick("reason", _REASON_SHARE[(rival > 0).astype(np.int64)])
    named = lost & (dice.uniform("reason given") < 0.85)
    referrers = np.flatnonzero(history.market.customer_from_start)
    referrer = (
        referrers[(dice.uniform("referrer") * len(referrers)).astype(np.int64)] if len(referrers) else 0 * kind - 1
    )
    referred = (deals["source"] == _REFERRAL) & (referrer != deals["account"])
    product = pick(PRODUCTS["name"].to_numpy(), deals["product"])
    return {
        "deal_id": ids,
        "account_id": pick(accounts["account_id"].to_numpy(), deals["account"]),
        "owner_id": pick(reps["rep_id"].to_numpy(), deals["owner"]),
        "product_id": pick(PRODUCTS["product_id"].to_numpy(), deals["product"]),
        "name": pc.binary_join_element_wise(pick(accounts["name"].to_numpy(), deals["account"]), product, " – "),
        "pipeline": pick(PIPELINES, kind),
        "kind": pick(KINDS, kind),
        "source": pick(SOURCES, deals["source"]),
        "amount": money(np.where(lead, np.nan, deals["amount"])),
        "list_amount": money(np.where(lead, np.nan, deals["list_amount"])),
        "currency": pick(CURRENCIES, deals["foreign"].astype(np.int64)),
        "referred_by_account_id": pick(accounts["account_id"].to_numpy(), np.where(referred, referrer, -1)),
        "stage": pick(STAGE_WORDS, kind * 5 + deals["stage"]),
        "forecast_category": pick(CATEGORIES, deals["category"]),
        "created_at": times(deals["created"]),
        "close_date": days(deals["close_day"]),
        "closed_at": times(deals["closed"]),
        "outcome": pick(OUTCOMES, deals["outcome"]),
        "loss_reason": pick(LOSS_REASONS, np.where(named, reason, -1)),
        "competitor": pick(COMPETITORS, np.where(known, rival, -1)),
        "x_need_score": pa.array(deals["need_score"]),
        "x_form_version": pick([f"form {n + 1}" for n in range(4)], deals["form"]),
    }


def _lines(history: History, deals: Rows, ids: pa.Array) -> Columns:
    rows = np.flatnonzero(deals["kind"] != LEAD)
    dice = Dice(history.seed, "lines", deals["key"][rows], 0)
    extra = np.array(_ACCESSORIES)[(dice.uniform("which") * 2).astype(np.int64)]
    two = (dice.uniform("two") < 0.25) & (extra != deals["product"][rows])
    amount = deals["amount"][rows]
    second = np.where(two, np.round(0.1 * amount, 2), 0.0)
    price = PRODUCTS["list_price"].to_numpy(np.float64)[extra] * np.where(deals["foreign"][rows], 7.8, 1.0)
    return {
        "deal_id": ids.take(pa.array(np.concatenate([rows, rows[two]]))),
        "product_id": pick(PRODUCTS["product_id"].to_numpy(), np.concatenate([deals["product"][rows], extra[two]])),
        "quantity": np.concatenate([deals["quantity"][rows], np.maximum(1, np.rint(second / price))[two]]),
        "amount": money(np.concatenate([amount - second, second[two]])),
    }


def _splits(history: History, deals: Rows, ids: pa.Array) -> Columns:
    dice = Dice(history.seed, "splits", deals["key"], 0)
    team = history.staff.reps["team_id"].to_numpy()[: len(history.staff.skill)]
    rows = np.flatnonzero((deals["kind"] != LEAD) & (dice.uniform("split") < 0.05))
    draw, helper = dice.uniform("helper")[rows], deals["owner"][rows].copy()
    for name in np.unique(team):
        mates, mine = np.flatnonzero(team == name), team[deals["owner"][rows]] == name
        helper[mine] = mates[(draw[mine] * len(mates)).astype(np.int64)]
    # Who draws himself, was not there yet or has left shares nothing.
    fits = helper != deals["owner"][rows]
    hired = _day_numbers(history, "hired_on", 0)[helper] <= deals["created"][rows] // DAY_US
    stays = deals["created"][rows] // DAY_US < _day_numbers(history, "left_on", 1 << 30)[helper]
    rows, helper = rows[fits & hired & stays], helper[fits & hired & stays]
    share = np.full(len(rows), 0.7)
    return {
        "deal_id": ids.take(pa.array(np.concatenate([rows, rows]))),
        "rep_id": pick(history.staff.reps["rep_id"].to_numpy(), np.concatenate([deals["owner"][rows], helper])),
        "share": np.concatenate([share, np.round(1 - share, 2)]),
    }


def _day_numbers(history: History, column: str, missing: int) -> Ints:
    epoch = date(1970, 1, 1)
    values: list[Any] = history.staff.reps[column].tolist()
    return np.array([(day - epoch).days if isinstance(day, date) else missing for day in values], dtype=np.int64)


def _changes(history: History, finder: _Finder) -> Columns:
    reps = history.staff.reps["rep_id"].to_numpy()
    parts: list[tuple[Ints, Ints, str, pa.Array, pa.Array]] = []
    for field in ("stage", "amount", "close_date", "owner_id", "forecast_category"):
        rows = gather(history.pipeline.log[field])
        if rows:
            old, new = (_text(field, rows[side], rows["kind"], reps) for side in ("old", "new"))
            parts.append((rows["key"], rows["time"], field, old, new))
    time = np.concatenate([part[1] for part in parts])
    order = pa.array(np.argsort(time, kind="stable"))
    fields = np.repeat(np.arange(len(parts)), [len(part[0]) for part in parts])
    columns = {
        "deal_id": finder.ids(np.concatenate([part[0] for part in parts])),
        "changed_at": times(time),
        "field": pick([part[2] for part in parts], fields),
        "old_value": pa.concat_arrays([part[3] for part in parts]),
        "new_value": pa.concat_arrays([part[4] for part in parts]),
    }
    return {name: values.take(order) for name, values in columns.items()}


def _text(field: str, values: Any, kind: Ints, reps: Any) -> pa.Array:
    if field == "stage":
        return pick(STAGE_WORDS, kind * 5 + values)
    if field == "amount":
        return pa.array(np.char.mod("%.2f", values).tolist(), pa.string())
    if field == "close_date":
        return days(values).cast(pa.string())
    return pick(reps if field == "owner_id" else CATEGORIES, values)


def _activities(history: History, finder: _Finder) -> Columns:
    rows = _all_contacts(history)
    dice = Dice(history.seed, "recorded", rows["time"] // 1_000_000 * 64 + rows["key"] % 977 * 11 + rows["code"], 0)
    late = np.where(dice.uniform("late") < 0.12, -1.5 * np.log(dice.uniform("how late")), 0.0)
    rows["recorded"] = rows["time"] + (late * 86_400).astype(np.int64) * 1_000_000
    # What was not written down by the end is not in the record.
    kept = rows["recorded"] < history.calendar.monday_us[history.calendar.weeks]
    order = np.flatnonzero(kept)[np.lexsort((rows["code"][kept], rows["key"][kept], rows["time"][kept]))]
    rows = {name: values[order] for name, values in rows.items()}
    code, calls_in = rows["code"], (rows["code"] == 1) & (dice.uniform("who calls")[order] < 0.15)
    minutes = np.where(rows["minutes"] > 0, rows["minutes"], np.nan).astype(np.float64)
    return {
        "activity_id": numbered("E", len(code), 7),
        "occurred_at": times(rows["time"]),
        "kind": pick(_KIND_OF_CODE, code),
        "direction": pick(_DIRECTIONS, np.where(calls_in, 0, _DIRECTION_OF_CODE[code])),
        "deal_id": finder.ids(rows["key"]),
        "account_id": pick(history.market.accounts["account_id"].to_numpy(), rows["account"]),
        "rep_id": pick(history.staff.reps["rep_id"].to_numpy(), rows["owner"]),
        "contact_id": pick(history.market.contacts["contact_id"].to_numpy(), _contact(history, rows)),
        "duration_minutes": minutes,
        "recorded_at": times(rows["recorded"]),
    }  # fmt: skip


def _all_contacts(history: History) -> Rows:
    rows = gather(history.pipeline.log["activities"])
    care = gather(history.customers.log["contacts"])
    count = len(care["account"])
    more = {
        "key": np.full(count, -1), "account": care["account"], "owner": care["owner"], "time": care["time"],
        "code": np.where(care["inbound"] == 1, len(ACTIONS) + 1, 1), "contact": care["time"] // 1_000_000 % 97 + 1,
        "minutes": np.where(care["inbound"] == 1, 0, 10),
    }  # fmt: skip
    return {name: np.concatenate([rows[name], more[name]]) for name in more}


def _contact(history: History, rows: Rows) -> Ints:
    """Row number of the contact: the decision maker is the account's last one."""
    first, count = history.market.first_contact[rows["account"]], history.market.contact_count[rows["account"]]
    other = first + (rows["contact"] - 1) % (count - 1)
    row = np.select([rows["contact"] < 0, rows["contact"] > 0], [first + count - 1, other], -1)
    left = history.market.contacts["left_at"].to_numpy()[row]
    return np.where((left >= 0) & (rows["time"] >= left), -1, row)
