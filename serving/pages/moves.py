"""What moved a forecast since last week, and the math behind it down to single deals."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import NamedTuple
from urllib.parse import quote

import pandas as pd

from serving import waterfall
from serving.charts import Figure
from serving.charts import waterfall as draw
from serving.dependencies import Server
from serving.ledger import Entity, Sealed
from serving.pages import facts, words
from serving.pages.desk import Desk
from serving.pages.outlook import Outcome
from serving.waterfall import Between, Cause, Standing, Step

_HALF = 0.5  # what rounds to nothing is not told


class Line(NamedTuple):
    """A deal's part of a step or a sum; `address` is empty for what is no single deal, or none that may be opened."""

    name: str
    under: str
    address: str
    said: str


class Move(NamedTuple):
    """A step in words, with the deals behind it."""

    cause: str
    name: str
    meaning: str
    said: str
    up: bool
    size: str
    lines: list[Line]


class Moves(NamedTuple):
    """What moved a forecast: the sentence, the picture, each step; or why there is nothing to compare with."""

    finding: str
    note: str
    figure: Figure | None
    first: str
    last: str
    steps: list[Move]


def moves_of(
    desk: Desk,
    server: Server,
    outcome: Outcome,
    entity: Entity,
    ident: str,
    members: list[str] | None,
    *,
    lines: int = 0,
) -> Moves | None:
    """Why this forecast is not what it was a week ago; None where the forecast is not about money.

    Of each step so many deals are named, and the others counted.
    """
    say = desk.language.say
    if not outcome.money:
        return None
    period = desk.company.period_of(desk.today)
    old = waterfall.earlier(server.ledger, entity, as_of=desk.as_of, period=period, company=desk.company)
    nothing = Moves(say("There is no earlier forecast of this period to compare with."), "", None, "", "", [])
    if old is None:
        return nothing
    before = _before(server, entity, ident, outcome, old)
    if before is None:
        return nothing
    after = now_of(desk, entity, ident)
    found = waterfall.steps(before, after, _between(desk, pd.Timestamp(old.as_of), outcome, members))
    return _told(desk, before, after, found, old, lines)


def now_of(desk: Desk, entity: Entity, ident: str) -> Standing:
    """The standing of the newest scores."""
    row = desk.one_row(f"{entity}s", f"{entity}_id", ident)
    return waterfall.standing(pd.Series(row), desk.frame("deals"))


def _before(server: Server, entity: Entity, ident: str, outcome: Outcome, old: Sealed) -> Standing | None:
    """The standing as it was sealed; None where it does not name this one."""
    rows = _sealed(server, old.number)
    if rows.empty:
        return None
    starts = pd.to_datetime(rows["period_start"]).dt.date
    mine = rows[(rows[f"{entity}_id"] == ident) & (rows["metric"] == outcome.metric) & (starts == outcome.start)]
    same = (r for r in server.ledger.sealed(entity="deal") if (r.kind, r.as_of) == (old.kind, old.as_of))
    deals = next(same, None)
    if mine.empty or deals is None:
        return None
    return waterfall.standing(mine.iloc[0], _sealed(server, deals.number))


def _between(desk: Desk, since: pd.Timestamp, outcome: Outcome, members: list[str] | None) -> Between:
    until = pd.Timestamp(desk.as_of)
    log, credit = _read(desk, since, until)
    share = waterfall.shares_of(credit, members)
    deals = desk.facts.deals
    sales = deals[deals["kind"].fillna("new") != "lead"]
    ended = pd.to_datetime(sales["closed_at"], utc=True)
    closed = sales[(ended > since) & (ended <= until)]
    booked = closed["amount"].fillna(0.0).astype(float) * share.reindex(closed.index).fillna(0.0)
    dates = log[log["field"] == "close_date"]
    return Between(
        pd.DataFrame({"outcome": closed["outcome"], "booked": booked}),
        frozenset(deals.index[pd.to_datetime(deals["created_at"], utc=True) > since]),
        frozenset(dates["deal_id"][dates["became"].fillna("") > dates["was"].fillna("9")]),
        frozenset(log["deal_id"][log["field"] == "amount"]),
        share,
        waterfall.shares_of(waterfall.credit_before(credit, log), members),
    )


_kept: OrderedDict[tuple[object, ...], tuple[pd.DataFrame, ...]] = OrderedDict()
_lock = Lock()


