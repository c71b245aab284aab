"""Zip archives at the command line: files found, and whatever leads astray refused with nothing written outside."""

import stat
import zipfile

import pytest

from crm.errors import BadInput
from tests.crm.reading.reads import read_all

CSV = "id,stage\nd1,Talk\n"


def zipped(path, *items):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in items:
            archive.writestr(name, content)
    return path


def link(name):
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def test_files_of_an_archive_are_read_and_what_is_none_of_ours_passed_over(tmp_path):
    path = zipped(
        tmp_path / "export.zip", ("crm/deals.csv", CSV), ("__MACOSX/crm/._deals.csv", "x"), ("crm/readme.pdf", "x"),
        ("accounts.csv", CSV),
    )  # fmt: skip
    assert {name: read.rows for name, read in read_all(path, tmp_path / "s").items()} == {
        "accounts.csv": [(2, "d1", "Talk")],
        "deals.csv": [(2, "d1", "Talk")],
    }


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ([("../deals.csv", CSV)], "leads outside the archive"),
        ([("a/../../deals.csv", CSV)], "leads outside the archive"),
        ([("/deals.csv", CSV)], "leads outside the archive"),
        ([("..\\deals.csv", CSV)], "leads outside the archive"),
        ([(link("deals.csv"), "/etc/passwd")], "is a link"),
        ([("more.zip", CSV)], "is an archive in an archive"),
        ([("a/deals.csv", CSV), ("b/deals.csv", CSV)], "holds two files deals.csv"),
        ([(f"f{i}.csv", CSV) for i in range(201)], "holds 201 files; at most 200 are taken"),
        ([("deals.csv", bytes(210_000_000))], "is larger than 200 MB"),
        ([("readme.pdf", "x")], "holds no CSV, TSV, Excel, JSON Lines or Parquet file"),
    ],
)
def test_an_archive_that_leads_astray_is_refused(tmp_path, items, said):
    path = zipped(tmp_path / "export.zip", *items)
    (tmp_path / "s").mkdir()
    with pytest.raises(BadInput, match=said):
        read_all(path, tmp_path / "s")
    assert {p.name for p in tmp_path.iterdir()} == {"export.zip", "s"}


def test_an_archive_that_lies_about_its_sizes_is_refused(tmp_path):
    path = zipped(tmp_path / "export.zip", ("deals.csv", bytes(210_000_000)))
    packed = path.read_bytes()
    true = (210_000_000).to_bytes(4, "little")
    assert packed.count(true) == 2  # in the file's own header and in the directory
    path.write_bytes(packed.replace(true, (1000).to_bytes(4, "little")))
    with pytest.raises(BadInput, match="that can be read"):
        read_all(path, tmp_path / "s")


def test_what_is_no_archive_is_refused(tmp_path):
    (tmp_path / "export.zip").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(BadInput, match=r"export.zip is no zip archive that can be read"):
        read_all(tmp_path / "export.zip", tmp_path / "s")
