"""The schema holds together: everything documented, references and keys exist, JSON Schema takes good rows only."""

import re

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from crm.lake import connect
from crm.schema import ARROW_TYPES, LOGGED_FIELDS, PERSON_KEY, SEQUENCE, TABLES, TYPE_WORDS, arrow_schema, json_schema

COLUMNS = [(table, column) for table in TABLES.values() for column in table.columns]
GOOD_DEAL = {"deal_id": "d1", "stage": "Bid", "created_at": "2026-01-05T09:30:00Z", "outcome": "open"}


def problems(table, row):
    return list(Draft202012Validator(json_schema(table), format_checker=FormatChecker()).iter_errors(row))


def test_every_table_and_column_is_documented():
    assert all(table.doc.endswith(".") and table.absent for table in TABLES.values())
    assert all(column.doc and not column.doc.endswith(".") for _, column in COLUMNS)


def test_every_reference_points_to_a_table_with_a_key_of_one_column():
    for _, column in COLUMNS:
        if column.refers:
            assert len(TABLES[column.refers].key) == 1


def test_keys_are_columns_and_clocks_run_on_the_table():
    with connect() as con:
        for table in TABLES.values():
            assert set(table.key) <= set(table.by_name)
            con.register(table.name, arrow_schema(table.name).empty_table())
            con.sql(f"select {table.clock or 'null'} from {table.name}")


def test_every_type_is_used_and_has_words_and_an_arrow_type():
    assert {column.type for _, column in COLUMNS} == set(ARROW_TYPES) == set(TYPE_WORDS)


def test_words_and_ranges_fit_their_types():
    for _, column in COLUMNS:
        assert bool(column.words) == (column.type == "word")
        if column.low is not None or column.high is not None:
            assert column.type in ("number", "integer", "money")


def test_personal_values_have_no_place_in_the_lake():
    personal = {(table.name, column.name) for table, column in COLUMNS if column.personal}
    assert personal == {("reps", "name"), ("reps", "email"), *(("contacts", c) for c in ("name", "email", "phone"))}
    for table, column in personal:
        assert column not in arrow_schema(table).names
        assert PERSON_KEY in arrow_schema(table).names
    assert PERSON_KEY not in arrow_schema("deals").names


def test_what_tells_the_outcome_is_known_later():
    deals = TABLES["deals"].by_name
    telling = ("outcome", "closed_at", "loss_reason", "competitor", "lost_to_account_id")
    assert {deals[name].known for name in telling} == {"later"}
    assert {deals[name].known for name in LOGGED_FIELDS if name != "owner_id"} == {"changes"}


def test_own_columns_stand_before_the_sequence():
    names = arrow_schema("deals", {"x_b": ARROW_TYPES["text"], "x_a": ARROW_TYPES["number"]}).names
    assert names[-3:] == ["x_a", "x_b", SEQUENCE]


@pytest.mark.parametrize("table", TABLES)
def test_the_json_schema_is_one_and_names_all_columns(table):
    schema = json_schema(table)
    Draft202012Validator.check_schema(schema)
    assert set(schema["properties"]) == set(TABLES[table].by_name)


def test_a_good_row_passes():
    assert problems("deals", GOOD_DEAL | {"amount": 5.5, "kind": "renewal", "x_anything": [1]}) == []
    assert (
        problems(
            "tickets", {"ticket_id": "t", "account_id": "a", "opened_at": "2026-01-05T09:30:00Z", "satisfaction": 5}
        )
        == []
    )


@pytest.mark.parametrize(
    ("table", "row", "says"),
    [
        ("deals", {k: v for k, v in GOOD_DEAL.items() if k != "stage"}, "'stage' is a required property"),
        ("deals", GOOD_DEAL | {"outcome": "perhaps"}, "'perhaps' is not one of"),
        ("deals", GOOD_DEAL | {"amount": "much"}, "'much' is not of type 'number'"),
        ("deals", GOOD_DEAL | {"colour": "red"}, "'colour' does not match"),
        ("deals", GOOD_DEAL | {"close_date": "31/02/2026"}, "'31/02/2026' is not a 'date'"),
        (
            "orders",
            {"order_id": "o", "account_id": "a", "ordered_at": "2026-01-05T09:30:00Z", "amount": 1, "x_no": 1},
            "x_no",
        ),
        ("deal_splits", {"deal_id": "d", "rep_id": "r", "share": 1.2}, "1.2 is greater than the maximum of 1"),
        ("reps", {"rep_id": "r", "name": "Ada", "fte": -1}, "-1 is less than the minimum of 0"),
    ],
)
def test_a_bad_row_is_refused_and_the_reason_told(table, row, says):
    (problem,) = problems(table, row)
    assert re.search(re.escape(says), problem.message)
