"""Models as files: LightGBM's own text, JSON and plain arrays, each with its hash; reading one can never run code."""

from __future__ import annotations

import json
import re
import zipfile
from functools import partial
from hashlib import sha256
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np

from crm.errors import NotReady
from models.at_rest_boosters import booster_of
from models.at_rest_tree import Reader, Writer, strangers
from models.at_rest_values import Array, Arrays, plain

FORMAT = 1
"""Raise it when a class of models.at_rest_tree.CLASSES keeps other attributes, or the same with another meaning."""

_MANIFEST, _MODEL, _ARRAYS = "manifest.json", "model.json", "arrays.npz"
_ALLOWED = re.compile(r"model\.json|arrays\.npz|boosters/\d+\.txt|estimators/\d+\.skops", re.ASCII)
_PACKAGES = ("bellwether", "lightgbm", "numpy", "pandas")


class BadModelFile(NotReady):
    """A model file is damaged, incomplete, or of another version."""

    def __init__(self, file: Path, wrong: str, what: str) -> None:
        super().__init__(f"The model file {file} cannot be used: {wrong}. Train a new one: bellwether train {what}.")


def save(model: Any, folder: Path) -> None:
    """Write a fitted model into a new folder.

    `model.json` holds the tree of objects, `boosters/NNN.txt` LightGBM's texts, `estimators/NNN.skops` classifiers of
    one's own, `arrays.npz` the larger arrays, and `manifest.json` the SHA-256 of each. The same model gives the
    same bytes.

    Raises
    ------
    Unlisted
        If the model holds something that is neither plain data nor of a listed class.
    FileExistsError
        If there is such a folder.
    """
    writer = Writer()
    tree = writer.node(model)
    head = {"format": FORMAT, "packages": {name: version(name) for name in _PACKAGES}, "model": tree}
    files = {_MODEL: _json(head), _ARRAYS: _zipped(writer.arrays.beside)}
    files |= {_booster_file(k): text.encode() for k, text in enumerate(writer.boosters)}
    files |= {_estimator_file(k): data for k, data in enumerate(writer.estimators)}
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
    hashes = {name: sha256(data).hexdigest() for name, data in files.items()}
    (folder / _MANIFEST).write_bytes(_json({"sha256": hashes}))


def load(folder: Path, *, what: str = "win") -> Any:
    """Read a model that `save` wrote; what is not what was written is refused.

    Parameters
    ----------
    what : str
        Kind of model, for the mend that an error names.

    Raises
    ------
    BadModelFile
        If a file is missing, changed or unreadable, does not belong there, or is of another version.
    """
    return _Folder(folder, what).model()


class _Folder:
    """The files of one model, each checked before it is read."""

    def __init__(self, folder: Path, what: str) -> None:
        self.folder = folder
        self.what = what

    def model(self) -> Any:
        files = self._checked()
        head = self._parsed(_MODEL, files[_MODEL])
        if head.get("format") != FORMAT:
            raise self._bad(_MODEL, f"it has the format {head.get('format')!r:.40}, and this version reads {FORMAT}")
        arrays = self._arrays(files[_ARRAYS])
        try:
            reader = Reader(Arrays(arrays), partial(self._booster, files=files), partial(self._estimator, files=files))
            return reader.value(head["model"])
        except BadModelFile:
            raise
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError, OverflowError) as error:
            raise self._bad(_MODEL, _said(error)) from error

    def _checked(self) -> dict[str, bytes]:
        """The bytes of all files, as their hashes say."""
        hashes = self._hashes()
        present = {file.relative_to(self.folder).as_posix() for file in self.folder.rglob("*") if not file.is_dir()}
        if strange := sorted(present - set(hashes) - {_MANIFEST}):
            raise self._bad(strange[0], "it does not belong there")
        files = {}
        for name, expected in hashes.items():
            if name not in present:
                raise self._bad(name, "it is missing")
            files[name] = (self.folder / name).read_bytes()
            if sha256(files[name]).hexdigest() != expected:
                raise self._bad(name, "it was changed after it was written (its SHA-256 is another)")
        return files

    def _hashes(self) -> dict[str, str]:
        try:
            data = (self.folder / _MANIFEST).read_bytes()
        except OSError:
            raise self._bad(_MANIFEST, "it is missing; older versions kept models in another form") from None
        hashes = self._parsed(_MANIFEST, data).get("sha256")
        if not isinstance(hashes, dict) or not {_MODEL, _ARRAYS} <= set(hashes):
            raise self._bad(_MANIFEST, "it does not list the files of a model")
        if strange := [name for name in hashes if not _ALLOWED.fullmatch(name)]:
            raise self._bad(_MANIFEST, f"it lists {strange[0]!r:.80}, which is no file of a model")
        return hashes

    def _parsed(self, name: str, data: bytes) -> dict[str, Any]:
        try:
            found = json.loads(data, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise self._bad(name, f"it is no whole JSON ({_said(error)})") from error
        if not isinstance(found, dict):
            raise self._bad(name, "it holds no JSON object")
        return found

    def _arrays(self, data: bytes) -> dict[str, Array]:
        try:
            with np.load(BytesIO(data), allow_pickle=False) as arrays:
                return {name: plain(arrays[name]) for name in arrays.files}
        except (ValueError, TypeError, AttributeError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise self._bad(_ARRAYS, f"it holds something else than plain arrays ({_said(error)})") from error

    def _booster(self, number: int, files: dict[str, bytes]) -> lgb.Booster:
        name = _booster_file(number)
        if name not in files:
            raise self._bad(name, "it is missing")
        try:
            return booster_of(files[name].decode())
        except ValueError as error:
            raise self._bad(name, _said(error)) from error

    def _estimator(self, number: int, files: dict[str, bytes]) -> Any:
        from skops import io

        name = _estimator_file(number)
        if name not in files:
            raise self._bad(name, "it is missing")
        try:
            return io.loads(files[name], trusted=strangers(files[name]))
        except Exception as error:  # whatever a damaged file makes of it
            raise self._bad(name, _said(error)) from error

    def _bad(self, name: str, wrong: str) -> BadModelFile:
        return BadModelFile(self.folder / name, wrong, self.what)


def _booster_file(number: int) -> str:
    return f"boosters/{number:03d}.txt"


def _estimator_file(number: int) -> str:
    return f"estimators/{number:03d}.skops"


def _json(tree: dict[str, Any]) -> bytes:
    return json.dumps(tree, allow_nan=False, separators=(",", ":")).encode()


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def _zipped(arrays: dict[str, Array]) -> bytes:
    out = BytesIO()
    np.savez_compressed(out, allow_pickle=False, **arrays)
    return out.getvalue()


def _said(error: BaseException) -> str:
    """An error's first line, in short."""
    text = f"{error}".strip().split("\n")[0]
    return f"{text or type(error).__name__:.200}"
