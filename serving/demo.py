"""`make run`: the sample company built, trained, scored and served; each step once, the rest while it is served."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from crm.company import Company
from serving.cli.common import progress
from serving.first_start import check_address
from serving.home import Home, RealHome
from serving.jobs import Steps
from serving.server import address_of, listen, run
from serving.settings import Settings
from serving.store import Store
from serving.users import add_user, has_users

ADMIN = "admin@example.com"
FIRST = ("data", "win", "deals")
REST = ("attainment", "churn", "ranges", "scores", "history", "effects")
_PAST_DATES = 8
Tell = Callable[[str, float | None], None]


def run_demo(settings: Settings, *, reps: int = 60, months: int = 24) -> None:
    """Build what is missing of the sample company's home, then serve it; long steps go on while it is served.

    Raises
    ------
    RealHome
        If the home holds real data.
    PortTaken
        If another program listens there; told before any work.
    """
    home = Home.of(settings)
    if home.has_data() and not home.company().sample:
        raise RealHome(home.root)
    check_address(settings, sample=True)
    sock = listen(settings)
    home.root.mkdir(parents=True, exist_ok=True)
    store = Store(home.database_url)
    steps = Steps(store)
    try:
        with home.lock("demo"):
            steps.plan([*FIRST, *REST])
            _do_first(home, store, steps, reps, months)
        with _rest_in_background(settings, steps):
            run(settings, sock=sock, say=_welcome(settings, home, _first_admin(store)))
    finally:
        sock.close()
        store.close()


def _first_admin(store: Store) -> str | None:
    """Make the first user; None where someone can sign in already."""
    if has_users(store):
        return None
    password = secrets.token_urlsafe(12)
    add_user(store, ADMIN, password, "admin")
    return password


def _welcome(settings: Settings, home: Home, password: str | None) -> str:
    hint = (
        f"Sign in as {ADMIN} with password {password} (shown only now)."
        if password
        else f"Sign in as {ADMIN}; a new password: bellwether user password {ADMIN} --home {home.root}"
    )
    lines = [
        "",
        f"  Bellwether is ready: {address_of(settings)}",
        "  The sample company can be read on this machine without signing in; answers to advice ask for it.",
        f"  {hint}",
        f"  API: curl '{address_of(settings)}/api/v1/deals?limit=5'",
        "  Ctrl-C ends it; 'make run' starts it again.",
        "",
    ]
    return "\n".join(lines)


def _do_first(home: Home, store: Store, steps: Steps, reps: int, months: int) -> None:
    """What must be there before anything can be shown."""
    work: dict[str, Callable[[Tell], None]] = {
        "data": lambda tell: build_sample(home, store, tell, reps=reps, months=months),
        "win": lambda tell: train_model(home, "win", tell),
        "deals": lambda tell: score_home(home, store, tell),
    }
    titles = {"data": "Sample company", "win": "Win model", "deals": "Open deals"}
    for name, do in work.items():
        if steps.is_done(name):
            continue
        started = time.monotonic()
        with steps.running(name), progress(titles[name]) as tell:
            do(tell)
        print(f"{titles[name]}: done in {time.monotonic() - started:.0f} s", flush=True)  # noqa: T201


def build_sample(home: Home, store: Store, tell: Tell, *, reps: int, months: int) -> None:
    """Simulate a company and import its files the way any company's are imported."""
    from crm.importing import import_path
    from crm.simulate import simulate, write
    from serving.people import StorePeople

    tell(f"simulating {reps} reps over {months} months", 0.1)
    sample = simulate(reps=reps, months=months)
    home.make_sample(sample.settings)
    _agree_to_coaching(store, home.company())
    folder = home.root / "sample-files"
    try:
        tell("writing its files", 0.3)
        write(sample, folder / "tables")
        import_path(
            folder / "tables",
            lake=home.lake,
            people=StorePeople(store),
            quarantine=home.quarantine,
            company=home.company(),
            progress=lambda text, done, total: tell(text.lower(), 0.4 + 0.6 * done / total),
        )
    finally:
        # The files hold names, which belong in the people book alone; what stands beside them is not for the product.
        shutil.rmtree(folder, ignore_errors=True)


def _agree_to_coaching(store: Store, company: Company) -> None:
    """The made-up people of the sample company agreed; a real company's are asked first."""
    from serving.people_data.purposes import Purposes

    purposes = Purposes(store, company)
    if not purposes.allowed("coaching"):
        today = datetime.now(UTC).astimezone(company.zone).date()
        purposes.record("coaching", agreed_by="works council", agreed_on=today, note="sample company", who="sample")


