"""The sample company: same seed, same rows; whole references; a believable, consistent record; files and lake view."""

from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest

from crm.company import Company
from crm.lake import newest_event
from crm.schema import ARROW_TYPES, TABLES
from crm.simulate import DEFAULT_END, BadSample, lake_view, simulate, write
from crm.simulation.policy import Policy, UnknownAction

END = pd.Timestamp("2026-11-16", tz="UTC")  # 2026-11-20 is a Friday; the last whole week ends on Sunday the 15th


@pytest.fixture(scope="module")
def sample():
    return simulate(reps=12, months=18, seed=3)


@pytest.fixture(scope="module")
def frames(sample):
    return {name: table.to_pandas() for name, table in sample.tables.items()}


def test_the_same_seed_gives_the_same_rows_and_another_seed_other_ones(sample):
    again, other = simulate(reps=12, months=18, seed=3), simulate(reps=12, months=18, seed=4)
    for name, table in sample.tables.items():
        assert table.equals(again.tables[name]), name
    assert not sample.tables["deals"].equals(other.tables["deals"])
    assert not sample.tables["activities"].equals(other.tables["activities"])


@pytest.mark.parametrize("name", list(TABLES))
def test_every_table_has_rows_with_unique_keys_whole_references_and_filled_required_columns(sample, name):
    spec, table = TABLES[name], sample.tables[name]
    assert table.num_rows > 0
    keys = table.select(list(spec.key)).to_pandas()
    assert not keys.duplicated().any()
    for column in spec.columns:
        if column.name not in table.column_names:
            assert not column.required
            continue
        values = table.column(column.name)
        assert values.type == ARROW_TYPES[column.type], column.name
        assert not (column.required and values.null_count), column.name
        assert set(values.drop_null().to_pylist()) <= set(column.words or values.drop_null().to_pylist())
        if column.refers:
            there = set(sample.tables[column.refers].column(TABLES[column.refers].key[0]).to_pylist())
            assert set(values.drop_null().to_pylist()) <= there, column.name


def test_numbers_keep_to_the_bounds_of_the_schema(sample):
    for name, table in sample.tables.items():
        for column in TABLES[name].columns:
            if column.name in table.column_names and column.low is not None:
                values = table.column(column.name).drop_null().to_pandas().astype(float)
                assert values.min() >= column.low, (name, column.name)
                assert column.high is None or values.max() <= column.high, (name, column.name)


def test_nothing_in_the_record_happened_after_its_end(frames):
    clocks = {
        "accounts": ["created_at"], "contacts": ["created_at", "left_at"], "deals": ["created_at", "closed_at"],
        "deal_changes": ["changed_at"], "activities": ["occurred_at", "recorded_at"], "payments": ["paid_at"],
        "orders": ["ordered_at", "cancelled_at"], "tickets": ["opened_at", "closed_at"], "surveys": ["asked_at"],
    }  # fmt: skip
    for table, columns in clocks.items():
        for column in columns:
            assert frames[table][column].max() < END, (table, column)


def test_each_deal_is_open_or_closed_and_keeps_its_last_open_stage(frames, sample):
    deals = frames["deals"]
    closed = deals["outcome"] != "open"
    assert (deals["closed_at"].notna() == closed).all()
    assert (deals["closed_at"][closed] > deals["created_at"][closed]).all()
    stages = sample.settings["stages"]
    assert all(stage in stages[line] for line, stage in zip(deals["pipeline"], deals["stage"], strict=True))
    assert set(deals["kind"]) == {"new", "expansion", "renewal", "lead"}
    assert deals["amount"][deals["kind"] == "lead"].isna().all()
    assert deals["amount"][deals["kind"] != "lead"].notna().all()


@pytest.mark.parametrize("field", ["stage", "amount", "close_date", "owner_id", "forecast_category"])
def test_a_deals_changes_lead_from_one_value_to_the_next_and_end_at_todays(frames, field):
    changes = frames["deal_changes"]
    changes = changes[changes["field"] == field].sort_values("changed_at", kind="stable")
    assert (changes["old_value"] != changes["new_value"]).all()
    before = changes.groupby("deal_id")["new_value"].shift()
    assert (before.isna() | (before == changes["old_value"])).all()
    newest = changes.drop_duplicates("deal_id", keep="last").set_index("deal_id")["new_value"]
    today = frames["deals"].set_index("deal_id")[field].loc[newest.index].astype(str)
    assert (today == newest).all()


