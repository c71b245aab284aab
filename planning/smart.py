"""Is a goal specific, measurable, achievable, relevant, timely: one finding a letter, each with its mend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

import pandas as pd

from crm.company import Company
from crm.schema import SHARE_METRICS
from planning.events import local_day
from planning.goals import COMPANY, EVENT_OF, MONEY_METRICS, RATIO_METRICS, TABLES_NEEDED, Facts, Goal, in_scope, needs
from planning.periods import grain_of
from planning.workdays import Workdays

Grade = Literal["ok", "warn", "fail"]
DRIVERS: Mapping[str, tuple[str, ...]] = {
    "bookings": ("won_deals", "conversion_rate", "activities", "new_accounts", "retention_rate", "collected"),
    "won_deals": ("conversion_rate", "activities", "new_accounts"),
    "new_accounts": ("activities",),
    "market_share": ("bookings", "won_deals", "new_accounts"),
}
"""Metrics that a goal of another metric may serve."""

_LOOK_BACK = 365
_LEAST_EVENTS = 8
_LEAST_DENOMINATOR = 10
_OLD_DAYS = 7
_LONGEST = 366
_LATE = 0.10


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing seen in a goal.

    Attributes
    ----------
    letter : str
        S, M, A, R or T.
    field : str
        Field of the goal that it is about.
    en, zh, mend_en, mend_zh : str
        What is so and what would mend it; the mend is empty where nothing needs mending.
    """

    letter: str
    grade: Grade
    field: str
    en: str
    zh: str
    mend_en: str = ""
    mend_zh: str = ""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What forecasts say of a goal: share of the draws that reach it, their middle, expected closings if a rate."""

    p_attain: float
    median: float
    n_draws: int
    expected_n: float | None = None


def check(
    goal: Goal,
    goals: Sequence[Goal],
    facts: Facts,
    company: Company,
    *,
    workdays: Workdays | None = None,
    forecast: Forecast | None = None,
    past: Sequence[float] = (),
) -> list[Finding]:
    """Findings on a goal, at least one a letter; saving is refused only for a fail in S or T.

    Parameters
    ----------
    goals : sequence of Goal
        All goals, this one may be among them: parents, children and goals beside it.
    forecast : Forecast, optional
        Of the goal's period; without it `past` is looked at: results of the last like periods, newest first.
    """
    others = [g for g in goals if g.goal_id != goal.goal_id]
    found = [
        *_specific(goal, facts),
        *_measurable(goal, facts, forecast),
        *_achievable(goal, forecast, past, company.base_currency),
        *_relevant(goal, others, company.base_currency),
        *_timely(goal, company, workdays or Workdays()),
    ]
    fine = [Finding(letter, "ok", "goal_id", "Fine.", "没有问题。") for letter in "SMART"
            if letter not in {f.letter for f in found}]  # fmt: skip
    return sorted([*found, *fine], key=lambda f: "SMART".index(f.letter))


def may_save(findings: Sequence[Finding]) -> bool:
    """Whether nothing stands against storing the goal."""
    return not any(f.grade == "fail" and f.letter in "ST" for f in findings)


def _specific(goal: Goal, facts: Facts) -> list[Finding]:
    if goal.metric not in TABLES_NEEDED:
        return [_fail("S", "metric", f"'{goal.metric}' is no metric.", f"没有“{goal.metric}”这一指标。",
                      f"Take one of {', '.join(TABLES_NEEDED)}.", f"可选：{'、'.join(TABLES_NEEDED)}。")]  # fmt: skip
    if not goal.owner_id:
        return [_fail("S", "owner_id", "Nobody owns this goal.", "这个目标没有负责人。",
                      "Name one owner.", "请指定一位负责人。")]  # fmt: skip
    if not goal.scope:
        return []
    words = ", ".join(f"{name} {value}" for name, value in goal.scope.items())
    rows = _matching(goal, facts)
    if rows.empty:
        return [_fail("S", next(iter(goal.scope)), f"No record of {words}.", f"没有{words}的任何记录。",
                      "Check the product, family or segment.", "请检查产品、产品系列或客户分类。")]  # fmt: skip
    own = facts.of_owner(_recent(rows, facts.today), goal.owner_kind, goal.owner_id)
    if own.empty:
        return [_warn("S", "owner_id", f"No record of {words} for {goal.owner_id} in {_LOOK_BACK} days.",
                      f"{goal.owner_id}近{_LOOK_BACK}天没有{words}的记录。",
                      "Check that this owner sells it.", "请确认该负责人是否销售它。")]  # fmt: skip
    return []


def _measurable(goal: Goal, facts: Facts, forecast: Forecast | None) -> list[Finding]:
    if goal.metric not in TABLES_NEEDED:
        return []
    if missing := needs(goal.metric, facts.present):
        return [_fail("M", "metric", f"It cannot be measured: needs {missing}.", f"无法衡量：缺少数据表{missing}。",
                      f"Import {missing}.", f"请导入{missing}。")]  # fmt: skip
    found = []
    if forecast and forecast.expected_n is not None and forecast.expected_n < _LEAST_DENOMINATOR:
        n = forecast.expected_n
        points = 100 / max(n, 1)
        found.append(_warn("M", "metric", f"Only {n:.0f} closed deals expected: one deal moves the rate by "
                           f"{points:.0f} points.",
                           f"预计只有{n:.0f}个商机结束：一个商机就使比率变动{points:.0f}个百分点。",
                           "Count deals instead, or take a longer period.",
                           "可改为计算商机数，或拉长期间。"))  # fmt: skip
    if goal.metric != "retention_rate":
        found += _enough(goal, facts)
    return found


def _enough(goal: Goal, facts: Facts) -> list[Finding]:
    rows = _recent(_matching(goal, facts), facts.today)
    own = facts.of_owner(rows, goal.owner_kind, goal.owner_id)["ident"].nunique()
    found = []
    if own < _LEAST_EVENTS:
        found.append(_warn("M", "owner_id", f"{own} such events in {_LOOK_BACK} days: too few of one's own, so chances "
                           "are taken from the team.", f"近{_LOOK_BACK}天只有{own}次此类事件，太少，概率取自团队。",
                           "Set it for the team.", "建议设为团队目标。"))  # fmt: skip
    newest = rows["day"].max() if len(rows) else pd.NaT
    if not pd.isna(newest) and (old := (facts.today - newest.date()).days) > _OLD_DAYS:
        found.append(_warn("M", "metric", f"The newest record is {old} days old.", f"最新记录已是{old}天前。",
                           "Import newer data.", "请导入较新的数据。"))  # fmt: skip
    return found


def _achievable(goal: Goal, forecast: Forecast | None, past: Sequence[float], currency: str) -> list[Finding]:
    if goal.target is None or goal.target <= 0:
        return [
            _warn("A", "target", "There is no target.", "没有目标值。", "Give a value above 0.", "请填写大于0的值。")
        ]
    if forecast is None:
        return _against_past(float(goal.target), past)
    p, n = forecast.p_attain, forecast.n_draws
    middle = _amount(goal, forecast.median, currency)
    said = (f"Reached in {p * n:.0f} of {n} simulated periods; {middle} in half of them.",
            f"{n}次模拟中有{p * n:.0f}次达到；其中一半达到{middle}。")  # fmt: skip
    grades = ((0.10, "Out of reach", "难以企及"), (0.30, "A stretch", "有挑战"))
    for limit, en, zh in grades:
        if p < limit:
            return [_warn("A", "target", f"{en}. {said[0]}", f"{zh}。{said[1]}",
                          "Lower it, or plan what will be done differently.",
                          "可降低目标，或写明将采取哪些新举措。")]  # fmt: skip
    if p > 0.80:
        en, zh = ("Too easy", "过于容易") if p > 0.95 else ("Easy", "容易")
        return [_warn("A", "target", f"{en}. {said[0]}", f"{zh}。{said[1]}", "Raise it.", "可提高目标。")]
    return [Finding("A", "ok", "target", *said)]


def _against_past(target: float, past: Sequence[float]) -> list[Finding]:
    known = list(past[:4])
    mean = sum(known) / len(known) if known else 0.0
    if len(known) < 2 or mean <= 0:
        return [_warn("A", "target", "Cannot tell: under two like periods and no forecast.",
                      "无法判断：不足两个同类期间，且没有预测。", "Score first.", "请先运行预测。")]  # fmt: skip
    ratio = target / mean
    said = (f"{ratio:.2f} times the mean of the last {len(known)} like periods.",
            f"为最近{len(known)}个同类期间平均值的{ratio:.2f}倍。")  # fmt: skip
    if 0.8 <= ratio <= 1.5:
        return [Finding("A", "ok", "target", *said)]
    return [_warn("A", "target", *said, "Check the number, or say what changes.", "请核对数值，或说明有何变化。")]


def _relevant(goal: Goal, others: Sequence[Goal], currency: str) -> list[Finding]:
    found = []
    parent = next((g for g in others if g.goal_id == goal.parent_goal_id), None)
    if parent is None:
        if goal.owner_kind != COMPANY:
            found.append(_warn("R", "parent_goal_id", "It serves no goal above it.", "它没有上级目标。",
                               "Name the goal above.", "请指定上级目标。"))  # fmt: skip
    elif goal.metric != parent.metric and goal.metric not in DRIVERS.get(parent.metric, ()):
        found.append(_fail("R", "metric", f"{goal.metric} does not drive {parent.metric} of the goal above.",
                           f"{goal.metric}并不推动上级目标的{parent.metric}。",
                           "Take another metric or another parent.", "请更换指标或上级目标。"))  # fmt: skip
    elif goal.start < parent.start or goal.end > parent.end:
        found.append(_warn("R", "period_start", "Its period is not inside that of the goal above.",
                           "期间超出上级目标的期间。", "Move its bounds.", "请调整起止日期。"))  # fmt: skip
    found += _coverage(goal, others, currency)
    beside = [g for g in others if g.owner_id == goal.owner_id and g.metric != "activities"]
    if goal.metric == "activities" and not beside:
        found.append(_warn("R", "metric", "Activities alone are counted: nothing says what they are for.",
                           "只统计活动次数，没有结果目标。",
                           "Set a goal for an outcome beside it.", "请同时设定结果目标。"))  # fmt: skip
    return found


def _coverage(goal: Goal, others: Sequence[Goal], currency: str) -> list[Finding]:
    """How much of the parent this goal and those beside it take up, else how much of it its own children do."""
    parent = next((g for g in others if g.goal_id == goal.parent_goal_id), goal)
    below = [g for g in [goal, *others] if g.goal_id != parent.goal_id and g.parent_goal_id == parent.goal_id]
    alike = [g for g in below if (g.metric, g.start, g.end) == (parent.metric, parent.start, parent.end)]
    if not alike or not parent.target or parent.metric in RATIO_METRICS:
        return []
    total = sum(float(g.target or 0) for g in alike)
    ratio = total / float(parent.target)
    if 1.0 <= ratio <= 1.10:
        return []
    gap = _amount(parent, abs(float(parent.target) - total), currency)
    if ratio < 1:
        return [_warn("R", "parent_goal_id", f"{gap} of the parent is not assigned (coverage {ratio:.2f}).",
                      f"上级目标中有{gap}尚未分配(覆盖率{ratio:.2f})。", "Split it anew.", "请重新分解。")]  # fmt: skip
    return [_warn("R", "parent_goal_id", f"{gap} more than the parent is assigned (coverage {ratio:.2f}).",
                  f"分配额比上级目标多{gap}(覆盖率{ratio:.2f})。", "Split it anew.", "请重新分解。")]  # fmt: skip


def _timely(goal: Goal, company: Company, workdays: Workdays) -> list[Finding]:
    if goal.end <= goal.start:
        return [_fail("T", "period_end", f"It ends on {goal.end}, not after its start {goal.start}.",
                      f"结束日{goal.end}不晚于开始日{goal.start}。", "Move its end.", "请修改结束日。")]  # fmt: skip
    found = []
    if grain_of(goal.start, goal.end, company) is None:
        found.append(_warn("T", "period_start", "Its bounds are not those of fiscal periods.",
                           "起止日不是财务期间的边界。",
                           "Take a week, month, quarter or year.", "请选周、月、季或年。"))  # fmt: skip
    if (goal.end - goal.start).days > _LONGEST:
        found.append(_warn("T", "period_end", "It runs longer than a year.", "期间超过一年。", "Split it.", "请拆分。"))
    return found + _late(goal, company, workdays)


def _late(goal: Goal, company: Company, workdays: Workdays) -> list[Finding]:
    if goal.recorded_at is None:
        return []
    day = _working_day(goal.recorded_at, goal.start, company, workdays)
    whole = workdays.count(goal.start, goal.end)
    if whole and day / whole > _LATE:
        return [_warn("T", "recorded_at", f"Set on working day {day} of {whole}.",
                      f"第{day}个工作日才设定(共{whole}个)。",
                      "Set the next one before its period begins.", "下次请在期间开始前设定。")]  # fmt: skip
    return []


def _working_day(moment: datetime, start: date, company: Company, workdays: Workdays) -> int:
    return workdays.count(start, local_day(company, moment) + timedelta(days=1))


def _matching(goal: Goal, facts: Facts) -> pd.DataFrame:
    return in_scope(facts.counted(goal.metric if goal.metric in EVENT_OF else "bookings"), goal)


def _recent(rows: pd.DataFrame, today: date) -> pd.DataFrame:
    return rows[rows["day"] > pd.Timestamp(today - timedelta(days=_LOOK_BACK))]


def _amount(goal: Goal, value: float, currency: str) -> str:
    if goal.metric in SHARE_METRICS:
        return f"{value:.1%}"
    if goal.metric in MONEY_METRICS:
        return f"{currency} {value:,.0f}"
    return f"{value:,.2f}" if goal.metric in RATIO_METRICS else f"{value:,.0f}"


def _warn(letter: str, field: str, en: str, zh: str, mend_en: str, mend_zh: str) -> Finding:
    return Finding(letter, "warn", field, en, zh, mend_en, mend_zh)


def _fail(letter: str, field: str, en: str, zh: str, mend_en: str, mend_zh: str) -> Finding:
    return Finding(letter, "fail", field, en, zh, mend_en, mend_zh)
