"""A model with its one code file for MLflow: signature, made-up input example, what it needs to run."""

from __future__ import annotations

import logging
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

CODE = Path(__file__).with_name("portable_model.py")
ARTIFACT = "at_rest"
NEEDS = ("lightgbm", "numpy", "pandas")
_AS_OF = "2026-01-05T00:00:00Z"
_PART_KEYS, _PART_TEXTS = ("rep_id", "part"), ("kind", "product_id")
_PART_NUMBERS = ("amount", "list_amount", "chance", "days_left", "target")
_PARTS = (
    ("ann", "closed", None, None, 30_000.0, None, None, 45.0, 90_000.0),
    ("ann", "deal", "new", None, 20_000.0, None, 0.4, 45.0, None),
    ("ann", "deal", "expansion", None, None, 15_000.0, 0.7, 45.0, None),
    ("ann", "new", None, None, 18_000.0, None, 2.0, 45.0, None),
    ("ben", "deal", "new", None, 40_000.0, None, 0.2, 45.0, 50_000.0),
    ("ben", "new", None, None, 9_000.0, None, None, 45.0, None),
)


def save(model: Any, what: str, folder: Path) -> None:
    """Write a model in MLflow's format into a new folder: it forecasts by `mlflow.pyfunc` anywhere."""
    from models import at_rest

    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as place:
        warnings.simplefilter("ignore")  # MLflow's own loaders of SQLAlchemy, its own type hints
        import mlflow.pyfunc

        logging.getLogger("mlflow.pyfunc").setLevel(logging.WARNING)  # it tells of each check it makes
        data = Path(place) / ARTIFACT
        at_rest.save(model, data)
        mlflow.pyfunc.save_model(
            folder,
            python_model=str(CODE),
            artifacts={ARTIFACT: str(data)},
            signature=signature_of(model, what),
            input_example=input_example(model, what),
            pip_requirements=[f"{name}=={version(name)}" for name in ("mlflow", *NEEDS)],
            metadata={"what": what},
        )


def signature_of(model: Any, what: str) -> Any:
    """Columns that a model looks at, few of them required, and those that it gives."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    if what == "attainment":
        given: list[Any] = [ColSpec(DataType.string, name) for name in _PART_KEYS]
        given += [ColSpec(DataType.string, name, required=False) for name in _PART_TEXTS]
        given += [ColSpec(DataType.double, name, required=False) for name in _PART_NUMBERS]
        told = [ColSpec(DataType.double, name) for name in ("p10", "p50", "p90", "p_attain", "expected")]
        return ModelSignature(Schema(given), Schema([ColSpec(DataType.string, "rep_id"), *told]))
    numbers, categories = _columns(model)
    inputs: list[Any] = [ColSpec(DataType.string, "as_of", required=what == "win")]
    inputs += [ColSpec(DataType.double, name, required=False) for name in numbers]
    inputs += [ColSpec(DataType.string, name, required=False) for name in categories]
    names = ["churn_probability"]
    if what == "win":
        names = ["win_probability", "win_probability_low", "win_probability_high"]
    return ModelSignature(Schema(inputs), Schema([ColSpec(DataType.double, name) for name in names]))


def input_example(model: Any, what: str) -> pd.DataFrame:
    """Made-up rows: one in the middle of all that was learnt from, one of which next to nothing is known.

    Of an attainment model, the parts of two reps' quarter.
    """
    if what == "attainment":
        return pd.DataFrame(_PARTS, columns=[*_PART_KEYS, *_PART_TEXTS, *_PART_NUMBERS])
    numbers, categories = _columns(model)
    usual: dict[str, Any] = {"as_of": _AS_OF}
    usual |= {name: float(f"{value:.6g}") for name, value in numbers.items()}
    usual |= categories
    kept = {"as_of", "stage"}
    return pd.DataFrame([usual, {name: value if name in kept else None for name, value in usual.items()}]).astype(
        dict.fromkeys(numbers, float)
    )


def _columns(model: Any) -> tuple[dict[str, float], dict[str, str]]:
    """Numbers with their middle and categories with their most frequent level, of all that a model looks at."""
    encoders = [part.encoder_ for part in (getattr(model, name, None) for name in ("fields_", "core_")) if part]
    numbers: dict[str, float] = {}
    categories: dict[str, str] = {}
    for encoder in encoders:
        numbers |= {n.name: _middle(n) for n in encoder.numbers_}
        categories |= {c.name: str(next(iter(c.codes))) for c in encoder.categories_}
    rate = getattr(model, "rate_", None)
    if rate is not None and getattr(rate, "stages_", None):
        categories.setdefault("stage", next(iter(rate.stages_)))
    return numbers, categories


def _middle(number: Any) -> float:
    centre = float(number.centre)
    return float(np.sign(centre) * np.expm1(abs(centre))) if number.logged else centre
