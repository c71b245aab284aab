"""What reports say: names of reports, tables and columns, and the sentence that each leads with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from planning.report_parts import Report
from serving.format import MISSING, Formats


def report_names(f: Formats) -> dict[str, str]:
    """Reports in the order of their tabs."""
    say = f.language.say
    return {
        "trend": say("Sales trend"),
        "funnel": say("Funnel"),
        "customers": say("Customers"),
        "mix": say("Products and regions"),
        "win-loss": say("Won and lost"),
        "velocity": say("Velocity"),
    }


def period_names(f: Formats) -> dict[str, str]:
    """Periods that can be asked for."""
    say = f.language.say
    return {
        "month": say("This month so far"),
        "quarter": say("This quarter so far"),
        "year": say("This year so far"),
        "last-month": say("Last month"),
        "last-quarter": say("Last quarter"),
        "last-year": say("Last year"),
    }


def table_names(f: Formats) -> dict[str, str]:
    """Titles of tables."""
    say = f.language.say
    return {
        "months": say("By month"), "teams": say("By team"), "cohort": say("What became of deals in each stage"),
        "snapshot": say("Open deals by stage"), "segments": say("Customer segments (RFM)"),
        "rfm": say("Customers by what they bought in a year"), "repeat": say("Who bought again within 180 days"),
        "next": say("Next orders"), "products": say("By product"), "families": say("By product family"),
        "regions": say("By region"),
        "customer_segments": say("By customer segment"),
        "kinds": say("By kind of deal"), "competitors": say("By competitor"),
        "reasons": say("Lost by reason"), "parts": say("What moved it"),
    }  # fmt: skip


def column_names(f: Formats) -> dict[str, str]:
    """Heads of columns that are shown."""
    say = f.language.say
    return {
        "month": say("Month"), "bookings": say("Bookings"), "won": say("Won"), "year_before": say("A year before"),
        "change": say("Change"), "name": say("Name"), "before": say("Before"), "share": say("Share"),
        "share_before": say("Share before"), "mean": say("Mean amount"), "pipeline": say("Pipeline"),
        "stage": say("Stage"), "entered": say("Entered in a year"), "advance": say("Passed within 90 days"),
        "loss": say("Lost"), "still_open": say("Still there"), "decided": say("Of those decided"),
        "median_days": say("Median days"), "passed_30": say("Passed within 30 days"), "low": say("Low"),
        "high": say("High"), "passed_30_before": say("Period before"), "change_low": say("Change, low"),
        "change_high": say("Change, high"), "cost": say("Costs"), "open": say("Open deals"), "amount": say("Amount"),
        "in_stage": say("Median days there"), "segment": say("Segment"), "accounts": say("Customers"),
        "account_id": say("Customer"), "recency": "R", "frequency": "F", "monetary": "M",
        "days_since": say("Days since the last order"), "orders": say("Order days"), "quarter": say("First order in"),
        "first_orders": say("New customers"), "again": say("Bought again"), "last": say("Last order"),
        "usual_gap": say("Usual days between"), "due": say("Due"), "days_late": say("Days late"),
        "state": say("State"), "usual_amount": say("Usual order"), "competitor": say("Competitor"),
        "closed": say("Closed"), "rate": say("Won of closed"), "rate_before": say("Won before"),
        "open_amount": say("Open against it"), "reason": say("Reason"), "lost": say("Lost"), "part": say("Part"),
        "now": say("Now"), "effect": say("Effect"),
    }  # fmt: skip


SHOWN = {
    "cohort": "stage entered advance loss still_open median_days passed_30 low high passed_30_before cost",
    "competitors": "competitor closed won rate low high rate_before share share_before open_amount",
    "segments": "segment accounts amount share",
    "rfm": "account_id segment recency frequency monetary days_since orders amount",
    "repeat": "quarter first_orders again",
    "next": "account_id state last usual_gap due days_late usual_amount",
    "snapshot": "stage open amount in_stage",
}
"""Columns on the page, of tables that have more; files have all."""


def values(f: Formats) -> dict[str, str]:
    """Words that tables hold as codes."""
    say = f.language.say
    return {
        "champions": say("Champions"), "loyal": say("Loyal"), "promising": say("Promising"),
        "need attention": say("Need attention"), "can't lose": say("Can't lose"), "at risk": say("At risk"),
        "asleep": say("Asleep"), "late": say("late"), "due": say("due"), "not yet": say("not yet due"),
        "gone": say("silent for long"), "deals": say("Open deals at the start"), "win_rate": say("Share won"),
        "amount": say("Mean won amount"), "cycle_days": say("Days to win"), "velocity": say("Money a day"),
        "new": say("New"), "expansion": say("Expansion"), "renewal": say("Renewal"),
    }  # fmt: skip


def finding(f: Formats, found: Report, name: Mapping[str, str]) -> str:
    """The sentence that a report leads with; `name` is what products, teams and the like are called."""
    says = {
        "trend": _trend, "funnel": _funnel, "customers": _customers, "mix": _mix, "win-loss": _win_loss,
        "velocity": _velocity,
    }  # fmt: skip
    return says[found.name](f, found.facts, name)


def _trend(f: Formats, facts: Mapping[str, Any], _: Mapping[str, str]) -> str:
    say = f.language.say
    if facts["change"] is None:
        return say("{amount} booked; nothing was in the like days before.", amount=f.money(facts["bookings"]))
    text = say(
        "{amount} booked, {change} on the like days of the period before.",
        amount=f.money(facts["bookings"]), change=signed(f, facts["change"]),
    )  # fmt: skip
    if facts["change_year"] is None:
        return text
    return text + say(" A year ago: {change}.", change=signed(f, facts["change_year"]))


def _funnel(f: Formats, facts: Mapping[str, Any], _: Mapping[str, str]) -> str:
    say = f.language.say
    if facts["bottlenecks"]:
        worst = facts["bottlenecks"][0]
        return say(
            "Bottleneck: {stage}. {change} fewer pass within {days} days than before (90% range {low} to {high}); "
            "that costs about {money}.",
            stage=worst["stage"], change=f.points(-worst["change"]).lstrip("+"), days=facts["followed_days"],
            low=f.points(worst["change_low"]), high=f.points(worst["change_high"]), money=f.money(worst["cost"]),
        )  # fmt: skip
    if facts["slower"]:
        late = facts["slower"][0]
        return say(
            "No stage passes surely fewer deals than before, but deals stay longer in {stage}: {now} days, {before} "
            "before (medians).",
            stage=late["stage"], now=f.number(late["median_days"]), before=f.number(late["median_days_before"]),
        )  # fmt: skip
    return say("No stage passes surely fewer deals than in the period before.")


def _customers(f: Formats, facts: Mapping[str, Any], _: Mapping[str, str]) -> str:
    say, say_n = f.language.say, f.language.say_n
    if not facts["customers"]:
        return say("No orders in the data, so nothing tells how customers buy.")
    return say_n(
        "{n} customer is late with the next order, worth {money} by what each usually orders.",
        "{n} customers are late with the next order, worth {money} by what each usually orders.",
        facts["late"], money=f.money(facts["late_amount"]),
    )  # fmt: skip


def _mix(f: Formats, facts: Mapping[str, Any], name: Mapping[str, str]) -> str:
    say = f.language.say
    if "up" not in facts or facts["up_by"] <= 0:
        return say("{amount} booked; no product's share can be compared.", amount=f.money(facts["bookings"]))
    return say(
        "{up} gained {by} of all bookings, {down} lost {down_by}.",
        up=_called(f, facts["up"], name), by=f.points(facts["up_by"]).lstrip("+"),
        down=_called(f, facts["down"], name), down_by=f.points(-facts["down_by"]).lstrip("+"),
    )  # fmt: skip


def _win_loss(f: Formats, facts: Mapping[str, Any], _: Mapping[str, str]) -> str:
    say = f.language.say
    if facts["rate"] is None:
        return say("No deal was closed in this period yet.")
    text = say(
        "{rate} of closed deals were won ({before} in the like days before).",
        rate=f.percent(facts["rate"]), before=f.percent(facts["rate_before"]),
    )  # fmt: skip
    if facts["rising"]:
        return text + say(" Rising: {names}.", names=", ".join(facts["rising"]))
    return text + say(" No competitor is surely rising.")


def _velocity(f: Formats, facts: Mapping[str, Any], _: Mapping[str, str]) -> str:
    say = f.language.say
    if facts["now"] is None:
        return say("No deal was won in this period yet, so its velocity cannot be told.")
    if not facts["effects"]:
        return say("The pipeline brings {money} a day.", money=f.money(facts["now"]))
    parts = {k: v for k, v in facts["effects"].items() if k != "velocity"}
    most = max(parts, key=lambda part: abs(parts[part]))
    return say(
        "The pipeline brings {money} a day, {before} in the period before. What moved it most: {part}.",
        money=f.money(facts["now"]), before=f.money(facts["before"]), part=values(f)[most],
    )  # fmt: skip


def signed(f: Formats, share: float | None) -> str:
    """A change as a share, with its sign."""
    if share is None or share != share:
        return MISSING
    text = f.percent(share)
    return f"+{text}" if share > 0 else text


def _called(f: Formats, key: str, name: Mapping[str, str]) -> str:
    return name.get(key, key) or f.language.say("not recorded")
