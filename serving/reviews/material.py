"""What a review pack is made from: one viewer's scores, the lake, the ledger, and names."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from threading import Lock

import pandas as pd

from crm.company import Company
from crm.errors import NotFound
from crm.lake import LakeView, View
from planning.goals import COMPANY
from planning.goals import Facts as Reached
from planning.outcomes import Outcomes
from planning.overview import Plan, forecasts_of
from planning.risks import Situation
from planning.sales import Sales
from serving.access import Sight
from serving.accuracy import Accuracy, accuracy
from serving.goals import WithGoals
from serving.home import Home
from serving.ledger import Kind, Ledger
from serving.outcomes import read_outcomes
from serving.pages import facts as lake_facts
from serving.pages.facts import Facts
from serving.people import names_of
from serving.risk_run import situation_of
from serving.scores import ScoreBook, Scores
from serving.store import Store

_kept: OrderedDict[tuple[object, ...], Reached] = OrderedDict()
_lock = Lock()


class NoSuchTeam(NotFound):
    """No such team, or not for this viewer."""

    def __init__(self, team_id: str) -> None:
        super().__init__(
            "There is no team '{team_id}' whose review you can open. Give a team_id, or none: the whole company.",
            team_id=team_id[:80],
        )


@dataclass(frozen=True)
class Material:
    """One viewer's material.

    Parameters
    ----------
    scores : Scores
        What the viewer may see of the newest ones.
    names : mapping of str to str
        Names by rep_id, of those whose names may be shown.
    accuracy_of : callable
        How good forecasts of a kind were.
    cut : object
        Identifies the data cut among all homes.
    whole : Scores, optional
        The newest scores of everybody, which a scenario is drawn from; what is shown is cut down again.
    tracking : str
        Where models are registered.
    draws : bool
        Whether a pack draws the quarter for its levers where that was not done yet: it takes as long as a forecast.
    drawn : callable
        Reads the draws of the newest scores, where there are any.
    newest : View, optional
        The newest data cut, where `view` is that of the scores: its goals count.
    """

    view: LakeView
    company: Company
    scores: Scores
    sight: Sight
    names: Mapping[str, str]
    ledger: Ledger
    accuracy_of: Callable[[Kind], Accuracy]
    cut: object
    whole: Scores | None = None
    tracking: str = ""
    draws: bool = False
    drawn: Callable[[], Outcomes | None] = lambda: None
    newest: View | None = None

    @classmethod
    def at_machine(cls, home: Home, store: Store) -> Material:
        """For whoever works at the command line, who is none of the persons.

        Raises
        ------
        NoScores
            If nothing has been scored.
        """
        company = home.company()
        newest = ScoreBook(home.scores, home.lake).newest(company)
        newest.frame("deals")
        view = home.lake.at(int(newest.meta["data_cut"]))
        open_to_all = company.people.level == "person"
        sight = Sight() if open_to_all else Sight(persons=frozenset(), least=company.people.min_group)
        ledger = Ledger(store)
        return cls(
            view, company, newest.seen_at_machine(company.people), sight, names_of(view, store), ledger,
            lambda kind: accuracy(ledger, view, company, kind=kind), (str(home.root), view.cut.number),
            newest, home.tracking, True, lambda: read_outcomes(home.scores / newest.mark), home.lake.view(),
        )  # fmt: skip

    @property
    def as_of(self) -> datetime:
        """Moment of the scores."""
        found = self.scores.as_of
        assert found is not None, "a pack is made from scores"
        return found

    @property
    def today(self) -> date:
        """The company's day at that moment."""
        return self.as_of.astimezone(self.company.zone).date()

    @cached_property
    def facts(self) -> Facts:
        """Deals, customers, people, teams, products."""
        return lake_facts.facts(self.view, self.company, cut=self.cut, now=self.as_of)

    @cached_property
    def plan(self) -> Plan:
        """Goals of the moment, with the forecasts that the viewer may see."""
        frames = self.scores.frames
        known = forecasts_of(frames["reps"], frames["teams"]) if {"reps", "teams"} <= frames.keys() else {}
        # A goal set since the data were read counts as well: the pack is opened to talk about it.
        return Plan(self._goals_too, self.company, self.as_of, known, set_by=datetime.now(UTC), read=self._reached())

    @property
    def reached(self) -> Reached:
        """What had happened by then."""
        return self.plan.facts

    @cached_property
    def sales(self) -> Sales:
        """Business as reports read it, as far as the viewer may see it."""
        return self._business.only(self.sight.owner, self.sight.account)

    @cached_property
    def situation(self) -> Situation | None:
        """What risks are found in and departures rehearsed on, of everybody: what is shown of it is cut down again."""
        if self.whole is None:
            return None
        return situation_of(self._goals_too, self.company, self.as_of, self.whole.frames, self.drawn(), self._business)

    @cached_property
    def _goals_too(self) -> WithGoals:
        """The view with goals as they stand now, set in the CRM or here."""
        return WithGoals(self.view, self.ledger.store, self.newest)

    @cached_property
    def _business(self) -> Sales:
        return Sales.read(self.view, self.company, self.as_of, self.reached)

    def _reached(self) -> Reached:
        """What had happened by then, read once a data cut; the newest few are kept."""
        key = (self.cut, self.as_of, self.company.model_dump_json())
        with _lock:
            if key not in _kept:
                _kept[key] = Reached.read(self.view, self.company, self.as_of)
                while len(_kept) > 2:
                    _kept.popitem(last=False)
            return _kept[key]

    def check_team(self, team_id: str) -> None:
        """Refuse a team that is not there, or not for this viewer.

        Raises
        ------
        NoSuchTeam
            If so.
        """
        known = team_id == COMPANY or team_id in self.facts.teams.index
        if not known or not self.sight.team(team_id):
            raise NoSuchTeam(team_id)

    def team_name(self, team_id: str) -> str | None:
        """Name of a team; None for the company."""
        if team_id == COMPANY:
            return None
        name = self.facts.teams["name"].get(team_id)
        return name if isinstance(name, str) and name else team_id

    def members(self, team_id: str) -> frozenset[str]:
        """People of a team and those below it; of the company everybody."""
        if team_id == COMPANY:
            return frozenset(str(rep) for rep in self.facts.reps.index)
        return self.scores.members.get(team_id, frozenset())

    def children(self, team_id: str) -> list[str]:
        """Teams right below a team; where that is one alone, those below it."""
        teams = self.facts.teams
        own = teams["parent_team_id"]
        below = teams.index[~own.isin(teams.index) if team_id == COMPANY else own == team_id]
        found = [str(team) for team in below]
        return self.children(found[0]) or found if team_id == COMPANY and len(found) == 1 else found

    def deals_of(self, team_id: str) -> pd.DataFrame:
        """Deals that the viewer may see, of a team's people: `Facts.deals` less leads."""
        deals = self.facts.deals
        deals = deals[deals["kind"].fillna("new") != "lead"]
        if self.sight.reps is not None:
            deals = deals[deals["owner_id"].isin(self.sight.reps)]
        return deals if team_id == COMPANY else deals[deals["owner_id"].isin(self.members(team_id))]

    def name(self, rep_id: object) -> str:
        """Name of a person, or the key."""
        return self.names.get(str(rep_id), str(rep_id))
