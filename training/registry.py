"""Models in MLflow: logged with what they were made from, registered, promoted, rolled back, loaded as objects."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlparse
from urllib.request import url2pathname

import pandas as pd

from crm.errors import NotFound, NotReady
from training.tracking import EXPERIMENT, artifacts_beside, client_of, is_empty
from training.verdicts import Sentence

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

What = Literal["win", "attainment", "churn"]
KINDS: tuple[What, ...] = ("win", "attainment", "churn")
CHAMPION, CHALLENGER = "champion", "challenger"
# Where a model's files lie in its run: today, and as they did before models carried their own code.
_PLACES = ("model/artifacts/at_rest", "model/data/at_rest")
_LATER, _LATER_PLACE = "ranges", "model/artifacts/ranges"
"""A run's tag that names the folder of a win model's interval models: they are fitted when it is in use already."""


class NoModel(NotReady):
    """There is no model of that kind in use."""

    def __init__(self, what: str) -> None:
        super().__init__(f"There is no {what} model yet. Train one: bellwether train {what}.")


class UnknownVersion(NotFound):
    """No such version of a model."""


@dataclass(frozen=True, slots=True)
class Champion:
    """The model in use; `meta` has `until`, `trained_at`, `verdict`, `metrics` and `params`."""

    model: Any
    version: str
    run_id: str
    meta: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Version:
    """One registered version of a model, newest first in lists."""

    what: str
    version: str
    run_id: str
    aliases: tuple[str, ...]
    made_at: datetime
    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Logged:
    """What was logged: the run, and the registered version."""

    run_id: str
    version: str


def name_of(what: str) -> str:
    """Registered name of a kind of model.

    Raises
    ------
    NotFound
        If there is no such kind.
    """
    if what not in KINDS:
        raise NotFound(f"There is no model '{what}'. Models: {', '.join(KINDS)}.")
    return f"bellwether-{what}"


def log_model(
    what: str,
    model: Any,
    *,
    tracking: str,
    params: Mapping[str, Any],
    metrics: Mapping[str, float],
    tags: Mapping[str, str],
    tables: Mapping[str, pd.DataFrame] | None = None,
    figures: Mapping[str, str] | None = None,
    series: Mapping[str, Sequence[float]] | None = None,
) -> Logged:
    """Log a run with its model, register the model, and give it the alias challenger.

    Parameters
    ----------
    params, metrics, tags : mapping
        What it was made with, how good it is, what it was made from.
    tables : mapping of str to pd.DataFrame, optional
        Kept as Parquet beside the model.
    figures : mapping of str to str, optional
        SVG texts, kept beside the model.
    series : mapping of str to sequence of float, optional
        Figures at several past dates, oldest first.
    """
    run_id = log_run(
        what, tracking=tracking, params=params, metrics=metrics, tags=tags, tables=tables, figures=figures, model=model,
        series=series,
    )  # fmt: skip
    return Logged(run_id, _register(client_of(tracking), what, run_id, tags))


def log_run(
    what: str,
    *,
    tracking: str,
    params: Mapping[str, Any],
    metrics: Mapping[str, float],
    tags: Mapping[str, str],
    tables: Mapping[str, pd.DataFrame] | None = None,
    figures: Mapping[str, str] | None = None,
    model: Any = None,
    series: Mapping[str, Sequence[float]] | None = None,
) -> str:
    """Log a run, with or without a model, and give its id; arguments as in `log_model`."""
    client = client_of(tracking)
    run = client.create_run(_experiment(client, tracking), run_name=f"{what} {tags.get('until', '')[:10]}".strip())
    run_id = str(run.info.run_id)
    try:
        _log_values(client, run_id, params, metrics, {"what": what, **tags}, series or {})
        with tempfile.TemporaryDirectory() as folder:
            _write_files(Path(folder), what, model, tables or {}, figures or {})
            client.log_artifacts(run_id, folder)
    except BaseException:
        client.set_terminated(run_id, "FAILED")
        raise
    client.set_terminated(run_id, "FINISHED")
    return run_id


def champion_version(what: str, *, tracking: str) -> str | None:
    """The champion's version, or None."""
    if is_empty(tracking):
        return None
    return _by_alias(client_of(tracking), what, CHAMPION)


