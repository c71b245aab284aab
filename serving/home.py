"""A home: the folder with everything of one company, and whether it holds the sample or a real company."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from crm.company import Company, example_yaml
from crm.errors import NotAllowed, NotReady
from crm.lake import Lake
from serving.settings import Settings


class SampleHome(NotAllowed):
    """A real company's data must not be mixed with the sample company's."""

    def __init__(self, root: Path) -> None:
        super().__init__(
            f"{root} holds the sample company, and real data must not be mixed with it. "
            "Name another home: --home my-company."
        )


class RealHome(NotAllowed):
    """The sample company must not be put among a real company's data."""

    def __init__(self, root: Path) -> None:
        super().__init__(f"{root} holds a real company. Name another home for the sample company: --home sample.")


class HomeBusy(NotReady):
    """Another process builds this home."""

    def __init__(self, root: Path) -> None:
        super().__init__(f"Another process is already working on {root}. Wait until it is done, or stop it first.")


class Home:
    """Where things of one company are.

    Parameters
    ----------
    root : Path
        The folder; made when something is written to it.
    database_url, tracking_uri : str, optional
        Store and MLflow elsewhere than in the folder.
    engine : str
        What works features out from the lake.
    """

    def __init__(
        self,
        root: Path,
        *,
        database_url: str | None = None,
        tracking_uri: str | None = None,
        engine: str = "duckdb",
    ) -> None:
        self.root = Path(root).expanduser().absolute()
        self._database_url = database_url
        self._tracking_uri = tracking_uri
        self._engine = engine

    @classmethod
    def of(cls, settings: Settings) -> Home:
        """The home that the settings name."""
        elsewhere = {"database_url": settings.database_url, "tracking_uri": settings.tracking_uri}
        return cls(settings.home, engine=settings.engine, **elsewhere)

    @property
    def lake(self) -> Lake:
        """The CRM history."""
        return Lake(self.root / "lake", self._engine)

    @property
    def database_url(self) -> str:
        """The store's SQLAlchemy URL."""
        return self._database_url or f"sqlite:///{self.root / 'store.db'}"

    @property
    def tracking(self) -> str:
        """MLflow's store; models go to `artifacts/` beside it."""
        return self._tracking_uri or f"sqlite:///{self.root / 'mlflow.db'}"

    @property
    def quarantine(self) -> Path:
        """Refused rows with their reasons."""
        return self.root / "quarantine"

    @property
    def cursors(self) -> Path:
        """How far the sync of each CRM has come."""
        return self.root / "cursors"

    @property
    def tokens(self) -> Path:
        """Access tokens that processes share, readable by their owner alone; no backup takes them."""
        return self.root / "tokens"

    @property
    def snapshots(self) -> Path:
        """What was known at past moments, kept to train faster."""
        return self.root / "snapshots"

    @property
    def scores(self) -> Path:
        """Score files, a folder a run, and the pointer to the newest."""
        return self.root / "scores"

    @property
    def company_file(self) -> Path:
        """The company's settings."""
        return self.root / "company.yaml"

    def company(self) -> Company:
        """The company's settings as they are now.

        Raises
        ------
        BadSetting
            If the file cannot be used.
        """
        return Company.load(self.company_file)

    def make(self) -> None:
        """Make the folder, with a commented company.yaml where there is none.

        Raises
        ------
        NotReady
            If it cannot be made or written to.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            if not self.company_file.exists():
                self.company_file.write_text(example_yaml(), encoding="utf-8")
        except OSError as error:
            raise NotReady(f"{self.root} cannot be written to ({error.strerror}). Name another home: --home.") from None

    def has_data(self) -> bool:
        """Whether something has been imported."""
        return self.lake.cut().number > 0

    def prepare_import(self, path: Path) -> None:
        """Make the home ready for files: a company.yaml beside them becomes the settings of a new home.

        Raises
        ------
        SampleHome, RealHome
            If sample and real data would be mixed.
        BadSetting
            If that company.yaml cannot be used.
        """
        self.check_import(path)
        brought = path / "company.yaml"
        self.make()
        if brought.is_file() and not self.has_data() and self.company() == Company():
            self.company_file.write_text(brought.read_text(encoding="utf-8"), encoding="utf-8")

    def check_import(self, path: Path) -> None:
        """See that files may be imported here; errors as in `prepare_import`."""
        settings = Company.load(path / "company.yaml") if path.is_dir() else Company()
        if self.company().sample and not settings.sample:
            raise SampleHome(self.root)
        if settings.sample and self.has_data() and not self.company().sample:
            raise RealHome(self.root)

    def prepare_sync(self) -> None:
        """Make the home ready for a CRM's data.

        Raises
        ------
        SampleHome
            If it holds the sample company.
        """
        if self.company().sample:
            raise SampleHome(self.root)
        self.make()

    def make_sample(self, settings: dict[str, Any]) -> None:
        """Turn an empty home into one for the sample company; nothing changes where it is one already.

        Raises
        ------
        RealHome
            If real data is in it.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        if self.company_file.exists() and self.company().sample:
            return
        if self.has_data():
            raise RealHome(self.root)
        Company.parse(settings).save(self.company_file)

    def keep_stages(self, stages: dict[str, list[str]]) -> None:
        """Write a stage order that an import's mapping brought; one that the company set is kept."""
        if not stages or self.company().stages:
            return
        text = yaml.safe_dump({"stages": stages}, allow_unicode=True, sort_keys=False)
        with self.company_file.open("a", encoding="utf-8") as file:
            file.write("\n" + text)

    @contextmanager
    def lock(self, what: str = "work") -> Iterator[None]:
        """Hold this home for one piece of work.

        Raises
        ------
        HomeBusy
            If another process holds it.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.root / f"{what}.lock", timeout=0):
                yield
        except Timeout:
            raise HomeBusy(self.root) from None

    def free_bytes(self) -> int:
        """Room left on the disk."""
        folder = self.root if self.root.exists() else self.root.parent
        while not folder.exists():
            folder = folder.parent
        return shutil.disk_usage(folder).free
