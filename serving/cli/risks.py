"""Verbs about risks and contingency plans."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crm.errors import BadInput
from serving.cli.common import HomeDir, echo_table, home_that_is, store_of

if TYPE_CHECKING:
    from serving.home import Home
    from serving.store import Store
    from serving.tables.risks import StoredRisk

risks = typer.Typer(no_args_is_help=True, help="What may go wrong, and the plans for it.")
RiskId = Annotated[int, typer.Argument(min=1, help="Number of the risk.")]
_COLUMNS = "risk kind subject level state likelihood money expected_loss owner note".split()


class BadDay(BadInput):
    """A day is written in a way that is not known."""

    def __init__(self, text: str) -> None:
        super().__init__(f"'{text}' is no day. Give one such as 2026-03-31.")


def add_to(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.add_typer(risks, name="risks")


@risks.command("list")
def list_risks(
    closed: Annotated[bool, typer.Option("--closed", help="Closed ones too.")] = False,
    out: Annotated[Path | None, typer.Option("--out", help="File to write them to: .csv or .xlsx.")] = None,
    home: HomeDir = None,
) -> None:
    """List the risks that the last scoring found, the largest expected loss first.

    Example: bellwether risks list --out risks.xlsx
    """
    place = home_that_is(home)
    with store_of(place) as store:
        rows = [_line(risk) for risk in _shown(place, store) if closed or risk.state != "closed"]
    if out is not None:
        _write(rows, out)
    elif rows:
        echo_table(_COLUMNS, [[_cell(value) for value in row] for row in rows])
    else:
        typer.echo("No open risk. The rules run with each scoring: bellwether score")


@risks.command("set")
def set_risk(
    risk_id: RiskId,
    state: Annotated[str | None, typer.Option(help="open, mitigating or accepted.")] = None,
    owner: Annotated[str | None, typer.Option(help="rep_id of whose it is from now on.")] = None,
    note: Annotated[str | None, typer.Option(help="What is known or done about it.")] = None,
    until: Annotated[str | None, typer.Option(help="With accepted: opens again after this day.")] = None,
    why: Annotated[str, typer.Option(help="The reason; kept in the history.")] = "",
    home: HomeDir = None,
) -> None:
    """Set a risk's state, owner or note.

    Example: bellwether risks set 4 --state accepted --until 2026-03-31 --why "The buyer confirmed."
    """
    given = {"state": state, "owner_id": owner, "note": note, "accepted_until": _day(until)}
    with store_of(home_that_is(home)) as store:
        _echo(_register(store).change(risk_id, {k: v for k, v in given.items() if v is not None}, _by(why)))


@risks.command("undo")
def undo_risk(risk_id: RiskId, home: HomeDir = None) -> None:
    """Take back the newest change that a person made to a risk.

    Example: bellwether risks undo 4
    """
    with store_of(home_that_is(home)) as store:
        _echo(_register(store).undo(risk_id, _by("undone")))


@risks.command("plans")
def list_plans(home: HomeDir = None) -> None:
    """List contingency plans with their steps, running ones first.

    Example: bellwether risks plans
    """
    from serving.contingency import Plans

    place = home_that_is(home)
    with store_of(place) as store:
        shown = {(r.subject_kind, r.subject_id) for r in _shown(place, store)}
        views = [v for v in Plans(store).all() if (v.plan.subject_kind, v.plan.subject_id) in shown]
    if not views:
        typer.echo("No contingency plan has started. They start with the scoring that meets their trigger.")
        return
    columns = ["plan", "template", "subject", "state", "step", "what", "due", "owner", "done"]
    echo_table(
        columns,
        [
            [str(v.plan.plan_id), v.plan.template, v.plan.subject_id, v.plan.state, str(s.place), s.what,
             s.due.isoformat(), s.owner_id or "", s.state]
            for v in views for s in v.steps
        ],
    )  # fmt: skip


@risks.command("start")
def start_plan(risk_id: RiskId, home: HomeDir = None) -> None:
    """Start the contingency plan that fits a risk, filled with the newest scores.

    Example: bellwether risks start 4
    """
    import pandas as pd

    from serving.contingency import Plans, template_of
    from serving.risks import BadRiskChange
    from serving.scores import ScoreBook

    place = home_that_is(home)
    with store_of(place) as store:
        risk = _register(store).read(risk_id)
        template = template_of(risk)
        if template is None:
            raise BadRiskChange(f"risk_id: there is no plan for a risk of kind {risk.kind}.")
        frames = ScoreBook(place.scores, place.lake).newest(place.company()).frames
        curves = frames.get("curves", pd.DataFrame({"deal_id": [], "day": [], "won": []}))
        number = Plans(store).start(template, risk, _situation(place), curves)
        store.audit("command line", "contingency plan started", plan=number, template=template)
    typer.echo(f"plan {number} is started. Its steps: bellwether risks plans")


@risks.command("step")
def set_step(
    plan_id: Annotated[int, typer.Argument(min=1, help="Number of the plan.")],
    place: Annotated[int, typer.Argument(min=1, help="Which step of it.")],
    state: Annotated[str, typer.Argument(help="done, dropped or open.")],
    note: Annotated[str | None, typer.Option(help="What came of it.")] = None,
    home: HomeDir = None,
) -> None:
    """Set a step of a contingency plan.

    Example: bellwether risks step 2 1 done --note "Two deals slipped."
    """
    from serving.contingency import Plans

    fields = {"state": state} | ({"note": note} if note is not None else {})
    with store_of(home_that_is(home)) as store:
        view = Plans(store).set_step(plan_id, place, fields, _by(""))
    step = next(one for one in view.steps if one.place == place)
    typer.echo(f"plan {plan_id}, step {place} ({step.what}): {step.state}")


@risks.command("rehearse")
def rehearse_leaving(rep_id: Annotated[str, typer.Argument(help="Who leaves tomorrow.")], home: HomeDir = None) -> None:
    """Rehearse that a person leaves tomorrow: who takes over which deals, the quarter before and after.

    Example: bellwether risks rehearse U0003
    """
    from planning.contingency import rehearse
    from planning.handover import proposal
    from serving.access import Viewer
    from serving.cli.forecast import PersonsNotShown
    from serving.people_data.subjects import keys_of
    from serving.people_data.views import note_looks
    from serving.risk_desk import NoSuchPerson

    place = home_that_is(home)
    company = place.company()
    if company.people.level != "person":
        raise PersonsNotShown(company.people.level)
    s = _situation(place)
    if rep_id not in {person.rep_id for person in s.plan.people}:
        raise NoSuchPerson(rep_id)
    with store_of(place) as store:
        note_looks(store, Viewer("cli"), [rep_id], keys_of(s.plan.view), what="risks rehearse")
    plan, _, asked = proposal(s, rep_id)
    echo_table(
        ["deal", "to"], [*sorted(plan.taken.items(), key=lambda pair: pair[::-1]), *((d, "") for d in plan.left)]
    )
    typer.echo(f"{len(plan.taken)} deals handed over, {len(plan.left)} without room, {len(asked)} colleagues asked")
    for kind, told in rehearse(s, rep_id).items():
        for name, label in (("after_change", "without hand-over"), ("handed_over_change", "handed over")):
            change = told[name]
            typer.echo(f"{kind}, {label}: {change['middle']:,.0f} (80 % range {change['low']:,.0f} to "
                       f"{change['high']:,.0f})")  # fmt: skip


def _situation(place: Home) -> Any:
    from crm.lake import newest_event
    from serving.outcomes import read_outcomes
    from serving.risk_run import situation_of
    from serving.scores import ScoreBook

    company = place.company()
    scores = ScoreBook(place.scores, place.lake).newest(company)
    view = place.lake.at(int(scores.meta["data_cut"])) if scores.mark else place.lake.view()
    outcomes = read_outcomes(place.scores / scores.mark) if scores.mark else None
    return situation_of(view, company, scores.as_of or newest_event(view), scores.frames, outcomes)


def _shown(place: Home, store: Store) -> list[StoredRisk]:
    """Risks that whoever works at the machine may see: below level person none of persons or of too few."""
    from serving.access import Sight
    from serving.risks import sees
    from serving.scores import ScoreBook

    company = place.company()
    person = company.people.level == "person"
    sight = Sight() if person else Sight(persons=frozenset(), least=company.people.min_group)
    frames = ScoreBook(place.scores, place.lake).newest(company).seen_at_machine(company.people).frames
    teams = frozenset(frames["teams"]["team_id"]) if "teams" in frames else frozenset()
    every = [risk for risk in _register(store).all() if sees(sight, teams, risk, company)]
    return [risk for risk in every if person or risk.subject_kind != "rep"]


def _register(store: Store) -> Any:
    from serving.risks import Register

    return Register(store)


def _by(why: str) -> Any:
    from datetime import UTC, datetime

    from serving.goals import By

    return By(None, datetime.now(UTC), why or "command line")


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadDay(text) from None


def _line(risk: StoredRisk) -> list[Any]:
    subject = f"{risk.subject_kind} {risk.subject_id}" if risk.subject_kind != "company" else "company"
    return [risk.risk_id, risk.kind, subject, risk.level, risk.state, risk.likelihood, risk.money, risk.expected_loss,
            risk.owner_id, risk.note]  # fmt: skip


def _echo(risk: StoredRisk) -> None:
    typer.echo(f"risk {risk.risk_id}: {risk.state}, owner {risk.owner_id or 'nobody'}"
               f"{f', {risk.note}' if risk.note else ''}")  # fmt: skip


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.2f}" if value <= 1 else f"{value:,.0f}"
    return str(value)


def _write(rows: list[list[Any]], out: Path) -> None:
    from serving.cli.reports import BadReportFile
    from serving.exports import as_csv, as_xlsx, cell

    cells = [[cell(value) for value in row] for row in rows]
    writers = {".csv": as_csv, ".xlsx": as_xlsx}
    write = writers.get(out.suffix.lower())
    if write is None:
        raise BadReportFile(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(write(_COLUMNS, cells))
    typer.echo(f"{len(rows):,} risks in {out}")
