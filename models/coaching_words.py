"""What a suggestion says of itself, in both languages: what holds the deal below deals won, and what it rests on."""

from __future__ import annotations

from features.catalogue import Feature
from models.coaching_gaps import Gap
from models.effects_rules import Basis

Said = dict[str, str]


def below_won(gap: Gap, feature: Feature) -> Said:
    """What a deal has less of than deals won from its stage had; how like deals went, not that a step changes it."""
    en, zh = feature.en.split(";")[0], feature.zh.split("；")[0]
    here, there = (_said(feature.unit, value) for value in (gap.value, gap.usual))
    points = f"{-100 * gap.points:.1f}"
    return {
        "en": f"{en}: {here[0]}. Deals won from this stage usually had {there[0]}; deals like this one were won less "
        f"often, {points} points here.",
        "zh": f"{zh}：{here[1]}。从此阶段赢单的商机通常为{there[1]}；与此类似的商机赢单较少，此处低{points}个百分点。",
    }


def _said(unit: str, value: float) -> tuple[str, str]:
    """A value in English and Chinese."""
    if unit == "yes or no":
        return ("yes", "是") if value else ("no", "否")
    number = f"{value:,.0f}" if unit in ("days", "count") else f"{value:,.3g}"
    return number, number


def rests_on(basis: Basis, *, spoken: bool, deals: int, weeks: int) -> Said:
    """What the figure of a suggestion rests on.

    Parameters
    ----------
    spoken : bool
        Whether history speaks for it, proved or not.
    deals : int
        Past deals with the step.
    weeks : int
        'Won' means within so many.
    """
    if basis == "measured":
        return {
            "en": "Where chance let this suggestion be shown, deals were won more often than where it was held back.",
            "zh": "随机决定是否显示该建议：显示的商机比未显示的更常赢单。",
        }
    if not spoken:
        return {
            "en": f"Seen together with being won within {weeks} weeks; not proof that the step brings it about.",
            "zh": f"与{weeks}周内赢单同时出现；这并不证明该步骤会带来赢单。",
        }
    en = f"{deals:,} past deals with this step were won more often within {weeks} weeks than like deals without it; "
    zh = f"过去有该步骤的{deals:,}个商机在{weeks}周内比情况相近但没有该步骤的商机更常赢单；"
    if basis == "adjusted":
        return {"en": en + "not a trial.", "zh": zh + "这不是随机试验。"}
    return {
        "en": en + "chance or the customers' own interest may explain that.",
        "zh": zh + "也可能出于偶然或客户自身的意向。",
    }


def nothing_known() -> Said:
    """Of steps that no figure stands behind."""
    return {
        "en": "Not seen together with winning or losing: nothing is known of what it brings.",
        "zh": "未见与赢单或输单同时出现：其作用尚不清楚。",
    }
