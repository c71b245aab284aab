"""What counts towards goals: one row an event, with its day, who is credited, team of that day, and value."""

from __future__ import annotations

from datetime import date, datetime

import pandas as pd

from crm.company import Company
from crm.lake import View, connect
from crm.money import attach_rates

NAMES = ("won", "lost", "activity", "new_account", "grade", "paid")
"""Kinds of events. Values: base currency for won and paid (missing without a rate), 1 to 5 for grade, else 1."""

# Today's deal, taken back to a moment by the oldest change after it; the owner by the oldest change after the closing.
_CLOSED = """
create temp table closed as
select d.* exclude (owner_id, amount), (d.closed_at at time zone $zone)::date as day,
       case when o.deal_id is null then d.owner_id else o.old_value end as owner_id,
       case when a.deal_id is null then d.amount::double else try_cast(a.old_value as double) end as amount
from deals d
left join (select c.deal_id, arg_min(struct_pack(v := c.old_value), c.changed_at).v as old_value
           from deal_changes c join deals x using (deal_id)
           where c.field = 'owner_id' and c.changed_at > x.closed_at
                 and coalesce(c.recorded_at, c.changed_at) <= $moment
           group by all) o using (deal_id)
left join (select deal_id, arg_min(struct_pack(v := old_value), changed_at).v as old_value from deal_changes
           where field = 'amount' and changed_at > $moment group by all) a using (deal_id)
where d.outcome in ('won', 'lost') and coalesce(d.kind, '') <> 'lead' and d.closed_at <= $moment
"""
_BOUGHT = """
create temp table bought as
select account_id, day, owner_id, product_id, kind from closed where outcome = 'won' and account_id is not null
union all
select o.account_id, (o.ordered_at at time zone $zone)::date, d.owner_id, o.product_id, null
from orders o left join closed d using (deal_id)
where coalesce(o.kind, 'sale') = 'sale' and coalesce(o.recorded_at, o.ordered_at) <= $moment
      and coalesce(o.cancelled_at > $moment, true)
"""
# A share that is written down for a deal takes the place of its owner's whole credit, as in the forecasts.
_EVENTS = """
with shares as (
    select deal_id, rep_id, share from deal_splits where share > 0
    union all
    select deal_id, owner_id, 1.0 from closed where deal_id not in (select deal_id from deal_splits where share > 0)
), raw as (
    select d.outcome as what, d.deal_id as ident, d.day, s.rep_id, s.share, d.account_id, d.product_id, d.kind,
           case when d.outcome = 'won' then d.amount * fx.rate else 1 end as value,
           date_diff('second', d.created_at, d.closed_at) / 86400.0 as took
    from closed d join shares s using (deal_id)
    left join fx on fx.currency = coalesce(d.currency, '')
         and d.day::timestamptz >= fx.valid_from and d.day::timestamptz < fx.valid_to
    union all
    select 'activity', v.activity_id, (v.occurred_at at time zone $zone)::date, v.rep_id, 1,
           coalesce(v.account_id, d.account_id), d.product_id, d.kind, 1, null
    from activities v left join deals d using (deal_id)
    where v.kind in ('email', 'call', 'meeting', 'demo', 'proposal', 'visit') and v.direction is distinct from 'in'
          and greatest(v.occurred_at, coalesce(v.recorded_at, v.occurred_at)) <= $moment
    union all
    select 'new_account', b.account_id, b.day, coalesce(b.owner_id, c.owner_id), 1, b.account_id, b.product_id,
           b.kind, 1, null
    from bought b left join accounts c using (account_id)
    qualify row_number() over (partition by b.account_id order by b.day, b.owner_id, b.product_id) = 1
    union all
    select 'grade', t.ticket_id, (t.closed_at at time zone $zone)::date, c.owner_id, 1, t.account_id, null,
           null, t.satisfaction, null
    from tickets t left join accounts c using (account_id)
    where t.satisfaction is not null and greatest(t.closed_at, coalesce(t.recorded_at, t.closed_at)) <= $moment
    union all
    select 'grade', u.response_id, (u.asked_at at time zone $zone)::date, coalesce(u.rep_id, c.owner_id), 1,
           u.account_id, null, null, u.score, null
    from surveys u left join accounts c using (account_id)
    where u.scale = '1-5' and greatest(u.asked_at, coalesce(u.recorded_at, u.asked_at)) <= $moment
    union all
    select 'paid', p.payment_id, (p.paid_at at time zone $zone)::date, coalesce(d.owner_id, o.rep_id, c.owner_id),
           1, p.account_id, o.product_id, d.kind, p.amount::double * fx.rate, null
    from payments p left join orders o using (order_id) left join closed d using (deal_id)
    left join accounts c on c.account_id = p.account_id
    left join fx on fx.currency = coalesce(p.currency, '') and p.paid_at >= fx.valid_from and p.paid_at < fx.valid_to
    where greatest(p.paid_at, coalesce(p.recorded_at, p.paid_at)) <= $moment
), placed as (
    select w.*, case when coalesce(m.valid_to > w.day, true) then m.team_id end as member_of,
           coalesce(member_of, case when z.rep_id is null then r.team_id end) as team_id
    from raw w
    asof left join team_memberships m on m.rep_id = w.rep_id and w.day >= m.valid_from
    left join (select distinct rep_id from team_memberships) z on z.rep_id = w.rep_id
    left join reps r on r.rep_id = w.rep_id
)
select w.what, w.ident, w.day, w.rep_id, w.team_id, w.share, w.value, w.took, w.account_id, c.segment, w.product_id,
       p.family as product_family, coalesce(w.kind, 'new') as kind
from placed w left join accounts c on c.account_id = w.account_id left join products p on p.product_id = w.product_id
order by all
"""


