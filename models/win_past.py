"""What the win model would have said at past dates, and what that decides: mix, rate leant on, trust in fields."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from models.calibration import PastForecast
from models.learners import Floats, probability, safe_logit
from models.prior import RateCurves, pooled_logits
from models.rolling import Gain, gain, log_loss, won_within
from models.win_core import Mix, Parts
from models.win_curve import Curves, fate
from models.win_params import WinParams

_TREES_SHARES = (0.5, 1.0, 0.0)
_EVER_SHARES = (0.5, 0.0)
_SHORT_HISTORY_DAYS = 365
SHARES = (1.0, 0.75, 0.5, 0.25)
NO_GAIN = Gain(0.0, -np.inf, np.inf, 0.0, np.inf, 0, 0)


@dataclass(frozen=True, slots=True)
class PastDate:
    """Deals open at a past date, with what each way of forecasting said of them then.

    `parts` are the learners' log odds in a large company, `fields` the ridge's curves in a small one; one is None.
    """

    cut: pd.Timestamp
    rows: pd.DataFrame
    base: Curves
    stage: Curves
    parts: Parts | None = None
    fields: Curves | None = None

    def curves(self, mix: Mix) -> Curves:
        """The model's own curves."""
        if self.fields is not None:
            return self.fields
        assert self.parts is not None
        return self.parts.curves(self.base.edges, mix)


@dataclass(frozen=True, slots=True)
class Choice:
    """What past dates decided.

    Parameters
    ----------
    mix : Mix
        Shares of the learners.
    by_stage : bool
        Whether the rate to lean on is the stage's (else the company's).
    strength : float
        Share of the fields' model against that rate, on the log odds; 0 where no gain is certain.
    skill : Gain
        Gain of what is forecast in the end against the base rate.
    over_rate : Gain
        Gain of the fields' model against the rate leant on.
    tried : Gain
        Gain of the fields' model against the base rate, used or not; where it has no certain gain, against that rate
        as it is or moved to the model's own mean on each date, whichever is less certain.
    """

    mix: Mix = field(default_factory=Mix)
    by_stage: bool = True
    strength: float = 0.0
    skill: Gain = NO_GAIN
    over_rate: Gain = NO_GAIN
    tried: Gain = NO_GAIN
    horizon_days: float = 0.0
    forecasts: tuple[PastForecast, ...] = ()
    table: pd.DataFrame = field(default_factory=pd.DataFrame)


