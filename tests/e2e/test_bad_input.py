"""Bad input at the command line: one clear line that names the mend, no traceback, nothing half written."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

VERB = "import sys; from serving.cli import main; sys.argv[0] = 'bellwether'; main()"
HEAD = "deal_id,created_at,stage,outcome\n"


def start(*words, **more):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("BELLWETHER_")}  # noqa: TID251
    return subprocess.Popen(
        [sys.executable, "-c", VERB, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment, **more,
    )  # fmt: skip


def refused(*words, code=1):
    """The one line of a verb that must fail."""
    process = start(*words)
    said, complaint = process.communicate(timeout=60)
    lines = [line for line in complaint.splitlines() if not line.startswith("Importing: ")]
    assert (process.returncode, said, len(lines)) == (code, "", 1), complaint
    return lines[0].removeprefix("bellwether: ")


@pytest.fixture
def place(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path


def tables(home: Path) -> set[str]:
    return {p.parent.name for p in (home / "lake").glob("*/_delta_log")}


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "deals.csv: is empty. Export it again."),
        (
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
            "deals.csv: is not text. Give CSV, TSV, Excel (.xlsx), JSON Lines or Parquet.",
        ),
        (
            HEAD.replace(",", "^").encode() + b"d1^2025-01-01^A^open\n",
            (
                "deals.csv: has no column 'deal_id', which every row needs. Found: deal_id^created_at^stage^outcome. "
                "Add it, check the delimiter, or give a mapping."
            ),
        ),
    ],
)
def test_a_file_that_cannot_be_read_stops_the_import_by_one_line(place, content, line):
    (place / "in" / "deals.csv").write_bytes(content)
    assert refused("import", place / "in", "--home", place / "home") == line
    assert tables(place / "home") == set()


def test_bad_rows_are_told_and_kept_and_good_ones_land_in_a_home_with_any_name(place):
    (place / "in" / "deals.csv").write_text(HEAD + "d1,31/02/2025,A,open\nd2,2025-02-03,A,open\n", encoding="utf-8")
    home = place / "客户 数据"
    process = start("import", place / "in", "--home", home)
    said, complaint = process.communicate(timeout=60)
    assert process.returncode == 0, complaint
    assert "deals: 1 new, 0 changed, 0 unchanged, 1 refused" in said
    assert "deals, row 2: created_at is '31/02/2025'" in said
    assert len(list((home / "quarantine").glob("*.jsonl"))) == 1
    assert said.splitlines()[-1].endswith(f"Next: bellwether train --home '{home}'")


def test_a_misspelt_key_of_a_mapping_is_named_with_its_line(place):
    (place / "m.yaml").write_text("tables:\n  - table: deals\n    file: deals.csv\n    colums: {deal_id: id}\n")
    (place / "in" / "deals.csv").write_text(HEAD)
    line = refused("import", place / "in", "--mapping", place / "m.yaml", "--home", place / "home")
    assert line == "m.yaml, line 4, tables.0.colums: is not a known key. Did you mean columns?"


def test_a_home_that_is_not_there_is_told_and_not_made(place):
    line = refused("score", "--home", place / "hmoe")
    assert line == f"There is no home {place / 'hmoe'}. Check --home, or import into it first: bellwether import PATH."
    assert not (place / "hmoe").exists()


def test_real_data_does_not_get_into_a_sample_home(place):
    (place / "home").mkdir()
    (place / "home" / "company.yaml").write_text("sample: true\n")
    (place / "in" / "deals.csv").write_text(HEAD + "d1,2025-02-03,A,open\n")
    assert "holds the sample company" in refused("import", place / "in", "--home", place / "home")
    assert tables(place / "home") == set()


def test_a_taken_port_is_told_with_another(place):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refused("serve", "--home", place / "home", "--port", port)
    assert line.startswith(f"Port {port} on 127.0.0.1 is taken by another program.")


def test_a_verb_that_is_not_there_is_told_by_one_line():
    assert refused("imprt", "x", code=2) == "No such command 'imprt'. Did you mean 'import'? See: bellwether --help"


def test_an_import_that_is_interrupted_says_so_and_leaves_no_data(place):
    rows = "".join(f"d{i},2025-01-01,A,open\n" for i in range(400_000))
    (place / "in" / "deals.csv").write_text(HEAD + rows)
    process = start("import", place / "in", "--home", place / "home")
    assert process.stderr is not None
    process.stderr.readline()  # it is reading
    process.send_signal(signal.SIGINT)
    complaint = process.communicate(timeout=60)[1]
    assert (process.returncode, complaint.splitlines()[-1]) == (130, "bellwether: stopped")
    assert tables(place / "home") == set()
