"""Whether an account is well: its orders against its own usual, contracts, service, satisfaction."""

from features.catalogue import Block, Feature

_SALE = "kind = 'sale' and (cancelled_at is null or cancelled_at > as_of)"
_GRADED = "closed_at <= as_of and satisfaction is not null"  # a grade counts as given when the ticket was closed

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
                "sum(amount) filter (where age < days(90))",
                "base currency",
                "Bought in the last 90 days",
                "近90天采购额",
            ),
            Feature(
                "spend_365d",
                "sum(amount) filter (where age < days(365))",
                "base currency",
                "Bought in the last year",
                "近一年采购额",
            ),
            Feature(
                "returns_90d",
                "count(*) filter (where kind = 'return' and age < days(90))",
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
                "products_bought", "count(distinct product_id)", "count", "Different products bought", "采购过的产品数"
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
                "count(*) filter (where ended_at is null or ended_at > as_of)",
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
                "max(age) filter (where ended_at is null or ended_at > as_of) / days(1)",
                "days",
                "Age of the oldest running contract",
                "最早有效合同天数",
            ),
        ),
        events="contracts",
        key="account_id",
        by="account_id",
        clock="known_at",
    ),
    Block(
        "account_service",
        "account",
        (
            Feature(
                "open_tickets",
                "count(*) filter (where closed_at is null or closed_at > as_of)",
                "count",
                "Open tickets",
                "未解决工单数",
                can_act=True,
            ),
            Feature(
                "oldest_ticket_days",
                "max(age) filter (where closed_at is null or closed_at > as_of) / days(1)",
                "days",
                "Age of the oldest open ticket",
                "最早未解决工单天数",
                can_act=True,
            ),
            Feature(
                "severe_open_days",
                "max(age) filter (where severe and (closed_at is null or closed_at > as_of)) / days(1)",
                "days",
                "Age of the oldest severe open ticket",
                "最早未解决严重工单天数",
                can_act=True,
            ),
            Feature(
                "tickets_90d",
                "count(*) filter (where age < days(90))",
                "count",
                "Tickets in the last 90 days",
                "近90天工单数",
            ),
            Feature(
                "ticket_satisfaction",
                f"sum(satisfaction * exp(-age / days(90))) filter (where {_GRADED})"
                f" / nullif(sum(exp(-age / days(90))) filter (where {_GRADED}), 0)",
                "1 to 5",
                "Satisfaction with service, recent counting more",
                "服务满意度(近期权重更高)",
                can_act=True,
            ),
        ),
        events="requests",
        key="account_id",
        by="account_id",
        clock="known_at",
    ),
    Block(
        "account_answers",
        "account",
        (
            Feature(
                "survey_score",
                "sum(score * exp(-age / days(180)))"
                " / nullif(sum(exp(-age / days(180))) filter (where score is not null), 0)",
                "share of the scale",
                "Survey answers, recent counting more",
                "调研评分(近期权重更高)",
            ),
        ),
        events="answers",
        key="account_id",
        by="account_id",
        clock="known_at",
    ),
    Block(
        "account_contact",
        "account",
        (
            Feature(
                "contacts_90d",
                "count(*) filter (where contact and age < days(90))",
                "count",
                "Contacts with the customer in the last 90 days",
                "近90天互动次数",
                can_act=True,
            ),
            Feature(
                "account_silent_days",
                "min(age) filter (where contact) / days(1)",
                "days",
                "Days since the last contact",
                "距上次互动天数",
                can_act=True,
            ),
        ),
        events="touches",
        key="account_id",
        by="account_id",
        clock="known_at",
    ),
    Block(
        "account_health",
        "account",
        (
            Feature(
                "usual_gap_days",
                "(first_order_days - days_since_order) / nullif(orders - 1, 0)",
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
                "spend_to_usual",
                "spend_90d / nullif(greatest(spend_365d, 0) * 90 / nullif(least(first_order_days, 365), 0), 0)",
                "ratio",
                "Spend of the last 90 days against the last year's pace",
                "近90天采购额与年均水平之比",
            ),
            Feature("industry", "industry", "", "Industry", "行业", kind="category"),
            Feature("segment", "segment", "", "Customer segment", "客户细分", kind="category"),
            Feature("country", "country", "", "Country", "国家", kind="category"),
            Feature("employees", "employees", "people", "Employees", "员工数"),
            Feature("annual_revenue", "annual_revenue", "base currency", "Yearly revenue", "年营收"),
            Feature("account_age_days", "account_age", "days", "Days since the record was made", "客户建档天数"),
        ),
    ),
)
