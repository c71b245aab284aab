"""What a page works with: the visitor's scores, names, facts of the lake, and the frame around the page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import pandas as pd
from fastapi import Depends, Request
from fastapi.responses import HTMLResponse

from crm.company import Company
from crm.errors import NotFound
from crm.lake import View
from features.catalogue import Entity
from features.themes import theme, themes
from serving import feedback
from serving.access import Sight, SignInNeeded, Viewer
from serving.dependencies import CompanyDep, NamesDep, ScoresDep, ServerDep, SightDep, ViewDep, ViewerDep
from serving.format import Formats
from serving.i18n import Language
from serving.pages import facts as lake_facts
from serving.pages import outlook, words
from serving.pages.facts import Facts
from serving.pages.outlook import COMPANY
from serving.pages.shell import Visit, visit
from serving.pages.work import show_work
from serving.people import contact_name
from serving.store import Store

# What pages read of each score file; a file that is not there yet reads as empty.
COLUMNS = {
    "deals": "deal_id as_of win_probability win_probability_low win_probability_high expected_amount "
    "expected_close_date p_win_in_period p_lose_in_period p_slip model_version",
    "leads": "deal_id as_of win_probability win_probability_low win_probability_high expected_amount "
    "expected_close_date p_win_in_period p_lose_in_period p_slip model_version",
    "reps": "rep_id period_start period_end metric target actual_to_date p10 p50 p90 p_attain expected_closed "
    "expected_open expected_new model_version",
    "teams": "team_id period_start period_end metric target actual_to_date p10 p50 p90 p_attain expected_closed "
    "expected_open expected_new model_version",
    "accounts": "account_id as_of churn_probability horizon_days value_at_risk model_version",
    "advice": "deal_id rank action due_in_days expected_uplift uplift_low uplift_high basis reasons contact_id "
    "colleague_id",
    "reasons": "entity entity_id feature value text contribution base_value prediction",
    "curves": "deal_id day won lost",
}


class NothingHere(NotFound):
    """What was asked for does not exist, or may not be seen."""

    def __init__(self) -> None:
        super().__init__("There is nothing here that you can open.")


@dataclass
class Desk:
    """One request's view of the newest scores.

    Parameters
    ----------
    visit : Visit
        Who reads in which language.
    view : View
        The lake.
    frames : mapping of str to DataFrame
        Score files by name, what the visitor may see only.
    meta : mapping
        The scores' meta.json.
    names : mapping
        rep_id to name, of those whose names may be shown.
    cut : object
        Identifies the data cut.
    viewer, sight : Viewer, Sight
        Who it is, and what may be seen.
    store : Store
        Where answers to advice are kept.
    """

    visit: Visit
    view: View
    frames: Mapping[str, pd.DataFrame]
    meta: Mapping[str, Any]
    names: Mapping[str, str]
    cut: object
    viewer: Viewer
    sight: Sight
    store: Store

    @property
    def formats(self) -> Formats:
        """How values are written."""
        return self.visit.formats

    @property
    def language(self) -> Language:
        """The visitor's language."""
        return self.visit.language

    @property
    def company(self) -> Company:
        """The company's settings."""
        return self.visit.company

    @property
    def today(self) -> date:
        """Day of the scores."""
        return self.visit.today

    @property
    def as_of(self) -> datetime:
        """Moment of the scores; now where there are none."""
        return self.visit.shell.as_of or self.formats.now

    def show(self, template: str, here: str, /, **context: Any) -> HTMLResponse:
        """Render a page."""
        return self.visit.show(template, here, **context)

    # -- scores

    def frame(self, name: str) -> pd.DataFrame:
        """One score file; empty where it has not been written yet."""
        found = self.frames.get(name)
        return found if found is not None else pd.DataFrame(columns=COLUMNS[name].split())

    def without(self, name: str, here: str) -> HTMLResponse | None:
        """The page to show while a score file is missing; None where it is there, even without rows to be seen."""
        if name in self.frames:
            return None
        say = self.language.say
        text = (
            say("This page fills by itself as soon as the forecast is ready.")
            if self.visit.shell.working
            else say("Nothing has been scored yet. Run: bellwether train, then bellwether score.")
        )
        return self.show(
            "problem.html", here, title=say("No forecast yet"), text=text, detail="", action="", address=""
        )

    def one_row(self, name: str, key: str, ident: str) -> dict[str, Any]:
        """The leading metric's row of one person or team.

        Raises
        ------
        NothingHere
            If there is none, or the visitor may not see it.
        """
        frame = self.frame(name)
        rows = self.outcomes(frame[frame[key] == ident])
        if rows.empty:
            raise NothingHere
        return rows.iloc[0].to_dict()

    def outcomes(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Of rows of reps or teams, this quarter's leading metric."""
        return outlook.primary(frame, self.company.period_of(self.today))

    def reasons(self, entity: str, idents: Iterable[str]) -> pd.DataFrame:
        """Reasons of some deals, persons or customers."""
        frame = self.frame("reasons")
        return frame[(frame["entity"] == entity) & frame["entity_id"].isin(list(idents))]

    def model_note(self, what: str) -> str:
        """What must be said about a model beside its figures; empty where there is nothing."""
        note = (self.meta.get("notes") or {}).get(what) or {}
        return self.language.choose(str(note.get("sentence_en", "")), note.get("sentence_zh"))

    def namer(self, entity: Entity) -> words.Namer:
        """How reasons of an entity are named."""
        return words.namer(self.formats, entity, self.company, self.facts.products)

    def theme(self, entity: Entity) -> Callable[[str], str]:
        """What a feature of an entity tells about, in a few words."""
        known = themes(entity, self.company)
        return lambda name: self.language.choose(*theme(known, name))

    # -- the lake

    @cached_property
    def facts(self) -> Facts:
        """Deals, customers, people and teams as the lake has them."""
        return lake_facts.facts(self.view, self.company, cut=self.cut, now=self.as_of)

    def deal_fact(self, deal_id: str) -> dict[str, Any]:
        """One deal as the lake has it; NothingHere where the visitor may see none of that key."""
        facts = self.facts.deals
        if deal_id not in facts.index or not self.sight.owner(facts.at[deal_id, "owner_id"]):
            raise NothingHere
        return {"deal_id": deal_id, **facts.loc[deal_id].to_dict()}

    def account_fact(self, account_id: str) -> dict[str, Any]:
        """One customer as the lake has it; NothingHere where the visitor may see none of that key."""
        facts = self.facts.accounts
        if account_id not in facts.index or not self.sight.account(account_id):
            raise NothingHere
        return {"account_id": account_id, **facts.loc[account_id].to_dict()}

    def contact(self, contact_id: object) -> str:
        """A person at a customer by name, where the visitor may see names and it is known; else by key."""
        known = str(contact_id)
        return (contact_name(self.view, self.store, known) if self.sight.names else None) or known

    def deal_timeline(self, deal_id: str) -> pd.DataFrame:
        """What happened on a deal, newest first."""
        return lake_facts.deal_timeline(self.view, deal_id)

    def account_timeline(self, account_id: str) -> pd.DataFrame:
        """What happened at a customer, newest first."""
        return lake_facts.account_timeline(self.view, account_id, now=self.as_of, today=self.today)

    def order_days(self, account_id: str) -> list[date]:
        """Days on which a customer ordered, first to last."""
        return lake_facts.order_days(self.view, account_id, until=self.as_of, zone=self.company.time_zone)

    def booked(self, start: date, members: list[str] | None) -> pd.DataFrame:
        """Credit by day since a day, of some persons or (None) of all."""
        first = datetime(start.year, start.month, start.day, tzinfo=ZoneInfo(self.company.time_zone))
        rows = lake_facts.booked(self.view, self.company, start=first, until=self.as_of)
        return rows if members is None else rows[rows["rep_id"].isin(members)]

    # -- people and teams

    @cached_property
    def team_names(self) -> dict[str, str]:
        """team_id to name."""
        return {str(k): str(v) for k, v in self.facts.teams["name"].items()}

    @cached_property
    def team_parents(self) -> dict[str, str]:
        """team_id to the team above it."""
        return {str(k): str(v) for k, v in self.facts.teams["parent_team_id"].items() if isinstance(v, str) and v}

    @cached_property
    def scored_teams(self) -> frozenset[str]:
        """Teams that have a forecast that the visitor may see."""
        return frozenset(self.frame("teams")["team_id"])

    def team_of(self, rep_id: str) -> str | None:
        """Team of a person today."""
        reps = self.facts.reps
        found = reps.at[rep_id, "team_id"] if rep_id in reps.index else None
        return found if isinstance(found, str) else None

    @cached_property
    def team_name_of(self) -> dict[str, str]:
        """rep_id to the name of the person's team today."""
        return {
            str(rep): self.team_names[team]
            for rep, team in self.facts.reps["team_id"].items()
            if team in self.team_names
        }

    def children(self, team_id: str) -> list[str]:
        """Teams right below a team that can be seen; a single team that only holds others gives way to those."""
        if team_id == COMPANY:
            below = [t for t in self.scored_teams if t != COMPANY and self.team_parents.get(t) not in self.scored_teams]
        else:
            below = [team for team, parent in self.team_parents.items() if parent == team_id]
        if team_id == COMPANY and len(below) == 1:
            return self.children(below[0]) or below
        return below

    def members(self, team_id: str) -> list[str] | None:
        """People in a team and the teams below; None means everyone."""
        if team_id == COMPANY:
            return None
        teams, queue = {team_id}, [team_id]
        while queue:
            below = [t for t in self.children(queue.pop()) if t not in teams]
            teams.update(below)
            queue += below
        reps = self.facts.reps
        return [str(rep) for rep in reps.index[reps["team_id"].isin(teams)]]

    # -- the visitor

    @property
    def may_answer(self) -> bool:
        """Whether the visitor may say if advice helped: whoever does must be known."""
        return self.viewer.signed_in

    def answers(self, deal_id: str) -> dict[str, str]:
        """The visitor's answer to each action suggested for a deal at these scores."""
        return feedback.answers(self.store, self.viewer, deal_id, as_of=self.as_of)

    def keep_answer(self, deal_id: str, advice: dict[str, Any], answer: feedback.Answer, why: str) -> None:
        """Keep what was said of a suggestion.

        Raises
        ------
        SignInNeeded
            If nobody is signed in.
        """
        if not self.viewer.signed_in:
            raise SignInNeeded
        feedback.keep_answer(
            self.store,
            self.viewer,
            entity_id=deal_id,
            action=str(advice["action"]),
            answer=answer,
            why=why,
            as_of=self.as_of,
            model_version=str(advice.get("model_version", "")),
        )

    def take_answer_back(self, deal_id: str, action: str) -> None:
        """Take back what the visitor said of a suggestion; SignInNeeded if nobody is signed in."""
        if not self.viewer.signed_in:
            raise SignInNeeded
        feedback.take_back(self.store, self.viewer, entity_id=deal_id, action=action, as_of=self.as_of)


def _desk(
    request: Request,
    server: ServerDep,
    viewer: ViewerDep,
    company: CompanyDep,
    view: ViewDep,
    sight: SightDep,
    scores: ScoresDep,
    names: NamesDep,
) -> Desk:
    seen = visit(request, company, as_of=scores.as_of, role=viewer.role)
    seen.shell.viewer, seen.shell.signed_in = viewer.name, viewer.signed_in
    show_work(seen, server.steps.all(), scores.mark)
    if scores.as_of is not None and not company.sample:
        seen.shell.old = _old(seen, scores.as_of, server.settings.old_after_hours)
    cut = view.cut.number
    return Desk(
        seen, view, scores.frames, scores.meta, names, (str(server.home.root), cut), viewer, sight, server.store
    )


def _old(seen: Visit, as_of: datetime, hours: int) -> str:
    """What is said of data that is old; empty where it is not. A sample company's time stands still."""
    age = datetime.now(UTC) - as_of
    if age < timedelta(hours=hours):
        return ""
    return seen.language.say_n(
        "The newest data is {n} day old; these forecasts know nothing of what came since.",
        "The newest data is {n} days old; these forecasts know nothing of what came since.",
        max(age.days, 1),
    )


DeskDep = Annotated[Desk, Depends(_desk)]
