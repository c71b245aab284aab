"""Model files: a model comes back as it was, a bad file is refused with the mend, and nothing in a file ever runs."""

import enum
import io
import json
import os
import pickle
import re
import zipfile
from datetime import UTC, date, datetime, timedelta, timezone
from functools import cache
from hashlib import sha256
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from crm.company import Company
from models import at_rest, at_rest_tree
from models.at_rest import BadModelFile
from models.at_rest_tree import CLASSES, Unlisted
from models.calibration import CANDIDATES
from models.churn import ChurnModel
from models.learners import Line
from models.simulation import Spread
from models.win import WinModel
from tests.models.snapshot_company import END, snapshots
from tests.models.sold_company import sold
from tests.models.test_churn import UNTIL, company_view


def kept(value, folder):
    """The value as it comes back from files."""
    at_rest.save(value, folder)
    return at_rest.load(folder)


def contents(folder):
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def put(folder, name, data):
    """Write a file as whoever wants to be believed would: with the right hash."""
    (folder / name).write_bytes(data)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["sha256"][name] = sha256(data).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


def change(folder, edit):
    """Edit the tree, and make the hash right again."""
    tree = json.loads((folder / "model.json").read_text())
    edit(tree)
    put(folder, "model.json", json.dumps(tree).encode())


def trap(folder):
    """A pickle that makes a file when it is opened, and that file's place."""
    mark = folder.parent / "ran"

    class Trap:
        def __reduce__(self):
            return os.system, (f"touch {mark}",)

    return pickle.dumps(Trap()), mark


@cache
def deals():
    return snapshots(1_200, seed=2)


@pytest.fixture(scope="module")
def large():
    """Trees and logistics, as from 1,000 closed deals on."""
    return WinModel(trees=15, rows=4_000, replicates=2, cuts=1).fit(deals(), until=END)


@pytest.fixture(scope="module")
def small():
    return WinModel(replicates=3).fit(snapshots(250, seed=3), until=END)


