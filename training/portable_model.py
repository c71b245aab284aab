"""A model file that forecasts by itself: MLflow runs this one file, which needs only numpy, pandas and lightgbm.

It reads what `models.at_rest.save` wrote beside it and says the same as the package does; nothing of the package is
imported, so that a model can be loaded anywhere. A test holds the two together.
"""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

Floats = npt.NDArray[np.float64]
_EDGE, _CLIP, _DAY, _PART = 1e-6, 4.0, 86_400, 2_000
_LAG_GROUPS = np.array([7.0, 28.0, 91.0])
_TO_END = np.array([2, 5, 10, 16, 32])


class PortableModel(PythonModel):
    """Forecasts of a win or churn model for rows of features, of an attainment model for the parts of a period.

    Columns that are absent count as missing.
    """

    def load_context(self, context: Any) -> None:
        """Read the model's files."""
        place = Path(context.artifacts["at_rest"])
        self.model = Files(place).model
        # Those behind the interval are fitted later, and laid beside it then.
        if (later := place.with_name("ranges")).is_dir():
            self.model.replicates_ = Files(later).model

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """A row a row of `model_input`: win_probability with its 90 % interval, or churn_probability.

        Of an attainment model, a row a rep in the order in which they come, and last the company; see `_attainment`.
        """
        X = model_input.reset_index(drop=True)
        if self.model.kind.startswith("models.own."):
            raise ValueError("This model rests on a scikit-learn classifier of one's own; forecast with Bellwether.")
        if self.model.kind == "models.attainment.AttainmentModel":
            return _attainment(self.model, X)
        if self.model.kind == "models.churn.ChurnModel":
            return pd.DataFrame({"churn_probability": _churn(self.model, X)})
        p = _calibrated(_win(self.model, self.model.fields_, self.model.rate_, X), self.model.calibrator_)[0][:, -1]
        low, high = _interval(self.model, X, p)
        return pd.DataFrame({"win_probability": p, "win_probability_low": low, "win_probability_high": high})


