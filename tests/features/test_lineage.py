"""What a feature is said to read is what it reads."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from crm.company import Company
from crm.lake import TableView
from crm.schema import TABLES
from features.build import KEYS, build, open_deals
from features.catalogue import ENTITIES, UnknownFeature, blocks
from features.lineage import by_table, lineage
from tests.features.small_company import small_company

MOMENT = datetime(2026, 8, 20, tzinfo=UTC)
LOG = ["deal_changes.changed_at", "deal_changes.deal_id", "deal_changes.field", "deal_changes.new_value"]
LOG += ["deal_changes.old_value", "deal_changes.recorded_at"]


def test_a_count_of_contacts_reads_the_activities_it_counts():
    # touches_30d counts activities of a deal (deal_id) whose kind is a contact, by the moment each was known.
    assert lineage("deal", "touches_30d") == (
        "activities.deal_id",
        "activities.kind",
        "activities.occurred_at",
        "activities.recorded_at",
    )


def test_a_ratio_follows_what_it_is_made_of():
    # price_to_list = amount / list_amount: the deal's logged amount, its list amount, and the rate of its currency; a
    # change counts unless it enters a stage that is none of its pipeline.
    money = [f"deals.{name}" for name in ("amount", "created_at", "currency", "deal_id", "list_amount", "pipeline")]
    rates = ["fx_rates.currency", "fx_rates.on_date", "fx_rates.rate_to_base"]
    assert list(lineage("deal", "price_to_list")) == [*LOG, *money, *rates]
    # usual_gap_days = (first_order_days - days_since_order) / (orders - 1), each over sales that were not cancelled.
    assert by_table(lineage("account", "usual_gap_days")) == (
        "orders (account_id, cancelled_at, kind, ordered_at, recorded_at)"
    )


def test_a_feature_of_accounts_reads_its_source_and_no_more():
    # ticket_satisfaction weighs the grades of tickets by their age, each from the ticket's closing on.
    tickets = ("account_id", "closed_at", "opened_at", "recorded_at", "satisfaction")
    assert lineage("account", "ticket_satisfaction") == tuple(f"tickets.{name}" for name in tickets)


def test_an_own_feature_and_a_custom_column_have_theirs():
    long_calls = {"block": "deal_activity", "name": "long_calls", "unit": "count", "en": "Long calls"}
    long_calls["sql"] = "count(*) filter (where kind = 'call' and duration_minutes >= 30)"
    need = {"block": "deal_context", "name": "need", "sql": "x_need * 2", "unit": "points", "en": "Need"}
    company = Company.parse({"features": [long_calls, need]})
    read = lineage("deal", "long_calls", company)
    assert set(read) - set(lineage("deal", "touches_30d")) == {"activities.duration_minutes"}
    assert lineage("deal", "need", company) == ("deals.created_at", "deals.x_need")
    assert lineage("deal", "x_need") == ("deals.created_at", "deals.x_need")
    with pytest.raises(UnknownFeature, match="no feature touches_30 of a deal"):
        lineage("deal", "touches_30")


def test_every_feature_names_columns_that_there_are():
    known = {f"{table.name}.{column.name}" for table in TABLES.values() for column in table.columns}
    by_calendar_alone = {"month_end_days", "quarter_end_days", "year_end_days", "period_days_left", "period_gone"}
    for entity in ENTITIES:
        for one in (one for block in blocks(entity) for one in block.features):
            read = set(lineage(entity, one.name))
            assert read <= known, (one.name, read - known)
            assert bool(read) != (one.name in by_calendar_alone), one.name


SHUFFLED = """activities.kind contacts.seniority deals.amount deals.kind deal_changes.new_value orders.amount
tickets.closed_at goals.target accounts.segment surveys.score""".split()


@pytest.fixture(scope="module")
def before():
    view, company = small_company()
    rows = spines(view)
    return view, company, rows, built(view, company, rows)


@pytest.mark.parametrize("column", SHUFFLED)
def test_only_features_that_name_a_column_change_with_it(before, column):
    """Checked against the engine itself: the column's values are dealt out anew, and all is built again."""
    view, company, rows, then = before
    table, _, name = column.partition(".")
    tables = {n: view.arrow(n) for n in view.present}
    old = tables[table]
    order = np.random.default_rng(1).permutation(old.num_rows)
    place = old.schema.get_field_index(name)
    tables[table] = old.set_column(place, old.schema.field(place), old[name].take(order))
    now = built(TableView(tables), company, rows)
    changed = {(e, f) for e in ENTITIES for f in then[e].columns if not same(then[e][f], now[e][f])}
    naming = {(e, f) for e in ENTITIES for f in then[e].columns[2:] if column in lineage(e, f, company)}
    assert changed
    assert changed <= naming


def spines(view):
    keys = {"rep": view.arrow("reps")["rep_id"], "account": view.arrow("accounts")["account_id"].slice(0, 60)}
    rows = {e: pd.DataFrame({KEYS[e]: k.to_pylist(), "as_of": pd.Timestamp(MOMENT)}) for e, k in keys.items()}
    rows = {e: frame.astype({"as_of": "datetime64[us, UTC]"}) for e, frame in rows.items()}
    return {"deal": open_deals(view, MOMENT), **rows}


def built(view, company, rows):
    return {e: build(view, rows[e], e, company=company, late=frozenset()) for e in ENTITIES}


def same(one, other):
    if isinstance(one.dtype, pd.CategoricalDtype):
        return one.astype(object).equals(other.astype(object))
    return np.allclose(one, other, equal_nan=True) if one.dtype == float else one.equals(other)
