"""The main job from files to served forecasts, by the command line alone, on a tiny company."""

import json
import re
import socket
import subprocess
import sys

import pandas as pd
import pytest

from crm.lake import Lake, connect
from serving.cli import main
from tests.e2e.chain import built, free_port

# The columns that DESIGN fixes for everyone who reads the files.
DEALS = (
    "deal_id as_of win_probability win_probability_low win_probability_high expected_amount expected_close_date "
    "p_win_in_period p_lose_in_period p_slip model_version"
).split()
PERIODS = (
    "period_start period_end metric target actual_to_date p10 p50 p90 p_attain expected_closed expected_open "
    "expected_new model_version"
).split()
ACCOUNTS = "account_id as_of churn_probability horizon_days value_at_risk model_version".split()
ADVICE = (
    "deal_id rank action due_in_days expected_uplift uplift_low uplift_high basis reasons contact_id colleague_id "
    "expected_value model_version as_of"
).split()


@pytest.fixture(scope="module")
def chain():
    return built()


@pytest.fixture
def here(chain, monkeypatch, capsys):
    """Runs a verb in this process, which saves the time that each new one takes to start."""

    def run(*arguments):
        monkeypatch.chdir(chain.folder)
        monkeypatch.setenv("BELLWETHER_HOME", str(chain.home))
        monkeypatch.setattr(sys, "argv", ["bellwether", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, ended.value.code or 0, said.out, said.err)

    return run


def scores(chain, name):
    return pd.read_parquet(chain.folder / "out" / f"{name}.parquet")


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("deals", DEALS),
        ("leads", DEALS),
        ("reps", ["rep_id", *PERIODS]),
        ("teams", ["team_id", *PERIODS]),
        ("accounts", ACCOUNTS),
        ("advice", ADVICE),
    ],
)
def test_every_score_file_has_the_columns_that_others_rely_on(chain, name, columns):
    assert set(columns) <= set(scores(chain, name).columns)


def test_just_the_open_deals_are_scored(chain):
    with connect() as con:
        Lake(chain.home / "lake").view().attach(con)
        kinds = con.sql("select deal_id, kind = 'lead' as lead from deals where outcome = 'open'").df()
    for name, lead in (("deals", False), ("leads", True)):
        assert sorted(scores(chain, name)["deal_id"]) == sorted(kinds.loc[kinds["lead"] == lead, "deal_id"])


def test_probabilities_are_coherent(chain):
    deals = scores(chain, "deals")
    parts = deals["p_win_in_period"] + deals["p_lose_in_period"] + deals["p_slip"]
    assert parts.to_numpy() == pytest.approx(1.0, abs=1e-9)
    assert (deals["win_probability"].between(deals["win_probability_low"], deals["win_probability_high"])).all()
    # A deal cannot be likelier won in this period than within the horizon, which is longer.
    assert (deals["p_win_in_period"] <= deals["win_probability"] + 1e-9).all()


def test_reasons_add_up_to_what_is_predicted(chain):
    reasons = scores(chain, "reasons")
    for entity, frame, key, column in (
        ("deal", "deals", "deal_id", "win_probability"),
        ("account", "accounts", "account_id", "churn_probability"),
    ):
        own = reasons[reasons["entity"] == entity].groupby("entity_id")
        total = own["base_value"].first() + own["contribution"].sum()
        said = scores(chain, frame).set_index(key)[column]
        both = said.index.intersection(total.index)
        assert len(both) > 0
        assert total[both].to_numpy() == pytest.approx(said[both].to_numpy(), abs=1e-6)


def test_a_reps_parts_add_up_to_the_expected_total(chain):
    reasons, reps = scores(chain, "reasons"), scores(chain, "reps")
    own = reasons[reasons["entity"] == "rep"].groupby("entity_id")
    total = own["base_value"].first() + own["contribution"].sum()
    period = reps[reps["metric"] == "bookings"].groupby("rep_id")[["expected_closed", "expected_open", "expected_new"]]
    expected = period.first().sum(axis=1)
    both = total.index.intersection(expected.index)
    assert len(both) > 0
    assert total[both].to_numpy() == pytest.approx(expected[both].to_numpy(), rel=1e-6, abs=1e-6)


def test_the_import_report_tells_rows_and_findings(chain):
    report = json.loads((chain.folder / "report.json").read_text())
    rows = len((chain.folder / "files" / "deals.csv").read_text().splitlines()) - 1
    counts = {"read": rows, "new": rows, "changed": 0, "unchanged": 0, "refused": 0, "gone": 0}
    assert report["tables"]["deals"] == counts


