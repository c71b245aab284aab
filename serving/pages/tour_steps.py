"""The tour of five steps through the sample company: what each step says and which part of a page it points at."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request

from serving.i18n import Language

COOKIE = "bellwether_tour"
STEPS = 5


@dataclass(frozen=True, slots=True)
class Tour:
    """What the tour says on a page: the invitation (step 0), or one of its steps."""

    step: int
    title: str
    text: str
    last: bool


def tour_of(request: Request, language: Language, *, sample: bool) -> Tour | None:
    """The step that the address asks for; the invitation where a sample company is new to the visitor; else None."""
    if not sample:
        return None
    asked = request.query_params.get("tour", "")
    if asked.isdecimal() and 1 <= int(asked) <= STEPS:
        return _step(int(asked), language)
    if request.url.path == "/today" and COOKIE not in request.cookies:
        say = language.say
        return Tour(0, say("New here?"), say("Five steps show what Bellwether tells, and why one may trust it."), False)
    return None


def _step(number: int, language: Language) -> Tour:
    say = language.say
    said = [
        (
            say("Your number"),
            say(
                "This sentence says where the period will likely end, and how likely the goal is. "
                "Everything else backs it."
            ),
        ),
        (
            say("Why it has a range"),
            say(
                "Nobody knows how each deal ends. The shaded range holds 8 of 10 simulated periods; "
                "'See the math' opens every deal in it."
            ),
        ),
        (
            say("A deal's reasons"),
            say("From where the model starts to this deal's chance: each bar is one thing it knows, and they add up."),
        ),
        (
            say("A next step, and your answer"),
            say(
                "What may help most now, with its effect, range and what that rests on. "
                "Say whether it helped: that is how it is measured."
            ),
        ),
        (
            say("How right we were"),
            say(
                "Every forecast is kept as issued and judged when the period ends, beside a plain one and people's own."
            ),
        ),
    ]
    title, text = said[number - 1]
    return Tour(number, title, text, number == STEPS)
