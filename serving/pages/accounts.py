"""Customers: whom could we lose, and what is at stake? One of them: is it healthy, what would keep it?"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urlencode

import pandas as pd
from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse, RedirectResponse

from serving.charts import Figure, at_risk
from serving.feedback import Answer
from serving.next_products import next_product
from serving.pages import listing, reasons, words
from serving.pages.deal import Event
from serving.pages.desk import Desk, DeskDep
from serving.pages.outlook import number
from serving.pages.rail import Rail
from serving.pages.save_plays import customer_of, plays_of
from serving.save_plays import answer_play

router = APIRouter(include_in_schema=False)
RAIL = Rail("accounts", "work", 3, lambda say: say("Customers"), "/accounts")
PAGE_SIZE = 50
LEADING = 5
FEW = 5  # fewer customers are shown as the table alone


class Segment(NamedTuple):
    """Customers of one segment."""

    name: str
    size: str
    chance: str
    risk: str


@router.get("/accounts")
def list_accounts(desk: DeskDep, q: str = "", after: str = "") -> HTMLResponse:
    """Customers by value at risk."""
    if (missing := desk.without("accounts", "accounts")) is not None:
        return missing
    accounts = _accounts(desk)
    q = q.strip()[:100]
    found = accounts[accounts["name"].str.contains(q, case=False, regex=False)] if q else accounts
    start = found.index.get_loc(after) + 1 if after in found.index else 0
    page = found.iloc[start : start + PAGE_SIZE]
    follow = {"q": q, "after": str(page.index[-1])} if start + PAGE_SIZE < len(found) else None
    f, horizon = desk.formats, _horizon(accounts)
    return desk.show(
        "accounts.html",
        "accounts",
        finding=_finding(desk, accounts, horizon),
        model_note=desk.model_note("churn"),
        scatter=_scatter(desk, accounts, horizon),
        segments=_segments(desk, accounts),
        rows=_rows(desk, page),
        q=q,
        next="/accounts?" + urlencode({k: v for k, v in follow.items() if v}) if follow else "",
        page_size=PAGE_SIZE,
        basis=desk.language.say(
            "Value at risk: the chance to leave within {days} days times the yearly value, in {currency}.",
            days=horizon,
            currency=f.currency,
        ),
    )


@router.get("/accounts/{account_id}")
def show_account(account_id: str, desk: DeskDep) -> HTMLResponse:
    """One customer with its chance to leave, reasons, open deals and history."""
    fact = desk.account_fact(account_id)
    score = _score(desk, account_id)
    why = desk.reasons("account", [account_id])
    say, f = desk.language.say, desk.formats
    title = say("Why {chance}", chance=f.chance(number(score["churn_probability"]))) if score else ""
    timeline = desk.account_timeline(account_id)
    return desk.show(
        "account.html",
        "accounts",
        account=fact,
        finding=_account_finding(desk, score),
        rhythm=_rhythm(desk, account_id),
        model_note=desk.model_note("churn") if score else "",
        reasons=_reasons(desk, why) if len(why) else None,
        reasons_title=title,
        plays=plays_of(desk, account_id, score, fact["owner_id"]),
        may_answer=desk.may_answer,
        facts=_facts(desk, account_id, fact, score),
        timeline=[_event(desk, row) for row in timeline.to_dict("records")],
        deals=_deals(desk, account_id),
    )


@router.post("/accounts/{account_id}/plays/{play}")
def answer_save_play(
    account_id: str,
    play: str,
    desk: DeskDep,
    answer: Annotated[Answer | Literal["undo"], Form()],
    why: Annotated[str, Form(max_length=500)] = "",
) -> RedirectResponse:
    """Keep what is said of a play, or take it back, and go back to it."""
    desk.account_fact(account_id)
    if (score := _score(desk, account_id)) is not None:
        given = None if answer == "undo" else answer
        customer = customer_of(desk, account_id, score)
        answer_play(customer, play, given, why, view=desk.view, store=desk.store, viewer=desk.viewer)
    return RedirectResponse(f"{desk.visit.request.url.path.rsplit('/plays/', 1)[0]}#play-{play}", status_code=303)


def _score(desk: Desk, account_id: str) -> dict[str, Any] | None:
    """The newest score of a customer; None where it has no running business."""
    scores = desk.frame("accounts")
    scored = _valued(scores[scores["account_id"] == account_id]) if len(scores) else scores
    return {str(name): value for name, value in scored.iloc[0].items()} if len(scored) else None


def _valued(scores: pd.DataFrame) -> pd.DataFrame:
    """With the yearly value that value at risk was computed from."""
    chance = scores["churn_probability"].where(scores["churn_probability"] > 0)
    return scores.assign(yearly_value=scores["value_at_risk"] / chance)


def _accounts(desk: Desk) -> pd.DataFrame:
    scores = _valued(desk.frame("accounts")).set_index("account_id")
    facts = desk.facts.accounts
    both = scores.join(facts[["name", "segment", "owner_id"]])
    named = both["name"].fillna(pd.Series(both.index, index=both.index))
    return both.assign(name=named).sort_values("value_at_risk", ascending=False, kind="stable")


def _horizon(accounts: pd.DataFrame) -> int:
    return int(accounts["horizon_days"].iloc[0]) if len(accounts) else 0


def _finding(desk: Desk, accounts: pd.DataFrame, horizon: int) -> str:
    f = desk.formats
    if accounts.empty:
        return desk.language.say("No customer with running business.")
    at_stake = float(accounts["value_at_risk"].sum())
    if at_stake <= 0:
        return desk.language.say("No value is at risk in the next {days} days.", days=horizon)
    leading = float(accounts["value_at_risk"].head(LEADING).sum()) / at_stake
    return desk.language.say_n(
        "{n} customer holds {amount} at risk in the next {days} days.",
        "{n} customers hold {amount} at risk in the next {days} days; {leading} of them hold {share}.",
        len(accounts),
        amount=f.money(at_stake),
        days=horizon,
        leading=min(LEADING, len(accounts)),
        share=f.percent(leading),
    )


def _scatter(desk: Desk, accounts: pd.DataFrame, horizon: int) -> Figure | None:
    known = accounts[accounts["yearly_value"].notna()]
    if len(known) < FEW:
        return None
    return at_risk(
        desk.formats,
        title=desk.language.say("Most at risk: {name}", name=str(known["name"].iloc[0])),
        accounts=known,
        horizon_days=horizon,
    )


def _segments(desk: Desk, accounts: pd.DataFrame) -> list[Segment]:
    f = desk.formats
    named = accounts.assign(segment=accounts["segment"].fillna("—"))
    grouped = named.groupby("segment").agg(
        size=("name", "size"), chance=("churn_probability", "mean"), risk=("value_at_risk", "sum")
    )
    ordered = grouped.sort_values("risk", ascending=False)
    return [
        Segment(str(name), f.number(r["size"]), f.percent(r["chance"], 1), f.money(r["risk"]))
        for name, r in ordered.to_dict("index").items()
    ]


def _rows(desk: Desk, page: pd.DataFrame) -> list[dict[str, str]]:
    f = desk.formats
    said = words.main_reasons(desk.reasons("account", page.index), desk.namer("account"))
    return [
        {
            "account_id": str(r["account_id"]),
            "name": str(r["name"]),
            "segment": words.text_or(r["segment"], "—"),
            "owner": words.text_or(desk.names.get(r["owner_id"]) or r["owner_id"], "—"),
            "chance": f.chance(number(r["churn_probability"])),
            "yearly": f.money_full(number(r["yearly_value"])),
            "risk": f.money_full(number(r["value_at_risk"])),
            "why": said.get(str(r["account_id"]), ""),
        }
        for r in page.reset_index().to_dict("records")
    ]


def _account_finding(desk: Desk, score: dict[str, Any] | None) -> str:
    f, say = desk.formats, desk.language.say
    if score is None:
        return say("No running business with this customer, so there is no chance to leave to tell.")
    return say(
        "{chance} likely to leave within {days} days; {amount} a year, {risk} of it at risk.",
        chance=f.chance(number(score["churn_probability"])),
        days=int(score["horizon_days"]),
        amount=f.money(number(score["yearly_value"])),
        risk=f.money(number(score["value_at_risk"])),
    )


def _rhythm(desk: Desk, account_id: str) -> str:
    """How often orders came and how long ago the last one was, where three or more show a rhythm."""
    days = desk.order_days(account_id)
    if len(days) < 3:
        return ""
    gaps = pd.Series(days).diff().dropna().map(lambda gap: gap.days)
    return desk.language.say(
        "Orders came every {gap} days (median); the last was {since} days ago.",
        gap=desk.formats.number(float(gaps.median())),
        since=desk.formats.number((desk.today - days[-1]).days),
    )


def _reasons(desk: Desk, why: pd.DataFrame) -> reasons.ReasonList:
    say = desk.language.say
    return reasons.in_points(
        desk.formats,
        why,
        name=desk.namer("account"),
        theme=desk.theme("account"),
        base_text=say("Where the model starts for any customer"),
        total_text=say("Chance to leave"),
    )


def _facts(desk: Desk, account_id: str, fact: dict[str, Any], score: dict[str, Any] | None) -> list[tuple[str, str]]:
    f, say = desk.formats, desk.language.say
    rows = [
        (say("Segment"), words.text_or(fact["segment"], "—")),
        (say("Industry"), words.text_or(fact["industry"], "—")),
        (say("Country"), words.text_or(fact["country"], "—")),
        (say("Owner"), words.text_or(desk.names.get(fact["owner_id"]) or fact["owner_id"], "—")),
    ]
    if score is not None:
        rows.append((say("Yearly value"), f.money_full(number(score["yearly_value"]))))
        rows.append((say("Value at risk"), f.money_full(number(score["value_at_risk"]))))
    if (likely := next_product(desk.view, account_id, at=desk.as_of)) is not None:
        said = say("{product}: {chance} of the next new products of customers like it",
                   product=likely.name, chance=f.chance(likely.chance))  # fmt: skip
        rows.append((say("Likely to buy next"), said))
    return rows


def _event(desk: Desk, row: dict[str, Any]) -> Event:
    f, say, when = desk.formats, desk.language.say, words.moment(row["happened_at"])
    amount = number(row["amount"])
    money = f.money_in(amount, words.text_or(row["currency"], ""))
    if row["what"] == "order":
        back = row["detail"] == "return"
        text = say("Return of {amount}", amount=money) if back else say("Order of {amount}", amount=money)
    elif row["what"] == "subscription" and row["detail"] == "start":
        text = say("Subscription began, {amount} a month", amount=money)
    elif row["what"] == "subscription":
        text = say("Subscription ended, {amount} a month", amount=money)
    else:
        text = words.event(desk.language, str(row["what"]), row["detail"])
    return Event(when.isoformat() if when else "", f.date(when), text)


def _deals(desk: Desk, account_id: str) -> list[dict[str, str]]:
    f, scores = desk.formats, desk.frame("deals")
    if scores.empty:
        return []
    every = listing.open_deals(scores, desk.facts.deals, desk.names, pd.Timestamp(desk.as_of))
    own = every[every["account_id"] == account_id].sort_values("expected_amount", ascending=False)
    return [
        {
            "deal_id": str(r["deal_id"]),
            "name": words.text_or(r["name"], str(r["deal_id"])),
            "stage": words.text_or(r["stage"], ""),
            "amount": f.money_full(number(r["amount"])),
            "chance": f.chance(number(r["win_probability"])),
        }
        for r in own.reset_index().to_dict("records")
    ]
