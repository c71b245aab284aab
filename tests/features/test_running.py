"""Aggregates from sorted events equal the gate's on every feature, for any history; and what stays with the gate."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.company import Company
from crm.simulate import lake_view, simulate
from features import session
from features.build import KEYS, build
from features.catalogue import ENTITIES
from features.language import checked
from features.parts import Part, Window, parts_of
from tests.features.rows import COMPANY, a_deal, spine, view

AGED = frozenset({"age", "as_of"})
DAY = 86_400_000_000


@pytest.fixture(scope="module")
def company():
    sample = simulate(reps=5, months=14, seed=3)
    return lake_view(sample), Company.parse(sample.settings)


def both_ways(monkeypatch, source, rows, entity, settings_of):
    found = []
    for least in (0, 10**9):
        monkeypatch.setattr(session, "RUNNING_FROM", least)
        found.append(build(source, rows, entity, company=settings_of, late=frozenset()))
    return found


@pytest.mark.parametrize("entity", ENTITIES)
def test_every_feature_is_what_the_gate_gives(monkeypatch, company, entity):
    source, settings_of = company
    table, key = {"deal": "deals", "rep": "reps", "account": "accounts"}[entity], KEYS[entity]
    names = source.arrow(table)[key].to_pylist()
    chosen = np.random.default_rng(1)
    moments = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(chosen.integers(0, 320 * DAY, 400), unit="us")
    rows = pd.DataFrame({key: chosen.choice(names, 400), "as_of": moments}).astype({"as_of": "datetime64[us, UTC]"})
    quick, gated = both_ways(monkeypatch, source, rows, entity, settings_of)
    pd.testing.assert_frame_equal(quick, gated, rtol=1e-9, atol=1e-9)
    assert quick.drop(columns=[key, "as_of"]).notna().any(axis=1).all()


moments = st.integers(0, 40).map(
    lambda n: pd.Timestamp("2026-01-01", tz="UTC") + pd.Timedelta(days=n, microseconds=n % 3)
)


@given(
    touched=st.lists(st.tuples(moments, st.sampled_from("abc"), st.sampled_from(["in", "out", None])), max_size=12),
    asked=st.lists(st.tuples(moments, st.integers(0, 2)), min_size=1, max_size=6, unique=True),
)
@settings(max_examples=25, deadline=None)
def test_ties_repeats_and_edges_of_windows(touched, asked):
    kinds = ["call", "email", "meeting"]
    acts = [
        {"activity_id": f"t{i}", "occurred_at": when, "kind": kinds[i % 3], "direction": way, "deal_id": f"d{i % 2}"}
        | {"contact_id": None if who == "c" else who}
        for i, (when, who, way) in enumerate(touched)
    ]
    source = view(deals=[a_deal("d0"), a_deal("d1")], activities=acts or [acts_nobody_made()])
    rows = pd.DataFrame({"deal_id": [f"d{k}" for _, k in asked], "as_of": [when for when, _ in asked]})
    rows["as_of"] = rows["as_of"].astype("datetime64[us, UTC]")
    with pytest.MonkeyPatch.context() as patch:
        quick, gated = both_ways(patch, source, rows, "deal", COMPANY)
    pd.testing.assert_frame_equal(quick, gated, rtol=1e-9, atol=1e-9)


def acts_nobody_made():
    return {"activity_id": "t", "occurred_at": pd.Timestamp("2027-01-01", tz="UTC"), "kind": "note", "deal_id": "dx"}


def test_parts_of_a_definition():
    sql = checked(
        "f", "count(*) filter (where won and age < days(7)) / days(1)", frozenset({"won", "age"}), frozenset(), True
    )
    rest, parts = parts_of(sql, AGED)
    (part,) = parts.values()
    assert part == Part("count", "(won)", window=Window(0, 7 * DAY - 1))
    assert rest == f'"{part.name}" / (1 * 86400.0)'


@pytest.mark.parametrize(
    "sql",
    [
        "median(amount)",
        "count(*) filter (where closed_at > as_of)",
        "sum(amount) filter (where age < 3 or won)",
        "max(amount + age)",
    ],
)
def test_what_needs_the_gate(sql):
    assert parts_of(sql, AGED) is None


def test_an_own_feature_that_is_no_number_is_left_to_the_gate(monkeypatch):
    monkeypatch.setattr(session, "RUNNING_FROM", 0)
    own = {"name": "moved_to", "block": "deal_path", "sql": "max(new_day) filter (where field = 'close_date')"}
    settings_of = Company.parse(
        {"base_currency": "EUR", "features": [own | {"unit": "date", "en": "Furthest day", "zh": "最远日期"}]}
    )
    change = {"deal_id": "d1", "changed_at": pd.Timestamp("2026-01-02", tz="UTC"), "field": "close_date"}
    source = view(deals=[a_deal()], deal_changes=[change | {"old_value": "2026-02-01", "new_value": "2026-03-01"}])
    built = build(source, spine("deal_id", ("d1", "2026-01-05")), "deal", company=settings_of, late=frozenset())
    assert built["close_date_pushes"].tolist() == [1]


def test_a_table_of_many_keys_keeps_them_apart(monkeypatch):
    """Two thousand deals with k mod 5 mails each: the count is k mod 5 for each, whatever lies next to it."""
    monkeypatch.setattr(session, "RUNNING_FROM", 0)
    mails = [
        {"activity_id": f"{k}-{i}", "occurred_at": pd.Timestamp("2026-01-02", tz="UTC"), "kind": "email"}
        | {"direction": "in", "deal_id": f"d{k}"}
        for k in range(2000)
        for i in range(k % 5)
    ]
    source = view(deals=[a_deal(f"d{k}") for k in range(2000)], activities=mails)
    rows = spine("deal_id", *((f"d{k}", "2026-01-05") for k in range(2000)))
    built = build(source, rows, "deal", company=COMPANY, late=frozenset())
    assert built["emails_in_30d"].tolist() == [k % 5 for k in range(2000)]
