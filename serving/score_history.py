"""What was forecast of one deal in the past: as issued, and, marked so, as reconstructed afterwards."""

from __future__ import annotations

import pandas as pd

from serving.ledger import Kind, Ledger

COLUMNS = ["as_of", "kind", "win_probability", "p_win_in_period", "model_version"]


def score_history(ledger: Ledger, deal_id: str) -> pd.DataFrame:
    """A deal's past forecasts, oldest first, one a day and kind.

    Returns
    -------
    DataFrame
        as_of, kind, win_probability, p_win_in_period, model_version; what was not forecast then is missing.
    """
    kinds: tuple[Kind, ...] = ("reconstructed", "issued")
    parts = [ledger.forecasts_of(kind, "deal", deal_id).assign(kind=kind) for kind in kinds]
    found = pd.concat([part.reindex(columns=COLUMNS) for part in parts if len(part)] or [pd.DataFrame(columns=COLUMNS)])
    return found.sort_values("as_of", kind="stable", ignore_index=True)
