"""What the register says: kinds, states, steps, and a sentence for each risk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

from serving.format import Formats
from serving.tables.risks import StoredRisk

Called = Callable[[str, str], str]
"""What a subject is called, from its kind and key."""


def kinds(f: Formats) -> dict[str, str]:
    """Names of the kinds of risks."""
    say = f.language.say
    return {
        "target_missed": say("Goal missed"), "coverage_gap": say("Pipeline does not cover the goal"),
        "key_account_leaving": say("Key customer leaving"), "person_leaving": say("Person leaving"),
        "overload": say("Too many deals for one person"), "concentration": say("Too much on one card"),
        "stalled_pipeline": say("Stalled pipeline"), "slipping": say("Deal slipping"),
        "single_threaded": say("One contact only"), "discount_creep": say("Discounts creeping up"),
        "competitor_rising": say("Competitor rising"), "product_slump": say("Product slump"),
        "renewal_unattended": say("Renewal unattended"), "data_quiet": say("Data gone quiet"),
        "market_downturn": say("Market shrinking"), "currency": say("Pipeline in other currencies"),
        "satisfaction_fall": say("Satisfaction falling"), "forecast_bias": say("Calls too high or too low"),
        "process": say("Overdue actions, approvals that wait"),
    }  # fmt: skip


def first_answers(f: Formats) -> dict[str, str]:
    """What to do first about each kind."""
    say = f.language.say
    return {
        "target_missed": say("Contingency plan, levers"), "coverage_gap": say("Prospecting, campaign"),
        "key_account_leaving": say("Save play, contingency plan"), "person_leaving": say("Hand-over"),
        "overload": say("Hand over, pause"), "concentration": say("A second source, a sponsor"),
        "stalled_pipeline": say("Next step or requalify"), "slipping": say("Reset the date, meet the buyer"),
        "single_threaded": say("Involve another person"), "discount_creep": say("Approval limit"),
        "competitor_rising": say("Battle card, room for price"), "product_slump": say("Promotion, another segment"),
        "renewal_unattended": say("Call now"), "data_quiet": say("Check the sync"),
        "market_downturn": say("Scenarios, costs"), "currency": say("Hedge, quote in the own currency"),
        "satisfaction_fall": say("Service meeting"), "forecast_bias": say("Go through the calls"),
        "process": say("Clear the list"),
    }  # fmt: skip


def states(f: Formats) -> dict[str, str]:
    """States of risks, plans and steps."""
    say = f.language.say
    return {
        "open": say("open"), "mitigating": say("being worked on"), "accepted": say("accepted"),
        "closed": say("closed"), "started": say("running"), "done": say("done"), "dropped": say("dropped"),
    }  # fmt: skip


def levels(f: Formats) -> dict[str, str]:
    """Levels of risks."""
    say = f.language.say
    return {"high": say("high"), "medium": say("medium"), "low": say("low")}


def templates(f: Formats) -> dict[str, str]:
    """Names of contingency plans."""
    say = f.language.say
    return {
        "target_missed": say("Goal missed"), "account_lost": say("Key customer lost"),
        "person_gone": say("Person gone"),
    }  # fmt: skip


def steps(f: Formats) -> dict[str, str]:
    """Steps of contingency plans."""
    say = f.language.say
    return {
        "causes": say("Gap and causes: by team, product, person"), "cover": say("Go through the cover list"),
        "levers": say("Compare levers, choose one"), "assign": say("Assign the deals"),
        "weekly_check": say("Check after a week"), "helped": say("What helped?"),
        "owner_call": say("The owner calls the customer"), "executive_call": say("An executive calls"),
        "account_causes": say("Causes: tickets, contacts, competitor"), "offer": say("Offer or save play"),
        "alike": say("Call customers alike, by value at risk"), "refill": say("Refill the gap by the cover list"),
        "handover": say("Look through the proposed hand-over"),
        "confirm": say("Confirm it and change owners in the CRM"),
        "customers": say("Call customers with deals due in 30 days"), "resplit": say("Split the goal anew"),
        "vacancy": say("Open the vacancy"), "notes": say("Write down what only this person knows"),
    }  # fmt: skip


def sentence(f: Formats, risk: StoredRisk, called: Called) -> str:
    """What may happen, in a sentence with its figures."""
    say, facts, who = f.language.say, risk.facts, called(risk.subject_kind, risk.subject_id)
    says: dict[str, Callable[[], str]] = {
        "target_missed": lambda: say(
            "{who} reaches the goal of {target} with a chance of {p}; half of the draws end below {p50}.",
            who=who, target=f.money(facts["target"]), p=f.chance(facts["p_attain"]), p50=f.money(facts["p50"]),
        ),
        "coverage_gap": lambda: say(
            "{who}: {rest} are left of the goal, {coming} are expected to come.",
            who=who, rest=f.money(facts["rest"]), coming=f.money(facts["coming"]),
        ),
        "key_account_leaving": lambda: say(
            "{who} leaves within {days} days with a chance of {p}; {yearly} a year and {open} in open deals.",
            who=who, days=facts["days"], p=f.chance(risk.likelihood), yearly=f.money(facts["yearly"]),
            open=f.money(facts["open"]),
        ),
        "person_leaving": lambda: _leaving(f, risk, who),
        "overload": lambda: say(
            "{who} has {deals} open deals, the team's median is {usual}; contacts a week fell from {before} to {now}.",
            who=who, deals=facts["deals"], usual=f.number(facts["usual"]), before=f.number(facts["touches_before"], 1),
            now=f.number(facts["touches"], 1),
        ),
        "concentration": lambda: say(
            "{who} holds {share} of what the quarter is expected to bring.", who=who, share=f.percent(facts["share"])
        ),
        "stalled_pipeline": lambda: say(
            "{who}: {deals} deals stand longer in their stage than nine in ten won ones did; {share} of the weighted "
            "pipeline.", who=who, deals=facts["deals"], share=f.percent(facts["share"]),
        ),
        "slipping": lambda: say(
            "{who}: the closing day was put off {times} times; now {day}.", who=who, times=facts["times"],
            day=f.date(_day(facts["close_date"])),
        ),
        "single_threaded": lambda: say("{who} is a large deal with one contact only.", who=who),
        "discount_creep": lambda: say(
            "The median discount rose by {extra} to {now}.", extra=f.points(facts["extra"]).lstrip("+"),
            now=f.percent(facts["now"]),
        ),
        "competitor_rising": lambda: _rival(f, facts, who),
        "product_slump": lambda: say(
            "{who} ends below its {plan} with a chance of {p}; middle {p50}.",
            who=who, plan=f.money(facts["plan"]), p=f.chance(risk.likelihood), p50=f.money(facts["p50"]),
        ),
        "renewal_unattended": lambda: say(
            "{who}: the contract ends on {day} and nobody spoke with them for 30 days.",
            who=who, day=f.date(_day(facts["renews_on"])),
        ),
        "market_downturn": lambda: say(
            "The trend has {month} at {expected}, at most {high}; a year before it was {before}.", month=facts["month"],
            expected=f.money(facts["expected"]), high=f.money(facts["high"]), before=f.money(facts["year_before"]),
        ),
        "currency": lambda: say(
            "{share} of the open pipeline is in other currencies ({names}): {amount}.", share=f.percent(facts["share"]),
            names=facts["currencies"], amount=f.money(facts["pipeline"]),
        ),
        "satisfaction_fall": lambda: _unhappy(f, facts, who),
        "forecast_bias": lambda: _bias(f, facts, who),
        "process": lambda: _held_up(f, facts, who),
        "data_quiet": lambda: say(
            "{who}: nothing was written down for {days} working days.", who=who, days=facts["days"]
        ),
    }  # fmt: skip
    return says[risk.kind]() if risk.kind in says else who


def _held_up(f: Formats, facts: Mapping[str, Any], who: str) -> str:
    say, day = f.language.say, f.date(_day(facts["oldest"]))
    approvals = facts.get("approvals", 0)
    if not approvals:
        return say("{who}: {actions} actions are overdue, the oldest since {day}; {deals} deals wait for them.",
                   who=who, actions=facts["actions"], day=day, deals=facts["deals"])  # fmt: skip
    if not facts["actions"]:
        return say("{who}: {n} deals wait for an approval, the first since {day}.", who=who, n=approvals, day=day)
    return say("{who}: {actions} actions are overdue and {n} deals wait for an approval, the oldest since {day}.",
               who=who, actions=facts["actions"], n=approvals, day=day)  # fmt: skip


def _leaving(f: Formats, risk: StoredRisk, who: str) -> str:
    say, facts = f.language.say, risk.facts
    if risk.subject_kind == "team":
        return say("{who} lost {n} people in two years.", who=who, n=facts["left"])
    day, deals = f.date(_day(facts["day"])), facts["deals"]
    if facts["why"] == "away":
        return say("{who} is away from {day}; {deals} open deals.", who=who, day=day, deals=deals)
    return say("{who} leaves on {day}; {deals} open deals.", who=who, day=day, deals=deals)


def _rival(f: Formats, facts: Mapping[str, Any], who: str) -> str:
    say = f.language.say
    delta = f.points(facts["delta"])
    if facts["what"] == "rate":
        return say("We win less often against {who}: {delta} on the period before.", who=who, delta=delta)
    return say("{who} is met more often: {delta} of closed deals on the period before.", who=who, delta=delta)


def _unhappy(f: Formats, facts: Mapping[str, Any], who: str) -> str:
    say, parts = f.language.say, []
    if facts["now"] is not None:
        parts.append(say("{who}: the mean grade of tickets fell from {was} to {now}.", who=who,
                         was=f.number(facts["was"], 1), now=f.number(facts["now"], 1)))  # fmt: skip
    if facts["severe_days"] is not None:
        parts.append(say("{who}: a severe ticket has been open for {days} working days.", who=who,
                         days=facts["severe_days"]))  # fmt: skip
    return " ".join(parts)


def _bias(f: Formats, facts: Mapping[str, Any], who: str) -> str:
    say, size = f.language.say, f.percent(abs(facts["bias"]))
    if facts["bias"] > 0:
        return say("{who}: the last {n} calls were all too high, by {size} together.", who=who, n=facts["periods"],
                   size=size)  # fmt: skip
    return say("{who}: the last {n} calls were all too low, by {size} together.", who=who, n=facts["periods"],
               size=size)  # fmt: skip


def change_sentence(f: Formats, what: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> str:
    """What a change of a risk did."""
    say, words = f.language.say, {**states(f), **levels(f)}
    heads = {"opened": say("Found by the rules"), "reopened": say("Open again"), "closed": say("Closed by the rules"),
             "level": say("Level"), "changed": say("Changed"), "undone": say("Taken back")}  # fmt: skip
    if what in ("opened", "closed") or not after:
        return heads.get(what, what)
    names = {"state": say("State"), "owner_id": say("Owner"), "note": say("Note"), "level": say("Level"),
             "accepted_until": say("Accepted until")}  # fmt: skip
    parts = [
        f"{names.get(name, name)}: {words.get(str((before or {}).get(name) or ''), (before or {}).get(name) or '—')} → "
        f"{words.get(str(value or ''), value or '—')}"
        for name, value in after.items()
    ]
    return f"{heads.get(what, what)} · {' · '.join(parts)}"


def _day(value: Any) -> date | None:
    return datetime.fromisoformat(value).date() if isinstance(value, str) else None


def ways(f: Formats) -> dict[str, str]:
    """Ways to cover a gap that are no advised steps."""
    say = f.language.say
    return {
        "pull_forward": say("Close it up to a month earlier"),
        "renewal": say("Renew the contract"),
        "late_order": say("Ask for the order that is late"),
    }


def rehearsal_heads(f: Formats) -> list[str]:
    """Heads of a table that tells a quarter before and after somebody leaves."""
    say = f.language.say
    return [say("Whose quarter"), say("Before"), say("Without hand-over"), say("Handed over"),
            say("Chance of the goal, before"), say("Chance after the hand-over")]  # fmt: skip


def rehearsal_cells(f: Formats, told: Mapping[str, Any]) -> list[str]:
    """Its cells after the first, of one team or the company."""

    def span(part: Mapping[str, float]) -> str:
        return f"{f.money(part['p50'])} ({f.money(part['p10'])} – {f.money(part['p90'])})"

    chances = (f.chance(told[name]["p_attain"]) for name in ("before", "handed_over"))
    return [*(span(told[name]) for name in ("before", "after", "handed_over")), *chances]


def rehearsal_basis(f: Formats) -> str:
    """What it rests on."""
    return f.language.say("Middle of the joint draws, each with its 80% range. Deals in other hands keep 70% of their "
                          "value, and up to 30% more by fit: an assumption, not a measured effect.")  # fmt: skip
