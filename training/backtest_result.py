"""What a backtest gives: tables, figures, a verdict; kept in MLflow, or written to a folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from crm.errors import NotReady
from training import registry
from training.verdicts import Sentence


class TooShort(NotReady):
    """There is no past date with enough history before and enough time since."""

    def __init__(self, days: float, what: str = "deals closed") -> None:
        super().__init__(
            f"The history is too short for a forecast of the past: {what} before {days:g} days ago are needed. "
            "Import more history, or wait."
        )


@dataclass(frozen=True, slots=True)
class Backtest:
    """Past forecasts and how good they were.

    Attributes
    ----------
    what : str
        'win', 'attainment' or 'churn'.
    table : DataFrame
        A row a forecast: whom it is about, when it was made, what each way of forecasting said, what came.
    summary : DataFrame
        A row a way of forecasting, with its figures.
    differences : DataFrame
        Each rival against the forecast, paired, with 90 % intervals; see `training.verdicts.differences`.
    verdict : Sentence
        The same in one sentence.
    more : dict of str to DataFrame
        Further tables: calibration, segments, past dates.
    figures : dict of str to str
        SVG by name.
    remarks : tuple of str
        What the reader should know besides, such as a rival that is not installed.
    run_id : str
        MLflow's run, where one was logged.
    """

    what: str
    table: pd.DataFrame
    summary: pd.DataFrame
    differences: pd.DataFrame
    verdict: Sentence
    more: dict[str, pd.DataFrame] = field(default_factory=dict)
    figures: dict[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    run_id: str = ""

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """All tables by name."""
        return {"forecasts": self.table, "summary": self.summary, "differences": self.differences, **self.more}


def log(found: Backtest, *, tracking: str, until: pd.Timestamp, params: dict[str, object]) -> str:
    """Log tables, figures and every finite number of the summary to MLflow; returns the run's id."""
    keys = [name for name in found.summary.columns if not pd.api.types.is_float_dtype(found.summary[name].dtype)]
    metrics = {
        "_".join([*(str(row[key]) for key in keys if key in ("way", "horizon_days", "level")), str(name)]): float(value)
        for row in found.summary.to_dict("records")
        for name, value in row.items()
        if name not in keys and np.isfinite(value)
    }
    return registry.log_run(
        "backtest",
        tracking=tracking,
        params=params | {"what": found.what},
        metrics=metrics,
        tags={"until": until.isoformat(), "verdict": found.verdict.en, "verdict_zh": found.verdict.zh},
        tables={name: table for name, table in found.tables.items() if len(table)},
        figures=found.figures,
    )


def write(found: Backtest, folder: Path) -> list[Path]:
    """Write every table as CSV and every figure as SVG, the verdict as text; returns what was written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, table in found.tables.items():
        if len(table):
            written.append(folder / f"{found.what}_{name}.csv")
            table.to_csv(written[-1], index=False)
    for name, svg in found.figures.items():
        written.append(folder / f"{found.what}_{name}.svg")
        written[-1].write_text(svg, encoding="utf-8")
    written.append(folder / f"{found.what}_verdict.txt")
    written[-1].write_text(f"{found.verdict.en}\n{found.verdict.zh}\n", encoding="utf-8")
    return written
