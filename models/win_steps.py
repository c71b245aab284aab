"""How far the number of closed deals carries: steps, what each allows, and what would reach the next, in two languages.

The steps come from trials on companies cut down to so many deals: with 40 won and 40 lost a model of the fields was now
and then a little worse than the stage rate, from 100 and 100 on it was not, and trees lost to the ridge up to 1,000.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """So many won and so many lost deals, and what they allow."""

    each: int
    en: str
    zh: str


STEPS = (
    Step(0, "rates only, or little more", "只能给出比率，或略优于比率"),
    Step(40, "fields may help a little, and now and then do harm", "字段可能略有帮助，偶尔也会有害"),
    Step(100, "fields should do no harm against the stage rate", "字段应不逊于阶段赢单率"),
    Step(200, "fields count for more than the stage rate", "字段的份量超过阶段赢单率"),
    Step(500, "trees, and each deal's own timing", "可用树模型，并给出每笔商机自己的时间"),
)


def step_of(won: int, lost: int) -> int:
    """Index of the highest step that is reached; the last one by the deals closed in all."""
    if won + lost >= 2 * STEPS[-1].each:
        return len(STEPS) - 1
    return max(i for i, step in enumerate(STEPS[:-1]) if min(won, lost) >= step.each)


def sentences(won: int, lost: int) -> tuple[str, str]:
    """What so many deals allow, and what would reach the next step, in English and Chinese."""
    at = step_of(won, lost)
    now = STEPS[at]
    english = f"{won} won and {lost} lost deals: {now.en}."
    chinese = f"{won}笔赢单、{lost}笔输单：{now.zh}。"
    if at == len(STEPS) - 1:
        return english, chinese
    following = STEPS[at + 1]
    en, zh = _lacking(won, lost, at + 1)
    return f"{english} With {en}: {following.en}.", f"{chinese}再有{zh}：{following.zh}。"


def _lacking(won: int, lost: int, step: int) -> tuple[str, str]:
    if step == len(STEPS) - 1:
        more = 2 * STEPS[-1].each - won - lost
        return f"{more} more closed deals", f"{more}笔已关闭商机"
    each = STEPS[step].each
    wanted = [(each - won, "won", "赢单"), (each - lost, "lost", "输单")]
    parts = [(f"{more} more {en}", f"{more}笔{zh}") for more, en, zh in wanted if more > 0]
    return " and ".join(en for en, _ in parts) + " deals", "、".join(zh for _, zh in parts)
