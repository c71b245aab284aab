"""The ranges of a win model that is in use already: its interval models, fitted and kept beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from crm.company import Company
from crm.lake import View
from training import registry
from training.definitions import check_definitions
from training.snapshots import deal_snapshots

Progress = Callable[[str], None]


def ranges_missing(*, tracking: str) -> str | None:
    """Run of the win model in use where its ranges are still to be fitted, else None."""
    if registry.champion_version("win", tracking=tracking) is None:
        return None
    found = registry.champion("win", tracking=tracking)
    return found.run_id if found.model.ranges_missing else None


def fit_ranges(
    view: View, company: Company, *, tracking: str, snapshots: Path | None, progress: Progress | None = None
) -> bool:
    """Fit the interval models of the win model in use and keep them beside it; False where they are there already.

    Parameters
    ----------
    view : View
        The data; what came after the model's last day is not looked at.
    tracking : str
        MLflow's store.
    snapshots : Path, optional
        Folder where snapshots are kept.
    progress : callable, optional
        Told in words what is being done.

    Raises
    ------
    NoModel
        If no win model is in use.
    OtherDefinitions
        If it was trained on other definitions of its features than hold now.
    """
    say = progress or (lambda _text: None)
    found = registry.champion("win", tracking=tracking)
    if not found.model.ranges_missing:
        return False
    check_definitions("win", found, company, tracking=tracking)
    say("Snapshots of past weeks")
    rows = deal_snapshots(view, company, until=found.model.until_, folder=snapshots)
    say("Fitting the ranges of the win model")
    registry.keep_ranges(found.run_id, found.model.fit_ranges(rows), tracking=tracking)
    return True
