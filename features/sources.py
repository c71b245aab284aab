"""Events that blocks read beside the canonical tables: the same rows with amounts in base currency, or joined once."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from features.as_of import attach_state
from features.goals import GOAL_HISTORY
from features.session import Session

# What is filled in later may stand in a source only where the row's own clock says when it was known.
SOURCES: Mapping[str, str] = MappingProxyType(
    {
        "touches": """
            select a.deal_id, a.account_id, a.rep_id, a.contact_id, a.kind, a.direction, a.duration_minutes,
                   coalesce(a.recorded_at, a.occurred_at) as known_at,
                   a.kind not in ('note', 'task') as contact,
                   coalesce(c.seniority in ('vp', 'c-level'), false) as decision_maker,
                   case c.seniority when 'staff' then 1 when 'manager' then 2 when 'director' then 3 when 'vp' then 4
                        when 'c-level' then 5 end as seniority_rank
            from activities a left join contacts c on c.contact_id = a.contact_id
                 and coalesce(c.created_at <= coalesce(a.recorded_at, a.occurred_at), true)""",
        "moves": """
            select c.deal_id, c.field, coalesce(c.recorded_at, c.changed_at) as known_at,
                   try_cast(c.old_value as double) as old_number, try_cast(c.new_value as double) as new_number,
                   try_cast(c.old_value as date) as old_day, try_cast(c.new_value as date) as new_day,
                   date_diff('day', try_cast(c.old_value as date), try_cast(c.new_value as date)) as days_later,
                   o.place as old_place, n.place as new_place,
                   row_number() over (partition by c.deal_id, c.field order by c.changed_at, c._seq) as nth
            from deal_changes c join deals d using (deal_id)
            left join stage_places o on c.field = 'stage' and o.stage = c.old_value
                 and o.pipeline = coalesce(d.pipeline, '*')
            left join stage_places n on c.field = 'stage' and n.stage = c.new_value
                 and n.pipeline = coalesce(d.pipeline, '*')""",
        # Each sale beside the account's own past up to it, so that the newest one tells of the last few.
        "purchases": """
            with o as (
                select o.account_id, o.order_id, coalesce(o.recorded_at, o.ordered_at) as known_at, o._seq,
                       o.cancelled_at, coalesce(o.kind, 'sale') as kind, o.product_id,
                       abs(o.amount::double) * fx.rate * case when o.kind = 'return' then -1 else 1 end as amount
                from orders o left join fx on fx.currency = coalesce(o.currency, '')
                     and o.ordered_at >= fx.valid_from and o.ordered_at < fx.valid_to
            ),
            gaps as (
                select *, (epoch(known_at) - epoch(lag(known_at) over w)) / 86400 as gap_days,
                       row_number() over w as place
                from o window w as (partition by account_id, kind order by known_at, _seq)
            )
            select account_id, order_id, known_at, cancelled_at, kind, product_id, amount, place, gap_days,
                   avg(amount) over last3 as last_amounts, avg(amount) over so_far as usual_amounts,
                   avg(gap_days) over last3 as last_gaps, avg(gap_days) over so_far as usual_gaps
            from gaps window so_far as (partition by account_id, kind order by place),
                 last3 as (partition by account_id, kind order by place rows 2 preceding)""",
        "contracts": """
            select account_id, day_start(started_on) as known_at, day_start(ended_on) as ended_at from subscriptions""",
        # A deal on an owner's desk is one more from the day it came, one less from the day it was closed or handed on.
        "desk": """
            with c as (
                select deal_id, old_value, new_value, known_at, row_number() over w as nth,
                       lead(known_at) over w as until
                from logged where field = 'owner_id' window w as (partition by deal_id order by place)
            ),
            held as (
                select d.deal_id, case when c.deal_id is null then d.owner_id else c.old_value end as owner_id,
                       d.created_at as since, c.known_at as until
                from deals d left join c on c.deal_id = d.deal_id and c.nth = 1
                union all
                select deal_id, new_value, known_at, until from c
            ),
            spans as (
                select h.owner_id, h.since, least(h.until, d.closed_at) as until
                from held h join deals d using (deal_id)
                where d.kind is distinct from 'lead' and (d.outcome = 'open' or d.closed_at > h.since)
            )
            select owner_id, since as known_at, 1 as step from spans
            union all
            select owner_id, until, -1 from spans where until is not null""",
        # Time spent in a stage, known when it was left for another or the deal was closed.
        "stays": """
            with c as (
                select deal_id, old_value, new_value, known_at, row_number() over w as nth,
                       lead(known_at) over w as until
                from logged where field = 'stage' window w as (partition by deal_id order by place)
            ),
            held as (
                select d.deal_id, d.created_at as since, c.known_at as until,
                       case when c.deal_id is not null then c.old_value
                            when here.stage is null then beginning.stage else d.stage end as stage
                from deals d left join c on c.deal_id = d.deal_id and c.nth = 1
                left join stage_places here on here.stage = d.stage and here.pipeline = coalesce(d.pipeline, '*')
                left join stage_places beginning on beginning.place = 0
                     and beginning.pipeline = coalesce(d.pipeline, '*')
                union all
                select deal_id, known_at, until, new_value from c
            ),
            spans as (
                select coalesce(d.pipeline, '*') || '/' || h.stage as stage_key, d.account_id, h.since,
                       least(h.until, d.closed_at) as known_at
                from held h join deals d using (deal_id) where d.outcome = 'open' or d.closed_at >= h.since
            )
            select s.stage_key, s.stage_key || '/' || a.segment as segment_stage_key, s.known_at,
                   (epoch(s.known_at) - epoch(s.since)) / 86400 as days
            from spans s left join accounts a on a.account_id = s.account_id
                 and coalesce(a.created_at <= s.known_at, true)
            where s.known_at >= s.since""",
        "departures": "select account_id, left_at as known_at from contacts where left_at is not null",
        "contract_ends": """
            select account_id, day_start(ended_on) as known_at from subscriptions where ended_on is not null""",
        "requests": """
            select account_id, coalesce(recorded_at, opened_at) as known_at, closed_at, satisfaction,
                   lower(severity) in ('severe', 'critical', 'urgent', 'high', 'blocker') as severe
            from tickets""",
        # A grade counts as given when the ticket was closed.
        "grades": """
            select account_id, greatest(closed_at, recorded_at) as known_at, satisfaction
            from tickets where satisfaction is not null and closed_at is not null""",
        # Answers as a share of their scale, such as nps (0 to 10) or 1-5; without a scale they say nothing.
        "answers": """
            with s as (
                select *, case when lower(scale) = 'nps' then 0
                               else try_cast(regexp_extract(scale, '^([0-9]+)-([0-9]+)$', 1) as double) end as low,
                       case when lower(scale) = 'nps' then 10
                            else try_cast(regexp_extract(scale, '^([0-9]+)-([0-9]+)$', 2) as double) end as high
                from surveys
            )
            select account_id, rep_id, coalesce(recorded_at, asked_at) as known_at,
                   (score - low) / nullif(high - low, 0) as score
            from s""",
        "targets": f"""
            select case when g.owner_kind = 'rep' then g.owner_id end as rep_id,
                   case when g.owner_kind = 'team' then g.owner_id end as team_id,
                   g.known_at, g.replaced_at,
                   g.period_start, g.period_end, date_diff('day', g.period_start, g.period_end) as days,
                   day_start(g.period_start) as starts_at,
                   day_start(g.period_end) as ends_at, g.target::double * fx.rate as target
            from ({GOAL_HISTORY}) g left join fx on fx.currency = coalesce(g.currency, '')
                 and day_start(g.period_start) >= fx.valid_from and day_start(g.period_start) < fx.valid_to
            where g.owner_kind in ('rep', 'team') and g.metric = 'bookings'
                  and g.product_id is null and g.product_family is null and g.segment is null""",
        # An absence carries no time of writing: it counts as known from its first day on, its days as they pass.
        # What an earlier absence covers is left out of a later one.
        "away": """
            with a as (
                select rep_id, day_start("from") as begins, day_start("to") as ends,
                       max(day_start("to")) over (
                           partition by rep_id order by "from", "to" rows between unbounded preceding and 1 preceding
                       ) as earlier
                from absences
            )
            select rep_id, greatest(begins, earlier) as known_at,
                   epoch(ends) - epoch(greatest(begins, earlier)) as lasts
            from a where earlier is null or ends > earlier""",
        "team_members": """
            select team_id, rep_id, day_start(valid_from) as known_at, day_start(valid_to) as ends_at
            from team_memberships""",
    }
)
# 'won' and the final amount are known from the moment of closing on: that moment is the clock, and the owner and the
# amount are those of that moment. Leads are no deals yet: winning one is not a sale.
_CLOSINGS = """
with called as (
    select l.deal_id from logged l join deals d using (deal_id)
    where l.field = 'forecast_category' and l.known_at <= d.closed_at
          and (lower(trim(l.old_value)) in ('commit', 'committed')
               or lower(trim(l.new_value)) in ('commit', 'committed'))
    group by l.deal_id
)
select d.deal_id, s.owner_id, s.account_id, s.product_id, s.source, d.closed_at as known_at, d.outcome = 'won' as won,
       case when d.outcome = 'won' then s.amount end as amount,
       case when d.outcome = 'won' then (epoch(d.closed_at) - epoch(d.created_at)) / 86400 end as cycle_days,
       called.deal_id is not null or coalesce(lower(trim(s.forecast_category)) in ('commit', 'committed'), false)
           as committed,
       'all' as company