def set_verdict(what: str, version: str, said: Sentence, *, tracking: str) -> None:
    """Keep the gate's verdict with a version."""
    client = client_of(tracking)
    for tag, text in (("verdict", said.en), ("verdict_zh", said.zh)):
        client.set_model_version_tag(name_of(what), version, tag, text)


def champion(what: str, *, tracking: str) -> Champion:
    """The model in use.

    Raises
    ------
    NoModel
        If none was trained yet.
    """
    found = champion_version(what, tracking=tracking)
    if found is None:
        raise NoModel(what)
    return load(what, found, tracking=tracking)


def load(what: str, version: str, *, tracking: str) -> Champion:
    """A registered version as an object, with what is known about it.

    Raises
    ------
    UnknownVersion
        If there is no such version.
    BadModelFile
        If its files are damaged, or of another version of Bellwether.
    """
    client = client_of(tracking)
    found = _version(client, what, version)
    run = client.get_run(found.run_id)
    meta = {**found.tags, "metrics": dict(run.data.metrics), "params": dict(run.data.params)}
    model = _load(tracking, found.run_id, what, run.data.tags.get(_LATER, ""))
    return Champion(model, str(found.version), found.run_id, meta)


def params_of(what: str, like: str, *, tracking: str) -> dict[str, str]:
    """Parameters that an earlier run was logged with, as texts.

    Parameters
    ----------
    like : str
        A version's number, a run's id, or 'champion'.

    Raises
    ------
    NoModel
        If there is no champion.
    UnknownVersion
        If there is no such version or run.
    """
    from mlflow.exceptions import MlflowException

    client = client_of(tracking)
    if like == CHAMPION:
        like = _by_alias(client, what, CHAMPION) or ""
        if not like:
            raise NoModel(what)
    run_id = str(_version(client, what, like).run_id) if like.isdigit() else like
    try:
        return dict(client.get_run(run_id).data.params)
    except MlflowException:
        raise UnknownVersion(
            f"There is no version or run '{like}' of the {what} model. Versions: bellwether models list."
        ) from None


def table_of(run_id: str, name: str, *, tracking: str) -> pd.DataFrame | None:
    """A table kept beside a model, or None."""
    client = client_of(tracking)
    if f"{name}.parquet" not in {item.path for item in client.list_artifacts(run_id)}:
        return None
    with _file(client, run_id, f"{name}.parquet") as path:
        return pd.read_parquet(path)


def keep_table(run_id: str, name: str, table: pd.DataFrame, *, tracking: str) -> None:
    """Keep a table beside a model that is there already; an older one of that name is replaced."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.parquet"
        table.to_parquet(path, index=False)
        client_of(tracking).log_artifact(run_id, str(path))


def keep_ranges(run_id: str, model: Any, *, tracking: str) -> None:
    """Keep a win model's interval models beside it; it is read with them from then on, by MLflow alone too."""
    from models import at_rest

    client = client_of(tracking)
    with tempfile.TemporaryDirectory() as place:
        at_rest.save(model.replicates_, Path(place) / _LATER)
        client.log_artifacts(run_id, str(Path(place) / _LATER), _LATER_PLACE)
    client.set_tag(run_id, _LATER, _LATER_PLACE)  # last: who reads before sees none of them


def list_versions(what: str | None = None, *, tracking: str) -> list[Version]:
    """All registered versions of a kind, or of all kinds, newest first."""
    if is_empty(tracking):
        return []
    client = client_of(tracking)
    found: list[Version] = []
    for kind in [what] if what else KINDS:
        name = name_of(kind)
        aliases = _aliases(client, name)
        for item in client.search_model_versions(f"name = '{name}'"):
            metrics = dict(client.get_run(str(item.run_id)).data.metrics)
            made = datetime.fromtimestamp(item.creation_timestamp / 1000, UTC)
            mine = tuple(sorted(a for a, v in aliases.items() if str(v) == str(item.version)))
            found.append(Version(kind, str(item.version), str(item.run_id), mine, made, dict(item.tags), metrics))
    return sorted(found, key=lambda v: v.made_at, reverse=True)


def promote(what: str, version: str, *, tracking: str) -> None:
    """Make a version the champion; what it replaces is remembered for `roll_back`.

    Raises
    ------
    UnknownVersion
        If there is no such version.
    """
    client = client_of(tracking)
    _version(client, what, version)
    before = _by_alias(client, what, CHAMPION)
    if before == str(version):
        return
    client.set_model_version_tag(name_of(what), str(version), "replaced", before or "")
    client.set_registered_model_alias(name_of(what), CHAMPION, str(version))


