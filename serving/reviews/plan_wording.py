"""The plan's sections of a pack in words: risks and plans that run, the funnel, plan against reality with levers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any
from urllib.parse import quote

from planning.report_parts import Kind
from serving.format import MISSING, Formats
from serving.pages import report_words, risk_words
from serving.pages.reports import cell_text
from serving.pages.signal_words import basis_names, chance_change, lever_name, nothing_parts, signal_text
from serving.proposals import Proposal
from serving.reports import records
from serving.reviews.material import Material
from serving.reviews.plan_parts import PlanParts
from serving.reviews.sheet import Cell, Section, Table, text_cell
from serving.risks import money_shown
from serving.tables.risks import StoredRisk

_FUNNEL = "stage entered advance median_days passed_30 passed_30_before change cost".split()
_COVER = 3


def register_section(f: Formats, material: Material, parts: PlanParts, since: date) -> Section:
    """Open risks of the register, what is new among them, and the contingency plans that run."""
    say, say_n = f.language.say, f.language.say_n
    title = say("Risks")
    lines = [say("No open risk. The rules run with each scoring.")]
    tables = list[Table]()
    if parts.risks:
        whole = len(parts.risks) + parts.others
        lines = [say_n("{n} risk; sums of several say nothing, since they overlap.",
                       "{n} risks; sums of several say nothing, since they overlap.", whole)]  # fmt: skip
        fresh = sum(_new(material, risk, since) for risk in parts.risks)
        if fresh:
            lines.append(say_n("{n} of them is new since the last review.",
                               "{n} of them are new since the last review.", fresh))  # fmt: skip
        tables.append(_risks(f, material, parts, since))
    if parts.plans:
        lines.append(say_n("{n} contingency plan runs.", "{n} contingency plans run.", len(parts.plans)))
        tables.append(_plans(f, material, parts))
    return Section("risks", title, tuple(lines), tuple(tables))


def funnel_section(f: Formats, material: Material, parts: PlanParts) -> Section:
    """The funnel of the period against the one before, bottlenecks named."""
    say, found = f.language.say, parts.funnel
    title = say("Funnel")
    if found is None or not len(found.tables[0].rows):
        return Section("funnel", title, (say("No deal entered a stage in this time."),))
    table, heads = found.tables[0], report_words.column_names(f)
    kinds = [table.columns[name] for name in _FUNNEL]
    rows = tuple(
        tuple(_cell(f, kind, name, row[name]) for name, kind in zip(_FUNNEL, kinds, strict=True))
        for row in records(table)
    )
    right = frozenset(place for place, kind in enumerate(kinds) if kind != "text")
    called: dict[str, str] = {}
    shown = Table(tuple(heads[name] for name in _FUNNEL), rows, right)
    return Section("funnel", title, (report_words.finding(f, found, called),), (shown,))


def levers_section(f: Formats, material: Material, parts: PlanParts) -> Section:
    """Where plan and reality part, and what levers would change on the quarter's own draws."""
    say, say_n = f.language.say, f.language.say_n
    lines = [nothing_parts(f)]
    tables = list[Table]()
    if parts.signals:
        lines = [say_n("{n} place where plan and reality part.", "{n} places where plan and reality part.",
                       len(parts.signals))]  # fmt: skip
        told = [signal_text(f, material, one) for one in parts.signals]
        rows = tuple((text_cell(what), text_cell(detail)) for what, detail in told)
        tables.append(Table((say("Where"), say("How far")), rows))
    if parts.levers:
        lines.append(say("Levers, drawn on the same luck; the largest gain first:"))
        head = (say("Lever"), say("Gain on average"), say("80% range"), say("Chance to reach the goal"), say("Basis"))
        tables.append(Table(head, tuple(_lever(f, material, one) for one in parts.levers), frozenset({1, 2})))
    elif parts.levers is None:
        lines.append(say("Levers are compared on the page Adjusting; from then on they stand here."))
    return Section("levers", say("Plan against reality, and levers"), tuple(lines), tuple(tables))


