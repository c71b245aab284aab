"""How habits are named, their figures written, and what may help where one is to be practised."""

from __future__ import annotations

from planning.habit_rows import ANSWERS, CONTACTS, CYCLE, DECISION_MAKER, DISCOUNT, Habit
from planning.habits import Change, Gap
from serving.format import Formats
from serving.i18n import Language


def habit_name(language: Language, habit: Habit) -> str:
    """A habit in a few words."""
    say = language.say
    if habit.stage:
        return say("Passing on from {stage}", stage=habit.stage)
    return {
        CYCLE.name: say("Days until a deal is won"),
        DISCOUNT.name: say("Discount on won deals"),
        CONTACTS.name: say("Deals with two or more people met"),
        DECISION_MAKER.name: say("Deals with a decision maker met"),
        ANSWERS.name: say("Messages answered within a day"),
    }[habit.name]


def figure(f: Formats, habit: Habit, value: float) -> str:
    """A mean as it is read: a share, or days."""
    if habit.kind == "days":
        return f.language.say("{n} days", n=f.number(value))
    return f.percent(value, 1 if habit.kind == "rate" else 0)


def gap_range(f: Formats, habit: Habit, gap: float, low: float, high: float) -> str:
    """A gap with its 90 % range: in points, or by how many percent more days."""
    digits = 0 if abs(high - low) >= 0.03 else 1
    if habit.kind == "days":
        return f"{_signed(f, gap)} ({_signed(f, low)} … {_signed(f, high)})"
    ends = (f"{100 * x:+.{digits}f}".replace("-", "−") for x in (low, high))
    return f"{f.points(gap, digits)} ({' … '.join(ends)})"


def sentence(f: Formats, gap: Gap) -> str:
    """What was found, with its figures."""
    return f.language.say(
        "{own} in {n} own deals; colleagues {peers} on like deals. Cautiously, a gap of {gap}.",
        own=figure(f, gap.habit, gap.own),
        n=f.number(gap.deals),
        peers=figure(f, gap.habit, gap.peers),
        gap=gap_range(f, gap.habit, gap.gap, gap.low, gap.high),
    )


def practice(language: Language, habit: Habit) -> str:
    """What may be practised; nobody has measured that it helps."""
    say = language.say
    if habit.stage:
        return say("Go through the last deals that ended in this stage together: what did the won ones have by then?")
    return {
        CYCLE.name: say("Agree on a next step with a date at the end of each talk."),
        DISCOUNT.name: say("Before a discount, ask what the customer gives for it; prepare the talk together."),
        CONTACTS.name: say("Ask early who else will use, buy or sign, and meet one more of them."),
        DECISION_MAKER.name: say("Ask who signs, and for a short meeting with that person before the proposal."),
        ANSWERS.name: say("Set an hour a day for answers; a short one at once is better than a long one later."),
    }[habit.name]


def became(f: Formats, one: Change) -> str:
    """What became of a theme since it was found."""
    say, habit = f.language.say, one.then.habit
    if not one.known:
        return f.language.say_n(
            "Not known yet: {n} deal since then.", "Not known yet: {n} deals since then.", one.deals
        )
    figures = {
        "own": figure(f, habit, one.own),
        "peers": figure(f, habit, one.peers),
        "change": gap_range(f, habit, one.change, one.low, one.high),
    }
    if one.better:
        return say("Better: {own} since, colleagues {peers}; the gap changed by {change}.", **figures)
    if one.worse:
        return say("Worse: {own} since, colleagues {peers}; the gap changed by {change}.", **figures)
    return say("Not known yet: {own} since, colleagues {peers}; the gap changed by {change}.", **figures)


def _signed(f: Formats, share: float) -> str:
    return ("+" if share > 0 else "") + f.percent(share)
