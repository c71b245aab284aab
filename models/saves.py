"""What may keep a customer: plays named by the signs that raise the chance to leave, with what stands behind each."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from crm.lake import View, connect

MOST = 3
LEAST_POINTS = 0.005
"""A play whose signs raise the chance to leave by less is not worth a line."""

_WHOM = """
select c.contact_id, c.account_id from contacts c
left join (select contact_id, max(occurred_at) as last from activities
           where greatest(occurred_at, coalesce(recorded_at, occurred_at)) <= $at group by contact_id) v
     using (contact_id)
where c.account_id in (select unnest($accounts))
      and coalesce(c.created_at <= $at, true) and coalesce(c.left_at > $at, true)
order by list_position(['staff', 'manager', 'director', 'vp', 'c-level'], c.seniority) desc nulls last,
         v.last desc nulls last, c.contact_id
"""


@dataclass(frozen=True, slots=True)
class Play:
    """One play.

    Attributes
    ----------
    signs : tuple of str
        Features of customers that call for it where they raise the chance to leave.
    en, zh : str
        What to do.
    """

    name: str
    due_in_days: int
    signs: tuple[str, ...]
    en: str
    zh: str


@dataclass(frozen=True, slots=True)
class Sign:
    """A feature with its value, and by how much it raises the chance to leave."""

    feature: str
    value: float
    points: float


@dataclass(frozen=True, slots=True)
class Save:
    """A play for one customer.

    Attributes
    ----------
    signs : tuple of Sign
        The largest first.
    points : float
        Their sum: how much higher the chance to leave is with them than without, as the model has it. What the play
        changes of it is not known.
    contact_id : str or None
        The highest person at the customer, of equals the last one spoken to.
    """

    play: Play
    signs: tuple[Sign, ...]
    points: float
    contact_id: str | None


PLAYS: tuple[Play, ...] = (
    Play(
        "service_recovery", 3,
        ("open_tickets", "oldest_ticket_days", "severe_open_days", "tickets_90d", "ticket_satisfaction",
         "satisfaction_trend"),
        "Name one person who settles what is open in service, and tell the customer by when.",
        "指定一人负责解决未结服务问题，并告知客户完成时间。",
    ),
    Play(
        "survey_talk", 7, ("survey_score", "survey_trend"),
        "Go through the customer's survey answers together, and say what will change.",
        "与客户一起回顾调查反馈，并说明将如何改进。",
    ),
    Play(
        "reorder_talk", 5,
        ("days_since_order", "orders_90d", "spend_90d", "silence_to_usual", "order_lateness", "last_gaps_to_usual",
         "last_amounts_to_usual", "spend_to_usual"),
        "Ask what became of the usual order, and who delivers it now.",
        "询问常规订单的情况，以及目前由谁供货。",
    ),
    Play(
        "returns_talk", 5, ("returns_90d", "return_share_365d"),
        "Find out why goods came back, and make it good.",
        "了解退货原因并予以补救。",
    ),
    Play(
        "renewal_talk", 14,
        ("anniversary_days", "running_contracts", "ended_contracts", "contracts_ended_180d", "contract_days"),
        "Begin the talk about renewal now, with what the contract brought so far.",
        "现在就开始续约沟通，并带上合同至今的成效。",
    ),
    Play(
        "check_in", 5,
        ("contacts_90d", "contacts_30d", "inbound_90d", "inbound_silent_days", "account_silent_days"),
        "Call or visit, and ask how it goes: little was heard of them.",
        "致电或拜访，了解近况：近来少有来往。",
    ),
    Play(
        "new_sponsor", 7, ("contacts_left_90d",),
        "Meet whoever took over from the person who left.",
        "拜访接替离职联系人的人员。",
    ),
    Play(
        "introduce_owner", 7, ("owner_changes_365d",),
        "Introduce the new owner in person; agree on who calls when.",
        "当面介绍新的负责人，并约定联系安排。",
    ),
)  # fmt: skip


def save_plays(
    reasons: pd.DataFrame, view: View, *, at: datetime, leave_out: Collection[str] = frozenset()
) -> dict[str, list[Save]]:
    """At most three plays a customer, those first whose signs raise the chance to leave most.

    A sign counts where its value is known and it raises the chance; what is missing calls for nothing. As the model
    only sees what stands together with leaving, a play is where to begin, no promise.

    Parameters
    ----------
    reasons : DataFrame
        Reasons of customers as they are scored: entity_id, feature, value, contribution (of the probability).
    at : datetime
        What was recorded later is not looked at.
    leave_out : collection of str
        Plays that people did, put off or called wrong: the next ones take their places.

    Returns
    -------
    dict
        By account_id; customers without any are left out.
    """
    up = reasons[(reasons["contribution"] > 0) & reasons["value"].notna()]
    whom = _whom(view, sorted(set(up["entity_id"])), at)
    found: dict[str, list[Save]] = {}
    for account, part in up.groupby("entity_id", sort=True):
        points = dict(zip(part["feature"], zip(part["value"], part["contribution"], strict=True), strict=True))
        plays = [_save(play, points, whom.get(str(account))) for play in PLAYS if play.name not in leave_out]
        ranked = sorted((p for p in plays if p.points >= LEAST_POINTS), key=lambda p: (-p.points, p.play.name))
        if ranked:
            found[str(account)] = ranked[:MOST]
    return found


def _save(play: Play, points: dict[str, tuple[float, float]], contact: str | None) -> Save:
    signs = [Sign(name, *map(float, points[name])) for name in play.signs if name in points]
    signs.sort(key=lambda sign: (-sign.points, sign.feature))
    return Save(play, tuple(signs), sum(sign.points for sign in signs), contact)


def _whom(view: View, accounts: list[str], at: datetime) -> dict[str, str]:
    with connect() as con:
        view.attach(con)
        rows = con.execute(_WHOM, {"at": at, "accounts": accounts}).fetchall()
    found: dict[str, str] = {}
    for contact, account in rows:
        found.setdefault(account, contact)
    return found
