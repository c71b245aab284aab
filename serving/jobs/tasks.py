"""What jobs do, a function a kind; each begins anew without harm, and shows its outcome only when it is whole."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crm.errors import NotReady
from serving.crms import connector_of
from serving.home import Home
from serving.jobs.queue import Job, JobLost, Queue
from serving.settings import Settings
from serving.store import Store

if TYPE_CHECKING:
    from crm.connectors import Connector
    from crm.report import ImportReport
    from training.fit_result import TrainResult
    from training.registry import What

Tell = Callable[[str, float | None], None]
MODELS: tuple[What, ...] = ("win", "attainment", "churn")
_MOST_REFUSALS = 1000
_FORGOTTEN = 7 * 86400.0


class UploadGone(NotReady):
    """The files of an import are no longer there."""

    def __init__(self, folder: Path) -> None:
        super().__init__("The files of this import ({name}) are gone. Upload them again.", name=folder.name)


class NothingTrained(NotReady):
    """No model could be trained."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a task works with."""

    settings: Settings
    home: Home
    store: Store
    job: Job
    tell: Tell


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a task made, in words and as JSON."""

    text: str
    result: dict[str, Any]


def do(work: Work) -> Outcome:
    """Do a job.

    Raises
    ------
    BellwetherError
        What is wrong, with the mend.
    """
    tasks = {
        "import": import_files, "sync": sync_crm, "train": train_model, "ranges": fit_ranges, "score": score,
        "monitor": look_at_models, "write-back": write_into_crm,
    }  # fmt: skip
    return tasks[work.job.kind](work)


def upload_folder(home: Home, name: str) -> Path:
    """Where the files of an import wait: `files/` below it, beside it `mapping.yaml` where one came along."""
    return home.root / "uploads" / Path(name).name


def import_files(work: Work) -> Outcome:
    """Read uploaded files into the lake, or rehearse that; then ask for scores.

    The files go when it is done; a job that is cancelled or fails takes them along too.
    """
    from crm.mapping import load
    from crm.quarantine import drop_row

    params, place = work.job.params, upload_folder(work.home, work.job.params["upload"])
    files = place / "files"
    if not files.is_dir():
        raise UploadGone(place)
    own = place / "mapping.yaml"
    named = str(own) if own.is_file() else params.get("mapping")
    if not params["dry_run"]:
        work.home.prepare_import(files)
    report = take_files(work.home, work.store, files, load(named) if named else None, work.tell, dry=params["dry_run"])
    if not params["dry_run"]:
        work.home.keep_stages(report.stages)
        if mended := params.get("mends"):  # what is still wrong with the row stands in the quarantine anew
            drop_row(work.home.quarantine, mended["name"], mended["file"], mended["row"])
        work.store.audit(_who(work.job), "import", job=work.job.job_id, taken=report.taken)
    said = (
        f"{'would be taken' if params['dry_run'] else 'taken'}: {report.taken:,}, refused: {_refused(report):,} (rows)"
    )
    result = {**trimmed(report), "dry_run": params["dry_run"], "data_cut": work.home.lake.cut().number}
    if not params["dry_run"]:
        result["score_job"] = score_after(work)
    return Outcome(said, result)


def take_files(home: Home, store: Store, path: Path, mapping: Any, tell: Tell, *, dry: bool = False) -> ImportReport:
    """Import files into a home, names to its people book; a rehearsal writes nothing."""
    from crm.importing import import_path
    from serving.jobs.rehearsal import rehearse
    from serving.people import StorePeople

    if dry:
        return rehearse(home, store, path, mapping, tell)
    return import_path(
        path,
        lake=home.lake,
        people=StorePeople(store),
        quarantine=home.quarantine,
        company=home.company(),
        mapping=mapping,
        progress=lambda text, done, total: tell(text, done / total),
    )


def sync_crm(work: Work) -> Outcome:
    """Take what changed in a CRM since the last sync, or what its messages named; then ask for scores."""
    connector = connector_of(work.job.params["crm"], work.settings, work.home)
    deals: set[str] | None = None
    if work.job.params.get("touched"):
        found, crm, deals = sync_named(work, connector)
    else:
        found, crm = sync_home(work.home, work.store, connector, work.tell)
    work.store.audit(_who(work.job), "sync", crm=crm, taken=found.taken)
    tables = {name: dict(counts) for name, counts in sorted(found.tables.items())}
    result = {"crm": crm, "tables": tables, "refused": dict(found.refused), "data_cut": work.home.lake.cut().number}
    return Outcome(f"{found.taken:,} rows read", {**result, "score_job": score_after(work, deals)})


def sync_named(work: Work, connector: Connector) -> tuple[Any, str, set[str]]:
    """Read the records that messages of a CRM named; those named again meanwhile stay queued.

    Gives the report, the CRM's name, and the deals that rest on these records or did before.
    """
    from crm.connectors import ReadsSome, SyncReport, sync_touched
    from crm.mapping import load
    from serving import messages
    from serving.people import StorePeople
    from serving.touched import deals_touched

    declared, rows = connector.declaration, messages.touched(work.store, connector.declaration.name)
    if not rows or not isinstance(connector, ReadsSome):
        return SyncReport(), declared.name, set()
    work.home.prepare_sync()
    named = messages.by_resource(rows)
    keys = {resource: list(found) for resource, found in named.items()}
    deals = deals_touched(work.home.lake.view(), declared, keys)
    found = sync_touched(
        connector,
        named,
        lake=work.home.lake,
        people=StorePeople(work.store),
        quarantine=work.home.quarantine,
        company=work.home.company(),
        state_file=work.home.cursors / f"{declared.name}.json",
        stop=datetime.now(UTC),
        mapping=load(declared.mapping),
    )
    messages.done(work.store, rows)
    return found, declared.name, deals | deals_touched(work.home.lake.view(), declared, keys)


def sync_home(
    home: Home, store: Store, connector: Connector, tell: Tell, mapping: str | None = None
) -> tuple[Any, str]:
    """Sync into a home that holds no sample company, names to its people book; give the report and the CRM's name."""
    from crm.connectors import sync
    from crm.mapping import load
    from serving.people import StorePeople

    declared = connector.declaration
    home.prepare_sync()
    found = sync(
        connector,
        lake=home.lake,
        people=StorePeople(store),
        quarantine=home.quarantine,
        company=home.company(),
        state_file=home.cursors / f"{declared.name}.json",
        stop=datetime.now(UTC),
        mapping=load(mapping or declared.mapping),
        progress=lambda text: tell(text, None),
    )
    home.keep_stages(found.stages)
    return found, declared.name


