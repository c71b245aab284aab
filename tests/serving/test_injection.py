"""Text that would be run: put into every name and every line that users type, it comes back as text and no more."""

import csv
import io
import re
import zipfile
from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import unquote

import httpx
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crm.company import Company
from crm.importing import import_path
from crm.lake import Lake
from crm.people import MemoryPeopleBook
from crm.reading import BadFile
from serving import pages
from serving.drawing import Figure
from serving.home import Home
from serving.people import StorePeople
from serving.store import Store
from serving.users import add_user
from tests.builders import a_deal, a_rep, an_account, table_of
from tests.serving.small_site import OWNERS, PASSWORD, TEAM_OF, TEAMS, Site, fill, serving, write_draws, write_scores
from tests.serving.test_access_tree import _routers

FORMULAS = ("=", "+", "-", "@", "\t=", "\r=")
# No page has an element or attribute of these names, so one that is parsed came out of the text.
ELEMENT, ATTRIBUTE = "injected-element", "injected-attribute"
RUN = (
    f'1+1 "><{ELEMENT}></{ELEMENT}><script>{ELEMENT}</script>\' {ATTRIBUTE}=\'1 " {ATTRIBUTE}="1'
    f"</script></title></textarea><{ELEMENT}> '; drop table deals; -- ../../etc/passwd \u202e\u200f {{{{7*7}}}} "
)
TEXTS = [start + RUN for start in FORMULAS]
EMAIL = "admin@example.com"


@pytest.fixture(scope="module")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The small company, each of its text fields with a text that would be run."""
    home = Home(tmp_path_factory.mktemp("nasty"))
    home.make()
    home.company_file.write_text("people: {level: person}\n", encoding="utf-8")
    fill(home)
    store = Store(home.database_url)
    reps = list(TEAM_OF)
    details = [{"name": TEXTS[n % 6], "email": TEXTS[n % 6]} for n in range(len(reps))]
    keys = dict(zip(reps, StorePeople(store).keys_for("rep", reps, details), strict=True))
    home.lake.merge(nasty_tables(keys), source="test")
    write_scores(home)
    write_draws(home)
    meta = home.scores / "first" / "meta.json"
    meta.write_text(meta.read_text("utf-8").replace('"data_cut": 1', '"data_cut": 2'), encoding="utf-8")
    add_user(store, EMAIL, PASSWORD, "admin", rep_id="r1")
    with serving(home) as address:
        yield Site(address, home, store)
    store.close()


def nasty_tables(keys: dict[str, str]) -> dict[str, object]:
    accounts = ("name", "industry", "region", "country")
    deals = ("name", "pipeline", "source", "stage", "forecast_category")
    rows = {
        "reps": [a_rep(rep, team_id=team, person_key=keys[rep]) for rep, team in TEAM_OF.items()],
        "teams": [{**team, "name": TEXTS[n]} for n, team in enumerate(TEAMS)],
        "accounts": [an_account(f"a{n}", **dict.fromkeys(accounts, TEXTS[n - 1])) for n in range(1, 7)],
        "products": [{"product_id": f"p{n}", "name": text} for n, text in enumerate(TEXTS)],
        "deals": [
            a_deal(d, owner_id=rep, account_id=f"a{d[1]}", kind="new", **dict.fromkeys(deals, TEXTS[n]))
            for n, (d, rep) in enumerate(OWNERS.items())
        ],
    }
    return {name: table_of(name, found) for name, found in rows.items()}


class Live(HTMLParser):
    """What of a text became live: its element, its attribute, or an address that runs."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.files: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == ELEMENT:
            self.found.append(f"<{tag}>")
        for name, value in attrs:
            if name.startswith(ATTRIBUTE) or (name in ("href", "src", "action") and (value or "").startswith("java")):
                self.found.append(f"{tag} {name}={value}")
            if (value or "").startswith("data:text/csv"):
                self.files.append(unquote((value or "").split(",", 1)[1]))


def live_in(page: str) -> Live:
    parser = Live()
    parser.feed(page)
    parser.close()
    return parser


def test_the_parser_finds_what_is_live():
    assert live_in(f"<p>{TEXTS[0]}</p>").found
    assert live_in(f'<a title="{TEXTS[0]}">').found
    assert not live_in("<p>&lt;injected-element&gt;</p>").found


