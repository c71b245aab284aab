"""Who asks, and who sees whom: roles, scopes, and the team tree as of a date."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from typing import Literal, get_args

import pandas as pd

from crm.company import Company
from crm.errors import NotAllowed
from crm.lake import View, connect

Role = Literal["rep", "manager", "analyst", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
Scope = Literal["read", "write", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
ALL_SCOPES = frozenset(SCOPES)


class SignInNeeded(NotAllowed):
    """Nobody is signed in."""

    def __init__(self) -> None:
        super().__init__("Sign in first, or send a token: Authorization: Bearer TOKEN.")


class NotYours(NotAllowed):
    """The viewer's role does not allow it."""

    def __init__(self, role: str, *needed: str) -> None:
        super().__init__(f"This needs the role {' or '.join(needed)}, and yours is {role}. Ask an administrator.")


class ScopeMissing(NotAllowed):
    """The token was made for less."""

    def __init__(self, scope: str) -> None:
        super().__init__(f"This token lacks the scope '{scope}'. Make one that has it, or sign in yourself.")


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
        Keys whose rows are shown.
    names : bool
        Whether persons' names are shown beside them.
    """

    reps: frozenset[str] | None = None
    teams: frozenset[str] | None = None
    accounts: frozenset[str] | None = None
    names: bool = True

    def owner(self, rep_id: object) -> bool:
        """Whether deals of this owner are shown."""
        return self.reps is None or rep_id in self.reps

    def team(self, team_id: object) -> bool:
        """Whether a team's figures are shown."""
        return self.teams is None or team_id in self.teams

    def account(self, account_id: object) -> bool:
        """Whether an account is shown."""
        return self.accounts is None or account_id in self.accounts


def sight_of(viewer: Viewer, view: View, company: Company, *, day: date) -> Sight:
    """What a viewer may see on a day: a rep himself, a manager the teams below, others everything.

    Accounts are seen by their owners and by the owners of their open deals.
    """
    if viewer.sees_all:
        return Sight(names=viewer.role != "analyst" or company.people.level == "person")
    if viewer.rep_id is None:
        return Sight(frozenset(), frozenset(), frozenset())
    with connect() as con:
        view.attach(con)
        every = con.sql(_TEAMS).fetchall()
        led = [team for team, _, manager in every if manager == viewer.rep_id and viewer.role == "manager"]
        teams = _teams_below(every, led)
        members = con.execute(_MEMBERS, {"day": day}).fetchall() if teams else []
        reps = frozenset({viewer.rep_id, *(rep for rep, team in members if team in teams)})
        owned = con.execute(_ACCOUNTS, {"reps": sorted(reps)}).fetchall()
    return Sight(reps, teams, frozenset(row[0] for row in owned))


def members_of(view: View, team_id: str, *, day: date) -> frozenset[str]:
    """Reps in a team or one below it on a day; none where there is no such team."""
    with connect() as con:
        view.attach(con)
        teams = _teams_below(con.sql(_TEAMS).fetchall(), [team_id])
        return frozenset(rep for rep, team in con.execute(_MEMBERS, {"day": day}).fetchall() if team in teams)


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