class Files:
    """The files of one model as plain objects: JSON, arrays without pickle, LightGBM's texts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tree = json.loads((folder / "model.json").read_text(encoding="utf-8"))["model"]
        self._ids: dict[int, Any] = {}
        self._known: dict[int, Any] = {}
        self._index(self._tree)

    @cached_property
    def model(self) -> Any:
        """The model; what forecasts do not need of it is None."""
        with np.load(self._folder / "arrays.npz", allow_pickle=False) as arrays:
            self._arrays = {name: arrays[name] for name in arrays.files}
        return self._value(self._tree)

    def _index(self, node: Any) -> None:
        if isinstance(node, dict):
            if "id" in node and "is" in node:
                self._ids[node["id"]] = node
            for part in node.values():
                self._index(part)
        elif isinstance(node, list):
            for part in node:
                self._index(part)

    def _value(self, node: Any) -> Any:
        if not isinstance(node, dict):
            return node
        if node["is"] == "same":
            node = self._ids[node["as"]]
        if "id" not in node:
            return self._made(node)
        if node["id"] not in self._known:
            self._known[node["id"]] = self._made(node)
        return self._known[node["id"]]

    def _made(self, node: Any) -> Any:
        kind = node["is"]
        if kind == "object":
            return SimpleNamespace(kind=node["class"], **{k: self._value(v) for k, v in node["has"].items()})
        if kind in ("array", "scalar"):
            found = self._arrays[node["beside"]] if "beside" in node else np.array(node["of"], dtype=node["dtype"])
            return found if kind == "array" else found[0]
        if kind in ("list", "tuple", "set", "frozenset", "objects"):
            parts = [self._value(part) for part in node["of"]]
            return tuple(parts) if kind == "tuple" else parts
        if kind == "dict":
            return {key: self._value(part) for key, part in node["of"].items()}
        if kind == "pairs":
            return {self._value(key): self._value(part) for key, part in node["of"]}
        if kind == "booster":
            text = (self._folder / "boosters" / f"{node['number']:03d}.txt").read_text(encoding="utf-8")
            return lgb.Booster(model_str=text)
        return float(node["of"]) if kind == "float" else None  # what else there is, forecasts do not need


def _logit(p: Floats) -> Floats:
    p = np.clip(p, _EDGE, 1 - _EDGE)
    return np.log(p / (1 - p))


def _expit(z: Floats) -> Floats:
    return 1 / (1 + np.exp(-z))


def _number(X: pd.DataFrame, name: str) -> Floats:
    if name not in X:
        return np.full(len(X), np.nan)
    values = pd.to_numeric(X[name], errors="coerce").to_numpy(np.float64, na_value=np.nan)
    return np.where(np.isfinite(values), values, np.nan)


def _codes(X: pd.DataFrame, category: Any) -> Floats:
    if category.name not in X:
        return np.full(len(X), np.nan)
    other = category.codes["(other)"]
    return np.array([np.nan if pd.isna(v) else category.codes.get(v, other) for v in X[category.name]], dtype=float)


def _trees(encoder: Any, X: pd.DataFrame) -> Floats:
    columns = [_number(X, n.name) for n in encoder.numbers_] + [_codes(X, c) for c in encoder.categories_]
    return np.column_stack(columns) if columns else np.empty((len(X), 0))


def _linear(encoder: Any, X: pd.DataFrame) -> Floats:
    columns: list[Floats] = []
    for n in encoder.numbers_:
        values = _number(X, n.name)
        gaps = np.isnan(values)
        shaped = np.sign(values) * np.log1p(np.abs(values)) if n.logged else values
        columns.append(np.where(gaps, 0.0, np.clip((shaped - n.centre) / n.scale, -_CLIP, _CLIP)))
        if n.gaps:
            columns.append(gaps.astype(float))
    for category in encoder.categories_:
        codes = _codes(X, category)
        columns += [(codes == code).astype(float) for code in category.codes.values()]
    return np.column_stack(columns) if columns else np.empty((len(X), 0))


def _parts(blend: Any, trees: Floats, linear: Floats) -> tuple[Floats, Floats]:
    by_trees = by_line = None
    if blend.booster_ is not None:
        by_trees = np.asarray(blend.booster_.predict(trees, raw_score=True, num_threads=1))
    if blend.line_ is not None:
        by_line = linear @ blend.line_.slopes + blend.line_.intercept
    if by_trees is None:
        by_trees = by_line if by_line is not None else np.full(len(trees), blend.rate_)
    return by_trees, by_line if by_line is not None else by_trees


def _mixed(parts: tuple[Floats, Floats], share: float) -> Floats:
    return share * parts[0] + (1 - share) * parts[1]


Curve = tuple[Floats, Floats]  # shares won and lost by each edge, shape (n, bins + 1) both


def _curves(edges: Floats, won: Floats, lost: Floats) -> Curve:
    won, lost = (_extended(hazard, edges) for hazard in (won, lost))
    still = np.cumprod(np.hstack([np.ones((len(won), 1)), (1 - won) * (1 - lost)]), axis=1)[:, :-1]
    start = np.zeros((len(won), 1))
    F, L = (np.cumsum(still * share, axis=1) for share in (won, (1 - won) * lost))
    return np.hstack([start, F]), np.hstack([start, L])


def _extended(hazard: Floats, edges: Floats) -> Floats:
    known, widths = hazard.shape[1], np.diff(edges)
    still = 1 - np.clip(hazard[:, -1:], 0, 1 - 1e-9)
    return np.hstack([hazard, 1 - still ** (widths[known:] / widths[known - 1])[None, :]])


def _scaled(curve: Curve, ever: Floats) -> Curve:
    won, lost = curve
    up = np.divide(ever, won[:, -1], out=np.ones_like(ever), where=won[:, -1] > 0)
    rest = np.divide(1 - ever, 1 - won[:, -1], out=np.ones_like(ever), where=won[:, -1] < 1)
    return won * up[:, None], lost * rest[:, None]


def _calibrated(curve: Curve, calibrator: Any) -> Curve:
    if calibrator is None:
        return curve
    won, lost = curve
    open_ = np.maximum(1 - won - lost, 1e-12)[:, :-1]
    w = np.clip(np.diff(won) / open_, 0, 1)
    gone = np.clip(np.diff(lost) / np.maximum(open_ * (1 - w), 1e-12), 0, 1)
    if calibrator.kind.endswith("Sigmoid"):
        w = np.where(w > 0, _expit(calibrator.a_ + calibrator.b_ * _logit(w)), 0.0)
    else:
        w = np.interp(w, calibrator.from_, calibrator.to_)
    return _curves(np.arange(won.shape[1], dtype=float), w, gone)


def _rate(rate: Any, X: pd.DataFrame) -> Curve:
    won, lost = _curves(rate.edges, rate.won_, rate.lost_)
    group = [rate.stages_.get(v, 0) for v in X["stage"]] if rate.stages_ and "stage" in X else [0] * len(X)
    return won[group], lost[group]


def _win(model: Any, fields: Any, rate: Any, X: pd.DataFrame) -> Curve:
    rated, strength = _rate(rate, X), model.choice_.strength
    if fields is None or strength <= 0 or not len(X):
        return rated
    if fields.kind.endswith("SmallModel"):
        own = _scaled(rated, _expit(_parts(fields.blend_, _trees(fields.encoder_, X), _linear(fields.encoder_, X))[1]))
    else:
        own = _of_core(fields, model.edges_, model.choice_.mix, X)
    if strength >= 1:
        return own
    ever = _expit((1 - strength) * _logit(rated[0][:, -1]) + strength * _logit(own[0][:, -1]))
    mixture = tuple(strength * one + (1 - strength) * other for one, other in zip(own, rated, strict=True))
    return _scaled((mixture[0], mixture[1]), ever)


def _interval(model: Any, X: pd.DataFrame, p: Floats) -> tuple[Floats, Floats]:
    if not model.replicates_:
        return np.full(len(X), np.nan), np.full(len(X), np.nan)
    logits = np.array([_logit(_win(model, one.fields, one.rate, X)[0][:, -1]) for one in model.replicates_])
    low, high = np.quantile(_expit(_logit(p) + logits - logits.mean(axis=0)), [0.05, 0.95], axis=0)
    return np.minimum(low, p), np.maximum(high, p)


def _of_core(core: Any, edges: Floats, mix: Any, X: pd.DataFrame) -> Curve:
    parts = [_of_part(core, edges, mix, X.iloc[at : at + _PART]) for at in range(0, len(X), _PART)]
    return np.vstack([won for won, _ in parts]), np.vstack([lost for _, lost in parts])


def _of_part(core: Any, edges: Floats, mix: Any, X: pd.DataFrame) -> Curve:
    plain_trees, plain = _trees(core.encoder_, X), _linear(core.encoder_, X)
    lagged = _lagged(core, X, plain_trees, plain)
    won, lost = (_expit(_mixed(_parts(b, *lagged), mix.trees)).reshape(len(X), -1) for b in (core.won_, core.lost_))
    curve = _curves(edges, won, lost)
    if not mix.ever:
        return curve
    ever = _mixed(_parts(core.ever_, plain_trees, plain), mix.trees)
    return _scaled(curve, _expit((1 - mix.ever) * _logit(curve[0][:, -1]) + mix.ever * ever))


def _lagged(core: Any, X: pd.DataFrame, trees: Floats, linear: Floats) -> tuple[Floats, Floats]:
    """Every row once for each bin ahead, with what is known of that bin."""
    row = np.repeat(np.arange(len(X)), core.known_)
    at = np.tile(np.arange(core.known_), len(X))
    low, high = core.edges[at], core.edges[at + 1]
    lag = (low + high) / 2
    start = pd.to_datetime(X["as_of"], utc=True).dt.tz_convert(None).to_numpy("datetime64[s]").astype(np.int64)[row]
    pulls = np.log(np.column_stack([_pull(core.calendar, start, low, high, r) for r in ("won_", "lost_")]))
    of_trees = np.column_stack([trees[row], lag / 7, pulls, _number(X, "days_open")[row] + lag])
    names = core.encoder_.names_
    stage = linear[row][
        :, np.asarray(core.encoder_.linear_feature_) == (names.index("stage") if "stage" in names else -1)
    ]
    later = (lag[:, None] > _LAG_GROUPS).astype(float)
    crossed = (stage[:, :, None] * later[:, None, :]).reshape(len(row), -1)
    bins = (at[:, None] == np.arange(core.known_)).astype(float)
    return of_trees, np.hstack([linear[row], crossed, bins, pulls])


def _pull(calendar: Any, start: Any, low: Floats, high: Floats, rates: str) -> Floats:
    total = [_total(calendar, start, ahead, getattr(calendar, rates)) for ahead in (low, high)]
    return (total[1] - total[0]) / np.maximum(high - low, 1e-9)


def _total(calendar: Any, start: Any, ahead: Floats, rates: list[Floats]) -> Floats:
    moment = start / _DAY + ahead
    first = int(np.floor(min(moment.min(), (start / _DAY).min())))
    days = np.arange(first, int(np.floor(moment.max())) + 2)
    date = days.astype("datetime64[D]")
    month = date.astype("datetime64[M]")
    left = ((month + 1).astype("datetime64[D]") - date).astype(np.int64)
    of_quarter = (month.astype(np.int64) - (calendar.start_month - 1)) % 3
    group = np.searchsorted(_TO_END, left, side="left") + len(_TO_END) * of_quarter
    running = np.concatenate([[0.0], np.cumsum(rates[0][group] * rates[1][(days + 3) % 7])])
    whole = np.floor(moment).astype(np.int64) - first
    return running[whole] + (moment - np.floor(moment)) * (running[whole + 1] - running[whole])


def _churn(model: Any, X: pd.DataFrame) -> Floats:
    mix, core = model.mix_, model.core_
    if not len(X) or not (mix.strength > 0 or mix.by_rhythm):
        return np.full(len(X), model.base_)
    trees, linear = _trees(core.encoder_, X), _linear(core.encoder_, X)
    by_line = _parts(core.linear_, trees, linear)[1]
    by_trees = by_line if core.booster_ is None else core.booster_.predict(trees, raw_score=True, num_threads=1)
    silence = _number(X, "silence_to_usual")
    bands = core.rate_.bands_
    band = np.where(np.isfinite(silence), np.searchsorted(core.rate_.edges_, silence), len(bands) - 1)
    rate = bands[band] if mix.by_rhythm else np.full(len(X), core.rate_.base_)
    return _expit((1 - mix.strength) * rate + mix.strength * _mixed((by_trees, by_line), mix.trees))


_QUARTER, _AGES, _SLOPE, _MOST = 365.25 / 4, ("early", "middle", "late"), 1.5, 0.95
_LEVEL_ERROR, _NEAR, _SHORTEST, _CUTS_A_PERIOD = 0.07, 0.3, 0.1, 3


def _attainment(model: Any, X: pd.DataFrame) -> pd.DataFrame:
    """Draw how a quarter ends for each rep and for all, by the errors that past quarters taught.

    A row of X is a part of a rep's quarter: `part` 'closed' (`amount`: booked so far), 'deal' (an open deal: `amount`,
    `chance` to be won by the end, as p_win_in_period says) or 'new' (`amount`: expected of deals not made yet, as
    expected_new says; `chance`: how many of them are won, else told from what deals usually bring). `days_left` is the
    same in all rows, `target` a rep's, in any row of theirs. Amounts are in base currency.
    """
    reps, place = np.unique(X["rep_id"].to_numpy(object).astype(str), return_inverse=True)
    days = float(np.nanmax([0.0, *_number(X, "days_left")]))
    gone = max(1 - days / _QUARTER, 0.0)
    errors = model.errors_[model.ways_[_AGES[min(int(3 * gone), 2)]]]
    level, common = _level(errors.level, gone), errors.won.common / np.sqrt(max(1 - gone, _SHORTEST))
    part, amount, chance = X["part"].to_numpy(object), _number(X, "amount"), np.nan_to_num(_number(X, "chance"))
    closed, news = (
        np.bincount(place[part == p], np.nan_to_num(amount[part == p]), len(reps)) for p in ("closed", "new")
    )
    told = np.bincount(place[part == "new"], chance[part == "new"], len(reps))
    usual = np.mean(list(model.amounts_.usual_kind_.values()) or [1.0])
    count = np.asarray(np.where(told > 0, told, news / usual), dtype=np.float64)
    deals, owner, p = X[part == "deal"], place[part == "deal"], _raised(chance[part == "deal"], level)
    worth, pools = _worth(model.amounts_, deals)
    rng = np.random.default_rng(model.random_state)
    shift = rng.normal(0.0, 1.0, model.draws)[None, :] * common
    shift = shift + rng.normal(0.0, 1.0, (len(reps), model.draws)) * errors.won.own
    half = (common**2 + errors.won.own**2) / 2
    odds = _logit(p) * np.sqrt(1 + 0.346 * 2 * half * _SLOPE**2)
    moved = _expit(odds[:, None] + _SLOPE * shift[owner])
    won = ((rng.random(moved.shape) < moved) & (p > 0)[:, None]).astype(np.float64)
    for which, pool in enumerate(pools):
        rows = np.flatnonzero(worth[1] == which)
        won[rows] *= np.nan_to_num(worth[0][rows, None] * pool[rng.integers(0, len(pool), (len(rows), model.draws))])
    each = np.asarray(news / np.maximum(count, 1e-12), dtype=np.float64)
    totals = closed[:, None] + _new(model.amounts_.spread_, count, each, shift - half, rng)
    np.add.at(totals, owner, won)
    mean = np.nan_to_num(worth[0] * np.array([pool.mean() for pool in pools])[worth[1]])
    expected = closed + np.bincount(owner, p * mean, len(reps)) + news
    goals = pd.Series(_number(X, "target")).groupby(place).max().to_numpy(np.float64)
    lines = [_line(str(rep), totals[i], expected[i], goals[i]) for i, rep in enumerate(reps)]
    order = pd.Series(place).drop_duplicates().to_numpy()
    goal = goals.sum() if np.isfinite(goals).all() else np.nan
    return pd.DataFrame([lines[i] for i in order] + [_line("company", totals.sum(axis=0), expected.sum(), goal)])


def _line(rep: str, sums: Floats, expected: float, goal: float) -> dict[str, Any]:
    p10, p50, p90 = np.quantile(sums, [0.1, 0.5, 0.9])
    reached = (float((sums >= goal).sum()) + 1) / (len(sums) + 2) if np.isfinite(goal) else np.nan
    return {"rep_id": rep, "p10": p10, "p50": p50, "p90": p90, "p_attain": reached, "expected": float(expected)}


def _level(level: Any, age: float) -> float:
    if not len(level.age):
        return 0.0
    near = np.exp(-np.abs(level.age - age) / _NEAR)
    share = near / near.sum()
    left = float(share @ (1 / np.maximum(1 - level.age, _SHORTEST)))
    shared = level.common**2 * left / max(len(level.age) / _CUTS_A_PERIOD, 1.0)
    variance = float((share**2 * level.luck).sum()) + shared
    return float(share @ level.off) * _LEVEL_ERROR**2 / (_LEVEL_ERROR**2 + variance)


def _raised(chance: Floats, by: float) -> Floats:
    some = (chance > 0) & (chance < 1)
    now = float(chance[some].sum())
    wanted = min(now * (1 + by), _MOST * int(some.sum()))
    if not some.any() or np.isclose(wanted, now):
        return chance
    odds, low, high = _logit(chance[some]), -20.0, 20.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if float(_expit(odds + middle).sum()) < wanted else (low, middle)
    found = chance.copy()
    found[some] = _expit(odds + low)
    return found


def _worth(amounts: Any, deals: pd.DataFrame) -> tuple[tuple[Floats, Any], list[Floats]]:
    amount, listed = _number(deals, "amount"), _number(deals, "list_amount")
    source = np.where(amount > 0, 0, np.where(listed > 0, 1, 2))
    kind, product = ([v if isinstance(v, str) else "" for v in _texts(deals, n)] for n in ("kind", "product_id"))
    pairs = zip(kind, product, strict=True)
    usual = np.array(
        [amounts.usual_.get(pair, amounts.usual_kind_.get(pair[0], np.nan)) for pair in pairs], dtype=float
    )
    value = np.where(source == 0, amount, np.where(source == 1, listed, usual))
    return (value, source), [amounts.moved_, amounts.moved_list_, amounts.spread_]


def _texts(X: pd.DataFrame, name: str) -> list[Any]:
    return list(X[name].astype(object)) if name in X else [""] * len(X)


def _new(pool: Floats, count: Floats, each: Floats, shift: Floats, rng: np.random.Generator) -> Floats:
    drawn = rng.poisson(count[:, None] * np.exp(shift))
    place = np.repeat(np.arange(drawn.size), drawn.ravel())
    value = pool[rng.integers(0, len(pool), len(place))]
    return np.bincount(place, weights=value, minlength=drawn.size).reshape(drawn.shape) * each[:, None]


set_model(PortableModel())
