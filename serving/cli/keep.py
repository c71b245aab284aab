"""Verbs that keep a home safe: backup, restore."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from serving.cli.common import HomeDir, home_of, home_that_is, progress


def add_to(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command("backup")(backup)
    app.command("restore")(restore)


def backup(file: Annotated[Path, typer.Argument(help="The file to write.")], home: HomeDir = None) -> None:
    """Write a whole home into one file: store, lake, models, scores, settings; it may be served meanwhile.

    Example: bellwether backup bellwether.tar.gz --home var
    """
    from serving.backup import back_up

    with progress("Backup") as tell:
        taken = back_up(home_that_is(home), file, tell)
    typer.echo(f"{file} holds {sum(taken.rows.values())} rows and {taken.files} files, {taken.bytes / 1e6:.1f} MB.")


def restore(file: Annotated[Path, typer.Argument(help="A file of 'bellwether backup'.")], home: HomeDir = None) -> None:
    """Make a new home from a backup; refuses where anything is already.

    Example: bellwether restore bellwether.tar.gz --home restored
    """
    from serving.backup import restore as bring_back

    place = home_of(home)
    with progress("Restore") as tell:
        taken = bring_back(place, file, tell)
    typer.echo(f"{place.root} is as it was at {taken.made_at[:16]}Z: {sum(taken.rows.values())} rows.")
