"""The plan as a request works with it: the newest data, goals set up to now, forecasts; read once a data cut."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from threading import Lock

import pandas as pd

from crm.company import Company
from crm.errors import NotReady
from crm.lake import LakeView, newest_event
from planning.goals import COMPANY, Facts
from planning.overview import Forecasts, Plan, forecasts_of
from serving.access import Sight
from serving.goals import WithGoals
from serving.home import Home
from serving.store import Store


class PlanBook:
    """What plans are made from, kept for the newest data cut; so figures are new after each sync, scored or not.

    Parameters
    ----------
    home : Home
        Whose data.
    store : Store
        Goals set here.
    """

    def __init__(self, home: Home, store: Store) -> None:
        self._home, self._store = home, store
        self._kept: tuple[object, Facts, datetime] | None = None
        self._lock = Lock()

    def plan(self, company: Company, frames: Mapping[str, pd.DataFrame], now: datetime) -> Plan:
        """The plan at the newest moment of the data, with goals that were set up to now.

        Parameters
        ----------
        frames : mapping of str to DataFrame
            Score files by name; without reps and teams nothing is forecast.
        """
        view = self._home.lake.view()
        facts, moment = self._facts(view, company, now)
        forecasts: Forecasts = {}
        if {"reps", "teams"} <= frames.keys():
            forecasts = forecasts_of(frames["reps"], frames["teams"])
        return Plan(WithGoals(view, self._store), company, moment, forecasts, now, facts)

    def _facts(self, view: LakeView, company: Company, now: datetime) -> tuple[Facts, datetime]:
        key = (view.cut.number, company.model_dump_json())
        with self._lock:
            if self._kept is None or self._kept[0] != key:
                moment = _newest(view, now)
                self._kept = (key, Facts.read(view, company, moment), moment)
            return self._kept[1], self._kept[2]


def shows(sight: Sight, teams: frozenset[str], kind: str, owner: str) -> bool:
    """Whether figures on an owner of goals are shown to somebody.

    Parameters
    ----------
    teams : frozenset of str
        Teams whose forecasts that one sees: where groups may be too small, only theirs are shown.
    """
    if kind == COMPANY:
        return sight.teams is None
    if kind == "team":
        return sight.team(owner) and (not sight.least or owner in teams)
    return sight.person(owner)


def _newest(view: LakeView, now: datetime) -> datetime:
    try:
        return newest_event(view)
    except NotReady:  # nothing dated yet: goals can be set all the same
        return now
