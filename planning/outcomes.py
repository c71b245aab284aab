"""The joint draws of a period: what each person, team and the company end with in each, whole or without somebody."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from models.attainment import PeriodForecast
from planning.goals import COMPANY

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Outcomes:
    """Bookings of a period in draws that all share.

    Attributes
    ----------
    reps : list of str
        In the order of all arrays of shape (reps, ...); '' stands for deals that nobody owns.
    teams : dict of str to list of int
        Places of the people of each team and the teams below it, and of the company.
    deal_ids : list of str
        Open deals, in the order of arrays of shape (deals, ...).
    closed : shape (reps,)
        Won so far.
    deals : shape (deals, draws)
        What each open deal brings in full.
    credit : shape (reps, deals)
        Who gets which share of it.
    new : shape (reps, draws)
        Of deals that are not made yet.
    """

    start: date
    end: date
    reps: list[str]
    teams: dict[str, list[int]]
    deal_ids: list[str]
    closed: Floats
    deals: Floats
    credit: csr_array
    new: Floats

    @classmethod
    def of_forecast(cls, forecast: PeriodForecast) -> Outcomes:
        """Those of a simulation."""
        draws, people = forecast.draws, forecast.people
        deals = [str(d) for d in forecast.deals["deal_id"]]
        return cls(
            forecast.start, forecast.end, list(people.reps), dict(people.teams), deals, draws.closed, draws.deals,
            draws.credit, draws.new,
        )  # fmt: skip

    @cached_property
    def totals(self) -> Floats:
        """By rep and draw."""
        found: Floats = self.closed[:, None] + np.asarray(self.credit @ self.deals) + self.new
        return found

    @cached_property
    def place(self) -> dict[str, int]:
        """Place of each rep."""
        return {rep: index for index, rep in enumerate(self.reps)}

    def of(self, kind: str, owner: str) -> Floats | None:
        """Draws of the total of a person, team or the company, shape (draws,); None where there are none."""
        if kind == "rep":
            return self.totals[self.place[owner]] if owner in self.place else None
        places = self.teams.get(COMPANY if kind == COMPANY else owner)
        return None if places is None else np.asarray(self.totals[places].sum(axis=0))

    def without(self, rep: str, handed: Iterable[tuple[str, str, float]] = ()) -> Outcomes:
        """The same draws where a person leaves now: no new business, deals lost unless they are handed over.

        Parameters
        ----------
        handed : iterable of (deal_id, rep_id, keeps)
            Who takes which deal over, and the share of its value that is kept: new hands win less.
        """
        gone = self.place.get(rep)
        if gone is None:
            return self
        new, credit = self.new.copy(), self.credit.tolil(copy=True)
        new[gone] = 0
        where = {deal: index for index, deal in enumerate(self.deal_ids)}
        shares = {index: float(credit[gone, index]) for index in credit.rows[gone]}
        credit[gone] = 0
        for deal, taker, keeps in handed:
            index = where.get(deal)
            if index in shares and taker in self.place:
                credit[self.place[taker], index] += shares[index] * keeps
        return replace(self, new=new, credit=csr_array(credit))


def shortfall(draws: Floats, target: float) -> tuple[float, float]:
    """Chance to miss a target, and the mean that is missing where it is missed (0 where it never is).

    The mean is never above the target, for no draw is below nothing.
    """
    missed = draws < target
    if not missed.any():
        return 0.0, 0.0
    return float(missed.mean()), float(np.minimum(target - draws[missed], target).mean())
