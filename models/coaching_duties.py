"""Steps that need no figure: a deal whose owner has left goes to a colleague, one that stands still is looked at."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from crm.lake import View, connect
from models.actions import Action, named

# Of the team of who left, the one there now with the fewest open deals; else of the whole company.
_LEFT = """
with here as (
    select r.rep_id, r.team_id, count(d.deal_id) as open_deals
    from reps r left join deals d on d.owner_id = r.rep_id and d.created_at <= $at
         and (d.outcome = 'open' or d.closed_at > $at)
    where coalesce(r.left_on > $day, true) and coalesce(r.hired_on <= $day, true)
      and coalesce(r.role, 'rep') <> 'manager'
    group by r.rep_id, r.team_id
)
select a.deal_id, arg_min(h.rep_id, (case when h.team_id = o.team_id then 0 else 1 end, h.open_deals, h.rep_id))
from asked a join deals d using (deal_id) join reps o on o.rep_id = d.owner_id and o.left_on <= $day
left join here h on h.rep_id <> o.rep_id
group by a.deal_id
"""


@dataclass(frozen=True, slots=True)
class Duty:
    """A step for one deal, why, and to whom it goes where it goes to somebody."""

    action: Action
    why: dict[str, str]
    colleague: str | None = None


def duties(X: pd.DataFrame, view: View, at: pd.Timestamp) -> dict[str, list[Duty]]:
    """Such steps by deal, most pressing first; deals without any are left out.

    Parameters
    ----------
    X : shape (n, p)
        Open deals with their features.
    at : Timestamp, UTC
        Moment of the advice.
    """
    found: dict[str, list[Duty]] = {}
    for deal, colleague in _without_owner(X, view, at).items():
        why = {"en": "Its owner has left the company.", "zh": "负责人已离开公司。"}
        found.setdefault(deal, []).append(Duty(named("hand_over"), why, colleague))
    look = named("requalify")
    for deal in X.loc[look.fits(X), "deal_id"]:
        found.setdefault(deal, []).append(Duty(look, {"en": look.why_en, "zh": look.why_zh}))
    return found


def _without_owner(X: pd.DataFrame, view: View, at: pd.Timestamp) -> dict[str, str | None]:
    if "reps" not in view.present or X.empty:
        return {}
    with connect() as con:
        view.attach(con)
        con.register("asked", pa.table({"deal_id": pa.array(X["deal_id"].tolist(), pa.string())}))
        return dict(con.execute(_LEFT, {"at": at.to_pydatetime(), "day": at.date()}).fetchall())