def train_model(work: Work) -> Outcome:
    """Train models, each put in use if it passes the gate; after the win model measure effects; then ask for scores."""
    wished = work.job.params.get("what")
    made: list[TrainResult] = []
    missing: dict[str, str] = {}
    for what in MODELS if wished is None else [w for w in MODELS if w == wished]:
        try:
            made.append(_train(work, what))
        except JobLost:
            raise
        except NotReady as error:
            missing[what] = str(error)
    if not made:
        raise NothingTrained(" ".join(f"{what}: not trained. {why}" for what, why in missing.items()))
    models = [
        {"what": m.what, "version": m.version, "in_use": m.promoted, "verdict": m.verdict, "warnings": list(m.warnings)}
        for m in made
    ]
    said = ", ".join(f"{m.what} {m.version}{' in use' if m.promoted else ''}" for m in made)
    measured = any(m.what == "win" for m in made) and _measure_effects(work, missing)
    after = score_after(work) if measured or any(m.promoted for m in made) else None
    return Outcome(said, {"models": models, "missing": missing, "score_job": after})


def _measure_effects(work: Work, missing: dict[str, str]) -> bool:
    """Measure effects and keep them with the win model in use, or note why that cannot be; True where it could."""
    from crm.lake import newest_event
    from training.effects import measure

    view, home = work.home.lake.view(), work.home
    try:
        measure(
            view, home.company(), tracking=home.tracking, snapshots=home.snapshots, as_of=newest_event(view),
            progress=lambda text, done: work.tell(f"effects: {text}", done),
        )  # fmt: skip
    except JobLost:
        raise
    except NotReady as error:
        missing["effects"] = str(error)
        return False
    return True


def _train(work: Work, what: What) -> TrainResult:
    from crm.lake import newest_event
    from training.fit import train

    view = work.home.lake.view()
    return train(
        what,
        view=view,
        company=work.home.company(),
        tracking=work.home.tracking,
        snapshots=work.home.snapshots,
        as_of=newest_event(view),
        trials=work.job.params.get("trials", 12),
        like=work.job.params.get("like"),
        progress=lambda text: work.tell(f"{what}: {text}", None),
    )


def fit_ranges(work: Work) -> Outcome:
    """Fit the ranges of the win model in use, where they are missing; then ask for scores that have them."""
    from training.ranges import fit_ranges as fit

    home = work.home
    made = fit(
        home.lake.view(), home.company(), tracking=home.tracking, snapshots=home.snapshots,
        progress=lambda text: work.tell(text, None),
    )  # fmt: skip
    said = "the win model has its ranges" if made else "the ranges were there already"
    return Outcome(said, {"made": made, "score_job": score_after(work) if made else None})