from deal_state s join deals d using (deal_id) left join called using (deal_id)
"""
# Changes of owner by customer; a first owner is none.
HANDOVERS = """
select d.account_id, l.known_at from logged l join deals d using (deal_id)
where l.field = 'owner_id' and l.old_value <> l.new_value
"""
# Quarters that are over, for who had a target when they ended: what was booked, and the running mean of four.
_RESULTS = """
with held as (
    select t.rep_id, q.place, q.starts_at, q.ends_at, q.days as quarter_days, t.days, t.target,
           t.period_start = q.first_day and t.period_end = q.end_day as whole
    from targets t join quarters q on t.period_start >= q.first_day and t.period_end <= q.end_day
    where t.rep_id is not null and t.known_at < q.ends_at and (t.replaced_at is null or t.replaced_at >= q.ends_at)
),
goals_then as (
    select rep_id, place, starts_at, ends_at,
           coalesce(max(target) filter (where whole),
                    case when sum(days) = max(quarter_days) then sum(target) end) as target
    from held group by rep_id, place, starts_at, ends_at
),
sums as (
    select g.rep_id, g.ends_at as known_at, g.place, g.target,
           case when count(c.deal_id) = 0 then 0 else sum(c.amount) end as booked
    from goals_then g left join closings c on c.owner_id = g.rep_id and c.won
         and c.known_at >= g.starts_at and c.known_at < g.ends_at
    where g.target > 0 group by g.rep_id, g.place, g.ends_at, g.target
)
select rep_id, known_at, target, booked, booked / target as attainment, avg(booked / target) over last4 as attainments
from sums window last4 as (partition by rep_id order by place rows 3 preceding)
"""
# The bookings of a team are those of whoever was in it when the deal was closed.
_TEAM_CLOSINGS = """
select m.team_id, c.known_at, c.won, c.amount
from closings c join team_memberships m on m.rep_id = c.owner_id and c.known_at >= day_start(m.valid_from)
     and (m.valid_to is null or c.known_at < day_start(m.valid_to))
