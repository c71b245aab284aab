"""What holds of every feature on any history: weeks may be shifted, rows come in any order, later rows never count.

That cutting every table at a moment changes no feature as of it, of deals, reps and accounts alike, stands among the
promises (test_no_peeking); here the other way round: rows written down later, in whatever number, are not seen.
"""

from datetime import UTC, date, datetime, timedelta
from functools import cache

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.lake import TableView, View
from crm.schema import TABLES
from features.build import KEYS, build, open_deals
from features.catalogue import ENTITIES, features
from tests.features.small_company import small_company

MOMENT = datetime(2026, 8, 20, 11, tzinfo=UTC)
# Weeks do not fit into months, so what looks at a fiscal month, quarter or year may differ when all is shifted. The
# company lives in UTC, where no clock is ever put forward; nothing else may differ.
CALENDAR = {
    "deal": {
        "month_end_days",  # days until the month ends
        "quarter_end_days",  # days until the quarter ends
        "year_end_days",  # days until the fiscal year ends
        "close_at_quarter_end",  # whether the planned day is one of the quarter's last
    },
    "rep": {
        "period_days_left",  # days until the quarter ends
        "period_gone",  # share of the quarter gone
        "booked_in_period",  # since the quarter began
        "wins_in_period",  # since the quarter began
        "due_amount",  # planned to close before the quarter ends
        "weighted_amount",  # stage rates are those of the quarters before, with as much time left
        "weighted_cover",  # the same against the target
        "absent_days",  # absences before the quarter ends
        "quarters_since_hired",  # quarters begun since
        # Goals are set for quarters and months: shifted ones are for no quarter.
        *("target", "goal_booked", "goal_pace", "team_goal_booked", "pipeline_cover"),
        *("past_attainment", "last_attainment", "mean_attainment"),
    },
    "account": set(),
}


@cache
def as_it_is():
    """The features of the small company, not to be changed."""
    view, _ = small_company()
    return described(view, MOMENT)


def described(view: View, moment: datetime) -> dict[str, pd.DataFrame]:
    found = {}
    for entity in ENTITIES:
        if entity == "deal":
            spine = open_deals(view, moment)
        else:
            keys = sorted(view.arrow(f"{entity}s")[KEYS[entity]].to_pylist())[:60]
            spine = pd.DataFrame({KEYS[entity]: keys, "as_of": pd.Timestamp(moment)})
            spine = spine.astype({"as_of": "datetime64[us, UTC]"})
        found[entity] = build(view, spine, entity, company=small_company()[1], late=frozenset())
    return found


def differing(entity: str, now: pd.DataFrame) -> set[str]:
    then = as_it_is()[entity]
    assert list(then[KEYS[entity]]) == list(now[KEYS[entity]])
    return {name for name in then.columns[2:] if not same(then[name], now[name])}


def same(one: pd.Series, other: pd.Series) -> bool:
    if isinstance(one.dtype, pd.CategoricalDtype):
        return one.astype(object).equals(other.astype(object))
    return np.allclose(one, other, rtol=1e-9, atol=1e-6, equal_nan=True)


def shifted(view: View, weeks: int) -> TableView:
    """Every time and day in every table, the days in the log too, by whole weeks."""
    by = timedelta(weeks=weeks)

    def moved(values: pa.ChunkedArray) -> pa.ChunkedArray:
        if pa.types.is_timestamp(values.type):
            return pc.add(values, pa.scalar(by, pa.duration("us")))
        if pa.types.is_date(values.type):
            return pc.add(values.cast(pa.int32()), pa.scalar(by.days, pa.int32())).cast(values.type)
        return values

    tables = {n: (t := view.arrow(n)).cast(t.schema) for n in view.present}
    tables = {n: pa.table([moved(t[c]) for c in t.column_names], t.schema) for n, t in tables.items()}
    log = tables["deal_changes"]
    for place, name in enumerate(log.column_names):
        if name in ("old_value", "new_value"):
            pairs = zip(log["field"].to_pylist(), log[name].to_pylist(), strict=True)
            said = [str(date.fromisoformat(v) + by) if f == "close_date" and v else v for f, v in pairs]
            log = log.set_column(place, name, pa.array(said, pa.string()))
    return TableView(tables | {"deal_changes": log})


@settings(max_examples=2)
@given(weeks=st.integers(-30, 60))
def test_shifting_all_by_whole_weeks_changes_calendar_features_alone(weeks):
    now = described(shifted(small_company()[0], weeks), MOMENT + timedelta(weeks=weeks))
    for entity in ENTITIES:
        assert differing(entity, now[entity]) <= CALENDAR[entity]


def test_those_called_calendar_features_are():
    seen = {entity: set() for entity in ENTITIES}
    for weeks in (1, 30):
        now = described(shifted(small_company()[0], weeks), MOMENT + timedelta(weeks=weeks))
        seen = {entity: seen[entity] | differing(entity, now[entity]) for entity in ENTITIES}
    assert seen == CALENDAR
    for entity in ENTITIES:
        assert CALENDAR[entity] <= {one.name for one in features(entity)}


@settings(max_examples=3)
@given(seed=st.integers(0, 10_000))
def test_the_order_of_rows_changes_nothing(seed):
    view, rng = small_company()[0], np.random.default_rng(seed)
    tables = {n: view.arrow(n).take(rng.permutation(view.arrow(n).num_rows)) for n in view.present}
    assert tables["activities"]["activity_id"].to_pylist() != view.arrow("activities")["activity_id"].to_pylist()
    now = described(TableView(tables), MOMENT)
    assert {entity: differing(entity, now[entity]) for entity in ENTITIES} == {entity: set() for entity in ENTITIES}


LATER = ("activities", "orders", "tickets", "surveys", "payments", "contacts", "deals", "subscriptions", "fx_rates")


@settings(max_examples=3)
@given(seed=st.integers(0, 10_000))
def test_rows_written_down_later_are_not_seen(seed):
    """Of each table, fifty rows once more under other keys, on some day after the moment."""
    view, rng = small_company()[0], np.random.default_rng(seed)
    tables = {n: view.arrow(n) for n in view.present}
    for name in LATER:
        old = tables[name]
        rows = old.take(rng.integers(0, old.num_rows, 50)).to_pylist()
        for number, row in enumerate(rows):
            when = MOMENT + timedelta(days=int(rng.integers(2, 90)), hours=number)
            row |= {column: later(row[column], when) for column in row if column != "_seq"}
            if name != "fx_rates":
                row[TABLES[name].key[0]] = f"later-{number}"
            if name == "deals":
                row |= {"outcome": "won", "closed_at": when + timedelta(days=3)}
        tables[name] = pa.concat_tables([old, pa.Table.from_pylist(rows, old.schema)])
    now = described(TableView(tables), MOMENT)
    assert {entity: differing(entity, now[entity]) for entity in ENTITIES} == {entity: set() for entity in ENTITIES}


def later(value: object, when: datetime) -> object:
    if isinstance(value, datetime):
        return when
    return when.date() if isinstance(value, date) else value