def score(work: Work) -> Outcome:
    """Score with the models in use, the last scores staying where nothing changed; then ask for ranges that miss.

    A job that names deals rates those alone.
    """
    from serving.scoring import score_all

    only = work.job.params.get("deals")
    found = score_all(work.home, store=work.store, reuse=True, only=only, progress=work.tell)
    deals, result = found.rows.get("deals", 0) + found.rows.get("leads", 0), asdict(found)
    result |= {"as_of": found.as_of.isoformat(), "folder": found.folder.name, "ranges_job": _ranges_after(work)}
    return Outcome(f"{deals:,} deals, {found.rated:,} of them rated anew", result)


def write_into_crm(work: Work) -> Outcome:
    """Write what the newest scores say into fields of a CRM's deals, or say what would be written."""
    from serving.crms import writer_of
    from serving.write_back import write_back

    crm, dry = work.job.params["crm"], bool(work.job.params.get("dry_run"))
    writer = writer_of(crm, work.settings, work.home)
    report = write_back(work.home, work.store, crm, writer, dry_run=dry, tell=work.tell)
    if not dry:
        written, refused = report.written, len(report.refused)
        work.store.audit(_who(work.job), "write back", crm=crm, written=written, refused=refused)
    return Outcome(report.lines(dry)[-1], {"crm": crm, "dry_run": dry, **report.result()})


def look_at_models(work: Work) -> Outcome:
    """Look at whether it is time to train again and which data broke; train what is due where the policy says so."""
    from serving.monitoring import monitor
    from training.retrain import retrain_policy

    found = monitor(work.home, work.store, say=lambda text: work.tell(text, None))
    # What broke would be learnt: it is mended first.
    jobs = _train_after(work, found.due) if retrain_policy().automatic and not found.alerts else []
    due = f"time to train again: {', '.join(found.due)}" if found.due else "no model needs training"
    said = f"{due}; {len(found.alerts)} alerts on data"
    return Outcome(said, {"due": found.due, "alerts": found.alerts, "train_jobs": jobs})


def _train_after(work: Work, due: list[str]) -> list[int]:
    """Ask for a training of each model that is due, unless one waits already."""
    queue = Queue(work.store)
    if not due or queue.waiting("train"):
        return []
    how = f"after job {work.job.job_id}"
    wishes = [{"what": what} | ({"like": "champion"} if what == "win" else {}) for what in due]
    return [queue.ask("train", wish, by=work.job.asked_by, how=how).job_id for wish in wishes]


def score_after(work: Work, deals: set[str] | None = None) -> int | None:
    """Ask for scores of the new data: one job for all that came before it began; None where no model is in use.

    With `deals`, only those are rated anew, unless a job that rates all is waiting.
    """
    from training import registry

    if not any(_in_use(registry, what, work.home) for what in MODELS):
        return None
    queue = Queue(work.store)
    waiting, params = queue.waiting("score"), {} if deals is None else {"deals": sorted(deals)}
    if waiting and waiting.params not in ({}, params):
        waiting = None  # it rates other deals alone
    job = waiting or queue.ask("score", params, by=work.job.asked_by, how=f"after job {work.job.job_id}")
    return job.job_id


def _ranges_after(work: Work) -> int | None:
    """Ask for the ranges of the win model in use, once a model; None where they are there."""
    from training.ranges import ranges_missing

    run_id = ranges_missing(tracking=work.home.tracking)
    if run_id is None:
        return None
    how = f"after job {work.job.job_id}"
    return Queue(work.store).ask("ranges", {}, by=work.job.asked_by, how=how, once=f"ranges of {run_id}").job_id


def drop_upload(home: Home, job: Job) -> None:
    """Delete the files of an import that has ended: they hold names, which belong in the people book alone."""
    if job.kind == "import":
        shutil.rmtree(upload_folder(home, job.params["upload"]), ignore_errors=True)


def drop_forgotten(home: Home) -> None:
    """Delete uploads older than a week: those whose job was never asked for, as the server died in between."""
    folder, old = home.root / "uploads", time.time() - _FORGOTTEN
    for place in folder.iterdir() if folder.is_dir() else ():
        if place.stat().st_mtime < old:
            shutil.rmtree(place, ignore_errors=True)


def trimmed(report: ImportReport) -> dict[str, Any]:
    """A report for the store: the first refusals only; the quarantine has them all."""
    found = report.to_dict()
    found["refusals"] = found["refusals"][:_MOST_REFUSALS]
    found["taken"], found["refused"] = report.taken, _refused(report)
    found["quarantine"] = Path(report.quarantine).stem if report.quarantine else None
    return found


def _refused(report: ImportReport) -> int:
    return sum(table.refused for table in report.tables.values())


def _in_use(registry: Any, what: str, home: Home) -> bool:
    try:
        registry.champion(what, tracking=home.tracking)
    except NotReady:
        return False
    return True


def _who(job: Job) -> str:
    return f"user {job.asked_by}" if job.asked_by is not None else job.asked_how
