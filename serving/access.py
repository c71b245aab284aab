"""Who asks, and who sees whom: roles, scopes, and the team tree as of a date."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, get_args

import pandas as pd

from crm.company import Company
from crm.errors import NotAllowed
from crm.lake import View, connect

Role = Literal["rep", "manager", "analyst", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
Scope = Literal["read", "write", "admin", "calendar"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
ALL_SCOPES = frozenset(SCOPES)


class SignInNeeded(NotAllowed):
    """Nobody is signed in."""

    def __init__(self) -> None:
        super().__init__("Sign in first, or send a token: Authorization: Bearer TOKEN.")


class NotYours(NotAllowed):
    """The viewer's role does not allow it."""

    def __init__(self, role: str, *needed: str) -> None:
        super().__init__(
            "This needs the role {needed}, and yours is {role}. Ask an administrator.",
            needed=" or ".join(needed),
            role=role,
        )


class ScopeMissing(NotAllowed):
    """The token was made for less."""

    def __init__(self, scope: str) -> None:
        super().__init__(
            "This token lacks the scope '{scope}'. Make one that has it, or sign in yourself.", scope=scope
        )


class SessionNeeded(NotAllowed):
    """A token for programs cannot do this."""

    def __init__(self) -> None:
        super().__init__("A token cannot do this. Sign in yourself: POST /api/v1/session, or the pages.")


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks.

    Parameters
    ----------
    role : str
        A role, or 'guest' for someone at the machine of a sample company who has not signed in.
    scopes : frozenset of str
        What may be done in the user's name; a token for a program may have fewer than all.
    by_token : bool
        Whether a program asks by a token that the user made for it.
    """

    role: str
    name: str = ""
    user_id: int | None = None
    rep_id: str | None = None
    scopes: frozenset[str] = ALL_SCOPES
    by_token: bool = False

    @property
    def signed_in(self) -> bool:
        """Whether it is known who this is."""
        return self.user_id is not None

    @property
    def sees_all(self) -> bool:
        """Whether rows of the whole company are shown."""
        return self.role in ("admin", "analyst", "guest")


GUEST = Viewer("guest")


@dataclass(frozen=True, slots=True)
class Sight:
    """What a viewer may see; None stands for everything.

    Attributes
    ----------
    reps, teams, accounts : frozenset of str, optional
        Keys whose rows are shown: reps by the deals they own.
    names : bool
        Whether persons' names are shown beside them.
    persons : frozenset of str, optional
        Reps of whom figures are shown: forecasts, comparisons, what is owed to them.
    own : str, optional
        Rep that the viewer is.
    least : int
        Figures of fewer people than so many are withheld; 0 where each person's are shown.
    """

    reps: frozenset[str] | None = None
    teams: frozenset[str] | None = None
    accounts: frozenset[str] | None = None
    names: bool = True
    persons: frozenset[str] | None = None
    own: str | None = None
    least: int = 0

    def owner(self, rep_id: object) -> bool:
        """Whether deals of this owner are shown."""
        return self.reps is None or rep_id in self.reps

    def person(self, rep_id: object) -> bool:
        """Whether figures on a rep are shown; a rep that is not seen at all has none."""
        return self.owner(rep_id) and (self.persons is None or rep_id in self.persons)

    def team(self, team_id: object) -> bool:
        """Whether a team is seen; its figures may still be withheld, see `Scores.seen_by`."""
        return self.teams is None or team_id in self.teams

    @property
    def told_what_is_owed(self) -> frozenset[str] | None:
        """Owners of whose deals is told what is owed to the owner; None for all in sight.

        The owner and the managers above are told; others see it among other reasons.
        """
        if self.persons is None and self.reps is None:
            return frozenset({self.own} if self.own else ())
        return self.persons

    def account(self, account_id: object) -> bool:
        """Whether an account is shown."""
        return self.accounts is None or account_id in self.accounts


def sight_of(viewer: Viewer, view: View, company: Company, *, day: date) -> Sight:
    """What a viewer may see on a day: a rep himself, a manager the teams below, others everything.

    Accounts are seen by their owners and by the owners of their open deals. Below the level `person`, figures on a
    person are shown to nobody else; at `off`, to nobody.
    """
    own, people = viewer.rep_id, company.people
    mine = frozenset({own} if own and people.level != "off" else ())
    limits: dict[str, Any] = (
        {"own": own} if people.level == "person" else {"own": own, "persons": mine, "least": people.min_group}
    )
    if viewer.sees_all:
        return Sight(names=viewer.role != "analyst" or people.level == "person", **limits)
    if own is None:
        return Sight(frozenset(), frozenset(), frozenset(), **limits)
    with connect() as con:
        view.attach(con)
        every = con.sql(_TEAMS).fetchall()
        led = [team for team, _, manager in every if manager == own and viewer.role == "manager"]
        teams = _teams_below(every, led)
        members = con.execute(_MEMBERS, {"day": day}).fetchall() if teams else []
        reps = frozenset({own, *(rep for rep, team in members if team in teams)})
        owned = con.execute(_ACCOUNTS, {"reps": sorted(reps)}).fetchall()
    return Sight(reps, teams, frozenset(row[0] for row in owned), **limits)


def members_of(view: View, team_id: str, *, day: date) -> frozenset[str]:
    """Reps in a team or one below it on a day; none where there is no such team."""
    with connect() as con:
        view.attach(con)
        teams = _teams_below(con.sql(_TEAMS).fetchall(), [team_id])
        return frozenset(rep for rep, team in con.execute(_MEMBERS, {"day": day}).fetchall() if team in teams)


def team_tree(view: View, *, day: date) -> tuple[dict[str, frozenset[str]], dict[str, str | None]]:
    """Reps in each team or below it on a day, and the team above each."""
    with connect() as con:
        view.attach(con)
        every = con.sql(_TEAMS).fetchall()
        home = con.execute(_MEMBERS, {"day": day}).fetchall()
    below = {team: _teams_below(every, [team]) for team, _, _ in every}
    members = {team: frozenset(rep for rep, its in home if its in inner) for team, inner in below.items()}
    return members, {team: parent for team, parent, _ in every}


_TEAMS = "select team_id, parent_team_id, manager_rep_id from teams"
_MEMBERS = """
select rep_id, team_id from team_memberships where valid_from <= $day and (valid_to is null or valid_to > $day)
union
select rep_id, team_id from reps
where team_id is not null and rep_id not in (select rep_id from team_memberships)
"""
_ACCOUNTS = """
select account_id from accounts where owner_id in (select unnest($reps))
union
select account_id from deals
where outcome = 'open' and account_id is not null and owner_id in (select unnest($reps))
"""


def _teams_below(teams: list[tuple[str, str | None, str | None]], tops: list[str]) -> frozenset[str]:
    below = defaultdict(list)
    for team, parent, _ in teams:
        below[parent].append(team)
    found: set[str] = set()
    queue = list(tops)
    while queue:
        team = queue.pop()
        if team not in found:
            found.add(team)
            queue += below[team]
    return frozenset(found)


def may_change_models(viewer: Viewer) -> None:
    """Refuse whoever may not put models in use: all but analysts and administrators."""
    need_role(viewer, "analyst", "admin")


def may_see_jobs(viewer: Viewer) -> None:
    """Refuse whoever sees less than the whole company: a job tells of all data."""
    if not viewer.sees_all:
        raise NotYours(viewer.role, "analyst", "admin")


def may_start_jobs(viewer: Viewer) -> None:
    """Refuse whoever may not import, sync, train or score: all but analysts and administrators."""
    need_role(viewer, "analyst", "admin")


def may_write_back(viewer: Viewer) -> None:
    """Refuse whoever may not have forecasts written into the CRM, or see its set-up: all but administrators."""
    need_role(viewer, "admin")


def need_role(viewer: Viewer, *roles: Role) -> None:
    """Refuse whoever has none of some roles; what only administrators may do needs a token's scope 'admin' too.

    Raises
    ------
    NotYours
        If the viewer's role is another.
    ScopeMissing
        If the token was made for less.
    """
    if viewer.role not in roles:
        raise NotYours(viewer.role, *roles)
    if roles == ("admin",):
        need_scope(viewer, "admin")


def need_scope(viewer: Viewer, scope: Scope) -> None:
    """Refuse a token that was made for less; whoever signed in has all scopes.

    Raises
    ------
    ScopeMissing
        If the token lacks the scope.
    """
    if scope not in viewer.scopes:
        raise ScopeMissing(scope)


def seen_rows(frame: pd.DataFrame, key: str, allowed: frozenset[str] | None) -> pd.DataFrame:
    """The rows whose key is allowed."""
    return frame if allowed is None else frame[frame[key].isin(allowed)]