def caller(f: Formats, material: Material) -> risk_words.Called:
    """What subjects of risks and plans are called."""
    say, facts = f.language.say, material.facts

    def name(kind: str, key: str) -> str:
        rows: dict[str, Callable[[], Any]] = {
            "company": lambda: say("The company"), "team": lambda: material.team_name(key),
            "rep": lambda: material.name(key), "account": lambda: facts.accounts["name"].get(key),
            "deal": lambda: facts.deals["name"].get(key), "product": lambda: facts.products.get(key),
            "source": lambda: say("Table {name}", name=key),
        }  # fmt: skip
        found = rows.get(kind, lambda: key)()
        return found if isinstance(found, str) and found else key

    return name


def _risks(f: Formats, material: Material, parts: PlanParts, since: date) -> Table:
    say, name = f.language.say, caller(f, material)
    head = (
        say("Risk"), say("What may happen"), say("Owner"), say("State"), say("Chance"),
        say("Money at stake, {unit}", unit=f.currency), say("Chance times money, {unit}", unit=f.currency),
    )  # fmt: skip
    kinds, states = risk_words.kinds(f), risk_words.states(f)
    rows = []
    for risk in parts.risks:
        shown = money_shown(material.sight, risk)
        money, loss = (risk.money, risk.expected_loss) if shown else (None, None)
        chance = say("a fact") if risk.likelihood == 1 else f.chance(risk.likelihood)
        kind = kinds.get(risk.kind, risk.kind)
        fresh = _new(material, risk, since)
        rows.append(
            (text_cell(say("{what} · new", what=kind) if fresh else kind, f"/risks/{risk.risk_id}"),
             text_cell(risk_words.sentence(f, risk, name)),
             text_cell(material.name(risk.owner_id) if risk.owner_id else MISSING), text_cell(states[risk.state]),
             Cell(chance, risk.likelihood), Cell(f.money_full(money), money), Cell(f.money_full(loss), loss))
        )  # fmt: skip
    return Table(head, tuple(rows), frozenset({4, 5, 6}))


def _new(material: Material, risk: StoredRisk, since: date) -> bool:
    return risk.opened_at.astimezone(material.company.zone).date() >= since


def _plans(f: Formats, material: Material, parts: PlanParts) -> Table:
    say, name = f.language.say, caller(f, material)
    head = (say("Contingency plan"), say("Started on"), say("Steps done"), say("Gap, {unit}", unit=f.currency),
            say("Covered by the list, {unit}", unit=f.currency), say("First of them"))  # fmt: skip
    rows = []
    for view in parts.plans:
        plan, filled = view.plan, view.filled
        done = sum(step.state != "open" for step in view.steps)
        title = f"{risk_words.templates(f)[plan.template]}: {name(plan.subject_kind, plan.subject_id)}"
        first = filled.get("cover", [])[:_COVER]
        deals = [name("deal", line["deal_id"]) if line["deal_id"] else name("account", line["account_id"])
                 for line in first]  # fmt: skip
        rows.append(
            (text_cell(title, f"/risks/plans/{quote(str(plan.plan_id))}"),
             Cell(f.date(plan.started_at), plan.started_at.date()),
             text_cell(say("{done} of {all}", done=f.number(done), all=f.number(len(view.steps)))),
             _money(f, filled.get("gap")), _money(f, filled.get("covered")), text_cell("; ".join(deals)))
        )  # fmt: skip
    return Table(head, tuple(rows), frozenset({2, 3, 4}))


def _money(f: Formats, value: float | None) -> Cell:
    return Cell(f.money_full(value), value)


def _cell(f: Formats, kind: Kind, column: str, value: Any) -> Cell:
    return Cell(cell_text(f, kind, column, value, {}), value)


def _lever(f: Formats, material: Material, one: Proposal) -> tuple[Cell, ...]:
    total = one.total
    return (
        text_cell(lever_name(f, material, one.lever)), Cell(f.money(total.gain), total.gain),
        text_cell(f"{f.money(total.gain_low)} – {f.money(total.gain_high)}"), text_cell(chance_change(f, one)),
        text_cell(basis_names(f, one.basis)),
    )  # fmt: skip
