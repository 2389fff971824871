"""Pictures of masks over their scan: three planes through a place, and a sheet of slices."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.report import canvas, planes
from flr_volumetry.report.planes import DisplayPlane, View
from flr_volumetry.report.slices import CT_WINDOW, EMPTY_GROUND, PERCENTILES, draw_frame, draw_outline

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from flr_volumetry.images import Grid, Image

PIXELS_ACROSS = 300
SHEET_COLUMNS, SHEET_ROWS = 4, 3
PANEL_IN = 2.3
Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """One mask to be drawn.

    Parameters
    ----------
    name : str
        In the key.
    grid : Grid
        Where its voxels lie.
    voxels : ndarray of bool
        The mask.
    rgb : tuple of int
        Its colour, 0 to 255.
    """

    name: str
    grid: Grid
    voxels: npt.NDArray[np.bool_] = field(repr=False)
    rgb: tuple[int, int, int]

    @property
    def colour(self) -> str:
        """Its colour as matplotlib writes it."""
        red, green, blue = self.rgb
        return f"#{red:02x}{green:02x}{blue:02x}"


@dataclass(frozen=True, slots=True, eq=False)
class MaskScene:
    """What all pictures of a segmentation share.

    Parameters
    ----------
    image : Image or None
        The scan.
    outlines : tuple of Outline
        Masks, drawn in this order.
    low_mm, high_mm : (3,) ndarray
        Corners of the box shown, LPS mm.
    """

    image: Image | None
    outlines: tuple[Outline, ...]
    low_mm: Vector = field(repr=False)
    high_mm: Vector = field(repr=False)

    @property
    def pixel_mm(self) -> float:
        """Edge of a pixel."""
        return float((self.high_mm - self.low_mm).max()) / PIXELS_ACROSS

    def plane(self, view: View, point_mm: npt.ArrayLike) -> DisplayPlane:
        """Return the plane of a view through a point, as large as the box."""
        return DisplayPlane.through(
            view, point_mm, low_mm=self.low_mm, high_mm=self.high_mm, pixel_mm=self.pixel_mm
        )


def grey_window(image: Image | None, voxels: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Return the values shown black and white: soft tissue on CT, else as wide as the mask's own values."""
    if image is None:
        return (0.0, 1.0)
    if image.source.modality == "CT" or not voxels.any():
        return CT_WINDOW
    low, high = (float(v) for v in np.percentile(image.voxels[voxels], PERCENTILES))
    spread = max(high - low, 1.0)
    return (low - spread, high + spread)


def mask_planes(
    scene: MaskScene, point_mm: npt.ArrayLike, *, title: str, window: tuple[float, float]
) -> canvas.Picture:
    """Draw axial, coronal and sagittal pictures through a place, with the masks' outlines and a cross.

    Parameters
    ----------
    scene : MaskScene
        Scan and masks.
    point_mm : (3,) array_like
        The place, LPS mm.
    title : str
        Over the pictures.
    window : tuple of float
        Values shown black and white.

    Returns
    -------
    Picture
        As PNG and SVG.
    """
    shapes = [scene.plane(view, point_mm) for view in View]
    widths = [plane.shape[1] for plane in shapes]
    tallest = max(plane.shape[0] for plane in shapes)
    scale = 8.6 / (sum(widths) + 20 * (len(shapes) + 1))
    height = scale * tallest + 0.75
    drawing = canvas.new_drawing(8.6, height)
    left = 20.0
    for plane in shapes:
        rows, columns = plane.shape
        bottom = (scale * (tallest - rows) + 0.1) / height
        axes = drawing.add_axes((left * scale / 8.6, bottom, columns * scale / 8.6, rows * scale / height))
        _draw(axes, scene, plane, window)
        column, row = plane.pixel_at(point_mm)
        axes.plot(column, row, marker="+", markersize=13, markeredgewidth=2.6, color="black")
        axes.plot(column, row, marker="+", markersize=12, markeredgewidth=1.2, color=canvas.CUT_COLOUR)
        left += columns + 20
    drawing.text(
        0.02,
        1 - 0.06 / height,
        canvas.drawable(title),
        fontsize=10,
        weight="bold",
        va="top",
        parse_math=False,
    )
    return canvas.picture_of(drawing)


def mask_sheet(scene: MaskScene, *, window: tuple[float, float]) -> bytes:
    """Draw twelve axial slices from the lower to the upper end of the box, so that a whole mask is seen.

    Parameters
    ----------
    scene : MaskScene
        Scan and masks.
    window : tuple of float
        Values shown black and white.

    Returns
    -------
    bytes
        A PNG file.
    """
    count = SHEET_COLUMNS * SHEET_ROWS
    at = np.linspace(scene.low_mm[2], scene.high_mm[2], count + 2)[1:-1][::-1]
    middle = (scene.low_mm + scene.high_mm) / 2
    first = scene.plane(View.AXIAL, middle)
    rows, columns = first.shape
    tall = PANEL_IN * rows / columns + 0.22
    drawing = canvas.new_drawing(SHEET_COLUMNS * PANEL_IN, SHEET_ROWS * tall + 0.3)
    height = SHEET_ROWS * tall + 0.3
    for n, z in enumerate(at):
        row, column = divmod(n, SHEET_COLUMNS)
        box = (
            (column * PANEL_IN + 0.03) / (SHEET_COLUMNS * PANEL_IN),
            (height - 0.3 - (row + 1) * tall) / height,
            (PANEL_IN - 0.06) / (SHEET_COLUMNS * PANEL_IN),
            (tall - 0.22) / height,
        )
        axes = drawing.add_axes(box)
        _draw(axes, scene, scene.plane(View.AXIAL, [*middle[:2], z]), window)
    left = 0.01
    for outline in scene.outlines:
        text = drawing.text(
            left, 1 - 0.05 / height, canvas.drawable(outline.name), color="black", fontsize=8, va="top"
        )
        text.set_bbox({"facecolor": outline.colour, "alpha": 0.6, "pad": 1.5, "edgecolor": "none"})
        left += 0.012 * (len(outline.name) + 2)
    return canvas.png_of(drawing)


def _draw(axes: Axes, scene: MaskScene, plane: DisplayPlane, window: tuple[float, float]) -> None:
    low, high = window
    if scene.image is None:
        grey = np.full(plane.shape, EMPTY_GROUND)
    else:
        values = planes.linear(plane, scene.image)
        grey = np.nan_to_num(np.clip((values - low) / (high - low), 0, 1), nan=0.0)
    axes.imshow(grey, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    for outline in scene.outlines:
        inside = planes.nearest(plane, outline.grid, outline.voxels)
        if inside.any():
            draw_outline(axes, inside, colour=outline.colour, line="-", width=1.3)
    draw_frame(axes, plane)
