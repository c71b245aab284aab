"""What one period's simulation is drawn from, so that it can be drawn again with the same luck and a change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from models.amounts import AmountModel
from models.attainment_errors import Errors
from models.attainment_new import NewBusiness
from models.attainment_rows import PeriodForecast
from models.learners import Floats
from models.rollup import People
from models.simulation import Change, Losses, draw_period


@dataclass(frozen=True, slots=True)
class PeriodInputs:
    """One period and metric, ready to be drawn.

    Attributes
    ----------
    deals : shape (deals, p)
        Open deals with their features.
    so_far : mapping of str to shape (reps,)
        bookings, won_deals and lost_deals of the period up to now.
    chances : two of shape (deals,)
        To be won and to be lost by the period's end.
    """

    start: date
    end: date
    metric: str
    people: People
    deals: pd.DataFrame
    credit: csr_array
    so_far: Mapping[str, Floats]
    chances: tuple[Floats, Floats]
    new: NewBusiness
    errors: Errors
    amounts: AmountModel
    seed: int
    draws: int

    def forecast(self, change: Change | None = None) -> PeriodForecast:
        """Draw the period; the same luck each time, so without a change the same draws."""
        money = self.metric == "bookings"
        lost = Losses(self.so_far["lost_deals"], self.chances[1], self.errors.lost)
        draws = draw_period(
            self.so_far["bookings" if money else "won_deals"], self.chances[0], self.deals, self.credit, self.new,
            amounts=self.amounts if money else None,
            lost=lost if self.metric == "conversion_rate" else None,
            spread=self.errors.won, seed=self.seed, draws=self.draws, change=change,
        )  # fmt: skip
        worth = np.nan_to_num(self.amounts.when_won(self.deals)) if money else np.ones(len(self.deals))
        return PeriodForecast(
            self.start, self.end, self.metric, self.people, self.deals, draws, self.chances[0] * worth,
            self.new.expected,
        )  # fmt: skip
