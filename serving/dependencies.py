"""What a request works with: viewer, company, lake, scores, store, ledger; each as a named dependency."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from threading import Event, Lock
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from crm.company import Company
from crm.lake import LakeView, connect
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
from serving.first_start import is_loopback
from serving.home import Home
from serving.jobs import Jobs
from serving.jobs.queue import Queue
from serving.ledger import Kind, Ledger
from serving.live import Live
from serving.people import StorePeople
from serving.reports import SalesBook
from serving.scores import ScoreBook, Scores
from serving.settings import Settings
from serving.sign_in import viewer_of
from serving.store import Store

if TYPE_CHECKING:
    from serving.oidc import Provider
    from serving.plans import PlanBook

COOKIE = "bellwether_session"
LOOK_COOKIE = "bellwether_look"
SAFE = ("GET", "HEAD", "OPTIONS")


@dataclass
class Server:
    """What all requests share; `app.state.server`."""

    settings: Settings
    home: Home
    store: Store
    _company: tuple[object, Company] | None = None
    _accuracy: dict[Kind, tuple[object, Accuracy]] = field(default_factory=dict)
    _rep_keys: tuple[int, dict[str, str]] | None = None
    _sights: dict[tuple[object, ...], Sight] = field(default_factory=dict)
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
    def jobs(self) -> Jobs:
        """Work that goes on."""
        return Jobs(self.store)

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

    def company(self) -> Company:
        """The company's settings; read again when the file has changed."""
        path = self.home.company_file
        mark = path.stat().st_mtime_ns if path.exists() else None
        if self._company is None or self._company[0] != mark:
            self._company = (mark, self.home.company())
        return self._company[1]

    def view(self) -> LakeView:
        """The lake at the data cut of the newest scores, so that all figures of a page fit together."""
        newest = self.book.newest(self.company())
        lake = self.home.lake
        return lake.at(int(newest.meta["data_cut"])) if newest.mark else lake.view()

    def sight(self, viewer: Viewer, company: Company) -> Sight:
        """What a viewer may see today; kept for the data cut and day."""
        view, day = self.view(), datetime.now(UTC).astimezone(company.zone).date()
        key = (viewer, view.cut.number, day, company.people.level)
        with self._lock:
            if key not in self._sights:
                if len(self._sights) > 200:
                    self._sights.clear()
                self._sights[key] = sight_of(viewer, view, company, day=day)
            return self._sights[key]

    def guest(self, rep_id: str | None) -> Viewer:
        """A visitor of the sample company, who may have chosen through whose eyes to look."""
        if not rep_id:
            return GUEST
        with connect() as con:
            self.view().attach(con)
            leads = con.execute("select 1 from teams where manager_rep_id = $rep limit 1", {"rep": rep_id}).fetchone()
            known = con.execute("select 1 from reps where rep_id = $rep", {"rep": rep_id}).fetchone()
        if known is None:
            return GUEST
        return Viewer("manager" if leads else "rep", rep_id=rep_id)

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
        people = StorePeople(self.store).names("rep")
        if not people:
            return {}
        cut, kept = view.cut.number, self._rep_keys
        if kept is None or kept[0] != cut:
            reps = view.arrow("reps").select(["rep_id", "person_key"]).to_pydict()
            kept = self._rep_keys = (cut, dict(zip(reps["rep_id"], reps["person_key"], strict=True)))
        return {rep: people[key] for rep, key in kept[1].items() if key in people}


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
    found = viewer_of(server.store, token_of(request))
    if found is not None:
        request.state.viewer = found
        return found
    if not server.company().sample:
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


def _jobs(server: ServerDep) -> Jobs:
    return server.jobs


JobsDep = Annotated[Jobs, Depends(_jobs)]


def _queue(server: ServerDep) -> Queue:
    return server.queue


QueueDep = Annotated[Queue, Depends(_queue)]


def _names(server: ServerDep, sight: SightDep, view: ViewDep) -> dict[str, str]:
    if not sight.names:
        return {}
    return {rep: name for rep, name in server.names(view).items() if sight.owner(rep)}


NamesDep = Annotated[dict[str, str], Depends(_names)]
