"""How good forecasts were."""

from __future__ import annotations

from fastapi import APIRouter

from serving.accuracy import Accuracy
from serving.dependencies import ServerDep, SightDep
from serving.documents import example
from serving.examples import ACCURACY
from serving.schemas import AccuracyBoth, AccuracyOut, CalibrationBin, DealAccuracyOut, TotalAccuracyOut, rows_of

router = APIRouter(tags=["accuracy"])


@router.get("/accuracy", responses=example(ACCURACY))
def read_accuracy(server: ServerDep, sight: SightDep) -> AccuracyBoth:
    """Forecasts against what came, of the whole company, beside baselines known then."""
    return AccuracyBoth(issued=_out(server.accuracy("issued")), reconstructed=_out(server.accuracy("reconstructed")))


def _out(found: Accuracy) -> AccuracyOut:
    return AccuracyOut(
        kind=found.kind,
        deals=DealAccuracyOut(
            as_ofs=found.deals.as_ofs,
            figures=found.deals.figures,
            bins=[CalibrationBin(**row) for row in rows_of(found.deals.bins)],
        ),
        reps=TotalAccuracyOut(figures=found.reps.figures),
        teams=TotalAccuracyOut(figures=found.teams.figures),
    )
