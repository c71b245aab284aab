"""Whatever cells a file holds: each row lands as it stands or is refused with its number, and a second run is idle."""

import csv
import io
import re
import tempfile
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from crm.company import Company
from crm.errors import BellwetherError
from crm.importing import import_path
from crm.lake import Lake
from crm.people import MemoryPeopleBook
from crm.quarantine import read_all

COLUMNS = ["deal_id", "stage", "created_at", "outcome", "amount", "name"]
# Letters of several scripts, marks that CSV gives a meaning, blanks; no NUL, which is refused as a file.
TEXT = st.text(st.sampled_from("aZ9é客ß,;\t|\"'\n .-+%_#\\"), max_size=8)
DAYS = st.dates(date(1990, 1, 1), date(2100, 1, 1)).map(str) | st.sampled_from(["", "31/02/2025", "2025-02-30", "soon"])
AMOUNTS = st.decimals(-(10**9), 10**9, places=2).map(str) | st.sampled_from(["", "1.234,56", "1e3", "-", "0x1", "1_0"])
ROW = st.tuples(
    st.sampled_from(["d1", "d2", "d3", "d4", "d5", ""]),
    TEXT,
    DAYS,
    st.sampled_from(["won", "lost", "open", "WON", "", "maybe"]),
    AMOUNTS,
    TEXT,
)


def import_text(text: str, root: Path, lake: Lake):
    (root / "in").mkdir(exist_ok=True)
    (root / "in" / "deals.csv").write_bytes(text.encode())
    return import_path(
        root / "in", lake=lake, people=MemoryPeopleBook(), quarantine=root / "quarantine", company=Company()
    )


def expected(row: tuple[str, ...]) -> tuple[object, ...] | None:
    """The row as the lake must hold it, read by plain Python; None where it must be refused."""
    ident, stage, made, outcome, amount, name = (cell.strip(" ") for cell in row)
    if not (ident and stage and outcome.lower() in ("won", "lost", "open")):
        return None
    try:
        day = datetime.combine(date.fromisoformat(made), datetime.min.time(), UTC)
    except ValueError:
        return None
    if amount and not re.fullmatch(r"[+-]?\d*\.?\d+([eE]\d+)?", amount):
        return None
    money = Decimal(amount).quantize(Decimal("0.01"), ROUND_HALF_UP) if amount else None
    return ident, stage, day, outcome.lower(), money, name or None


def as_csv(rows: list[tuple[str, ...]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return out.getvalue()


@settings(max_examples=25)
@given(st.lists(ROW, min_size=1, max_size=8))
@example([("d1", '"', "2025-01-01", "won", "1", "\n\n"), ("d2", "a", "soon", "won", "1", '"\n')])
def test_each_row_lands_as_it_stands_or_is_refused_by_its_number(rows):
    wanted, refused = {}, set()
    for number, row in enumerate(rows, 2):  # the header is row 1
        value = expected(row)
        if value is None or wanted.setdefault(value[0], value) != value:
            refused.add(number)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        lake = Lake(root / "lake")
        report = import_text(as_csv(rows), root, lake)
        found = [tuple(row[c] for c in COLUMNS) for row in lake.view().arrow("deals").to_pylist()]
        assert {row[0]: row for row in found} == wanted
        assert len(found) == len(wanted)
        assert {r["row"] for r in read_all(root / "quarantine")} == refused
        assert (report.tables["deals"].read, report.tables["deals"].refused) == (len(rows), len(refused))
        cut, kept = lake.cut(), read_all(root / "quarantine")
        again = import_text(as_csv(rows), root, lake)
        assert (lake.cut(), read_all(root / "quarantine")) == (cut, kept)
        assert again.tables["deals"].unchanged == len(wanted)


@settings(max_examples=40)
@given(st.text(st.sampled_from('deal_id,stage\n"\r;x1 \t客é'), max_size=60), st.booleans())
def test_no_text_makes_more_than_one_clear_line(text, headed):
    body = (",".join(COLUMNS) + "\n" if headed else "") + text
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        lake = Lake(root / "lake")
        try:
            import_text(body, root, lake)
        except BellwetherError as error:
            assert "\n" not in str(error)  # noqa: PT017
            assert lake.cut().number == 0
