"""A rep in a fiscal quarter: booked so far against the target, past quarters, wins, the season."""

from features.catalogue import Block, Feature

# The quarter's own goal; else those of its parts, such as months, where they cover every day of it just once.
_HOLDS = "(replaced_at is null or replaced_at > as_of)"
_WHOLE = f"{_HOLDS} and period_start = this_start and period_end = this_end"
_PART = f"{_HOLDS} and period_start >= this_start and period_end <= this_end"
TARGET = (
    f"coalesce(max(target) filter (where {_WHOLE}), case when sum(days) filter (where {_PART}) = max(period_days)"
    f" then sum(target) filter (where {_PART}) end)"
)
# Last year's figures are known where something was closed before that quarter began.
_LAST_YEAR = "won and age <= last_year_began and age > last_year_ended"
_SINCE_THEN = "case when max(age) > max(last_year_began) then"

BLOCKS = (
    Block(
        "rep_record",
        "rep",
        (
            Feature(
                "booked_in_period",
                "sum(amount) filter (where won and age <= period_age)",
                "base currency",
                "Booked in this period so far",
                "本期已成交金额",
            ),
            Feature(
                "wins_in_period",
                "count(*) filter (where won and age <= period_age)",
                "count",
                "Wins in this period so far",
                "本期已赢单数",
            ),
            Feature(
                "wins_365d",
                "count(*) filter (where won)",
                "count",
                "Wins in the last year",
                "近一年赢单数",
                shown=False,
            ),
            Feature(
                "wins_90d",
                "count(*) filter (where won and age < days(90))",
                "count",
                "Wins in the last 90 days",
                "近90天赢单数",
            ),
            Feature(
                "booked_90d",
                "sum(amount) filter (where won and age < days(90))",
                "base currency",
                "Booked in the last 90 days",
                "近90天成交金额",
            ),
            Feature(
                "booked_365d",
                "sum(amount) filter (where won and age < days(365))",
                "base currency",
                "Booked in the last year",
                "近一年成交金额",
            ),
            Feature(
                "win_rate_365d",
                "avg(case when won then 1.0 else 0.0 end)",
                "share",
                "Share of closed deals won in the last year",
                "近一年赢单率",
                can_act=True,
            ),
        ),
        events="closings",
        key="owner_id",
        by="rep_id",
        clock="known_at",
        within=365,
    ),
    Block(
        "rep_target",
        "rep",
        (
            Feature(
                "target",
                TARGET,
                "base currency",
                "Target of this quarter, or the sum of its months' where these cover it; a yearly goal gives none",
                "本季度目标，或覆盖全季度的各月目标之和；仅有年度目标时缺失",
            ),
        ),
        events="targets",
        key="rep_id",
        by="rep_id",
        clock="known_at",
    ),
    Block(
        "rep_results",
        "rep",
        (
            Feature(
                "past_attainment",
                "sum(booked) filter (where age < days(365)) / nullif(sum(target) filter (where age < days(365)), 0)",
                "share",
                "Booked against targets of quarters that ended in the last year",
                "近一年目标达成率",
            ),
            Feature(
                "last_attainment",
                "arg_min(attainment, age)",
                "share",
                "Share of its target booked in the last quarter that had one",
                "上一个有目标季度的达成率",
            ),
            Feature(
                "mean_attainment",
                "arg_min(attainments, age)",
                "share",
                "Mean share of target booked in the last four quarters that had one",
                "最近四个有目标季度的平均达成率",
            ),
        ),
        events="results",
        key="rep_id",
        by="rep_id",
        clock="known_at",
    ),
    Block(
        "rep_season",
        "rep",
        (
            Feature(
                "company_booked_last_year",
                f"{_SINCE_THEN} coalesce(sum(amount) filter (where {_LAST_YEAR}), 0) end",
                "base currency",
                "Booked by the company in the same quarter of last year",
                "公司去年同季度成交金额",
            ),
            Feature(
                "company_rest_last_year",
                f"{_SINCE_THEN} coalesce(sum(amount) filter (where {_LAST_YEAR} and age < last_year_ended"
                f" + period_left), 0) end / nullif(sum(amount) filter (where {_LAST_YEAR}), 0)",
                "share",
                "Share of that which came after this point of the quarter",
                "其中在季度同一时点之后成交的比例",
            ),
        ),
        events="closings",
        key="company",
        by="company",
        clock="known_at",
    ),
    Block(
        "rep_period",
        "rep",
        (
            Feature(
                "period_days_left", "period_days - period_days_gone", "days", "Days left in the period", "本期剩余天数"
            ),
            Feature(
                "period_gone", "period_days_gone / period_days", "share", "Share of the period gone", "本期已过比例"
            ),
            Feature(
                "goal_booked",
                "booked_in_period / nullif(target, 0)",
                "share",
                "Share of the target booked so far",
                "本期目标完成比例",
            ),
            Feature(
                "goal_pace",
                "booked_in_period / nullif(target * period_days_gone / period_days, 0)",
                "ratio",
                "Booked so far against the target's share for the days gone",
                "实际进度与目标应有进度之比",
            ),
            Feature(
                "wins_a_week",
                "wins_365d * 7 / nullif(least(coalesce(tenure, 365), 365), 0)",
                "count",
                "Wins a week over the last year, or since hired",
                "近一年(或入职以来)每周赢单数",
            ),
        ),
    ),
)