@pytest.fixture
def folder(small, tmp_path):
    """Files of a small model."""
    at_rest.save(small, tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def with_trees(large, tmp_path):
    at_rest.save(large, tmp_path / "trees")
    return tmp_path / "trees"


def assert_same_explanation(told, again):
    np.testing.assert_array_equal(again.values, told.values)
    np.testing.assert_array_equal(again.base_values, told.base_values)
    assert list(again.feature_names) == list(told.feature_names)


@pytest.mark.parametrize("which", ["large", "small"])
def test_a_win_model_comes_back_as_it_was(which, request, tmp_path):
    model = request.getfixturevalue(which)
    again = kept(model, tmp_path / "model")
    now = deals()[deals()["as_of"] == END].head(60)
    pd.testing.assert_frame_equal(again.score(now, period_end=END), model.score(now, period_end=END), check_exact=True)
    for one, other in zip(again.curve(now), model.curve(now), strict=True):
        np.testing.assert_array_equal(one, other)
    assert_same_explanation(model.explain(now), again.explain(now))
    assert again.note == model.note
    assert again.get_params() == model.get_params()
    pd.testing.assert_frame_equal(again.choice_.table, model.choice_.table, check_exact=True)


def test_an_attainment_model_comes_back_as_it_was(tmp_path):
    s = sold()
    again = kept(s.attainment, tmp_path / "model")
    for one, other in zip(
        again.score(s.view, s.company, as_of=s.as_of, deals_scored=s.scored),
        s.attainment.score(s.view, s.company, as_of=s.as_of, deals_scored=s.scored),
        strict=True,
    ):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    assert again.note == s.attainment.note


@pytest.mark.parametrize("n", [150, 400])
def test_a_churn_model_comes_back_as_it_was(n, tmp_path):
    view = company_view(5.0, n=n)
    model = ChurnModel().fit(view, Company(), until=UNTIL)
    again = kept(model, tmp_path / "model")
    scored = [m.score(view, Company(), as_of=UNTIL) for m in (again, model)]
    pd.testing.assert_frame_equal(*scored, check_exact=True)
    rows = model.accounts(view, Company(), as_of=UNTIL)
    assert_same_explanation(model.explain(rows), again.explain(rows))
    assert again.note == model.note


def test_the_same_model_gives_the_same_bytes_and_so_does_the_one_that_came_back(large, with_trees, tmp_path):
    at_rest.save(large, tmp_path / "once more")
    at_rest.save(at_rest.load(with_trees), tmp_path / "from files")
    assert contents(tmp_path / "once more") == contents(with_trees)
    assert contents(tmp_path / "from files") == contents(with_trees)


def test_the_same_seed_gives_the_same_files(with_trees, tmp_path):
    twin = WinModel(trees=15, rows=4_000, replicates=2, cuts=1).fit(deals(), until=END)
    at_rest.save(twin, tmp_path / "twin")
    assert contents(tmp_path / "twin") == contents(with_trees)


@pytest.mark.parametrize("kind", ["sigmoid", "isotonic"])
def test_calibrators_come_back_as_they_were(kind, tmp_path):
    rng = np.random.default_rng(0)
    p = rng.random(500)
    calibrator = CANDIDATES[kind]().fit(p, rng.random(500) < p**2)
    again = kept(calibrator, tmp_path / "model")
    hazards = rng.random((20, 3))
    np.testing.assert_array_equal(again(hazards), calibrator(hazards))


def test_every_listed_class_is_there():
    assert all(isinstance(at_rest_tree._listed(name), type) for name in CLASSES)


VALUES = [
    [None, True, 3, 2**70, 0.1, -0.0, "字😀\ud800", (1, [2.5])],
    [float("inf"), -float("inf"), float("nan")],
    {"a": 1, "is": "list"},
    {("kind", "product"): 1.5, None: 2, 3: "x", 0.5: [], True: {}},
    {"z"},
    frozenset({1}),
    date(2026, 2, 28),
    datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")),
    datetime(2026, 1, 1, 12, tzinfo=UTC),
    timedelta(days=-1, microseconds=7),
    pd.Timestamp("2026-03-02 10:11:12.123456", tz="Asia/Shanghai"),
    pd.Timestamp("2026-03-02"),
    pd.NaT,
    pd.Timedelta(days=28, microseconds=1),
]


def test_plain_values_come_back_with_their_types(tmp_path):
    again = kept(VALUES, tmp_path / "model")
    # repr tells apart what == does not: 1 and True, 0.0 and -0.0, a moment's zone and fold.
    assert list(map(repr, again)) == list(map(repr, VALUES))
    assert list(map(type, again)) == list(map(type, VALUES))
    assert kept({"z", "a", ("b", 1)}, tmp_path / "set") == {"z", "a", ("b", 1)}


@pytest.mark.parametrize(
    "array",
    [
        np.array([0.1, 1 / 3, 5e-324]),
        np.array([np.nan, np.inf, -np.inf, -0.0]),
        np.arange(6, dtype=np.int8),
        np.array([True, False]),
        np.empty(0),
        np.array(7.5),
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.linspace(0, 1, 1_000, dtype=np.float32),
        np.array(["2026-01-01", "NaT"], dtype="datetime64[us]"),
        np.array(["a", "字"]),
    ],
    ids=lambda array: f"{array.dtype} {array.shape}",
)
def test_arrays_come_back_to_the_bit(array, tmp_path):
    again = kept({"x": array}, tmp_path / "model")["x"]
    assert (again.dtype, again.shape, again.flags.f_contiguous) == (array.dtype, array.shape, array.flags.f_contiguous)
    assert again.tobytes() == array.tobytes()


def test_scalars_of_numpy_come_back_with_their_types(tmp_path):
    values = [
        np.float64(0.1),
        np.int32(3),
        np.bool_(True),
        np.datetime64("2026-01-01", "D"),
        np.str_("x"),
        np.float64("nan"),
    ]
    again = kept(values, tmp_path / "model")
    assert [type(v) for v in again] == [type(v) for v in values]
    assert again[:-1] == values[:-1]
    assert np.isnan(again[-1])


def test_tables_come_back_with_their_dtypes(tmp_path):
    table = pd.DataFrame(
        {
            "text": ["a", None, "字"],
            "number": [0.1, np.nan, np.inf],
            "count": np.array([1, 2, 3], dtype=np.int16),
            "kind": pd.Categorical(["new", None, "renewal"], categories=["renewal", "new"], ordered=True),
            "moment": pd.to_datetime(["2026-01-01", None, "2026-02-01"], utc=True).as_unit("us"),
            "local": pd.to_datetime(["2026-01-01"] * 3).as_unit("us"),
            "mixed": pd.Series(["x", None, 1.5], dtype=object),
            7: pd.array(["p", "q", pd.NA], dtype=pd.StringDtype("python", na_value=pd.NA)),
        },
        index=pd.Index(["r1", "r2", "r3"], name="row"),
    )
    at_rest.save(
        [table, table["kind"], table.iloc[:0], pd.DataFrame(index=range(3)), table["moment"].set_axis(table["moment"])],
        tmp_path / "model",
    )
    whole, kind, none, bare, dated = at_rest.load(tmp_path / "model")
    pd.testing.assert_frame_equal(whole, table, check_exact=True)
    pd.testing.assert_series_equal(kind, table["kind"])
    pd.testing.assert_frame_equal(none, table.iloc[:0])
    pd.testing.assert_frame_equal(bare, pd.DataFrame(index=range(3)))
    pd.testing.assert_series_equal(dated, table["moment"].set_axis(table["moment"]))


def test_what_two_share_they_share_again(tmp_path):
    edges, line = np.arange(100.0), Line(np.ones(2), 0.5, np.zeros(2))
    ring: list = [edges, {"line": line, "edges": edges}, line]
    ring.append(ring)
    again = kept(ring, tmp_path / "model")
    assert again[0] is again[1]["edges"]
    assert again[2] is again[1]["line"]
    assert again[3] is again
    assert len(np.load(tmp_path / "model" / "arrays.npz").files) == 1


class Colour(enum.Enum):
    RED = 1


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (lambda: 1, "of the unlisted class builtins.function"),
        (Colour.RED, "of the unlisted class tests.models.test_at_rest.Colour"),
        (np.array([(1, 2.0)], dtype="i4,f8"), "an array of dtype"),
        (pd.array([1, None], dtype="Int64"), "of the unlisted class pandas.*IntegerArray"),
        (os.system, "of the unlisted class builtins.builtin_function_or_method"),
        (datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=8))), "a time zone without a name"),
    ],
)
def test_what_no_file_holds_is_told_with_its_path_when_saving(value, what, tmp_path):
    model = WinModel()
    model.extra_ = {"parts": [1, Spread(0.1, value)]}
    with pytest.raises(
        Unlisted,
        match=rf"^model\.extra_\['parts'\]\[1\]\.own is {what}.*add the class to CLASSES in models/at_rest_tree",
    ):
        at_rest.save(model, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_members_of_a_listed_enumeration_come_back(tmp_path, monkeypatch):
    monkeypatch.setattr(at_rest_tree, "CLASSES", CLASSES | {at_rest_tree.name_of(Colour)})
    assert kept([Colour.RED], tmp_path / "model") == [Colour.RED]


@pytest.mark.parametrize(
    "name",
    ["os.system", "posix.system", "builtins.eval", "models.at_rest.save", "models.rolling.gain", "pandas.DataFrame"],
)
@pytest.mark.parametrize("where", ["the model itself", "a part of it"])
def test_a_file_that_names_what_is_no_class_of_ours_is_refused(name, where, folder):
    def edit(tree):
        node = tree["model"] if where == "the model itself" else tree["model"]["has"]["calendar_"]
        node["class"] = name

    change(folder, edit)
    with pytest.raises(BadModelFile, match=rf"model\.json cannot be used: it names '{name}', .*bellwether train win"):
        at_rest.load(folder)


def test_no_pickle_in_a_file_is_ever_opened(folder):
    pickled, mark = trap(folder)
    good = contents(folder)
    out = io.BytesIO()
    np.savez(out, a00000=np.array([1, None], dtype=object))
    for place, data in {
        "a pickle instead of arrays": ("arrays.npz", pickled),
        "a pickle as an array": ("arrays.npz", zip_of("a00000.npy", pickled)),
        "a pickle beside the arrays": ("arrays.npz", zip_of("a00000", pickled)),
        "an array of objects": ("arrays.npz", out.getvalue()),
        "a pickle instead of the tree": ("model.json", pickled),
    }.items():
        put(folder, *data)
        with pytest.raises(BadModelFile):
            at_rest.load(folder)
        assert not mark.exists(), place
        for name, before in good.items():
            (folder / name).write_bytes(before)
    # The trap is real: what opens it makes the mark.
    pickle.loads(pickled)
    assert mark.exists()


def zip_of(name, data):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr(name, data)
    return out.getvalue()


def test_a_file_that_does_not_belong_there_is_refused(folder):
    pickled, mark = trap(folder)
    for name in ("model.pkl", "boosters.pkl", "hidden/model.pkl.gz"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(pickled)
        with pytest.raises(BadModelFile, match=rf"{name} cannot be used: it does not belong there"):
            at_rest.load(folder)
        (folder / name).unlink()
    assert not mark.exists()
    at_rest.load(folder)


def test_a_manifest_that_leads_elsewhere_is_refused(folder):
    for name in ("../secret.json", "/etc/passwd", "boosters/../model.json", "boosters/x.txt", "model.json\n"):
        manifest = json.loads((folder / "manifest.json").read_text())
        (folder / "manifest.json").write_text(json.dumps({"sha256": {**manifest["sha256"], name: "0" * 64}}))
        with pytest.raises(BadModelFile, match=r"manifest\.json cannot be used: it lists .* no file of a model"):
            at_rest.load(folder)
        (folder / "manifest.json").write_text(json.dumps(manifest))


def test_every_changed_cut_or_missing_file_is_told_with_its_name_and_the_mend(with_trees):
    good = contents(with_trees)
    assert len(good) > 5
    for name, data in good.items():
        file = with_trees / name
        for wrong, said in (
            (data[: len(data) // 2], "changed|no whole JSON"),
            (data + b" ", "changed"),
            (None, "missing"),
        ):
            if name == "manifest.json" and wrong == data + b" ":
                continue  # white space after JSON says the same
            file.unlink() if wrong is None else file.write_bytes(wrong)
            with pytest.raises(BadModelFile, match=rf"{name} cannot be used: .*({said}).*bellwether train churn"):
                at_rest.load(with_trees, what="churn")
            file.write_bytes(data)
    at_rest.load(with_trees)


def test_a_cut_file_is_refused_even_if_its_hash_is_right(with_trees):
    good = contents(with_trees)
    for name, data in good.items():
        if name == "manifest.json":
            continue
        for keep in (0, 1, len(data) // 3, len(data) - 30):
            put(with_trees, name, data[:keep])
            with pytest.raises(BadModelFile, match=f"{name} cannot be used"):
                at_rest.load(with_trees)
        put(with_trees, name, data)
    at_rest.load(with_trees)


def test_another_format_is_told(folder):
    change(folder, lambda tree: tree.update(format=0))
    with pytest.raises(BadModelFile, match=r"has the format 0, and this version reads 1\. Train a new one"):
        at_rest.load(folder)


def test_a_parameter_that_is_newer_than_the_file_is_unset(tmp_path):
    at_rest.save(ChurnModel(random_state=3), tmp_path / "model")
    change(tmp_path / "model", lambda tree: tree["model"]["has"].pop("mix"))
    assert at_rest.load(tmp_path / "model").get_params() == {"random_state": 3, "mix": None}


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda has: has.pop("trees"), "its models.win.WinModel differs from this version's in trees"),
        (lambda has: has["choice_"]["has"].pop("mix"), "its models.win_past.Choice differs from this version's in mix"),
        (lambda has: has["choice_"]["has"].update(more=1), "Choice differs from this version's in more"),
        (lambda has: has.update(__class__=None), "WinModel differs from this version's in __class__"),
        (lambda has: has.update(note={"is": "dict", "of": {}}), "note"),  # a property
        (lambda has: has.update(edges_={"is": "call"}), "unknown kind 'call'"),
        (lambda has: has.update(edges_={"is": "same", "as": 10**6}), "1000000"),
        (lambda has: has.update(edges_={"is": "array", "beside": "b"}), "'b'"),
        (lambda has: has.update(edges_={"is": "array", "dtype": "O", "of": [1]}), "an array of dtype object"),
        (lambda has: has.update(edges_={"is": "booster", "number": 99, "best_iteration": 0}), "099.txt.* is missing"),
        (lambda has: has.update(edges_={"is": "member", "class": "models.win.WinModel", "of": "x"}), "no members"),
        (lambda has: has.update(edges_=[1, 2]), ""),
        (lambda has: has.update(edges_={}), "'is'"),
    ],
)
def test_a_tree_that_this_version_would_not_write_is_refused(edit, said, folder):
    change(folder, lambda tree: edit(tree["model"]["has"]))
    with pytest.raises(BadModelFile, match=f"{said}.*Train a new one"):
        at_rest.load(folder)


def test_a_tree_too_deep_is_refused(folder):
    deep = b'{"format":1,"model":' + b'{"is":"list","of":[' * 100_000 + b"]}" * 100_000 + b"}"
    put(folder, "model.json", deep)
    with pytest.raises(BadModelFile):
        at_rest.load(folder)


def test_no_room_opens_pickles():
    root = Path(__file__).parents[2]
    found = [
        f"{file.relative_to(root)}: {line.strip()}"
        for room in ("crm", "features", "models", "planning", "training", "serving")
        for file in (root / room).rglob("*.py")
        for line in file.read_text().splitlines()
        if re.search(r"^\s*(import|from)\s.*\b(pickle|joblib|cloudpickle|dill|shelve|marshal)\b", line)
        or "allow_pickle=True" in line
    ]
    assert found == [], "What is kept goes through models.at_rest; what is compared, through JSON or repr"
