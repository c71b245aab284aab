"""How a rep works and where: contacts against the own past, absence, ramp, team."""

from features.catalogue import Block, Feature
from features.rep_period import TARGET

_MET = "kind in ('meeting', 'visit', 'demo')"


def _to_usual(which: str) -> str:
    """Rate of the last 30 days against the rate before, back to the first contact of the last year: 30 days or more."""
    return (
        "case when max(age) filter (where contact) >= days(60) then"
        f" count(*) filter (where {which} and age < days(30)) / 30.0 * (max(age) filter (where contact) / days(1) - 30)"
        f" / nullif(count(*) filter (where {which} and age >= days(30)), 0) end"
    )


BLOCKS = (
    Block(
        "rep_activity",
        "rep",
        (
            Feature(
                "contacts_30d",
                "count(*) filter (where contact and age < days(30))",
                "count",
                "Customer contacts in the last 30 days",
                "近30天客户互动次数",
                can_act=True,
            ),
            Feature(
                "meetings_held_30d",
                f"count(*) filter (where {_MET} and age < days(30))",
                "count",
                "Meetings in the last 30 days",
                "近30天会面次数",
                can_act=True,
            ),
            Feature(
                "accounts_met_30d",
                "count(distinct account_id) filter (where contact and age < days(30))",
                "count",
                "Customers in contact in the last 30 days",
                "近30天互动客户数",
                can_act=True,
            ),
            Feature(
                "contacts_to_usual",
                _to_usual("contact"),
                "ratio",
                "Contacts a day of the last 30 days against the rest of the rep's last year",
                "近30天日均互动与本人近一年其余时间之比",
                can_act=True,
            ),
            Feature(
                "meetings_to_usual",
                _to_usual(_MET),
                "ratio",
                "Meetings a day of the last 30 days against the rest of the rep's last year",
                "近30天日均会面与本人近一年其余时间之比",
                can_act=True,
            ),
        ),
        events="touches",
        key="rep_id",
        by="rep_id",
        clock="known_at",
        within=365,
    ),
    Block(
        "rep_absence",
        "rep",
        (
            Feature(
                "absent_days",
                "sum(greatest(least(age, period_age) - greatest(age - lasts, 0), 0) / days(1))",
                "days",
                "Days away in this quarter so far",
                "本季度至今缺勤天数",
            ),
        ),
        events="away",
        key="rep_id",
        by="rep_id",
        clock="known_at",
    ),
    Block(
        "rep_team_size",
        "rep",
        (
            # No count: who is in no team has no team size, rather than 0.
            Feature(
                "team_size",
                "count(distinct rep_id) filter (where ends_at is null or ends_at > as_of)",
                "people",
                "People in the rep's team",
                "所在团队人数",
            ),
        ),
        events="team_members",
        key="team_id",
        by="team_id",
        clock="known_at",
    ),
    Block(
        "rep_team_record",
        "rep",
        (
            Feature(
                "team_booked",
                "sum(amount) filter (where won and age <= period_age)",
                "base currency",
                "Booked by the team in this period so far",
                "团队本期已成交金额",
                shown=False,
            ),
        ),
        events="team_closings",
        key="team_id",
        by="team_id",
        clock="known_at",
        within=93,
    ),
    Block(
        "rep_team_target",
        "rep",
        (Feature("team_target", TARGET, "base currency", "Target of the team", "团队目标", shown=False),),
        events="targets",
        key="team_id",
        by="team_id",
        clock="known_at",
    ),
    Block(
        "rep_work",
        "rep",
        (
            Feature("tenure_days", "tenure", "days", "Days since hired", "入职天数"),
            Feature(
                "quarters_since_hired", "quarters_begun", "quarters", "Quarters begun since hired", "入职后开始的季度数"
            ),
            Feature(
                "ramp",
                "case when tenure < 180 then tenure / 180 when tenure >= 180 then 1 end",
                "share",
                "Share of a ramp of 180 days",
                "180天上手期完成比例",
            ),
            Feature(
                "team_goal_booked",
                "team_booked / nullif(team_target, 0)",
                "share",
                "Share of the team's target booked so far",
                "团队目标完成比例",
            ),
        ),
    ),
)
