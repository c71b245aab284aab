"""What a training run gives and keeps: tags of what it was made from, definitions, figures, the end of the run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pandas as pd

from crm.company import Company
from crm.lake import LakeView, View
from features.definitions import definition_hash
from training import gate, registry
from training.definitions import TABLE, TAG, as_table, definitions_of
from training.registry import What


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What a training run gave: where it is logged, whether promoted and why, figures, a sentence, warnings.

    `in_use` is the version in use now: this one, the champion, or the champion's recipe fitted again.
    """

    what: str
    run_id: str
    version: str
    promoted: bool
    verdict: str
    metrics: dict[str, float] = field(default_factory=dict)
    note: str = ""
    warnings: tuple[str, ...] = ()
    in_use: str = ""
    checks: tuple[gate.Check, ...] = ()


def finish(
    what: What, logged: registry.Logged, verdict: gate.Verdict, metrics: dict[str, float], tracking: str, note: str
) -> TrainResult:
    """Promote what the gate let pass, keep the verdict with it, and tell what came of the run."""
    if verdict.promote:
        registry.promote(what, logged.version, tracking=tracking)
    registry.set_verdict(what, logged.version, verdict.said, tracking=tracking)
    used = registry.champion_version(what, tracking=tracking) or ""
    return TrainResult(
        what, logged.run_id, logged.version, verdict.promote, verdict.text, metrics, note, in_use=used,
        checks=verdict.checks,
    )  # fmt: skip


def tags_of(what: What, view: View, company: Company, as_of: datetime) -> dict[str, str]:
    """What a model was made from: up to when, the lake's versions, the hash of its features' definitions."""
    cut = str(view.cut.number) if isinstance(view, LakeView) else ""
    return {"until": as_of.isoformat(), "data_cut": cut, TAG: definition_hash(definitions_of(what, company))}


def definition_tables(what: What, company: Company) -> dict[str, pd.DataFrame]:
    """The definitions themselves, kept beside the model."""
    return {TABLE: as_table(definitions_of(what, company))}


def numbers(note: Mapping[str, Any]) -> dict[str, float]:
    """The finite numbers among a note's values."""
    return {
        key: float(value)
        for key, value in note.items()
        if isinstance(value, int | float) and math.isfinite(float(value))
    }
