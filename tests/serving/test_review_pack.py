"""A review pack of the small company: its figures, its three kinds of file, in both languages, for whom it is."""

import io
import zipfile
from datetime import date

import pytest
from openpyxl import load_workbook
from pypdf import PdfReader
from pypdf.generic import ContentStream
from typer.testing import CliRunner

from planning.risks import Risk as RiskFound
from serving.cli import app
from serving.format import Formats
from serving.i18n import language
from serving.ledger import Ledger
from serving.reviews import files
from serving.reviews.files import NoChineseFont, as_html, as_pdf, as_xlsx
from serving.reviews.material import Material, NoSuchTeam
from serving.reviews.pack import make_pack
from serving.reviews.sheet import Cell, Section, Sheet, Table, text_cell
from serving.reviews.wording import sheet_of
from serving.risks import Register
from serving.store import Store
from serving.tables.risks import ContingencyPlan
from tests.builders import at
from tests.serving.people_site import team_site
from tests.serving.small_site import AS_OF, score_frames

__all__ = ["team_site"]


@pytest.fixture(scope="module")
def material(home):
    store = Store(home.database_url)
    yield Material.at_machine(home, store)
    store.close()


def formats(code, material):
    return Formats(language(code), material.company.base_currency, material.company.zone, material.as_of)


def words(**more):
    return {"minutes": "{n} min", "item": "Item", "decision": "Decision", "who": "Who", "by": "By"} | more


def small_sheet(text):
    table = Table(("Name", "Money"), ((text_cell(text), Cell("1,000", 1000.0)),), frozenset({1}))
    return Sheet("zh-Hans", text, "", "", (Section("a", text, (text,), (table,), blank=2),), "", words=words())


def missing_glyphs(pdf):
    """How many characters of a PDF are drawn with glyph 0, the box of every font."""
    reader, found = PdfReader(io.BytesIO(pdf)), 0
    for page in reader.pages:
        for operands, operator in ContentStream(page.get_contents(), reader).operations:
            if operator in (b"Tj", b"TJ"):
                parts = operands[0] if isinstance(operands[0], list) else operands
                for text in (part.original_bytes for part in parts if hasattr(part, "original_bytes")):
                    found += sum(text[place : place + 2] == b"\0\0" for place in range(0, len(text), 2))
    return found


def test_the_deals_to_talk_about_are_those_of_most_money_times_doubt(material):
    # Deal dN has chance N/10, all one amount: p(1 - p) is .25 for d5, .24 for d4 and d6, .21 for d3, .16 for d2.
    found = make_pack(material, "weekly")
    assert [deal.deal_id for deal in found.deals] == ["d5", "d4", "d6", "d3", "d2"]
    assert found.outcome.p50 == 50.0
    assert found.earlier is None


def test_a_teams_pack_has_that_teams_deals_alone(material):
    assert {deal.owner_id for deal in make_pack(material, "weekly", "west").deals} == {"r1", "r2"}


def test_goals_that_are_likely_missed_stand_among_the_risks(material):
    # Everybody ends at 50 of 100 in the middle and reaches it with chance 0.1.
    found = make_pack(material, "weekly", "all").risks
    missed = {r.subject: (round(r.likelihood, 6), r.money) for r in found if r.kind == "target_missed"}
    assert missed == {"all": (0.9, 50.0), "west": (0.9, 50.0), "east": (0.9, 50.0)}


