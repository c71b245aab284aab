"""A review pack as files: HTML with a print sheet, PDF by Typst, Excel; the same data give the same bytes."""

from __future__ import annotations

import io
import json
import re
import zipfile
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal

from crm.errors import NotReady
from serving.drawing import COLOURS
from serving.exports import safe
from serving.pages.shell import environment
from serving.reviews.sheet import Cell, Sheet, Table

Form = Literal["html", "pdf", "xlsx"]
MEDIA: dict[Form, str] = {
    "html": "text/html; charset=utf-8",
    "pdf": "application/pdf",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
CJK_FONTS = (
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Source Han Sans CN", "PingFang SC", "Microsoft YaHei",
    "WenQuanYi Micro Hei",
)  # fmt: skip
_TEMPLATE = Path(__file__).with_name("pack.typ")
_FIRST_DAY = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip file knows


class NoChineseFont(NotReady):
    """No font with Chinese characters is installed, so that a PDF would show boxes."""

    def __init__(self) -> None:
        super().__init__(
            "No font with Chinese characters is installed, so a PDF would show boxes. Install one (Debian, Ubuntu: "
            "sudo apt-get install fonts-noto-cjk) and start again, or take the HTML pack and print it from the browser."
        )


def chinese_font() -> str | None:
    """A font of this machine that has Chinese characters."""
    return next((name for name in CJK_FONTS if name in _families()), None)


def needs_chinese(sheet: Sheet) -> bool:
    """Whether a pack holds Chinese characters, be it only in the names of customers."""
    return bool(_HAN.search(json.dumps(_plain(sheet), ensure_ascii=False)))


def made(sheet: Sheet, form: Form, *, at: datetime) -> bytes:
    """A pack as a file.

    Parameters
    ----------
    at : datetime
        Moment of the data, which the file names as its own.

    Raises
    ------
    NoChineseFont
        If a PDF holds Chinese and no font has it.
    """
    if form == "html":
        return as_html(sheet)
    return as_pdf(sheet, at=at) if form == "pdf" else as_xlsx(sheet, at=at)


def as_html(sheet: Sheet) -> bytes:
    """One file that needs no other, with a sheet for printing."""
    text = environment().get_template("review_pack.html").render(sheet=sheet, picture=_coloured(sheet.picture))
    return text.encode("utf-8")


def as_pdf(sheet: Sheet, *, at: datetime) -> bytes:
    """A PDF on A4; errors as in `made`."""
    import typst

    font = chinese_font()
    if font is None and needs_chinese(sheet):
        raise NoChineseFont
    files = {"main.typ": _TEMPLATE.read_bytes(), "pack.json": json.dumps(_plain(sheet)).encode()}
    if sheet.picture:
        files["forecast.svg"] = _coloured(sheet.picture).encode("utf-8")
    inputs = {"picture": "yes" if sheet.picture else "", "font": font or "", "lang": sheet.html.split("-")[0]}
    with _folder(files) as folder:
        pdf: bytes = typst.compile(str(folder / "main.typ"), sys_inputs=inputs, timestamp=int(at.timestamp()))
    return pdf


def as_xlsx(sheet: Sheet, *, at: datetime) -> bytes:
    """A workbook: a summary, then one sheet a table, numbers as numbers."""
    from openpyxl import Workbook

    book = Workbook()
    first = book.active
    first.title = _tab(sheet.title, set())
    for line in (sheet.title, sheet.subtitle, sheet.finding, sheet.note):
        first.append([safe(line)])
    taken = {first.title}
    for section in sheet.sections:
        tab = book.create_sheet(_tab(section.title, taken))
        taken.add(tab.title)
        tab.append([safe(section.title)])
        for line in section.lines:
            tab.append([safe(line)])
        for table in section.tables:
            _fill(tab, table)
        if section.blank:
            tab.append([sheet.words["item"], sheet.words["decision"], sheet.words["who"], sheet.words["by"]])
        for column in "ABCDEFGHI":
            tab.column_dimensions[column].width = 34 if column == "A" else 18
    first.column_dimensions["A"].width = 100
    moment = at.astimezone(UTC).replace(tzinfo=None, microsecond=0)
    book.properties.created = book.properties.modified = moment
    out = io.BytesIO()
    book.save(out)
    return _still(out.getvalue(), moment)


def _fill(tab: Any, table: Table) -> None:
    from openpyxl.styles import Font

    tab.append([])
    tab.append([safe(name) for name in table.head])
    for cell in tab[tab.max_row]:
        cell.font = Font(bold=True)
    for row in table.rows:
        tab.append([_value(cell) for cell in row])


def _value(cell: Cell) -> Any:
    return safe(cell.value) if isinstance(cell.value, str) else cell.value


def _tab(title: str, taken: set[str]) -> str:
    """A name that Excel takes: at most 31 characters, none of its own signs, each once."""
    plain = re.sub(r"[\[\]:*?/\\']", " ", title)[:28].strip() or "-"
    return next(name for n in range(1, 1000) if (name := plain if n == 1 else f"{plain} {n}") not in taken)


def _still(book: bytes, moment: datetime) -> bytes:
    """The same workbook without the clock of the machine that wrote it."""
    out = io.BytesIO()
    stamp = re.compile(rb"(<dcterms:modified[^>]*>)[^<]*")
    with zipfile.ZipFile(io.BytesIO(book)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in sorted(old.namelist()):
            content = old.read(name)
            if name == "docProps/core.xml":
                content = stamp.sub(rb"\g<1>" + moment.isoformat().encode() + b"Z", content)
            new.writestr(zipfile.ZipInfo(name, _FIRST_DAY), content)
    return out.getvalue()


def _plain(sheet: Sheet) -> dict[str, Any]:
    """A pack's words alone, as the PDF's template reads them."""
    return {
        "title": sheet.title, "subtitle": sheet.subtitle, "finding": sheet.finding, "note": sheet.note,
        "picture_title": sheet.picture_title, "picture_note": sheet.picture_note,
        "sections": [
            {
                "title": s.title, "lines": s.lines, "blank": s.blank,
                "minutes": sheet.words["minutes"].format(n=s.minutes) if s.minutes else "",
                "tables": [
                    {"head": t.head, "numbers": sorted(t.numbers), "rows": [[c.text for c in row] for row in t.rows]}
                    for t in s.tables
                ],
            }
            for s in sheet.sections
        ],
    }  # fmt: skip


_HAN = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]")
_VARIABLE = re.compile(r"var\(--([a-z0-9-]+)\)")


def _coloured(svg: str) -> str:
    """A picture with the light theme's colours in place of the pages' variables."""
    return _VARIABLE.sub(lambda match: COLOURS[match[1]], svg)


@cache
def _families() -> frozenset[str]:
    import typst

    return frozenset(typst.Fonts().families())


class _folder:  # noqa: N801 - reads as a verb where it is used
    """Files in a folder of their own while a document is made from them."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self._files = files

    def __enter__(self) -> Path:
        from tempfile import TemporaryDirectory

        self._made = TemporaryDirectory()
        root = Path(self._made.name)
        for name, content in self._files.items():
            (root / name).write_bytes(content)
        return root

    def __exit__(self, *_: object) -> None:
        self._made.cleanup()
