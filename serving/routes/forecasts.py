"""Where reps and teams end the period."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pandas as pd
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from crm.errors import NotFound
from serving.dependencies import AskedDep, NamesDep, ScoresDep, StoreDep, ViewDep, ViewerDep
from serving.documents import example, found_once, listed
from serving.examples import REP, REPS, TEAM, TEAMS
from serving.exports import file_answer, format_of
from serving.lists import Order, Paging
from serving.people_data.subjects import keys_of
from serving.people_data.views import note_looks
from serving.problems import NOTHING_HERE
from serving.schemas import (
    PeriodForecast,
    RepForecast,
    RepList,
    RepRow,
    TeamForecast,
    TeamList,
    TeamRow,
    reasons_of,
    rows_of,
)
from serving.scores import Scores

router = APIRouter(tags=["forecasts"])
_ROW = "_row"


class NoForecast(NotFound):
    """No such rep or team, or not for this viewer."""

    def __init__(self) -> None:
        super().__init__(NOTHING_HERE)


class ForecastWish(Paging):
    """Filters, order and page of a list of forecasts."""

    metric: Annotated[Literal["bookings", "won_deals"] | None, Field(description="Unset: each.")] = None
    sort: Annotated[
        Literal["-p50", "p50", "-p_attain", "p_attain", "-target", "target"],
        Field(description="Field, with - before it for the largest first; missing values last."),
    ] = "-p50"


@router.get("/reps", response_model=RepList, responses=listed(REPS))
def list_reps(
    request: Request,
    wish: Annotated[ForecastWish, Query()],
    scores: ScoresDep,
    names: NamesDep,
    viewer: ViewerDep,
    view: ViewDep,
    store: StoreDep,
) -> RepList | Response:
    """Where reps end their periods: those whose figures you may see; JSON by page, or a whole file."""
    order, every = Order(wish.sort, _ROW), _wished(scores, "reps", "rep_id", wish.metric)
    form = format_of(wish.format, request.headers.get("accept", ""))
    page, following = (order.sorted(every), None) if form != "json" else order.page(every, wish)
    note_looks(store, viewer, page["rep_id"], keys_of(view), what="api forecast")
    rows = _named(RepRow, page, "rep_id", names)
    if form != "json":
        return file_answer(rows, RepRow, "reps", form, {})
    return RepList(as_of=scores.as_of, total=len(every), reps=rows, next_cursor=following)


@router.get("/teams", response_model=TeamList, responses=listed(TEAMS))
def list_teams(request: Request, wish: Annotated[ForecastWish, Query()], asked: AskedDep) -> TeamList | Response:
    """Where teams end their periods, the company among them where you see it; JSON by page, or a whole file."""
    order, every = Order(wish.sort, _ROW), _wished(asked.scores, "teams", "team_id", wish.metric)
    form = format_of(wish.format, request.headers.get("accept", ""))
    page, following = (order.sorted(every), None) if form != "json" else order.page(every, wish)
    names = {team["team_id"]: team["name"] for team in asked.view.arrow("teams").to_pylist()}
    rows = _named(TeamRow, page, "team_id", names)
    if form != "json":
        return file_answer(rows, TeamRow, "teams", form, {})
    return TeamList(as_of=asked.scores.as_of, total=len(every), teams=rows, next_cursor=following)


@router.get("/reps/{rep_id}/forecast", responses=example(REP))
def read_rep_forecast(
    rep_id: str, scores: ScoresDep, names: NamesDep, viewer: ViewerDep, view: ViewDep, store: StoreDep
) -> RepForecast:
    """Where one rep ends the period, and what that is made of; below level `person`, for that rep alone."""
    rows, reasons = _rows(scores, "reps", "rep_id", rep_id), scores.frame("reasons")
    note_looks(store, viewer, [rep_id], keys_of(view), what="api forecast")
    own = reasons[(reasons["entity"] == "rep") & (reasons["entity_id"] == rep_id)]
    return RepForecast(
        rep_id=rep_id,
        name=names.get(rep_id),
        as_of=_as_of(scores),
        forecasts=_forecasts(rows),
        reasons=reasons_of(own),
    )


@router.get("/teams/{team_id}/forecast", responses=found_once(TEAM))
def read_team_forecast(team_id: str, asked: AskedDep) -> TeamForecast:
    """Where one team ends the period; 'company' is everyone."""
    scores = asked.scores
    rows = _rows(scores, "teams", "team_id", team_id)
    return TeamForecast(team_id=team_id, as_of=_as_of(scores), forecasts=_forecasts(rows))


def _wished(scores: Scores, name: str, key: str, metric: str | None) -> pd.DataFrame:
    """Forecasts of one metric or of each, with what tells a row from all others in `_ROW`."""
    frame = scores.frame(name)
    frame = frame if metric is None else frame[frame["metric"] == metric]
    return frame.assign(**{_ROW: [f"{k} {m} {s}" for k, m, s in frame[[key, "metric", "period_start"]].to_numpy()]})


def _named(of: type[BaseModel], rows: pd.DataFrame, key: str, names: Mapping[str, str]) -> list[Any]:
    return [
        of(**{name: row.get(name) for name in of.model_fields if name != "name"}, name=names.get(row[key]))
        for row in rows_of(rows)
    ]


def _rows(scores: Scores, name: str, key: str, ident: str) -> pd.DataFrame:
    frame = scores.frame(name)
    found = frame[frame[key] == ident]
    if found.empty:
        raise NoForecast
    return found


def _forecasts(rows: pd.DataFrame) -> list[PeriodForecast]:
    return [PeriodForecast(**{name: row.get(name) for name in PeriodForecast.model_fields}) for row in rows_of(rows)]


def _as_of(scores: Scores) -> Any:
    return scores.as_of
