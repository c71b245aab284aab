"""What may be suggested for a deal: when it fits, how it shows in the history, how to say it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.learners import Floats

Flags = npt.NDArray[np.bool_]
ContactNeed = Literal["", "decision_maker", "anyone"]


@dataclass(frozen=True, slots=True)
class Action:
    """One entry of the catalogue.

    Parameters
    ----------
    name : str
        As `coach` names it.
    due_in_days : int
        When it should be done.
    fits : callable
        Features of deals, shape (n, p), to whether it makes sense for each; what is missing does not rule it out.
    kind : str
        The kind of activity of ours that it is logged as; empty where it is none.
    close_in_days : int, optional
        So many days ahead it puts the planned close date.
    needs : {'', 'decision_maker', 'anyone'}
        A contact at the account whom nobody has met about this deal.
    shows : bool
        Whether history tells when it was taken.
    effort_hours : float
        Hours that it is taken to cost.
    cooling_off_days : int
        Not suggested again so many days after it was done.
    why_en, why_zh : str
        Why it fits; features stand in braces.
    gone_en, gone_zh : str
        The recorded fact with which it no longer fits, to be put after 'with'; empty where nothing recorded tells.
    """

    name: str
    due_in_days: int
    fits: Callable[[pd.DataFrame], Flags]
    why_en: str
    why_zh: str
    kind: str = ""
    close_in_days: int | None = None
    needs: ContactNeed = ""
    shows: bool = True
    effort_hours: float = 1.0
    cooling_off_days: int = 14
    gone_en: str = ""
    gone_zh: str = ""


def values(X: pd.DataFrame, name: str) -> Floats:
    """A feature's values, shape (n,); NaN where missing or not there."""
    return X[name].to_numpy(np.float64, na_value=np.nan) if name in X else np.full(len(X), np.nan)


def _silent(days: float) -> Callable[[pd.DataFrame], Flags]:
    def fits(X: pd.DataFrame) -> Flags:
        silent = values(X, "days_silent")
        return np.isnan(silent) | (silent >= days)

    return fits


def _below(name: str, limit: float) -> Callable[[pd.DataFrame], Flags]:
    return lambda X: values(X, name) < limit


def _above(name: str, limit: float) -> Callable[[pd.DataFrame], Flags]:
    return lambda X: values(X, name) > limit


def _never(_: pd.DataFrame) -> Flags:
    return np.zeros(len(_), dtype=bool)


CATALOGUE: tuple[Action, ...] = (
    Action(
        "email", 2, _silent(7), "No contact with the customer in the last 7 days.", "近7天未与客户互动。",
        kind="email", effort_hours=0.5, cooling_off_days=5,
        gone_en="a contact with the customer within the last 7 days",
        gone_zh="近7天内与客户有互动",
    ),
    Action(
        "call", 2, _silent(5), "No contact with the customer in the last 5 days.", "近5天未与客户互动。",
        kind="call", cooling_off_days=5,
        gone_en="a contact with the customer within the last 5 days",
        gone_zh="近5天内与客户有互动",
    ),
    Action(
        "meeting", 7, _below("meetings_30d", 1), "No meeting in the last 30 days.", "近30天未会面。",
        kind="meeting", effort_hours=2.0,
        gone_en="a meeting or visit within the last 30 days",
        gone_zh="近30天内有会面或拜访",
    ),
    Action(
        "visit", 7, _below("meetings_30d", 1), "No visit or meeting in the last 30 days.", "近30天未拜访或会面。",
        kind="visit", effort_hours=6.0,
        gone_en="a visit or meeting within the last 30 days",
        gone_zh="近30天内有拜访或会面",
    ),
    Action(
        "demo", 7, _below("demos", 1), "No demo yet.", "尚未演示。",
        kind="demo", effort_hours=3.0, cooling_off_days=30,
        gone_en="a demo on record",
        gone_zh="已记录演示",
    ),
    Action(
        "proposal", 7, _below("proposals", 1), "No proposal yet.", "尚未报价。",
        kind="proposal", effort_hours=4.0, cooling_off_days=30,
        gone_en="a proposal on record",
        gone_zh="已记录报价",
    ),
    Action(
        "involve_decision_maker", 7, _below("decision_makers_met", 1),
        "Nobody who decides (vp or c-level) has been met yet.", "尚未见过决策人（副总裁或高管）。",
        kind="meeting", needs="decision_maker", effort_hours=2.0,
        gone_en="a decision maker (vp or c-level) met",
        gone_zh="已见过决策人（副总裁或高管）",
    ),
    Action(
        "add_contact", 7, _below("contacts_met", 2), "Fewer than two people at the customer have been met.",
        "在客户处见过的联系人不足两位。",
        kind="call", needs="anyone",
        gone_en="two people at the customer met",
        gone_zh="已见过客户的两位联系人",
    ),
    Action(
        "reset_close_date", 2, lambda X: values(X, "close_date_days") < 0,
        "The planned close date has passed.", "预计成交日期已过。",
        close_in_days=30, effort_hours=0.5,
        gone_en="a planned close date that lies ahead",
        gone_zh="预计成交日期尚未到",
    ),
    # A look at the deal itself changes nothing that is recorded, and a hand-over is caused by departures, not by the
    # deal: the model tells nothing of either. `coaching_duties` says where they are due.
    Action(
        "requalify", 7, _above("days_in_stage", 60), "Over 60 days in this stage.", "在当前阶段已超过60天。",
        shows=False,
        gone_en="a move to another stage", gone_zh="已转入其他阶段",
    ),
    Action(
        "hand_over", 14, _never, "A colleague may have the better access.", "同事可能更易接触客户。",
        effort_hours=2.0,
        gone_en="an owner who is here", gone_zh="负责人为在职同事",
    ),
)  # fmt: skip

PAUSE = Action(
    "pause", 14, _never,
    "None of the next steps that fit goes together with a higher chance here.",
    "目前可行的步骤均未与更高的赢单概率相关。",
    effort_hours=0.0,
)  # fmt: skip


def named(name: str) -> Action:
    """An action by name.

    Raises
    ------
    KeyError
        If the catalogue has none of that name.
    """
    return {action.name: action for action in (*CATALOGUE, PAUSE)}[name]
