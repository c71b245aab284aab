"""Text that would be run, a small company full of it, and what finds it live in pages, files and forms."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import unquote

import pyarrow as pa

from crm.schema import TABLES
from serving.home import Home
from serving.outcomes import read_outcomes
from serving.people import StorePeople
from serving.risk_run import review_risks, situation_of
from serving.scores import ScoreBook
from serving.store import Store
from tests.builders import a_deal, a_rep, an_account, table_of
from tests.serving.small_site import AS_OF, OWNERS, TEAM_OF, TEAMS, fill, write_draws, write_scores

FORMULAS = ("=", "+", "-", "@", "\t=", "\r=")
# No page has an element or attribute of these names, so one that is parsed came out of the text.
ELEMENT, ATTRIBUTE = "injected-element", "injected-attribute"
RUN = (
    f'1+1 "><{ELEMENT}></{ELEMENT}><script>{ELEMENT}</script>\' {ATTRIBUTE}=\'1 " {ATTRIBUTE}="1'
    f"</script></title></textarea><{ELEMENT}> '; drop table deals; -- ../../etc/passwd \u202e\u200f {{{{7*7}}}} "
)
TEXTS = [start + RUN for start in FORMULAS]
AS_ADDRESS = f'"><{ELEMENT}/></title><script>{ELEMENT}</script>@x.org'  # for fields that take addresses
LONG = "n" * 1_000_000
NULL = "a\0bc"


def make_nasty(home: Home, store: Store) -> None:
    """The small company, scored, with draws, risks and plans; each text that a CRM holds is one that would be run."""
    home.make()
    home.company_file.write_text("people: {level: person}\n", encoding="utf-8")
    fill(home)
    reps = list(TEAM_OF)
    details = [{"name": TEXTS[n % 6], "email": TEXTS[n % 6]} for n in range(len(reps))]
    keys = dict(zip(reps, StorePeople(store).keys_for("rep", reps, details), strict=True))
    home.lake.merge(nasty_tables(keys), source="test")
    write_scores(home)
    meta = home.scores / "first" / "meta.json"
    meta.write_text(meta.read_text("utf-8").replace('"data_cut": 1', '"data_cut": 2'), encoding="utf-8")
    write_draws(home)
    frames = ScoreBook(home.scores, home.lake).newest(home.company()).frames
    view, draws = home.lake.view(), read_outcomes(home.scores / "first")
    review_risks(store, situation_of(view, home.company(), AS_OF, frames, draws), frames["curves"])


def texts_of(table: str, number: int) -> dict[str, str]:
    """Every column of free text that a table may have, with a text; names of persons are kept elsewhere."""
    found = [c for c in TABLES[table].columns if c.type == "text" and not c.personal and c.name != "currency"]
    return {column.name: TEXTS[(number + place) % 6] for place, column in enumerate(found)}


def nasty_tables(keys: dict[str, str]) -> dict[str, pa.Table]:
    """A row of each table that pages show, and goals that every draw misses, so that risks open and plans start."""
    quarter = {"metric": "bookings", "period_start": "2026-01-01", "period_end": "2026-04-01"}
    owners = [("company", "company"), ("team", "west"), ("rep", "r1")]
    known = {"created_at": "2026-01-01T00:00:00Z"}
    rows = {
        "reps": [a_rep(rep, team_id=team, person_key=keys[rep]) for rep, team in TEAM_OF.items()],
        "teams": [{**team, "name": TEXTS[n]} for n, team in enumerate(TEAMS)],
        "accounts": [an_account(f"a{n}", **texts_of("accounts", n), x_note=TEXTS[n - 1]) for n in range(1, 7)],
        "products": [{"product_id": f"p{n}", **texts_of("products", n)} for n in range(6)],
        "contacts": [
            {"contact_id": "c1", "account_id": "a1", "person_key": "p_c1", **texts_of("contacts", 1), **known}
        ],
        "deals": [
            a_deal(d, owner_id=rep, account_id=f"a{d[1]}", kind="new", product_id="p1", x_note=TEXTS[n])
            | texts_of("deals", n)
            for n, (d, rep) in enumerate(OWNERS.items())
        ],
        "goals": [
            {"goal_id": f"g-{owner}", "owner_kind": kind, "owner_id": owner, "target": 100_000.0, **quarter}
            for kind, owner in owners
        ],
        "absences": [{"rep_id": "r1", "from": "2026-03-02", "to": "2026-04-30"}],
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
    """What became live in a page, and the files that stand in it."""
    parser = Live()
    parser.feed(page)
    parser.close()
    return parser


@dataclass
class Form:
    """A form of a page: where it goes, what it sends unchanged, which of that is free text."""

    action: str
    values: dict[str, str] = field(default_factory=dict)
    typed: list[str] = field(default_factory=list)


class Forms(HTMLParser):
    """The forms of a page that write."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []
        self._form: Form | None = None
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self._form = Form(given.get("action") or "") if given.get("method") == "post" else None
            self.found += [self._form] if self._form else []
        if self._form is None:
            return
        name, value = given.get("name") or "", given.get("value") or ""
        if tag == "select":
            self._select = name
        elif tag == "option" and self._select:
            if "selected" in given or self._select not in self._form.values:
                self._form.values[self._select] = value
        elif tag in ("input", "textarea", "button") and name:
            kind = given.get("type") or ("submit" if tag == "button" else "text")
            if kind in ("text", "search", "email"):
                self._form.typed.append(name)
            if kind in ("radio", "checkbox") and "checked" not in given and name in self._form.values:
                return
            self._form.values[name] = value or ("2026-03-02" if kind == "date" else "1")

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""
        elif tag == "form":
            self._form = None


