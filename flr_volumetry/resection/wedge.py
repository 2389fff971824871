"""What lies within a margin of a lesion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.errors import PlanError
from flr_volumetry.resection.subvoxel import lesion_surface, reach

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flr_volumetry.images import Box, Grid
    from flr_volumetry.liver import Lesion, Liver
    from flr_volumetry.resection.plan import Ablation, WedgeResection
    from flr_volumetry.resection.quadrics import Patches

Voxels = npt.NDArray[np.bool_]

DISTANCE_ATOL_MM = 1e-4
"""Room for rounding when a distance is compared with a margin."""


def zone(
    lesion: Lesion, margin_mm: float, grid: Grid, *, surface: Patches | None = None
) -> tuple[Box, Voxels]:
    """Find the voxels within a margin of a lesion's surface, and the lesion itself.

    Parameters
    ----------
    lesion : Lesion
        In its own box.
    margin_mm : float
        Of what is lost around it; with 0 it is the lesion alone.
    grid : Grid
        The liver's; sheared ones too.
    surface : Patches or None
        Of the lesion, if it is at hand (`flr_volumetry.resection.subvoxel.lesion_surface`).

    Returns
    -------
    tuple of slice
        A box of the grid.
    ndarray of bool
        Which voxels in it, liver or not.
    """
    box = reach(lesion, margin_mm, grid)
    taken = np.zeros([s.stop - s.start for s in box], dtype=bool, order="F")
    inner = tuple(slice(s.start - b.start, s.stop - b.start) for s, b in zip(lesion.box, box, strict=True))
    taken[inner] = lesion.voxels
    if margin_mm <= 0:
        return box, taken
    surface = lesion_surface(lesion, grid) if surface is None else surface
    sure, doubtful = _bounded(taken, margin_mm, grid)
    at = np.argwhere(doubtful)
    distance, _ = surface.nearest_mm(grid.centres_mm(at + [s.start for s in box]))
    taken |= sure
    taken[tuple(at[distance <= margin_mm + DISTANCE_ATOL_MM].T)] = True
    return box, taken


def around_lesions(
    liver: Liver, cut: WedgeResection | Ablation, where: str, surfaces: Mapping[int, Patches]
) -> tuple[Box, Voxels]:
    """Find the voxels within a margin of several lesions.

    Parameters
    ----------
    liver : Liver
        With these lesions.
    cut : WedgeResection or Ablation
        Which lesions, and the margin.
    where : str
        Which resection of the plan it is, for the message.
    surfaces : mapping of int to Patches
        Surfaces of lesions, by number, as far as they are at hand.

    Returns
    -------
    tuple of slice
        A box of the liver's grid.
    ndarray of bool
        Which voxels in it, liver or not.

    Raises
    ------
    PlanError
        If a lesion is not there.
    """
    known = {lesion.number: lesion for lesion in liver.lesions}
    absent = [n for n in cut.lesions if n not in known]
    if absent:
        names = ", ".join(f"{n} ({lesion.name})" for n, lesion in known.items()) or "none"
        raise PlanError(
            f"{where}: there is no lesion {', '.join(map(str, absent))}; the case has {names}.",
            reason="unknown_lesion",
        )
    zones = [zone(known[n], cut.margin_mm, liver.grid, surface=surfaces.get(n)) for n in cut.lesions]
    low = [min(b[axis].start for b, _ in zones) for axis in range(3)]
    high = [max(b[axis].stop for b, _ in zones) for axis in range(3)]
    goes = np.zeros([b - a for a, b in zip(low, high, strict=True)], dtype=bool, order="F")
    for box, taken in zones:
        inner = tuple(slice(s.start - a, s.stop - a) for s, a in zip(box, low, strict=True))
        goes[inner] |= taken
    return (slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2])), goes


def _bounded(lesion: Voxels, margin_mm: float, grid: Grid) -> tuple[Voxels, Voxels]:
    """Which voxels are within the margin for certain, and which may be.

    The surface runs between the lesion's outermost centres and their neighbours: no point outside is
    further from it than from the nearest centre, nor nearer by more than a voxel's diagonal.
    """
    step = float(np.linalg.norm(grid.spacing_mm))
    near = margin_mm
    if grid.is_orthogonal:
        import edt

        distance = edt.edt(~lesion, anisotropy=grid.spacing_mm, black_border=False)
    else:
        # The distance transform of a sheared lattice is not separable along its axes.
        from scipy.spatial import cKDTree

        outside = np.argwhere(~lesion)
        tree = cKDTree(grid.centres_mm(np.argwhere(lesion)))
        distance = np.zeros(lesion.shape)
        distance[tuple(outside.T)] = tree.query(
            grid.centres_mm(outside), distance_upper_bound=margin_mm + step
        )[0]
    return distance <= near, (distance > near) & (distance <= margin_mm + step) & ~lesion
