"""Verbs about jobs: work, jobs list, jobs cancel."""

from __future__ import annotations

from typing import Annotated

import typer

from serving.cli.common import HomeDir, echo_table, home_that_is, store_of

jobs = typer.Typer(no_args_is_help=True, help="Work in the background: list, cancel.")


def add_to(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command("work")(work)
    app.add_typer(jobs, name="jobs")


def work(home: HomeDir = None) -> None:
    """Do the jobs of a home until Ctrl-C: imports, syncs, training, scores; 'serve' starts one of these by itself.

    Example: bellwether work --home var
    """
    import logging

    from serving.jobs.beside import work as do
    from serving.settings import Settings

    place = home_that_is(home)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    typer.echo(f"Doing the jobs of {place.root} (Ctrl-C ends it)")
    do(Settings().model_copy(update={"home": place.root}))


@jobs.command("list")
def list_jobs(
    home: HomeDir = None, limit: Annotated[int, typer.Option(min=1, max=500, help="How many, newest first.")] = 20
) -> None:
    """Jobs with their state, newest first.

    Example: bellwether jobs list
    """
    from serving.jobs.queue import Queue

    with store_of(home_that_is(home)) as store:
        found = Queue(store).newest(limit=limit)
    rows = [[j.job_id, j.kind, j.state, f"{j.done:.0%}", f"{j.asked_at:%Y-%m-%d %H:%M}", j.text] for j in found]
    echo_table(["job", "kind", "state", "done", "asked (UTC)", ""], rows)


@jobs.command("cancel")
def cancel_job(number: Annotated[int, typer.Argument(help="The job's number.")], home: HomeDir = None) -> None:
    """Stop a job; what it was writing is not kept.

    Example: bellwether jobs cancel 12
    """
    from serving.jobs.queue import Queue

    with store_of(home_that_is(home)) as store:
        job = Queue(store).cancel(number)
        store.audit("cli", "cancel job", job=number)
    said = job.state if job.ended else "will stop within seconds"
    typer.echo(f"Job {number} ({job.kind}): {said}.")
