"""The command line: `bellwether VERB`; errors are one line and a non-zero exit, never a traceback."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from typer._click.exceptions import NoArgsIsHelpError, UsageError  # has no public name

from crm.errors import BellwetherError
from serving.cli import (
    data,
    features,
    forecast,
    goals,
    keep,
    learn,
    operate,
    people,
    plan,
    record,
    reports,
    review,
    risks,
    scenario,
    users,
    watch,
    work,
    write,
)

_STOPPED = 130

app = typer.Typer(
    name="bellwether",
    help="Forecasts, next steps and retrainable models for sales teams, from a company's CRM history.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
)
for module in (
    data, learn, features, forecast, plan, goals, record, scenario, reports, review, risks, operate, keep, users,
    people, work, write, watch,
):  # fmt: skip
    module.add_to(app)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("bellwether"))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", callback=_show_version, is_eager=True)
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an unexpected error came from.")] = False,
) -> None:
    _Debug.on = debug


class _Debug:
    on = False


def main() -> None:
    """Run the command line."""
    try:
        code = app(standalone_mode=False)
        if code == _STOPPED:  # Typer answers Ctrl-C by this code, without a word
            _stop("stopped", _STOPPED)
        sys.exit(code)
    except NoArgsIsHelpError:
        sys.exit(2)
    except UsageError as error:
        _stop(_usage(error), 2)
    except typer.Abort:
        _stop("stopped", _STOPPED)
    except BellwetherError as error:
        _stop(str(error), 1)
    except KeyboardInterrupt:
        _stop("stopped", _STOPPED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except Exception as error:
        if _Debug.on:
            raise
        kind = type(error).__name__
        _stop(
            f"unexpected {kind}: {_first_line(str(error))}. Run it again as 'bellwether --debug ...' to see where.", 1
        )


def _usage(error: UsageError) -> str:
    said = _first_line(error.format_message()).replace("Value error, ", "")
    where = error.ctx.command_path if error.ctx else "bellwether"
    stop = "" if said.endswith(("?", ".")) else "."
    return f"{said}{stop} See: {where} --help"


def _first_line(text: str) -> str:
    return (text.strip().splitlines() or ["no more is known"])[0][:300]


def _stop(text: str, code: int) -> None:
    print(f"bellwether: {text}", file=sys.stderr)  # noqa: T201
    sys.exit(code)