def forms_in(page: str) -> list[Form]:
    """The forms of a page that write."""
    parser = Forms()
    parser.feed(page)
    parser.close()
    return parser.found


def cells_of(text: str) -> list[str]:
    """Cells of a file with commas."""
    return [cell for row in csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")) for cell in row]


def runs(cell: object) -> bool:
    """Whether a spreadsheet would run a cell; a plain negative number is none."""
    if not isinstance(cell, str) or re.fullmatch(r"[-+]?\d+(\.\d+)?(e[-+]?\d+)?", cell):
        return False
    return cell.startswith(("=", "+", "-", "@", "\t", "\r"))


Place = tuple[str | int, ...]
KEY, ANY = "{key}", "{any}"  # a key of a mapping, and its value


def text_fields(schema: dict, parts: dict, at: Place = ()) -> Iterator[tuple[Place, dict]]:
    """Where texts may stand in what an operation takes: every string that is no date and none of a few words."""
    if "$ref" in schema:
        schema = parts[schema["$ref"].rsplit("/", 1)[-1]]
    for one in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from text_fields(one, parts, at)
    if schema.get("type") == "string" and not {"enum", "const", "format"} & set(schema):
        yield at, schema
    for name, one in schema.get("properties", {}).items():
        yield from text_fields(one, parts, (*at, name))
    if isinstance(schema.get("items"), dict):
        yield from text_fields(schema["items"], parts, (*at, 0))
    more = schema.get("additionalProperties")
    if isinstance(more, dict):
        yield from text_fields(more, parts, (*at, ANY))
        if "enum" not in schema.get("propertyNames", {}):
            yield (*at, KEY), schema.get("propertyNames", {})


def with_text(body: dict, at: Place, text: str) -> dict:
    """A body with a text at a place; lists and mappings on the way are made where they are missing."""
    name, *rest = at
    if name in (KEY, ANY):
        return {**body, text: 1} if name == KEY else {**body, "k": text}
    if not rest:
        return {**body, name: text}
    inner = body.get(name)
    if rest[0] == 0:
        first = (inner or [{}])[0]
        made = [with_text(first, tuple(rest[1:]), text) if len(rest) > 1 else text]
    else:
        made = with_text(inner or {}, tuple(rest), text)
    return {**body, name: made}
