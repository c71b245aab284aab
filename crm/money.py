"""Any currency to the company's base currency, at the day's rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from crm.company import Company
from crm.lake import View, connect

# A rate holds until the next one; the first also before it, so that old deals are not lost.
_RATES = """
create or replace temp table fx as
select currency,
       case when row_number() over w = 1 then timestamptz '0001-01-01' else on_date::timestamptz end as valid_from,
       coalesce(lead(on_date) over w, date '9999-01-01')::timestamptz as valid_to,
       rate_to_base as rate
from fx_rates where currency <> $base
window w as (partition by currency order by on_date)
union all
select unnest([$base, '']), timestamptz '0001-01-01', timestamptz '9999-01-01', 1.0
"""


def attach_rates(con: duckdb.DuckDBPyConnection, company: Company) -> None:
    """Make the table `fx` on a connection that a view is attached to.

    Columns: `currency` ('' for the base currency of rows that name none), `valid_from`, `valid_to` (exclusive, UTC),
    `rate` (base currency for one unit). Join on `coalesce(currency, '')`; where no row fits, the amount is not known.
    """
    con.execute(_RATES, {"base": company.base_currency})


def to_base(
    amounts: Sequence[Any] | pd.Series,
    currencies: Sequence[Any] | pd.Series,
    days: Sequence[Any] | pd.Series,
    *,
    view: View,
    company: Company,
) -> npt.NDArray[np.float64]:
    """Amounts in the base currency, shape (n,); NaN where there is no amount or no rate.

    Parameters
    ----------
    amounts, currencies, days : shape (n,)
        Values, ISO 4217 codes (missing: the base currency), and the moments (UTC) whose rates apply.
    """
    frame = pd.DataFrame(
        {
            "amount": pd.to_numeric(pd.Series(list(amounts), dtype=object), errors="coerce").to_numpy(np.float64),
            "currency": pd.Series(list(currencies), dtype=object).where(lambda c: c.notna(), "").astype(str).to_numpy(),
            "day": pd.to_datetime(pd.Series(list(days)), utc=True).to_numpy("datetime64[us]"),
            "place": np.arange(len(amounts)),
        }
    )
    with connect() as con:
        view.attach(con)
        attach_rates(con, company)
        con.register("given", pa.Table.from_pandas(frame, preserve_index=False))
        out = con.sql(
            "select g.amount * fx.rate as base from given g left join fx on fx.currency = g.currency "
            "and g.day::timestamptz >= fx.valid_from and g.day::timestamptz < fx.valid_to order by g.place"
        ).fetchnumpy()["base"]
    return np.ma.filled(np.ma.asarray(out, dtype=np.float64), np.nan)
