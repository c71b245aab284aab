"""Effects as API, page and verb tell them: without any, with some, and with suggestions held back by chance."""

import json

import httpx
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from models.effects import SEGMENT_COLUMNS
from models.win import WinModel
from serving.cli import app
from serving.effects import NEEDS, REASONS
from serving.holdback import hold_back
from serving.home import Home
from serving.store import Store
from serving.users import add_user
from tests.models import snapshot_company
from tests.serving.small_site import AS_OF, PASSWORD, Site, fill, serving, write_scores
from training import registry
from training.effects import SEGMENTS, TABLE

ADMIN = "admin@example.com"
NAN = float("nan")
MEANS = (
    "plain linear trees adjusted everyone trimmed placebo_now placebo_later answers_now answers_later permuted "
    "without_contacts landmark"
).split()
CHECKS = "placebo_now placebo_later answers_now answers_later permuted without_contacts landmark".split()


def line(action, part="first", **values):
    figures = {f"{name}{end}": value for name in MEANS for end, value in (("", 0.05), ("_se", 0.01))}
    return {
        "action": action, "part": part, "basis": "adjusted", "reason": "passed", "repeat": "not_known",
        "stages": json.dumps(["Qualify"]), "control": False, "rows": 5000, "treated_rows": 400, "treated_deals": 350,
        "causes": 350, "process_share": 0.3, "after_move_share": 0.1, "overlap": 0.9, "clipped": 0.0, **figures,
        "placebo_share": 0.2, "corrected": 0.04, "corrected_se": 0.01, "bias": 0.01, "low": 0.0136, "high": 0.0664,
        "horizon_weeks": 18, "compared": "week", "until": pd.Timestamp("2026-03-01", tz="UTC"), **values,
    }  # fmt: skip


def unknown(action, part="first", reason="too_few", **values):
    nothing = {f"{name}{end}": NAN for name in MEANS for end in ("", "_se")}
    nothing |= dict.fromkeys(("overlap", "clipped", "placebo_share", "corrected", "corrected_se", "bias"), NAN)
    return line(action, part, basis="none", reason=reason, low=NAN, high=NAN, treated_rows=7, **nothing, **values)


TABLES = {
    TABLE: pd.DataFrame(
        [
            line("call", plain=0.09),
            unknown("call", "again"),
            unknown("proposal", reason="process_step"),
            # Not above 0 by itself: placebos and checks were not made.
            line(
                "email",
                basis="association",
                reason="looks_lower",
                placebo_share=0.0,
                **{f"{name}{end}": NAN for name in CHECKS for end in ("", "_se")},
            ),
            line("note", basis="association", reason="holds_zero", control=True, corrected=0.0, low=-0.02, high=0.02),
        ]
    ),
    SEGMENTS: pd.DataFrame(
        [["call", "first", "kind", "new", 900, 90, 0.06, 0.02, 0.05, 0.001]], columns=SEGMENT_COLUMNS
    ),
}


