"""Review packs written to a folder, as the command line does it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo

from planning.goals import COMPANY
from planning.reviews import Rhythm
from serving.format import Formats
from serving.home import Home
from serving.i18n import language
from serving.people_data.subjects import keys_of
from serving.people_data.views import BY_COMMAND, note_looks
from serving.reviews.files import NoChineseFont, made
from serving.reviews.material import Material
from serving.reviews.pack import make_pack
from serving.reviews.wording import sheet_of
from serving.store import Store

FORMS = ("html", "pdf", "xlsx")


@dataclass
class Written:
    """What was written, and why a file was not."""

    files: list[Path] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def write_packs(
    home: Home,
    store: Store,
    rhythm: Rhythm,
    team: str | None,
    out: Path,
    tongues: Sequence[str],
    tell: Callable[[str, float | None], None] = lambda _text, _done: None,
) -> Written:
    """Write a pack in some languages; where no font has Chinese, the PDF is left out and the mend is told.

    Raises
    ------
    NoScores
        If nothing has been scored.
    NoSuchTeam
        If there is no such team.
    """
    tell("figures", 0.0)
    material = Material.at_machine(home, store)
    pack = make_pack(material, rhythm, team or COMPANY)
    note_looks(store, BY_COMMAND, pack.persons, keys_of(material.view), what="review pack")
    out.mkdir(parents=True, exist_ok=True)
    written = Written()
    stem = f"review-{rhythm}-{re.sub(r'[^A-Za-z0-9_-]', '_', pack.team_id)}-{pack.today}"
    for place, tongue in enumerate(tongues):
        f = Formats(
            language(tongue), material.company.base_currency, ZoneInfo(material.company.time_zone), material.as_of
        )
        sheet = sheet_of(pack, material, f)
        for form in FORMS:
            tell(f"{tongue} {form}", (place + 0.5) / len(tongues))
            try:
                content = made(sheet, form, at=material.as_of)  # type: ignore[arg-type]
            except NoChineseFont as error:
                written.left_out.append(str(error))
                continue
            path = out / f"{stem}.{tongue}.{form}"
            path.write_bytes(content)
            written.files.append(path)
    written.left_out = list(dict.fromkeys(written.left_out))
    return written
