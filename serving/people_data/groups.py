"""Which teams' figures are withheld, so that no figure of a few people is shown or can be found by subtraction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

Members = Mapping[str, frozenset[str]]


def withheld(members: Members, parents: Mapping[str, str | None], *, least: int, known: frozenset[str]) -> set[str]:
    """Teams whose figures are not shown.

    Whatever can be worked out from the totals of teams in a tree by adding and subtracting is a combination of its
    remainders: a shown team less the shown teams right below it. They have nobody in common, so a figure of few people
    can be found just where a remainder has few people. Every remainder here is empty or has at least `least` people.
    Going up from the lowest teams, one whose remainder is too small hides the smallest team shown right below it; where
    there is none it has too few people itself and is hidden. Showing fewer of these teams stays safe, for remainders
    then only become larger.

    Parameters
    ----------
    members : mapping of str to frozenset of str
        Everybody who adds to a team's figures, those in teams below it included.
    parents : mapping of str to str or None
        The team above each; it holds at least the same people. A team that hangs below none of the tops is hidden.
    least : int
        People that a figure must be made of; below 2 nothing is hidden.
    known : frozenset of str
        People whose figures the reader knows, such as the reader's own: they hide nobody else.

    References
    ----------
    Secondary cell suppression for nested totals; Cox (1980), "Suppression methodology and statistical disclosure
    control", JASA 75.
    """
    if least < 2:
        return set()
    below = defaultdict(list)
    for team in members:
        below[parents.get(team)].append(team)
    order = _from_the_top(below)
    hidden = set(members) - set(order)
    inside: dict[str, list[str]] = {}  # the highest teams shown below each team
    for team in reversed(order):
        inner = [t for child in below[team] for t in ([child] if child not in hidden else inside[child])]
        while inner and 0 < len(_rest(members, team, inner) - known) < least:
            smallest = min(inner, key=lambda t: (not members[t] - known, len(members[t]), t))
            hidden.add(smallest)
            inner = [t for t in inner if t != smallest] + inside[smallest]
        if 0 < len(_rest(members, team, inner) - known) < least:
            hidden.add(team)
        inside[team] = inner
    return hidden


def _from_the_top(below: Mapping[str | None, list[str]]) -> list[str]:
    order = list(below.get(None, ()))
    for team in order:
        order += below.get(team, ())
    return order


def _rest(members: Members, team: str, inner: list[str]) -> frozenset[str]:
    return members[team].difference(*(members[t] for t in inner))
