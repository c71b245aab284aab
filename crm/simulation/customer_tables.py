"""Accounts, contacts, orders, payments, contracts, tickets and surveys as canonical tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from crm.simulation.calendar import DAY_US
from crm.simulation.columns import Columns, canonical, days, money, numbered, pick, times
from crm.simulation.customers import YEARLY
from crm.simulation.deal_tables import CURRENCIES, deal_names
from crm.simulation.history import History, gather
from crm.simulation.market import PRODUCTS
from crm.simulation.pipeline import Rows
from crm.simulation.randomness import Floats, Ints

_STATUS = ("prospect", "former customer", "customer")


def customer_tables(history: History) -> dict[str, pa.Table]:
    """Build accounts, contacts, orders, payments, subscriptions, tickets, surveys."""
    orders, payments = _orders_and_payments(history)
    built = {
        "accounts": _accounts(history),
        "contacts": _contacts(history),
        "orders": orders,
        "payments": payments,
        "subscriptions": _subscriptions(history),
        "tickets": _tickets(history),
        "surveys": _surveys(history),
    }
    return {name: canonical(name, columns) for name, columns in built.items()}


def _end_us(history: History) -> int:
    return int(history.calendar.monday_us[history.calendar.weeks])


def _account_ids(history: History, rows: Ints) -> pa.Array:
    return pick(history.market.accounts["account_id"].to_numpy(), rows)


def _currency(history: History, account: Ints) -> pa.Array:
    return pick(CURRENCIES, history.market.chinese[account].astype(np.int64))


def _not_yet(history: History, time: Ints) -> Ints:
    """Leave out moments that lie past the end of the history."""
    return np.where(time < _end_us(history), time, -1)


def _accounts(history: History) -> Columns:
    table, live = history.market.accounts, history.customers.contract > 0
    gone = np.zeros(len(live), dtype=np.int64)
    gone[gather(history.customers.log["ends"])["account"]] = 1
    plain = ("account_id", "name", "industry", "segment", "country", "region", "employees")
    return {name: table[name] for name in plain} | {
        "status": pick(_STATUS, np.where(live, 2, gone)),
        "annual_revenue": money(table["annual_revenue"].to_numpy(np.float64)),
        "owner_id": pick(history.staff.reps["rep_id"].to_numpy(), history.keeper[:, -1]),
        "created_at": times(table["created_at"].to_numpy(np.int64)),
    }


def _contacts(history: History) -> Columns:
    table = history.market.contacts
    plain = ("contact_id", "account_id", "name", "email", "title", "seniority")
    created = table["created_at"].to_numpy(np.int64)
    # A contact is noted within hours of the account; those of the last day are noted by the end.
    created = np.minimum(created, _end_us(history) - 3_600_000_000)
    return {name: table[name] for name in plain} | {
        "created_at": times(created // 1_000_000 * 1_000_000),
        "left_at": times(table["left_at"].to_numpy(np.int64)),
    }


def _orders_and_payments(history: History) -> tuple[Columns, Columns]:
    rows = gather(history.customers.log["orders"])
    order = np.lexsort((rows["account"], rows["time"]))
    rows = {name: values[order] for name, values in rows.items()}
    cancelled, returned = _not_yet(history, rows["cancelled"]), _not_yet(history, rows["returned"])
    returns = np.flatnonzero((returned >= 0) & (rows["cancelled"] < 0))
    sales = len(order)
    every = np.concatenate([np.arange(sales), returns])
    is_return = np.arange(len(every)) >= sales
    ids = numbered("O", len(every), 7)
    orders = {
        "order_id": ids,
        "account_id": _account_ids(history, rows["account"][every]),
        "ordered_at": times(np.concatenate([rows["time"], returned[returns]])),
        "amount": money(rows["amount"][every]),
        "currency": _currency(history, rows["account"][every]),
        "product_id": pick(PRODUCTS["product_id"].to_numpy(), rows["product"][every]),
        "deal_id": deal_names(history, rows["gid"][every]),
        "rep_id": pick(history.staff.reps["rep_id"].to_numpy(), rows["owner"][every]),
        "kind": pick(("sale", "return"), is_return.astype(np.int64)),
        "cancelled_at": times(np.where(is_return, -1, cancelled[every])),
    }
    return orders, _payments(history, rows, ids)


def _payments(history: History, orders: Rows, ids: pa.Array) -> Columns:
    settled = np.flatnonzero((_not_yet(history, orders["paid"]) >= 0) & (orders["cancelled"] < 0))
    other = gather(history.customers.log["payments"])
    came = np.flatnonzero(other["paid"] < _end_us(history))
    account = np.concatenate([orders["account"][settled], other["account"][came]])
    paid = np.concatenate([orders["paid"][settled], other["paid"][came]])
    amount = np.concatenate([orders["amount"][settled], other["amount"][came]])
    order_row = np.concatenate([settled, np.full(len(came), -1)])
    order = np.lexsort((account, paid))
    return {
        "payment_id": numbered("Y", len(order), 7),
        "order_id": pick(ids, order_row[order]),
        "account_id": _account_ids(history, account[order]),
        "paid_at": times(paid[order]),
        "amount": money(amount[order]),
        "currency": _currency(history, account[order]),
    }


def _subscriptions(history: History) -> Columns:
    rows = gather(history.customers.log["subscriptions"])
    order = np.lexsort((rows["account"], rows["day"]))
    rows = {name: values[order] for name, values in rows.items()}
    account = rows["account"]
    ended = _ends(history, rows)
    ended = np.where(ended < _end_us(history) // DAY_US, ended, -1)
    running = rows["yearly"] & (ended < 0) & (history.customers.contract[account] == YEARLY)
    renews = history.calendar.start_day + 7 * np.where(running, history.customers.renews_week[account], 0)
    return {
        "subscription_id": numbered("S", len(order)),
        "account_id": _account_ids(history, account),
        "started_on": days(rows["day"]),
        "ended_on": days(ended),
        "renews_on": days(np.where(running, renews, -1)),
        "quantity": rows["quantity"],
        "mrr": money(rows["mrr"]),
        "currency": _currency(history, account),
        "product_id": pick(PRODUCTS["product_id"].to_numpy(), rows["product"]),
    }


def _ends(history: History, rows: Rows) -> Ints:
    """First ending of the account that was told after the contract had begun; -1 if none."""
    ends = pd.DataFrame(gather(history.customers.log["ends"])).sort_values("told", kind="stable")
    begun = pd.DataFrame({"account": rows["account"], "told": rows["day"]})
    found = pd.merge_asof(begun, ends, on="told", by="account", direction="forward")
    # A contract that begins after its own end was told as such only just misses the service.
    return np.maximum(found["day"].fillna(-1).to_numpy(np.int64), np.where(found["day"].isna(), -1, rows["day"] + 1))


def _tickets(history: History) -> Columns:
    rows = gather(history.customers.log["tickets"])
    closed = _not_yet(history, rows["closed"] // 1_000_000 * 1_000_000)
    score = np.where((closed >= 0) & (rows["score"] > 0), rows["score"], np.nan)
    return {
        "ticket_id": numbered("H", len(closed)),
        "account_id": _account_ids(history, rows["account"]),
        "opened_at": times(rows["opened"]),
        "closed_at": times(closed),
        "severity": pick(("minor", "severe"), rows["severe"].astype(np.int64)),
        "satisfaction": _whole(score),
    }


def _whole(values: Floats) -> pa.Array:
    return pa.array(np.nan_to_num(values).astype(np.int64), mask=np.isnan(values))


def _surveys(history: History) -> Columns:
    rows = gather(history.customers.log["surveys"])
    return {
        "response_id": numbered("Q", len(rows["account"])),
        "account_id": _account_ids(history, rows["account"]),
        "asked_at": times(rows["asked"]),
        "score": rows["score"].astype(np.float64),
        "scale": pick(("nps",), np.zeros(len(rows["account"]), dtype=np.int64)),
    }
