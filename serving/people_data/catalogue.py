"""Every figure that is worked out on a person: from which columns, for what, who sees it, how long it is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from crm.company import Company
from features.catalogue import Entity, Feature, blocks
from features.lineage import lineage

Use = Literal["attainment", "deals", "forecast", "coaching", "advice", "record"]
_INPUTS = ("what the attainment model is told", "达成预测模型的输入")
USES: dict[Use, tuple[str, str]] = {
    "forecast": ("the forecast of the person's period", "个人本期预测"),
    "attainment": _INPUTS,
    "deals": ("what the win model is told of a deal's owner", "赢单模型所用的负责人信息"),
    "coaching": ("gaps to colleagues on like deals, for coaching", "与同事在同类商机上的差距（用于辅导）"),
    "advice": ("kept to judge forecasts and suggestions", "为评估预测和建议而保留"),
    "record": ("kept as a record", "操作记录"),
}
# What figures rest on where that is no column, in both languages.
_REQUESTS = ("requests to the server", "对服务器的请求")
_GOALS = ("goals", "goals")
_DEALS = ("deals, deal_splits, fx_rates", "deals, deal_splits, fx_rates")
_FORECAST = (
    ("target", "Goal of the period", "本期目标", _GOALS),
    ("actual_to_date", "Closed so far", "目前已成交", _DEALS),
    ("p10", "Low end of the 80% range", "80%区间下限", _INPUTS),
    ("p50", "Middle of the forecast", "预测中位数", _INPUTS),
    ("p90", "High end of the 80% range", "80%区间上限", _INPUTS),
    ("p_attain", "Chance to reach the goal", "达成目标的概率", _INPUTS),
    ("expected_closed", "Closed, on average", "预期中已成交部分", _DEALS),
    ("expected_open", "Expected from open deals", "预期来自进行中商机", _INPUTS),
    ("expected_new", "Expected from deals not yet created", "预期来自尚未创建的商机", _INPUTS),
)
_CLOSED_DEALS = ("deals, accounts", "deals, accounts")
_MEETINGS = ("deals, accounts, activities, contacts", "deals, accounts, activities, contacts")
_COACHING = (
    ("cycle", "Days until a deal is won, gap as a share", "赢单天数的差距（比例）", _CLOSED_DEALS),
    ("discount", "Discount on won deals", "赢单折扣", _CLOSED_DEALS),
    ("contacts", "Deals with two or more people met", "接触过两位及以上联系人的商机", _MEETINGS),
    ("decision_maker", "Deals with a decision maker met", "见过决策人的商机", _MEETINGS),
    ("answers", "Messages answered within a day", "一天内回复的消息", _MEETINGS),
    ("passing", "Passing on from stages", "各阶段的推进率", ("deals, deal_changes", "deals, deal_changes")),
)
_STORED: tuple[tuple[str, Use, str, str, tuple[str, str]], ...] = (
    (
        "forecasts_issued",
        "advice",
        "Forecasts sealed in the ledger",
        "已封存的历次预测",
        ("each day's forecast", "每日预测"),
    ),
    (
        "advice_answers",
        "advice",
        "Answers on suggestions: helped, did not",
        "对建议的反馈",
        ("own answers", "本人的反馈"),
    ),
    (
        "advice_held_back",
        "advice",
        "Suggestions held back by chance on own deals",
        "随机保留的建议",
        ("chance", "随机抽取"),
    ),
    ("audit_entries", "record", "What the person changed or took out", "本人的更改与导出", _REQUESTS),
    ("looks", "record", "Who looked at figures on the person", "谁查看过本人数据", _REQUESTS),
)


@dataclass(frozen=True, slots=True)
class PersonFigure:
    """One figure on a person.

    Attributes
    ----------
    rests_on : tuple of str
        Columns of the canonical tables as `table.column`; for what is no feature, English and Chinese words.
    entity : str
        'rep' or 'deal' for features; empty for what no feature is.
    """

    name: str
    use: Use
    unit: str
    en: str
    zh: str
    rests_on: tuple[str, ...]
    entity: Entity | Literal[""] = ""


def person_figures(company: Company | None = None) -> list[PersonFigure]:
    """All of them: features of reps, what deals' features tell of the owner, forecasts, habits, what is kept."""
    found = [_of_feature("rep", "attainment", one, company) for one in _features("rep", company)]
    found += [_of_feature("deal", "deals", one, company) for one in _features("deal", company) if one.identity]
    found += [PersonFigure(name, "forecast", "", en, zh, reads) for name, en, zh, reads in _FORECAST]
    found += [PersonFigure(name, "coaching", "share", en, zh, reads) for name, en, zh, reads in _COACHING]
    found += [PersonFigure(name, use, "count", en, zh, reads) for name, use, en, zh, reads in _STORED]
    return found


def _features(entity: Entity, company: Company | None) -> Iterator[Feature]:
    for block in blocks(entity, company):
        yield from (one for one in block.features if one.shown)  # the others are steps on the way, kept nowhere


def _of_feature(entity: Entity, use: Use, one: Feature, company: Company | None) -> PersonFigure:
    return PersonFigure(one.name, use, one.unit, one.en, one.zh, lineage(entity, one.name, company), entity)