def events(view: View, company: Company, moment: datetime) -> pd.DataFrame:
    """All events that had happened and were written down by a moment.

    Columns: what (one of `NAMES`), ident (key of the deal, activity, ...), day (midnight, local), rep_id, team_id (that
    day's), share (part of the credit), value, took (days from opening to closing of a deal), account_id, segment,
    product_id, product_family, kind (of the deal).
    Deals that are leads count nowhere: what they become does. A closed deal stands with the owner of its closing day;
    its amount is the one known at the moment.
    """
    with connect() as con:
        view.attach(con)
        attach_rates(con, company)
        given = {"zone": company.time_zone, "moment": moment}
        for sql in (_CLOSED, _BOUGHT):
            con.execute(sql, _named(sql, given))
        found = con.execute(_EVENTS, _named(_EVENTS, given)).df()
    found["day"] = found["day"].astype("datetime64[s]")
    return found.astype({"share": float, "value": float, "took": float})


def states(view: View, company: Company, moment: datetime) -> pd.DataFrame:
    """Contracts that had begun by a moment.

    Columns: account_id, rep_id (owner of the account today), segment, started_on, ended_on (exclusive; missing while it
    runs), product_id, product_family, mrr (base currency a month).
    """
    with connect() as con:
        view.attach(con)
        attach_rates(con, company)
        return con.execute(_CONTRACTS, {"moment": moment, "today": local_day(company, moment)}).df()


def local_day(company: Company, moment: datetime) -> date:
    """The company's calendar day at a moment."""
    return moment.astimezone(company.zone).date()


_CONTRACTS = """
select s.account_id, c.owner_id as rep_id, c.segment, s.started_on, s.ended_on, s.product_id,
       p.family as product_family, s.mrr::double * fx.rate as mrr
from subscriptions s left join accounts c using (account_id) left join products p using (product_id)
left join fx on fx.currency = coalesce(s.currency, '') and $moment >= fx.valid_from and $moment < fx.valid_to
where s.started_on <= $today
order by all
"""


def _named(sql: str, given: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in given.items() if f"${name}" in sql}
