"""What an account buys: recency, frequency, money and breadth, against its own usual; contracts begun, ended, due."""

from features.catalogue import Block, Feature

_STANDS = "(cancelled_at is null or cancelled_at > as_of)"
_SALE = f"kind = 'sale' and {_STANDS}"
_GAP = "(first_order_days - days_since_order) / nullif(orders - 1, 0)"
_RUNNING = "(ended_at is null or ended_at > as_of)"

BLOCKS = (
    Block(
        "account_orders",
        "account",
        (
            Feature("orders", f"count(*) filter (where {_SALE})", "count", "Orders so far", "累计订单数", shown=False),
            Feature(
                "first_order_days",
                f"max(age) filter (where {_SALE}) / days(1)",
                "days",
                "Days since the first order",
                "距首单天数",
            ),
            Feature(
                "days_since_order",
                f"min(age) filter (where {_SALE}) / days(1)",
                "days",
                "Days since the last order",
                "距上次下单天数",
            ),
            Feature(
                "orders_90d",
                f"count(*) filter (where {_SALE} and age < days(90))",
                "count",
                "Orders in the last 90 days",
                "近90天订单数",
            ),
            Feature(
                "orders_365d",
                f"count(*) filter (where {_SALE} and age < days(365))",
                "count",
                "Orders in the last year",
                "近一年订单数",
            ),
            Feature(
                "spend_90d",
                f"sum(amount) filter (where {_STANDS} and age < days(90))",
                "base currency",
                "Bought in the last 90 days",
                "近90天采购额",
            ),
            Feature(
                "spend_365d",
                f"sum(amount) filter (where {_STANDS} and age < days(365))",
                "base currency",
                "Bought in the last year",
                "近一年采购额",
            ),
            Feature(
                "returns_90d",
                f"count(*) filter (where kind = 'return' and {_STANDS} and age < days(90))",
                "count",
                "Returns in the last 90 days",
                "近90天退货数",
            ),
            Feature(
                "last_amounts_to_usual",
                "arg_max(last_amounts / nullif(usual_amounts, 0), place) filter (where kind = 'sale' and place > 3)",
                "ratio",
                "Size of the last three orders against the usual",
                "最近三单金额与平均之比",
            ),
            Feature(
                "last_gaps_to_usual",
                "arg_max(last_gaps / nullif(usual_gaps, 0), place) filter (where kind = 'sale' and place > 4)",
                "ratio",
                "Time between the last orders against the usual",
                "最近几单间隔与平均之比",
            ),
            Feature(
                "gap_spread_days",
                f"case when count(gap_days) filter (where {_SALE}) >= 3"
                f" then stddev(gap_days) filter (where {_SALE}) end",
                "days",
                "Standard deviation of the days between orders, of three gaps and more",
                "下单间隔天数的标准差",
                shown=False,
            ),
            Feature(
                "return_share_365d",
                f"coalesce(sum(-amount) filter (where kind = 'return' and {_STANDS} and age < days(365)), 0)"
                f" / nullif(sum(amount) filter (where {_SALE} and age < days(365)), 0)",
                "share",
                "Returned of what was bought in the last year",
                "近一年退货金额占比",
            ),
            Feature(
                "products_bought",
                f"count(distinct product_id) filter (where {_SALE})",
                "count",
                "Different products bought",
                "采购过的产品数",
            ),
            Feature(
                "products_365d",
                f"count(distinct product_id) filter (where {_SALE} and age < days(365))",
                "count",
                "Different products bought in the last year",
                "近一年采购的产品数",
            ),
        ),
        events="purchases",
        key="account_id",
        by="account_id",
        clock="known_at",
    ),
    Block(
        "account_contracts",
        "account",
        (
            Feature(
                "running_contracts",
                f"count(*) filter (where {_RUNNING})",
                "count",
                "Running contracts",
                "有效合同数",
            ),
            Feature(
                "ended_contracts",
                "count(*) filter (where ended_at <= as_of)",
                "count",
                "Ended contracts",
                "已终止合同数",
            ),
            Feature(
                "contract_days",
                f"max(age) filter (where {_RUNNING}) / days(1)",
                "days",
                "Age of the oldest running contract",
                "最早有效合同天数",
            ),
            # What a contract's next renewal or its quantity was before is not known; its first day is.
            Feature(
                "anniversary_days",
                f"min(365.25 - (age / days(1)) % 365.25) filter (where {_RUNNING})",
                "days",
                "Days to the next anniversary of a running contract, when a yearly one renews",
                "距最近有效合同周年日(按年续约日)的天数",
            ),
            Feature(
                "contracts_begun_180d",
                "count(*) filter (where age < days(180))",
                "count",
                "Contracts begun in the last 180 days",
                "近180天新开始的合同数",
            ),
        ),
        events="contracts",
        key="account_id",
        by="account_id",
        clock="known_at",
    ),
    Block(
        "account_contract_ends",
        "account",
        (
            Feature(
                "contracts_ended_180d",
                "count(*) filter (where age < days(180))",
                "count",
                "Contracts ended in the last 180 days",
                "近180天终止的合同数",
            ),
        ),
        events="contract_ends",
        key="account_id",
        by="account_id",
        clock="known_at",
    ),
    Block(
        "account_rhythm",
        "account",
        (
            Feature(
                "usual_gap_days",
                _GAP,
                "days",
                "Usual days between orders",
                "通常下单间隔天数",
            ),
            Feature(
                "silence_to_usual",
                "days_since_order * nullif(orders - 1, 0) / nullif(first_order_days - days_since_order, 0)",
                "ratio",
                "Days since the last order against the usual gap",
                "未下单天数与通常间隔之比",
            ),
            Feature(
                "order_lateness",
                # A few gaps say little of their spread, so it counts as a quarter of the usual gap at least.
                f"(days_since_order - {_GAP}) / nullif(case when gap_spread_days >= 0"
                f" then greatest(gap_spread_days, {_GAP} / 4) end, 0)",
                "standard deviations",
                "Days since the last order beyond the usual gap, against how much the gaps vary",
                "未下单天数超出通常间隔的部分与间隔波动之比",
            ),
            Feature(
                "spend_to_usual",
                "spend_90d / nullif(greatest(spend_365d, 0) * 90 / nullif(least(first_order_days, 365), 0), 0)",
                "ratio",
                "Spend of the last 90 days against the last year's pace",
                "近90天采购额与年均水平之比",
            ),
        ),
    ),
)
