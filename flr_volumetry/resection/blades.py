"""Where a cut runs between the voxels that stay and those that go."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from flr_volumetry.resection.lines import lines_of
from flr_volumetry.resection.nearest import Nearest
from flr_volumetry.resection.partition import REMNANT
from flr_volumetry.resection.plan import Ablation, Combine, PlaneResection, SurfaceResection, WedgeResection
from flr_volumetry.resection.sheet import sheet_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flr_volumetry.images import Grid
    from flr_volumetry.liver import Lesion, Liver
    from flr_volumetry.resection.plan import ResectionPlan
    from flr_volumetry.resection.quadrics import Patches

Points = npt.NDArray[np.float64]

TINY_MM = 1e-12
ROUNDS = 3
"""Of regula falsi; a plane takes one, a distance to a smooth surface two or three to a micrometre."""


class Blade(Protocol):
    """A cut known beyond the voxels."""

    def depth_mm(self, points_mm: Points) -> tuple[Points, Points]:
        """Return how far points lie beyond the cut, negative in front of it, and the way there.

        Parameters
        ----------
        points_mm : (n, 3) float64 ndarray
            LPS mm.

        Returns
        -------
        (n,) float64 ndarray
            Distances to the cut, or to what is closest of it, mm.
        (n, 3) float64 ndarray
            Unit vectors from what stays to what goes.
        """
        ...


@dataclass(frozen=True, slots=True)
class PlaneBlade:
    """Several planes as one cut."""

    cut: PlaneResection

    def depth_mm(self, points_mm: Points) -> tuple[Points, Points]:
        """Return how far points lie beyond all planes, or beyond any; see `Blade`."""
        normals = np.stack([plane.normal for plane in self.cut.planes])
        offsets = np.array([float(plane.normal @ plane.point_mm) for plane in self.cut.planes])
        depths = points_mm @ normals.T - offsets
        of = depths.argmin(axis=1) if self.cut.combine is Combine.ALL else depths.argmax(axis=1)
        return depths[np.arange(len(depths)), of], normals[of]


@dataclass(frozen=True, slots=True, eq=False)
class ZoneBlade:
    """The outside of a wedge or an ablation zone around one lesion."""

    lesion: Lesion
    margin_mm: float
    grid: Grid
    surface: Patches
    middle_mm: Points = field(init=False, repr=False)
    radius_mm: float = field(init=False, repr=False)

    def __post_init__(self) -> None:
        middle = self.surface.points_mm.mean(axis=0)
        radius = float(np.linalg.norm(self.surface.points_mm - middle, axis=1).max())
        object.__setattr__(self, "middle_mm", middle)
        object.__setattr__(self, "radius_mm", radius)

    def depth_mm(self, points_mm: Points) -> tuple[Points, Points]:
        """Return how far points lie inside the zone; see `Blade`."""
        inward = self.middle_mm - points_mm
        away = np.linalg.norm(inward, axis=1)
        distance = away - self.radius_mm
        # Far outside, the ball around the lesion tells the side, and no more is asked.
        near = np.flatnonzero(distance <= self.margin_mm + max(self.grid.spacing_mm))
        inward /= np.maximum(away, TINY_MM)[:, None]
        if not len(near):
            return self.margin_mm - distance, inward
        distance[near], feet = self.surface.nearest_mm(points_mm[near])
        inside = self._inside(points_mm[near])
        distance[near[inside]] *= -1
        inward[near] = feet - points_mm[near]
        inward[near] /= (
            np.where(inside, -1, 1)[:, None] * np.maximum(np.abs(distance[near]), TINY_MM)[:, None]
        )
        return self.margin_mm - distance, inward

    def _inside(self, points_mm: Points) -> npt.NDArray[np.bool_]:
        index = np.rint(self.grid.indices_at(points_mm)).astype(np.intp) - np.asarray(self.lesion.start)
        within = ((index >= 0) & (index < self.lesion.voxels.shape)).all(axis=1)
        inside = np.zeros(len(points_mm), dtype=bool)
        inside[within] = self.lesion.voxels[tuple(index[within].T)]
        return inside


def blades_of(plan: ResectionPlan, liver: Liver, surfaces: Mapping[int, Patches]) -> dict[int, list[Blade]]:
    """Return the cuts of a plan that are known beyond the voxels.

    Parameters
    ----------
    plan : ResectionPlan
        The plan.
    liver : Liver
        It is carried out on.
    surfaces : mapping of int to Patches
        Of the lesions that are cut around, by number.

    Returns
    -------
    dict of int to list of Blade
        By the label of the piece they cut off: planes, surfaces, wedges and ablations; not segments,
        territories and imported masks, whose borders are known to the voxel only.
    """
    lesions = {lesion.number: lesion for lesion in liver.lesions}
    cuts = [cut for stage in plan.stages for cut in stage.resections]
    found: dict[int, list[Blade]] = {}
    for label, cut in enumerate(cuts, start=REMNANT + 1):
        if isinstance(cut, PlaneResection):
            found[label] = [PlaneBlade(cut)]
        elif isinstance(cut, SurfaceResection):
            found[label] = [Nearest(sheet_of(cut.surface, lines_of(liver)))]
        elif isinstance(cut, WedgeResection | Ablation):
            found[label] = [
                ZoneBlade(lesions[n], cut.margin_mm, liver.grid, surfaces[n]) for n in cut.lesions
            ]
    return found


def deepest(blades: Sequence[Blade], points_mm: Points) -> tuple[Points, Points]:
    """Return how far points lie beyond the cut they are deepest in, and the way there.

    Parameters
    ----------
    blades : sequence of Blade
        At least one.
    points_mm : (n, 3) float64 ndarray
        LPS mm.

    Returns
    -------
    (n,) float64 ndarray
        As of `Blade.depth_mm`.
    (n, 3) float64 ndarray
        As of `Blade.depth_mm`.
    """
    depth, outward = blades[0].depth_mm(points_mm)
    for blade in blades[1:]:
        mine, normal = blade.depth_mm(points_mm)
        deeper = mine > depth
        depth, outward = np.where(deeper, mine, depth), np.where(deeper[:, None], normal, outward)
    return depth, outward


def crossings(blade: Blade, stays_mm: Points, goes_mm: Points) -> tuple[Points, Points]:
    """Find where a cut crosses the way from a point that stays to one that goes.

    Parameters
    ----------
    blade : Blade
        The cut.
    stays_mm, goes_mm : (n, 3) float64 ndarray
        Ends, LPS mm.

    Returns
    -------
    (n,) float64 ndarray
        Which part of the way stays, from 0 to 1; NaN where the cut does not take the far end.
    (n, 3) float64 ndarray
        Unit vectors from what stays to what goes, at the crossing.
    """
    low, high = np.zeros(len(stays_mm)), np.ones(len(stays_mm))
    before, after = blade.depth_mm(stays_mm)[0], blade.depth_mm(goes_mm)[0]
    taken = after > 0
    before = np.minimum(before, 0)
    way = goes_mm - stays_mm
    at = np.zeros(len(stays_mm))
    outward = np.zeros_like(way)
    for _ in range(ROUNDS):
        at = np.where(taken, low - before * (high - low) / np.where(taken, after - before, 1), 0)
        depth, outward = blade.depth_mm(stays_mm + at[:, None] * way)
        beyond = depth > 0
        high, after = np.where(beyond, at, high), np.where(beyond, depth, after)
        low, before = np.where(beyond, low, at), np.where(beyond, before, depth)
    return np.where(taken, at, np.nan), outward
