"""Which goal holds: of those of one owner, measure, scope and days, the one written down last."""

from crm.schema import OWN_GOAL

_SAME = "owner_kind, holder, metric, product_id, product_family, segment, period_start, period_end"
# Once a goal was set in Bellwether itself, what the CRM says of it later counts no more.
GOAL_HISTORY = f"""
    select *, lead(known_at) over (partition by {_SAME} order by known_at, _seq) as replaced_at
    from (select *, min(case when goal_id like '{OWN_GOAL}%' then known_at end) over (partition by {_SAME}) as taken_at
          from (select *, case when owner_kind = 'company' then 'company' else owner_id end as holder,
                       coalesce(recorded_at, day_start(period_start)) as known_at from goals))
    where goal_id like '{OWN_GOAL}%' or taken_at is null or known_at < taken_at"""
"""Goals with `holder`, `known_at` and `replaced_at` (null: never): the one rule, for features and forecasts alike."""
