"""Deals by key from the score files of a run: rows, reasons and curves found at once, without going through all."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

import numpy as np
import pandas as pd

from features.catalogue import OTHERS, WHO
from serving.access import Sight
from serving.schemas import plain_value

INDEX = ["name", "account_id", "owner_id", "stage", "kind", "amount", "created_at", "close_date"]
_NOTHING = slice(0, 0)


class DealRows:
    """Open deals and leads of one run for all viewers; what is given is cut to a viewer's sight.

    Parameters
    ----------
    frames : mapping of str to DataFrame
        Whole score files by name.
    index : DataFrame
        What deals are, by deal_id.
    """

    def __init__(self, frames: Mapping[str, pd.DataFrame], index: pd.DataFrame) -> None:
        kept = [frames[name].join(index[INDEX], on="deal_id") for name in ("deals", "leads") if name in frames]
        every = pd.concat(kept, ignore_index=True) if kept else pd.DataFrame({"deal_id": []})
        self._columns = {name: [plain_value(value) for value in every[name].tolist()] for name in every}
        self._place = {key: place for place, key in reversed(list(enumerate(self._columns["deal_id"])))}
        reasons = frames.get("reasons", pd.DataFrame())
        self._reasons = _Runs(reasons[reasons["entity"] == "deal"] if len(reasons) else reasons, "entity_id")
        self._curves = _Runs(frames.get("curves", pd.DataFrame()), "deal_id")
        self._steps = _Runs(frames.get("advice", pd.DataFrame()), "deal_id")

    def row(self, deal_id: str, sight: Sight) -> dict[str, Any] | None:
        """Score and facts of a deal; None where there is none, or none in sight."""
        place = self._place.get(deal_id)
        if place is None or not sight.owner(self._columns["owner_id"][place]):
            return None
        return {name: values[place] for name, values in self._columns.items()}

    def listed(self, deal_id: str, sight: Sight, names: Mapping[str, str]) -> dict[str, Any] | None:
        """As `row`, with the owner's name, the largest reason and the next step."""
        row = self.row(deal_id, sight)
        if row is None:
            return None
        owner = row["owner_id"]
        main = self._told(self._main_reason(deal_id), owner, sight)
        more = {"owner_name": names.get(owner), "next_action": self._next_action(deal_id)}
        return {**row, **more, "main_reason": main[0] if main else None}

    def reasons(self, deal_id: str, sight: Sight) -> dict[str, Any] | None:
        """From where the model starts to the prediction, the largest reason first; None where there are none."""
        row, found = self.row(deal_id, sight), self._reasons.of(deal_id)
        if row is None or found == _NOTHING:
            return None
        told = self._told(found, row["owner_id"], sight)
        told.sort(key=lambda reason: -abs(reason["contribution"]))
        base, end = (float(self._reasons.values(name, found)[0]) for name in ("base_value", "prediction"))
        return {"base_value": base, "prediction": end, "contributions": told}

    def curve(self, deal_id: str) -> list[dict[str, float]]:
        """Shares won and lost by day."""
        found = self._curves.of(deal_id)
        columns = [self._curves.values(name, found).tolist() for name in ("day", "won", "lost")]
        return [{"day": day, "won": won, "lost": lost} for day, won, lost in sorted(zip(*columns, strict=True))]

    def _main_reason(self, deal_id: str) -> slice:
        found = self._reasons.of(deal_id)
        if found == _NOTHING:
            return found
        place = found.start + int(np.abs(self._reasons.values("contribution", found)).argmax())
        return slice(place, place + 1)

    def _next_action(self, deal_id: str) -> str | None:
        found = self._steps.of(deal_id)
        steps = zip(self._steps.values("rank", found).tolist(), self._steps.texts("action", found), strict=True)
        return next((action for rank, action in steps if rank == 1), None)

    def _told(self, found: slice, owner: object, sight: Sight) -> list[dict[str, Any]]:
        runs, shown = self._reasons, sight.told_what_is_owed
        names = runs.texts("feature", found)
        if shown is not None and owner not in shown:
            names = [OTHERS.name if name == WHO.name else name for name in names]
        texts, values = runs.texts("text", found), runs.values("value", found).tolist()
        said = [t if t is not None else v if isfinite(v) else None for t, v in zip(texts, values, strict=True)]
        parts = runs.values("contribution", found).tolist()
        return [
            {"feature": name, "value": value, "contribution": part}
            for name, value, part in zip(names, said, parts, strict=True)
        ]


class _Runs:
    """Rows of a file with the same key beside each other, and where those of each key are."""

    def __init__(self, frame: pd.DataFrame, key: str) -> None:
        if frame.empty:
            self._frame, self._place = frame, dict[str, slice]()
            return
        codes, keys = pd.factorize(frame[key])
        if (np.diff(codes) < 0).any():
            order = np.argsort(codes, kind="stable")
            frame, codes = frame.take(order), codes[order]
        ends = np.append(np.flatnonzero(np.diff(codes)) + 1, len(codes))
        starts = np.append(0, ends[:-1])
        self._place = {key: slice(a, b) for key, a, b in zip(keys, starts.tolist(), ends.tolist(), strict=True)}
        self._frame = frame
        self._kept: dict[str, np.ndarray] = {}
        self._words: dict[str, tuple[np.ndarray, list[str | None]]] = {}

    def of(self, key: str) -> slice:
        """Where the rows of a key are; nowhere for one that is not known."""
        return self._place.get(key, _NOTHING)

    def values(self, column: str, found: slice) -> np.ndarray:
        """Numbers of some rows."""
        if found == _NOTHING:
            return np.array([])
        if column not in self._kept:
            self._kept[column] = self._frame[column].to_numpy()
        return self._kept[column][found]

    def texts(self, column: str, found: slice) -> list[str | None]:
        """Texts of some rows; each different text is kept once."""
        if found == _NOTHING:
            return []
        if column not in self._words:
            codes, words = pd.factorize(self._frame[column].astype(object))
            self._words[column] = codes.astype(np.int32), [*map(str, words), None]  # -1, a missing one, is the last
        codes, known = self._words[column]
        return [known[code] for code in codes[found].tolist()]
