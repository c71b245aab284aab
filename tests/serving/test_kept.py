"""Answers that are kept: the same as if worked out anew, whoever asked just before, and gone when anything changes."""

import gzip
import json
from collections import Counter
from dataclasses import fields, replace
from datetime import date

import httpx
import pytest

from crm.company import Company
from crm.lake import Lake
from serving import routes
from serving.access import Sight, Viewer
from serving.app import API, _api_routes, _routers
from serving.asked import Asked
from serving.deal_rows import DealRows
from serving.dependencies import AskedDep, StoreDep
from serving.home import Home
from serving.middleware.kept import _MOST_BYTES, _Answers, kept_routes
from serving.people import StorePeople
from serving.scores import Scores, swap_pointer
from serving.sign_in import start_session
from serving.store import Store
from serving.users import add_user, change_user
from tests.builders import a_deal, a_rep, an_account, table_of
from tests.serving.small_site import OWNERS, TEAM_OF, TEAMS, serving, write_scores

WHO = {"admin": None, "analyst": None, "rep r1": "r1", "rep r3": "r3", "manager m1": "m1", "manager head": "head"}
PATHS = [
    "/deals",
    "/deals?sort=deal_id&limit=3",
    "/deals?team=west",
    *(f"/deals/{deal}" for deal in OWNERS),
    "/accounts",
    "/accounts/a1",
    "/accounts/a3",
    "/teams/west/forecast",
    "/teams/company/forecast",
]


class Through:
    """In place of `Kept`: nothing is kept, and FastAPI answers each request."""

    def __init__(self, app, **_):
        self.app = app

    async def __call__(self, scope, receive, send):
        await self.app(scope, receive, send)


class Office:
    """A company of its own for one test, with a token of each viewer."""

    def __init__(self, folder, people="{level: person}"):
        self.home = Home(folder)
        self.home.make()
        self.set_people(people)
        self.store = Store(self.home.database_url)
        details = [{"name": f"Name of {rep}"} for rep in TEAM_OF]
        keys = dict(zip(TEAM_OF, StorePeople(self.store).keys_for("rep", list(TEAM_OF), details), strict=True))
        reps = [{**a_rep(rep, team_id=team), "person_key": keys[rep]} for rep, team in TEAM_OF.items()]
        deals = [a_deal(d, owner_id=rep, account_id=f"a{d[1]}", kind="new") for d, rep in OWNERS.items()]
        tables = {"reps": reps, "teams": TEAMS, "accounts": [an_account(f"a{n}") for n in range(1, 7)], "deals": deals}
        self.home.lake.merge({name: table_of(name, rows) for name, rows in tables.items()}, source="test")
        write_scores(self.home)
        self.client = httpx.Client(timeout=60)
        self.keys, self.users, self.tokens = keys, {}, {}
        for who, rep in WHO.items():
            number = add_user(self.store, f"{who.replace(' ', '-')}@example.com", None, who.split()[0], rep_id=rep)
            self.users[who], self.tokens[who] = number, start_session(self.store, number, days=1, label="test")

    def set_people(self, people):
        self.home.company_file.write_text(f"people: {people}\n", encoding="utf-8")

    def ask(self, address, who, path, **headers):
        given = {"authorization": f"Bearer {self.tokens[who]}", **headers}
        return self.client.get(f"{address}{API}{path}", headers=given)

    def close(self):
        self.client.close()
        self.store.close()


@pytest.fixture
def office(tmp_path):
    made = Office(tmp_path / "home")
    yield made
    made.close()


@pytest.fixture
def built(monkeypatch):
    """How often each deal's row was put together."""
    counted, original = Counter(), DealRows.listed

    def listed(self, deal_id, *rest):
        counted[deal_id] += 1
        return original(self, deal_id, *rest)

    monkeypatch.setattr(DealRows, "listed", listed)
    return counted


def told(answer):
    return answer.status_code, answer.text, answer.headers["content-type"]


@pytest.mark.parametrize("people", ["{level: person}", "{level: team, min_group: 3}", "{level: off}"])
def test_whoever_asked_before_everyone_gets_what_a_server_that_keeps_nothing_says(tmp_path, built, people):
    office = Office(tmp_path / "home", people)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("serving.app.Kept", Through)
        with serving(office.home) as address:
            alone = {(who, path): told(office.ask(address, who, path)) for who in WHO for path in PATHS}
    # The texts differ between viewers, so that a mix-up would show.
    assert len({alone[who, "/deals"][1] for who in WHO}) >= 4
    assert {alone[who, "/deals/d4"][0] for who in WHO} == {200, 404}
    with serving(office.home) as address:
        for path in PATHS:
            for who in [*WHO, *reversed(WHO)]:
                assert told(office.ask(address, who, path)) == alone[who, path], (who, path)
        built.clear()
        for path in PATHS:  # all that may be seen is kept by now
            for who in WHO:
                if alone[who, path][0] == 200:
                    assert told(office.ask(address, who, path)) == alone[who, path]
        assert built == {}
    office.close()


def test_a_client_that_has_the_answer_gets_none_and_none_is_built(office, built):
    with serving(office.home) as one, serving(office.home) as other:
        first = office.ask(one, "admin", "/deals/d1")
        tag = first.headers["etag"]
        built.clear()
        for address in (one, other):  # the tag is the same in every process
            again = office.ask(address, "admin", "/deals/d1", **{"if-none-match": f'"else", {tag}'})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
            assert again.headers["bellwether-as-of"] == first.headers["bellwether-as-of"]
        assert built == {}
        assert office.ask(one, "rep r1", "/deals/d1", **{"if-none-match": tag}).status_code == 200
        assert office.ask(one, "rep r3", "/deals/d1", **{"if-none-match": tag}).status_code == 404