def home_of(root):
    home = Home(root)
    home.make()
    fill(home)
    write_scores(home)
    return home


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A home with a win model in use, effects beside it, and draws for its deals."""
    home = home_of(tmp_path_factory.mktemp("measured"))
    rows = snapshot_company.snapshots(deals=300, weeks=50)
    model = WinModel(horizon_weeks=20, replicates=0, cuts=2).fit(rows, until=snapshot_company.END)
    made = registry.log_model("win", model, tracking=home.tracking, params={}, metrics={}, tags={})
    registry.promote("win", made.version, tracking=home.tracking)
    for name, table in TABLES.items():
        registry.keep_table(made.run_id, name, table, tracking=home.tracking)
    store = Store(home.database_url)
    add_user(store, ADMIN, PASSWORD, "admin")
    deals = pd.DataFrame({"deal_id": [f"d{i}" for i in range(1, 7)], "win_probability": 0.4, "owner_id": "r1"})
    advice = deals[["deal_id"]].assign(rank=1, action="call", as_of=pd.Timestamp(AS_OF))
    hold_back(store, advice, deals, share=0.1, model_version="1")
    with serving(home) as address:
        yield Site(address, home, store)
    store.close()


def page(address, language="en"):
    with httpx.Client(base_url=address, timeout=60) as client:
        client.post("/sign-in", data={"email": ADMIN, "password": PASSWORD, "next": "/"})
        found = client.get("/effects", headers={"accept": "text/html", "accept-language": language})
    assert found.status_code == 200
    return found.text


def test_the_api_tells_each_effect_with_its_ranges_and_why(measured):
    with measured.client(ADMIN) as client:
        told = client.get("/effects").json()
    assert (told["horizon_weeks"], told["hold_back"], told["until"]) == (18, 0.1, "2026-03-01T00:00:00Z")
    call, again, proposal, email, note = told["effects"]
    assert (call["action"], call["part"], call["basis"]) == ("call", "first", "adjusted")
    assert call["why"] == REASONS["passed"]
    # 1.645 errors of .01 to either side; the corrected one brings its own allowance.
    assert call["ranges"]["plain"] == pytest.approx({"value": 0.09, "low": 0.07355, "high": 0.10645})
    assert call["ranges"]["corrected"] == {"value": 0.04, "low": 0.0136, "high": 0.0664}
    assert call["parts"][0]["own"]["low"] == pytest.approx(0.06 - 1.645 * 0.02)
    assert again["ranges"]["adjusted"] is None
    assert again["shares"]["overlap"] is None
    assert (proposal["basis"], proposal["why"]) == ("none", REASONS["process_step"])
    assert note["control"]
    assert (call["shares"]["placebo_share"], email["shares"]["placebo_share"]) == (0.2, None)


def test_the_api_tells_what_would_make_each_measured(measured):
    with measured.client(ADMIN) as client:
        told = client.get("/effects").json()
    call, _, proposal, email, note = told["effects"]
    assert call["more_needed"] == call["trial"]["more_needed"]
    # To two figures: 21,800 and some.
    assert call["to_be_measured"] == "To be measured it takes about 22,000 more outcomes."
    # Never drawn: as many as at the start, which six draws without an outcome do not change.
    assert email["more_needed"] == call["more_needed"]
    assert email["to_be_measured"].startswith("It was not suggested yet. It takes about 22,000 outcomes")
    assert (proposal["to_be_measured"], proposal["more_needed"]) == (NEEDS["no_choice"], 0)
    assert (note["to_be_measured"], note["more_needed"]) == (NEEDS["control"], 0)


def test_where_nothing_is_held_back_the_setting_is_named(measured):
    from serving.effects import _needs

    row = line("call")
    assert _needs(row, None, 0.0, proved=False) == ("off", 0)
    assert _needs(row, None, 0.1, proved=True) == ("nothing", 0)
    assert "advice.hold_back in company.yaml" in NEEDS["off"]


def test_the_api_tells_how_far_chance_is(measured):
    with measured.client(ADMIN) as client:
        told = client.get("/effects").json()
    trial = told["trial"]
    assert trial["shown"] + trial["held_back"] == 6
    assert (trial["known"], trial["difference"], trial["proves"]) == (0, None, False)
    assert trial["more_needed"] > 10_000
    assert told["effects"][0]["trial"] == trial  # all six draws were for calls
    assert told["effects"][2]["trial"] is None


def test_the_page_shows_claims_first_and_says_what_is_missing(measured):
    text = page(measured.address)
    assert "Deals with these steps were won more often than like deals without them: Call the customer." in text
    assert text.index('id="call-first"') < text.index('id="proposal-first"')
    assert "+9.0" in text
    assert "+1.4 to +6.6" in text
    assert "Whether it helps again is not known; it is not suggested again." in text
    assert "Part of moving to the next stage" in text
    assert "Not known yet: it takes 100 weeks, 50 deals and 20 causes with it." in text
    assert "more outcomes" in text
    # What the range lies about stands before it: .04, not the adjusted .05.
    assert '<td class="num">+4.0</td><td class="num breaks">+1.4 to +6.6</td>' in text


def test_what_was_not_worked_out_is_not_listed(measured):
    text = page(measured.address)
    call, email = (text.split(f'id="{name}-first"')[1].split("</tr>")[0] for name in ("call", "email"))
    for name in ("Action shuffled", "Taken off for it", "Still open at the week&#39;s end"):
        assert name in call
        assert name not in email
    assert "Boosted trees" in email
    assert "It was not suggested yet." in email


def test_the_page_in_chinese(measured):
    text = page(measured.address, "zh-CN")
    assert "建议有用吗？" in text
    assert "与情况相近但没有该步骤的商机比较，并通过了所有检验。" in text


def test_every_reason_has_words_on_the_page():
    from serving.i18n import language
    from serving.pages.effects import _why

    assert all(_why(language("en"), code) == sentence for code, sentence in REASONS.items())


def test_the_verb_shows_all_that_figures_rest_on(measured, capsys):
    from serving.cli.learn import _show_effects
    from serving.effects import report

    view, company = measured.home.lake.view(), measured.home.company()
    _show_effects(report(view, company, measured.store, tracking=measured.home.tracking))
    said = capsys.readouterr().out
    assert "call\tno\t400\t350\t+9.0\t+5.0\t+4.0\t+1.4 to +6.6\tadjusted\t" in said
    # Both learners, four placebos, shuffled; overlap, weeks with a move, taken off.
    assert "call\tno" + "\t+5.0" * 7 + "\t90%\t30%\t20%\n" in said
    assert "email\tno\t+5.0\t+5.0" + "\t" * 5 + "\t90%\t30%\t\n" in said
    assert "proposal\tNothing can measure it" in said


def test_without_effects_the_page_says_how_to_measure_them(tmp_path):
    home = home_of(tmp_path / "home")
    store = Store(home.database_url)
    add_user(store, ADMIN, PASSWORD, "admin")
    with serving(home) as address:
        with Site(address, home, store).client(ADMIN) as client:
            told = client.get("/effects").json()
        text = page(address)
    store.close()
    assert (told["until"], told["effects"], told["trial"]) == (None, [], None)
    assert "bellwether effects" in text
    assert "none was drawn yet" in text


def test_the_verb_needs_a_win_model(tmp_path):
    home = home_of(tmp_path / "home")
    found = CliRunner().invoke(app, ["effects", "--home", str(home.root)])
    assert isinstance(found.exception, registry.NoModel)


def test_every_figure_of_the_api_is_a_number_or_null(measured):
    with measured.client(ADMIN) as client:
        text = client.get("/effects").text
    assert "NaN" not in text
    assert np.isfinite([e["rows"] for e in json.loads(text)["effects"]]).all()
