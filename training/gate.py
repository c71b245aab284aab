"""Challenger against champion: checks on one slice of the past, and the verdict in sentences with its figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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

Outcome = Literal["first", "rate", "unjudged", "same", "better", "equal", "worse", "refused"]
CHAMPION, CHALLENGER, DEALS = "champion", "challenger", "deals"
_RATES = (("base_rate", "the base rate"), ("stage_rate", "the stage rate"), ("silence_rate", "the rate by silence"))
_DRAWS = 400


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: whether it holds, and a sentence with figures."""

    name: str
    holds: bool
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether to promote, and why; `difference` is the rival's log loss less the challenger's, above 0 is better."""

    promote: bool
    outcome: Outcome
    text: str
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    deals: int = 0
    checks: tuple[Check, ...] = ()


def same_recipe(*, other_definitions: bool = False) -> Verdict:
    """The verdict where only the data is newer, or the features are defined otherwise now."""
    on = "other definitions of the features" if other_definitions else "newer or the same data"
    return Verdict(True, "same", f"Promoted: made like the champion, on {on}.")


def installed(note: str, *, signal: bool | None) -> Verdict:
    """The verdict where there is no champion and the model itself was tried against the base rate when it was made."""
    if signal is False:
        return Verdict(True, "rate", f"Installed as no better than the base rate. {note}".strip())
    return Verdict(True, "first", f"Promoted: the first model of its kind. {note}".strip())


def unjudged(*, there_is_champion: bool) -> Verdict:
    """The verdict where the past has no slice to be judged on."""
    if there_is_champion:
        text = "Not promoted, the champion stays: the history is too short to compare the two on a past slice."
        return Verdict(False, "unjudged", text)
    text = "Promoted: the first model of its kind; the history is too short to hold it against the base rate."
    return Verdict(True, "unjudged", text)


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
    found = {name: _against(table, name, policy, seed) for name, _ in _RATES if name in table}
    ours = _loss(table, CHALLENGER).mean()
    sentences = [
        f"log loss {ours:.4f} against {_loss(table, name).mean():.4f} of {said} ({_interval(found[name], policy)})"
        for name, said in _RATES
        if name in found
    ]
    beaten = [said for name, said in _RATES if name in found and found[name].low > 0]
    base = found["base_rate"]
    where = f"on {base.units} {unit} of the newest slice: {'; '.join(sentences)}"
    if "the base rate" not in beaten:
        text, outcome = f"Installed as no better than the base rate, {where}.", "rate"
    else:
        rest = [said for name, said in _RATES if name in found and said not in beaten]
        short = f", but not than {' and '.join(rest)} beyond chance" if rest else ""
        text, outcome = (
            f"Promoted: the first model of its kind, better than {' and '.join(beaten)}{short}, {where}.",
            "first",
        )
    return Verdict(True, "rate" if outcome == "rate" else "first", text, base.mean, base.low, base.high, base.units)


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
    head = "Promoted" if not failed else "Not promoted, the champion stays"
    reason = {"worse": "worse beyond doubt", "equal": "no difference beyond chance", "better": "better beyond doubt"}
    why = reason.get(outcome) or ("better overall, but " if better else "no worse overall, but ") + _named(failed)
    said = " ".join(check.text for check in (checks if not failed else [checks[0], *failed[not enough :]]))
    return Verdict(not failed, outcome, f"{head}: {why}. {said}", main.mean, main.low, main.high, main.units, checks)


def _loss(table: pd.DataFrame, name: str) -> Floats:
    return log_loss(table["won"].to_numpy(bool), table[name].to_numpy(np.float64))


def _against(table: pd.DataFrame, rival: str, policy: Policy, seed: int) -> Difference:
    return difference(_loss(table, CHALLENGER), _loss(table, rival), table["deal_id"], level=policy.level, seed=seed)


def _enough(found: Difference, policy: Policy) -> bool:
    if policy.promote == NO_WORSE:
        return bool(found.high >= 0 and found.mean >= -policy.tolerance)
    return found.low > 0


def _interval(found: Difference, policy: Policy) -> str:
    return f"difference {found.mean:+.4f}, {100 * policy.level:.0f}% interval {found.low:+.4f} to {found.high:+.4f}"


def _main_sentence(table: pd.DataFrame, main: Difference, policy: Policy, unit: str) -> str:
    ours, theirs = _loss(table, CHALLENGER).mean(), _loss(table, CHAMPION).mean()
    said = f"Log loss {ours:.4f} against the champion's {theirs:.4f} on {main.units} {unit}"
    return f"{said} ({_interval(main, policy)})."


def _named(failed: Sequence[Check]) -> str:
    names = {"brier": "a worse Brier score", "calibration": "worse calibrated", "segment": "a segment is harmed"}
    return " and ".join(dict.fromkeys(names.get(check.name, check.name) for check in failed))


def _brier(table: pd.DataFrame, policy: Policy, seed: int) -> Check:
    y = table["won"].to_numpy(np.float64)
    ours, theirs = ((table[name].to_numpy(np.float64) - y) ** 2 for name in (CHALLENGER, CHAMPION))
    found = difference(ours, theirs, table["deal_id"], level=policy.level, seed=seed)
    said = f"Brier score {ours.mean():.4f} against {theirs.mean():.4f} ({_interval(found, policy)})."
    return Check("brier", found.high >= 0, said)


def _calibration(table: pd.DataFrame, policy: Policy, seed: int) -> Check:
    """Worse only where it exceeds the champion's error by the tolerance, beyond luck, in most of the resamples."""
    y, deal = table["won"].to_numpy(bool), table["deal_id"].to_numpy(object)
    said = {name: table[name].to_numpy(np.float64) for name in (CHALLENGER, CHAMPION)}
    ours, theirs = (calibration_error(said[name], y) for name in (CHALLENGER, CHAMPION))
    luck = floor(said[CHALLENGER], deal=deal)
    text = f"Calibration error {ours:.4f} against {theirs:.4f} (luck alone would give {luck:.4f})."
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
    return [Check("segment", True, f"None of {len(looked)} segments is clearly harmed or forecast too low.")]


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
    figures = f"log loss {ours.mean():.4f} against {theirs.mean():.4f} on {rows['deal_id'].nunique()} {unit}"
    low, high = worse - sure * error, worse + sure * error
    return Check("segment", False, f"{name.capitalize()} is harmed: {figures} (worse by {low:.4f} to {high:.4f}).")


