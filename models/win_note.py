"""What the win model says about itself: how many deals, how much better than the base rate, in both languages."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from models.quality import Quality, quality_of
from models.rolling import Gain
from models.win_params import WinParams
from models.win_past import Choice
from models.win_steps import sentences, step_of

_ONE_END_EN = (
    "An end that no deal had counts as half a deal. Import deals with outcomes won and lost, "
    "or check the outcome words in the mapping."
)
_ONE_END_ZH = "从未出现的结果按半笔商机计。请导入包含赢单和输单的商机，或检查映射中的结果用词。"


@dataclass(frozen=True, slots=True)
class WinNote:
    """Figures and a sentence.

    `skill` is the share of the base rate's log loss that is saved, with its 90 % interval over deals: by what is
    forecast where that is better than the base rate, else by the fields' model that was tried and is not used.
    `quality` is one word for it, see `models.quality`; `data_step` is the step of `models.win_steps` that the data
    reached, `params` is `WinParams.to_dict`.
    """

    n_closed: int
    n_won: int
    n_lost: int
    data_step: int
    base_rate: float
    skill: float | None
    skill_low: float | None
    skill_high: float | None
    signal: bool
    quality: Quality
    small_data: bool
    leans_on: str
    strength: float
    trees_share: float
    ever_share: float
    calibrator: str
    params: dict[str, Any]
    judged_days: float
    judged_forecasts: int
    judged_deals: int
    sentence_en: str
    sentence_zh: str

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def note_of(choice: Choice, *, n_won: int, n_lost: int, base_rate: float, small: bool, params: WinParams) -> WinNote:
    """The note that goes with what past dates decided."""
    n_closed = n_won + n_lost
    judged = choice.tried.rows > 0
    signal = judged and not choice.skill.holds_zero
    told = choice.skill if signal else choice.tried
    english, chinese = _sentences(choice, told, n_closed, judged=judged, signal=signal, small=small)
    if small:
        en, zh = sentences(n_won, n_lost)
        if not n_won or not n_lost:
            en, zh = f"{en} {_ONE_END_EN}", f"{zh}{_ONE_END_ZH}"
        english, chinese = f"{english} {en}", f"{chinese}{zh}"
    return WinNote(
        n_closed=n_closed,
        n_won=n_won,
        n_lost=n_lost,
        data_step=step_of(n_won, n_lost),
        base_rate=base_rate,
        skill=told.skill if judged else None,
        skill_low=told.low if judged else None,
        skill_high=told.high if judged else None,
        signal=signal,
        quality=quality_of(tried=judged, signal=signal, little=small),
        small_data=small,
        leans_on="stage rate" if choice.by_stage else "base rate",
        strength=choice.strength,
        trees_share=choice.mix.trees,
        ever_share=choice.mix.ever,
        calibrator=params.calibrator or "none",
        params=params.to_dict(),
        judged_days=choice.horizon_days,
        judged_forecasts=told.rows,
        judged_deals=told.deals,
        sentence_en=english,
        sentence_zh=chinese,
    )


def _sentences(
    choice: Choice, told: Gain, n_closed: int, *, judged: bool, signal: bool, small: bool
) -> tuple[str, str]:
    if not judged:
        return (
            f"With {n_closed} closed deals the forecasts could not be tried on past dates: they are plain rates.",
            f"仅有{n_closed}笔已关闭商机，无法用过去日期检验预测：此处给出的只是比率。",
        )
    en, zh = _saved(told)
    if not signal:
        return (
            f"No better than the base rate: {en} The fields known of these deals do not tell winners from losers.",
            f"不优于基准率：{zh}这些商机的已知字段无法区分赢单与输单。",
        )
    rate_en, rate_zh = ("stage rate", "阶段率") if choice.by_stage else ("base rate", "基准率")
    if not choice.strength:
        en += f" All of it comes from the {rate_en}; other fields add nothing certain."
        zh += f"全部来自{rate_zh}；其他字段未见确定的增益。"
    elif small:
        en += f" With only {n_closed} closed deals, forecasts lean on the {rate_en}."
        zh += f"仅有{n_closed}笔已关闭商机，预测向{rate_zh}收缩。"
    return f"Better than the base rate: {en}", f"优于基准率：{zh}"


def _saved(told: Gain) -> tuple[str, str]:
    """What was saved or lost on past dates; the interval is turned round with the word."""
    # Adding 0 turns a rounded -0.0 into 0.0.
    share, low, high = (round(100 * v, 1) + 0.0 for v in (told.skill, told.low, told.high))
    more = share < 0
    if more:
        share, low, high = -share, -high + 0.0, -low + 0.0
    by, range_en, range_zh = f"{share:.1f}%", f"{low:.1f}% to {high:.1f}%", f"{low:.1f}%至{high:.1f}%"
    word_en, word_zh = ("higher", "升高") if more else ("lower", "降低")
    return (
        f"on past dates the log loss was {word_en} by {by} (90% interval {range_en}, {told.deals} deals).",
        f"在过去日期上对数损失{word_zh}{by}（90%区间{range_zh}，{told.deals}笔商机）。",
    )
