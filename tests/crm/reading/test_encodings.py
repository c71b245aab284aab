"""Text in many encodings is read as it was written, and the report says which was taken."""

import codecs

import pytest

from crm.reading import BadFile
from tests.crm.reading.reads import read_one

GERMAN = "id,name\n1,Müller GmbH\n2,Société Générale\n3,plain\n"
SIMPLE = "id,name\n1,商机名称\n2,北京科技有限公司\n3,plain\n"
TAIWAN = "id,name\n1,商機名稱\n2,臺北科技股份有限公司\n3,plain\n"


def names(text: str) -> list[str]:
    return [line.split(",")[1] for line in text.splitlines()[1:]]


@pytest.mark.parametrize(
    ("text", "encoding", "notes"),
    [
        (GERMAN, "utf-8", ()),
        (GERMAN, "utf-8-sig", ()),
        (GERMAN, "utf-16", ()),
        (GERMAN, "cp1252", ("read as cp1252",)),
        (SIMPLE, "utf-8", ()),
        (SIMPLE, "utf-16", ()),
        (SIMPLE, "gb18030", ("read as gb18030",)),
        (TAIWAN, "big5", ("read as big5",)),
    ],
)
def test_the_encoding_is_found_out(tmp_path, text, encoding, notes):
    (tmp_path / "deals.csv").write_bytes(text.encode(encoding))
    found = read_one(tmp_path / "deals.csv", tmp_path / "s")
    assert [row[2] for row in found.rows] == names(text)
    assert tuple(note.partition(";")[0] for note in found.raw.notes) == notes


def test_lines_of_two_encodings_are_each_read_by_their_own(tmp_path):
    content = codecs.BOM_UTF8 + SIMPLE.encode() + "4,上海\n".encode("gb18030") + "5,广州\r\n".encode()
    (tmp_path / "deals.csv").write_bytes(content)
    found = read_one(tmp_path / "deals.csv", tmp_path / "s")
    assert [row[1:] for row in found.rows][-2:] == [("4", "上海"), ("5", "广州")]
    assert found.raw.columns == ("id", "name")
    assert found.raw.notes[0].startswith("1 line is not UTF-8, the first line 5, and read as gb18030")


def test_the_mapping_has_the_last_word(tmp_path):
    (tmp_path / "deals.csv").write_bytes("id,name\n1,上海\n".encode("gb18030"))
    assert read_one(tmp_path / "deals.csv", tmp_path / "s", "gb18030").rows == [(2, "1", "上海")]
    with pytest.raises(BadFile, match=r"is not text in utf-8. Save it as UTF-8, or set encoding in the mapping"):
        read_one(tmp_path / "deals.csv", tmp_path / "s", "utf-8")


def test_bytes_that_fit_no_encoding_are_refused(tmp_path):
    # 0x81 and 0x8D stand for nothing in cp1252; alone before a line's end they begin no pair of gb18030 or big5.
    (tmp_path / "deals.csv").write_bytes(b"id,name\n1,\x81\n2,\x8d\n")
    with pytest.raises(BadFile, match=r"is not text in utf-8, gb18030, big5, cp1252"):
        read_one(tmp_path / "deals.csv", tmp_path / "s")