def _short(name: str, rows: pd.DataFrame, policy: Policy, sure: float, unit: str) -> Check | None:
    """Forecast too low: clearly, by more than the policy allows, and by more than the champion."""
    y = rows["won"].to_numpy(np.float64)
    ours, theirs = (y - rows[way].to_numpy(np.float64) for way in (CHALLENGER, CHAMPION))
    missing, error = _mean_and_error(ours, rows["deal_id"])
    if missing - sure * error <= 0 or missing <= max(policy.segment_shortfall, float(theirs.mean())):
        return None
    said = f"{100 * rows[CHALLENGER].mean():.1f}% forecast, {100 * y.mean():.1f}% came"
    beside = f"the champion said {100 * rows[CHAMPION].mean():.1f}%"
    text = f"{name.capitalize()} is forecast too low: {said} on {rows['deal_id'].nunique()} {unit}; {beside}."
    return Check("segment", False, text)


def _mean_and_error(values: Floats, unit: pd.Series) -> tuple[float, float]:
    """Mean over rows with its standard error over whole deals."""
    codes, names = pd.factorize(unit.to_numpy(object))
    mean = float(values.mean())
    sums = np.bincount(codes, weights=values - mean)
    wider = len(names) / max(1, len(names) - 1)
    return mean, float(np.sqrt(wider * (sums**2).sum()) / len(values))
