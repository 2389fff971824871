"""What the 3D view shows: surfaces of the pieces, the scan and the plan on one upright grid."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from flr_volumetry.anatomy import Structure
from flr_volumetry.images import Grid, bounding_box
from flr_volumetry.report import planes, slices, wording
from flr_volumetry.report.cut_map import MARGIN_COLOURS, cut_margins
from flr_volumetry.report.solids import Solid, solid_of
from flr_volumetry.resection import PieceKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flr_volumetry.liver import Liver
    from flr_volumetry.resection import Partition

MOST_VOXELS = 6_000_000
"""Of the scan in the page; a finer one is shown coarser."""
FINEST_MM = 0.8
COARSER = 1.02
LARGE, SMALL = 24_000, 8_000
"""The most triangles of a large and of a small surface."""
SMALLEST_PIECE_VOXELS = 8
PORTAL_COLOUR, HEPATIC_COLOUR, CAVA_COLOUR = "#7b3fa0", "#0072b2", "#5a8fbf"
LIVER_COLOUR = "#b08968"
LESION_3D_COLOUR = "#f5f5f5"
VESSELS = {
    Structure.PORTAL_VEIN: ("Portal vein", PORTAL_COLOUR),
    Structure.HEPATIC_VEINS: ("Hepatic veins", HEPATIC_COLOUR),
    Structure.IVC: ("Inferior vena cava", CAVA_COLOUR),
}


class Role(Enum):
    """What a surface is, so that the page can group and dim it."""

    LIVER = "liver"
    REMNANT = "remnant"
    GONE = "gone"
    LESION = "lesion"
    VESSEL = "vessel"
    CUT = "cut"


@dataclass(frozen=True, slots=True, eq=False)
class Surface3D:
    """One surface of the view.

    Parameters
    ----------
    key : str
        A name of its own, without spaces, for files.
    name : str
        For people.
    role : Role
        What it is.
    solid : Solid
        LPS mm; the cut alone is not closed.
    colour : str
        "#rrggbb".
    opacity : float
        At first, 0 to 1.
    shown : bool
        At first.
    colours : (n, 3) uint8 ndarray or None
        Of each vertex, where they differ.
    """

    key: str
    name: str
    role: Role
    solid: Solid
    colour: str
    opacity: float
    shown: bool
    colours: npt.NDArray[np.uint8] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Scene3D:
    """What the interactive view of a case holds.

    Parameters
    ----------
    surfaces : tuple of Surface3D
        In the order of the page's list.
    grid : Grid
        Upright: its axes are the patient's.
    grey : uint8 ndarray of the grid's shape or None
        The scan in its grey window; None without one.
    labels : uint8 ndarray of the grid's shape
        0 outside, the pieces' numbers, and one number more for lesions.
    label_names : tuple of (int, str, str)
        Label, words, colour.
    """

    surfaces: tuple[Surface3D, ...]
    grid: Grid
    grey: npt.NDArray[np.uint8] | None = field(repr=False)
    labels: npt.NDArray[np.uint8] = field(repr=False)
    label_names: tuple[tuple[int, str, str], ...]


def scene_3d(liver: Liver, partition: Partition) -> Scene3D:
    """Return the 3D view of a case.

    Parameters
    ----------
    liver : Liver
        With its scan, lesions and vessels, as far as given.
    partition : Partition
        Of that liver.

    Returns
    -------
    Scene3D
        Scan and labels taken by geometry onto an upright grid, whatever the orientation or tilt of the
        scan; surfaces of the masks' own volumes.
    """
    grid = upright_grid(liver.grid)
    labels, names = _labels(liver, partition, grid)
    return Scene3D(tuple(surfaces_of(liver, partition)), grid, grey_on(liver, grid), labels, names)


def upright_grid(grid: Grid) -> Grid:
    """Return a grid along the patient's axes that holds all of another one, of few enough voxels.

    Parameters
    ----------
    grid : Grid
        Of any orientation, sheared ones too.

    Returns
    -------
    Grid
        Of cubes not finer than 0.8 mm.
    """
    i, j, k = (n - 1 for n in grid.shape)
    corners = grid.centres_mm([[a, b, c] for a in (0, i) for b in (0, j) for c in (0, k)])
    low, high = corners.min(axis=0), corners.max(axis=0)
    size = high - low
    step = max(FINEST_MM, min(grid.spacing_mm))
    while np.prod(np.floor(size / step) + 1) > MOST_VOXELS:
        step *= COARSER
    shape = np.floor(size / step).astype(int) + 1
    affine = np.diag([step, step, step, 1.0])
    affine[:3, 3] = low
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine, grid.frame_of_reference_uid)


def onto(values: npt.NDArray[Any], source: Grid, grid: Grid, order: Literal[0, 1]) -> npt.NDArray[Any]:
    """Take values by geometry from one grid onto another; nought outside, order 0 takes the nearest."""
    from scipy.ndimage import affine_transform

    step = np.linalg.inv(source.affine) @ grid.affine
    return np.asarray(
        affine_transform(
            values, step[:3, :3], step[:3, 3], output_shape=grid.shape, order=order, mode="constant", cval=0
        )
    )


def grey_on(liver: Liver, grid: Grid) -> npt.NDArray[np.uint8] | None:
    """Return a liver's scan in its grey window on another grid; None without a scan."""
    if liver.image is None:
        return None
    (low, high), _ = slices.window_of(liver)
    values = liver.image.voxels.astype(np.float32)
    measured = np.isfinite(values)
    if liver.image.padding is not None:
        measured &= liver.image.voxels != liver.image.padding
    scaled = np.clip((np.where(measured, values, low) - low) * (255 / (high - low)), 0, 255)
    grey = onto(scaled, liver.grid, grid, order=1)
    if not measured.all():
        share = onto(measured.astype(np.float32), liver.grid, grid, order=1)
        grey = np.where(share >= planes.MEASURED, grey / np.maximum(share, planes.MEASURED), 0)
    return np.asarray(np.rint(np.clip(grey, 0, 255)), dtype=np.uint8)


