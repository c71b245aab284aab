"""What pages say about deals, customers and people beside their forecasts: read from the lake once a data cut."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import date, datetime
from threading import Lock

import duckdb
import pandas as pd

from crm.company import Company
from crm.lake import View, connect
from crm.money import attach_rates

_DEALS = """
select d.deal_id, coalesce(nullif(d.name, ''), d.deal_id) as name, d.account_id,
       coalesce(a.name, d.account_id) as account, d.owner_id, d.stage, d.outcome, d.kind, d.source, d.pipeline,
       coalesce(p.name, d.product_id) as product, cast(d.amount as double) * r.rate as amount, d.currency,
       d.close_date, d.created_at, d.closed_at, d.loss_reason, t.last_touch
from deals d
left join accounts a using (account_id)
left join products p using (product_id)
left join (
    select deal_id, max(occurred_at) as last_touch from activities where kind not in ('note', 'task') group by deal_id
) t using (deal_id)
left join fx r on r.currency = coalesce(d.currency, '')
    and coalesce(d.closed_at, $now) >= r.valid_from and coalesce(d.closed_at, $now) < r.valid_to
"""

_BOOKED = """
with credit as (
    select d.deal_id, coalesce(s.rep_id, d.owner_id) as rep_id, d.closed_at,
           cast(d.amount as double) * r.rate * coalesce(s.share, 1) as amount, coalesce(s.share, 1) as share
    from deals d
    left join deal_splits s using (deal_id)
    left join fx r on r.currency = coalesce(d.currency, '')
        and d.closed_at >= r.valid_from and d.closed_at < r.valid_to
    where d.outcome = 'won' and coalesce(d.kind, 'new') <> 'lead' and d.closed_at >= $start and d.closed_at <= $until
)
select rep_id, cast(timezone($zone, closed_at) as date) as day, sum(amount) as amount, sum(share) as won
from credit group by all order by day
"""

_MOVED = """
select deal_id, field, arg_min(old_value, changed_at) as was, arg_max(new_value, changed_at) as became
from deal_changes
where changed_at > $since and changed_at <= $until and field in ('stage', 'amount', 'close_date', 'owner_id')
group by all order by deal_id, field
"""

_TIMELINE = """
select occurred_at as happened_at, kind as what, direction as detail, null as old_value, null as new_value
from activities where deal_id = $deal
union all
select changed_at, 'change', field, old_value, new_value from deal_changes where deal_id = $deal
order by happened_at desc limit $most
"""

_ACCOUNT_TIMELINE = """
select * from (
    select ordered_at as happened_at, 'order' as what, kind as detail, cast(amount as double) as amount, currency
    from orders where account_id = $account
    union all
    select opened_at, 'ticket', severity, null, null from tickets where account_id = $account
    union all
    select cast(started_on as timestamptz), 'subscription', 'start', cast(mrr as double), currency
    from subscriptions where account_id = $account
    union all
    select cast(ended_on as timestamptz), 'subscription', 'end', cast(mrr as double), currency
    from subscriptions where account_id = $account and ended_on <= $today
    union all
    select occurred_at, kind, direction, null, null from activities where account_id = $account
) where happened_at <= $now order by happened_at desc limit $most
"""


@dataclass(frozen=True, slots=True)
class Facts:
    """Frames of one data cut, by key."""

    deals: pd.DataFrame  # index deal_id
    accounts: pd.DataFrame  # index account_id
    reps: pd.DataFrame  # index rep_id; person_key, team_id, left_on
    teams: pd.DataFrame  # index team_id; name, parent_team_id
    products: dict[str, str]  # product_id to name


_kept: OrderedDict[tuple[object, ...], Facts] = OrderedDict()
_lock = Lock()


def facts(view: View, company: Company, *, cut: object, now: datetime) -> Facts:
    """The frames of a data cut; the newest few are kept in memory.

    Parameters
    ----------
    cut : object
        Identifies the data cut.
    now : datetime
        Moment at whose exchange rates open amounts are converted.
    """
    key = (cut, now, company.base_currency)
    with _lock:
        if key not in _kept:
            _kept[key] = _read(view, company, now)
            while len(_kept) > 2:
                _kept.popitem(last=False)
        return _kept[key]


def booked(view: View, company: Company, *, start: datetime, until: datetime) -> pd.DataFrame:
    """Credit by person and day, from `start` to `until`: rep_id, day, amount (base currency), won (deals)."""
    with connect() as con:
        _attach(con, view, company)
        return con.execute(_BOOKED, {"start": start, "until": until, "zone": company.time_zone}).df()


def moved(view: View, *, since: datetime, until: datetime) -> pd.DataFrame:
    """What changed on deals after `since` up to `until`: deal_id, field, was, became; only the net change of each."""
    with connect() as con:
        view.attach(con)
        rows = con.execute(_MOVED, {"since": since, "until": until}).df()
    return rows[rows["was"] != rows["became"]]


def deal_timeline(view: View, deal_id: str, most: int = 40) -> pd.DataFrame:
    """What happened on a deal, newest first: happened_at, what, detail, old_value, new_value."""
    with connect() as con:
        view.attach(con)
        return con.execute(_TIMELINE, {"deal": deal_id, "most": most}).df()


def account_timeline(view: View, account_id: str, *, now: datetime, today: date, most: int = 40) -> pd.DataFrame:
    """What happened at a customer, newest first: happened_at, what, detail, amount, currency."""
    with connect() as con:
        view.attach(con)
        values = {"account": account_id, "now": now, "today": today, "most": most}
        return con.execute(_ACCOUNT_TIMELINE, values).df()


def order_days(view: View, account_id: str, *, until: datetime, zone: str) -> list[date]:
    """Days on which a customer ordered (no returns, nothing cancelled), first to last."""
    query = (
        "select distinct cast(timezone($zone, ordered_at) as date) as day from orders where account_id = $account "
        "and ordered_at <= $until and cancelled_at is null and coalesce(kind, 'sale') = 'sale' order by day"
    )
    with connect() as con:
        view.attach(con)
        rows = con.execute(query, {"account": account_id, "until": until, "zone": zone}).fetchall()
    return [row[0] for row in rows]


def _read(view: View, company: Company, now: datetime) -> Facts:
    with connect() as con:
        _attach(con, view, company)
        return Facts(
            con.execute(_DEALS, {"now": now}).df().drop_duplicates("deal_id").set_index("deal_id"),
            con.sql(
                "select account_id, coalesce(name, account_id) as name, industry, segment, country, owner_id "
                "from accounts"
            )
            .df()
            .set_index("account_id"),
            con.sql("select rep_id, person_key, team_id, left_on from reps").df().set_index("rep_id"),
            con.sql("select team_id, name, parent_team_id, manager_rep_id from teams").df().set_index("team_id"),
            dict(con.sql("select product_id, coalesce(name, product_id) from products").fetchall()),
        )


def _attach(con: duckdb.DuckDBPyConnection, view: View, company: Company) -> None:
    view.attach(con)
    attach_rates(con, company)
