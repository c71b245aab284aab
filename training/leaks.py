"""Columns of deals that predict the outcome too well to be true: filled in, or changed, once it was known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import binom, rankdata

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
_MIN_DEALS = 30  # won and lost ones each
_BINS, _FOLDS = 16, 5
# Half-way through a deal's life, models of all that a CRM knows tell some 70 to 85 of 100 pairs of a won and a lost
# deal apart; the best single column of an honest CRM is well below that. One column alone that gets 90 right, and still
# 85 at the lower end of its 95 % interval, knows the end from elsewhere.
_AUC, _LOWEST = 0.90, 0.85
# A value nearly all of whose deals ended alike is telling if chance would hardly do that once in a million tries. Asked
# of the company's own columns alone, whose past is not known: a renewal may well be won nearly always.
_SAME, _CHANCE = 0.98, 1e-6
_MEND = "Leave it out of the import, log its changes in deal_changes, or have it filled in when the deal is opened"


@dataclass(frozen=True, slots=True)
class Leak:
    """A column that knows too much.

    Parameters
    ----------
    column : str
        The feature.
    value : str or None
        The value that gives the outcome away; None where the column as a whole does.
    auc : float
        How many of all pairs of a won and a lost deal the column alone tells apart, half-way through their lives.
    honest, honest_auc : str, float
        The best column that is not suspicious, and its own figure.
    deals : int
        How many deals this rests on.
    text, mend : str
        What was found, with its evidence; what to do.
    """

    column: str
    value: str | None
    auc: float
    honest: str
    honest_auc: float
    deals: int
    text: str
    mend: str = _MEND + "."


def leaks(snapshots: pd.DataFrame) -> list[Leak]:
    """Columns, and values of columns, that give the outcome away.

    Each deal that ended counts once, as it was half-way through its life. A column is judged by the win rates of its
    values (numbers in sixteen bins, gaps apart) among other deals, so neither many values nor few deals make it look
    good.

    Parameters
    ----------
    snapshots : pd.DataFrame
        As `training.snapshots.deal_snapshots` makes them.

    Returns
    -------
    list of Leak
        The most telling first; none where fewer than 30 deals were won or lost.
    """
    rows = _half_way(snapshots)
    won = (rows["_outcome"] == "won").to_numpy()
    if min(won.sum(), (~won).sum()) < _MIN_DEALS:
        return []
    columns = [c for c in rows.columns if not c.startswith("_") and c not in ("deal_id", "as_of")]
    codes = {name: _codes(rows[name]) for name in columns}
    aucs = {name: _auc(_rates(codes[name], won), won) for name in columns}
    loud = [n for n in columns if aucs[n] >= _AUC and aucs[n] - 1.96 * _se(aucs[n], won) >= _LOWEST]
    values = {n: _telling(rows[n], codes[n], won) for n in columns if n.startswith("x_") and n not in loud}
    quiet = [n for n in columns if n not in loud and not values.get(n)]
    best = max(quiet, key=aucs.__getitem__, default="")
    honest = (best, aucs.get(best, 0.5))
    found = [_of_column(name, aucs[name], honest, len(rows)) for name in sorted(loud, key=lambda n: -aucs[n])]
    return found + [_of_value(n, aucs[n], honest, *one) for n, telling in values.items() for one in telling]


def _half_way(snapshots: pd.DataFrame) -> pd.DataFrame:
    ended = snapshots[snapshots["_outcome"].isin(["won", "lost"])].sort_values(["deal_id", "as_of"], kind="stable")
    of_deal = ended.groupby("deal_id", sort=False)
    middle = of_deal.cumcount() == of_deal["deal_id"].transform("size") // 2
    return ended[middle].reset_index(drop=True)


def _codes(values: pd.Series) -> Codes:
    """Which value or bin each row has; 0 where there is none."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return values.cat.codes.to_numpy(np.int64) + 1
    numbers = values.to_numpy(np.float64)
    known = np.isfinite(numbers)
    shares = np.linspace(0, 1, _BINS + 1)[1:-1]
    edges = np.unique(np.quantile(numbers[known], shares)) if known.any() else np.empty(0)
    return np.where(known, np.searchsorted(edges, numbers, side="right") + 1, 0).astype(np.int64)


def _rates(codes: Codes, won: npt.NDArray[np.bool_]) -> Floats:
    """For each deal the win rate of its value among the other folds, drawn a little towards that of all."""
    fold = np.random.default_rng(0).permutation(len(won)) % _FOLDS
    said = np.zeros(len(won))
    for k in range(_FOLDS):
        others, mine = fold != k, fold == k
        wins = np.bincount(codes[others], weights=won[others], minlength=codes.max() + 1)
        deals = np.bincount(codes[others], minlength=codes.max() + 1)
        said[mine] = ((wins + 2 * won[others].mean()) / (deals + 2))[codes[mine]]
    return said


def _auc(score: Floats, won: npt.NDArray[np.bool_]) -> float:
    wins, losses = int(won.sum()), int((~won).sum())
    return float((rankdata(score)[won].sum() - wins * (wins + 1) / 2) / (wins * losses))


def _se(auc: float, won: npt.NDArray[np.bool_]) -> float:
    """Standard error of an AUC; Hanley and McNeil (1982)."""
    wins, losses = won.sum(), (~won).sum()
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = auc * (1 - auc) + (wins - 1) * (q1 - auc**2) + (losses - 1) * (q2 - auc**2)
    return float(np.sqrt(spread / (wins * losses)))


def _telling(values: pd.Series, codes: Codes, won: npt.NDArray[np.bool_]) -> list[tuple[str, int, float]]:
    """Values, gaps too, nearly all of whose deals ended alike: the value, its deals, the share won."""
    names = ["filled in"]  # of numbers, whether there is one
    if isinstance(values.dtype, pd.CategoricalDtype):
        names = [f"'{name}'" for name in values.cat.categories]
    else:
        codes = np.minimum(codes, 1)
    return list(_alike(["empty", *names], codes, won))


def _alike(names: list[str], codes: Codes, won: npt.NDArray[np.bool_]) -> Iterator[tuple[str, int, float]]:
    base = won.mean()
    for code, name in enumerate(names):
        mine = won[codes == code]
        share = float(mine.mean()) if len(mine) else base
        by_chance = (
            binom.cdf(mine.sum(), len(mine), base) if share < base else binom.sf(mine.sum() - 1, len(mine), base)
        )
        if max(share, 1 - share) >= _SAME and by_chance * len(names) < _CHANCE:
            yield name, len(mine), share


def _of_column(name: str, auc: float, honest: tuple[str, float], deals: int) -> Leak:
    text = (
        f"{name} alone tells {auc:.0%} of all pairs of a won and a lost deal apart, half-way through their lives "
        f"({deals:,} deals); the best other column, {honest[0]}, {honest[1]:.0%}. "
        "It seems to be filled in or changed once the outcome is known."
    )
    return Leak(name, None, auc, *honest, deals, text)


def _of_value(name: str, auc: float, honest: tuple[str, float], value: str, deals: int, share: float) -> Leak:
    end = f"{share:.0%} were won" if share > 0.5 else f"{1 - share:.0%} were lost"
    text = (
        f"Of {deals:,} deals whose {name} was {value} half-way through their lives, {end}. Over all pairs of a won and "
        f"a lost deal, the column tells {auc:.0%} apart; the best other one, {honest[0]}, {honest[1]:.0%}. "
        "It seems to be filled in once the outcome is known."
    )
    return Leak(name, value, auc, *honest, deals, text)