def test_the_register_and_the_plans_that_run_stand_in_the_pack(home, tmp_path):
    store = Store(f"sqlite:///{tmp_path / 'store.db'}")
    found = [
        RiskFound("target_missed", "team", "west", 0.9, 50.0, 100.0, "m1", 100.0,
                  {"target": 100.0, "p50": 50.0, "p_attain": 0.1, "gone": 0.6}),
        RiskFound("slipping", "deal", "d6", 0.5, 20.0, 40.0, "r4", 100.0,
                  {"times": 3, "close_date": date(2026, 3, 20), "owner_id": "r4"}),
        RiskFound("key_account_leaving", "account", "nobody", 0.9, 900.0, 900.0, None, 100.0,
                  {"yearly": 900.0, "open": 0.0, "days": 90}),
    ]  # fmt: skip
    Register(store).take(found, AS_OF)
    with store.session() as session:
        plan = ContingencyPlan(
            template="target_missed", subject_kind="team", subject_id="west", state="started", started_at=AS_OF,
            trigger={}, filled={"gap": 50.0, "covered": 30.0, "open": 20.0, "cover": [{"deal_id": "d1"}]},
            filled_at=AS_OF, false_weeks=0,
        )  # fmt: skip
        session.add(plan)
    whole, west, east = (make_pack(Material.at_machine(home, store), "weekly", team)
                         for team in ("company", "west", "east"))  # fmt: skip
    assert [r.subject_id for r in whole.plan.risks] == ["nobody", "west", "d6"]  # by likelihood times money
    assert [r.subject_id for r in west.plan.risks] == ["west"]
    assert [r.subject_id for r in east.plan.risks] == ["d6"]
    assert (len(west.plan.plans), len(east.plan.plans)) == (1, 0)
    material = Material.at_machine(home, store)
    sheet = sheet_of(west, material, formats("en", material))
    section = next(part for part in sheet.sections if part.key == "risks")
    assert "1 of them is new since the last review." in section.lines
    (row,) = section.tables[0].rows
    assert [cell.text for cell in row[:2]] == [
        "Goal missed · new",
        "West reaches the goal of $100 with a chance of 10%; half of the draws end below $50.",
    ]
    (plan_row,) = section.tables[1].rows
    assert [cell.value for cell in plan_row[3:5]] == [50.0, 30.0]
    store.close()


def test_monthly_packs_have_the_funnel_and_where_plan_and_reality_part(material):
    sheet = sheet_of(make_pack(material, "monthly"), material, formats("en", material))
    keys = [part.key for part in sheet.sections]
    assert keys[-3:] == ["funnel", "levers", "decisions"]
    weekly = sheet_of(make_pack(material, "weekly"), material, formats("en", material))
    assert {"funnel", "levers"} & {part.key for part in weekly.sections} == set()


def test_an_unknown_team_is_refused(material):
    with pytest.raises(NoSuchTeam, match="no team 'north'"):
        make_pack(material, "weekly", "north")


def test_the_change_since_the_last_review_is_against_what_was_issued_then(home, tmp_path):
    store = Store(f"sqlite:///{tmp_path / 'store.db'}")
    ledger, teams = Ledger(store), score_frames()["teams"]
    for day, p50 in (("2026-02-10T12:00:00Z", 30.0), ("2026-02-21T12:00:00Z", 40.0), ("2026-02-26T12:00:00Z", 45.0)):
        ledger.add("issued", "team", teams.assign(p50=p50), as_of=at(day), model_version="1", data_cut=1)
    found = make_pack(Material.at_machine(home, store), "weekly")
    # The review of 1 March looks back to 22 February: the newest forecast by the end of that day is that of the 21st.
    assert (found.since, found.earlier.outcome.p50) == (date(2026, 2, 22), 40.0)
    assert (found.earlier.kind, found.earlier.as_of) == ("issued", at("2026-02-21T12:00:00Z"))
    store.close()


@pytest.mark.parametrize(
    ("code", "said", "ahead"),
    [("en", "Deals to talk about", "Goals of the next quarter"), ("zh", "待讨论的商机", "下季度目标")],
)
def test_all_three_files_say_the_same_in_both_languages(material, code, said, ahead):
    sheet = sheet_of(make_pack(material, "quarterly", "west"), material, formats(code, material))
    text = "".join(page.extract_text() for page in PdfReader(io.BytesIO(as_pdf(sheet, at=AS_OF))).pages)
    book = load_workbook(io.BytesIO(as_xlsx(sheet, at=AS_OF)))
    for title in (said, ahead):
        assert title in as_html(sheet).decode()
        assert title in text
        assert title in book.sheetnames
    tab = book[said]
    chances = [row[5] for row in tab.iter_rows(values_only=True) if isinstance(row[5], float)]
    assert sorted(chances) == [0.1, 0.2, 0.3]  # d1 and d2 of r1, d3 of r2


