"""How a deal moved: stages passed, steps back, close dates pushed, amounts changed."""

from features.catalogue import Block, Feature

BLOCKS = (
    Block(
        "deal_path",
        "deal",
        (
            Feature(
                "stages_passed", "count(*) filter (where field = 'stage' and new_place > old_place)", "count",
                "Steps forward so far", "已推进的阶段数",
            ),
            Feature(
                "steps_back", "count(*) filter (where field = 'stage' and new_place < old_place)", "count",
                "Steps back so far", "阶段回退次数",
            ),
            Feature(
                "steps_30d", "count(*) filter (where field = 'stage' and new_place > old_place and age < days(30))", "count",
                "Steps forward in the last 30 days", "近30天推进的阶段数",
            ),
            Feature(
                "close_date_pushes", "count(*) filter (where field = 'close_date' and new_day > old_day)", "count",
                "How often the close date was pushed", "预计成交日期推迟次数", can_act=True,
            ),
            Feature(
                "days_since_push", "min(age) filter (where field = 'close_date' and new_day > old_day) / days(1)", "days",
                "Days since the close date was last pushed", "距上次推迟成交日期的天数",
            ),
            Feature(
                "close_date_pulls", "count(*) filter (where field = 'close_date' and new_day < old_day)", "count",
                "How often the close date was moved forward", "预计成交日期提前次数",
            ),
            Feature(
                "amount_cuts", "count(*) filter (where field = 'amount' and new_number < old_number)", "count",
                "How often the amount was cut", "金额下调次数",
            ),
            Feature(
                "amount_rises", "count(*) filter (where field = 'amount' and new_number > old_number)", "count",
                "How often the amount was raised", "金额上调次数",
            ),
            Feature(
                "owner_changes", "count(*) filter (where field = 'owner_id')", "count",
                "How often it was handed over", "移交次数",
            ),
            Feature(
                "days_since_change", "min(age) / days(1)", "days",
                "Days since anything was changed", "距上次变更的天数", can_act=True,
            ),
        ),
        events="moves",
        key="deal_id",
        by="deal_id",
        clock="known_at",
    ),
)  # fmt: skip
