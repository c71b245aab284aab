"""A random history: any value in any column, with what two engines are likely to take differently."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa

from crm.company import Company
from crm.lake import TableView
from crm.schema import LOGGED_FIELDS, SEQUENCE, TABLES, Column, arrow_schema

START, DAYS = datetime(2025, 1, 1, tzinfo=UTC), 460
STAGES = ["Qualify", "Demo", "Quote"]
QUARTERS = [date(year, month, 1) for year in (2025, 2026) for month in (2, 5, 8, 11)]
MANY = {"deals": 70, "deal_changes": 500, "activities": 700, "orders": 260, "tickets": 150, "surveys": 150, "goals": 63}
IDS = {"rep": 6, "account": 9, "contact": 20, "product": 4, "team": 3, "deal": 70}
FIELDS = (*LOGGED_FIELDS, "x_fit", "x_size")
WORDS = {
    "currency": ["EUR", "USD", "CNY", "JPY", None],  # no rates of JPY are known
    "stage": [*STAGES, "Closed won"],
    "forecast_category": ["Commit", "pipeline", " committed ", None],
    "scale": ["nps", "1-5", "1-10", "NPS", "five", None],
    "severity": ["high", "Severe", "low", None],
    "field": [*FIELDS, "stage"],
    "pipeline": ["north", None],
    "segment": ["small", "größer", None],
    "product_family": [None],
}
CHANGED = {  # what is logged need not be clean
    "stage": [*STAGES, "Closed won", "", None],
    "amount": ["1000", "999.99", "12345678901.25", "1e3", "12d", "1_000", "n/a", " 70 ", "", None],
    "close_date": ["2025-06-30", "2025-9-1", "2025/12/31", "2026-02-30", "2026", "2026-01-31 10:00:00", "", None],
    "owner_id": ["rep1", "rep2", "rep3", ""],
    "forecast_category": ["commit", "Pipeline", "", None],
    "x_fit": ["high", "low", ""],
    "x_size": ["1.5", "20", "", None],
}
COMPANY = Company.parse(
    {
        "base_currency": "EUR",
        "time_zone": "America/New_York",
        "fiscal": {"start_month": 2},
        "stages": {"*": STAGES},
        "features": [
            {"block": block, "name": f"own_{i}", "sql": sql, "unit": "count", "en": "My own"}
            for i, (block, sql) in enumerate(
                [
                    ("deal_activity", "arg_max(duration_minutes, (age, duration_minutes))"),
                    ("deal_activity", "quantile(duration_minutes, 0.3) filter (where kind <> 'note')"),
                    ("deal_activity", "avg(duration_minutes) / (count(*) - 3)"),
                    ("company_record", "median(amount) filter (where age > days(0.5))"),
                    ("customer_orders", "stddev(amount)"),
                    ("rep_activity", "round(max(duration_minutes), 2)"),
                    ("account_orders", "sum(amount * exp(-age / days(30))) filter (where kind = 'sale')"),
                    ("account_contact", "max((kind = 'call')::int)"),
                ]
            )
        ],
    }
)


class RandomHistory:
    """Tables of a company that never was."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def view(self) -> TableView:
        """All canonical tables, and fields of the company's own."""
        return TableView({name: self._table(name) for name in TABLES})

    def spine(self, entity: str) -> pd.DataFrame:
        """Every entity, and one that is not there, each at two or more moments."""
        keys = [f"{entity}{i}" for i in range(IDS[entity] + 1) for _ in range(max(2, 60 // IDS[entity]))]
        frame = pd.DataFrame({f"{entity}_id": keys, "as_of": [self._time(since=DAYS // 2) for _ in keys]})
        return frame.drop_duplicates().astype({"as_of": "datetime64[us, UTC]"})

    def _table(self, name: str) -> pa.Table:
        custom = {"deals": {"x_fit": pa.string(), "x_size": pa.float64(), "x_flag": pa.bool_()}}.get(name, {})
        kind = name.removesuffix("s")
        rows = [self._row(name, i) for i in range(IDS.get(kind, MANY.get(name, 60)))]
        if name == "goals":
            rows = [row | self._goal(i) for i, row in enumerate(rows)]
        for row in rows if custom else []:
            row |= {"x_fit": self._one(["high", None]), "x_size": self._number(), "x_flag": self._one([True, False])}
        schema = arrow_schema(name, custom)
        unique = {tuple(row[k] for k in TABLES[name].key): row for row in rows}
        return pa.Table.from_pylist(
            list(unique.values()), pa.schema([item for item in schema if item.name != SEQUENCE])
        )

    def _row(self, name: str, number: int) -> dict:
        row = {column.name: self._value(name, column, number) for column in TABLES[name].columns}
        if name == "deals":
            row["created_at"] = self._time(240)
            closed = row["outcome"] != "open" and self._one([True, True, True, False])
            row["closed_at"] = row["created_at"] + timedelta(days=int(self.rng.integers(0, 200))) if closed else None
        if name == "deal_changes":
            row["old_value"], row["new_value"] = (self._one(CHANGED[row["field"]]) for _ in range(2))
        return row

    def _goal(self, number: int) -> dict:
        # A target of bookings for every rep and team in each quarter.
        owners = [f"{kind}{i}" for kind in ("rep", "team") for i in range(IDS[kind])]
        owner, place = owners[number % len(owners)], number // len(owners)
        whose = {"owner_kind": owner.rstrip("0123456789"), "owner_id": owner, "currency": self._one(["EUR", "USD"])}
        when = {"period_start": QUARTERS[place], "period_end": QUARTERS[place + 1]}
        return whose | when | {"metric": "bookings", "product_id": None, "segment": None}

    def _value(self, name: str, column: Column, number: int) -> object:
        if column.name == TABLES[name].key[0] and len(TABLES[name].key) == 1:
            return f"{name.removesuffix('s')}{number}"
        if column.words or column.name in WORDS:
            return self._one([*(column.words or WORDS[column.name]), *([] if column.required else [None])])
        if column.type == "key":
            return self._key(column)
        value = {
            "time": self._time,
            "date": lambda: self._time().date(),
            "money": lambda: Decimal(int(self.rng.integers(1, 10 ** int(self.rng.integers(3, 15))))) / 100,
            "number": self._number,
            "integer": lambda: int(self.rng.integers(1, 6)),
        }.get(column.type, lambda: f"{column.name} {self.rng.integers(3)}")()
        return value if column.required or self.rng.random() < 0.6 else None

    def _key(self, column: Column) -> str | None:
        kind = (column.refers or column.name).removesuffix("s").removesuffix("_id")
        kind = {"owner": "rep"}.get(kind, kind)
        return (
            None if not column.required and self.rng.random() < 0.1 else f"{kind}{self.rng.integers(IDS.get(kind, 9))}"
        )

    def _time(self, days: int = DAYS, since: int = 0) -> datetime:
        # On half days, so that many fall together, and some of them a little beside it.
        beside = timedelta(microseconds=int(self.rng.choice([0, 0, 0, 1, 999_999, 14_400_000_000])))
        return START + timedelta(days=int(self.rng.integers(2 * since, 2 * days)) / 2) + beside

    def _number(self) -> float:
        return float(np.round(self.rng.lognormal(2, 1), int(self.rng.integers(0, 4))))

    def _one(self, values: list) -> object:
        return values[int(self.rng.integers(len(values)))]