def test_no_box_stands_for_a_chinese_character(material):
    sheet = sheet_of(make_pack(material, "monthly"), material, formats("zh", material))
    pdf = as_pdf(sheet, at=AS_OF)
    fonts = {
        str(font.get_object()["/BaseFont"]).split("+")[-1]
        for page in PdfReader(io.BytesIO(pdf)).pages
        for font in page["/Resources"]["/Font"].values()
    }
    assert any("CJK" in name or "Han" in name or "PingFang" in name or "YaHei" in name for name in fonts)
    assert missing_glyphs(pdf) == 0


def test_the_search_for_boxes_finds_one():
    assert missing_glyphs(as_pdf(small_sheet("商机\u0378"), at=AS_OF)) > 0


def test_without_a_font_the_mend_is_told(monkeypatch):
    monkeypatch.setattr(files, "_families", lambda: frozenset({"Noto Sans"}))
    with pytest.raises(NoChineseFont, match=r"fonts-noto-cjk.*HTML pack"):
        as_pdf(small_sheet("商机"), at=AS_OF)
    assert as_pdf(small_sheet("deal"), at=AS_OF).startswith(b"%PDF")


def test_the_same_data_give_the_same_bytes(material):
    sheets = [sheet_of(make_pack(material, "weekly"), material, formats("en", material)) for _ in range(2)]
    for make in (lambda s: as_html(s), lambda s: as_pdf(s, at=AS_OF), lambda s: as_xlsx(s, at=AS_OF)):
        assert make(sheets[0]) == make(sheets[1])


def test_a_workbook_carries_no_time_of_the_machine_that_wrote_it():
    with zipfile.ZipFile(io.BytesIO(as_xlsx(small_sheet("a"), at=AS_OF))) as book:
        assert {info.date_time for info in book.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert b"2026-03-01T12:00:00Z" in book.read("docProps/core.xml")


def test_a_customers_name_is_no_formula_and_no_markup():
    sheet = small_sheet("=HYPERLINK(1)<b>#strong[x]")
    book = load_workbook(io.BytesIO(as_xlsx(sheet, at=AS_OF)))
    assert [c.data_type for row in book.worksheets[1].iter_rows() for c in row if "HYPERLINK" in str(c.value)] == [
        "s"
    ] * 3
    assert "<b>" not in as_html(sheet).decode()
    text = "".join(page.extract_text() for page in PdfReader(io.BytesIO(as_pdf(sheet, at=AS_OF))).pages)
    assert "#strong[x]" in text


def test_the_verb_writes_six_files(home, tmp_path):
    words = [
        "review",
        "--period",
        "weekly",
        "--team",
        "west",
        "--out",
        str(tmp_path / "packs"),
        "--home",
        str(home.root),
    ]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    names = {path.name for path in (tmp_path / "packs").iterdir()}
    assert names == {f"review-weekly-west-2026-03-01.{code}.{form}" for code in ("en", "zh") for form in files.MEDIA}


def test_below_level_person_no_pack_names_anybodys_figures(team_site):
    # At level `team`, two may make a group: teams are shown, single people are not.
    material = Material.at_machine(team_site.home, team_site.store)
    found = make_pack(material, "weekly", "west")
    assert found.outcome.p50 == 50.0
    assert found.persons == []
    quarterly = make_pack(material, "quarterly", "west")
    assert (quarterly.persons, quarterly.ahead.even.people, quarterly.ahead.rehearsed) == ([], (), [])
    told = {part.key: part for part in sheet_of(quarterly, material, formats("en", material)).sections}
    for key in ("fairness", "rehearsed"):
        assert told[key].lines == ("Figures on single people are not shown here.",)
        assert told[key].tables == ()
    assert "r1" not in material.scores.frames["reps"]["rep_id"].tolist()
