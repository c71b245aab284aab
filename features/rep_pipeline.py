"""A rep's open deals: how much, what the like came to before, how mixed, how much of it new, whether it is enough."""

from features.catalogue import Block, Feature

_MIX = "nullif(sum(amount) filter (where amount > 0), 0)"

BLOCKS = (
    Block(
        "rep_pipeline",
        "rep",
        (
            Feature("open_deals", "count(*)", "count", "Open deals", "在跟商机数", can_act=True),
            Feature("open_amount", "sum(amount)", "base currency", "Open pipeline", "在跟商机金额", can_act=True),
            Feature(
                "open_list_amount",
                "sum(list_amount)",
                "base currency",
                "Open pipeline at list price",
                "在跟商机目录价金额",
            ),
            Feature(
                "due_amount",
                "sum(amount) filter (where close_date < this_end)",
                "base currency",
                "Open deals planned to close in this period",
                "本期预计成交金额",
                can_act=True,
            ),
            # The chances of single deals, which a win model gives, are summed by the forecast of the quarter itself.
            Feature(
                "weighted_amount",
                "sum(amount * win_rate)",
                "base currency",
                "Open amounts, each times the share of deals of its stage that were won by the quarter's end "
                "when as much time was left in the last four quarters",
                "在跟金额按各阶段近四个季度同一剩余时间的季内赢单率加权之和",
            ),
            Feature("oldest_open_days", "max(days_open)", "days", "Age of the oldest open deal", "最早在跟商机的天数"),
            Feature(
                "open_accounts",
                "count(distinct account_id)",
                "count",
                "Customers with open deals",
                "有在跟商机的客户数",
                can_act=True,
            ),
            Feature(
                "new_share",
                f"coalesce(sum(amount) filter (where amount > 0 and coalesce(kind, 'new') = 'new'), 0) / {_MIX}",
                "share",
                "Share of the open pipeline that is new business",
                "在跟金额中新业务占比",
            ),
            Feature(
                "renewal_share",
                f"coalesce(sum(amount) filter (where amount > 0 and kind = 'renewal'), 0) / {_MIX}",
                "share",
                "Share of the open pipeline that is renewals",
                "在跟金额中续约占比",
            ),
            Feature(
                "top_product_share",
                f"max(product_amount) / {_MIX}",
                "share",
                "Share of the product with the largest open amount",
                "在跟金额最大产品的占比",
            ),
        ),
        events="open_then",
        key="owner_id",
        by="rep_id",
        clock="known_at",
    ),
    Block(
        "rep_made",
        "rep",
        (
            Feature(
                "made_30d",
                "sum(amount) filter (where age < days(30))",
                "base currency",
                "Pipeline made in the last 30 days, closed since or not",
                "近30天新增商机金额",
                can_act=True,
            ),
            Feature(
                "made_90d",
                "sum(amount) filter (where age < days(90))",
                "base currency",
                "Pipeline made in the last 90 days, closed since or not",
                "近90天新增商机金额",
                can_act=True,
            ),
            Feature(
                "deals_made_30d",
                "count(*) filter (where age < days(30))",
                "count",
                "Deals made in the last 30 days",
                "近30天新增商机数",
                can_act=True,
            ),
        ),
        events="made_then",
        key="owner_id",
        by="rep_id",
        clock="known_at",
    ),
    Block(
        "rep_cover",
        "rep",
        (
            Feature(
                "pipeline_cover",
                "open_amount / nullif(greatest(target - booked_in_period, 0), 0)",
                "ratio",
                "Open pipeline for each unit still missing to the target; missing once it is reached",
                "管道覆盖率，达成目标后缺失",
                can_act=True,
            ),
            Feature(
                "weighted_cover",
                "weighted_amount / nullif(greatest(target - booked_in_period, 0), 0)",
                "ratio",
                "Weighted pipeline for each unit still missing to the target; missing once it is reached",
                "加权管道覆盖率，达成目标后缺失",
                can_act=True,
            ),
        ),
    ),
)
