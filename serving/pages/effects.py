"""Does the advice work? Each action's effect, what it rests on, why, and what is still missing."""

from __future__ import annotations

from typing import NamedTuple

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from models.effects_rules import LEAST_CAUSES, LEAST_DEALS, LEAST_ROWS
from serving.dependencies import ServerDep
from serving.effects import Range, Report, Told, report, rounded
from serving.format import MINUS, MISSING, Formats
from serving.holdback import Trial
from serving.i18n import Language
from serving.pages import words
from serving.pages.desk import Desk, DeskDep
from serving.pages.rail import Rail

router = APIRouter(include_in_schema=False)
RAIL = Rail("effects", "numbers", 3, lambda say: say("Does the advice work?"), "/effects")
_ORDER = ("measured", "adjusted", "association", "none")


class Line(NamedTuple):
    """A figure, what it is, and what it says."""

    name: str
    value: str
    beside: str


class Step(NamedTuple):
    """One action on deals without or with an earlier one."""

    ident: str
    what: str
    on: str
    basis: str
    basis_name: str
    why: str
    plain: str
    adjusted: str
    left: str
    span: str
    size: str
    repeat: str
    lines: list[Line]
    parts: list[Line]
    trial: str
    needs: str


@router.get("/effects")
def show_effects(desk: DeskDep, server: ServerDep) -> HTMLResponse:
    """What history and chance say of every action."""
    say, f = desk.language.say, desk.formats
    found = report(desk.view, desk.company, server.store, tracking=server.home.tracking)
    told = sorted(
        (t for t in found.effects if t.part == "first" or t.treated_rows),
        key=lambda t: (t.control, _ORDER.index(t.basis)),
    )
    return desk.show(
        "effects.html",
        "effects",
        finding=_finding(desk, found),
        until=say("History up to {day}.", day=f.date(found.until, year=True)) if found.until else "",
        steps=[_step(desk, t, found) for t in told if not t.control],
        controls=[_step(desk, t, found) for t in told if t.control],
        chance=_chance(desk.language, f, found.every, found.share),
        compared=_compared(desk.language, found.compared),
    )


def _finding(desk: Desk, found: Report) -> str:
    say = desk.language.say
    if found.until is None:
        return say("Effects have not been measured yet. Run: bellwether effects")
    claimed = [t for t in found.effects if t.basis in ("measured", "adjusted")]
    if not claimed:
        return say("Of no action can it be said yet that it helps; suggestions rest on what was seen together.")
    names = ", ".join(dict.fromkeys(words.action(desk.language, t.action, desk.company) for t in claimed))
    return say("Deals with these steps were won more often than like deals without them: {names}.", names=names)


def _step(desk: Desk, told: Told, found: Report) -> Step:
    f, say = desk.formats, desk.language.say
    plain, adjusted, left = (told.ranges[name] for name in ("plain", "adjusted", "corrected"))
    return Step(
        ident=f"{told.action}-{told.part}",
        what=_name(desk, told.action),
        on=say("with an earlier one") if told.part == "again" else say("without an earlier one"),
        basis=told.basis,
        basis_name=_basis(desk.language, told.basis),
        why=_why(desk.language, told.reason),
        plain=_points(plain),
        adjusted=_points(adjusted),
        left=_points(left),
        span=_span(f, left),
        size=say(
            "{weeks}, {deals}",
            weeks=desk.language.say_n("{n} week", "{n} weeks", told.treated_rows),
            deals=desk.language.say_n("{n} deal", "{n} deals", told.treated_deals),
        ),
        repeat=_repeat(desk.language, told),
        lines=_lines(desk, told),
        parts=[_part(f, part) for part in told.parts],
        trial=_trial(desk.language, f, told.trial),
        needs=_needs(desk.language, f, told, found.share),
    )


def _name(desk: Desk, action: str) -> str:
    say = desk.language.say
    return {"note": say("A note written"), "task": say("A task set")}.get(action) or words.action(
        desk.language, action, desk.company
    )


