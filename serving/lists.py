"""Pages of a list by key: where a page ended stands in an opaque cursor, so that rows that come or go shift nothing."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from crm.errors import BadInput
from serving.exports import Format

MOST_ROWS = 200
_VALUE, _KEY = "_value", "_key"  # columns that rows in order have more


class BadCursor(BadInput):
    """The cursor is none that this list gave."""

    def __init__(self, cursor: str) -> None:
        super().__init__("cursor '{cursor}' is not of this list and order. Start again without it.", cursor=cursor[:80])


class BadRange(BadInput):
    """A lower bound lies above its upper one."""

    def __init__(self, low: str, low_value: object, high: str, high_value: object) -> None:
        super().__init__(
            "{low} {low_value} lies above {high} {high_value}. Swap them, or leave one out.",
            low=low,
            low_value=low_value,
            high=high,
            high_value=high_value,
        )


class Paging(BaseModel):
    """Which page of a list; an unknown parameter is refused, for a filter misspelt would show too much."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=MOST_ROWS, description="Rows of a page; files have all rows.")] = 50
    cursor: Annotated[str | None, Field(max_length=2000, description="`next_cursor` of the page before.")] = None
    format: Annotated[Format | None, Field(description="json, csv or xlsx; unset: what the Accept header asks.")] = None


@dataclass(frozen=True, slots=True)
class Order:
    """By a column, then by the row's key, which is unique; missing values come last.

    Attributes
    ----------
    wish : str
        Name of the column, with - before it for falling values.
    key : str
        Column of the key.
    """

    wish: str
    key: str

    @property
    def column(self) -> str:
        """The column sorted by."""
        return self.wish.removeprefix("-")

    @property
    def falling(self) -> bool:
        """Whether the largest comes first."""
        return self.wish.startswith("-")

    def sorted(self, rows: pd.DataFrame) -> pd.DataFrame:
        """All rows in this order, each with what it is compared by; those that have been sorted by it stay so."""
        if _VALUE in rows:
            return rows
        values = rows.assign(**{_VALUE: comparable(rows[self.column]), _KEY: rows[self.key].astype(str)})
        return values.sort_values([_VALUE, _KEY], ascending=[not self.falling, True], na_position="last")

    def page(self, rows: pd.DataFrame, paging: Paging) -> tuple[pd.DataFrame, str | None]:
        """The page's rows and the cursor of the next page; None at the end.

        Parameters
        ----------
        rows : shape (n, >= 2)
            In any order, or sorted by this one.

        Raises
        ------
        BadCursor
            If the cursor was not given for this order.
        """
        ordered = self.sorted(rows)
        if paging.cursor is not None:
            ordered = ordered[self._after(ordered, paging.cursor)]
        page = ordered.iloc[: paging.limit]
        return page, self._cursor(page) if len(ordered) > paging.limit else None

    def _after(self, rows: pd.DataFrame, cursor: str) -> pd.Series:
        value, key = self._read(cursor)
        values, later = rows[_VALUE], rows[_KEY] > key
        if value is None:
            return values.isna() & later
        if isinstance(value, float) != pd.api.types.is_numeric_dtype(values):
            raise BadCursor(cursor)
        beyond = values < value if self.falling else values > value
        return values.isna() | beyond | ((values == value) & later)

    def _cursor(self, page: pd.DataFrame) -> str:
        last = page.iloc[-1]
        value = last[_VALUE]
        known = None if pd.isna(value) else value if isinstance(value, str) else float(value)
        text = json.dumps([self.wish, known, last[_KEY]], ensure_ascii=False)
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def _read(self, cursor: str) -> tuple[float | str | None, str]:
        try:
            text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            wish, value, key = json.loads(text)
        except (binascii.Error, ValueError, TypeError):
            raise BadCursor(cursor) from None
        if wish != self.wish or not isinstance(key, str) or not isinstance(value, float | str | None):
            raise BadCursor(cursor)
        return value, key


def comparable(values: pd.Series) -> pd.Series:
    """Numbers as float64, everything else as text that sorts alike: days and moments in ISO form."""
    if pd.api.types.is_numeric_dtype(values):
        return values.astype("float64")
    iso = values.astype(object).map(lambda v: v.isoformat() if isinstance(v, date) else str(v), na_action="ignore")
    return iso.astype("str")


def within(rows: pd.DataFrame, column: str, low: Any, high: Any) -> pd.DataFrame:
    """The rows whose value lies from `low` to `high`, both included; a missing value lies nowhere.

    Raises
    ------
    BadRange
        If `low` is above `high`.
    """
    if low is not None and high is not None and low > high:
        raise BadRange(f"min_{column}", low, f"max_{column}", high)
    if low is not None:
        rows = rows[rows[column] >= low]
    return rows if high is None else rows[rows[column] <= high]
