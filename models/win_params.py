"""What is chosen when a win model is made: how rows weigh, how trees grow, shares of the learners, the calibrator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import numpy as np
import pandas as pd

from crm.errors import BadInput
from models.learners import Floats, TreeShape

WEIGHTINGS = ("snapshot", "sqrt", "deal")
CALIBRATORS = ("none", "sigmoid", "isotonic")
_SHAPE = "tree_"  # before the names of a tree's shape where all stand in one flat mapping


class BadParams(BadInput):
    """Parameters of a win model that cannot be used."""


@dataclass(frozen=True, slots=True)
class WinParams:
    """Parameters of a win model; those that are None are decided on past dates whenever a model is fitted.

    Parameters
    ----------
    weighting : {'snapshot', 'sqrt', 'deal'}
        Whether each snapshot counts the same, as for 'deals open today', or each deal, or what lies between: a
        snapshot then counts one over the root of how many its deal has.
    half_life_weeks : float, optional
        Age at which a snapshot counts half; None: all count alike.
    trees : int
        Trees a learner.
    shape : TreeShape
        How they are grown.
    trees_share : float, optional
        Share of the trees against the logistic, 0 to 1.
    ever_share : float, optional
        Share of the classifier of the end against the curve, 0 to 1.
    calibrator : {'none', 'sigmoid', 'isotonic'}, optional
        Map of the whole curve, fitted on past forecasts.
    identity : bool
        Whether features about who works on a deal (`Feature.identity`) are looked at.
    """

    weighting: str = "snapshot"
    half_life_weeks: float | None = None
    trees: int = 150
    shape: TreeShape = field(default_factory=TreeShape)
    trees_share: float | None = None
    ever_share: float | None = None
    calibrator: str | None = None
    identity: bool = True

    def __post_init__(self) -> None:
        _check("weighting", self.weighting, WEIGHTINGS)
        if self.calibrator is not None:
            _check("calibrator", self.calibrator, CALIBRATORS)
        for name in ("trees_share", "ever_share"):
            share = getattr(self, name)
            if share is not None and not 0 <= share <= 1:
                raise BadParams(f"{name} is {share!r}. Give a share from 0 to 1.")
        if self.half_life_weeks is not None and not self.half_life_weeks > 0:
            raise BadParams(f"half_life_weeks is {self.half_life_weeks!r}. Give weeks above 0, or None.")

    def to_dict(self) -> dict[str, Any]:
        """Flat and of plain values, as for JSON or a run's parameters."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "shape"}
        return own | {_SHAPE + f.name: getattr(self.shape, f.name) for f in fields(self.shape)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Parameters from `to_dict`'s mapping, or from the texts a run keeps of it; other keys are passed over.

        Raises
        ------
        BadParams
            If one is missing or has no value of its kind.
        """
        shape = TreeShape(**{f.name: _read(values, _SHAPE + f.name, str(f.type)) for f in fields(TreeShape)})
        own = {f.name: _read(values, f.name, str(f.type)) for f in fields(cls) if f.name != "shape"}
        return cls(shape=shape, **own)

    def decided(self, *, trees_share: float, ever_share: float, calibrator: str) -> Self:
        """The same with nothing left to decide."""
        return replace(self, trees_share=trees_share, ever_share=ever_share, calibrator=calibrator)

    def weights(self, rows: pd.DataFrame, until: pd.Timestamp) -> Floats:
        """How much snapshots count, shape (n,), 1 on the mean.

        Parameters
        ----------
        rows : shape (n, p)
            With `deal_id` and `as_of`.
        until : Timestamp, UTC
            When a snapshot's age is nought.
        """
        weight = np.ones(len(rows))
        if self.weighting != "snapshot":
            each = rows.groupby("deal_id")["deal_id"].transform("size").to_numpy(np.float64)
            weight /= each if self.weighting == "deal" else np.sqrt(each)
        if self.half_life_weeks:
            age = (until - rows["as_of"]).dt.total_seconds().to_numpy(np.float64) / 86_400 / 7
            weight *= 0.5 ** (age / self.half_life_weeks)
        return weight / weight.mean()


def _check(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise BadParams(f"{name} is {value!r}. Known: {', '.join(known)}.")


def _truth(value: Any) -> bool:
    return {"True": True, "False": False}[str(value)]


def _read(values: Mapping[str, Any], name: str, kind: str) -> Any:
    if name not in values:
        raise BadParams(f"{name} is missing from the parameters of the win model. Take a run that trained one.")
    value = values[name]
    if value is None or value == "None":
        if "None" in kind:
            return None
        raise BadParams(f"{name} has no value. Take a run that trained a win model.")
    readers: dict[str, Callable[[Any], Any]] = {"int": int, "float": float, "str": str, "bool": _truth}
    make = readers[kind.split(" ")[0]]
    try:
        return make(value)
    except (KeyError, ValueError):
        raise BadParams(f"{name} is {value!r}, not of type {kind}. Mend it in the run.") from None