def _basis(language: Language, basis: str) -> str:
    return language.say("No figure") if basis == "none" else words.basis(language, basis)[0]


def _why(language: Language, reason: str) -> str:
    say = language.say
    return {
        "passed": say("Compared with like deals without it, and it stood every check."),
        "process_step": say("Part of moving to the next stage: not a choice that could be compared."),
        "too_few": say(
            "Not known yet: it takes {weeks} weeks, {deals} deals and {causes} causes with it.",
            weeks=LEAST_ROWS,
            deals=LEAST_DEALS,
            causes=LEAST_CAUSES,
        ),
        "near_stage": say("It mostly comes together with a move to the next stage."),
        "after_move": say("It mostly follows a move to the next stage on the same day."),
        "placebo": say(
            "Next week's action goes together with what came before it as well: something unseen drives both."
        ),
        "quiet": say("Nothing shows in the weeks after it, so what it does cannot be told from what is hidden."),
        "looks_lower": say(
            "Deals with it were won less often; contact that follows trouble looks so, and harm is not claimed."
        ),
        "holds_zero": say("Once like deals are compared, the range holds 0."),
        "learners_differ": say("Two ways to compare like deals disagree by more than one standard error."),
        "no_overlap": say("Deals with and without it are hardly alike."),
        "many_tried": say("Among so many actions tried, one such figure comes by chance."),
        "control": say("No customer notices it, so the figure is all bias: others may hold as much."),
        "chance": say("Shown and held back by chance: the range leaves 0 out."),
    }[reason]


def _repeat(language: Language, told: Told) -> str:
    say = language.say
    if told.part == "again" or told.basis not in ("adjusted", "measured"):
        return ""
    return {
        "only_first": say("Helped the first time only; it is not suggested again."),
        "not_known": say("Whether it helps again is not known; it is not suggested again."),
        "same_rules": say("Where it was done before, the line below it holds."),
    }[told.repeat]


def _lines(desk: Desk, told: Told) -> list[Line]:
    """Everything an estimate rests on, without what was not worked out; empty where no estimate was made."""
    if told.ranges["adjusted"] is None:
        return []
    f, say, shares = desk.formats, desk.language.say, told.shares
    found = told.ranges
    lines = [
        Line(say("Stages compared"), ", ".join(told.stages) or MISSING, say("where it is taken at all")),
        Line(say("Plain difference"), _with_span(f, found["plain"]), say("nothing compared but with and without")),
        Line(say("Adjusted"), _with_span(f, found["adjusted"]), say("mean of both learners")),
        Line(say("All weeks alike"), _with_span(f, found["everyone"]), say("sure cases count as much as open ones")),
        Line(say("Logistic"), _with_span(f, found["linear"]), say("one way to find like deals")),
        Line(say("Boosted trees"), _with_span(f, found["trees"]), say("the other")),
        Line(say("Without contacts before"), _with_span(f, found["without_contacts"]), say("had they been left out")),
        Line(say("Still open at the week's end"), _with_span(f, found["landmark"]), say("leaves out quick endings")),
        Line(say("Action shuffled"), _with_span(f, found["permuted"]), say("must hold 0")),
        Line(say("Link to this week's move"), _with_span(f, found["placebo_now"]), say("what it may do quickly")),
        Line(
            say("Next week's action, this week's move"), _with_span(f, found["placebo_later"]),
            say("it cannot have worked yet"),
        ),
        Line(
            say("Link to what the customer sends"), _with_span(f, found["answers_now"]), say("in the two weeks after"),
        ),
        Line(
            say("An action of the next two weeks, what the customer sends now"),
            _with_span(f, found["answers_later"]),
            say("it cannot have worked yet"),
        ),
        Line(
            say("Taken off for it"), f.percent(shares["placebo_share"]), say("share that next week's action shows too"),
        ),
        Line(say("Could have gone either way"), f.percent(shares["overlap"]), say("of the weeks; 70% are wanted")),
        Line(say("Weeks with a stage move"), f.percent(shares["process_share"]), say("over 90%: part of the stage")),
    ]  # fmt: skip
    return [line for line in lines if line.value != MISSING]


