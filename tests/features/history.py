"""A company's tables as they were at a moment: rows written down later dropped, values put back."""

from datetime import datetime

import pandas as pd
import pyarrow as pa

from crm.lake import TableView, View
from crm.schema import LOGGED_FIELDS, TABLES

# Columns that were empty until the time in another column had come.
_UNTIL = {
    "deals": ("closed_at", ("loss_reason", "competitor", "lost_to_account_id")),
    "orders": ("cancelled_at", ()),
    "tickets": ("closed_at", ("satisfaction",)),
    "subscriptions": ("ended_on", ()),
    "contacts": ("left_at", ()),
    "reps": ("left_on", ()),
}
_CLOCKS = {"fx_rates": "on_date", "subscriptions": "started_on", "goals": "period_start"}


def as_it_was(view: View, at: datetime) -> TableView:
    """Every table cut at a moment, by pandas and by undoing the log from its end."""
    moment = pd.Timestamp(at)
    frames = {name: view.arrow(name).to_pandas() for name in view.present}
    frames["deals"] = _undone(frames["deals"], frames["deal_changes"], moment)
    return TableView({name: _table(view, name, _cut(name, frame, moment)) for name, frame in frames.items()})


def _cut(name: str, frame: pd.DataFrame, moment: pd.Timestamp) -> pd.DataFrame:
    clock = known_at(name, frame)
    if clock is not None:
        frame = frame[clock.isna() | (clock <= moment)].copy()
    if name in _UNTIL:
        when, others = _UNTIL[name]
        later = _moments(frame[when]) > moment
        frame.loc[later, [when, *others]] = None
        if name == "deals":
            frame.loc[later, "outcome"] = "open"
    return frame


def known_at(name: str, frame: pd.DataFrame) -> pd.Series | None:
    """When each row was written down; None for tables whose rows carry no time."""
    clock = _CLOCKS.get(name) or TABLES[name].clock
    if clock is None:
        return None
    names = clock.removeprefix("coalesce(").removesuffix(")").split(", ")
    moments = [_moments(frame[column]) for column in names]
    if name == "goals":
        moments.insert(0, _moments(frame["recorded_at"]))
    return moments[0].fillna(moments[-1])


def _undone(deals: pd.DataFrame, changes: pd.DataFrame, moment: pd.Timestamp) -> pd.DataFrame:
    deals = deals.set_index("deal_id", drop=False)
    known = known_at("deal_changes", changes)
    newest_first = changes.assign(known=known).sort_values(["changed_at", "_seq"], ascending=False)
    later = newest_first.groupby(["deal_id", "field"])["known"].transform("max") > moment
    for (deal, field), log in newest_first[later].groupby(["deal_id", "field"]):
        value, undone = None, False
        for change in log.itertuples():
            if change.known <= moment:
                break
            value, undone = change.old_value, True
        if undone and field in (*LOGGED_FIELDS,):
            deals.at[deal, field] = _read(field, value)
    return deals.reset_index(drop=True)


def _read(field: str, value: str | None) -> object:
    if value is None or pd.isna(value):
        return None
    if field == "amount":
        return round(float(value), 2)
    return pd.Timestamp(value).date() if field == "close_date" else value


def _moments(values: pd.Series) -> pd.Series:
    return pd.to_datetime(values, utc=True)


def _table(view: View, name: str, frame: pd.DataFrame) -> pa.Table:
    schema = view.arrow(name).schema
    columns = []
    for item in schema:
        values = frame[item.name]
        if pa.types.is_decimal(item.type):
            floats = [None if pd.isna(v) else round(float(v), 2) for v in values]
            columns.append(pa.array(floats, pa.float64()).cast(item.type, safe=False))
        else:
            columns.append(pa.array([None if pd.isna(v) else v for v in values], item.type))
    return pa.table(columns, schema=schema)
