"""Effects of actions on the history of now, kept with the win model in use."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pandas as pd

from crm.company import Company
from crm.errors import NotReady
from crm.lake import View
from models.effects import Effects, measure_effects
from training import registry
from training.snapshots import deal_snapshots

TABLE, SEGMENTS = "effects", "effect_segments"
_LEAST_DEALS = 100
Progress = Callable[[str, float], None]


class TooFewClosed(NotReady):
    """There are too few closed deals to compare."""

    def __init__(self, closed: int) -> None:
        super().__init__(
            f"Effects of actions need {_LEAST_DEALS} closed deals at least; there are {closed}. "
            "Import more history: bellwether import."
        )


def measure(
    view: View,
    company: Company,
    *,
    tracking: str,
    snapshots: Path | None,
    as_of: datetime,
    seed: int = 0,
    progress: Progress | None = None,
) -> Effects:
    """Measure effects and keep them beside the win model in use, where `effects_of` finds them.

    Parameters
    ----------
    tracking : str
        MLflow's store.
    snapshots : Path, optional
        Folder where snapshots are kept.

    Raises
    ------
    NoModel
        If no win model is in use.
    TooFewClosed
        If under 100 deals are closed.
    """
    say = progress or (lambda _text, _done: None)
    run_id = registry.champion("win", tracking=tracking).run_id
    say("Snapshots of past weeks", 0.0)
    rows = deal_snapshots(view, company, until=as_of, folder=snapshots)
    closed = int(rows.loc[rows["_outcome"] != "open", "deal_id"].nunique())
    if closed < _LEAST_DEALS:
        raise TooFewClosed(closed)
    until = pd.Timestamp(as_of)
    found = measure_effects(rows, view=view, company=company, until=until, seed=seed, progress=say)
    found = Effects(found.table.assign(until=until), found.segments)
    for name, table in ((TABLE, found.table), (SEGMENTS, found.segments)):
        registry.keep_table(run_id, name, table, tracking=tracking)
    return found


def newest_effects(*, tracking: str) -> Effects | None:
    """Effects kept with the win model in use, else those measured last with another; None where there are none."""
    versions = registry.list_versions("win", tracking=tracking)
    for version in sorted(versions, key=lambda v: registry.CHAMPION not in v.aliases):  # stable: newest first
        if (found := effects_of(version.run_id, tracking=tracking)) is not None:
            return found
    return None


def effects_of(run_id: str, *, tracking: str) -> Effects | None:
    """Effects kept beside a win model, or None where they were not measured."""
    table = registry.table_of(run_id, TABLE, tracking=tracking)
    segments = registry.table_of(run_id, SEGMENTS, tracking=tracking)
    return None if table is None or segments is None else Effects(table, segments)
