"""A rep at a moment: the quarter it lies in, team and tenure then, and the deals he or she had."""

from __future__ import annotations

from datetime import date

import pyarrow as pa

from crm.company import Company
from crm.fiscal import Period
from features.as_of import attach_state
from features.session import Session

_MOST_QUARTERS = 200
# For each moment, those of the four quarters before with as much time left: what deals came to by the end of those is
# known, and it is the only past that says what open deals come to in the time that is left now.
_LOOKS = """
select p.as_of, q.ends_at - (p.ends_at - p.as_of) as moment, q.ends_at
from periods p join quarters here on here.first_day = p.this_start
join quarters q on q.place >= here.place - 4 and q.place < here.place
"""
_OPEN = "d.created_at <= m.as_of and (d.outcome = 'open' or d.closed_at > m.as_of)"
_POINTS = f"""
select d.deal_id, m.as_of from deals d join periods m
on d.created_at <= m.as_of and (d.outcome = 'open' or d.closed_at > m.as_of or d.created_at > m.as_of - interval 90 day)
where d.kind is distinct from 'lead'
union
select d.deal_id, m.as_of from deals d join (select distinct moment as as_of from looks) m on {_OPEN}
where d.kind is distinct from 'lead'
"""
_THEN = """
select s.deal_id, s.owner_id, s.account_id, s.product_id, s.kind, s.as_of, s.amount, s.list_amount, s.close_date,
       s.created_at, coalesce(s.pipeline, '*') || '/' || coalesce(s.stage, '') as stage_key,
       d.outcome = 'open' or coalesce(d.closed_at > s.as_of, false) as still_open,
       case when d.outcome = 'won' then d.closed_at end as won_at
from deal_state s join deals d using (deal_id)
"""
# A stage's rate is drawn towards that of all stages, which counts as ten deals.
_STAGE_RATES = """
with counted as (
    select l.as_of, s.stage_key, count(*) as deals, count(*) filter (where s.won_at < l.ends_at) as won
    from looks l join deals_then s on s.as_of = l.moment and s.still_open group by l.as_of, s.stage_key
)
select as_of, stage_key, deals, sum(won) over w / sum(deals) over w as company_rate,
       (won + 10 * sum(won) over w / sum(deals) over w) / (deals + 10) as stage_rate
from counted window w as (partition by as_of)
"""
_OPEN_THEN = """
select s.owner_id, s.account_id, s.kind, s.as_of, s.as_of as known_at, s.amount, s.list_amount, s.close_date,
       (epoch(s.as_of) - epoch(s.created_at)) / 86400 as days_open, coalesce(r.stage_rate, c.company_rate) as win_rate,
       sum(case when s.product_id is not null then s.amount end)
           over (partition by s.as_of, s.owner_id, s.product_id) as product_amount
from deals_then s join periods p on p.as_of = s.as_of
left join stage_rates r on r.as_of = s.as_of and r.stage_key = s.stage_key
left join (select as_of, max(company_rate) as company_rate from stage_rates group by as_of) c on c.as_of = s.as_of
where s.still_open
"""
_MADE_THEN = """
select s.owner_id, s.as_of, s.created_at as known_at, s.amount
from deals_then s join periods p on p.as_of = s.as_of
"""
_TEAM_THEN = """
with members as (
    select p.as_of, m.rep_id, m.team_id,
           row_number() over (partition by p.as_of, m.rep_id order by m.valid_from desc, m._seq desc) as place
    from periods p join team_memberships m on m.valid_from <= p.today and (m.valid_to is null or m.valid_to > p.today)
)
select as_of, rep_id, team_id from members where place = 1
"""
_STATE = """
select r.rep_id, r.as_of, 'all' as company, t.team_id, p.this_start, p.this_end,
       epoch(r.as_of) - epoch(p.starts_at) as period_age, epoch(p.ends_at) - epoch(r.as_of) as period_left,
       date_diff('day', p.this_start, p.this_end)::double as period_days,
       (epoch(r.as_of) - epoch(p.starts_at)) / 86400 as period_days_gone,
       epoch(r.as_of) - epoch(y.starts_at) as last_year_began, epoch(r.as_of) - epoch(y.ends_at) as last_year_ended,
       case when reps.hired_on <= p.today then date_diff('day', reps.hired_on, p.today)::double end as tenure,
       case when reps.hired_on <= p.today then floor(((year(p.this_start) - year(reps.hired_on)) * 12
           + month(p.this_start) - month(reps.hired_on) + 2) / 3.0) end as quarters_begun
from rep_points r join periods p on p.as_of = r.as_of
left join reps on reps.rep_id = r.rep_id
left join team_then t on t.rep_id = r.rep_id and t.as_of = r.as_of
left join quarters here on here.first_day = p.this_start
left join quarters y on y.place = here.place - 4
"""


def attach_quarters(session: Session, company: Company) -> None:
    """Make the table `quarters`: fiscal quarters from the first deal or goal on to the last moment asked for."""
    con = session.local
    last, first = con.sql("""
        select (select max(today) from periods),
               (select least((select min(created_at)::date from deals), (select min(period_start) from goals)))
    """).fetchall()[0]
    found = _quarters(company, first, last) if last else []
    rows = pa.table(
        {
            "place": pa.array(range(len(found)), pa.int64()),
            "first_day": pa.array([q.start for q in found], pa.date32()),
            "end_day": pa.array([q.end for q in found], pa.date32()),
            "days": pa.array([q.days for q in found], pa.int64()),
            "starts_at": pa.array([q.bounds(company.time_zone)[0] for q in found], pa.timestamp("us", tz="UTC")),
            "ends_at": pa.array([q.bounds(company.time_zone)[1] for q in found], pa.timestamp("us", tz="UTC")),
        }
    )
    con.register("_quarters", rows)
    con.execute("create or replace temp table quarters as select * from _quarters")
    session.share("quarters")


def attach_rep_state(session: Session, late: frozenset[str]) -> None:
    """Make `state`, `open_then` and `made_then` for the (rep_id, as_of) of `points`; needs `periods` and `quarters`."""
    session.make("rep_points", "select * from points")
    session.make("looks", _LOOKS)
    session.make("points", _POINTS)
    attach_state(session, late)
    session.make("deals_then", _THEN)
    session.make("stage_rates", _STAGE_RATES)
    session.make("open_then", _OPEN_THEN)
    session.make("made_then", _MADE_THEN)
    session.make("team_then", _TEAM_THEN)
    session.make("state", _STATE)


def _quarters(company: Company, first: date | None, last: date) -> list[Period]:
    quarter = company.period_of(last)
    found = [quarter]
    while first and found[-1].start > first and len(found) < _MOST_QUARTERS:
        found.append(company.previous(found[-1]))
    return found[::-1]
