"""On random team trees with moves: no route gives anyone a row that is not theirs, whoever asked just before.

Every key (rep03x, deal07x, ...) is a text found nowhere else, so that any answer that holds one tells of that row.
Who may see what is worked out below in plain Python, by another way than the program's.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import product
from random import Random
from tempfile import TemporaryDirectory

import httpx
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from crm.company import Company
from planning.risks import Risk
from serving import pages, routes
from serving.access import Viewer
from serving.app import API, _routers
from serving.calls import call_now
from serving.home import Home
from serving.ledger import Ledger
from serving.middleware.kept import kept_routes
from serving.risks import Register
from serving.scores import swap_pointer
from serving.sign_in import start_session
from serving.store import Store
from serving.tables.jobs import JobEvent, StoredJob
from serving.users import add_user
from tests.builders import a_deal, a_rep, an_account, table_of
from tests.serving import writes
from tests.serving.small_site import AS_OF, score_frames, serving

TODAY = datetime.now(UTC).date()
KEY = re.compile(r"(?:rep|deal|acct)\d\dx")
ABOUT_ONESELF = re.compile(r"/me(/export)?$")
ABSENT = "absent"
FACTS = {"target": 100.0, "p_attain": 0.3, "p50": 50.0, "gone": 0.5}


@dataclass
class World:
    """Teams by key (parent, manager), memberships (rep, team, from, to), owners of deals and accounts."""

    teams: dict[str, tuple[str | None, str | None]]
    home_team: dict[str, str]
    moves: list[tuple[str, str, date, date | None]]
    deals: dict[str, tuple[str, str, str]]  # owner, account, outcome
    accounts: dict[str, str]
    risks: dict[str, str] = field(default_factory=dict)  # whose each is
    rows: dict[str, dict[str, str]] = field(default_factory=dict)  # by kind: whose each is, a team's or a rep's
    absent: str = ABSENT

    def team_today(self, rep: str) -> str:
        """The membership that holds today; a rep without any is where the CRM puts the rep."""
        spans = [(team, start, end) for who, team, start, end in self.moves if who == rep]
        now = [team for team, start, end in spans if start <= TODAY and (end is None or end > TODAY)]
        if spans:
            return now[0] if now else ""
        return self.home_team[rep]

    def above(self, team: str) -> list[str]:
        """A team and all above it, followed upwards."""
        chain = []
        while team and team not in chain:
            chain.append(team)
            team = self.teams[team][0] or ""
        return chain

    def sees(self, rep: str, role: str) -> tuple[set[str], set[str], set[str], set[str]]:
        """Reps, teams, deals and accounts that someone may see: upwards from each rep, not downwards from the top."""
        led = {team for team, (_, manager) in self.teams.items() if manager == rep and role == "manager"}
        teams = {team for team in self.teams if led & set(self.above(team))}
        reps = {rep} | {other for other in self.home_team if led & set(self.above(self.team_today(other)))}
        deals = {deal for deal, (owner, _, _) in self.deals.items() if owner in reps}
        accounts = {account for account, owner in self.accounts.items() if owner in reps}
        accounts |= {account for owner, account, outcome in self.deals.values() if owner in reps and outcome == "open"}
        return reps, teams, deals, accounts

    def seen_by(self, rep: str) -> set[str]:
        """Managers who may see a rep."""
        managers = {manager for _, manager in self.teams.values() if manager}
        return {manager for manager in managers if rep in self.sees(manager, "manager")[0]}


def a_world(random: Random) -> World:
    reps = [f"rep{n:02d}x" for n in range(random.randint(4, 6))]
    teams, names = {}, [f"team{n:02d}x" for n in range(random.randint(2, 4))]
    for place, name in enumerate(names):
        parent = random.choice([None, *names[:place]]) if place else None
        teams[name] = (parent, random.choice([None, *reps]))
    # At least one manager, with a team of his own.
    teams[names[-1]] = (teams[names[-1]][0], reps[0])
    home_team = {rep: random.choice(names) for rep in reps}
    moves = []
    for rep in reps:
        if random.random() < 0.6:
            # Moved on some day around today, today itself among them; then perhaps gone, or yet to come. Not tomorrow:
            # that day may begin while the test runs.
            day = TODAY + timedelta(days=random.choice([-400, -1, 0, 2, 30]))
            moves.append((rep, random.choice(names), date(2024, 1, 1), day))
            if random.random() < 0.7:
                moves.append((rep, random.choice(names), day, None))
    accounts = {f"acct{n:02d}x": random.choice(reps) for n in range(5)}
    # A lost deal does not show its account to its owner.
    deals = {
        f"deal{n:02d}x": (random.choice(reps), random.choice(sorted(accounts)), "lost" if n == 0 else "open")
        for n in range(8)
    }
    return World(teams, home_team, moves, deals, accounts)


def fill(home: Home, world: World) -> None:
    home.make()
    home.company_file.write_text("people: {level: person}\n", encoding="utf-8")
    moves = [
        {"rep_id": rep, "team_id": team, "valid_from": str(start), "valid_to": str(end) if end else None}
        for rep, team, start, end in world.moves
    ]
    deals = [
        a_deal(
            deal,
            name=f"Name of {deal}",
            owner_id=owner,
            account_id=account,
            kind="new",
            outcome=outcome,
            closed_at="2026-02-01T00:00:00Z" if outcome == "lost" else None,
        )
        for deal, (owner, account, outcome) in world.deals.items()
    ]
    goals = [
        {
            "goal_id": f"goal-{rep}",
            "owner_kind": "rep",
            "owner_id": rep,
            "metric": "bookings",
            "period_start": "2026-10-01",
            "period_end": "2027-01-01",
            "target": "100",
        }
        for rep in world.home_team
    ]
    tables = {
        "reps": [a_rep(rep, team_id=team) for rep, team in world.home_team.items()],
        "teams": [
            {"team_id": team, "name": team.title(), "parent_team_id": parent, "manager_rep_id": manager}
            for team, (parent, manager) in world.teams.items()
        ],
        "team_memberships": moves,
        "accounts": [an_account(a, name=f"Name of {a}", owner_id=owner) for a, owner in world.accounts.items()],
        "deals": deals,
        "goals": goals,
    }
    home.lake.merge({name: table_of(name, rows) for name, rows in tables.items() if rows}, source="test")


def write_scores(home: Home, store: Store, world: World) -> None:
    """Score files in which every open deal, person, team and customer has a row, made after those of the small site."""
    made = score_frames()
    open_deals = [deal for deal, (_, _, outcome) in world.deals.items() if outcome == "open"]
    keys = {
        "deals": ("deal_id", open_deals),
        "advice": ("deal_id", open_deals),
        "curves": ("deal_id", open_deals),
        "reps": ("rep_id", list(world.home_team)),
        "teams": ("team_id", [*world.teams, "company"]),
        "accounts": ("account_id", list(world.accounts)),
    }
    for name, (key, values) in keys.items():
        made[name] = pd.concat([made[name].iloc[[0]].assign(**{key: value}) for value in values], ignore_index=True)
    of = [("deal", d) for d in open_deals] + [("rep", r) for r in world.home_team]
    made["reasons"] = pd.concat(
        [made["reasons"].iloc[[0]].assign(entity=entity, entity_id=ident) for entity, ident in of], ignore_index=True
    )
    folder = home.scores / "first"
    folder.mkdir(parents=True)
    for name, frame in made.items():
        frame.to_parquet(folder / f"{name}.parquet", index=False)
    cut = home.lake.cut().number
    meta = f'{{"as_of": "{AS_OF.isoformat()}", "data_cut": {cut}, "models": {{}}, "notes": {{}}, "missing": {{}}}}'
    (folder / "meta.json").write_text(meta, encoding="utf-8")
    swap_pointer(home.scores, "first")
    ledger = Ledger(store)
    for entity, name in (("deal", "deals"), ("rep", "reps"), ("team", "teams")):
        ledger.add("issued", entity, made[name], as_of=AS_OF, model_version="1", data_cut=cut)


def put_job(store: Store, world: World, who: int) -> None:
    """A job whose output names every row there is."""
    text = " ".join([*world.home_team, *world.deals, *world.accounts])
    now = datetime.now(UTC)
    with store.session() as session:
        job = StoredJob(kind="score", state="done", params={"told": text}, asked_by=who, asked_how="user", asked_at=now)
        job.done, job.text, job.result, job.attempt = 1.0, text, {"told": text}, 1
        session.add(job)
        session.flush()
        session.add(JobEvent(job_id=job.job_id, at=now, state="done", done=1.0, text=text))


def put_risks_and_calls(store: Store, world: World) -> None:
    """A risk and a call on each person, made by somebody who is no rep: a call tells whoever made it."""
    Register(store).take(
        [Risk("target_missed", "rep", rep, 0.4, 10.0, 105.0, rep, 105.0, FACTS) for rep in world.home_team],
        AS_OF,
    )
    caller = Viewer("admin", "somebody", add_user(store, "somebody@example.com", None, "admin"))
    for rep in world.home_team:
        call_now(store, caller, Company(), entity="rep", entity_id=rep, value=7.0, why=f"said of {rep}", as_of=AS_OF)
    world.risks.update({str(risk.risk_id): risk.subject_id for risk in Register(store).all()})


def get_paths() -> list[str]:
    found = [(API, r) for router in _routers(routes) for r in router.routes]
    found += [("", r) for router in _routers(pages) for r in router.routes]
    return sorted({prefix + r.path for prefix, r in found if "GET" in r.methods})


PATHS = get_paths()
KEPT = [API + route.path for route in kept_routes([r for router in _routers(routes) for r in router.routes])]


def fillings(world: World, path: str, allowed: set[str]) -> list[str]:
    """A path with every key of the kind that it takes, for pages with some, and with one that does not exist."""
    values = {
        "deal_id": [*world.deals, world.absent],
        "account_id": [*world.accounts, world.absent],
        "rep_id": [*world.home_team, world.absent],
        "team_id": [*world.teams, world.absent],
        "goal_id": [*(f"goal-{rep}" for rep in world.home_team), world.absent],
        "risk_id": [*world.risks, "9999"],
        "person": [*(f"p_{rep}" for rep in world.home_team), *world.home_team, world.absent],
    }
    names = re.findall(r"{(\w+)", path)
    choices = [values.get(name, ["1"]) for name in names]
    if not path.startswith(API):  # pages take long to draw: one key that may be seen, two that may not
        split = [([k for k in keys if k in allowed][:1], [k for k in keys if k not in allowed]) for keys in choices]
        choices = [seen + hidden[:2] + hidden[-1:] for seen, hidden in split]
    holes = re.sub(r"{[^}]*}", "{}", path)
    return [holes.format(*each) for each in product(*choices)]


def keys_in(text: str) -> set[str]:
    return set(KEY.findall(text))


def check(client: httpx.Client, world: World, rep: str, role: str, paths: list[str]) -> int:
    reps, teams, deals, accounts = world.sees(rep, role)
    allowed, asked = reps | deals | accounts, 0
    mine = {
        "deal_id": deals,
        "account_id": accounts,
        "rep_id": reps,
        "team_id": teams,
        "goal_id": {f"goal-{r}" for r in reps},
        "risk_id": {number for number, of in world.risks.items() if of in reps},
    }
    for path in paths:
        absent = None
        # A customer's row tells who the customer's owner is, by key and without the name.
        more = {world.accounts[account] for account in accounts} if "/accounts" in path else set()
        # A deal's own page names its customer, also once it is lost and the customer is no longer one's to open.
        more |= {world.deals[deal][1] for deal in deals} if path == "/deals/{deal_id}" else set()
        # What is known about oneself tells who looked: whoever may see this person.
        more |= world.seen_by(rep) if ABOUT_ONESELF.search(path) else set()
        for filled in reversed(fillings(world, path, allowed | teams)):
            answer = client.get(filled)
            asked += 1
            assert answer.status_code < 500 or answer.status_code == 503, (filled, answer.text)
            told = keys_in(answer.text) - keys_in(filled)
            assert told <= allowed | more, (rep, role, filled, told - allowed)
            (name,) = re.findall(r"{(\w+)", path)[:1] or [""]
            if name in mine:
                ident = filled.removeprefix(path.split("{")[0]).split("/")[0]
                # A number stands in other words too, so there only the status is compared.
                told_of = answer.text.replace(ident, world.absent) if not ident.isdigit() else ""
                same = (answer.status_code, told_of)
                absent = absent or same
                assert ident in mine[name] or same == absent, (rep, role, filled)
    for query in ({"owner_id": other} for other in world.home_team):
        listed = client.get(f"{API}/goals", params=query)
        assert keys_in(listed.text) <= reps, query
    rows = client.get(f"{API}/deals", params={"limit": 200}).json()
    scored = {deal for deal in deals if world.deals[deal][2] == "open"}
    assert ({row["deal_id"] for row in rows["deals"]}, rows["total"]) == (scored, len(scored))
    exported = client.get(f"{API}/deals", params={"format": "csv"}).text
    assert {key for key in keys_in(exported) if key.startswith("deal")} == scored
    rows = client.get(f"{API}/accounts", params={"limit": 200}).json()
    assert {row["account_id"] for row in rows["accounts"]} == accounts
    for deal in scored:
        assert client.get(f"{API}/deals/{deal}").status_code == 200
    said = client.get(f"{API}/calls").json()["calls"]
    assert {call["entity_id"] for call in said} == reps
    return asked


def hidden_rows(world: World, rep: str, role: str) -> dict[str, list[str]]:
    """Rows of every kind that are not somebody's, by key."""
    reps, teams, deals, accounts = world.sees(rep, role)
    others = {
        "rep": set(world.home_team) - reps,
        "team": set(world.teams) - teams,
        "deal": set(world.deals) - deals,
        "account": set(world.accounts) - accounts,
        "goal": {f"goal-{other}" for other in set(world.home_team) - reps},
        "risk": {number for number, of in world.risks.items() if of not in reps},
    }
    seen = {*reps, *teams}
    more = {kind: {key for key, of in rows.items() if of not in seen} for kind, rows in world.rows.items()}
    return {kind: sorted(keys) for kind, keys in {**others, **more}.items()}


