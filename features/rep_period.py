"""A rep in a fiscal quarter: booked so far, pipeline, past pace, tenure, target."""

from features.catalogue import Block, Feature

BLOCKS = (
    Block(
        "rep_record",
        "rep",
        (
            Feature(
                "booked_in_period", "sum(amount) filter (where won and age <= period_age)", "base currency",
                "Booked in this period so far", "本期已成交金额",
            ),
            Feature("wins_90d", "count(*) filter (where won and age < days(90))", "count", "Wins in the last 90 days", "近90天赢单数"),
            Feature(
                "booked_90d", "sum(amount) filter (where won and age < days(90))", "base currency",
                "Booked in the last 90 days", "近90天成交金额",
            ),
            Feature(
                "booked_365d", "sum(amount) filter (where won and age < days(365))", "base currency",
                "Booked in the last year", "近一年成交金额",
            ),
            Feature(
                "win_rate_365d", "count(*) filter (where won and age < days(365)) * 1.0 / nullif(count(*) filter (where age < days(365)), 0)",
                "share", "Share of closed deals won in the last year", "近一年赢单率", can_act=True,
            ),
        ),
        events="closings", key="owner_id", by="rep_id", clock="known_at",
    ),
    Block(
        "rep_pipeline",
        "rep",
        (
            Feature("open_deals", "count(*)", "count", "Open deals", "在跟商机数", can_act=True),
            Feature("open_amount", "sum(amount)", "base currency", "Open pipeline", "在跟商机金额", can_act=True),
            Feature("open_list_amount", "sum(list_amount)", "base currency", "Open pipeline at list price", "在跟商机目录价金额"),
            Feature(
                "due_amount", "sum(amount) filter (where close_date < this_end)", "base currency",
                "Open deals planned to close in this period", "本期预计成交金额", can_act=True,
            ),
            Feature("oldest_open_days", "max(days_open)", "days", "Age of the oldest open deal", "最早在跟商机的天数"),
        ),
        events="open_then", key="owner_id", by="rep_id", clock="known_at",
    ),
    Block(
        "rep_activity",
        "rep",
        (
            Feature("contacts_30d", "count(*) filter (where contact and age < days(30))", "count",
                    "Customer contacts in the last 30 days", "近30天客户互动次数", can_act=True),
            Feature("meetings_held_30d", "count(*) filter (where kind in ('meeting', 'visit', 'demo') and age < days(30))", "count",
                    "Meetings in the last 30 days", "近30天会面次数", can_act=True),
        ),
        events="touches", key="rep_id", by="rep_id", clock="known_at",
    ),
    Block(
        "rep_target",
        "rep",
        (
            Feature("target", "max(target) filter (where period_start = this_start and period_end = this_end)", "base currency", "Target of this period", "本期目标"),
        ),
        events="targets", key="rep_id", by="rep_id", clock="known_at",
    ),
    Block(
        "rep_period",
        "rep",
        (
            Feature("period_days_left", "period_days - period_days_gone", "days", "Days left in the period", "本期剩余天数"),
            Feature("tenure_days", "tenure", "days", "Days since hired", "入职天数"),
            Feature("pipeline_cover", "open_amount / nullif(target - coalesce(booked_in_period, 0), 0)", "ratio",
                    "Open pipeline for each unit still missing to the target", "管道覆盖率", can_act=True),
        ),
    ),
)  # fmt: skip
