"""Where plan and reality part, and levers, in words: for the page Adjusting and the review pack."""

from __future__ import annotations

from planning.signals import Signal
from serving.format import Formats
from serving.pages import goal_words
from serving.proposals import Proposal
from serving.reviews.material import Material
from serving.scenarios import GivenLever


def lever_name(f: Formats, material: Material, lever: GivenLever) -> str:
    """A lever in a few words."""
    say = f.language.say

    def team(key: str | None) -> str:
        return material.team_name(key) or say("Company") if key else ""

    what = material.facts.products.get(lever.product_id or "", lever.product_id) or lever.segment or say("all products")
    named = {
        "promotion": lambda: say("Promotion: {what}", what=what),
        "move": lambda: (
            say("One person from {giver} to {taker}", giver=team(lever.from_team), taker=team(lever.to_team))
            if lever.people == 1
            else say("{n} people from {giver} to {taker}", n=f.significant(lever.people), giver=team(lever.from_team),
                     taker=team(lever.to_team))
        ),
        "hire": lambda: say("Hire {n} for {team}", n=f.significant(lever.people), team=team(lever.to_team)),
        "leave": lambda: say("{name} leaves", name=material.name(lever.rep_id)),
        "hand_over": lambda: say("Deal {deal} to {name}", deal=lever.deal_id, name=material.name(lever.rep_id)),
        "retarget": lambda: say(
            "{share} of the deals made in {segment}", share=f.percent(lever.share), segment=lever.segment
        ),
        "resplit": lambda: say("Goals split anew: {way}", way=goal_words.way(f.language, lever.method or "potential")),
    }  # fmt: skip
    return str(named[lever.kind]())


def chance_change(f: Formats, one: Proposal) -> str:
    """The chance to reach the goal before and after; of goals split anew the lowest and the highest."""
    if one.spread is not None:
        ends = [f"{f.chance(low)} – {f.chance(high)}" for low, high in one.spread]
        return f.language.say("from lowest to highest: {before} → {after}", before=ends[0], after=ends[1])
    return f"{f.chance(one.total.before.get('p_attain'))} → {f.chance(one.total.after.get('p_attain'))}"


def basis_names(f: Formats, bases: tuple[str, ...]) -> str:
    """What effects rest on; of goals split anew the forecast alone."""
    return ", ".join(basis_name(f, one) for one in bases) or f.language.say("the forecast's own draws")


def basis_name(f: Formats, basis: str) -> str:
    """What an effect rests on, in a word."""
    say = f.language.say
    named = {
        "assumption": say("assumption"), "association": say("association"), "adjusted": say("adjusted estimate"),
        "measured": say("measured effect"),
    }  # fmt: skip
    return named.get(basis, basis)


def signal_text(f: Formats, material: Material, one: Signal) -> tuple[str, str]:
    """What parts, and by how much."""
    say = f.language.say
    team = material.team_name(one.subject) or say("Company") if one.kind == "team_behind" else ""
    product = material.facts.products.get(one.subject, one.subject)
    named = {
        "team_behind": say("{name} is below its forecast", name=team),
        "product_behind": say("{name} sells less than usual", name=product),
        "segment_behind": say("Segment {name} brings less than usual", name=one.subject),
        "segment_drift": say("The mix of segments drifts, most in {name}", name=one.subject),
        "market": say(
            "{month} is outside the market's trend", month=f.month(one.subject) if one.kind == "market" else ""
        ),
    }
    if one.kind == "segment_drift":
        detail = say("stability index {size}, limit {limit}", size=f.number(one.actual, 2), limit=f.number(one.low, 2))
    else:
        detail = say("{actual} so far, {expected} was to be expected ({basis})", actual=f.money(one.actual),
                     expected=f.money(one.expected), basis=against(f, one.basis))  # fmt: skip
    return named[one.kind], detail


def nothing_parts(f: Formats) -> str:
    """Said where there is no signal; whether the goal will be met is another question."""
    return f.language.say("Nothing stands out: teams, products, segments and the market are within their usual ranges.")


def against(f: Formats, basis: str) -> str:
    """What a signal or trend is measured against."""
    say = f.language.say
    named = {
        "forecast issued": say("the forecast issued at the start"), "own past periods": say("own past periods"),
        "ets": say("trend with season"), "seasonal naive": say("the same month a year before"),
    }  # fmt: skip
    return named.get(basis, basis)