def _read(desk: Desk, since: pd.Timestamp, until: pd.Timestamp) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Net changes between two moments and who is credited, of a data cut."""

    def read() -> tuple[pd.DataFrame, ...]:
        log = facts.moved(desk.view, since=since.to_pydatetime(), until=until.to_pydatetime())
        return log, waterfall.credits_of(desk.view)

    log, credit = _once(("lake", desk.cut, since, until), read)
    return log, credit


def _sealed(server: Server, number: int) -> pd.DataFrame:
    """A row of the ledger, which never changes but for being emptied."""
    return _once(("ledger", str(server.home.root), number), lambda: (server.ledger.row(number),))[0]


def _once(key: tuple[object, ...], read: Callable[[], tuple[pd.DataFrame, ...]]) -> tuple[pd.DataFrame, ...]:
    with _lock:
        if key not in _kept:
            _kept[key] = read()
            while len(_kept) > 12:
                _kept.popitem(last=False)
        _kept.move_to_end(key)
        return _kept[key]


def _told(desk: Desk, before: Standing, after: Standing, found: list[Step], old: Sealed, lines: int) -> Moves:
    f, say = desk.formats, desk.language.say
    names = _names(desk)
    shown = _rounded(before.total, [step for step in found if step.deals or abs(step.amount) >= _HALF])
    steps = [_move(desk, step, *names[step.cause], lines) for step in shown]
    note = say("Compared with the forecast issued on {day}.", day=f.date(old.as_of))
    if old.kind == "reconstructed":
        note = say(
            "Compared with the forecast of {day}, reconstructed afterwards from what was known then.",
            day=f.date(old.as_of),
        )
    title = _finding(desk, before, after, shown, names, old)
    figure = draw(
        f,
        title=title,
        first=(f.date(old.as_of), before.total),
        steps=pd.DataFrame([(names[s.cause][0], s.amount) for s in shown], columns=["name", "amount"]),
        last=(f.date(desk.as_of), after.total),
    )
    return Moves(title, note, figure, f.money_full(before.total), f.money_full(after.total), steps)


def _rounded(start: float, found: list[Step]) -> list[Step]:
    """Steps in whole units, as differences of rounded sums: what one reads adds up."""
    sums = [start]
    for step in found:
        sums.append(sums[-1] + step.amount)
    whole = [float(round(x)) for x in sums]
    return [step._replace(amount=b - a) for step, a, b in zip(found, whole, whole[1:], strict=False)]


def _finding(
    desk: Desk,
    before: Standing,
    after: Standing,
    steps: list[Step],
    names: dict[Cause, tuple[str, str]],
    old: Sealed,
) -> str:
    """One sentence: how much, since when, and the two largest causes."""
    f, say = desk.formats, desk.language.say
    change, day = after.total - before.total, f.date(old.as_of)
    largest = sorted((s for s in steps if round(s.amount)), key=lambda s: -abs(s.amount))[:2]
    causes = (", " if desk.language.code != "zh" else "，").join(
        f"{names[s.cause][0]} {signed(desk, s.amount)}" for s in largest
    )
    if abs(change) < max(abs(before.total) * 0.005, 0.5) or not largest:
        return say("The expected total has hardly moved since {day}.", day=day)
    values = {"amount": f.money(abs(change)), "day": day, "causes": causes}
    if change > 0:
        return say("The expected total rose by {amount} since {day}: {causes}.", **values)
    return say("The expected total fell by {amount} since {day}: {causes}.", **values)


def signed(desk: Desk, amount: float, *, full: bool = False) -> str:
    """Money with its sign."""
    text = desk.formats.money_full(amount) if full else desk.formats.money(amount)
    return text if text.startswith("−") or not round(amount) else f"+{text}"


def _names(desk: Desk) -> dict[Cause, tuple[str, str]]:
    """Name and meaning of each cause."""
    say = desk.language.say
    return {
        "won": (say("Won"), say("What they brought, less what was expected of them before.")),
        "lost": (say("Lost"), say("What was expected of deals that were lost since.")),
        "slipped": (say("Slipped"), say("Their planned close date was moved to a later day.")),
        "amount": (say("Amount changed"), say("At the chance they had before.")),
        "created": (say("New deals"), say("Deals created since, at their chance to be won in the period.")),
        "hands": (say("Changed hands"), say("Deals that came from others or went to them.")),
        "to_come": (
            say("Still to be created"),
            say("What is expected of deals not yet created shrinks as days pass and deals come."),
        ),
        "model": (
            say("Rated anew"),
            say("The same deals at a new chance, and the correction that the simulation learnt from past periods."),
        ),
    }


def _move(desk: Desk, step: Step, name: str, meaning: str, most: int) -> Move:
    say_n = desk.language.say_n
    ordered = sorted(step.deals.items(), key=lambda item: -abs(item[1]))
    lines = [deal_line(desk, deal, signed(desk, amount, full=True)) for deal, amount in ordered[:most]]
    left = sum(amount for _, amount in ordered[most:])
    if len(ordered) > most:
        text = say_n("{n} more deal", "{n} more deals", len(ordered) - most)
        lines.append(Line(text, "", "", signed(desk, left, full=True)))
    if step.deals and abs(step.rest) >= _HALF:
        lines.append(Line(desk.language.say("Not of single deals"), "", "", signed(desk, step.rest, full=True)))
    count = say_n("{n} deal", "{n} deals", len(step.deals)) if step.deals else ""
    return Move(step.cause, name, meaning, signed(desk, step.amount, full=True), step.amount >= 0, count, lines)


def deal_line(desk: Desk, deal: str, said: str) -> Line:
    """A deal by name where the visitor may open it."""
    deals = desk.facts.deals
    if deal not in deals.index or not desk.sight.owner(deals.at[deal, "owner_id"]):
        return Line(desk.language.say("A deal of someone else"), "", "", said)
    name, account = words.text_or(deals.at[deal, "name"], deal), words.text_or(deals.at[deal, "account"], "")
    owner = desk.names.get(deals.at[deal, "owner_id"], "")
    under = " · ".join(text for text in ("" if account in name else account, owner) if text)
    return Line(name, under, f"/deals/{quote(deal, safe='')}", said)
