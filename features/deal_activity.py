"""Contacts with the customer about a deal: how many, which way, how long ago, with whom."""

from features.catalogue import Block, Feature

_MET = "kind in ('call', 'meeting', 'demo', 'visit')"


def _recent(kind: str, name: str, en: str, zh: str) -> Feature:
    return Feature(
        f"{name}_30d", f"count(*) filter (where kind in ({kind}) and age < days(30))", "count", en, zh, can_act=True
    )


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
            Feature(
                "inbound_7d",
                "count(*) filter (where direction = 'in' and age < days(7))",
                "count",
                "Contacts from the customer in the last 7 days",
                "近7天客户主动联系次数",
            ),
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
                "reply_ratio",
                "count(*) filter (where direction = 'in') * 1.0 / nullif(count(*) filter (where direction = 'out'), 0)",
                "ratio",
                "Contacts from the customer for each of ours",
                "客户回应与我方联系之比",
            ),
            _recent("'call'", "calls", "Calls in the last 30 days", "近30天通话次数"),
            _recent("'meeting', 'visit'", "meetings", "Meetings and visits in the last 30 days", "近30天会面次数"),
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