def cells_of(text: str) -> list[str]:
    return [cell for row in csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")) for cell in row]


def runs(cell: object) -> bool:
    """Whether a spreadsheet would run a cell; a plain negative number is none."""
    if not isinstance(cell, str) or re.fullmatch(r"[-+]?\d+(\.\d+)?(e[-+]?\d+)?", cell):
        return False
    return cell.startswith(("=", "+", "-", "@", "\t", "\r"))


def page_paths() -> list[str]:
    """Addresses of all GET pages, their parameters filled with keys of the small company."""
    keys = {"deal_id": "d1", "account_id": "a1", "rep_id": "r1", "team_id": "west", "link": "none"}
    found = {r.path for router in _routers(pages) for r in router.routes if "GET" in (r.methods or ())}
    return sorted(re.sub(r"\{(\w+)\}", lambda m: keys.get(m[1], "none"), path) for path in found)


@pytest.fixture(scope="module")
def browser(nasty: Site) -> Iterator[httpx.Client]:
    headers = {"accept": "text/html", "origin": nasty.address}
    with httpx.Client(base_url=nasty.address, headers=headers, timeout=60) as client:
        form = {"email": EMAIL, "password": PASSWORD, "next": "/deals"}
        assert client.post("/sign-in", data=form).status_code == 303
        yield client


def type_everywhere(site: Site, browser: httpx.Client) -> None:
    """Each text that a user may type, with a text that would be run."""
    period = {"metric": "bookings", "period_start": "2026-01-01", "period_end": "2026-04-01"}
    agreed = {"agreed_by": TEXTS[0][:200], "agreed_on": "2026-01-02", "note": TEXTS[0]}
    with site.client(EMAIL) as api:
        asked = [
            api.post("/deals/d1/advice/1/feedback", json={"answer": "helped", "why": TEXTS[0]}),
            api.post("/people/me/requests", json={"kind": "comment", "text": TEXTS[1], "about": TEXTS[1][:80]}),
            api.post("/people/requests/1/answer", json={"text": TEXTS[2]}),
            api.post("/calls", json={"entity": "rep", "entity_id": "r1", "value": 7.0, "why": TEXTS[3]}),
            api.post("/tokens", json={"name": TEXTS[4][:80]}),
            api.post("/goals", json={"owner_kind": "rep", "owner_id": "r1", "target": 9, "why": TEXTS[5], **period}),
            api.put("/purposes/coaching", json=agreed),
        ]
    for answer in asked:
        assert answer.is_success, f"{answer.request.url.path}: {answer.text}"


def test_pages_show_texts_as_text(nasty, browser):
    type_everywhere(nasty, browser)
    seen = 0
    for path in page_paths():
        answer = browser.get(path)
        assert answer.status_code < 500, path  # nor 503: the company is scored and has its draws
        if not answer.headers.get("content-type", "").startswith("text/html"):
            continue
        live = live_in(answer.text)
        assert not live.found, path
        assert not [c for text in live.files for c in cells_of(text) if runs(c)], path
        seen += answer.text.count("injected-element")
    assert seen > 50  # the texts are really there


LISTS = ("deals", "accounts", "goals")


@pytest.mark.parametrize("name", LISTS)
def test_files_hold_no_formula(nasty, name):
    with nasty.client(EMAIL) as api:
        text = api.get(f"/{name}", params={"format": "csv"})
        book = api.get(f"/{name}", params={"format": "xlsx"})
    assert text.status_code == book.status_code == 200
    found = cells_of(text.content.decode("utf-8"))
    assert not [c for c in found if runs(c)]
    if name != "goals":
        assert any(c.startswith("'") and "1+1" in c for c in found)  # the texts are there, with the apostrophe
    sheet = openpyxl.load_workbook(io.BytesIO(book.content))["data"]
    cells = [c for row in sheet.iter_rows() for c in row]
    assert not [c.value for c in cells if c.data_type == "f" or runs(c.value)]


def test_a_persons_file_holds_no_formula(nasty):
    with nasty.client(EMAIL) as api:
        packed = zipfile.ZipFile(io.BytesIO(api.get("/people/me/export").content))
    tables = [name for name in packed.namelist() if name.endswith(".csv")]
    assert "data/deals.csv" in tables
    for name in tables:
        assert not [c for c in cells_of(packed.read(name).decode("utf-8")) if runs(c)], name


def test_api_answers_are_json_that_no_browser_takes_for_a_page(nasty):
    with nasty.client(EMAIL) as api:
        for path in ("/deals", "/deals/d1", "/accounts", "/accounts/a1", "/calls", "/people/me", "/reps/r1/forecast"):
            answer = api.get(path)
            assert answer.status_code == 200, path
            assert answer.headers["content-type"].startswith("application/json")
            assert answer.headers["x-content-type-options"] == "nosniff"
        assert api.get("/deals/d1").json()["name"] == TEXTS[0]  # unchanged: who shows it escapes it


LONG = "n" * 1_000_000


def test_what_is_typed_has_a_longest_length(nasty, browser):
    typed = {
        "/deals/d1/advice/1/feedback": {"answer": "helped", "why": LONG},
        "/people/me/requests": {"kind": "comment", "text": LONG},
        "/calls": {"entity": "rep", "entity_id": "r1", "value": 7.0, "why": LONG},
        "/models/win/versions/1/promote": {"why": LONG},
        "/tokens": {"name": LONG},
        "/users": {"email": LONG, "role": "admin"},
    }
    with nasty.client(EMAIL) as api:
        for path, body in typed.items():
            answer = api.post(path, json=body)
            assert (answer.status_code, len(answer.content) < 2000) == (422, True), path
    answer = browser.post("/deals/d1/advice/1", data={"answer": "helped", "why": LONG})
    assert answer.status_code == 422


def test_null_characters_are_refused_with_a_sentence(nasty, browser):
    given = "a\0bc"
    typed = {
        "/deals/d1/advice/1/feedback": {"answer": "helped", "why": given},
        "/people/me/requests": {"kind": "comment", "text": given},
        "/calls": {"entity": "rep", "entity_id": "r1", "value": 7.0, "why": given},
        "/tokens": {"name": given},
        "/users": {"email": f"{given}@example.com", "role": "admin"},
    }
    with nasty.client(EMAIL) as api:
        for path, body in typed.items():
            answer = api.post(path, json=body)
            assert answer.status_code == 400, path
            assert "null character" in answer.json()["detail"]
    assert browser.post("/deals/d1/advice/1", data={"answer": "helped", "why": given}).status_code == 400


def test_an_import_refuses_what_is_too_long_and_null_characters(tmp_path):
    names = {"a1": LONG, "a2": "n" * 10_000, "a3": "n\0n", "a4": TEXTS[0].strip()}
    # Parquet, as a text file with a null character is refused whole.
    rows = {"account_id": list(names), "name": list(names.values()), "created_at": ["2026-01-02T10:00:00Z"] * 4}
    pq.write_table(pa.table(rows), tmp_path / "accounts.parquet")
    lake = Lake(tmp_path / "lake")
    report = import_path(
        tmp_path / "accounts.parquet",
        lake=lake,
        people=MemoryPeopleBook(),
        quarantine=tmp_path / "quarantine",
        company=Company(),
    )
    kept = lake.view().arrow("accounts").to_pydict()
    # 10,000 characters are the most; a text that would be run stays as it is, for who shows it escapes it.
    assert dict(zip(kept["account_id"], kept["name"], strict=True)) == {key: names[key] for key in ("a2", "a4")}
    first, second = (str(refusal) for refusal in report.refusals)
    assert "longer than 10,000 characters" in first
    assert len(first) < 400
    assert "null character" in second


def test_a_text_file_with_null_characters_is_refused_whole(tmp_path):
    file = tmp_path / "accounts.csv"
    file.write_bytes(b"account_id,name,created_at\na1,n\0n,2026-01-02\n")
    with pytest.raises(BadFile, match="is not text"):
        import_path(
            file,
            lake=Lake(tmp_path / "lake"),
            people=MemoryPeopleBook(),
            quarantine=tmp_path / "q",
            company=Company(),
        )


def test_the_file_behind_a_figure_holds_no_formula():
    figure = Figure("t", "", "", "", ("=1+1", "n"), (), ((TEXTS[0], -2.0), (TEXTS[4], 3.0)))
    # -2.0 is a number and stays one.
    head, first, second = csv.reader(io.StringIO(unquote(figure.csv_address.split(",", 1)[1])[1:]))
    assert (head, first) == (["'=1+1", "n"], [f"'{TEXTS[0]}", "-2.0"])
    assert not runs(second[0])
