"""Closed surfaces of masks: for the 3D view, and for files that other programs open."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.errors import OutputError
from flr_volumetry.images import MM3_PER_ML, bounding_box

if TYPE_CHECKING:
    from flr_volumetry.images import Grid

Points = npt.NDArray[np.float64]
Triangles = npt.NDArray[np.int64]
Voxels = npt.NDArray[np.bool_]

FINE_VOXELS, SMOOTH_VOXELS = 0.7, 1.1
"""Standard deviation of the smoothing that takes the steps off, in voxels along each axis, for thin and for
stout solids (assumed)."""
STOUT_VOXELS = 20_000
STOUT_SHARE = 0.15
"""A solid is stout if it has so many voxels, and they fill so much of their box."""
PADDING = 4
VOLUME_TOLERANCE = 1e-3
"""A surface encloses its mask's volume to this share, or is moved until it does."""
MOVES = 8
COARSE_FROM = 5
"""Surfaces of so many times the triangles asked for are sought on every other voxel."""
FEWEST_TRIANGLES = 400
"""Small solids are not simplified below this."""
EAGERNESS = (5, 4, 2)
"""How eagerly edges are collapsed, tried in turn: the first gets there, the last tears least."""


@dataclass(frozen=True, slots=True, eq=False)
class Solid:
    """A closed surface, seen from outside.

    Parameters
    ----------
    vertices_mm : (n, 3) float64 ndarray, read-only
        LPS mm.
    triangles : (m, 3) int64 ndarray, read-only
        Corners of each, counter-clockwise seen from outside.
    """

    vertices_mm: Points = field(repr=False)
    triangles: Triangles = field(repr=False)

    def __post_init__(self) -> None:
        for name, kind in (("vertices_mm", np.float64), ("triangles", np.int64)):
            array = np.array(getattr(self, name), dtype=kind)
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @property
    def ml(self) -> float:
        """Volume enclosed, mL, by the divergence theorem; negative if turned inside out."""
        a, b, c = (self.vertices_mm[self.triangles[:, n]] for n in range(3))
        middle = self.vertices_mm.mean(axis=0)
        return float(np.einsum("ij,ij->", a - middle, np.cross(b - middle, c - middle))) / 6 / MM3_PER_ML

    @property
    def normals(self) -> Points:
        """Of each vertex, outwards, weighted by the areas of its triangles, of length 1."""
        a, b, c = (self.vertices_mm[self.triangles[:, n]] for n in range(3))
        across = np.cross(b - a, c - a)
        total = np.zeros_like(self.vertices_mm)
        for n in range(3):
            for axis in range(3):
                total[:, axis] += np.bincount(
                    self.triangles[:, n], weights=across[:, axis], minlength=len(total)
                )
        length = np.linalg.norm(total, axis=1, keepdims=True)
        return np.asarray(total / np.where(length > 0, length, 1.0))

    @property
    def area_mm2(self) -> float:
        """Area, mm2."""
        a, b, c = (self.vertices_mm[self.triangles[:, n]] for n in range(3))
        return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum()) / 2


def solid_of(
    voxels: Voxels, grid: Grid, *, start: tuple[int, int, int] = (0, 0, 0), most_triangles: int | None = None
) -> Solid:
    """Return the smooth closed surface of a mask, of the mask's own volume.

    Parameters
    ----------
    voxels : ndarray of bool
        The mask, or a box of it.
    grid : Grid
        The grid that the box lies in; sheared ones too.
    start : tuple of int
        Where the box begins in the grid.
    most_triangles : int or None
        Simplified until it has no more.

    Returns
    -------
    Solid
        In patient coordinates; encloses the mask's volume to 0.1 %.

    Raises
    ------
    OutputError
        If the mask is empty.

    Notes
    -----
    Marching cubes (Lewiner et al., J Graph Tools 2003;8:1) on the mask smoothed by a Gaussian of 0.7
    voxels, 1.1 for stout solids; simplified by edge collapse (Garland and Heckbert, SIGGRAPH 1997); then
    every vertex is moved along its normal by the missing volume over the area, until the volume is right.
    """
    box = bounding_box(voxels)
    if box is None:
        raise OutputError("a mask without a voxel has no surface", reason="empty_mask")
    inner = voxels[box]
    corner = np.array([s.start for s in box]) + np.asarray(start) - PADDING
    ml = int(np.count_nonzero(inner)) * grid.voxel_ml
    index, triangles = _marching_cubes(inner, most_triangles)
    solid = Solid(grid.centres_mm(index + corner), triangles)
    if solid.ml < 0:
        solid = Solid(solid.vertices_mm, solid.triangles[:, ::-1])
    if most_triangles is not None:
        solid = _simplified(solid, max(most_triangles, FEWEST_TRIANGLES))
    return _of_volume(solid, ml)


def _marching_cubes(inner: Voxels, most_triangles: int | None) -> tuple[Points, Triangles]:
    from scipy.ndimage import gaussian_filter
    from skimage.measure import marching_cubes

    padded = np.pad(inner, PADDING).astype(np.float32)
    n = np.count_nonzero(inner)
    stout = n >= STOUT_VOXELS and n >= STOUT_SHARE * inner.size
    smooth = gaussian_filter(padded, SMOOTH_VOXELS if stout else FINE_VOXELS, mode="constant")
    level = 0.5 if smooth.max() > 0.55 else float(smooth.max()) / 2
    # 29 n^(2/3): about six triangles for each voxel on the surface of a ball of n voxels.
    many = most_triangles is not None and 29 * n ** (2 / 3) > COARSE_FROM * most_triangles
    vertices, triangles, _, _ = marching_cubes(  # type: ignore[no-untyped-call]
        smooth, level=level, allow_degenerate=False, step_size=2 if stout and many else 1
    )
    return vertices.astype(np.float64), triangles.astype(np.int64)


def _simplified(solid: Solid, most_triangles: int) -> Solid:
    """Collapse edges, the least eager way that gets there; a surface that would tear is left finer."""
    if len(solid.triangles) <= most_triangles:
        return solid
    from fast_simplification import simplify

    for eagerness in EAGERNESS:
        points, triangles = simplify(
            solid.vertices_mm.astype(np.float32),
            solid.triangles.astype(np.int32),
            target_count=most_triangles,
            agg=eagerness,
        )
        simple = Solid(points, triangles)
        if is_closed(simple):
            return simple
    return solid


def is_closed(solid: Solid) -> bool:
    """Return whether a surface has no hole: each edge is run through once in each direction.

    Parameters
    ----------
    solid : Solid
        Any surface.

    Returns
    -------
    bool
        False for an open surface, or one whose triangles are turned against each other.
    """
    corners = solid.triangles
    edges = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]])
    n = len(solid.vertices_mm)
    there = np.sort(edges[:, 0] * n + edges[:, 1])
    back = np.sort(edges[:, 1] * n + edges[:, 0])
    return bool(np.array_equal(there, back) and (np.diff(there) > 0).all())


def _of_volume(solid: Solid, ml: float) -> Solid:
    for _ in range(MOVES):
        missing = ml - solid.ml
        if abs(missing) <= VOLUME_TOLERANCE * ml:
            break
        outwards = missing * MM3_PER_ML / solid.area_mm2
        solid = Solid(solid.vertices_mm + outwards * solid.normals, solid.triangles)
    return solid
