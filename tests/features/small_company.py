"""A small simulated company in which a part of the rows was written down days after it happened."""

from functools import cache

import numpy as np
import pandas as pd
import pyarrow as pa

from crm.company import Company
from crm.lake import TableView
from crm.simulate import lake_view, simulate


@cache
def small_company() -> tuple[TableView, Company]:
    """Eight reps, ten months; about a fifth of activities, orders, tickets and changes recorded up to 20 days late."""
    sample = simulate(reps=8, months=10, seed=3)
    view = lake_view(sample)
    rng = np.random.default_rng(0)
    tables = {name: view.arrow(name) for name in view.present}
    happened = {
        "activities": "occurred_at",
        "orders": "ordered_at",
        "tickets": "opened_at",
        "deal_changes": "changed_at",
    }
    for name, column in happened.items():
        tables[name] = _recorded_late(tables[name], column, rng)
    return TableView(tables), Company.parse(sample.settings)


def _recorded_late(table: pa.Table, column: str, rng: np.random.Generator) -> pa.Table:
    at = pd.Series(table[column].to_pandas())
    delay = pd.to_timedelta(np.where(rng.random(len(at)) < 0.2, rng.uniform(0, 20, len(at)), 0.0).round(3), unit="D")
    known = at + delay
    if "field" in table.column_names:
        # A CRM logs the changes of a field in their order: the next one's old value is the one before's new value.
        known = known.groupby([table["deal_id"].to_pandas(), table["field"].to_pandas()]).cummax()
    recorded = pa.array(known.dt.tz_convert(None).to_numpy("datetime64[us]")).cast(pa.timestamp("us", tz="UTC"))
    return table.set_column(table.schema.get_field_index("recorded_at"), "recorded_at", recorded)
