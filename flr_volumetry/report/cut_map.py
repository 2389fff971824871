"""The cut surface, and how far from the lesions it runs: for the 3D view, and unrolled as a picture."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.report import canvas, wording
from flr_volumetry.report.canvas import FigureKind, ReportFigure
from flr_volumetry.report.solids import Solid, solid_of
from flr_volumetry.resection.blades import blades_of, deepest
from flr_volumetry.resection.partition import REMNANT
from flr_volumetry.resection.subvoxel import lesion_surface

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.patches import Rectangle

    from flr_volumetry.liver import Liver
    from flr_volumetry.resection import Partition
    from flr_volumetry.resection.quadrics import Patches

MARGIN_COLOURS = (
    (1.0, "#a33b00", "under 1 mm"),
    (5.0, "#d98200", "1 to 5 mm"),
    (10.0, "#f0e442", "5 to 10 mm"),
    (np.inf, "#e3e8ec", "10 mm or more"),
)
"""Upper bound, colour, words: the margins that sources name (clinical practice: 0, 1, 5 and 10 mm)."""
TRIANGLES = 40_000
LOOK_AHEAD = 1.5
"""A vertex lies on the cut if so many voxels outwards there is a piece that goes."""
FLAT = 0.6
"""A surface is shown as seen along its mean normal if its normals agree by so much, else unrolled."""
MOST_MAPS = 3
FEWEST_POINTS = 30
TORN = 6.0
"""Triangles with a side so many times longer than most are where a bowl was torn open, and are left out."""
NEAR_VOXELS = 2.0
"""Vertices no further than this from where the plan says it cuts are moved there."""
SAME_MM = 0.1
"""What falls short of a class by less than this belongs to it: surfaces between voxels are no better."""

Points = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class CutMargins:
    """The surface between what stays and what goes.

    Parameters
    ----------
    surface : Solid
        Open; LPS mm, seen from the side that goes.
    distance_mm : (n,) float64 ndarray
        From each vertex to the nearest lesion; infinite without one.
    piece : (n,) int64 ndarray
        The label of the piece across the cut.
    nearest : (n,) int64 ndarray
        The number of that lesion; 0 without one.
    """

    surface: Solid
    distance_mm: npt.NDArray[np.float64] = field(repr=False)
    piece: npt.NDArray[np.int64] = field(repr=False)
    nearest: npt.NDArray[np.int64] = field(repr=False)

    @property
    def colours(self) -> npt.NDArray[np.uint8]:
        """Of each vertex, by its distance, (n, 3)."""
        from matplotlib.colors import to_rgb

        palette = np.array([to_rgb(colour) for _, colour, _ in MARGIN_COLOURS])
        return np.asarray(np.rint(255 * palette[self.classes]), dtype=np.uint8)

    @property
    def classes(self) -> npt.NDArray[np.int64]:
        """Which of `MARGIN_COLOURS` each vertex has, (n,)."""
        bounds = [bound - SAME_MM for bound, _, _ in MARGIN_COLOURS[:-1]]
        return np.asarray(np.searchsorted(bounds, self.distance_mm, side="right"))


@lru_cache(maxsize=1)
def cut_margins(liver: Liver, partition: Partition) -> CutMargins | None:
    """Return the surface of the cut, with its distance to the lesions.

    Parameters
    ----------
    liver : Liver
        With its lesions.
    partition : Partition
        Of that liver.

    Returns
    -------
    CutMargins or None
        None if nothing stays, or what stays borders on nothing that goes.

    Notes
    -----
    The part of the remnant's smooth surface across which a piece lies that goes, moved to where planes,
    drawn surfaces, wedges and zones cut. Distances are to the smooth surfaces of the lesions
    (`flr_volumetry.resection.subvoxel.lesion_surface`).
    """
    stays = partition.labels == REMNANT
    if not stays.any():
        return None
    whole = solid_of(stays, partition.grid, most_triangles=TRIANGLES)
    beyond = _across(whole, partition)
    inner = (beyond[whole.triangles] > REMNANT).all(axis=1)
    if not inner.any():
        return None
    used, triangles = np.unique(whole.triangles[inner], return_inverse=True)
    lesions = {x.number: lesion_surface(x, liver.grid) for x in liver.lesions}
    points = _on_the_cut(whole.vertices_mm[used], beyond[used], liver, partition, lesions)
    distance, nearest = _to_lesions(lesions, points)
    return CutMargins(Solid(points, triangles.reshape(-1, 3)), distance, beyond[used], nearest)


def _on_the_cut(
    points: Points,
    piece: npt.NDArray[np.int64],
    liver: Liver,
    partition: Partition,
    lesions: Mapping[int, Patches],
) -> Points:
    moved = points.copy()
    within = NEAR_VOXELS * max(liver.grid.spacing_mm)
    for label, blades in blades_of(partition.plan, liver, lesions).items():
        mine = np.flatnonzero(piece == label)
        if len(mine):
            depth, outward = deepest(blades, points[mine])
            near = np.abs(depth) <= within
            moved[mine[near]] -= depth[near, None] * outward[near]
    return moved


def _across(whole: Solid, partition: Partition) -> npt.NDArray[np.int64]:
    """Return what lies a little outwards of each vertex; 0 outside the liver."""
    step = LOOK_AHEAD * partition.grid.voxel_mm3 ** (1 / 3)
    index = np.rint(partition.grid.indices_at(whole.vertices_mm + step * whole.normals)).astype(np.intp)
    inside = ((index >= 0) & (index < partition.grid.shape)).all(axis=1)
    found = np.zeros(len(index), dtype=np.int64)
    i, j, k = index[inside].T
    found[inside] = partition.labels[i, j, k]
    return found


def _to_lesions(
    lesions: Mapping[int, Patches], points: Points
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    distance = np.full(len(points), np.inf)
    nearest = np.zeros(len(points), dtype=np.int64)
    for number, surface in lesions.items():
        far = surface.nearest_mm(points)[0]
        nearer = far < distance
        distance[nearer] = far[nearer]
        nearest[nearer] = number
    return distance, nearest


def margin_maps(liver: Liver, partition: Partition) -> ReportFigure | None:
    """Draw the cut unrolled, coloured by its distance to the nearest lesion.

    Parameters
    ----------
    liver : Liver
        With its lesions.
    partition : Partition
        Of that liver.

    Returns
    -------
    ReportFigure or None
        None without lesions or without a cut.
    """
    cut = cut_margins(liver, partition) if liver.lesions else None
    if cut is None:
        return None
    counts = {p.label: int(np.count_nonzero(cut.piece == p.label)) for p in partition.pieces[1:]}
    shown = [p for p in partition.pieces[1:] if counts[p.label] >= FEWEST_POINTS]
    shown = sorted(shown, key=lambda p: -counts[p.label])[:MOST_MAPS]
    if not shown:
        return None
    drawing = canvas.new_drawing(8.6, 3.9)
    for n, piece in enumerate(shown):
        left = 0.04 + n * 0.96 / len(shown)
        axes = drawing.add_axes((left, 0.2, 0.92 / len(shown), 0.66))
        mine = cut.piece == piece.label
        _draw_map(axes, cut, mine)
        axes.set_title(canvas.drawable(f"stage {piece.stage}: {piece.title}"), fontsize=11, parse_math=False)
    _draw_key(drawing.add_axes((0.04, 0.02, 0.92, 0.12)))
    least = ", ".join(_least(cut, p.label, p.title) for p in shown)
    return ReportFigure(
        "margin_map",
        FigureKind.CUT,
        "The cut, by distance to the nearest lesion",
        "Each cut surface as seen from the side that goes, flat ones along their mean normal, bowls unrolled "
        "around their middle; the cross marks the least distance. For looking: the margins of the table are "
        "measured more finely.",
        f"Distance of the cut to the nearest lesion: {least}.",
        canvas.picture_of(drawing),
    )


def _least(cut: CutMargins, label: int, title: str) -> str:
    return f"{title}, at least {wording.clean(f'{cut.distance_mm[cut.piece == label].min():.1f}')} mm"


def _draw_map(axes: Axes, cut: CutMargins, mine: npt.NDArray[np.bool_]) -> None:
    from matplotlib.colors import ListedColormap
    from matplotlib.tri import Triangulation

    number = np.cumsum(mine) - 1
    triangles = number[cut.surface.triangles[mine[cut.surface.triangles].all(axis=1)]]
    flat = unrolled(cut.surface.vertices_mm[mine], cut.surface.normals[mine])
    distance = cut.distance_mm[mine]
    sides = np.linalg.norm(flat[triangles] - flat[np.roll(triangles, 1, axis=1)], axis=2).max(axis=1)
    triangles = triangles[sides <= TORN * np.median(sides)]
    mesh = Triangulation(flat[:, 0], flat[:, 1], triangles)
    colours = ListedColormap([colour for _, colour, _ in MARGIN_COLOURS])
    worst = cut.classes[mine][triangles].min(axis=1)
    # As pixels within an SVG file: tens of thousands of triangles would make it of megabytes.
    axes.tripcolor(
        mesh, facecolors=worst, cmap=colours, vmin=-0.5, vmax=len(MARGIN_COLOURS) - 0.5, rasterized=True
    )
    bounds = (*(bound for bound, _, _ in MARGIN_COLOURS[:-1]), 20.0, 30.0)
    levels = [b for b in bounds if distance.min() + SAME_MM < b < distance.max() - SAME_MM]
    if levels:
        lines = axes.tricontour(mesh, distance, levels=levels, colors=canvas.INK, linewidths=0.6)
        axes.clabel(lines, fmt="%g mm", fontsize=8)
    column, row = flat[np.argmin(distance)]
    axes.plot(column, row, marker="x", markersize=8, markeredgewidth=2, color=canvas.INK)
    axes.set_aspect("equal")
    axes.invert_yaxis()
    axes.set_axis_off()


def unrolled(points_mm: Points, normals: Points) -> Points:
    """Lay a surface flat.

    Parameters
    ----------
    points_mm, normals : (n, 3) float64 ndarray
        Its vertices and their normals.

    Returns
    -------
    (n, 2) float64 ndarray
        Millimetres. A nearly flat surface is seen along its mean normal, head upwards as far as that goes;
        a bowl is unrolled around its middle so that distances from the middle stay (azimuthal
        equidistant).
    """
    mean = normals.mean(axis=0)
    agreement = float(np.linalg.norm(mean))
    axis = mean / agreement if agreement > 0 else np.array([0.0, 0.0, 1.0])
    up = np.array([0.0, 0.0, 1.0]) if abs(axis[2]) < 0.9 else np.array([0.0, -1.0, 0.0])
    right = np.cross(up, axis)
    right /= np.linalg.norm(right)
    down = -np.cross(axis, right)
    if agreement >= FLAT:
        return np.asarray(points_mm @ np.column_stack([right, down]))
    middle, radius = _ball(points_mm)
    away = points_mm - middle
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    towards = away.mean(axis=0)
    pole = towards / max(float(np.linalg.norm(towards)), 1e-12)
    side = np.cross(up, pole) if abs(pole @ up) < 0.9 else np.cross([1.0, 0.0, 0.0], pole)
    side /= np.linalg.norm(side)
    other = -np.cross(pole, side)
    angle = np.arccos(np.clip(away @ pole, -1, 1))
    plane = np.column_stack([away @ side, away @ other])
    length = np.linalg.norm(plane, axis=1, keepdims=True)
    return np.asarray(radius * angle[:, None] * plane / np.where(length > 0, length, 1.0))


def _ball(points_mm: Points) -> tuple[Points, float]:
    """Fit a ball by least squares."""
    system = np.column_stack([2 * points_mm, np.ones(len(points_mm))])
    found = np.linalg.lstsq(system, (points_mm**2).sum(axis=1), rcond=None)[0]
    middle = found[:3]
    return middle, float(np.sqrt(max(found[3] + middle @ middle, 1e-6)))


def _draw_key(axes: Axes) -> None:
    axes.set_axis_off()
    axes.set_xlim(0, len(MARGIN_COLOURS))
    axes.set_ylim(0, 1)
    for n, (_, colour, words) in enumerate(MARGIN_COLOURS):
        axes.add_patch(_swatch(n + 0.02, colour))
        axes.text(n + 0.15, 0.5, words, va="center", fontsize=10.5)


def _swatch(left: float, colour: str) -> Rectangle:
    from matplotlib.patches import Rectangle

    return Rectangle((left, 0.3), 0.1, 0.4, facecolor=colour, edgecolor=canvas.INK, linewidth=0.6)
