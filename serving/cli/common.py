"""What verbs share: options, the home, progress, tables."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crm.errors import BadInput, NotReady

if TYPE_CHECKING:
    from serving.home import Home
    from serving.store import Store

HomeDir = Annotated[
    Path | None, typer.Option("--home", help="Folder of the company's data; unset: BELLWETHER_HOME, else 'var'.")
]
AsOf = Annotated[
    str | None, typer.Option("--as-of", help="Moment, such as 2026-02-28; unset: the newest event in the data.")
]
Seed = Annotated[int, typer.Option(help="Seed of all draws.")]


class BadMoment(BadInput):
    """A moment is written in a way that is not known."""

    def __init__(self, text: str) -> None:
        super().__init__(f"--as-of is '{text}'. Give a day such as 2026-02-28, or a moment such as 2026-02-28T18:00Z.")


class NoSuchHome(NotReady):
    """A home that holds nothing was asked for something."""

    def __init__(self, root: Path) -> None:
        super().__init__(f"There is no home {root}. Check --home, or import into it first: bellwether import PATH.")


def home_of(path: Path | None) -> Home:
    """The home that was named, else the one of the settings."""
    from serving.home import Home
    from serving.settings import Settings

    settings = Settings()
    return Home.of(settings.model_copy(update={"home": path}) if path else settings)


def home_that_is(path: Path | None) -> Home:
    """The home, which must be there already: a misspelt one is told, not made.

    Raises
    ------
    NoSuchHome
        If there is no such folder.
    """
    home = home_of(path)
    if not home.root.is_dir():
        raise NoSuchHome(home.root)
    return home


def home_option(path: Path | None) -> str:
    """What to add to a command that is suggested, so that it means the same home."""
    return f" --home {shlex.quote(str(path))}" if path else ""


def moment_of(text: str | None) -> datetime | None:
    """A moment; a day means its end, UTC."""
    if text is None:
        return None
    try:
        if len(text) == 10:
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=UTC)
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadMoment(text) from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


@contextmanager
def store_of(home: Home) -> Iterator[Store]:
    """The home's store, closed at the end."""
    from serving.store import Store

    store = Store(home.database_url)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def progress(title: str) -> Iterator[Callable[[str, float | None], None]]:
    """A bar on a terminal, plain lines elsewhere; give it words and the share done (None: not known)."""
    if not sys.stderr.isatty():
        yield partial(_tell_plainly, title)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)

        def tell(text: str, done: float | None = None) -> None:
            bar.update(task, description=f"{title}: {text}", total=None if done is None else 1.0, completed=done or 0.0)

        yield tell


def _tell_plainly(title: str, text: str, done: float | None = None) -> None:
    print(f"{title}: {text}", file=sys.stderr, flush=True)  # noqa: T201


def echo_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table on a terminal; tab-separated lines elsewhere, so that programs can read them."""
    if not sys.stdout.isatty():
        for row in [columns, *rows]:
            typer.echo("\t".join("" if cell is None else str(cell) for cell in row))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns)
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    Console().print(table)