def roll_back(what: str, *, tracking: str) -> str:
    """Put the champion's predecessor back in its place.

    Returns
    -------
    str
        The version that is the champion now.

    Raises
    ------
    NoModel
        If there is no champion.
    UnknownVersion
        If the champion replaced none.
    """
    client = client_of(tracking)
    now = _by_alias(client, what, CHAMPION)
    if now is None:
        raise NoModel(what)
    before = _version(client, what, now).tags.get("replaced")
    if not before:
        raise UnknownVersion(f"The {what} model {now} replaced no other. Versions: bellwether models list.")
    client.set_registered_model_alias(name_of(what), CHAMPION, before)
    return before


def _experiment(client: MlflowClient, tracking: str) -> str:
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is not None:
        return str(found.experiment_id)
    place = artifacts_beside(tracking)
    return str(client.create_experiment(EXPERIMENT, artifact_location=place.as_uri() if place else None))


def _log_values(
    client: MlflowClient,
    run_id: str,
    params: Mapping[str, Any],
    metrics: Mapping[str, float],
    tags: Mapping[str, str],
    series: Mapping[str, Sequence[float]],
) -> None:
    from mlflow.entities import Metric, Param, RunTag

    now = int(datetime.now(UTC).timestamp() * 1000)
    client.log_batch(
        run_id,
        metrics=[
            *(Metric(k, float(v), now, 0) for k, v in metrics.items()),
            *(Metric(k, float(v), now, step) for k, values in series.items() for step, v in enumerate(values)),
        ],
        params=[Param(k, str(v)) for k, v in params.items()],
        tags=[RunTag(k, v) for k, v in tags.items()],
    )


def _write_files(
    folder: Path, what: str, model: Any, tables: Mapping[str, pd.DataFrame], figures: Mapping[str, str]
) -> None:
    for name, table in tables.items():
        table.to_parquet(folder / f"{name}.parquet", index=False)
    for name, svg in figures.items():
        (folder / f"{name}.svg").write_text(svg, encoding="utf-8")
    if model is None:
        return
    from training import portable

    portable.save(model, what, folder / "model")


def _register(client: MlflowClient, what: str, run_id: str, tags: Mapping[str, str]) -> str:
    name = name_of(what)
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
    source = f"{client.get_run(run_id).info.artifact_uri}/model"
    made = client.create_model_version(name, source=source, run_id=run_id, tags=dict(tags))
    client.set_registered_model_alias(name, CHALLENGER, made.version)
    return str(made.version)


def _version(client: MlflowClient, what: str, version: str) -> Any:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version(name_of(what), str(version))
    except MlflowException:
        raise UnknownVersion(f"There is no {what} model {version}. Versions: bellwether models list.") from None


def _aliases(client: MlflowClient, name: str) -> dict[str, str]:
    found = client.search_registered_models(f"name = '{name}'")
    return {alias: str(version) for alias, version in dict(found[0].aliases).items()} if found else {}


def _by_alias(client: MlflowClient, what: str, alias: str) -> str | None:
    return _aliases(client, name_of(what)).get(alias)


@lru_cache(maxsize=8)
def _load(tracking: str, run_id: str, what: str, later: str = "") -> Any:
    from models import at_rest  # with LightGBM, which whoever only lists versions need not wait for

    client = client_of(tracking)
    for place in _PLACES:
        if place in {item.path for item in client.list_artifacts(run_id, str(Path(place).parent))}:
            with _file(client, run_id, place) as path:
                model = at_rest.load(path, what=what)
            break
    else:
        raise at_rest.BadModelFile(Path(_PLACES[0]), "it is missing; older versions kept models in another form", what)
    if later:
        # Where they were kept at first, the tag said only that they are.
        with _file(client, run_id, later if "/" in later else _LATER) as path:
            model.replicates_ = at_rest.load(path, what=what)
    return model


@contextmanager
def _file(client: MlflowClient, run_id: str, name: str) -> Iterator[Path]:
    """A file of a run: read in place where it lies on this machine, else fetched."""
    place = str(client.get_run(run_id).info.artifact_uri)
    if place.startswith("file:"):
        yield Path(url2pathname(urlparse(place).path)) / name
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(client.download_artifacts(run_id, name, folder))
