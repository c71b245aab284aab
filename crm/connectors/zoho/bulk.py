"""Zoho's bulk read: a job writes a whole module into a file, two hundred thousand rows at a time, for a first load."""

from __future__ import annotations

import csv
import io
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from crm.connectors.base import CrmUnreachable
from crm.connectors.web import Web
from crm.connectors.zoho.modules import DEALS, DECLARATION, Record

MODULES = ("Accounts", "Contacts", "Products", DEALS)
_LONGEST_WAIT, _MOST_WAITS = 30.0, 120
_GONE = (400, 404)  # a file is kept for a day


def fits(module: str, columns: Sequence[str]) -> bool:
    """Whether a file holds what these columns need: of a lookup it has the key alone."""
    return module in MODULES and all(c.endswith(".id") for c in columns if "." in c)


class BulkRead:
    """Files of one run.

    Parameters
    ----------
    poll : float
        Seconds between the first two looks at a job; doubling to half a minute.
    """

    def __init__(self, web: Web, host: str, *, poll: float, pause: Callable[[float], None] = time.sleep) -> None:
        self._web, self._url, self._poll, self._pause = web, f"{host}/crm/bulk/v8/read", poll, pause
        self._open: tuple[str, int, Iterator[Record], str | None] | None = None

    def begin(self, module: str, fields: Sequence[str], page_token: str | None = None) -> str:
        """Ask for a file; gives the job's key."""
        query: dict[str, Any] = {"module": {"api_name": module}, "fields": list(fields)}
        query |= {"page_token": page_token} if page_token else {"page": 1}
        [said] = self._web.call("POST", self._url, json={"query": query})["data"]
        return str(said["details"]["id"])

    def rows(self, job: str, begin: int, most: int) -> tuple[list[Record], str | None] | None:
        """Some rows of a job's file, and the token of the next file behind the last one of this.

        None where Zoho has no such file, or none could be made.

        Raises
        ------
        CrmUnreachable
            If it is not there after an hour; a later run may go on with it.
        """
        if self._open is None or self._open[:2] != (job, begin):
            made = self._wait(job)
            body = self._web.fetch(f"{self._url}/{job}/result", missing=_GONE) if made else None
            if made is None or body is None:
                return None
            following = str(made["next_page_token"]) if made.get("more_records") else None
            self._open = (job, begin, islice(_records(body), begin, None), following)
        _, _, rest, following = self._open
        found = list(islice(rest, most))
        self._open = (job, begin + len(found), rest, following)
        return found, following

    def _wait(self, job: str) -> Mapping[str, Any] | None:
        wait = self._poll
        for _ in range(_MOST_WAITS):
            answer = self._web.get(f"{self._url}/{job}", {}, missing=_GONE)
            if not answer or answer["data"][0]["state"] == "FAILURE":
                return None
            if answer["data"][0]["state"] == "COMPLETED":
                return dict(answer["data"][0]["result"])
            self._pause(wait)
            wait = min(_LONGEST_WAIT, wait * 2)
        raise CrmUnreachable(DECLARATION.title, f"has not made the file of bulk read {job}", "Sync again later.")


def _records(body: bytes) -> Iterator[Record]:
    """Rows as the API gives records, but for lookups, which are keys; empty cells are nothing."""
    with zipfile.ZipFile(io.BytesIO(body)) as archive, archive.open(archive.namelist()[0]) as file:
        for row in csv.DictReader(io.TextIOWrapper(file, encoding="utf-8", newline="")):
            record = {name: value or None for name, value in row.items()}
            yield {**record, **{f"{name}.id": value for name, value in record.items()}, "id": str(row["Id"])}
