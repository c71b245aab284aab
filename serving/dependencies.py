"""What a request works with: viewer, company, lake, scores, store, ledger; each as a named dependency."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from threading import Event, Lock
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from crm.company import Company
from crm.lake import LakeView, connect
from serving import sign_in
from serving.access import (
    GUEST,
    SessionNeeded,
    Sight,
    SignInNeeded,
    Viewer,
    need_role,
    need_scope,
    sight_of,
)
from serving.accuracy import Accuracy, accuracy
from serving.asked import Asked
from serving.first_start import is_loopback
from serving.home import Home
from serving.jobs import Steps
from serving.jobs.queue import Queue
from serving.ledger import Kind, Ledger
from serving.live import Live
from serving.people import StorePeople
from serving.reports import SalesBook
from serving.scores import ScoreBook, Scores
from serving.settings import Settings
from serving.store import Store

if TYPE_CHECKING:
    from serving.oidc import Provider
    from serving.plans import PlanBook
    from serving.rep_coaching import HabitBook

COOKIE = "bellwether_session"
LOOK_COOKIE = "bellwether_look"
SAFE = ("GET", "HEAD", "OPTIONS")
_VIEWERS_KEPT = 200


@dataclass
class Server:
    """What all requests share; `app.state.server`."""

    settings: Settings
    home: Home
    store: Store
    _company: tuple[object, Company] | None = None
    _accuracy: dict[Kind, tuple[object, Accuracy]] = field(default_factory=dict)
    _names: tuple[object, dict[str, str]] | None = None
    _sights: dict[tuple[object, ...], Sight] = field(default_factory=dict)
    _asked: dict[tuple[object, ...], Asked] = field(default_factory=dict)
    _guests: dict[tuple[object, ...], Viewer] = field(default_factory=dict)
    _view: tuple[str, LakeView] | None = None
    stopping: Event = field(default_factory=Event)  # set when the server is about to end
    _lock: Lock = field(default_factory=Lock)

    @cached_property
    def provider(self) -> Provider | None:
        """Where users may sign in too."""
        from serving.oidc import Provider

        return Provider.of(self.settings)

    @cached_property
    def ledger(self) -> Ledger:
        """Forecasts as issued."""
        return Ledger(self.store)

    @cached_property
    def steps(self) -> Steps:
        """How far a home's first build has come."""
        return Steps(self.store)

    @cached_property
    def queue(self) -> Queue:
        """Jobs asked for."""
        return Queue(self.store)

    @cached_property
    def live(self) -> Live:
        """The win model in use, ready to score at once."""
        return Live(self.home)

    @cached_property
    def book(self) -> ScoreBook:
        """The newest scores."""
        return ScoreBook(self.home.scores, self.home.lake)

    @cached_property
    def plans(self) -> PlanBook:
        """Goals and what was reached of them."""
        from serving.plans import PlanBook

        return PlanBook(self.home, self.store)

    @cached_property
    def selling(self) -> SalesBook:
        """Business as reports and risks read it."""
        return SalesBook()

    @cached_property
    def habits(self) -> HabitBook:
        """How people work their deals, against colleagues."""
        from serving.rep_coaching import HabitBook

        return HabitBook(self.selling)

    def company(self) -> Company:
        """The company's settings; read again when the file has changed."""
        return self._company_now()[1]

    def _company_now(self) -> tuple[object, Company]:
        path = self.home.company_file
        found = path.stat() if path.exists() else None
        mark = (found.st_mtime_ns, found.st_size) if found else None
        kept = self._company
        if kept is None or kept[0] != mark:
            kept = self._company = (mark, self.home.company())
        return kept

    def view(self) -> LakeView:
        """The lake at the data cut of the newest scores, so that all figures of a page fit together."""
        return self._view_of(self.book.newest(self.company()))

    def _view_of(self, newest: Scores) -> LakeView:
        lake, kept = self.home.lake, self._view
        if not newest.mark:
            return lake.view()
        if kept is None or kept[0] != newest.mark:
            kept = self._view = (newest.mark, lake.at(int(newest.meta["data_cut"])))
        return kept[1]

    def sight(self, viewer: Viewer, company: Company) -> Sight:
        """What a viewer may see today; kept for the data cut and day."""
        return self._sight_on(viewer, company, self.view(), _today(company))

    def _sight_on(self, viewer: Viewer, company: Company, view: LakeView, day: date) -> Sight:
        key = (viewer, view.cut.number, day, company.people.level, company.people.min_group)
        with self._lock:
            if key not in self._sights:
                if len(self._sights) > _VIEWERS_KEPT:
                    self._sights.clear()
                self._sights[key] = sight_of(viewer, view, company, day=day)
            return self._sights[key]

    def asked(self, viewer: Viewer, people: str) -> Asked:
        """What a viewer may see now, with all that answers made from scores rest on.

        Parameters
        ----------
        people : str
            The mark of names as they are.
        """
        settings, company = self._company_now()
        today, newest = _today(company), self.book.newest(company)
        key = (viewer, settings, people, today)
        found = self._asked.get(key)
        if found is None or found.scores.whole is not newest or not newest.mark:
            view = self._view_of(newest)
            sight = self._sight_on(viewer, company, view, today)
            names = self._names_in_sight(sight, view, people)
            scores = self.book.cut(newest, sight)
            found = Asked(viewer, company, sight, scores, view, names, today, (settings, people))
            # What rests on older scores would keep them in memory.
            current = {k: one for k, one in self._asked.items() if one.scores.whole is newest}
            self._asked = {**current, key: found} if len(current) < _VIEWERS_KEPT else {key: found}
        return found

    def guest(self, rep_id: str | None) -> Viewer:
        """A visitor of the sample company, who may have chosen through whose eyes to look."""
        if not rep_id:
            return GUEST
        view = self.view()
        key = (view.cut.number, rep_id)
        if key not in self._guests:
            if len(self._guests) > _VIEWERS_KEPT:
                self._guests = {}
            self._guests[key] = _guest_as(rep_id, view)
        return self._guests[key]

    def accuracy(self, kind: Kind) -> Accuracy:
        """How good forecasts were; worked out once for the ledger and data cut as they are."""
        view, sealed = self.home.lake.view(), self.ledger.sealed(kind=kind)
        key = (view.cut.number, sealed[-1].number if sealed else 0)
        with self._lock:
            kept = self._accuracy.get(kind)
            if kept is None or kept[0] != key:
                kept = self._accuracy[kind] = (key, accuracy(self.ledger, view, self.company(), kind=kind))
            return kept[1]

    def names(self, view: LakeView) -> dict[str, str]:
        """Name of each rep whose name is known, by rep_id."""
        return self._names_as(view, StorePeople(self.store).mark())

    def names_in_sight(self, sight: Sight, view: LakeView) -> dict[str, str]:
        """Name of each rep whom a viewer may see by name."""
        return self._names_in_sight(sight, view, StorePeople(self.store).mark())

    def _names_in_sight(self, sight: Sight, view: LakeView, mark: str) -> dict[str, str]:
        if not sight.names:
            return {}
        return {rep: name for rep, name in self._names_as(view, mark).items() if sight.owner(rep)}

    def _names_as(self, view: LakeView, mark: str) -> dict[str, str]:
        """Names as they are under a mark, which is read before them: they are never older than it."""
        key, kept = (view.cut.number, mark), self._names
        if kept is None or kept[0] != key:
            people = StorePeople(self.store).names("rep")
            reps = view.arrow("reps").select(["rep_id", "person_key"]).to_pydict() if people else {}
            keys = zip(reps.get("rep_id", ()), reps.get("person_key", ()), strict=True)
            kept = self._names = (key, {rep: people[key] for rep, key in keys if key in people})
        return kept[1]