def _part(f: Formats, part: dict[str, object]) -> Line:
    own = part["own"]
    shrunk = float(str(part["shrunk"]))
    name = f"{_dimension(f.language, str(part['dimension']))}: {_level(f.language, part)}"
    size = f.language.say("{n} weeks with it", n=f.number(float(str(part["treated_rows"]))))
    said = f.language.say("by itself {span}", span=_with_span(f, own if isinstance(own, Range) else None))
    return Line(name, _signed(shrunk), f"{said}; {size}")


def _dimension(language: Language, name: str) -> str:
    say = language.say
    return {"stage": say("Stage"), "segment": say("Customer size"), "kind": say("Kind")}[name]


def _level(language: Language, part: dict[str, object]) -> str:
    level = str(part["level"])
    return words.kind(language, level) if part["dimension"] == "kind" else level


def _chance(language: Language, f: Formats, every: Trial | None, share: float) -> str:
    say = language.say
    if every is None:
        if share > 0:
            return say("{share} of new suggestions will be held back by chance; none was drawn yet.",
                       share=f.percent(share))  # fmt: skip
        return say("Nothing is held back by chance, so nothing can become measured: advice.hold_back in company.yaml.")
    needed = _more(language, f, every.more_needed, share) if every.more_needed else ""
    return f"{_trial(language, f, every)} {needed}".strip()


def _trial(language: Language, f: Formats, trial: Trial | None) -> str:
    say = language.say
    if trial is None:
        return ""
    said = say(
        "{held} of {all} suggestions held back by chance, {known} with a known outcome.",
        held=f.number(trial.held_back),
        all=f.number(trial.shown + trial.held_back),
        known=f.number(trial.known),
    )
    if trial.found.half < float("inf"):
        span = _with_span(f, Range(trial.found.mean, trial.found.low, trial.found.high))
        said += " " + say("Shown less held back: {span}.", span=span)
    return said


def _more(language: Language, f: Formats, outcomes: int, share: float) -> str:
    said = language.say("To be measured it takes about {n} more outcomes.", n=f.number(rounded(outcomes)))
    return said + " " + language.say("A larger share held back needs fewer.") if 0 < share < 0.5 else said


def _needs(language: Language, f: Formats, told: Told, share: float) -> str:
    """What would make it 'measured'; empty where it is."""
    say, n = language.say, f.number(rounded(told.more_needed))
    return {
        "nothing": "",
        "no_choice": say("Nothing can measure it: it comes with the move to the next stage."),
        "control": say("Never: it is not suggested, so none is held back."),
        "off": say("Nothing is held back by chance, so nothing can become measured: advice.hold_back in company.yaml."),
        "not_drawn": say(
            "It was not suggested yet. It takes about {n} outcomes of suggestions, some of them held back by chance.",
            n=n,
        ),
        "outcomes": _more(language, f, told.more_needed, share),
    }[told.needs]


def _compared(language: Language, compared: str) -> str:
    say = language.say
    if compared == "moment":
        return say("Each is compared with deals open, and without it, at the same moment of a week.")
    return say("Each week with it is compared with weeks without it.") if compared else ""


def _points(found: Range | None) -> str:
    return _signed(found.value) if found else MISSING


def _span(f: Formats, found: Range | None) -> str:
    if found is None:
        return MISSING
    return f.language.say("{low} to {high}", low=_signed(found.low), high=_signed(found.high))


def _with_span(f: Formats, found: Range | None) -> str:
    return f"{_signed(found.value)} ({_span(f, found)})" if found else MISSING


def _signed(value: float) -> str:
    """Percentage points with their sign, without the word: the page says it once."""
    text = f"{abs(100 * value):.1f}"
    return text if float(text) == 0 else f"{'+' if value > 0 else MINUS}{text}"
