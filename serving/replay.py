"""The numbers of a past day rebuilt from the data and models of that day, and held against the ledger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from crm.errors import NotFound
from serving.home import Home
from serving.ledger import Kind, Ledger, Sealed
from serving.scoring import frames_to_seal, model_of, rebuild
from serving.store import Store
from training import registry
from training.reconstruct import RECONSTRUCTED, reconstruct

Progress = Callable[[str], None]
_KEYS = {"deal": "deal_id", "rep": "rep_id", "team": "team_id", "account": "account_id"}
_ALSO_KEYS = ("period_start", "period_end", "metric", "horizon_days")
_SAME = 1e-9


class NothingIssued(NotFound):
    """The ledger has no forecasts of a day."""

    def __init__(self, day: date, known: list[date]) -> None:
        near = sorted(known, key=lambda other: abs((other - day).days))[:3]
        said = f"Days nearest to it: {', '.join(map(str, sorted(near)))}." if near else "Score first: bellwether score."
        super().__init__(f"The ledger holds no forecasts of {day}. {said}")


@dataclass(frozen=True, slots=True)
class Compared:
    """One sealed row against what was rebuilt.

    `rows` were sealed, `same` of them came out equal to 1e-9 in every number; `largest` is the largest difference of
    any number, `differing` the columns with one. `emptied` forecasts are kept no longer and cannot be compared.
    """

    ledger_row: int
    kind: str
    entity: str
    as_of: str
    model_version: str
    data_cut: int
    rows: int
    same: int
    largest: float
    emptied: bool = False
    differing: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether every number is as issued."""
        return self.emptied or self.same == self.rows


def replay(home: Home, store: Store, day: date, *, say: Progress = lambda _: None) -> list[Compared]:
    """Rebuild what was forecast on a day, and compare it with what the ledger sealed then.

    Issued forecasts are rebuilt from the sealed data cut and model versions; where there are none of that day,
    reconstructed ones are made again.

    Raises
    ------
    NothingIssued
        If the ledger has none of that day.
    UnknownCut, UnknownVersion
        If the data or a model of then is gone.
    """
    ledger = Ledger(store)
    sealed = ledger.sealed()
    found = [row for row in sealed if row.as_of.date() == day]
    if not found:
        raise NothingIssued(day, sorted({row.as_of.date() for row in sealed}))
    kind: Kind = "issued" if any(row.kind == "issued" for row in found) else "reconstructed"
    runs: dict[tuple[object, ...], list[Sealed]] = {}
    for row in found:
        if row.kind == kind:
            runs.setdefault((row.as_of, row.data_cut), []).append(row)
    compared = []
    for rows in runs.values():
        say(f"{kind} as of {rows[0].as_of:%Y-%m-%d %H:%M}, data cut {rows[0].data_cut}")
        compared += _compare_run(home, ledger, kind, rows)
    return compared


def _compare_run(home: Home, ledger: Ledger, kind: Kind, rows: list[Sealed]) -> list[Compared]:
    view = home.lake.at(rows[0].data_cut)
    if kind == "reconstructed":
        made = reconstruct(view, home.company(), as_ofs=[rows[0].as_of])
    else:
        versions = {model_of(row.entity): row.model_version for row in rows if row.model_version != RECONSTRUCTED}
        known = registry.KINDS
        champions = {str(k): registry.load(k, versions[k], tracking=home.tracking) for k in known if k in versions}
        made = rebuild(home, view, champions, rows[0].as_of)
    frames = {str(entity): frame for entity, frame in frames_to_seal(made).items()}
    return [_compared(row, ledger.forecasts_in(row.number), frames.get(row.entity)) for row in rows]


def _compared(row: Sealed, said: pd.DataFrame | None, made: pd.DataFrame | None) -> Compared:
    head = (row.number, row.kind, row.entity, f"{row.as_of:%Y-%m-%d %H:%M}", row.model_version, row.data_cut, row.rows)
    if said is None:
        return Compared(*head, 0, float("nan"), emptied=True)
    if made is None or not len(made):
        return Compared(*head, 0, float("inf") if len(said) else 0.0)
    keys = [_KEYS[row.entity], *(c for c in _ALSO_KEYS if c in said and c in made)]
    both = _plain(said, keys).merge(_plain(made, keys), on=keys, how="left", suffixes=("", "_made"), indicator=True)
    numbers = [c for c in said if c not in keys and pd.api.types.is_numeric_dtype(said[c]) and f"{c}_made" in both]
    one, two = (both[[f"{c}{end}" for c in numbers]].to_numpy(np.float64, na_value=np.nan) for end in ("", "_made"))
    apart = np.where(np.isnan(one) & np.isnan(two), 0.0, np.abs(one - two))
    apart = np.where(np.isnan(apart), np.inf, apart) / np.maximum(1.0, np.abs(np.nan_to_num(one)))
    worst = np.where(both["_merge"] == "both", apart.max(axis=1, initial=0.0), np.inf)
    columns = tuple(name for name, most in zip(numbers, apart.max(axis=0, initial=0.0), strict=True) if most > _SAME)
    return Compared(*head, int((worst <= _SAME).sum()), float(worst.max(initial=0.0)), differing=columns)


def _plain(frame: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Keys as texts, so that a date read from a file equals one that was made."""
    return frame.assign(**{key: frame[key].astype(str) for key in keys}).drop_duplicates(keys)
