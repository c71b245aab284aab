"""The quality report: each check finds its fault, counts it, names it, and stays silent where there is none."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from crm.company import Company
from crm.duplicates import duplicate_names, plain_name
from crm.lake import TableView
from crm.quality import Finding, findings, late_filled
from crm.quality_checks import checks
from crm.schema import LOGGED_FIELDS, TABLES
from tests.builders import a_change, a_deal, a_rate, a_rep, an_account, an_activity, an_order, at, view_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
USD = Company()


def of_kind(kind: str, view: TableView, company: Company = USD) -> list[Finding]:
    return [f for f in findings(view, company, now=NOW) if f.kind == kind]


def the_one(kind: str, view: TableView, company: Company = USD) -> Finding:
    (found,) = of_kind(kind, view, company)
    return found


def clean() -> TableView:
    logged = {"amount": (1, 2), "stage": ("A", "Qualify"), "owner_id": ("r1", "r1"), "close_date": (None, "2026-05-01")}
    return view_of(
        reps=[a_rep()],
        accounts=[an_account(), an_account("a2", name="Other name")],
        deals=[
            a_deal(close_date="2026-05-01"),
            a_deal("d2", outcome="won", closed_at="2026-02-01T10:00Z", close_date="2026-02-01"),
        ],
        deal_changes=[
            a_change("d1", f, old, new, "2026-01-08T10:00Z", recorded_at="2026-01-08T10:00Z")
            for f, (old, new) in logged.items()
        ],
        activities=[an_activity(recorded_at="2026-01-10T12:00Z")],
    )


def test_clean_data_has_no_findings():
    assert findings(clean(), USD, now=NOW) == []


def test_an_empty_view_has_no_findings_and_does_not_fail():
    assert findings(view_of(), USD, now=NOW) == []
    assert findings(view_of(deals=[], deal_changes=[], activities=[]), USD, now=NOW) == []


def test_every_finding_says_what_what_it_costs_and_the_mend():
    found = findings(view_of(deals=[a_deal(close_date="2026-01-04"), a_deal("d2", outcome="lost")]), USD, now=NOW)
    assert {f.kind for f in found} == {"closed_without_time", "no_changes", "overdue"}
    for f in found:
        assert f.text.endswith(".")
        assert f.cost.endswith(".")
        assert f.mend.endswith(".")
        assert "{" not in f.text


CLOSED = {"outcome": "won", "closed_at": "2026-02-01T10:00Z"}


@pytest.mark.parametrize(
    ("kind", "column", "bad", "good"),
    [
        (
            "closed_without_time",
            "closed_at",
            {"outcome": "lost"},
            {"outcome": "lost", "closed_at": "2026-02-01T10:00Z"},
        ),
        ("closed_before_created", "closed_at", {"outcome": "lost", "closed_at": "2026-01-04T10:00Z"}, CLOSED),
        ("open_with_close_time", "closed_at", {"closed_at": "2026-02-01T10:00Z"}, {}),
        ("won_without_amount", "amount", {**CLOSED, "amount": None}, {"amount": None}),
        ("won_without_amount", "amount", {**CLOSED, "amount": 0}, {**CLOSED, "amount": "0.01"}),
        ("won_without_amount", "amount", {**CLOSED, "amount": 0}, {**CLOSED, "amount": None, "kind": "lead"}),
    ],
)
def test_deals_are_checked(kind, column, bad, good):
    view = view_of(deals=[a_deal("bad1", **bad), a_deal("good", **good), a_deal("bad2", **bad)])
    found = the_one(kind, view)
    assert (found.table, found.column, found.rows, found.examples) == ("deals", column, 2, ("bad1", "bad2"))
    assert found.text.startswith("2 ")


def test_overdue_is_measured_at_the_newest_moment_of_the_data():
    # The newest event is 20 January: a day of the 19th is past, that of the 20th is not, whatever the wall clock says.
    deals = [a_deal("past", close_date="2026-01-19"), a_deal("due", close_date="2026-01-20")]
    view = view_of(deals=deals, orders=[an_order(ordered_at="2026-01-20T10:00Z")])
    assert the_one("overdue", view).examples == ("past",)


def test_examples_are_five_different_keys_though_all_rows_are_counted():
    deals = [a_deal(f"d{n}", outcome="lost") for n in range(8)]
    found = the_one("closed_without_time", view_of(deals=deals))
    assert found.rows == 8
    assert found.examples == ("d0", "d1", "d2", "d3", "d4")


def test_owners_not_among_reps_are_told_unless_there_are_no_reps():
    deals = [a_deal(), a_deal("d2", owner_id="gone"), a_deal("d3", owner_id=None)]
    assert the_one("unknown_owner", view_of(deals=deals, reps=[a_rep()])).examples == ("gone",)
    assert of_kind("unknown_owner", view_of(deals=deals)) == []


def test_keys_that_refer_to_nothing_are_told():
    view = view_of(deals=[a_deal()], activities=[an_activity(deal_id="d9"), an_activity(), an_activity(deal_id=None)])
    found = the_one("dangling_key", view)
    assert (found.table, found.column, found.rows, found.examples) == ("activities", "deal_id", 1, ("d9",))


def test_every_reference_of_the_schema_is_checked():
    checked = {
        (c.table, c.column) for c in checks(frozenset(TABLES), "USD") if c.kind in ("dangling_key", "unknown_owner")
    }
    assert checked == {(t.name, c.name) for t in TABLES.values() for c in t.columns if c.refers}


def test_a_currency_without_a_rate_is_told():
    deals = [a_deal(currency=c) for c in (None, "USD", "EUR", "CHF", "CHF")]
    found = the_one("currency_without_rate", view_of(deals=deals, fx_rates=[a_rate("EUR", "2026-01-01", 1.1)]))
    assert (found.rows, found.examples) == (2, ("CHF",))


def test_stages_that_the_settings_do_not_list_are_told():
    company = Company(stages={"*": ["Qualify"], "partner": ["Meet"]})
    deals = [
        a_deal("d1"),
        a_deal("d2", stage="Odd"),
        a_deal("d3", stage="Odd", outcome="lost"),
        a_deal("d4", pipeline="partner"),  # Qualify is no stage of this pipeline, which has its own
        a_deal("d5", pipeline="partner", stage="Meet"),
        a_deal("d6", pipeline="direct"),  # has no stages of its own: those of * hold
    ]
    found = the_one("unknown_stage", view_of(deals=deals), company)
    assert found.examples == ("d2", "d4")
    assert "Odd, Qualify" in found.text
    assert of_kind("unknown_stage", view_of(deals=deals)) == []


def test_fields_without_a_log_are_told():
    view = view_of(
        deals=[a_deal(close_date="2026-05-01")], deal_changes=[a_change("d1", "stage", "A", "B", "2026-01-08")]
    )
    # forecast_category is empty in the deals, so nothing is lost by its missing log.
    assert {f.column for f in of_kind("field_not_logged", view)} == set(LOGGED_FIELDS) - {"stage", "forecast_category"}
    assert of_kind("no_changes", view) == []
    assert the_one("no_changes", view_of(deals=[a_deal()])).rows == 1


def test_changes_long_after_the_close_are_told():
    deals = [a_deal(outcome="won", closed_at="2026-02-01T10:00Z")]
    days = ["2026-02-01T10:00Z", "2026-02-02T10:00Z", "2026-02-02T10:01Z"]
    view = view_of(deals=deals, deal_changes=[a_change("d1", "stage", "A", "B", day) for day in days])
    found = the_one("change_after_close", view)
    assert (found.rows, found.examples) == (1, ("d1",))


def test_a_table_of_events_without_times_of_record_is_told():
    assert the_one("no_recorded_at", view_of(activities=[an_activity(), an_activity()])).rows == 2
    assert of_kind("no_recorded_at", view_of(activities=[an_activity(), an_activity(recorded_at="2026-01-11")])) == []


def test_times_in_the_future_are_told():
    view = view_of(
        activities=[an_activity("soon", occurred_at="2026-03-02T11:00Z"), an_activity("x", occurred_at="2062-01-01")]
    )
    found = the_one("future", view)
    assert (found.column, found.examples) == ("occurred_at", ("x",))


@pytest.mark.parametrize(
    ("zone", "hour", "told"),
    [("UTC", 0, True), ("Asia/Shanghai", 16, True), ("UTC", 16, False), ("Asia/Shanghai", 0, True)],
)
def test_days_given_as_times_are_told_in_either_zone(zone, hour, told):
    # Midnight in Shanghai is 16:00 UTC of the day before.
    start = at("2026-01-01") + timedelta(hours=hour)
    view = view_of(orders=[an_order(f"o{n}", ordered_at=start + timedelta(days=n)) for n in range(30)])
    assert bool(of_kind("midnight", view, Company(time_zone=zone))) is told


def test_few_midnights_prove_nothing():
    view = view_of(orders=[an_order(f"o{n}", ordered_at="2026-01-02T00:00Z") for n in range(29)])
    assert of_kind("midnight", view) == []


def test_costly_findings_come_first():
    deals = [a_deal(outcome="lost"), a_deal("d2", close_date="2026-01-02", account_id="a9")]
    kinds = [f.kind for f in findings(view_of(deals=deals, accounts=[an_account()]), USD, now=NOW)]
    assert kinds == ["closed_without_time", "no_changes", "overdue", "dangling_key"]


def half_filled(in_closed: int, in_open: int) -> TableView:
    closed = [a_deal(f"c{n}", **CLOSED, x_reason="a" if n < in_closed else None) for n in range(50)]
    return view_of(deals=closed + [a_deal(f"o{n}", x_reason="a" if n < in_open else None) for n in range(50)])


@pytest.mark.parametrize(
    ("in_closed", "in_open", "late"),
    [
        (50, 0, True),
        (48, 5, True),  # 45 of 47 gaps stand in open deals
        (25, 0, False),  # half the closed ones lack it too: 50 of 75 gaps
        (50, 46, False),  # open deals have it as good as always
        (0, 50, False),
    ],
)
def test_columns_filled_in_at_the_end_are_late(in_closed, in_open, late):
    view = half_filled(in_closed, in_open)
    assert late_filled(view) == (frozenset({"x_reason"}) if late else frozenset())
    assert [f.column for f in of_kind("late_filled", view)] == (["x_reason"] if late else [])


def test_a_late_column_is_told_with_both_shares():
    found = the_one("late_filled", half_filled(48, 5))
    assert found.text == "x_reason is filled in 96% of closed deals but 10% of open ones."
    assert found.rows == 48


def test_few_deals_do_not_make_a_column_late():
    view = view_of(deals=[a_deal("c", **CLOSED, x_reason="a"), a_deal("o", x_reason=None)])
    assert late_filled(view) == frozenset()
    assert late_filled(view_of()) == frozenset()


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("Müller GmbH", "muller"),
        ("  ACME,  Inc. ", "acme"),
        ("华为技术有限公司", "华为技术"),
        ("The Co", ""),
        ("...", ""),
    ],
)
def test_plain_names_drop_form_case_and_accents(name, plain):
    assert plain_name(name) == plain


def test_doubles_are_found_and_near_misses_are_not():
    names = {
        "a1": "Northwind Traders Inc.",
        "a2": "northwind traders",  # form and case
        "a3": "Northwind Tradres",  # two letters swapped
        "a4": "Northwind Traders 2",  # another branch
        "a5": "Acme",
        "a6": "Acne",  # too short to call alike
        "a7": "GmbH",  # nothing left
        "a8": "Ltd",
        "a9": "Sorthwind Traders",  # far off in the sorted list, near from behind
    }
    pairs = duplicate_names(list(names), list(names.values()))
    assert {high for _, high in pairs} == {"a2", "a3", "a9"}
    assert all(low < high for low, high in pairs)


def test_doubles_are_reported_by_their_keys_alone():
    view = view_of(accounts=[an_account("a1", name="Foo Bar Ltd"), an_account("a2", name="Foo Bar"), an_account("a3")])
    found = the_one("duplicate", view)
    assert found.examples == ("a1 = a2",)
    assert "Foo" not in str(replace(found, examples=()))