def train_model(home: Home, what: str, tell: Tell) -> None:
    """Train one model on all that is known."""
    from crm.lake import newest_event
    from training.fit import train
    from training.registry import KINDS

    view = home.lake.view()
    train(
        next(kind for kind in KINDS if kind == what),
        view=view,
        company=home.company(),
        tracking=home.tracking,
        snapshots=home.snapshots,
        as_of=newest_event(view),
        trials=0,  # the first look should not wait for the last tenth of a percent
        progress=lambda text: tell(text, None),
    )


def score_home(home: Home, store: Store, tell: Tell) -> None:
    """Score with the models there are."""
    from serving.jobs.leases import held
    from serving.scoring import score_all

    with held(store, "scores", patience=600):
        score_all(home, store=store, progress=tell)


def do_rest(home: Home) -> None:
    """What is done while pages are served: the other models, all scores, forecasts of the past, effects."""
    store = Store(home.database_url)
    steps = Steps(store)
    until: datetime = _newest(home)
    work: dict[str, Callable[[Tell], object]] = {
        "attainment": lambda tell: train_model(home, "attainment", tell),
        "churn": lambda tell: train_model(home, "churn", tell),
        "ranges": lambda tell: _ranges(home, tell),
        "scores": lambda tell: score_home(home, store, tell),
        "history": lambda tell: _history(home, store, until, tell),
        "effects": lambda tell: _effects(home, store, until, tell),
    }
    with home.lock("demo"):
        newer = False  # a model that failed before and is made now calls for new scores
        for name, do in work.items():
            if steps.is_done(name) and not (newer and name == "scores"):
                continue
            try:
                with steps.running(name):
                    do(_teller(steps, name))
                newer = newer or name in ("attainment", "churn", "ranges")
            except Exception:  # said in the step; the others may still work
                traceback.print_exc()
    store.close()


def _ranges(home: Home, tell: Tell) -> None:
    from training.ranges import fit_ranges

    fit_ranges(
        home.lake.view(), home.company(), tracking=home.tracking, snapshots=home.snapshots,
        progress=lambda text: tell(text, None),
    )  # fmt: skip


def _history(home: Home, store: Store, until: datetime, tell: Tell) -> None:
    from serving.history import reconstruct_history
    from serving.ledger import Ledger

    reconstruct_history(home, Ledger(store), until=until, dates=_PAST_DATES, progress=tell)


def _effects(home: Home, store: Store, until: datetime, tell: Tell) -> None:
    """Measure effects, then let suggestions rest on them; what they do not touch is not scored anew."""
    from serving.scoring import score_all
    from training.effects import measure

    measure(
        home.lake.view(), home.company(), tracking=home.tracking, snapshots=home.snapshots, as_of=until, progress=tell
    )
    score_all(home, store=store, reuse=True)


def _newest(home: Home) -> datetime:
    from crm.lake import newest_event

    return newest_event(home.lake.view())


def _teller(steps: Steps, name: str) -> Tell:
    return partial(steps.tell, name)


@contextmanager
def _rest_in_background(settings: Settings, steps: Steps) -> Iterator[None]:
    """A process of its own, ended with this one: training must not make pages wait."""
    if all(steps.is_done(name) for name in REST):
        yield
        return
    home = Home.of(settings)
    log = (home.root / "demo.log").open("ab")
    command = [sys.executable, "-m", "serving.demo", str(home.root), str(os.getpid())]
    worker = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=Path.cwd(), start_new_session=True
    )
    watcher = threading.Thread(target=_watch, args=(worker, steps), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        worker.terminate()
        try:
            worker.wait(10)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
        log.close()


def _watch(worker: subprocess.Popen[bytes], steps: Steps) -> None:
    """Pages must not say 'still working' when the process that works is gone."""
    if worker.wait() not in (0, -signal.SIGTERM):
        steps.fail_unfinished("The work stopped unexpectedly; 'make run' goes on where it was.")


def _end_with(parent: int) -> None:
    """End this process when the one that serves is gone, however that came."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _worker(arguments: list[str]) -> None:
    _end_with(int(arguments[1]))
    os.nice(5)  # pages come first
    settings = Settings()
    do_rest(Home.of(settings.model_copy(update={"home": Path(arguments[0])})))


if __name__ == "__main__":
    _worker(sys.argv[1:])
