"""How figures become pictures: house style, colours that follow the page's theme, each drawn once."""

from __future__ import annotations

import csv
import io
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, wraps
from hashlib import sha256
from threading import Lock
from typing import Any
from urllib.parse import quote

import altair as alt
import pandas as pd
import vl_convert

from serving.exports import safe
from serving.format import Formats

# Colours by meaning. Figures are drawn with the light theme's value, then each is swapped for its CSS variable.
COLOURS = {
    "text": "#171C24",
    "text-2": "#465060",
    "text-3": "#5C6675",
    "line": "#DCE1E8",
    "surface": "#FFFFFF",
    "forecast": "#0B5FB3",
    "band-80": "#D3E4F6",
    "band-50": "#A3C8EC",
    "naive": "#868F9D",
    "up": "#00707A",
    "down": "#C25507",
}
_KEPT = 256  # figures in memory, about 100 kB each
_VEGA_LITE = "6.1"
_FONT = '"Noto Sans", "Noto Sans CJK SC", sans-serif'
_SLACK = 20  # px beside the last labels: they are measured in one font and drawn in the visitor's
Drawing = alt.LayerChart | alt.FacetChart


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawn figure: its finding, two sizes of picture, and the data behind."""

    title: str
    subtitle: str
    wide: str
    narrow: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    raw: tuple[tuple[Any, ...], ...] = field(repr=False)

    @property
    def csv_address(self) -> str:
        """The data as a CSV file inside a link, so that the page needs no script and no second request."""
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow([safe(name) for name in self.head])
        writer.writerows([safe(v) if isinstance(v, str) else v for v in row] for row in self.raw)
        return "data:text/csv;charset=utf-8," + quote("\ufeff" + out.getvalue())


def made_once(make: Callable[..., Figure]) -> Callable[..., Figure]:
    """Keep the newest figures by everything that goes into them: building one takes longer than finding it."""
    kept: OrderedDict[bytes, Figure] = OrderedDict()
    lock = Lock()

    @wraps(make)
    def found(f: Formats, **given: Any) -> Figure:
        seen = (f.language.code, f.currency, str(f.zone), f.now.astimezone(f.zone).year, _whole(given))
        key = sha256(repr(seen).encode()).digest()
        with lock:
            if key in kept:
                kept.move_to_end(key)
                return kept[key]
        figure = make(f, **given)
        with lock:
            kept[key] = figure
            while len(kept) > _KEPT:
                kept.popitem(last=False)
        return figure

    return found


def _whole(given: dict[str, Any]) -> list[tuple[str, Any]]:
    """Arguments with all values of tables, of which pandas writes only some."""
    return [
        (k, v.reset_index().to_dict("list") if isinstance(v, pd.Series | pd.DataFrame) else v)
        for k, v in sorted(given.items())
    ]


def make_figure(
    title: str,
    subtitle: str,
    draw: Any,
    head: tuple[str, ...],
    rows: Sequence[tuple[str, ...]],
    raw: Sequence[tuple[Any, ...]],
) -> Figure:
    """Draw a figure in both sizes; `draw` is told whether it is the wide one, `raw` are the CSV's unrounded rows."""
    wide, narrow = (to_svg(draw(size)) for size in (True, False))
    return Figure(title, subtitle, wide, narrow, head, tuple(rows), tuple(tuple(r) for r in raw))


def to_svg(chart: Drawing) -> str:
    """Draw a figure; equal figures (by the whole specification with its data) are drawn once."""
    return _drawn(styled(chart).to_json(indent=None))


def styled(chart: Drawing) -> Drawing:
    """The figure with the house's fonts, lines and colours, as notebooks show it too."""
    return (
        chart.configure(
            background=COLOURS["surface"], padding={"left": 4, "top": 8, "right": _SLACK, "bottom": 4}, font=_FONT
        )
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=COLOURS["text-3"],
            titleColor=COLOURS["text-3"],
            gridColor=COLOURS["line"],
            domainColor=COLOURS["line"],
            tickColor=COLOURS["line"],
            labelFontSize=12,
            titleFontSize=12,
            titleFontWeight="normal",
            labelPadding=6,
        )
    )


@lru_cache(maxsize=_KEPT)
def _drawn(spec: str) -> str:
    return themed(vl_convert.vegalite_to_svg(spec, vl_version=_VEGA_LITE))


_HEX = re.compile(r"#[0-9a-fA-F]{6}\b|#[0-9a-fA-F]{3}\b")
_VARIABLES = {colour.lower(): f"var(--{name})" for name, colour in COLOURS.items()}
# Roles and labels of Vega's groups would be read out piece by piece; the figure's own label says what it shows.
_ARIA = re.compile(r' (?:aria-[a-z]+|role)="[^"]*"')


def themed(svg: str) -> str:
    """Swap each token's light value for its CSS variable, and let the picture scale with its column.

    Raises
    ------
    ValueError
        If the picture holds a colour that is no token.
    """
    svg = _HEX.sub(_variable, _ARIA.sub("", svg))
    size = re.search(r'width="([\d.]+)" height="([\d.]+)" viewBox', svg)
    assert size, "vl-convert's picture has no size"
    return svg.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)


def _variable(match: re.Match[str]) -> str:
    try:
        return _VARIABLES[match[0].lower()]
    except KeyError:
        raise ValueError(f"figure: colour {match[0]} is no token. Use one of drawing.COLOURS.") from None