def test_importing_the_same_files_again_changes_nothing(chain):
    before = Lake(chain.home / "lake").cut().number
    again = chain.run("import", "files")
    assert again.returncode == 0
    assert re.search(r"deals: 0 new, 0 changed, \d+ unchanged, 0 refused", again.stdout)
    assert Lake(chain.home / "lake").cut().number == before


def test_real_files_are_kept_out_of_a_sample_home(chain, here):
    folder = chain.folder / "real"
    folder.mkdir(exist_ok=True)
    (folder / "reps.csv").write_text("rep_id,name\nx1,Ann\n")
    refused = here("import", "real")
    assert (refused.returncode, "--home" in refused.stderr) == (1, True)


def test_one_prediction_is_explained(chain, here):
    deal = scores(chain, "deals").iloc[0]
    found = json.loads(here("explain", "deal", deal["deal_id"], "--json").stdout)
    total = found["base_value"] + sum(c["contribution"] for c in found["contributions"])
    assert total == pytest.approx(deal["win_probability"], abs=1e-6)
    absent = here("explain", "deal", "nowhere")
    assert (absent.returncode, "nowhere" in absent.stderr) == (1, True)


@pytest.mark.parametrize("suffix", ["csv", "json", "parquet"])
def test_next_steps_come_in_the_format_of_the_suffix(chain, here, suffix):
    file = chain.folder / f"steps.{suffix}"
    assert here("coach", "--out", str(file)).returncode == 0
    read = {"csv": pd.read_csv, "json": pd.read_json, "parquet": pd.read_parquet}[suffix]
    assert len(read(file)) == len(scores(chain, "advice"))


def test_forecasts_are_sealed_once_however_often_they_are_made(chain, here):
    whole = here("ledger", "verify").stdout
    assert here("score").returncode == 0
    assert (
        here("ledger", "verify").stdout
        == whole
        == f"The ledger is whole: {_kinds(chain)} rows, each as it was issued.\n"
    )


def _kinds(chain):
    """One row each for deals (with leads), reps, teams and accounts, as far as they could be scored."""
    return sum((chain.folder / "out" / f"{name}.parquet").exists() for name in ("deals", "reps", "teams", "accounts"))


def test_the_doctor_finds_nothing_bad(here):
    found = here("doctor")
    assert (found.returncode, "BAD" in found.stdout) == (0, False)


def test_the_sample_is_served_without_sign_in_and_ends_in_order(chain):
    served = chain.serve()
    with served as client:
        answer = client.get("/api/v1/deals", params={"limit": 5})
        assert answer.status_code == 200
        assert len(answer.json()["deals"]) == 5
        best = scores(chain, "deals").sort_values("expected_amount", ascending=False)["deal_id"].iloc[0]
        assert answer.json()["deals"][0]["deal_id"] == best
        for path in (f"/api/v1/deals/{best}", f"/api/v1/deals/{best}/advice", "/api/v1/accuracy", "/api/v1/accounts"):
            assert client.get(path).status_code == 200
        assert client.get("/deals", headers={"accept": "text/html"}).status_code == 200
        # A web page elsewhere can point a name of its own at this machine, but the name gives it away.
        assert client.get("/api/v1/deals", headers={"host": "elsewhere.example"}).status_code == 401
    assert (served.returncode, "Traceback" in served.rest) == (0, False)


def test_a_taken_port_is_one_clear_line(chain):
    with socket.socket() as holder:
        port = free_port()
        holder.bind(("127.0.0.1", port))
        holder.listen()
        refused = chain.run("serve", "--port", str(port))
    assert refused.returncode == 1
    line = f"bellwether: Port {port} on 127.0.0.1 is taken by another program. "
    mend = f"Stop it, or name another: --port {port + 1}."
    assert refused.stderr == f"{line}{mend}\n"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("import nowhere", "nowhere"),
        ("train win --home empty", "bellwether import"),
        ("score --home empty", "bellwether import"),
        ("score --as-of 31/02/2026", "31/02/2026"),
        ("coach --out steps.docx", "steps.docx"),
        ("models promote win 99 --by ana --why tested", "99"),
        ("features describe nothing", "nothing"),
        ("simulate small --reps 1", "1 reps"),
        ("demo --home real-home", "real company"),
    ],
)
def test_a_mistake_is_one_clear_line(chain, here, line, said):
    if "real-home" in line:
        (chain.folder / "few").mkdir(exist_ok=True)
        (chain.folder / "few" / "reps.csv").write_text("rep_id,name\nx1,Ann\n")
        assert here("import", "few", "--home", "real-home").returncode == 0
    refused = here(*line.split())
    lines = [text for text in refused.stderr.splitlines() if text.startswith("bellwether: ")]
    assert refused.returncode == 1
    assert len(lines) == 1
    assert said in lines[0]
    assert "unexpected" not in lines[0]
    assert "Traceback" not in refused.stderr
