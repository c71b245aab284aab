"""Events that blocks read beside the canonical tables: the same rows with amounts in base currency, or joined once."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import duckdb

# What is filled in later may stand in a source only where the row's own clock says when it was known.
SOURCES: Mapping[str, str] = MappingProxyType(
    {
        "touches": """
            select a.deal_id, a.account_id, a.rep_id, a.contact_id, a.kind, a.direction, a.duration_minutes,
                   coalesce(a.recorded_at, a.occurred_at) as known_at,
                   a.kind not in ('note', 'task') as contact,
                   coalesce(c.seniority in ('vp', 'c-level'), false) as decision_maker
            from activities a left join contacts c using (contact_id)""",
        "moves": """
            select c.deal_id, c.field, coalesce(c.recorded_at, c.changed_at) as known_at,
                   try_cast(c.old_value as double) as old_number, try_cast(c.new_value as double) as new_number,
                   try_cast(c.old_value as date) as old_day, try_cast(c.new_value as date) as new_day,
                   o.place as old_place, n.place as new_place
            from deal_changes c join deals d using (deal_id)
            left join stage_places o on c.field = 'stage' and o.stage = c.old_value
                 and o.pipeline = coalesce(d.pipeline, '*')
            left join stage_places n on c.field = 'stage' and n.stage = c.new_value
                 and n.pipeline = coalesce(d.pipeline, '*')""",
        # 'won' and the final amount are known from the moment of closing on: that moment is the clock.
        "closings": """
            select d.deal_id, d.owner_id, d.account_id, d.product_id, d.closed_at as known_at, d.outcome = 'won' as won,
                   case when d.outcome = 'won' then d.amount::double * fx.rate end as amount,
                   epoch(d.closed_at) - epoch(d.created_at) as cycle, 'all' as company
            from deals d left join fx on fx.currency = coalesce(d.currency, '')
                 and d.closed_at >= fx.valid_from and d.closed_at < fx.valid_to
            where d.outcome <> 'open' and d.closed_at is not null""",
        "purchases": """
            select o.account_id, o.order_id, coalesce(o.recorded_at, o.ordered_at) as known_at, o.cancelled_at,
                   coalesce(o.kind, 'sale') as kind, o.product_id,
                   abs(o.amount::double) * fx.rate * case when o.kind = 'return' then -1 else 1 end as amount
            from orders o left join fx on fx.currency = coalesce(o.currency, '')
                 and o.ordered_at >= fx.valid_from and o.ordered_at < fx.valid_to""",
        "contracts": """
            select account_id, started_on::timestamptz as known_at, ended_on::timestamptz as ended_at from subscriptions""",
        "requests": """
            select account_id, coalesce(recorded_at, opened_at) as known_at, closed_at, satisfaction, severity from tickets""",
        "answers": """
            select account_id, rep_id, coalesce(recorded_at, asked_at) as known_at,
                   case when scale = 'nps' then score / 10 when max(score) over (partition by scale) > 0
                   then score / max(score) over (partition by scale) end as score from surveys""",
        "targets": """
            select owner_id as rep_id, coalesce(recorded_at, period_start::timestamptz) as known_at, period_start, period_end,
                   target from goals where owner_kind = 'rep' and metric = 'bookings'
                   and product_id is null and product_family is null and segment is null""",
    }
)


FROM: Mapping[str, str] = MappingProxyType(
    {
        "touches": "activities", "moves": "deal_changes", "closings": "deals", "open_then": "deals", "purchases": "orders",
        "contracts": "subscriptions", "requests": "tickets", "answers": "surveys", "targets": "goals",
    }
)  # fmt: skip
"""The canonical table behind each source: where the company has none, features on it are missing, not 0."""


def attach_sources(con: duckdb.DuckDBPyConnection, names: set[str]) -> None:
    """Materialise the sources that are needed; tables, `fx` and `stage_places` must be there."""
    for name in sorted(names & set(SOURCES)):
        con.execute(f"create or replace temp table {name} as {SOURCES[name]}")