def test_changes_and_activities_fall_into_their_deals_life(frames):
    deals = frames["deals"][["deal_id", "created_at", "closed_at"]]
    for table, clock in (("deal_changes", "changed_at"), ("activities", "occurred_at")):
        rows = frames[table].dropna(subset="deal_id").merge(deals, on="deal_id")
        assert (rows[clock] > rows["created_at"]).all(), table
        assert (rows["closed_at"].isna() | (rows[clock] <= rows["closed_at"])).all(), table


def test_nobody_works_before_the_first_or_after_the_last_day(frames):
    reps = frames["reps"][["rep_id", "hired_on", "left_on"]]
    rows = frames["activities"].merge(reps, on="rep_id")
    day = rows["occurred_at"].dt.date
    gone = rows["left_on"].notna()
    assert gone.any()
    assert (day >= rows["hired_on"]).all()
    # Customers may still answer the one who left within the week of the handing over.
    assert (day[gone] < rows["left_on"][gone] + pd.Timedelta(days=7)).all()
    open_deals = frames["deals"][frames["deals"]["outcome"] == "open"].merge(
        reps, left_on="owner_id", right_on="rep_id"
    )
    assert open_deals["left_on"].isna().all()


def test_only_meetings_with_decision_makers_are_with_a_vp_or_c_level(frames):
    rows = frames["activities"].merge(frames["contacts"][["contact_id", "account_id", "seniority"]], on="contact_id")
    assert (rows["account_id_x"] == rows["account_id_y"]).all()
    high = rows[rows["seniority"].isin(["vp", "c-level"])]
    assert len(high) > 50
    assert set(high["kind"]) == {"meeting"}


def test_lines_add_up_to_the_amount_and_splits_to_one(frames):
    lines = frames["deal_lines"].groupby("deal_id")["amount"].sum()
    amounts = frames["deals"].set_index("deal_id")["amount"].loc[lines.index]
    assert (lines == amounts).all()
    assert np.allclose(frames["deal_splits"].groupby("deal_id")["share"].sum(), 1.0)


def test_goals_are_told_before_their_period_and_hang_together(frames):
    goals = frames["goals"]
    assert (goals["recorded_at"] < pd.to_datetime(goals["period_start"]).dt.tz_localize("UTC")).all()
    by_id = goals.set_index("goal_id")
    year = by_id.loc["G2026-COMPANY"]
    quarters = goals[goals["parent_goal_id"] == "G2026-COMPANY"]
    assert len(quarters) == 4
    assert quarters["target"].sum() == year["target"]
    # From the quarter down: the company's goal is its top team's; a parent team's is the sum of those below.
    top = goals[goals["parent_goal_id"] == "G2026Q4-COMPANY"]
    assert top["target"].sum() == by_id.loc["G2026Q4-COMPANY", "target"]
    assert (goals["owner_kind"] == "rep").sum() > 12
    lowest = goals[goals["owner_kind"] == "rep"].groupby("parent_goal_id")["target"].sum()
    # 95 % of the reps' goals, rounded to thousands
    assert np.allclose(by_id.loc[lowest.index, "target"], 0.95 * lowest, atol=500)


def test_contracts_end_after_they_began_and_renew_in_the_future(frames):
    contracts = frames["subscriptions"]
    ended = contracts["ended_on"].notna()
    assert 0 < ended.sum() < len(contracts)
    assert (contracts["ended_on"][ended] > contracts["started_on"][ended]).all()
    renews = contracts["renews_on"].dropna()
    assert len(renews) > 0
    assert not (contracts["renews_on"].notna() & ended).any()


def test_payments_come_after_their_orders_and_not_for_cancelled_ones(frames):
    rows = frames["payments"].merge(frames["orders"], on="order_id")
    assert len(rows) > 100
    assert (rows["paid_at"] > rows["ordered_at"]).all()
    assert rows["cancelled_at"].isna().all()
    assert (rows["amount_x"] == rows["amount_y"]).all()


