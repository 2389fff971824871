"""Figures as PNG and SVG: colours that colour-blind readers tell apart, small files, no global state."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from io import BytesIO, StringIO
from typing import TYPE_CHECKING

from flr_volumetry.report.wording import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt
    from matplotlib.figure import Figure as Drawing

DPI = 110
SVG_DPI = 150
"""Of the scans within an SVG file: enough for print."""
PALETTE_SIZE = 256
INK = "#1a1a1a"
REMNANT_COLOUR = "#56b4e9"
RESECTED_COLOURS = ("#e69f00", "#d55e00", "#009e73")
ABLATED_COLOUR = "#cc79a7"
LESION_COLOUR = "#ffffff"
CUT_COLOUR = "#f0e442"
"""Okabe and Ito's palette (jfly, 2008): told apart with any colour vision."""


class FigureKind(Enum):
    """What a figure shows, so that a page can place it."""

    PLAN = "plan"
    LESION = "lesion"
    LADDER = "ladder"
    SEGMENTS = "segments"
    FORECAST = "forecast"
    CUT = "cut"
    MASK = "mask"


@dataclass(frozen=True, slots=True)
class Picture:
    """One drawing in both forms.

    Parameters
    ----------
    png : bytes
        A PNG file, for pages.
    svg : str
        An SVG file with its words as text, for print and for papers.
    """

    png: bytes = field(repr=False)
    svg: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ReportFigure:
    """One figure of a report.

    Parameters
    ----------
    name : str
        Its file's stem.
    kind : FigureKind
        What it shows.
    title : str
        For people.
    caption : str
        How it was made and how it is to be read.
    alt : str
        What it shows, for those who do not see it.
    picture : Picture
        As pixels and as lines.
    """

    name: str
    kind: FigureKind
    title: str
    caption: str
    alt: str
    picture: Picture = field(repr=False)

    @property
    def png(self) -> bytes:
        """The picture as a PNG file."""
        return self.picture.png

    @property
    def svg(self) -> str:
        """The picture as an SVG file."""
        return self.picture.svg


def new_drawing(width_in: float, height_in: float) -> Drawing:
    """Return an empty white drawing of a size in inches, with its own canvas."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Drawing

    drawing = Drawing(figsize=(width_in, height_in), dpi=DPI, facecolor="white")
    FigureCanvasAgg(drawing)
    return drawing


def picture_of(drawing: Drawing, *, tints: Sequence[tuple[str, float]] = ()) -> Picture:
    """Return a drawing as PNG and as SVG.

    Parameters
    ----------
    drawing : Drawing
        Complete.
    tints : sequence of (str, float)
        See `png_of`.

    Returns
    -------
    Picture
        The same drawing in both.
    """
    return Picture(png_of(drawing, tints=tints), svg_of(drawing))


def svg_of(drawing: Drawing) -> str:
    """Return a drawing as an SVG file: lines as lines, words as text, scans as pixels within it.

    Parameters
    ----------
    drawing : Drawing
        Complete.

    Returns
    -------
    str
        The same for the same drawing: it holds no date and no random name.
    """
    import matplotlib as mpl

    buffer = StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "flr_volumetry"}):
        drawing.savefig(
            buffer, format="svg", dpi=SVG_DPI, metadata={"Date": None, "Creator": "flr_volumetry"}
        )
    return buffer.getvalue()


def png_of(drawing: Drawing, *, tints: Sequence[tuple[str, float]] = ()) -> bytes:
    """Return a drawing as a PNG of 256 colours: a third of the size, and no difference to the eye.

    Parameters
    ----------
    drawing : Drawing
        Complete.
    tints : sequence of (str, float)
        Colours laid over grey pictures, with their opacity. With any, the 256 colours are greys, the
        same greys under each tint, and the pure colours, so that tints stay what the key says; with
        none, they are those that the drawing uses most.

    Returns
    -------
    bytes
        The file.
    """
    import numpy as np
    from PIL import Image as Picture

    drawing.canvas.draw()
    pixels = np.asarray(drawing.canvas.buffer_rgba())[..., :3]  # type: ignore[attr-defined]
    picture = Picture.fromarray(np.ascontiguousarray(pixels))
    if tints:
        small = Picture.fromarray(_nearest_colours(pixels, _palette(tints)))
        small.putpalette(_palette(tints).tobytes())
    else:
        small = picture.quantize(PALETTE_SIZE, method=Picture.Quantize.MEDIANCUT, dither=Picture.Dither.NONE)
    buffer = BytesIO()
    small.save(buffer, format="PNG", compress_level=7)
    return buffer.getvalue()


def _palette(tints: Sequence[tuple[str, float]]) -> npt.NDArray[np.uint8]:
    """Return 256 colours: pure ones, then greys, untinted and under each tint."""
    import numpy as np
    from matplotlib.colors import to_rgb

    pure = np.array([to_rgb(c) for c in (*(c for c, _ in tints), CUT_COLOUR, LESION_COLOUR, INK)])
    levels = (PALETTE_SIZE - len(pure)) // (len(tints) + 1)
    greys = np.repeat(np.linspace(0, 1, levels)[:, np.newaxis], 3, axis=1)
    layers = [pure, greys, *(greys * (1 - alpha) + np.array(to_rgb(c)) * alpha for c, alpha in tints)]
    colours = np.rint(255 * np.concatenate(layers)).astype(np.uint8)
    return np.concatenate([colours, np.repeat(colours[-1:], PALETTE_SIZE - len(colours), axis=0)])


def _nearest_colours(pixels: npt.NDArray[np.uint8], palette: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return for each pixel the palette's colour nearest to it."""
    import numpy as np
    from scipy.spatial import KDTree

    packed = pixels.astype(np.uint32) @ np.array([65536, 256, 1], dtype=np.uint32)
    distinct, place = np.unique(packed, return_inverse=True)
    colours = np.column_stack([distinct >> 16, (distinct >> 8) & 255, distinct & 255])
    _, best = KDTree(palette.astype(float)).query(colours)
    return np.asarray(best, dtype=np.uint8)[place].reshape(pixels.shape[:2])


def drawable(text: str) -> str:
    """Return a text with the characters that the figures' font lacks replaced by question marks."""
    known = _known_characters()
    return "".join(c if ord(c) in known else "?" for c in clean(text))


@cache
def _known_characters() -> frozenset[int]:
    from matplotlib.font_manager import FontProperties, findfont
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(findfont(FontProperties(family="DejaVu Sans"))).get_charmap())
