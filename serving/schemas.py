"""What the API gives: one model an answer, made from rows of the score files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import AfterValidator, BaseModel, Field, computed_field

from models.quality import Quality
from serving.feedback import Answer


def _without_null(text: str) -> str:
    if "\0" in text:
        raise ValueError("it holds a null character (U+0000); take it out")
    return text


WITHOUT_NULL = AfterValidator(_without_null)
"""For texts that are used before the store, which refuses null characters, sees them."""
Probability = Annotated[float, Field(ge=0, le=1)]
Moment = Annotated[datetime, Field(description="UTC.")]
ModelQuality = Annotated[
    Quality | None,
    Field(
        description="How good the model is: `no_signal`, no better than the base rate on past dates, so all get that "
        "rate; `untried`, too short a history to tell; `little_data`, forecasts lean on a rate; `tested`. Null where a "
        "model of an earlier version does not say."
    ),
]


class Reason(BaseModel):
    """What one feature adds to a prediction; with `base_value`, all of them add up to `prediction`."""

    feature: str
    value: float | str | None
    contribution: Annotated[float, Field(description="In the prediction's own unit: probability, or base currency.")]


class Reasons(BaseModel):
    """From where the model starts for anyone to the prediction."""

    base_value: float
    prediction: float
    contributions: list[Reason]


RangeState = Literal["known", "being computed"]
RANGE_STATE = "A model is in use before its ranges are there; they follow by themselves."


def range_state(low: float | None) -> RangeState:
    """Whether a win probability has its range."""
    return "known" if low is not None else "being computed"


class DealRow(BaseModel):
    """An open deal with its forecast."""

    deal_id: str
    name: str | None
    account_id: str | None
    owner_id: str | None
    owner_name: str | None
    stage: str | None
    kind: str | None
    amount: Annotated[float | None, Field(description="In base currency.")]
    created_at: datetime | None
    close_date: date | None
    as_of: datetime
    win_probability: Probability
    win_probability_low: Annotated[float | None, Field(description="90 % range; null while it is being computed.")]
    win_probability_high: float | None
    expected_amount: Annotated[float | None, Field(description="Win probability times the amount expected when won.")]
    expected_close_date: date | None
    p_win_in_period: Probability
    p_lose_in_period: Probability
    p_slip: Probability
    model_version: str
    main_reason: Reason | None
    next_action: str | None

    @computed_field(description=RANGE_STATE)  # type: ignore[prop-decorator]
    @property
    def win_probability_range(self) -> RangeState:
        """Whether the range is there."""
        return range_state(self.win_probability_low)


class DealList(BaseModel):
    """A page of deals; `next_cursor` gives the next one, null at the end."""

    as_of: datetime
    quality: ModelQuality
    total: int
    deals: list[DealRow]
    next_cursor: str | None


class CurvePoint(BaseModel):
    """Shares won and lost by a day from now."""

    day: float
    won: float
    lost: float


class PeriodShare(BaseModel):
    """Shares won and lost within so many days."""

    days: int
    won: Probability
    lost: Probability


class PastScore(BaseModel):
    """What was said of a deal at an earlier moment."""

    as_of: datetime
    kind: Annotated[Literal["issued", "reconstructed"], Field(description="reconstructed: worked out afterwards.")]
    win_probability: float | None
    p_win_in_period: float | None
    model_version: str | None


class ScoreHistory(BaseModel):
    """A deal's forecasts as they were issued, oldest first, one a day; reconstructed ones are marked."""

    deal_id: str
    scores: list[PastScore]


class DealDetail(DealRow):
    """One deal with reasons and the curve of its end."""

    reasons: Reasons | None
    curve: list[CurvePoint]
    quality: ModelQuality
    note: Annotated[str, Field(description="How far the model is better than the base rate.")]


class Both(BaseModel):
    """A sentence in English and Chinese."""

    en: str
    zh: str


class Advice(BaseModel):
    """A next step; `basis` says what it rests on. An association is not a cause."""

    rank: int
    action: str
    due_in_days: int | None
    expected_uplift: Annotated[float | None, Field(description="Change of the win probability.")]
    uplift_low: Annotated[float | None, Field(description="90 % range.")]
    uplift_high: float | None
    basis: Literal["association", "adjusted", "measured"]
    reasons: Any
    would_change: Annotated[
        list[Both],
        Field(description="With which recorded fact it leaves the list, and what comes first in its place."),
    ]
    contact_id: Annotated[str | None, Field(description="With whom at the customer.")]
    colleague_id: Annotated[str | None, Field(description="The rep whom `hand_over` names.")]
    expected_value: float | None
    answer: Annotated[
        str | None, Field(description="What you said about it: done, helped, did_not_help, not_now, wrong.")
    ]


class AdviceList(BaseModel):
    """Next steps of a deal, best first; horizon: 'won' means within so many days."""

    deal_id: str
    as_of: datetime
    horizon_days: int
    on_track: Annotated[
        bool, Field(description="In what can be changed it stands as deals won from its stage stood; no step is named.")
    ]
    advice: list[Advice]


class AdviceAnswer(BaseModel):
    """What you think of a suggestion: done or not now (it rests for two weeks), wrong (it does not come again)."""

    answer: Answer
    why: Annotated[str, Field(max_length=500)] = ""


