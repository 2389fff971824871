"""Three planes through a point: the scan, what stays, what goes, the lesions and the cut."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from flr_volumetry.report import canvas, planes, wording
from flr_volumetry.report.planes import DisplayPlane, View
from flr_volumetry.resection import PieceKind
from flr_volumetry.resection.partition import REMNANT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

    from flr_volumetry.liver import Liver
    from flr_volumetry.resection import Partition, Piece

CT_WINDOW = (-160.0, 240.0)
"""Level 40, width 400 HU: soft tissue."""
PERCENTILES = (2.0, 98.0)
WIDENED = 1.0
"""The window of scans without Hounsfield units: the liver's values, and as much again on each side."""
SAMPLE_VOXELS = 200_000
PIXELS_ACROSS = 420
WIDTH_IN = 8.6
GAP_IN = 0.32
SCALE_BAR_MM = 50.0
FEW_IN_KEY, MOST_IN_KEY = 6, 12
"""How many pieces a key holds in its usual letters, and at all."""
FILL_ALPHA = 0.34
EMPTY_GROUND = 0.93
LineStyle = Literal["-", "--", "-.", ":"]
LINE_STYLES: tuple[LineStyle, ...] = ("--", "-.")


class Mark(Enum):
    """Whether the point that the planes go through is marked."""

    NONE = "none"
    CROSS = "cross"


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What every picture of one case shares.

    Parameters
    ----------
    liver : Liver
        The liver.
    partition : Partition
        What the plan makes of it.
    low_mm, high_mm : (3,) ndarray
        Corners of the box shown, LPS mm.
    window : tuple of float
        Values shown black and white.
    window_words : str
        How the window was chosen.
    """

    liver: Liver
    partition: Partition
    low_mm: npt.NDArray[np.float64] = field(repr=False)
    high_mm: npt.NDArray[np.float64] = field(repr=False)
    window: tuple[float, float]
    window_words: str

    @property
    def pixel_mm(self) -> float:
        """Edge of a pixel of its pictures."""
        return float((self.high_mm - self.low_mm).max()) / PIXELS_ACROSS

    def plane(self, view: View, point_mm: npt.ArrayLike) -> DisplayPlane:
        """Return the plane of a view through a point, as large as the box."""
        return DisplayPlane.through(
            view, point_mm, low_mm=self.low_mm, high_mm=self.high_mm, pixel_mm=self.pixel_mm
        )


@dataclass(frozen=True, slots=True)
class Look:
    """How a piece is drawn.

    Parameters
    ----------
    colour : str
        Of fill and outline.
    line : str
        Line style of the outline, so that colour is not the only sign.
    words : str
        In the key.
    """

    colour: str
    line: LineStyle
    words: str


def window_of(liver: Liver) -> tuple[tuple[float, float], str]:
    """Return the grey window for a liver's scan, and how it was chosen.

    Parameters
    ----------
    liver : Liver
        With its scan, if there is one.

    Returns
    -------
    window : tuple of float
        Values shown black and white.
    words : str
        For the caption.
    """
    if liver.image is None:
        return (0.0, 1.0), "no scan was given: only the masks are drawn"
    if liver.image.source.modality == "CT":
        return CT_WINDOW, "CT, window level 40 HU, width 400 HU"
    values = liver.image.measured(liver.voxels)
    values = values[:: max(1, len(values) // SAMPLE_VOXELS)] if len(values) else np.zeros(1)
    low, high = (float(v) for v in np.percentile(values, PERCENTILES))
    spread = max(high - low, 1.0)
    window = (low - WIDENED * spread, high + WIDENED * spread)
    kind = liver.image.source.modality or "modality not stated"
    words = f"{kind}, window set by the liver's own values: {window[0]:.0f} to {window[1]:.0f}"
    return window, words


def look_of(piece: Piece, voxel_ml: float) -> Look:
    """Return how a piece is drawn, and what the key says of it."""
    amount = wording.ml(piece.count * voxel_ml)
    if piece.kind is PieceKind.REMNANT:
        return Look(canvas.REMNANT_COLOUR, "-", f"stays: remnant, {amount}")
    stage = max(piece.stage, 1) - 1
    if piece.kind is PieceKind.ABLATED:
        return Look(canvas.ABLATED_COLOUR, ":", f"stage {piece.stage}: {piece.title}, {amount}")
    colour = canvas.RESECTED_COLOURS[stage % len(canvas.RESECTED_COLOURS)]
    line = LINE_STYLES[stage % len(LINE_STYLES)]
    return Look(colour, line, f"stage {piece.stage}: {piece.title}, {amount}")


def three_planes(
    scene: Scene,
    point_mm: npt.ArrayLike,
    *,
    title: str,
    notes: tuple[str, ...] = (),
    mark: Mark = Mark.NONE,
) -> canvas.Picture:
    """Draw axial, coronal and sagittal pictures through a point, to one scale, with a key.

    Parameters
    ----------
    scene : Scene
        The case.
    point_mm : (3,) array_like
        The point, LPS mm.
    title : str
        Over the pictures.
    notes : tuple of str
        Lines under the key.
    mark : Mark
        Whether the point itself is marked.

    Returns
    -------
    Picture
        As PNG and SVG.
    """
    boxes, height = layout(scene)
    drawing = canvas.new_drawing(WIDTH_IN, height)
    for view, (left, bottom, width, tall) in boxes.items():
        axes = drawing.add_axes((left / WIDTH_IN, bottom / height, width / WIDTH_IN, tall / height))
        plane = scene.plane(view, point_mm)
        draw_panel(axes, scene, plane)
        if mark is Mark.CROSS:
            column, row = plane.pixel_at(point_mm)
            axes.plot(column, row, marker="x", markersize=9, markeredgewidth=2.2, color="black")
            axes.plot(column, row, marker="x", markersize=8, markeredgewidth=1.0, color=canvas.CUT_COLOUR)
    drawing.text(
        GAP_IN / WIDTH_IN, 1 - 0.1 / height, title, fontsize=11, weight="bold", va="top", parse_math=False
    )
    key_left = boxes[View.SAGITTAL][0] / WIDTH_IN
    _draw_key(drawing, scene, (key_left, 1 - 1.25 * GAP_IN / height), notes)
    looks = (look_of(piece, scene.partition.grid.voxel_ml) for piece in scene.partition.pieces)
    return canvas.picture_of(drawing, tints=[(c, FILL_ALPHA) for c in dict.fromkeys(k.colour for k in looks)])


def layout(scene: Scene) -> tuple[dict[View, tuple[float, float, float, float]], float]:
    """Return where the three pictures lie in their figure: to one scale, axes in line.

    Parameters
    ----------
    scene : Scene
        The case.

    Returns
    -------
    boxes : dict of View to tuple of float
        Left, bottom, width and height of each picture, inches from the lower left corner.
    height : float
        Of the figure, inches; its width is `WIDTH_IN`.
    """
    size = scene.high_mm - scene.low_mm
    right_mm = max(float(size[1]), 0.7 * float(size[0]))
    scale = (WIDTH_IN - 3 * GAP_IN) / (size[0] + right_mm)
    x, y, z = (float(v) * scale for v in size)
    boxes = {
        View.AXIAL: (GAP_IN, z + 2 * GAP_IN, x, y),
        View.CORONAL: (GAP_IN, 0.6 * GAP_IN, x, z),
        View.SAGITTAL: (2 * GAP_IN + x, 0.6 * GAP_IN, y, z),
    }
    return boxes, y + z + 3.4 * GAP_IN


def draw_panel(axes: Axes, scene: Scene, plane: DisplayPlane) -> None:
    """Draw one plane into axes whose data coordinates are the plane's pixels.

    Parameters
    ----------
    axes : Axes
        Of the plane's proportions.
    scene : Scene
        The case.
    plane : DisplayPlane
        Where to look.
    """
    _draw_ground(axes, scene, plane)
    labels = planes.nearest(plane, scene.partition.grid, scene.partition.labels)
    _draw_pieces(axes, scene, labels)
    _draw_cut(axes, labels)
    for lesion in scene.liver.lesions:
        inside = planes.nearest(plane, scene.liver.grid, lesion.voxels, start=lesion.start)
        _draw_lesion(axes, inside, lesion.number)
    draw_frame(axes, plane)


def _draw_ground(axes: Axes, scene: Scene, plane: DisplayPlane) -> None:
    low, high = scene.window
    if scene.liver.image is None:
        grey = np.full(plane.shape, EMPTY_GROUND)
    else:
        values = planes.linear(plane, scene.liver.image)
        grey = np.nan_to_num(np.clip((values - low) / (high - low), 0, 1), nan=0.0)
    axes.imshow(grey, cmap="gray", vmin=0, vmax=1, interpolation="nearest")


def _draw_pieces(axes: Axes, scene: Scene, labels: npt.NDArray[np.uint8]) -> None:
    from matplotlib.colors import to_rgb

    fill = np.zeros((*labels.shape, 4))
    for piece in scene.partition.pieces:
        inside = labels == piece.label
        if inside.any():
            look = look_of(piece, scene.partition.grid.voxel_ml)
            fill[inside] = (*to_rgb(look.colour), FILL_ALPHA)
            draw_outline(axes, inside, colour=look.colour, line=look.line, width=1.1)
    axes.imshow(fill, interpolation="nearest")


def _draw_cut(axes: Axes, labels: npt.NDArray[np.uint8]) -> None:
    """Draw the border between what stays and what goes, and only that border."""
    stays = np.ma.masked_where(labels == 0, (labels == REMNANT).astype(float))
    if stays.min() == 0 and stays.max() == 1:
        axes.contour(stays, levels=[0.5], colors="black", linewidths=3.0)
        axes.contour(stays, levels=[0.5], colors=canvas.CUT_COLOUR, linewidths=1.5)


def _draw_lesion(axes: Axes, inside: npt.NDArray[np.bool_], number: int) -> None:
    if not inside.any():
        return
    draw_outline(axes, inside, colour="black", line="-", width=2.6)
    draw_outline(axes, inside, colour=canvas.LESION_COLOUR, line="-", width=1.2)
    rows, columns = np.nonzero(inside)
    column, row = float(columns.mean()), float(rows.mean())
    if min(np.ptp(rows), np.ptp(columns)) < 16:
        column, row = float(columns.max()) + 7, float(rows.min()) - 6
    _haloed(axes, column, row, str(number), size=10)


def draw_outline(
    axes: Axes,
    inside: npt.NDArray[np.bool_],
    *,
    colour: str,
    line: LineStyle,
    width: float,
) -> None:
    """Draw the border of a mask in axes whose data coordinates are its pixels."""
    padded = np.pad(inside, 1).astype(float)
    rows, columns = (np.arange(-1, n + 1) for n in inside.shape)
    axes.contour(columns, rows, padded, levels=[0.5], colors=[colour], linewidths=width, linestyles=[line])


def draw_frame(axes: Axes, plane: DisplayPlane) -> None:
    """Draw the letters of the sides, a scale bar and where the plane lies."""
    rows, columns = plane.shape
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_axis_off()
    left, right, top, bottom = planes.ORIENTATIONS[plane.view].letters
    _haloed(axes, 10, rows / 2, left)
    _haloed(axes, columns - 11, rows / 2, right)
    _haloed(axes, columns / 2, 11, top)
    _haloed(axes, columns / 2, rows - 12, bottom)
    bar = SCALE_BAR_MM / plane.pixel_mm
    axes.plot([12, 12 + bar], [rows - 12] * 2, color="black", linewidth=4.2, solid_capstyle="butt")
    axes.plot([12, 12 + bar], [rows - 12] * 2, color="white", linewidth=2.2, solid_capstyle="butt")
    _haloed(axes, 12 + bar / 2, rows - 23, f"{SCALE_BAR_MM:g} mm", size=7.5)
    axis = "xyz"[planes.ORIENTATIONS[plane.view].through]
    title = f"{plane.view.value}, {axis} = {plane.position_mm:.1f} mm"
    axes.set_title(title, fontsize=9.5, loc="left", pad=3, color=canvas.INK)


def _haloed(axes: Axes, column: float, row: float, text: str, *, size: float = 10) -> None:
    from matplotlib.patheffects import withStroke

    axes.text(
        column,
        row,
        text,
        color="white",
        fontsize=size,
        weight="bold",
        ha="center",
        va="center",
        clip_on=True,
        path_effects=[withStroke(linewidth=2.2, foreground="black")],
    )


def _draw_key(drawing: Drawing, scene: Scene, corner: tuple[float, float], notes: tuple[str, ...]) -> None:
    from matplotlib.colors import to_rgba
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    voxel_ml = scene.partition.grid.voxel_ml
    pieces = scene.partition.pieces
    looks = [look_of(piece, voxel_ml) for piece in pieces[:MOST_IN_KEY]]
    signs: list[Patch | Line2D] = [
        Patch(facecolor=to_rgba(k.colour, 0.55), edgecolor=k.colour, linestyle=k.line, linewidth=1.4)
        for k in looks
    ]
    few = len(pieces) <= FEW_IN_KEY
    words = [textwrap.fill(canvas.drawable(k.words), 34 if few else 52) for k in looks]
    if len(pieces) > MOST_IN_KEY:
        signs.append(Line2D([], [], linestyle=""))
        words.append(f"and {len(pieces) - MOST_IN_KEY} more pieces, listed under stages")
    signs.append(Line2D([], [], color=canvas.CUT_COLOUR, linewidth=1.8, path_effects=_cut_halo()))
    words.append("cut: border of what stays and what goes")
    if scene.liver.lesions:
        signs.append(
            Line2D([], [], marker="o", linestyle="", markerfacecolor="none", markeredgecolor="black")
        )
        words.append("lesions, by number")
    legend = drawing.legend(
        signs,
        words,
        loc="upper left",
        bbox_to_anchor=corner,
        frameon=False,
        fontsize=10 if few else 6.5,
        borderaxespad=0,
        labelspacing=0.7 if few else 0.4,
    )
    text = "\n".join(textwrap.fill(canvas.drawable(note), 38) for note in (*notes, scene.window_words))
    bottom = legend.get_window_extent(drawing.canvas.get_renderer()).y0  # type: ignore[attr-defined]
    y = drawing.transFigure.inverted().transform((0, bottom))[1]
    drawing.text(
        corner[0],
        y - 0.02,
        text,
        fontsize=10 if few else 8.5,
        va="top",
        color=canvas.INK,
        linespacing=1.5,
        parse_math=False,
    )


def _cut_halo() -> list[object]:
    from matplotlib.patheffects import Normal, Stroke

    return [Stroke(linewidth=3.4, foreground="black"), Normal()]
