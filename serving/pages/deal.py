"""One deal: will it be won, why, and what next? And what was thought of the suggestions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple

import pandas as pd
from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse, RedirectResponse

from serving import deal_charts
from serving.deal_charts import win_curve
from serving.dependencies import Server, ServerDep
from serving.drawing import Figure
from serving.feedback import Answer
from serving.format import Formats
from serving.pages import listing, reasons, supposing, words
from serving.pages.advice_words import would_change
from serving.pages.desk import Desk, DeskDep
from serving.pages.outlook import as_day, number
from serving.pages.similar import similar_won
from serving.score_history import score_history
from serving.scores import on_track

router = APIRouter(include_in_schema=False)
ENOUGH_POINTS = 2
MOST_CHANGES = 6


class Step(NamedTuple):
    """A suggestion in words."""

    rank: int
    what: str
    whom: str
    effect: str
    value: str
    basis: str
    basis_name: str
    basis_help: str
    reasons: list[str]
    would_change: list[str]
    said: str
    ask_more: bool


class Event(NamedTuple):
    """An entry of the timeline."""

    iso: str
    when: str
    text: str


class Change(NamedTuple):
    """How the chance moved between two forecasts, and what happened in between."""

    when: str
    change: str
    events: list[str]


@router.get("/deals/{deal_id}")
def show_deal(deal_id: str, desk: DeskDep, server: ServerDep) -> HTMLResponse:
    """One deal with its forecast, reasons, next steps and history."""
    fact = desk.deal_fact(deal_id)
    score = _score(desk, deal_id)
    why = desk.reasons("deal", [deal_id])
    listed = _reasons(desk, why) if len(why) else None
    steps = _steps(desk, deal_id)
    return desk.show(
        "deal.html",
        "deals",
        deal=fact,
        finding=_finding(desk, fact, score),
        model_note=desk.model_note("win") if score else "",
        steps=steps,
        steps_note=_steps_note(desk),
        no_steps=_no_steps(desk, deal_id, score),
        may_answer=desk.may_answer,
        curve=_curve(desk, deal_id, score),
        past=_past(desk, server, deal_id),
        moved=_moved(desk, server, deal_id),
        what_if=supposing.panel_of(desk, server, fact, desk.visit.request) if score else None,
        similar=similar_won(desk, deal_id),
        reasons=listed,
        reasons_title=_reasons_title(desk.formats, listed) if listed else "",
        facts=_facts(desk, fact, score),
        timeline=_timeline(desk, deal_id),
    )


@router.post("/deals/{deal_id}/advice/{rank}")
def answer_advice(
    deal_id: str,
    rank: int,
    desk: DeskDep,
    answer: Annotated[Answer | Literal["undo"], Form()],
    why: Annotated[str, Form(max_length=500)] = "",
) -> RedirectResponse:
    """Keep what is said of a suggestion, or take it back, and go back to it."""
    fact = desk.deal_fact(deal_id)
    advice = desk.frame("advice")
    row = advice[(advice["deal_id"] == deal_id) & (advice["rank"] == rank)]
    if len(row):
        step = row.iloc[0].to_dict()
        if answer == "undo":
            desk.take_answer_back(str(fact["deal_id"]), str(step["action"]))
        else:
            desk.keep_answer(str(fact["deal_id"]), step, answer, why)
    return RedirectResponse(f"{desk.visit.request.url.path.rsplit('/advice/', 1)[0]}#step-{rank}", status_code=303)


def _score(desk: Desk, deal_id: str) -> dict[str, Any] | None:
    """The newest scores of a deal or lead; None where it is closed or new."""
    for name in ("deals", "leads"):
        frame = desk.frame(name)
        rows = frame[frame["deal_id"] == deal_id]
        if len(rows):
            found: dict[str, Any] = rows.iloc[0].to_dict()
            return found
    return None


def _finding(desk: Desk, fact: dict[str, Any], score: dict[str, Any] | None) -> str:
    f, say = desk.formats, desk.language.say
    if fact["outcome"] == "won":
        return say(
            "Won on {day} at {amount}.", day=f.date(words.moment(fact["closed_at"])), amount=f.money(fact["amount"])
        )
    if fact["outcome"] == "lost":
        return say("Lost on {day}.", day=f.date(words.moment(fact["closed_at"])))
    if score is None:
        return say("This deal has not been scored yet.")
    chance, span = number(score["win_probability"]), (score["win_probability_low"], score["win_probability_high"])
    likely, soon = words.moment(score["expected_close_date"]), number(score["p_win_in_period"])
    values = {"chance": f.chance(chance), "range": f.chance_range(*span), "soon": f.chance(soon)}
    if number(span[0]) is None:
        return say("{chance} to be won (its range is being computed); {soon} before the quarter ends.", **values)
    if likely is None:
        return say("{chance} to be won (90% range {range}); {soon} before the quarter ends.", **values)
    return say(
        "{chance} to be won (90% range {range}), most likely by {day}; {soon} before the quarter ends.",
        day=f.date(likely),
        **values,
    )


def _steps(desk: Desk, deal_id: str) -> list[Step]:
    advice = desk.frame("advice")
    rows = advice[advice["deal_id"] == deal_id].sort_values("rank")
    answers = desk.answers(deal_id)
    shown = [row for row in rows.to_dict("records") if row["action"] != "pause"]
    return [_step(desk, shown, place, answers) for place in range(len(shown))]


def _no_steps(desk: Desk, deal_id: str, score: dict[str, Any] | None) -> str:
    """Why no step is named."""
    say = desk.language.say
    if score is None:
        return say("Next steps are given for open deals.")
    if "advice" not in desk.frames:
        return say("There are no next steps: bellwether score says why.")
    if on_track(desk.frames, deal_id):
        return say(
            "On track in what can be changed: there it stands as deals that were won from this stage stood. "
            "No step is needed now."
        )
    return say("Nothing we know of would change this deal much now.")


def _step(desk: Desk, shown: list[dict[str, Any]], place: int, answers: dict[str, str]) -> Step:
    f, say, row = desk.formats, desk.language.say, shown[place]
    name, help_text = words.basis(desk.language, str(row["basis"]))
    what, day = (
        _called(desk)(str(row["action"])),
        listing.due(desk.today, row["due_in_days"]),
    )
    answer = answers.get(str(row["action"]), "")
    return Step(
        rank=int(row["rank"]),
        what=say("{what} by {day}", what=what, day=f.date(day)) if day else what,
        whom=_whom(desk, row),
        effect=say(
            "{points} (90% range {range})",
            points=f.points(number(row["expected_uplift"]), 1),
            range=_decimals(f, row["uplift_low"], row["uplift_high"]),
        ),
        value=_value(desk, row),
        basis=str(row["basis"]),
        basis_name=name,
        basis_help=help_text,
        reasons=words.both(desk.language, row["reasons"])[:3],
        would_change=would_change(desk.language, shown, place, company=desk.company, called=_called(desk)),
        said=words.answered(desk.language, answer, wrong=say("You said: wrong. It does not come again for this deal.")),
        ask_more=answer == "done",
    )


def _called(desk: Desk) -> Callable[[str], str]:
    return lambda action: words.action(desk.language, action, desk.company)


def _value(desk: Desk, row: dict[str, Any]) -> str:
    """What it is expected to bring; nothing where nothing is known of what it changes."""
    value = number(row.get("expected_value"))
    if value is None or not number(row["expected_uplift"]):
        return ""
    return desk.language.say("expected value {money}", money=desk.formats.money(value))


def _whom(desk: Desk, row: dict[str, Any]) -> str:
    """With whom at the customer, and to which colleague."""
    say, found = desk.language.say, []
    if words.text_or(row.get("contact_id"), ""):
        found.append(say("with {contact}", contact=desk.contact(row["contact_id"])))
    if colleague := words.text_or(row.get("colleague_id"), ""):
        found.append(say("to {colleague}", colleague=desk.names.get(colleague, colleague)))
    return " · ".join(found)


def _decimals(f: Formats, low: object, high: object) -> str:
    a, b = (f.number((number(x) or 0.0) * 100, 1) for x in (low, high))
    return f.language.say("{low} to {high}", low=a, high=b)


def _steps_note(desk: Desk) -> str:
    return desk.language.say(
        "The figure compares this step within 7 days with no such step, for a deal won within {weeks} weeks. "
        "Ranges that hold 0 may mean no effect.",
        weeks=desk.company.win.horizon_weeks,
    )


def _curve(desk: Desk, deal_id: str, score: dict[str, Any] | None) -> Figure | None:
    curves = desk.frame("curves")
    curve = curves[curves["deal_id"] == deal_id].sort_values("day")
    if score is None or len(curve) < ENOUGH_POINTS:
        return None
    soon = desk.formats.chance(number(score["p_win_in_period"]))
    return win_curve(
        desk.formats,
        title=desk.language.say("{chance} to be won by the quarter's end", chance=soon),
        curve=curve[["day", "won", "lost"]],
        as_of=desk.today,
        period_end=desk.company.period_of(desk.today).end,
    )


def _history(desk: Desk, server: Server, deal_id: str) -> pd.DataFrame:
    """What was forecast, one a day: day, as_of, kind, win_probability."""
    rows = score_history(server.ledger, deal_id)
    rows = rows[rows["win_probability"].notna()]
    days = [desk.formats.day(when.to_pydatetime()) for when in rows["as_of"]]
    return rows.assign(day=days).drop_duplicates("day", keep="last")


def _moved(desk: Desk, server: Server, deal_id: str) -> list[Change]:
    """How the chance went from one forecast to the next, newest first, with what happened in between."""
    rows, f = _history(desk, server, deal_id), desk.formats
    happened = desk.deal_timeline(deal_id)
    when = pd.to_datetime(happened["happened_at"], utc=True)
    found = []
    pairs = list(zip(rows.to_dict("records"), rows.iloc[1:].to_dict("records"), strict=False))
    for one, two in reversed(pairs[-MOST_CHANGES:]):
        between = happened[(when > one["as_of"]) & (when <= two["as_of"])]
        events = [_event(desk, row, _currency(desk, deal_id)).text for row in between.to_dict("records")]
        found.append(
            Change(
                f.language.say("{first} to {last}", first=f.date(one["day"]), last=f.date(two["day"])),
                f.points(float(two["win_probability"]) - float(one["win_probability"]), 1),
                list(dict.fromkeys(events)) or [f.language.say("Nothing is recorded in between.")],
            )
        )
    return found


def _past(desk: Desk, server: Server, deal_id: str) -> Figure | None:
    """How the chance went; None while there are fewer than two forecasts."""
    rows = _history(desk, server, deal_id)
    if len(rows) < ENOUGH_POINTS:
        return None
    f = desk.formats
    first, last = (float(rows["win_probability"].iloc[i]) for i in (0, -1))
    since = f.date(rows["as_of"].iloc[0].to_pydatetime())
    values = {"first": f.chance(first), "last": f.chance(last), "day": since}
    title = (
        f.language.say("From {first} on {day} to {last}", **values)
        if f.chance(first) != f.chance(last)
        else f.language.say("{last} as on {day}", **values)
    )
    points = pd.DataFrame({"day": rows["day"], "chance": rows["win_probability"].astype(float), "kind": rows["kind"]})
    moments = (words.moment(when) for when in desk.deal_timeline(deal_id)["happened_at"])
    events = sorted({day for day in map(f.day, moments) if day is not None})
    return deal_charts.score_history(f, title=title, scores=points, events=events)


def _reasons(desk: Desk, why: pd.DataFrame) -> reasons.ReasonList:
    say = desk.language.say
    return reasons.in_points(
        desk.formats,
        why,
        name=desk.namer("deal"),
        theme=desk.theme("deal"),
        base_text=say("Where the model starts for any open deal"),
        total_text=say("Chance to be won"),
    )


def _reasons_title(f: Formats, found: reasons.ReasonList) -> str:
    values = {"chance": found.total_said, "base": found.base_said, "change": found.change_said.lstrip("+−")}
    if found.change_said.startswith("−"):
        return f.language.say("Why {chance}: from {base} for any open deal, these take away {change}.", **values)
    return f.language.say("Why {chance}: from {base} for any open deal, these add {change}.", **values)


def _facts(desk: Desk, fact: dict[str, Any], score: dict[str, Any] | None) -> list[tuple[str, str]]:
    f, say = desk.formats, desk.language.say
    rows = [
        (say("Stage"), words.text_or(fact["stage"], "—")),
        (say("Amount"), f.money_full(number(fact["amount"]))),
        (say("Planned close date"), f.date(as_day(fact["close_date"]) if pd.notna(fact["close_date"]) else None)),
        (say("Owner"), words.text_or(desk.names.get(fact["owner_id"]) or fact["owner_id"], "—")),
        (say("Product"), words.text_or(fact["product"], "—")),
        (say("Kind"), words.kind(desk.language, fact["kind"])),
        (say("Source"), words.text_or(fact["source"], "—")),
        (say("Opened"), f.date(words.moment(fact["created_at"]))),
    ]
    if score is not None:
        rows += [
            (say("Expected amount"), f.money_full(number(score["expected_amount"]))),
            (say("Won this period"), f.chance(number(score["p_win_in_period"]))),
            (say("Lost this period"), f.chance(number(score["p_lose_in_period"]))),
            (say("Slips past this period"), f.chance(number(score["p_slip"]))),
        ]
    return rows


def _timeline(desk: Desk, deal_id: str) -> list[Event]:
    return [_event(desk, row, _currency(desk, deal_id)) for row in desk.deal_timeline(deal_id).to_dict("records")]


def _currency(desk: Desk, deal_id: str) -> str:
    return words.text_or(desk.facts.deals["currency"].get(deal_id), "")


def _event(desk: Desk, row: dict[str, Any], currency: str) -> Event:
    when = words.moment(row["happened_at"])
    text = words.event(desk.language, str(row["what"]), row["detail"])
    if row["what"] == "change":
        text = desk.language.say(
            "{field}: {old} → {new}",
            field=words.field(desk.language, str(row["detail"])),
            old=words.changed(desk.formats, desk.names, str(row["detail"]), row["old_value"], currency),
            new=words.changed(desk.formats, desk.names, str(row["detail"]), row["new_value"], currency),
        )
    return Event(when.isoformat() if when else "", desk.formats.date(when), text)
