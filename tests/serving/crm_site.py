"""A company with a past and a win model that syncs with a CRM: its jobs done at once, its API asked."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from serving.app import create_app
from serving.home import Home
from serving.jobs.queue import Queue
from serving.jobs.tasks import Work, do
from serving.scores import read_folder, read_pointer
from serving.settings import Settings
from serving.store import Store
from serving.tokens import make_token
from serving.users import add_user, read_user
from tests.serving.asked import ask


@pytest.fixture
def home(live_home: Home, tmp_path: Path) -> Home:
    """A company with a past and a win model in use; the sample's, as if it were real."""
    shutil.copytree(live_home.root, tmp_path / "home")
    made = Home(tmp_path / "home")
    text = made.company_file.read_text(encoding="utf-8")
    made.company_file.write_text(text.replace("sample: true", "sample: false"), encoding="utf-8")
    assert not made.company().sample
    return made


@pytest.fixture
def store(home: Home) -> Iterator[Store]:
    opened = Store(home.database_url)
    yield opened
    opened.close()


class Api:
    """What an administrator reads over the API."""

    def __init__(self, home: Home, store: Store) -> None:
        number = add_user(store, "touched@example.com", None, "admin")
        token = make_token(store, read_user(store, number), "t", ["read"], days=1)[1]
        self._headers = {"authorization": f"Bearer {token}", "accept": "application/json"}
        self._app = create_app(Settings(home=home.root))

    def deal(self, deal_id: str) -> dict[str, Any]:
        answer = ask(self._app, f"/api/v1/deals/{deal_id}", headers=self._headers)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


def work_off(home: Home, store: Store) -> dict[str, dict[str, Any]]:
    """Do all jobs that wait, as a worker does; the last outcome by kind."""
    done, queue = {}, Queue(store)
    while job := queue.claim("test"):
        outcome = do(Work(Settings(home=home.root), home, store, job, lambda text, share: None))
        queue.end(job.job_id, "test", "done", outcome.text, outcome.result)
        done[job.kind] = outcome.result
    return done


def ratings(home: Home) -> pd.DataFrame:
    """What the newest scores say of each deal and lead, and of which moment."""
    frames = read_folder(home.scores / read_pointer(home.scores))[0]
    rated = pd.concat([frames[name] for name in ("deals", "leads")]).set_index("deal_id")
    return rated[["win_probability", "p_win_in_period", "as_of"]]
