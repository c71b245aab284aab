"""The plan as a request works with it: the newest data, goals set up to now, forecasts; read once a data cut."""

from __future__ import annotations

from datetime import datetime
from threading import Lock

from crm.company import Company
from crm.errors import NotReady
from crm.lake import LakeView, newest_event
from planning.goals import COMPANY, Facts
from planning.overview import Forecasts, Plan, forecasts_of
from serving.access import Sight
from serving.goals import Goals, WithGoals
from serving.home import Home
from serving.scores import Scores
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
        self._read: tuple[object, Facts, datetime] | None = None
        self._made: tuple[object, Plan] | None = None
        self._lock = Lock()

    def plan(self, company: Company, scores: Scores, now: datetime) -> Plan:
        """The plan at the newest moment of the data, with goals that were set up to now.

        Parameters
        ----------
        scores : Scores
            The newest, of everybody; without reps and teams nothing is forecast.
        """
        view = self._home.lake.view()
        settings = company.model_dump_json()
        changes = next((change.change_id for change in Goals(self._store).newest(1)), 0)
        key = (view.cut.number, settings, scores.mark, changes)
        with self._lock:
            if self._made is None or self._made[0] != key:
                facts, moment = self._facts(view, company, now, settings)
                found = Plan(WithGoals(view, self._store), company, moment, _forecasts(scores), now, facts)
                self._made = (key, found)
            return self._made[1]

    def _facts(self, view: LakeView, company: Company, now: datetime, settings: str) -> tuple[Facts, datetime]:
        key = (view.cut.number, settings)
        if self._read is None or self._read[0] != key:
            moment = _newest(view, now)
            self._read = (key, Facts.read(view, company, moment), moment)
        return self._read[1], self._read[2]


def _forecasts(scores: Scores) -> Forecasts:
    frames = scores.frames
    return forecasts_of(frames["reps"], frames["teams"]) if {"reps", "teams"} <= frames.keys() else {}


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
