"""The record of a deal's owner, customer and company, from deals closed before."""

from features.catalogue import Block, Feature

BLOCKS = (
    Block(
        "owner_record",
        "deal",
        (
            # Counters grow with the calendar, so models get the rate only.
            Feature(
                "owner_wins",
                "count(*) filter (where won)",
                "count",
                "Deals the owner has won",
                "负责人赢单数",
                shown=False,
                identity=True,
            ),
            Feature(
                "owner_closed",
                "count(*)",
                "count",
                "Deals the owner has closed",
                "负责人已结单数",
                shown=False,
                identity=True,
            ),
            Feature(
                "owner_usual_amount",
                "median(amount)",
                "base currency",
                "Median amount of the owner's wins",
                "负责人赢单金额中位数",
                shown=False,
                identity=True,
            ),
            Feature(
                "owner_wins_90d",
                "count(*) filter (where won and age < days(90))",
                "count",
                "Deals the owner won in the last 90 days",
                "负责人近90天赢单数",
                identity=True,
            ),
        ),
        events="closings",
        key="owner_id",
        by="owner_id",
        clock="known_at",
    ),
    Block(
        "company_record",
        "deal",
        (
            Feature(
                "company_win_rate",
                "count(*) filter (where won) * 1.0 / count(*)",
                "share",
                "Share of all closed deals that were won",
                "公司赢单率",
                shown=False,
            ),
            Feature(
                "usual_amount",
                "median(amount)",
                "base currency",
                "Median amount of past wins",
                "赢单金额中位数",
                shown=False,
            ),
        ),
        events="closings",
        key="company",
        by="company",
        clock="known_at",
    ),
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
        ),
        events="purchases",
        key="account_id",
        by="account_id",
        clock="known_at",
    ),
)