def _today(company: Company) -> date:
    return datetime.now(UTC).astimezone(company.zone).date()


def _guest_as(rep_id: str, view: LakeView) -> Viewer:
    with connect() as con:
        view.attach(con)
        leads = con.execute("select 1 from teams where manager_rep_id = $rep limit 1", {"rep": rep_id}).fetchone()
        known = con.execute("select 1 from reps where rep_id = $rep", {"rep": rep_id}).fetchone()
    if known is None:
        return GUEST
    return Viewer("manager" if leads else "rep", rep_id=rep_id)


def server_of(request: Request) -> Server:
    """What all requests share."""
    server: Server = request.app.state.server
    return server


ServerDep = Annotated[Server, Depends(server_of)]


def token_of(request: Request) -> str | None:
    """The token of a request: from its Authorization header, else from its cookie."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else request.cookies.get(COOKIE)


def find_viewer(request: Request, server: ServerDep) -> Viewer | None:
    """Who asks; None where nobody is signed in and nothing may be shown to strangers."""
    found = sign_in.look_up(server.store, token_of(request))
    if found is not None:
        request.state.viewer, request.state.people_mark = found
        return found[0]
    # A program that sends a token which is over or revoked shall hear so, and not be taken for a guest.
    if not server.company().sample or request.headers.get("authorization", "").lower().startswith("bearer "):
        return None
    return server.guest(request.cookies.get(LOOK_COOKIE)) if at_this_machine(request) else None


def need_viewer(found: Annotated[Viewer | None, Depends(find_viewer)]) -> Viewer:
    """Who asks; an error where nobody is signed in."""
    if found is None:
        raise SignInNeeded
    need_scope(found, "read")
    return found


def at_this_machine(request: Request) -> bool:
    """Whether a request comes from this machine and names it so; a web page elsewhere cannot make a browser do that."""
    host = (request.url.hostname or "").strip("[]")
    return is_loopback(address_of(request)) and is_loopback(host)


OptionalViewer = Annotated[Viewer | None, Depends(find_viewer)]
ViewerDep = Annotated[Viewer, Depends(need_viewer)]


def signed_in_viewer(request: Request, viewer: ViewerDep) -> Viewer:
    """Who asks, signed in: whoever changes something must be known."""
    if not viewer.signed_in:
        raise SignInNeeded
    if request.method not in SAFE:
        need_scope(viewer, "write")
    return viewer


SignedInDep = Annotated[Viewer, Depends(signed_in_viewer)]


def person(viewer: SignedInDep) -> Viewer:
    """Who asks, signed in as a person: a program shall not make or see tokens."""
    if viewer.by_token:
        raise SessionNeeded
    return viewer


PersonDep = Annotated[Viewer, Depends(person)]


def administrator(viewer: SignedInDep) -> Viewer:
    """Who asks, an administrator."""
    need_role(viewer, "admin")
    return viewer


AdminDep = Annotated[Viewer, Depends(administrator)]


def address_of(request: Request) -> str:
    """Where a request comes from."""
    return request.client.host if request.client else ""


AddressDep = Annotated[str, Depends(address_of)]


def _company(server: ServerDep) -> Company:
    return server.company()


CompanyDep = Annotated[Company, Depends(_company)]


def _view(server: ServerDep) -> LakeView:
    return server.view()


ViewDep = Annotated[LakeView, Depends(_view)]


def _sight(server: ServerDep, viewer: ViewerDep, company: CompanyDep) -> Sight:
    return server.sight(viewer, company)


SightDep = Annotated[Sight, Depends(_sight)]


def _scores(request: Request, server: ServerDep, sight: SightDep, company: CompanyDep) -> Scores:
    found = server.book.seen_by(sight, company)
    request.state.as_of = found.as_of
    return found


ScoresDep = Annotated[Scores, Depends(_scores)]


def _store(server: ServerDep) -> Store:
    return server.store


StoreDep = Annotated[Store, Depends(_store)]


def _ledger(server: ServerDep) -> Ledger:
    return server.ledger


LedgerDep = Annotated[Ledger, Depends(_ledger)]


def _steps(server: ServerDep) -> Steps:
    return server.steps


StepsDep = Annotated[Steps, Depends(_steps)]


def _queue(server: ServerDep) -> Queue:
    return server.queue


QueueDep = Annotated[Queue, Depends(_queue)]


def _names(server: ServerDep, sight: SightDep, view: ViewDep) -> dict[str, str]:
    return server.names_in_sight(sight, view)


NamesDep = Annotated[dict[str, str], Depends(_names)]


def look_up(request: Request) -> Asked:
    """Who asks and what the answer rests on; found once a request."""
    server = server_of(request)
    if (found := getattr(request.state, "asked", None)) is None:
        viewer = need_viewer(find_viewer(request, server))
        mark = getattr(request.state, "people_mark", None)
        found = server.asked(viewer, StorePeople(server.store).mark() if mark is None else mark)
        request.state.asked = found
        request.state.as_of = found.scores.as_of
    return found


async def find_asked(request: Request) -> Asked:
    """As `look_up`; a thread is taken only where it has not been looked up yet."""
    found: Asked | None = getattr(request.state, "asked", None)
    return found if found is not None else await run_in_threadpool(look_up, request)


AskedDep = Annotated[Asked, Depends(find_asked)]
