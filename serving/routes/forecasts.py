"""Where reps and teams end the period."""

from __future__ import annotations

from typing import Any

import pandas as pd
from fastapi import APIRouter

from crm.errors import NotFound
from serving.dependencies import AskedDep, NamesDep, ScoresDep, StoreDep, ViewDep, ViewerDep
from serving.documents import example, found_once
from serving.examples import REP, TEAM
from serving.people_data.subjects import keys_of
from serving.people_data.views import note_looks
from serving.problems import NOTHING_HERE
from serving.schemas import PeriodForecast, RepForecast, TeamForecast, reasons_of, rows_of
from serving.scores import Scores

router = APIRouter(tags=["forecasts"])


class NoForecast(NotFound):
    """No such rep or team, or not for this viewer."""

    def __init__(self) -> None:
        super().__init__(NOTHING_HERE)


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