def _labels(
    liver: Liver, partition: Partition, grid: Grid
) -> tuple[npt.NDArray[np.uint8], tuple[tuple[int, str, str], ...]]:
    labels = np.array(partition.labels)
    names = []
    for piece in partition.pieces:
        look = slices.look_of(piece, partition.grid.voxel_ml)
        names.append((piece.label, look.words, look.colour))
    lesion_label = len(partition.pieces) + 1
    for lesion in liver.lesions:
        labels[lesion.box][lesion.voxels] = lesion_label
    if liver.lesions:
        names.append((lesion_label, "lesions", LESION_3D_COLOUR))
    return onto(labels, liver.grid, grid, order=0), tuple(names)


def surfaces_of(
    liver: Liver, partition: Partition, *, large: int = LARGE, small: int = SMALL
) -> Iterator[Surface3D]:
    """Yield the surfaces of a case: liver, pieces, lesions, vessels and the cut.

    Parameters
    ----------
    liver : Liver
        With its lesions and vessels.
    partition : Partition
        Of that liver.
    large, small : int
        The most triangles of a large surface, and of a lesion's.

    Yields
    ------
    Surface3D
        Closed but for the cut; pieces of fewer than eight voxels are left out.
    """
    yield Surface3D(
        "liver",
        f"Liver, {wording.ml(liver.ml)}",
        Role.LIVER,
        solid_of(liver.voxels, liver.grid, most_triangles=large),
        LIVER_COLOUR,
        0.18,
        shown=True,
    )
    for piece in partition.pieces:
        if piece.count < SMALLEST_PIECE_VOXELS:
            continue
        look = slices.look_of(piece, partition.grid.voxel_ml)
        stays = piece.kind is PieceKind.REMNANT
        solid = solid_of(partition.labels == piece.label, partition.grid, most_triangles=large)
        role = Role.REMNANT if stays else Role.GONE
        key = "remnant" if stays else f"{piece.kind.value}_{piece.label}"
        yield Surface3D(key, look.words, role, solid, look.colour, 1.0 if stays else 0.45, shown=stays)
    for lesion in liver.lesions:
        solid = solid_of(lesion.voxels, liver.grid, start=lesion.start, most_triangles=small)
        name = f"Lesion {lesion.number}, {wording.ml(solid.ml)}"
        yield Surface3D(
            f"lesion_{lesion.number}", name, Role.LESION, solid, LESION_3D_COLOUR, 1.0, shown=True
        )
    for vessel in liver.vessels:
        if vessel.structure in VESSELS and bounding_box(vessel.voxels) is not None:
            name, colour = VESSELS[vessel.structure]
            solid = solid_of(vessel.voxels, liver.grid, most_triangles=large)
            yield Surface3D(vessel.structure.value, name, Role.VESSEL, solid, colour, 1.0, shown=True)
    cut = cut_margins(liver, partition)
    if cut is not None:
        name = "Cut surface, by distance to the nearest lesion" if liver.lesions else "Cut surface"
        colours = cut.colours if liver.lesions else None
        yield Surface3D(
            "cut", name, Role.CUT, cut.surface, MARGIN_COLOURS[-1][1], 1.0, shown=True, colours=colours
        )
