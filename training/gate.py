"""Challenger against champion: checks on one slice of the past, and the verdict in sentences with its figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
import pandas as pd

from models.calibration import calibration_error
from models.learners import Floats
from models.rolling import log_loss
from training.metrics import Difference, difference
from training.policy import NO_WORSE, Policy
from training.reliability import floor
from training.verdicts import NAMES, Sentence, joined

Outcome = Literal["first", "rate", "unjudged", "same", "better", "equal", "worse", "refused"]
CHAMPION, CHALLENGER, DEALS = "champion", "challenger", "deals"
_RATES = {name: Sentence(*NAMES[name]) for name in ("base_rate", "stage_rate", "silence_rate")}
_UNITS = {DEALS: "个商机", "customers": "个客户"}
_DRAWS = 400


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: whether it holds, and a sentence with figures."""

    name: str
    holds: bool
    said: Sentence

    @property
    def text(self) -> str:
        """In English."""
        return self.said.en


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether to promote, and why; `difference` is the rival's log loss less the challenger's, above 0 is better."""

    promote: bool
    outcome: Outcome
    said: Sentence
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    deals: int = 0
    checks: tuple[Check, ...] = ()

    @property
    def text(self) -> str:
        """In English."""
        return self.said.en


def table_of(checks: Sequence[Check]) -> pd.DataFrame:
    """Checks as a table to be kept: `name`, `holds`, `text`."""
    return pd.DataFrame([(c.name, c.holds, c.text) for c in checks], columns=["name", "holds", "text"])


def same_recipe(*, other_definitions: bool = False) -> Verdict:
    """The verdict where only the data is newer, or the features are defined otherwise now."""
    newer = Sentence("newer or the same data", "更新或相同的数据")
    on = Sentence("other definitions of the features", "不同的特征定义") if other_definitions else newer
    said = Sentence("Promoted: made like the champion, on {on}.", "已启用：做法与在用模型相同，基于{on}。")
    return Verdict(True, "same", said.given(on=on))


def fitted_again() -> Verdict:
    """The verdict on the champion's own recipe with newer data, where the challenger's was not let pass."""
    said = Sentence(
        "Promoted: the champion's recipe, fitted again on newer data, as the challenger's was not better.",
        "已启用：挑战模型的做法未胜出，故用更新的数据按在用模型的做法重新拟合。",
    )
    return Verdict(True, "same", said)


def installed(note: Sentence) -> Verdict:
    """The verdict where there is no champion and nothing to be held against; `note` is what the model says itself."""
    first = Sentence("Promoted: the first model of its kind.", "已启用：该类的第一个模型。")
    return Verdict(True, "first", joined([first, note]))


def unjudged(*, there_is_champion: bool) -> Verdict:
    """The verdict where the past has no slice to be judged on."""
    if there_is_champion:
        stays = Sentence(
            "Not promoted, the champion stays: the history is too short to compare the two on a past slice.",
            "未启用，保留在用模型：历史太短，无法用过去的一段数据比较两者。",
        )
        return Verdict(False, "unjudged", stays)
    first = Sentence(
        "Promoted: the first model of its kind; the history is too short to hold it against the base rate.",
        "已启用：该类的第一个模型；历史太短，无法与基准率比较。",
    )
    return Verdict(True, "unjudged", first)


def rate_only(verdict: Verdict, *, there_is_better: bool) -> Verdict:
    """The verdict where a recipe passed, but fitted on all data its gain over the base rate is not certain.

    What was judged is then not what would be used.

    Parameters
    ----------
    there_is_better : bool
        Whether the champion's gain is certain: it stays then.
    """
    plain = Sentence(
        "fitted on all data its gain over the base rate is not certain, so every deal would get that rate",
        "用全部数据拟合后，相对基准率的增益并不确定，每笔商机都只会得到该比率",
    )
    head = (
        Sentence("Not promoted, the champion stays", "未启用，保留在用模型")
        if there_is_better
        else Sentence("Installed as no better than the base rate", "已启用，但不优于基准率")
    )
    said = Sentence("{head}: {plain}. The recipe itself: {said}", "{head}：{plain}。做法本身：{said}")
    outcome: Outcome = "refused" if there_is_better else "rate"
    given = said.given(head=head, plain=plain, said=verdict.said)
    return replace(verdict, promote=not there_is_better, outcome=outcome, said=given)


def judge_first(table: pd.DataFrame, policy: Policy, *, unit: str = DEALS, seed: int = 0) -> Verdict:
    """Hold a recipe against plain rates, where there is no champion: it is installed in any case.

    Parameters
    ----------
    table : shape (n, p)
        `deal_id`, `won`, and probabilities `challenger`, `base_rate`, and (each may be absent) `stage_rate`,
        `silence_rate`, forecast before the outcomes were known.
    unit : str
        What a row is about, in words: customers stand in `deal_id` too, and who left for who won.
    """
    found = {name: _against(table, name, policy, seed) for name in _RATES if name in table}
    ours, base = _loss(table, CHALLENGER).mean(), found["base_rate"]
    figures = joined(
        (
            Sentence("log loss {ours:.4f} against {theirs:.4f} of {rate} ({interval})",
                     "对数损失{ours:.4f}，{rate}为{theirs:.4f}（{interval}）").given(
                ours=ours, theirs=_loss(table, name).mean(), rate=_RATES[name], interval=_interval(one, policy)
            )
            for name, one in found.items()
        ), "; ", "；",
    )  # fmt: skip
    where = Sentence("on {n} {unit} of the newest slice: {figures}", "在最新一段的{n}{unit}上：{figures}").given(
        n=base.units, unit=_unit(unit), figures=figures
    )
    beaten = [name for name, one in found.items() if one.low > 0]
    if "base_rate" not in beaten:
        said = Sentence("Installed as no better than the base rate, {where}.", "已启用，但不优于基准率，{where}。")
        return Verdict(True, "rate", said.given(where=where), base.mean, base.low, base.high, base.units)
    rest = [_RATES[name] for name in found if name not in beaten]
    short = Sentence(", but not than {rest} beyond chance", "，但对{rest}的优势未超出偶然范围").given(rest=_and(rest))
    said = Sentence(
        "Promoted: the first model of its kind, better than {beaten}{short}, {where}.",
        "已启用：该类的第一个模型，优于{beaten}{short}，{where}。",
    ).given(beaten=_and(_RATES[name] for name in beaten), short=short if rest else Sentence("", ""), where=where)
    return Verdict(True, "first", said, base.mean, base.low, base.high, base.units)


def judge(
    table: pd.DataFrame, policy: Policy, *, segments: Sequence[str] = (), also: Sequence[Check] = (),
    unit: str = DEALS, seed: int = 0,
) -> Verdict:  # fmt: skip
    """Compare two recipes by paired resampling of whole deals, and look for harm beside it.

    The challenger is promoted if it is better (or, as the policy may say, no worse), its Brier score and calibration
    are no worse, and no segment is clearly harmed or forecast too low.

    Parameters
    ----------
    table : shape (n, p)
        `deal_id`, `won`, probabilities `challenger` and `champion` forecast before the outcomes were known, and a
        column a segment.
    segments : sequence of str
        Which columns are segments; missing values belong to none.
    also : sequence of Check
        What was looked at elsewhere: definitions, schema, time.
    unit : str
        What a row is about, in words; see `judge_first`.
    """
    if not len(table):
        return unjudged(there_is_champion=True)
    main = _against(table, CHAMPION, policy, seed)
    better, enough = main.low > 0, _enough(main, policy)
    checks = (
        Check("log_loss", enough, _main_sentence(table, main, policy, unit)),
        _brier(table, policy, seed),
        _calibration(table, policy, seed),
        *_segments(table, policy, segments, unit),
        *also,
    )
    failed = [check for check in checks if not check.holds]
    outcome: Outcome = "worse" if main.high < 0 else "equal" if not enough else "refused" if failed else "better"
    if enough and not failed and not better:
        outcome = "equal"
    stays = Sentence("Not promoted, the champion stays", "未启用，保留在用模型")
    head = stays if failed else Sentence("Promoted", "已启用")
    but = (
        Sentence("better overall, but {what}", "总体更好，但{what}")
        if better
        else Sentence("no worse overall, but {what}", "总体不差，但{what}")
    )
    why = _REASONS.get(outcome) or but.given(what=_and(_FAILED.get(n, Sentence(n, n)) for n in _names(failed)))
    shown = checks if not failed else [checks[0], *failed[not enough :]]
    said = Sentence("{head}: {why}. {figures}", "{head}：{why}。{figures}").given(
        head=head, why=why, figures=joined(check.said for check in shown)
    )
    return Verdict(not failed, outcome, said, main.mean, main.low, main.high, main.units, checks)


_REASONS = {
    "worse": Sentence("worse beyond doubt", "确定更差"),
    "equal": Sentence("no difference beyond chance", "差异未超出偶然范围"),
    "better": Sentence("better beyond doubt", "确定更好"),
}
_FAILED = {
    "brier": Sentence("a worse Brier score", "Brier分数更差"),
    "calibration": Sentence("worse calibrated", "校准更差"),
    "segment": Sentence("a segment is harmed", "有细分受损"),
    "too slow": Sentence("too slow", "速度太慢"),
}


def _names(checks: Iterable[Check]) -> list[str]:
    return list(dict.fromkeys(check.name for check in checks))


def _and(sentences: Iterable[Sentence]) -> Sentence:
    return joined(sentences, " and ", "和")


def _unit(unit: str) -> Sentence:
    return Sentence(unit, _UNITS.get(unit, unit))


def _loss(table: pd.DataFrame, name: str) -> Floats:
    return log_loss(table["won"].to_numpy(bool), table[name].to_numpy(np.float64))


def _against(table: pd.DataFrame, rival: str, policy: Policy, seed: int) -> Difference:
    return difference(_loss(table, CHALLENGER), _loss(table, rival), table["deal_id"], level=policy.level, seed=seed)


def _enough(found: Difference, policy: Policy) -> bool:
    if policy.promote == NO_WORSE:
        return bool(found.high >= 0 and found.mean >= -policy.tolerance)
    return found.low > 0


def _interval(found: Difference, policy: Policy) -> Sentence:
    return Sentence(
        "difference {mean:+.4f}, {level:.0f}% interval {low:+.4f} to {high:+.4f}",
        "差{mean:+.4f}，{level:.0f}%区间{low:+.4f}至{high:+.4f}",
    ).given(mean=found.mean, level=100 * policy.level, low=found.low, high=found.high)


def _main_sentence(table: pd.DataFrame, main: Difference, policy: Policy, unit: str) -> Sentence:
    return Sentence(
        "Log loss {ours:.4f} against the champion's {theirs:.4f} on {n} {unit} ({interval}).",
        "在{n}{unit}上对数损失{ours:.4f}，在用模型为{theirs:.4f}（{interval}）。",
    ).given(
        ours=_loss(table, CHALLENGER).mean(),
        theirs=_loss(table, CHAMPION).mean(),
        n=main.units,
        unit=_unit(unit),
        interval=_interval(main, policy),
    )


def _brier(table: pd.DataFrame, policy: Policy, seed: int) -> Check:
    y = table["won"].to_numpy(np.float64)
    ours, theirs = ((table[name].to_numpy(np.float64) - y) ** 2 for name in (CHALLENGER, CHAMPION))
    found = difference(ours, theirs, table["deal_id"], level=policy.level, seed=seed)
    said = Sentence(
        "Brier score {ours:.4f} against {theirs:.4f} ({interval}).",
        "Brier分数{ours:.4f}，对方{theirs:.4f}（{interval}）。",
    )
    given = said.given(ours=ours.mean(), theirs=theirs.mean(), interval=_interval(found, policy))
    return Check("brier", found.high >= 0, given)


def _calibration(table: pd.DataFrame, policy: Policy, seed: int) -> Check:
    """Worse only where it exceeds the champion's error by the tolerance, beyond luck, in most of the resamples."""
    y, deal = table["won"].to_numpy(bool), table["deal_id"].to_numpy(object)
    said = {name: table[name].to_numpy(np.float64) for name in (CHALLENGER, CHAMPION)}
    ours, theirs = (calibration_error(said[name], y) for name in (CHALLENGER, CHAMPION))
    luck = floor(said[CHALLENGER], deal=deal)
    text = Sentence(
        "Calibration error {ours:.4f} against {theirs:.4f} (luck alone would give {luck:.4f}).",
        "校准误差{ours:.4f}，对方{theirs:.4f}（仅凭运气也会有{luck:.4f}）。",
    ).given(ours=ours, theirs=theirs, luck=luck)
    if ours <= theirs + policy.calibration_tolerance or ours <= luck:
        return Check("calibration", True, text)
    drawn = [calibration_error(said[CHALLENGER][i], y[i]) - calibration_error(said[CHAMPION][i], y[i])
             for i in _drawn_rows(deal, seed)]  # fmt: skip
    return Check("calibration", bool(np.quantile(drawn, 1 - policy.level) <= 0), text)


