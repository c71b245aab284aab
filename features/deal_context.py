"""What a deal is: size, price, source, stage and dates as they stood, its customer, its owner, each against the usual.

Who else bids (`competitor`) is written down at an unknown later time, so it is no feature; a company that logs it as a
custom field `x_*` has it as one.
"""

from features.catalogue import Block, Feature

_IN_STAGE = "(epoch_as_of - coalesce(epoch_stage_since, epoch_created)) / days(1)"


def _category(name: str, en: str, zh: str, *, identity: bool = False) -> Feature:
    return Feature(name, name, "", en, zh, kind="category", identity=identity)


def _rate(name: str, by: str, en: str, zh: str) -> Feature:
    return Feature(
        f"{name}_win_rate",
        f"case when {by} is not null"
        f" then ({name}_wins + 10 * coalesce(company_win_rate, 0.5)) / ({name}_closed + 10) end",
        "share",
        f"{en} win rate so far, drawn towards the company's",
        f"{zh}历史赢单率(向公司平均收缩)",
    )


BLOCKS = (
    Block(
        "deal_context",
        "deal",
        (
            _category("stage", "Stage", "阶段"),
            Feature(
                "stage_index", "stage_place", "stages", "How many stages it has come", "所处阶段的序号", can_act=True
            ),
            Feature(
                "days_open", "(epoch_as_of - epoch_created) / days(1)", "days", "Age of the deal", "商机已存在天数"
            ),
            Feature(
                "days_in_stage",
                f"case when stage is not null then {_IN_STAGE} end",
                "days",
                "Time in this stage",
                "在当前阶段的天数",
                can_act=True,
            ),
            Feature(
                "stage_days_to_usual",
                f"{_IN_STAGE} / nullif(usual_stage_days, 0)",
                "ratio",
                "Time in this stage against the usual",
                "当前阶段停留时间与通常之比",
                can_act=True,
            ),
            Feature(
                "stage_days_to_segment",
                f"case when segment is not null then {_IN_STAGE} * (segment_stays + 10)"
                " / nullif(segment_stays * coalesce(segment_stage_days, 0) + 10 * usual_stage_days, 0) end",
                "ratio",
                "Time in this stage against the segment's usual, drawn towards the company's",
                "当前阶段停留时间与细分市场通常之比(向公司平均收缩)",
                can_act=True,
            ),
            Feature("amount", "amount", "base currency", "Amount", "金额"),
            Feature("list_amount", "list_amount", "base currency", "Amount at list price", "目录价金额"),
            Feature(
                "price_to_list",
                "amount / nullif(list_amount, 0)",
                "ratio",
                "Price against list price",
                "成交价与目录价之比",
                can_act=True,
            ),
            Feature(
                "amount_to_first",
                "case when amount is not null then coalesce(amount_moved, 1.0) end",
                "ratio",
                "Amount against the one first given",
                "当前金额与最初金额之比",
            ),
            Feature(
                "close_date_days",
                "close_in_days",
                "days",
                "Days until the planned close date",
                "距预计成交日期的天数",
                can_act=True,
            ),
            Feature(
                "close_date_passed",
                "case when close_in_days < 0 then 1.0 when close_in_days is not null then 0.0 end",
                "yes or no",
                "The planned close date has passed",
                "预计成交日期已过",
                can_act=True,
            ),
            Feature(
                "close_at_quarter_end",
                "case when close_quarter_month = 2 and close_month_left < 7 then 1.0"
                " when close_quarter_month is not null then 0.0 end",
                "yes or no",
                "Planned to close in the last week of a quarter",
                "预计在季度最后一周成交",
            ),
            Feature("month_end_days", "month_ends_in", "days", "Days until the month ends", "距月末的天数"),
            Feature("quarter_end_days", "quarter_ends_in", "days", "Days until the quarter ends", "距季度末的天数"),
            Feature("year_end_days", "year_ends_in", "days", "Days until the fiscal year ends", "距财年末的天数"),
            _category("forecast_category", "The owner's own call", "负责人的预测类别"),
            _category("kind", "Sort of deal", "商机类型"),
            _category("pipeline", "Pipeline", "销售管道"),
            _category("product_id", "Product", "产品"),
            _category("source", "Source", "来源"),
            _category("owner_id", "Owner", "负责人", identity=True),
            Feature(
                "owner_win_rate",
                "(owner_wins + 10 * coalesce(company_win_rate, 0.5)) / (owner_closed + 10)",
                "share",
                "Owner's win rate so far, drawn towards the company's",
                "负责人历史赢单率(向公司平均收缩)",
                identity=True,
            ),
            Feature(
                "amount_to_usual",
                "coalesce(amount, list_amount) / nullif(usual_amount, 0)",
                "ratio",
                "Amount against the company's usual win",
                "金额与通常赢单金额之比",
            ),
            Feature(
                "amount_to_owner_usual",
                "coalesce(amount, list_amount) / nullif(owner_usual_amount, 0)",
                "ratio",
                "Amount against the owner's usual win",
                "金额与负责人通常赢单金额之比",
                identity=True,
            ),
            Feature(
                "amount_to_customer_usual",
                "coalesce(amount, list_amount) / nullif(customer_usual_amount, 0)",
                "ratio",
                "Amount against the customer's usual win",
                "金额与该客户通常赢单金额之比",
            ),
            Feature(
                "amount_to_product_usual",
                "coalesce(amount, list_amount) / nullif(product_usual_amount, 0)",
                "ratio",
                "Amount against the product's usual win",
                "金额与该产品通常赢单金额之比",
            ),
            _rate("product", "product_id", "Product's", "该产品"),
            _rate("source", "source", "Source's", "该来源"),
            Feature(
                "owner_usual_cycle",
                "(owner_wins * coalesce(owner_cycle_days, 0) + 10 * usual_cycle_days) / (owner_wins + 10)",
                "days",
                "Owner's usual days from creation to win, drawn towards the company's",
                "负责人通常赢单周期(向公司平均收缩)",
                identity=True,
            ),
            Feature(
                "owner_call_rate",
                "(owner_calls_won + 10 * company_call_rate) / (owner_calls + 10)",
                "share",
                "Share won of what the owner had called commit, drawn towards the company's",
                "负责人承诺判断的赢单率(向公司平均收缩)",
                identity=True,
            ),
            Feature(
                "owner_open_deals",
                "case when owner_id is not null then owner_load end",
                "deals",
                "Open deals of the owner",
                "负责人在跟商机数",
                can_act=True,
                identity=True,
            ),
            Feature(
                "owner_tenure_days",
                "owner_tenure",
                "days",
                "Days since the owner was hired",
                "负责人入职天数",
                identity=True,
            ),
            Feature(
                "stages_a_month",
                "stages_passed * days(30) / nullif(epoch_as_of - epoch_created, 0)",
                "stages",
                "Stages passed in 30 days on average",
                "平均每30天推进的阶段数",
            ),
            Feature(
                "single_threaded",
                "case when contacts_met = 1 then 1.0 when contacts_met > 1 then 0.0 end",
                "yes or no",
                "Only one person was met at the customer; missing if nobody known was",
                "仅接触过一位联系人",
                can_act=True,
            ),
            _category("segment", "Customer segment", "客户细分"),
            _category("industry", "Industry", "行业"),
            _category("country", "Country", "国家"),
            _category("region", "Region", "区域"),
            Feature("employees", "employees", "people", "Employees of the customer", "客户员工数"),
            Feature(
                "annual_revenue", "annual_revenue", "base currency", "Yearly revenue of the customer", "客户年营收"
            ),
            Feature(
                "referred",
                "case when referrals_known then case when referred_by_account_id is not null then 1.0 else 0.0 end end",
                "yes or no",
                "Referred by another customer",
                "由其他客户推荐",
            ),
        ),
    ),
)
