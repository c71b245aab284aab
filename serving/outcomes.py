"""The joint draws of the newest scores as a file beside them: scenarios are compared without simulating anew."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from planning.outcomes import Outcomes

FILE = "outcomes.npz"


def write_outcomes(outcomes: Outcomes, folder: Path) -> None:
    """Keep draws in a folder of scores; money to about seven figures."""
    deals, credit = csr_array(outcomes.deals.astype(np.float32)), outcomes.credit.tocsr()
    about = {"start": outcomes.start.isoformat(), "end": outcomes.end.isoformat(), "reps": outcomes.reps,
             "teams": outcomes.teams, "deal_ids": outcomes.deal_ids}  # fmt: skip
    arrays: dict[str, Any] = {
        "about": np.array(json.dumps(about, default=int)),
        "closed": outcomes.closed,
        "new": outcomes.new.astype(np.float32),
        **_parts("deals", deals),
        **_parts("credit", credit),
    }
    np.savez_compressed(folder / FILE, **arrays)


def read_outcomes(folder: Path) -> Outcomes | None:
    """Draws of a folder of scores; None where it has none."""
    path = folder / FILE
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as kept:
        about = json.loads(str(kept["about"]))
        deals, credit = (
            csr_array(
                (kept[f"{name}_data"], kept[f"{name}_indices"], kept[f"{name}_indptr"]),
                shape=tuple(kept[f"{name}_shape"]),
            )
            for name in ("deals", "credit")
        )
        return Outcomes(
            date.fromisoformat(about["start"]), date.fromisoformat(about["end"]), about["reps"], about["teams"],
            about["deal_ids"], kept["closed"].astype(float), deals.toarray().astype(float), credit,
            kept["new"].astype(float),
        )  # fmt: skip


def _parts(name: str, matrix: csr_array) -> dict[str, np.ndarray]:
    return {
        f"{name}_data": matrix.data,
        f"{name}_indices": matrix.indices,
        f"{name}_indptr": matrix.indptr,
        f"{name}_shape": np.array(matrix.shape),
    }
