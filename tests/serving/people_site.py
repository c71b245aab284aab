"""A small real company at level `team`, served: one of its reps has a name and signs in."""

from collections.abc import Iterator

import pytest

from serving.home import Home
from serving.people import StorePeople
from serving.store import Store
from serving.users import add_user
from tests.builders import a_rep, table_of
from tests.serving.small_site import PASSWORD, TEAM_OF, Site, fill, serving, write_scores

NAME = "Rosalind Example"


@pytest.fixture(scope="module")
def team_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Two may make a group here; r1 has a name and signs in, as do the head of all and an administrator."""
    home = Home(tmp_path_factory.mktemp("team"))
    home.make()
    home.company_file.write_text("people: {level: team, min_group: 2}\n", encoding="utf-8")
    store = Store(home.database_url)
    (key,) = StorePeople(store).keys_for("rep", ["r1"], [{"name": NAME, "email": "rosalind@example.com"}])
    fill(home)
    named = [a_rep(rep, team_id=team, person_key=key if rep == "r1" else None) for rep, team in TEAM_OF.items()]
    home.lake.merge({"reps": table_of("reps", named)}, source="test")
    write_scores(home)
    meta = home.scores / "first" / "meta.json"
    meta.write_text(meta.read_text("utf-8").replace('"data_cut": 1', '"data_cut": 2'), encoding="utf-8")
    add_user(store, "admin@example.com", PASSWORD, "admin")
    add_user(store, "rosalind@example.com", PASSWORD, "rep", rep_id="r1")
    add_user(store, "head@example.com", PASSWORD, "manager", rep_id="head")
    with serving(home) as address:
        yield Site(address, home, store)
    store.close()
