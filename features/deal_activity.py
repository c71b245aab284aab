"""Contacts with the customer about a deal: how many, which way, how long ago, with whom."""

from features.catalogue import Block, Feature

_MET = "kind in ('call', 'meeting', 'demo', 'visit')"
_SPOKE = "'call'"
_SAT_DOWN = "'meeting', 'visit'"


def _recent(kinds: str, days: int, name: str, en: str, zh: str) -> Feature:
    counted = f"count(*) filter (where kind in ({kinds}) and age < days({days}))"
    return Feature(
        f"{name}_{days}d", counted, "count", f"{en} in the last {days} days", f"近{days}天{zh}", can_act=True
    )


def _one_way(direction: str, days: int, name: str, en: str, zh: str) -> Feature:
    counted = f"count(*) filter (where direction = '{direction}' and age < days({days}))"
    says = (f"Contacts {en} the customer in the last {days} days", f"近{days}天{zh}次数")
    return Feature(f"{name}_{days}d", counted, "count", *says, can_act=direction == "out")


BLOCKS = (
    Block(
        "deal_activity",
        "deal",
        (
            Feature(
                "touches_30d",
                "count(*) filter (where contact and age < days(30))",
                "count",
                "Contacts with the customer in the last 30 days",
                "近30天与客户的互动次数",
                can_act=True,
            ),
            Feature(
                "touches_7d",
                "count(*) filter (where contact and age < days(7))",
                "count",
                "Contacts with the customer in the last 7 days",
                "近7天与客户的互动次数",
                can_act=True,
            ),
            Feature(
                "touches", "count(*) filter (where contact)", "count", "Contacts so far", "累计互动次数", can_act=True
            ),
            Feature(
                "days_silent",
                "min(age) filter (where contact) / days(1)",
                "days",
                "Days since the last contact; missing if there was none",
                "距上次互动的天数",
                can_act=True,
            ),
            Feature(
                "emails_in_30d",
                "count(*) filter (where kind = 'email' and direction = 'in' and age < days(30))",
                "count",
                "Mails from the customer in the last 30 days",
                "近30天客户来信数",
            ),
            Feature(
                "emails_out_30d",
                "count(*) filter (where kind = 'email' and direction = 'out' and age < days(30))",
                "count",
                "Mails to the customer in the last 30 days",
                "近30天发出邮件数",
                can_act=True,
            ),
            _one_way("in", 7, "inbound", "from", "客户主动联系"),
            _one_way("in", 30, "inbound", "from", "客户主动联系"),
            _one_way("in", 90, "inbound", "from", "客户主动联系"),
            _one_way("out", 7, "outbound", "to", "我方联系"),
            _one_way("out", 30, "outbound", "to", "我方联系"),
            _one_way("out", 90, "outbound", "to", "我方联系"),
            Feature(
                "inbound_fading",
                "sum(exp(-age / days(14))) filter (where direction = 'in')",
                "count",
                "Contacts from the customer, older ones counting less",
                "客户主动联系(按时间衰减)",
            ),
            Feature(
                "days_since_inbound",
                "min(age) filter (where direction = 'in') / days(1)",
                "days",
                "Days since the customer last made contact",
                "距客户上次主动联系的天数",
            ),
            Feature(
                "days_since_outbound",
                "min(age) filter (where direction = 'out') / days(1)",
                "days",
                "Days since we last made contact",
                "距我方上次联系的天数",
                can_act=True,
            ),
            Feature(
                "reply_ratio",
                "count(*) filter (where direction = 'in') * 1.0 / nullif(count(*) filter (where direction = 'out'), 0)",
                "ratio",
                "Contacts from the customer for each of ours",
                "客户回应与我方联系之比",
            ),
            _recent(_SPOKE, 30, "calls", "Calls", "通话次数"),
            _recent(_SPOKE, 90, "calls", "Calls", "通话次数"),
            _recent(_SAT_DOWN, 30, "meetings", "Meetings and visits", "会面次数"),
            _recent(_SAT_DOWN, 90, "meetings", "Meetings and visits", "会面次数"),
            Feature(
                "emails", "count(*) filter (where kind = 'email')", "count", "Mails so far", "累计邮件数", can_act=True
            ),
            Feature(
                "calls", "count(*) filter (where kind = 'call')", "count", "Calls so far", "累计通话次数", can_act=True
            ),
            Feature(
                "meetings",
                f"count(*) filter (where kind in ({_SAT_DOWN}))",
                "count",
                "Meetings and visits so far",
                "累计会面次数",
                can_act=True,
            ),
            Feature(
                "days_since_meeting",
                "min(age) filter (where kind in ('meeting', 'visit', 'demo')) / days(1)",
                "days",
                "Days since people last met, a demo included; missing if they never did",
                "距上次会面(含演示)的天数",
                can_act=True,
            ),
            Feature("demos", "count(*) filter (where kind = 'demo')", "count", "Demos given", "演示次数", can_act=True),
            Feature(
                "proposals",
                "count(*) filter (where kind = 'proposal')",
                "count",
                "Proposals sent",
                "报价次数",
                can_act=True,
            ),
            Feature(
                "decision_makers_met",
                f"count(distinct contact_id) filter (where decision_maker and {_MET})",
                "count",
                "Decision makers met",
                "见过的决策人数",
                can_act=True,
                needs="contacts",
            ),
            Feature(
                "contacts_met",
                f"count(distinct contact_id) filter (where {_MET})",
                "count",
                "People met at the customer",
                "见过的联系人数",
                can_act=True,
            ),
            Feature(
                "contacts_met_90d",
                f"count(distinct contact_id) filter (where {_MET} and age < days(90))",
                "count",
                "People met at the customer in the last 90 days",
                "近90天见过的联系人数",
                can_act=True,
            ),
            Feature(
                "seniority_met",
                f"max(seniority_rank) filter (where {_MET})",
                "rank, 1 staff to 5 c-level",
                "Highest level of the people met",
                "见过的联系人的最高级别",
                can_act=True,
                needs="contacts",
            ),
            Feature(
                "notes_30d",
                "count(*) filter (where not contact and age < days(30))",
                "count",
                "Notes and tasks in the last 30 days",
                "近30天备注与任务数",
            ),
        ),
        events="touches",
        key="deal_id",
        by="deal_id",
        clock="known_at",
    ),
)
