"""Imports of texts that would be run, that are too long, or that hold null characters."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crm.company import Company
from crm.importing import import_path
from crm.lake import Lake
from crm.people import MemoryPeopleBook
from crm.reading import BadFile
from tests.serving.injected import LONG, TEXTS


def test_an_import_refuses_what_is_too_long_and_null_characters(tmp_path):
    names = {"a1": LONG, "a2": "n" * 10_000, "a3": "n\0n", "a4": TEXTS[0].strip()}
    # Parquet, as a text file with a null character is refused whole.
    rows = {"account_id": list(names), "name": list(names.values()), "created_at": ["2026-01-02T10:00:00Z"] * 4}
    pq.write_table(pa.table(rows), tmp_path / "accounts.parquet")
    lake = Lake(tmp_path / "lake")
    report = import_path(
        tmp_path / "accounts.parquet",
        lake=lake,
        people=MemoryPeopleBook(),
        quarantine=tmp_path / "quarantine",
        company=Company(),
    )
    kept = lake.view().arrow("accounts").to_pydict()
    # 10,000 characters are the most; a text that would be run stays as it is, for who shows it escapes it.
    assert dict(zip(kept["account_id"], kept["name"], strict=True)) == {key: names[key] for key in ("a2", "a4")}
    first, second = (str(refusal) for refusal in report.refusals)
    assert "longer than 10,000 characters" in first
    assert len(first) < 400
    assert "null character" in second


def test_a_text_file_with_null_characters_is_refused_whole(tmp_path):
    file = tmp_path / "accounts.csv"
    file.write_bytes(b"account_id,name,created_at\na1,n\0n,2026-01-02\n")
    with pytest.raises(BadFile, match="is not text"):
        import_path(
            file,
            lake=Lake(tmp_path / "lake"),
            people=MemoryPeopleBook(),
            quarantine=tmp_path / "q",
            company=Company(),
        )