def test_a_kept_answer_comes_compressed_to_whom_takes_that_and_plain_to_others(office):
    with serving(office.home) as address:
        texts = []
        for form in ("identity", "gzip", "gzip", "identity"):
            answer = office.ask(address, "admin", "/deals", **{"accept-encoding": form})
            assert answer.headers.get("content-encoding") == ("gzip" if form == "gzip" else None)
            assert "Accept-Encoding" in answer.headers["vary"]
            texts.append(answer.text)
        assert len(set(texts)) == 1
        assert json.loads(texts[0])["total"] == 6


def test_a_new_name_an_erased_one_and_new_scores_are_told_at_once(office):
    with serving(office.home) as address:

        def names():
            return [office.ask(address, who, "/deals/d1").json()["owner_name"] for who in ("admin", "rep r1")]

        assert names() == ["Name of r1"] * 2
        people = StorePeople(office.store)
        people.keys_for("rep", ["r1"], [{"name": "New name"}])
        assert names() == ["New name"] * 2
        people.erase(office.keys["r1"])
        assert names() == [None] * 2
        first = office.home.scores / "first"
        (office.home.scores / "second").mkdir()
        for file in first.iterdir():
            text = file.read_bytes().replace(b'"Tested."', b'"Tested anew."')
            (office.home.scores / "second" / file.name).write_bytes(text)
        swap_pointer(office.home.scores, "second")
        assert office.ask(address, "admin", "/deals/d1").json()["note"] == "Tested anew."


def test_people_settings_count_from_the_next_answer_on(office):
    with serving(office.home) as address:
        assert office.ask(address, "admin", "/teams/west/forecast").status_code == 200
        office.set_people("{level: team, min_group: 5}")
        assert office.ask(address, "admin", "/teams/west/forecast").status_code == 404  # of two
        office.set_people("{level: team, min_group: 2}")
        assert office.ask(address, "admin", "/teams/west/forecast").status_code == 200


def test_whoever_is_signed_out_ended_or_made_another_gets_nothing_that_is_kept(office):
    with serving(office.home) as address:
        for _ in range(2):
            assert office.ask(address, "manager head", "/deals/d5").status_code == 200
        change_user(office.store, office.users["manager head"], role="rep", rep_id="r1")
        assert office.ask(address, "manager head", "/deals/d5").status_code == 404
        change_user(office.store, office.users["manager head"], active=False)
        assert office.ask(address, "manager head", "/deals/d1").status_code == 401
        assert httpx.get(f"{address}{API}/deals/d1", timeout=60).status_code == 401


def test_a_file_is_made_and_noted_each_time(office):
    with serving(office.home) as address:
        for number in (1, 2):
            assert office.ask(address, "admin", "/deals?format=csv").text.count("Name of") == 6
            entries = office.ask(address, "admin", "/audit?what=export").json()["entries"]
            assert len(entries) == number


def test_what_others_change_is_never_in_a_kept_answer():
    every = [route for router in _routers(routes) for route in _api_routes(router)]
    assert {route.path for route in kept_routes(every)} == {
        "/deals", "/deals/{deal_id}", "/accounts", "/teams", "/teams/{team_id}/forecast",
    }  # fmt: skip


def test_a_route_that_asks_for_more_than_the_key_holds_stops_the_start():
    from fastapi import APIRouter

    router = APIRouter()

    @router.get("/feedback")
    def read(asked: AskedDep, store: StoreDep) -> str:
        return ""

    with pytest.raises(TypeError, match=r"/feedback: .* AskedDep must be all"):
        kept_routes(_api_routes(router))


OTHER = {
    "reps": frozenset({"r9"}), "teams": frozenset({"t9"}), "accounts": frozenset({"a9"}), "names": False,
    "persons": frozenset({"r8"}), "own": "r7", "least": 7,
}  # fmt: skip


def test_every_part_of_what_may_be_seen_company_names_day_scores_and_models_make_another_key(tmp_path):
    sight = Sight()
    meta = {"data_cut": 1, "models": {"win": "1"}}
    view = Lake(tmp_path).view()
    asked = Asked(
        Viewer("admin"), Company(), sight, Scores(meta=meta, mark="a"), view, {}, date(2026, 1, 1), ("s", "n")
    )
    assert {one.name for one in fields(Sight)} <= set(OTHER), "a new part of Sight: give another value of it here"
    others = [replace(asked, sight=replace(sight, **{name: value})) for name, value in OTHER.items()]
    others += [
        replace(asked, marks=("t", "n")),
        replace(asked, marks=("s", "m")),
        replace(asked, today=date(2026, 1, 2)),
    ]
    others += [replace(asked, scores=Scores(meta=meta, mark="b"))]
    others += [replace(asked, scores=Scores(meta={**meta, "models": {"win": "2"}}, mark="a"))]
    tags = [one.tag for one in [asked, *others]]
    assert len(set(tags)) == len(tags)
    assert replace(asked, viewer=Viewer("analyst")).tag == asked.tag  # who sees the same gets the same


def test_the_keeper_forgets_what_was_not_asked_for_the_longest():
    answers, body = _Answers(), b"x" * (1 << 20)
    most = _MOST_BYTES // len(body)
    for number in range(most):
        answers.put(str(number), body)
    assert answers.get("0", packed=False) == body
    answers.put("one more", body)
    assert (answers.get("0", packed=False), answers.get("1", packed=False)) == (body, None)
    answers.put("too large", body + b"x")
    assert answers.get("too large", packed=False) is None
    packed = answers.get("0", packed=True)
    assert gzip.decompress(packed) == body
