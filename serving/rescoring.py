"""What the last scores can lend to the next: a deal whose inputs are the same is not rated and explained again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from serving.scores import read_folder, read_pointer

INPUTS = "inputs"
RATED = ("deals", "leads", "reasons", "curves")


@dataclass(frozen=True)
class Before:
    """The last run's frames and what each of its deals was rated from.

    Attributes
    ----------
    frames : mapping of str to DataFrame
        Those of `RATED` that there are.
    prints : uint64 Series by deal_id
        Fingerprint of each deal's inputs.
    """

    frames: dict[str, pd.DataFrame] = field(default_factory=dict)
    prints: pd.Series = field(default_factory=lambda: pd.Series(dtype=np.uint64))

    def same(self, deals: pd.Series, prints: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
        """Which deals were rated from the same inputs, shape (n,)."""
        if not len(self.prints):
            return np.zeros(len(deals), bool)
        # By place: aligned to deals that are new, the prints would become floats, which do not hold all their digits.
        place = self.prints.index.get_indexer(pd.Index(deals.to_numpy(object)))
        same: npt.NDArray[np.bool_] = (place >= 0) & (self.prints.to_numpy(np.uint64)[place] == prints)
        return same

    @property
    def deals(self) -> set[str]:
        """Deals and leads that were rated."""
        return {str(d) for name in ("deals", "leads") if name in self.frames for d in self.frames[name]["deal_id"]}

    def rows(self, names: tuple[str, ...], deals: pd.Series) -> pd.DataFrame:
        """Rows of these deals from one or more files."""
        parts = [self.frames[name] for name in names if name in self.frames]
        if not parts:
            return pd.DataFrame()
        found = pd.concat(parts, ignore_index=True)
        key = "entity_id" if "entity" in found else "deal_id"
        found = found[found["entity"] == "deal"] if "entity" in found else found
        return found[found[key].isin(deals)]


def conditions(**given: object) -> str:
    """A digest of all that a rating hangs on beside the deal's own inputs: model, moment, settings."""
    return hashlib.sha256(json.dumps(given, sort_keys=True, default=str).encode()).hexdigest()


def fingerprints(X: pd.DataFrame) -> npt.NDArray[np.uint64]:
    """A hash of each row with its columns' names and types, shape (n,)."""
    kind = hashlib.sha256(repr([(name, str(X[name].dtype)) for name in X.columns]).encode()).hexdigest()[:16]
    return pd.util.hash_pandas_object(X, index=False, hash_key=kind).to_numpy(np.uint64)


def before(scores: Path, wanted: str) -> Before:
    """The last run, where it was made under the same conditions; otherwise one that lends nothing."""
    mark = read_pointer(scores)
    folder = scores / mark
    if not mark or not (folder / f"{INPUTS}.parquet").exists():
        return Before()
    frames, meta = read_folder(folder)
    if meta.get("conditions") != wanted:
        return Before()
    kept = pd.read_parquet(folder / f"{INPUTS}.parquet").set_index("deal_id")["fingerprint"]
    return Before({name: frames[name] for name in RATED if name in frames}, kept)


def lend(
    scores: Path,
    deals: pd.Series,
    prints: npt.NDArray[np.uint64],
    *,
    only: frozenset[str] | None,
    lasting: str,
    wanted: str | None,
    as_of: pd.Timestamp,
) -> tuple[Before, npt.NDArray[np.bool_], str | None]:
    """The last scores, and which deals keep what those say of them, shape (n,).

    Parameters
    ----------
    only : frozenset of str, optional
        Deals to rate, whatever their inputs; the others keep theirs, though their ages have moved on.
    lasting, wanted : str
        Digests of what a rating hangs on without and with its moment; `wanted` unset: nothing is lent for its inputs.

    Returns
    -------
    str or None
        The moment when all deals were rated, where `only` rules: the last scores are of the same model and settings,
        and all deals were rated within the last day.
    """
    mark = read_pointer(scores)
    if only is not None and mark:
        frames, meta = read_folder(scores / mark)
        whole = meta.get("rated_whole")
        if meta.get("lasting") == lasting and whole and as_of - pd.Timestamp(whole) <= pd.Timedelta(days=1):
            last = Before({name: frames[name] for name in RATED if name in frames})
            return last, (deals.isin(last.deals) & ~deals.isin(only)).to_numpy(), str(whole)
    last = before(scores, wanted) if wanted else Before()
    return last, last.same(deals, prints), None


def in_order(deals: pd.Series, key: str, lent: pd.DataFrame, make: Callable[[], pd.DataFrame] | None) -> pd.DataFrame:
    """Rows lent and rows made now, in the order of the deals; rows of one deal keep theirs.

    Parameters
    ----------
    deals : shape (n,)
        All deals in their order.
    make : callable, optional
        Gives the rows of those that are new; None where none is.
    """
    parts = [part for part in (lent, make() if make else pd.DataFrame()) if len(part)]
    if not parts:
        return lent
    rows = pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0].reset_index(drop=True)
    place = pd.Series(np.arange(len(deals)), index=deals.to_numpy(object))
    order = np.argsort(place.reindex(rows[key].to_numpy(object)).to_numpy(), kind="stable")
    return rows.iloc[order].reset_index(drop=True)


def unchanged(scores: Path, everything: str) -> tuple[Path, dict[str, Any]] | None:
    """The last run's folder and meta.json where nothing at all has changed since."""
    mark = read_pointer(scores)
    if not mark:
        return None
    meta = json.loads((scores / mark / "meta.json").read_text(encoding="utf-8"))
    return (scores / mark, meta) if meta.get("everything") == everything else None
