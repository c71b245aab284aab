"""What happened with the customer before: deals, orders, requests for help, people who left."""

from features.catalogue import Block, Feature

_OPEN = "(closed_at is null or closed_at > as_of)"

BLOCKS = (
    Block(
        "customer_record",
        "deal",
        (
            Feature(
                "customer_wins",
                "count(*) filter (where won)",
                "count",
                "Deals won with this customer",
                "与该客户的赢单数",
            ),
            Feature(
                "customer_losses",
                "count(*) filter (where not won)",
                "count",
                "Deals lost with this customer",
                "与该客户的输单数",
            ),
            Feature(
                "customer_usual_amount",
                "median(amount)",
                "base currency",
                "Median amount of wins with this customer",
                "与该客户赢单金额中位数",
                shown=False,
            ),
        ),
        events="closings",
        key="account_id",
        by="account_id",
        clock="known_at",
    ),
    Block(
        "customer_orders",
        "deal",
        (
            Feature(
                "customer_orders_1y",
                "count(*) filter (where age < days(365))",
                "count",
                "Orders in the last year",
                "近一年订单数",
            ),
            Feature(
                "customer_spend_1y",
                "sum(amount) filter (where age < days(365))",
                "base currency",
                "Bought in the last year",
                "近一年采购额",
            ),
            Feature(
                "customer_days_since_order",
                "min(age) filter (where kind = 'sale' and (cancelled_at is null or cancelled_at > as_of)) / days(1)",
                "days",
                "Days since the customer's last order",
                "距该客户上次下单的天数",
            ),
        ),
        events="purchases",
        key="account_id",
        by="account_id",
        clock="known_at",
    ),
    Block(
        "customer_service",
        "deal",
        (
            Feature(
                "customer_open_tickets",
                f"count(*) filter (where {_OPEN})",
                "count",
                "Open tickets of the customer",
                "该客户未解决工单数",
                can_act=True,
            ),
            Feature(
                "customer_severe_tickets",
                f"count(*) filter (where severe and {_OPEN})",
                "count",
                "Severe open tickets of the customer",
                "该客户未解决的严重工单数",
                can_act=True,
            ),
            Feature(
                "customer_satisfaction",
                "avg(satisfaction) filter (where closed_at <= as_of and age < days(365))",
                "1 to 5",
                "Satisfaction with service in the last year",
                "近一年服务满意度",
                can_act=True,
            ),
        ),
        events="requests",
        key="account_id",
        by="account_id",
        clock="known_at",
    ),
    Block(
        "customer_people",
        "deal",
        (
            Feature(
                "contacts_left_90d",
                "count(*)",
                "count",
                "People who left the customer in the last 90 days",
                "近90天离开该客户的联系人数",
            ),
        ),
        events="departures",
        key="account_id",
        by="account_id",
        clock="known_at",
        within=90,
    ),
)
