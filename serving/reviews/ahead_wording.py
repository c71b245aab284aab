"""A quarterly pack's look ahead in words: next quarter's goals, how even they are, departures rehearsed."""

from __future__ import annotations

from functools import partial

from planning.cascade import Fairness
from planning.evenness import PersonLine
from planning.goals import COMPANY
from planning.smart import Finding
from serving.format import MISSING, Formats
from serving.pages import goal_words, risk_words
from serving.reviews.ahead import Ahead, NextGoal, Rehearsal
from serving.reviews.material import Material
from serving.reviews.sheet import Cell, Section, Table, text_cell

_SHOWN = 20  # people from each end of a long table


def next_goals_section(f: Formats, material: Material, found: Ahead) -> Section:
    """Goals of the next quarter with what their SMART check finds."""
    say, say_n = f.language.say, f.language.say_n
    period = f.period(found.period) if found.period else ""
    title = say("Goals of the next quarter")
    if not found.goals:
        return Section("ahead", title, (say("No goal is set for {period} yet. Set it under Goals.", period=period),))
    off = sum(bool(one.off) for one in found.goals)
    lines = [say_n("{n} goal is set for {period}.", "{n} goals are set for {period}.", len(found.goals), period=period),
             say("The SMART check has something to say on {n} of them.", n=f.number(off))
             if off else say("The SMART check finds nothing to mend.")]  # fmt: skip
    head = (say("Whose"), say("Goal of"), say("Target"), say("This quarter"), say("What the SMART check finds"),
            say("What would mend it"))  # fmt: skip
    rows = tuple(_goal(f, material, one) for one in found.goals)
    return Section("ahead", title, tuple(lines), (Table(head, rows, frozenset({2, 3})),))


def evenness_section(f: Formats, material: Material, found: Ahead) -> Section:
    """How even people's goals are; ranges in the sentences, names in the table alone, since minutes quote sentences."""
    say, even = f.language.say, found.even
    title = say("How fair the split is")
    if not found.persons_shown:
        return Section("fairness", title, (say("Figures on single people are not shown here."),))
    if not even.people:
        return Section("fairness", title, (say("Nobody here has a goal of bookings for this quarter or the next."),))
    lines = []
    if even.now:
        lines.append(say("This quarter {range} of the goal is expected, person by person: {word} ({value}).",
                         **_fair(f, even.now)))  # fmt: skip
    if even.following:
        lines.append(say("Next quarter's goals against this quarter's forecasts, since there are none of it yet: "
                         "{range}, {word} ({value}).", **_fair(f, even.following)))  # fmt: skip
    else:
        lines.append(say("The next quarter's goals are not split over people yet."))
    people, left = list(even.people), len(even.people) - 2 * _SHOWN
    if left > 0:
        people = people[:_SHOWN] + people[-_SHOWN:]
        lines.append(say("{n} people between the two ends are left out.", n=f.number(left)))
    head = (say("Person"), say("Goal this quarter"), say("Forecast, mean"), say("Expected attainment"),
            say("Chance to reach the goal"), say("Goal next quarter"), say("This forecast against it"))  # fmt: skip
    rows = tuple(_person(f, material, one) for one in people)
    return Section("fairness", title, tuple(lines), (Table(head, rows, frozenset(range(1, 7))),))


def rehearsal_section(f: Formats, material: Material, found: Ahead) -> Section:
    """The quarter before and after somebody leaves tomorrow."""
    say, say_n = f.language.say, f.language.say_n
    title = say("Contingency plans, rehearsed")
    if not found.persons_shown:
        return Section("rehearsed", title, (say("Figures on single people are not shown here."),))
    told = [one for one in found.rehearsed or () if one.told]
    if not told:
        return Section("rehearsed", title, (say("There are no draws of this quarter to rehearse on."),))
    lines = (
        say_n("What if one person left tomorrow: rehearsed for {n} person.",
              "What if one person left tomorrow: rehearsed for {n} people, one at a time.", len(told)),
        risk_words.rehearsal_basis(f),
    )  # fmt: skip
    head = (say("Who leaves"), *risk_words.rehearsal_heads(f))
    rows = tuple(row for one in told for row in _rehearsed(f, material, one))
    return Section("rehearsed", title, lines, (Table(head, rows, frozenset({2, 3, 4, 5, 6})),))


def _goal(f: Formats, material: Material, one: NextGoal) -> tuple[Cell, ...]:
    goal, value = one.goal, partial(goal_words.value, f, one.goal.metric)
    owner = material.team_name(goal.owner_id) or f.language.say("Company")
    what = " · ".join([goal_words.metric(f.language, goal.metric), *goal.scope.values()])
    target = float(goal.target or 0)
    return (
        text_cell(owner, f"/goals/{goal.goal_id}"), text_cell(what), Cell(value(target), target),
        Cell(value(one.now), one.now), text_cell("; ".join(_finding(f, x) for x in one.off) or f.language.say("fine")),
        text_cell("; ".join(x for x in (f.language.choose(m.mend_en, m.mend_zh) for m in one.off) if x)),
    )  # fmt: skip


def _finding(f: Formats, one: Finding) -> str:
    return f"{goal_words.letter(f.language, one.letter)}: {f.language.choose(one.en, one.zh)}"


def _fair(f: Formats, found: Fairness) -> dict[str, str]:
    low, high = found.expected[found.lowest], found.expected[found.highest]
    word = goal_words.fairness(f.language, found.word)
    return {"range": f"{f.percent(low)} – {f.percent(high)}", "word": word, "value": f.number(found.value, 2)}


def _person(f: Formats, material: Material, one: PersonLine) -> tuple[Cell, ...]:
    return (
        text_cell(material.name(one.rep_id)), Cell(f.money_full(one.target), one.target),
        Cell(f.money_full(one.mean), one.mean), Cell(f.percent(one.expected), one.expected),
        Cell(f.chance(one.p_attain), one.p_attain), Cell(f.money_full(one.following), one.following),
        Cell(f.percent(one.expected_following), one.expected_following),
    )  # fmt: skip


def _rehearsed(f: Formats, material: Material, one: Rehearsal) -> list[tuple[Cell, ...]]:
    say = f.language.say
    who = material.name(one.rep_id)
    who = say("{who} (is going)", who=who) if one.entered else who
    names = {COMPANY: say("Company"), "team": material.team_name(one.team_id) if one.team_id else None}
    rows = []
    for kind, told in one.told.items():
        middles = [told[name]["p50"] for name in ("before", "after", "handed_over")]
        chances = [told[name]["p_attain"] for name in ("before", "handed_over")]
        cells = zip(risk_words.rehearsal_cells(f, told), [*middles, *chances], strict=True)
        rows.append((text_cell(who), text_cell(names[kind] or MISSING), *(Cell(text, value) for text, value in cells)))
    return rows