class PeriodForecast(BaseModel):
    """Where a period ends for one metric."""

    metric: str
    period_start: date
    period_end: Annotated[date, Field(description="First day after the period.")]
    target: float | None
    actual_to_date: float | None
    p10: float
    p50: float
    p90: float
    p_attain: float | None
    expected_closed: float | None
    expected_open: float | None
    expected_new: float | None
    model_version: str


class RepForecast(BaseModel):
    """A rep's forecasts with what the expected total is made of."""

    rep_id: str
    name: str | None
    as_of: datetime
    forecasts: list[PeriodForecast]
    reasons: Reasons | None


class TeamForecast(BaseModel):
    """A team's forecasts; team 'company' is everyone."""

    team_id: str
    as_of: datetime
    forecasts: list[PeriodForecast]


class _Rep(BaseModel):
    rep_id: str
    name: str | None


class RepRow(PeriodForecast, _Rep):
    """Where one rep ends one period."""


class RepList(BaseModel):
    """Reps whose figures one may see."""

    as_of: datetime | None
    total: int
    reps: list[RepRow]
    next_cursor: Annotated[str | None, Field(description="Ask again with it for the next page; null at the end.")]


class _Team(BaseModel):
    team_id: Annotated[str, Field(description="'company' is everyone.")]
    name: str | None


class TeamRow(PeriodForecast, _Team):
    """Where one team ends one period."""


class TeamList(BaseModel):
    """Teams that one may see."""

    as_of: datetime | None
    total: int
    teams: list[TeamRow]
    next_cursor: Annotated[str | None, Field(description="Ask again with it for the next page; null at the end.")]


class AccountRow(BaseModel):
    """A customer's chance to leave."""

    account_id: str
    name: str | None
    as_of: datetime
    churn_probability: Probability
    horizon_days: int
    value_at_risk: Annotated[float | None, Field(description="Probability times yearly value, base currency.")]
    model_version: str


class AccountList(BaseModel):
    """A page of customers by value at risk."""

    as_of: datetime
    quality: ModelQuality
    total: int
    accounts: list[AccountRow]
    next_cursor: str | None


class NextProductOut(BaseModel):
    """A product that the customer does not have, and the chance that its next new product is this one."""

    product_id: str
    name: str
    chance: Probability


class SavePlay(BaseModel):
    """What may keep a customer: an association, not a measured effect."""

    play: str
    due_in_days: int
    en: str
    zh: str
    signs: Annotated[list[str], Field(description="Features that call for it, the largest first.")]
    points: Annotated[float, Field(description="How much higher the chance to leave is with these signs.")]
    value: Annotated[float | None, Field(description="The points times the yearly value, base currency.")]
    owner_id: str | None
    contact_id: Annotated[str | None, Field(description="The highest person there, of equals the last spoken to.")]
    basis: Literal["association"] = "association"
    answer: Annotated[
        str | None, Field(description="What you said about it: done, helped, did_not_help, not_now, wrong.")
    ]


class AccountDetail(AccountRow):
    """One customer with reasons."""

    plays: Annotated[list[SavePlay], Field(description="At most three, those with most behind them first.")]

    reasons: Reasons | None
    quality: ModelQuality
    note: str
    next_product: Annotated[
        NextProductOut | None,
        Field(description="Null where naming the most sold product that it does not have is as good."),
    ]


class JobStep(BaseModel):
    """A step of the work going on."""

    name: str
    state: Literal["waiting", "running", "done", "failed"]
    done: Probability
    text: str


class CalibrationBin(BaseModel):
    """Forecasts of about the same size beside the share that came true."""

    forecast: float
    realised: float
    low: float
    high: float
    rows: int


class DealAccuracyOut(BaseModel):
    """How good 'won by the end of the period' was, against the base rate known then."""

    as_ofs: int
    figures: dict[str, float]
    bins: list[CalibrationBin]


class TotalAccuracyOut(BaseModel):
    """How good period totals were, against the run rate."""

    figures: dict[str, float]


class AccuracyOut(BaseModel):
    """Accuracy of one kind of forecasts; empty figures where no period that was forecast is over."""

    kind: Literal["issued", "reconstructed"]
    deals: DealAccuracyOut
    reps: TotalAccuracyOut
    teams: TotalAccuracyOut


class AccuracyBoth(BaseModel):
    """Forecasts as issued, and apart those reconstructed for past dates."""

    issued: AccuracyOut
    reconstructed: AccuracyOut


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of a frame as plain values, missing ones as None."""
    return {key: plain_value(value) for key, value in row.items()}


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a frame as plain values."""
    return [plain(row) for row in frame.to_dict("records")]


def reasons_of(rows: pd.DataFrame) -> Reasons | None:
    """Reasons of one entity, the largest first; None where there are none."""
    if rows.empty:
        return None
    ordered = rows.reindex(rows["contribution"].abs().sort_values(ascending=False, kind="stable").index)
    first = ordered.iloc[0]
    return Reasons(
        base_value=float(first["base_value"]),
        prediction=float(first["prediction"]),
        contributions=[reason_of(row) for row in rows_of(ordered)],
    )


def reason_of(row: Mapping[str, Any]) -> Reason:
    """One reason from a row of reasons.parquet."""
    value = row["text"] if row["text"] is not None else row["value"]
    return Reason(feature=row["feature"], value=value, contribution=row["contribution"])


def json_or_text(value: Any) -> Any:
    """What stands as JSON text in a file as values."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def plain_value(value: Any) -> Any:
    """A value as Python has it, a missing one as None."""
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime()
    if isinstance(value, np.generic):
        return value.item()
    return value
