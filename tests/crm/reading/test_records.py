"""JSON Lines: nested fields, exact numbers, lines that are none."""

import gzip

import pytest

from crm.reading import BadFile
from tests.crm.reading.reads import read_one

LINES = """{"id": "d1", "amount": 12.50, "owner": {"id": 7, "tags": ["a", "b"]}, "big": 12345678901234567890}

{"id": "d2", "won": true, "amount": null, "x": ""}
[1]
{"id": "d3", "amount": NaN}
{"id": "d4", "note": "华为", "list": [{"k": 1}]}
{"id":
"""


@pytest.mark.parametrize("name", ["deals.jsonl", "deals.ndjson.gz"])
def test_objects_become_rows_and_nested_fields_dotted_columns(tmp_path, name):
    content = LINES.encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    found = read_one(tmp_path / name, tmp_path / "s")
    assert found.raw.columns == ("id", "amount", "owner.id", "owner.tags", "big", "won", "x", "note", "list")
    assert found.rows == [
        (1, "d1", "12.50", "7", "a;b", "12345678901234567890", None, None, None, None),
        (3, "d2", None, None, None, None, "true", None, None, None),
        (6, "d4", None, None, None, None, None, None, "华为", '{"k": "1"}'),
    ]
    assert [(b.row, b.reason) for b in found.raw.broken] == [(n, "is no JSON object") for n in (4, 5, 7)]


def test_a_file_without_an_object_is_refused(tmp_path):
    (tmp_path / "deals.jsonl").write_text("[]\n1\n", encoding="utf-8")
    with pytest.raises(BadFile, match=r"deals.jsonl: holds no JSON object"):
        read_one(tmp_path / "deals.jsonl", tmp_path / "s")
