"""Which teams are withheld: an attacker who solves linear equations on what is shown finds no figure of few people."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.people_data.groups import withheld


@st.composite
def companies(draw):
    """A tree of teams, at most nine people in it, the reader one of them or nobody."""
    count = draw(st.integers(1, 7))
    parents = {"t0": None}
    for n in range(1, count):
        parents[f"t{n}"] = f"t{draw(st.integers(0, n - 1))}"
    home = {f"p{n}": f"t{draw(st.integers(0, count - 1))}" for n in range(draw(st.integers(0, 9)))}
    members = {team: frozenset(p for p, t in home.items() if team in _up(parents, t)) for team in parents}
    known = draw(st.sampled_from([frozenset(), *(frozenset({p}) for p in home)]))
    return members, parents, known, draw(st.integers(2, 4))


def _up(parents, team):
    found = []
    while team is not None:
        found.append(team)
        team = parents[team]
    return found


def _rank(rows):
    return 0 if not len(rows) else int(np.linalg.matrix_rank(np.array(rows, dtype=float)))


def can_be_found(members, shown, known, least):
    """Groups of fewer than `least` others of which some weighted sum follows from what is shown and known.

    The shown totals span a space; a sum over a group (known people added or not, for the attacker takes those off)
    follows just where that space meets the one spanned by these people in more than what is known anyway.
    """
    people = sorted(frozenset().union(*members.values()))
    unit = {p: [float(p == q) for q in people] for p in people}
    own = [unit[p] for p in known]
    space = [[float(p in members[t]) for p in people] for t in shown] + own
    found = []
    for size in range(1, least):
        for group in combinations([p for p in people if p not in known], size):
            of_these = [unit[p] for p in group] + own
            meet = _rank(space) + _rank(of_these) - _rank(space + of_these)
            if meet > len(own):
                found.append(group)
    return found


@settings(max_examples=300, deadline=None)
@given(companies())
def test_linear_equations_find_no_figure_of_few_people(company):
    members, parents, known, least = company
    hidden = withheld(members, parents, least=least, known=known)
    assert can_be_found(members, set(members) - hidden, known, least) == []


@settings(max_examples=100, deadline=None)
@given(companies(), st.data())
def test_a_reader_who_sees_only_some_of_the_shown_teams_finds_none_either(company, data):
    members, parents, known, least = company
    shown = sorted(set(members) - withheld(members, parents, least=least, known=known))
    seen = data.draw(st.sets(st.sampled_from(shown))) if shown else set()
    assert can_be_found(members, seen, known, least) == []


@settings(max_examples=100, deadline=None)
@given(companies())
def test_the_top_is_shown_where_enough_people_are_below_it(company):
    members, parents, known, least = company
    if len(members["t0"] - known) >= least:
        assert "t0" not in withheld(members, parents, least=least, known=known)


def tree(**sizes):
    """A top with teams of so many people right below it, and `top` people of its own."""
    members = {t: frozenset(f"{t}{n}" for n in range(size)) for t, size in sizes.items()}
    members["top"] = frozenset().union(*members.values())
    return members, {t: None if t == "top" else "top" for t in members}


@pytest.mark.parametrize(
    ("sizes", "known", "hidden"),
    [
        ({"a": 5, "b": 6}, set(), set()),  # all large: nothing to hide
        ({"a": 2, "b": 6, "c": 7}, set(), {"a", "b"}),  # the small one would follow from the top less the others
        ({"a": 2, "b": 3}, set(), {"a", "b"}),  # two small ones: together they are enough
        ({"a": 2, "b": 2}, set(), {"a", "b", "top"}),  # four in all
        ({"a": 5, "b": 6}, {"a0"}, {"a", "b"}),  # the reader takes the own figure off: four others
        ({"a": 6, "top": 1}, set(), {"a"}),  # the one at the top would follow from the difference
        ({"a": 6, "b": 0}, set(), set()),  # nobody adds to b
    ],
)
def test_small_teams_hide_with_the_smallest_beside_them(sizes, known, hidden):
    members, parents = tree(**sizes)
    assert withheld(members, parents, least=5, known=frozenset(known)) == hidden


def test_the_attacker_of_these_tests_does_find_what_is_not_protected():
    members, _ = tree(a=2, b=6, c=7)
    assert ("a0", "a1") in can_be_found(members, {"top", "b", "c"}, frozenset(), 5)


def test_a_loop_in_the_tree_shows_nothing():
    people = frozenset("pqrstu")
    assert withheld({"x": people, "y": people}, {"x": "y", "y": "x"}, least=2, known=frozenset()) == {"x", "y"}