def check_writes(client: httpx.Client, store: Store, world: World, rep: str, role: str, most: int) -> int:
    """What is not one's own is written to like what is not there: nothing is told, and nothing is kept."""
    before = writes.kept(store)
    tried = writes.check_hidden(client, hidden_rows(world, rep, role), most)
    writes.check_roles(client, rep)
    after = writes.kept(store)
    assert {name: rows for name, rows in after.items() if rows != before[name]} == {}
    return tried


def test_every_writing_route_is_known():
    assert set(writes.all_routes()) == writes.writing_routes()


@pytest.mark.parametrize("seed", [3])
def test_nobody_gets_a_row_that_is_not_theirs(seed):
    walk(a_world(Random(seed)), whole=False)


@pytest.mark.slow_study
@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
    phases=[Phase.generate],  # a smaller seed is no smaller tree
)
@given(st.integers(0, 2**32))
def test_nobody_gets_a_row_that_is_not_theirs_on_many_trees(seed):
    walk(a_world(Random(seed)), whole=True)


def walk(world: World, *, whole: bool) -> None:
    """Ask for every row as each viewer in turn, then write to those of others.

    Not `whole`: what was kept of answers is asked for anew of the routes alone that keep any, and two viewers write, to
    one row of a kind.
    """
    with TemporaryDirectory() as folder:
        home = Home(f"{folder}/home")
        fill(home, world)
        store = Store(home.database_url)
        write_scores(home, store, world)
        managers = sorted({manager for _, manager in world.teams.values() if manager})
        # Alternating, so that each asks when the answers to the other are still kept.
        viewers = [(m, "manager") for m in managers[:2]] + [
            (r, "rep") for r in (managers[0], list(world.home_team)[-1])
        ]
        tokens = {}
        for rep, role in viewers:
            number = add_user(store, f"{rep}-{role}@example.com", None, role, rep_id=rep)
            tokens[rep, role] = start_session(store, number, days=1, label="test")
        put_job(store, world, number)
        put_risks_and_calls(store, world)
        other = add_user(store, "other@example.com", None, "admin")
        world.rows = writes.put_rows(store, world.teams, world.home_team, other)
        with serving(home) as address, httpx.Client(base_url=address, timeout=60) as client:
            client.headers["accept"] = "text/html, application/json;q=0.9"
            # The last two get what was kept when they asked before.
            for viewer, paths in [(v, PATHS) for v in viewers] + [(v, PATHS if whole else KEPT) for v in viewers[:2]]:
                client.headers["authorization"] = f"Bearer {tokens[viewer]}"
                assert check(client, world, *viewer, paths) >= len(paths)
            tried = 0
            for viewer in viewers if whole else viewers[::3]:
                client.headers["authorization"] = f"Bearer {tokens[viewer]}"
                tried += check_writes(client, store, world, *viewer, 3 if whole else 1)
            assert tried > len(writes.ON_ROWS)
        store.close()
