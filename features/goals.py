"""Which goal holds: of those of one owner, measure, scope and days, the one written down last."""

GOAL_HISTORY = """
    select *, lead(known_at) over (
               partition by owner_kind, holder, metric, product_id, product_family, segment, period_start, period_end
               order by known_at, _seq) as replaced_at
    from (select *, case when owner_kind = 'company' then 'company' else owner_id end as holder,
                 coalesce(recorded_at, day_start(period_start)) as known_at from goals)"""
"""Goals with `holder`, `known_at` and `replaced_at` (null: never): the one rule, for features and forecasts alike."""
