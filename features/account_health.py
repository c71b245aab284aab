"""Whether an account is well: service, satisfaction, contact both ways, who works with it; what sort of account."""

from features.catalogue import Block, Feature

_GRADED = "closed_at <= as_of and satisfaction is not null"  # a grade counts as given when the ticket was closed

BLOCKS = (
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
        "account_grades",
        "account",
        (
            Feature(
                "satisfaction_trend",
                "avg(satisfaction) filter (where age < days(90)) - avg(satisfaction)",
                "points of 5",
                "Satisfaction with service in the last 90 days against the year's",
                "近90天服务满意度与近一年平均之差",
                can_act=True,
            ),
        ),
        events="grades",
        key="account_id",
        by="account_id",
        clock="known_at",
        within=365,
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
            Feature(
                "survey_trend",
                "avg(score) filter (where age < days(90)) - avg(score) filter (where age < days(365))",
                "share of the scale",
                "Survey answers of the last 90 days against the year's",
                "近90天调研评分与近一年平均之差",
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
                "contacts_30d",
                "count(*) filter (where contact and age < days(30))",
                "count",
                "Contacts with the customer in the last 30 days",
                "近30天互动次数",
                can_act=True,
            ),
            Feature(
                "inbound_90d",
                "count(*) filter (where contact and direction = 'in' and age < days(90))",
                "count",
                "Contacts that came from the customer in the last 90 days",
                "近90天客户主动联系次数",
            ),
            Feature(
                "inbound_silent_days",
                "min(age) filter (where contact and direction = 'in') / days(1)",
                "days",
                "Days since the customer last made contact",
                "距客户上次主动联系天数",
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
        "account_departures",
        "account",
        (
            Feature(
                "contacts_left_90d",
                "count(*) filter (where age < days(90))",
                "count",
                "People who left the customer in the last 90 days",
                "近90天离职的客户联系人数",
            ),
        ),
        events="departures",
        key="account_id",
        by="account_id",
        clock="known_at",
    ),
    # Who looks after the account today is known, but not who did before: its deals' owners stand in.
    Block(
        "account_handovers",
        "account",
        (
            Feature(
                "owner_changes_365d",
                "count(*)",
                "count",
                "Times a deal of the customer got another owner in the last year",
                "近一年该客户商机更换负责人次数",
                needs="owner_id",
            ),
        ),
        events="handovers",
        key="account_id",
        by="account_id",
        clock="known_at",
        within=365,
    ),
    Block(
        "account_health",
        "account",
        (
            Feature("industry", "industry", "", "Industry", "行业", kind="category"),
            Feature("segment", "segment", "", "Customer segment", "客户细分", kind="category"),
            Feature("country", "country", "", "Country", "国家", kind="category"),
            Feature("employees", "employees", "people", "Employees", "员工数"),
            Feature("annual_revenue", "annual_revenue", "base currency", "Yearly revenue", "年营收"),
            Feature("account_age_days", "account_age", "days", "Days since the record was made", "客户建档天数"),
        ),
    ),
)