"""
FROM: Mapping[str, str] = MappingProxyType(
    {
        "touches": "activities",
        "moves": "deal_changes",
        "closings": "deals",
        "stays": "deals",
        "desk": "deals",
        "departures": "contacts",
        "open_then": "deals",
        "made_then": "deals",
        "purchases": "orders",
        "contracts": "subscriptions",
        "contract_ends": "subscriptions",
        "requests": "tickets",
        "grades": "tickets",
        "handovers": "deal_changes",
        "answers": "surveys",
        "targets": "goals",
        "results": "goals",
        "away": "absences",
        "team_members": "team_memberships",
        "team_closings": "team_memberships",
    }
)
"""The canonical table behind each source: where the company has none, features on it are missing, not 0."""


def attach_sources(session: Session, names: set[str], late: frozenset[str]) -> None:
    """Materialise the sources that are needed; tables, `logged`, `fx` and `stage_places` must be there."""
    wanted = names | ({"targets"} if "results" in names else set())
    wanted |= {"closings"} if names & {"results", "team_closings"} else set()
    for name in sorted(wanted & set(SOURCES)):
        session.make(name, SOURCES[name])
    if "handovers" in wanted:
        # A customer that is filled in late was not known then.
        session.make("handovers", f"{HANDOVERS} and {'account_id' not in late}")
    if "closings" in wanted:
        _attach_closings(session, late)
    for name, query in (("results", _RESULTS), ("team_closings", _TEAM_CLOSINGS)):
        if name in wanted:
            session.make(name, query)


def _attach_closings(session: Session, late: frozenset[str]) -> None:
    session.make(
        "points",
        "select deal_id, closed_at as as_of from deals "
        "where outcome <> 'open' and closed_at is not null and kind is distinct from 'lead'",
    )
    attach_state(session, late, ended=True)
    session.make("closings", _CLOSINGS)
