"""What a suggestion says of itself, in both languages: what pulls the deal down, and what the suggestion rests on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from crm.company import Company
from features.catalogue import Feature, features
from models.actions import Action
from models.effects_rules import Basis

Said = dict[str, str]
LEAST_PULL = 0.005
"""What takes less off a deal's chance is not worth a line."""


class Pull(NamedTuple):
    """How much a feature with its value moves a deal's chance to be won, as SHAP has it."""

    value: float
    points: float


def pulls_of(reasons: pd.DataFrame | None) -> dict[str, dict[str, Pull]]:
    """By deal and feature what takes from its chance; from reasons with entity_id, feature, value, contribution."""
    found: dict[str, dict[str, Pull]] = {}
    if reasons is not None and len(reasons):
        down = reasons[(reasons["contribution"] <= -LEAST_PULL) & reasons["value"].notna()]
        columns = down[["entity_id", "feature", "value", "contribution"]]
        for deal, name, value, points in columns.itertuples(index=False):
            found.setdefault(str(deal), {})[str(name)] = Pull(float(value), float(points))
    return found


def actionable(company: Company) -> dict[str, Feature]:
    """Features of deals that somebody can act on, by name."""
    return {f.name: f for f in features("deal", company) if f.can_act}


def pulled_down(
    action: Action, pulls: Mapping[str, Pull], known: Mapping[str, Feature], usual: Mapping[str, float]
) -> list[Said]:
    """Of the features that a step changes, the one that takes most from the deal's chance; none where none does.

    What the step adds to counts where the deal has less of it than is `usual`, the median of open deals: that there was
    much of it already is no reason for more. It says how like deals went, not that the step would change it.
    """
    mine = {
        name: pulls[name]
        for name in action.features
        if name in pulls and name in known and (name in action.sets or pulls[name].value < usual.get(name, 0.0))
    }
    if not mine:
        return []
    name, pull = min(mine.items(), key=lambda one: (one[1].points, one[0]))
    feature, points = known[name], f"{-100 * pull.points:.1f}"
    en, zh = (_valued(sentence, feature.unit, pull.value) for sentence in (feature.en, feature.zh))
    return [
        {
            "en": f"{en[0]}: {en[1]}. Deals like this were won less often, {points} points here.",
            "zh": f"{zh[0]}：{zh[2]}。此类商机赢单较少，此处低{points}个百分点。",
        }
    ]


def _valued(sentence: str, unit: str, value: float) -> tuple[str, str, str]:
    """A feature's sentence without what it says of missing values, and the value in English and Chinese."""
    plain = sentence.split(";")[0].split("；")[0]
    if unit == "yes or no":
        return plain, "yes" if value else "no", "是" if value else "否"
    number = f"{value:,.0f}" if unit in ("days", "count") else f"{value:,.3g}"
    return plain, number, number


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