def _drawn_rows(deal: Any, seed: int) -> Iterator[np.ndarray[tuple[int], np.dtype[np.intp]]]:
    codes, names = pd.factorize(deal)
    rng = np.random.default_rng(seed)
    for _ in range(_DRAWS):
        times = np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names))
        yield np.repeat(np.arange(len(codes)), times[codes])


def _segments(table: pd.DataFrame, policy: Policy, segments: Sequence[str], unit: str) -> list[Check]:
    """A check for each segment that is clearly harmed or forecast too low; one in all where none is."""
    looked = list(_large_enough(table, policy, segments))
    # Many segments are looked at: each must be so sure that all together seldom raise a false alarm.
    sure = NormalDist().inv_cdf(1 - policy.segment_error / (2 * max(1, len(looked))))
    failed = [
        check
        for name, rows in looked
        for check in (_harmed(name, rows, policy, sure, unit), _short(name, rows, policy, sure, unit))
        if check
    ]
    if failed:
        return failed
    none = Sentence(
        "None of {n} segments is clearly harmed or forecast too low.", "{n}个细分均未明显受损，也未被预测过低。"
    )
    return [Check("segment", True, none.given(n=len(looked)))]


def _large_enough(table: pd.DataFrame, policy: Policy, segments: Sequence[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    for segment in segments:
        for value, rows in table[table[segment].notna()].groupby(segment, observed=True):
            if policy.segment_deals <= rows["deal_id"].nunique() and len(rows) < len(table):
                yield f"{segment.replace('_', ' ')} {value}", rows


def _harmed(name: str, rows: pd.DataFrame, policy: Policy, sure: float, unit: str) -> Check | None:
    ours, theirs = _loss(rows, CHALLENGER), _loss(rows, CHAMPION)
    worse, error = _mean_and_error(ours - theirs, rows["deal_id"])
    if worse - sure * error <= 0 or worse <= policy.segment_harm:
        return None
    said = Sentence(
        "{name} is harmed: log loss {ours:.4f} against {theirs:.4f} on {n} {unit} (worse by {low:.4f} to {high:.4f}).",
        "{name}受损：在{n}{unit}上对数损失{ours:.4f}，对方{theirs:.4f}（差{low:.4f}至{high:.4f}）。",
    ).given(
        name=name.capitalize(),
        ours=ours.mean(),
        theirs=theirs.mean(),
        n=rows["deal_id"].nunique(),
        unit=_unit(unit),
        low=worse - sure * error,
        high=worse + sure * error,
    )
    return Check("segment", False, said)


def _short(name: str, rows: pd.DataFrame, policy: Policy, sure: float, unit: str) -> Check | None:
    """Forecast too low: clearly, by more than the policy allows, and by more than the champion."""
    y = rows["won"].to_numpy(np.float64)
    ours, theirs = (y - rows[way].to_numpy(np.float64) for way in (CHALLENGER, CHAMPION))
    missing, error = _mean_and_error(ours, rows["deal_id"])
    if missing - sure * error <= 0 or missing <= max(policy.segment_shortfall, float(theirs.mean())):
        return None
    said = Sentence(
        "{name} is forecast too low: {said:.1f}% forecast, {came:.1f}% came on {n} {unit}; "
        "the champion said {champion:.1f}%.",
        "{name}被预测过低：在{n}{unit}上预测{said:.1f}%，实际{came:.1f}%；在用模型预测{champion:.1f}%。",
    ).given(
        name=name.capitalize(),
        said=100 * rows[CHALLENGER].mean(),
        came=100 * y.mean(),
        n=rows["deal_id"].nunique(),
        unit=_unit(unit),
        champion=100 * rows[CHAMPION].mean(),
    )
    return Check("segment", False, said)


def _mean_and_error(values: Floats, unit: pd.Series) -> tuple[float, float]:
    """Mean over rows with its standard error over whole deals."""
    codes, names = pd.factorize(unit.to_numpy(object))
    mean = float(values.mean())
    sums = np.bincount(codes, weights=values - mean)
    wider = len(names) / max(1, len(names) - 1)
    return mean, float(np.sqrt(wider * (sums**2).sum()) / len(values))