@dataclass(frozen=True, slots=True)
class Seen:
    """Outcomes and losses of several past dates below each other."""

    past: list[PastDate]
    until: pd.Timestamp
    days: float

    @property
    def y(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Whether won within so many days, shape (n,)."""
        return np.concatenate([won_within(date.rows, self.until, self.days) for date in self.past])

    @property
    def deals(self) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
        """Deal of each row, shape (n,)."""
        return np.concatenate([date.rows["deal_id"].to_numpy(object) for date in self.past])

    def levelled(self, rate: Floats, said: Floats) -> Floats:
        """A rate moved, on the log odds, to the mean of forecasts on each date; all have shape (n,)."""
        ends = np.cumsum([len(date.rows) for date in self.past])[:-1]
        pairs = zip(np.split(rate, ends), np.split(said, ends), strict=True)
        return np.concatenate([_moved(one, float(other.mean())) if len(one) else one for one, other in pairs])

    def said(self, curves: list[Curves]) -> Floats:
        """Forecasts by curves of each date, shape (n,)."""
        return np.concatenate([c.by(self.days)[0] for c in curves])


def default_mix(rows: pd.DataFrame, until: pd.Timestamp, params: WinParams) -> Mix:
    """The mix where past dates do not say otherwise: with a short history closed deals are the quick ones.

    'Won in the end' is then left to the curve alone, which knows of open deals too.
    """
    long_enough = (until - rows["as_of"].min()).days >= _SHORT_HISTORY_DAYS
    trees, ever = params.trees_share, params.ever_share
    return Mix(0.5 if trees is None else trees, (0.5 if long_enough else 0.0) if ever is None else ever)


def mixes_of(params: WinParams, default: Mix) -> tuple[Mix, ...]:
    """Mixes that compete, the default first; one only where the parameters leave nothing open."""
    trees = _TREES_SHARES if params.trees_share is None else (params.trees_share,)
    ever = _EVER_SHARES if params.ever_share is None else (params.ever_share,)
    return (default, *(mix for t in trees for e in ever if (mix := Mix(t, e)) != default))


def choose(past: list[PastDate], until: pd.Timestamp, days: float, *, mixes: tuple[Mix, ...], most: float) -> Choice:
    """Decide by the log loss of 'won within so many days' on past dates.

    Another mix than the first is taken only if it is better by more than its standard error. The stage rate is leant
    on where the whole 90 % interval of its gain over the base rate lies above 0. Of the shares 1, 3/4, 1/2, 1/4 (times
    `most`) that the fields' model could have against that rate, the best of those whose interval lies above 0 is taken;
    where there is none, the rate alone is forecast. The gain must be as certain against the rate moved to the model's
    own mean on each date: a model that came nearer to a few months' level may still not tell one deal from another.
    With many deals a larger share stands in for the best where it is no worse by more than the standard error: past
    models knew fewer deals than the one that will forecast.

    Parameters
    ----------
    most : float
        Upper bound of the strength, 1 where there are many deals.
    """
    if not past:
        return Choice(mix=mixes[0], horizon_days=days)
    seen = Seen(past, until, days)
    y, deals = seen.y, seen.deals
    base_rate, stage_rate = seen.said([d.base for d in past]), seen.said([d.stage for d in past])
    base, stage = log_loss(y, base_rate), log_loss(y, stage_rate)
    mix = _best_mix(seen, mixes)
    by_stage = not gain(stage, base, deals).holds_zero
    rate, leant_on = (stage, stage_rate) if by_stage else (base, base_rate)
    fields = [d.curves(mix) for d in past]
    rated = [d.stage if by_stage else d.base for d in past]
    tries = {share * most: seen.said(_leant_all(fields, rated, share * most)) for share in SHARES}
    losses = {strength: log_loss(y, said) for strength, said in tries.items()}
    gains = {strength: gain(loss, rate, deals) for strength, loss in losses.items()}
    apart = {s: gain(losses[s], log_loss(y, seen.levelled(leant_on, said)), deals) for s, said in tries.items()}
    certain = {s: not (gains[s].holds_zero or apart[s].holds_zero) for s in tries}
    worth = {s: gains[s].mean if certain[s] else min(gains[s].mean, apart[s].mean) for s in tries}
    best = max(tries, key=lambda strength: (certain[strength], worth[strength]))
    if most == 1.0 and certain[best]:
        best = _as_strong(best, certain, losses, deals)
    over, tried = gains[best], _tried(seen, tries[best], base_rate, certain=certain[best])
    strength = best if certain[best] else 0.0
    issued = _leant_all(fields, rated, strength)
    said = seen.said(issued)
    table = pd.DataFrame(
        {
            "deal_id": deals,
            "as_of": np.concatenate([d.rows["as_of"].to_numpy() for d in past]),
            "won": y,
            "forecast": said,
            "base_rate": base_rate,
            "stage_rate": stage_rate,
        }
    )
    forecasts = tuple(PastForecast(d.cut, d.rows, c) for d, c in zip(past, issued, strict=True))
    skill = gain(log_loss(y, said), base, deals)
    return Choice(mix, by_stage, strength, skill, over, tried, days, forecasts, table)


def _tried(seen: Seen, said: Floats, base_rate: Floats, *, certain: bool) -> Gain:
    """Gain of the fields' model over the base rate; where it is not certain the less certain of the two, as above."""
    loss = log_loss(seen.y, said)
    plain = gain(loss, log_loss(seen.y, base_rate), seen.deals)
    if certain:
        return plain
    level = gain(loss, log_loss(seen.y, seen.levelled(base_rate, said)), seen.deals)
    return min(plain, level, key=lambda found: found.low)


def _moved(rate: Floats, mean: float) -> Floats:
    """A rate with its log odds moved by one amount, so that its mean is another."""
    logits, by = safe_logit(rate), 0.0
    for _ in range(30):
        p = probability(logits + by)
        by += float(np.clip((mean - p.mean()) / max((p * (1 - p)).mean(), 1e-12), -1, 1))
    return probability(logits + by)


def _as_strong(
    best: float,
    certain: dict[float, bool],
    losses: dict[float, Floats],
    deals: np.ndarray[tuple[int], np.dtype[np.object_]],
) -> float:
    """The largest share that is no worse than the best beyond one standard error."""
    for strength in sorted(losses, reverse=True):
        if strength <= best:
            return best
        against = gain(losses[strength], losses[best], deals)
        if certain[strength] and against.mean >= -against.se:
            return strength
    return best


def leant(curves: Curves, rate: Curves, strength: float) -> Curves:
    """Curves between a model's and a rate's: ends on the log odds, timing as a mixture."""
    if strength >= 1:
        return curves
    if strength <= 0:
        return rate
    ever = probability(pooled_logits(rate.ever, safe_logit(curves.ever), strength))
    return curves.mixed(rate, strength).scaled(ever)


def _leant_all(fields: list[Curves], rated: list[Curves], strength: float) -> list[Curves]:
    return [leant(curves, rate, strength) for curves, rate in zip(fields, rated, strict=True)]


def _best_mix(seen: Seen, mixes: tuple[Mix, ...]) -> Mix:
    if seen.past[0].parts is None:
        return mixes[0]
    y, deals = seen.y, seen.deals
    losses = {mix: log_loss(y, seen.said([d.curves(mix) for d in seen.past])) for mix in mixes}
    best = min(losses, key=lambda mix: losses[mix].mean())
    better = gain(losses[best], losses[mixes[0]], deals)
    return best if better.mean > better.se else mixes[0]


def rates(train: pd.DataFrame, rows: pd.DataFrame, until: pd.Timestamp, edges: Floats) -> tuple[Curves, Curves]:
    """Base rate and stage rate, learnt from `train` as known at `until`, for the deals `rows`."""
    what = fate(train, until)
    base, stage = (RateCurves(edges, by_stage=by).fit(train, what) for by in (False, True))
    return base.curves(rows), stage.curves(rows)
