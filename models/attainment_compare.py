"""Ways of forecasting set beside each other at past cuts, as each would have been used: quantiles and what came."""

from __future__ import annotations

import lightgbm as lgb
import numpy as np
import pandas as pd

from models.attainment_errors import Errors, learn, raised
from models.attainment_past import PastCut
from models.encoding import Encoder
from models.learners import THREADS, Floats
from models.rollup import COMPANY
from models.simulation import draw_period

QUANTILES = (0.1, 0.5, 0.9)
WAYS = ("simulation", "stage_rate")
"""Those that give draws of single deals, so that sums agree."""
_DRAWS = 400
_MIN_TREES_ROWS = 100


def compare(cuts: list[PastCut], *, seed: int) -> pd.DataFrame:
    """Quantile forecasts of each way at each cut beside what came: a row a rep (and the company; `who`), cut and way.

    Level and scatter of a cut's errors are told from the other periods' cuts, so that none is judged on itself.
    """
    return pd.concat([_at(cut, cuts, seed) for cut in cuts], ignore_index=True) if cuts else pd.DataFrame()


def _at(cut: PastCut, cuts: list[PastCut], seed: int) -> pd.DataFrame:
    others, judged = [c for c in cuts if c.start != cut.start], cut.judged
    names = [cut.people.reps[place] for place in judged]
    draws = {way: _drawn(cut, way, learn(others, way).at(cut.age), seed) for way in WAYS}
    draws["redrawn_weeks"] = cut.redrawn(seed)
    draws["run_rate"] = cut.run_rate[:, None]
    came, total = cut.actual[judged], cut.actual.sum(keepdims=True)
    parts = []
    for way, drawn in draws.items():
        parts.append(_said(cut, way, names, np.quantile(drawn[judged], QUANTILES, axis=1).T, came))
        parts.append(_said(cut, way, [COMPANY], np.quantile(drawn.sum(axis=0), QUANTILES)[None, :], total))
    if (trees := _trees(cut, cuts, judged, seed)) is not None:
        parts.append(_said(cut, "trees", names, trees, came))
    return pd.concat(parts, ignore_index=True)


def _drawn(cut: PastCut, way: str, errors: Errors, seed: int) -> Floats:
    """Draws by rep, shape (reps, draws)."""
    level = errors.level.at(cut.age)
    found = draw_period(
        cut.closed, raised(cut.win[way], level), cut.deals, cut.credit, cut.new.raised(level),
        amounts=cut.amounts, spread=errors.won, seed=seed, draws=_DRAWS,
    )  # fmt: skip
    return found.reps


def pinball(table: pd.DataFrame) -> Floats:
    """Mean pinball loss of the three quantiles, a value a row."""
    loss = np.zeros(len(table))
    for q in QUANTILES:
        miss = table["actual"].to_numpy(np.float64) - table[f"q{round(100 * q)}"].to_numpy(np.float64)
        loss += np.maximum(q * miss, (q - 1) * miss)
    return loss / len(QUANTILES)


def _said(cut: PastCut, way: str, who: list[str], quantiles: Floats, actual: Floats) -> pd.DataFrame:
    said = {f"q{round(100 * q)}": quantiles[:, k] for k, q in enumerate(QUANTILES)}
    level = "company" if who == [COMPANY] else "rep"
    head = {"as_of": cut.at, "age": cut.age, "way": way, "level": level, "who": who, "actual": actual}
    return pd.DataFrame(head | said)


def _trees(cut: PastCut, cuts: list[PastCut], judged: list[int], seed: int) -> Floats | None:
    """LightGBM quantiles of what is still to come, from rep-period features of periods that were over before."""
    before = [c for c in cuts if c.end <= cut.start]
    if sum(len(c.judged) for c in before) < _MIN_TREES_ROWS:
        return None
    X = pd.concat([_of_judged(c) for c in before], ignore_index=True)
    scale = np.concatenate([_scale(c)[c.judged] for c in before])
    came = np.concatenate([(c.actual - c.closed)[c.judged] for c in before]) / scale
    encoder = Encoder().fit(X)
    train, now = encoder.trees(X), encoder.trees(_of_judged(cut))
    quantiles = []
    for q in QUANTILES:
        settings = {
            "objective": "quantile", "alpha": q, "num_leaves": 7, "learning_rate": 0.05, "min_data_in_leaf": 20,
            "num_threads": THREADS, "deterministic": True, "force_row_wise": True, "verbosity": -1, "seed": seed,
        }  # fmt: skip
        quantiles.append(lgb.train(settings, lgb.Dataset(train, came), num_boost_round=60).predict(now))
    shaped = np.sort(np.maximum(np.array(quantiles).T, 0.0), axis=1)
    return cut.closed[judged][:, None] + shaped * _scale(cut)[judged][:, None]


def _of_judged(cut: PastCut) -> pd.DataFrame:
    rows = cut.features.set_index("rep_id").reindex([cut.people.reps[i] for i in cut.judged]).reset_index()
    rows["age"] = cut.age
    return rows.assign(expected=_expected(cut)[cut.judged] / _scale(cut)[cut.judged])


def _expected(cut: PastCut) -> Floats:
    value = np.nan_to_num(cut.amounts.when_won(cut.deals)) * cut.win["simulation"]
    return np.asarray(cut.credit @ value) + cut.new.expected


def _scale(cut: PastCut) -> Floats:
    """What a rep usually books in a quarter, drawn towards the company's mean."""
    usual = cut.weekly.mean(axis=1) * 13
    return np.maximum((usual + usual.mean()) / 2, 1.0)
