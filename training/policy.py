"""The promotion policy of `mlflow/promotion.yaml`: what a challenger must show, typed and checked."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from crm.errors import BadInput

POLICY_FILE = Path(__file__).resolve().parents[1] / "mlflow" / "promotion.yaml"
BETTER, NO_WORSE = "better", "no_worse"
_RANGES: dict[str, tuple[float, float]] = {
    "level": (0.5, 0.999),
    "tolerance": (0.0, 1.0),
    "slice_weeks": (1, 104),
    "calibration_tolerance": (0.0, 1.0),
    "segment_deals": (5, 100_000),
    "segment_error": (0.001, 0.5),
    "segment_harm": (0.0, 1.0),
    "segment_shortfall": (0.0, 1.0),
    "latency_ms": (1, 60_000),
}


class BadPolicy(BadInput):
    """The promotion policy cannot be used."""


@dataclass(frozen=True, slots=True)
class Policy:
    """When a challenger is promoted; each key is explained in `mlflow/promotion.yaml`."""

    level: float = 0.9
    promote: str = BETTER
    tolerance: float = 0.002
    slice_weeks: int = 8
    calibration_tolerance: float = 0.01
    segment_deals: int = 30
    segment_error: float = 0.1
    segment_harm: float = 0.01
    segment_shortfall: float = 0.05
    latency_ms: float = 500.0


def policy_of(what: str, path: Path = POLICY_FILE) -> Policy:
    """The policy for a kind of model; the defaults where the file, the kind or a key is missing.

    Raises
    ------
    BadPolicy
        If the file is no YAML, a key is unknown or a value is not in its range.
    """
    if not path.exists():
        return Policy()
    try:
        read = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise BadPolicy(f"{path.name} is no YAML: {str(error).splitlines()[0]}. Mend it.") from None
    found: dict[str, Any] = (read.get(what) if isinstance(read, dict) else None) or {}
    known = [f.name for f in fields(Policy)]
    for key, value in found.items():
        if key not in known:
            raise BadPolicy(f"{path.name}: {what}.{key} is not a known key. Known: {', '.join(known)}.")
        _check(f"{path.name}: {what}.{key}", key, value)
    return Policy(**found)


def _check(where: str, key: str, value: Any) -> None:
    if key == "promote":
        if value not in (BETTER, NO_WORSE):
            raise BadPolicy(f"{where} is {value!r}. Give {BETTER} or {NO_WORSE}.")
        return
    low, high = _RANGES[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise BadPolicy(f"{where} is {value!r}. Give a number from {low} to {high}.")