def test_the_funnel_is_believable():
    deals = simulate(seed=1).tables["deals"].to_pandas()
    closed = deals[deals["outcome"] != "open"]
    won = (closed["outcome"] == "won").mean()
    assert 10_000 <= len(deals) <= 14_000
    assert 600 <= (deals["outcome"] == "open").sum() <= 1_200
    assert 0.20 <= won <= 0.30
    sales = closed[(closed["kind"] == "new") & (closed["outcome"] == "won")]
    # The rush: of 13 weeks the last four hold more wins than 4/13 would be, the first four fewer.
    quarter = sales["closed_at"].dt.tz_localize(None).dt.to_period("Q")
    week = (sales["closed_at"].dt.tz_localize(None) - quarter.dt.start_time).dt.days // 7
    assert (week >= 9).mean() > 1.25 * 4 / 13
    assert (week < 4).mean() < 0.95 * 4 / 13
    # Amounts: within a segment log-normal, so skewed on the plain scale and not on the logarithmic one.
    size = np.log(deals["list_amount"].dropna().astype(float))
    assert abs(size.skew()) < 0.5
    assert set(deals["currency"]) == {"EUR", "CNY"}


def test_the_lake_view_drops_names_and_addresses(sample):
    view = lake_view(sample)
    assert view.present == set(TABLES)
    assert newest_event(view) < END
    for name in ("reps", "contacts"):
        columns = view.arrow(name).column_names
        assert "person_key" in columns
        assert not set(columns) & set(TABLES[name].personal)
        assert view.arrow(name).column("person_key").null_count == 0
    assert len(set(view.arrow("reps").column("person_key").to_pylist())) == view.arrow("reps").num_rows


def test_files_hold_the_same_rows_and_the_truth_lies_apart(tmp_path, sample):
    out = tmp_path / "company"
    truth = write(sample, out)
    assert truth == tmp_path / "company-truth"
    assert {path.name for path in out.iterdir()} == {f"{name}.csv" for name in TABLES} | {"company.yaml"}
    assert {path.stem for path in truth.iterdir()} == set(sample.truth)
    assert not any("p_won" in (out / f"{name}.csv").read_text(encoding="utf-8").splitlines()[0] for name in TABLES)
    for name in ("deals", "deal_changes", "reps"):
        columns = sample.tables[name].schema
        options = pa_csv.ConvertOptions(column_types={f.name: f.type for f in columns}, strings_can_be_null=True)
        read = pa_csv.read_csv(out / f"{name}.csv", convert_options=options)
        assert read.equals(sample.tables[name].cast(read.schema)), name
    company = Company.load(out / "company.yaml")
    assert company.sample
    assert company.base_currency == "EUR"
    assert company.stages["sales"][0] == "Qualification"


def test_the_history_can_end_on_another_day():
    early = simulate(reps=4, months=6, end=date(2025, 3, 2))  # a Sunday
    closed = early.tables["deals"].column("closed_at").drop_null().to_pandas()
    assert closed.max() < pd.Timestamp("2025-03-03", tz="UTC")
    assert closed.max() > pd.Timestamp("2025-02-17", tz="UTC")
    assert DEFAULT_END.month not in (3, 6, 9, 12)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"reps": 1}, "A sample company of 1 reps and 24 months is too small. Give at least 2 reps and 6 months."),
        ({"setting": "rosy"}, "Setting 'rosy' is not known. Give one of default, no_signal, drifting."),
    ],
)
def test_what_cannot_be_made_is_said_with_the_mend(given, said):
    with pytest.raises(BadSample) as error:
        simulate(**given)
    assert str(error.value) == said


def test_a_policy_with_an_unknown_action_names_the_nearest():
    with pytest.raises(UnknownAction, match=r"'cal' is no action of the sample company\. Did you mean call\?"):
        Policy(start=date(2026, 1, 5), add={"cal": 1.0})


def test_the_smallest_company_still_has_every_table():
    tiny = simulate(reps=2, months=6, seed=5)
    assert all(isinstance(table, pa.Table) for table in tiny.tables.values())
    assert set(tiny.tables) == set(TABLES)
