"""Lays smooth patches through the faces of a mask.

A mask says of each voxel centre only on which side of the surface it lies. A grid edge that
leaves the mask crosses the surface somewhere between two centres; its middle, a face, is wrong by
up to half a step, as often outwards as inwards. A smooth patch laid through the faces around one
averages that away, as far as the surface is curved or oblique to the grid.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.resection.clusters import Around, Clusters, around, clustered
from flr_volumetry.resection.faces import (
    SAMPLE_STEPS,
    Faces,
    areas_out_mm2,
    steps_out_mm,
)
from flr_volumetry.resection.quadrics import Patches, frames, frames_along

if TYPE_CHECKING:
    from flr_volumetry.images import Grid

Points = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.intp]
Voxels = npt.NDArray[np.bool_]

FOOTPRINT = 2.5
"""A patch's scale squared, over the radius of curvature and the voxel step: with less, the rings of
voxels around the tip of a ball show."""
LARGEST_FOOTPRINT = 0.6
"""A patch's scale over the radius, at most: beyond it the far side of a small lesion comes in."""
STEP_DOWN = 1.6
SCALES = 4
WORST_MISFIT = 1.0
"""Largest mean square misfit, over that of faces at random places, of a patch that fits."""
GOOD_MISFIT = 0.5
"""Below it nothing better is looked for."""
HOPELESS_MISFIT = 3.0
CLEAR_GAIN = 0.9
"""Largest misfit of an ellipsoid over that of a ball for which the ellipsoid is taken."""
SKEW = 10.0
"""How much more the terms that tell an ellipsoid from a ball are held back than the others."""
TINY = 1e-12
PROBED = 24
WORTH_PROBING = 96
"""So few patches are sooner tried at every width."""
WINDOW = 2.2
"""How far a patch looks, in its scale."""
CLUSTER = 2.5
"""Faces of one direction within the scale over this are taken together."""
NORMAL_SCALE = 1.2
"""Scale at which the direction of the surface is first taken, in the largest step."""
FLOOR_STEPS = 0.15
"""Least uncertainty of a face, in the smallest step."""
SLACK_STEPS = 0.1
"""How far beyond the two voxel centres a surface may be moved, in the smallest step."""
STIFFNESS = 1e-4
REACH_STEPS = 0.5
LARGEST_REACH = 0.7
"""How far from its middle a patch holds, in the radius, at most."""
AT_ONCE = 200
"""So many patches at a time fit a processor's cache (measured)."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """How a surface is gone about: the clusters, the width, and whether patches may be more than balls."""

    clusters: Clusters
    scale: float
    ellipsoids: bool
    grid: Grid


@dataclass(frozen=True, slots=True)
class _Fit:
    shifts: Points
    normals: Points
    across: Points
    curvatures: Points
    fits: Voxels
    bent: Voxels
    """Whether an ellipsoid was taken."""


def fit_patches(faces: Faces, at: Numbers, grid: Grid, radius_mm: float) -> Patches:
    """Lay a patch through the faces around each of some faces.

    Parameters
    ----------
    faces : Faces
        Of one surface.
    at : (n,) ndarray of int
        Where patches are wanted.
    grid : Grid
        Their grid.
    radius_mm : float
        Of curvature, roughly; no patch is wider than suits it.

    Returns
    -------
    Patches
        One for each of `at`, in that order.

    Notes
    -----
    Each patch is ``z = a + b x + c y + d (x2 + z2/2) + e x y + f (y2 + z2/2)`` along the local
    normal z, by least squares with Gaussian weights; balls of any size lie on one exactly. Where it
    fits badly ``g x z + h y z + i z2`` is added, on which every ellipsoid lies. A
    face of a step h at an angle to the normal is uncertain by ``h cos / sqrt(12)``. The width goes
    down, from what the radius allows, until the faces lie on the patch to within that uncertainty.
    No patch is moved beyond the voxel centres on the two sides of its face.
    """
    spacing = np.asarray(grid.spacing_mm)
    points = faces.middles_mm[at].copy()
    normals = mean_normals(faces, at, grid)
    across, curvatures = frames(normals), np.zeros((len(at), 2, 2))
    left = np.arange(len(at))
    scales = _scales(radius_mm, float(spacing.max()))
    seen: dict[float, Clusters] = {}
    start, ellipsoids = _probed(faces, grid, scales, seen) if len(at) > WORTH_PROBING else (0, True)
    for scale in scales[start:]:
        clusters = seen.get(scale) or clustered(faces, scale / CLUSTER, grid)
        plan = _Plan(clusters, scale, ellipsoids, grid)
        for some in np.array_split(left, -(-len(left) // AT_ONCE)):
            fit = _fit(plan, faces.take(at[some]), normals[some])
            keep = fit.fits if scale != scales[-1] else np.ones_like(fit.fits)
            done = some[keep]
            points[done] += fit.normals[keep] * fit.shifts[keep, None]
            normals[done], across[done] = fit.normals[keep], fit.across[keep]
            curvatures[done] = fit.curvatures[keep]
            left = np.setdiff1d(left, done, assume_unique=True)
        if not len(left):
            break
    reaches = np.full(len(at), min(reach_mm(grid), LARGEST_REACH * radius_mm))
    return Patches(points, normals, across, curvatures, reaches)


def reach_mm(grid: Grid) -> float:
    """Return how far patches must hold so that those of thinned-out faces cover the surface.

    Parameters
    ----------
    grid : Grid
        The grid.

    Returns
    -------
    float
        Millimetres.
    """
    mean_step = float(np.cbrt(grid.voxel_mm3))
    return REACH_STEPS * float(np.linalg.norm(grid.spacing_mm)) + SAMPLE_STEPS * mean_step / 3


def widest_look_mm(radius_mm: float, grid: Grid) -> float:
    """Return how far around a face a patch looks at most.

    Parameters
    ----------
    radius_mm : float
        As for `fit_patches`.
    grid : Grid
        The grid.

    Returns
    -------
    float
        Millimetres.
    """
    return WINDOW * _scales(radius_mm, max(grid.spacing_mm))[0]


def _scales(radius_mm: float, step_mm: float) -> list[float]:
    """Widths of a patch to try, the widest first."""
    widest = min(math.sqrt(FOOTPRINT * radius_mm * step_mm), LARGEST_FOOTPRINT * radius_mm)
    return sorted({max(widest / STEP_DOWN**n, step_mm) for n in range(SCALES)}, reverse=True)


def _probed(faces: Faces, grid: Grid, scales: list[float], seen: dict[float, Clusters]) -> tuple[int, bool]:
    """First width that fits a quarter of a few faces, and whether ellipsoids gain something there.

    What was taken together on the way is kept.
    """
    few = np.unique(np.linspace(0, len(faces) - 1, PROBED).astype(np.intp))
    normals = mean_normals(faces, few, grid)
    bent = np.ones(len(few), dtype=bool)
    for n, scale in enumerate(scales[:-1]):
        seen[scale] = clustered(faces, scale / CLUSTER, grid)
        plan = _Plan(seen[scale], scale, ellipsoids=True, grid=grid)
        fit = _fit(plan, faces.take(few), normals)
        bent = fit.bent
        if 4 * np.count_nonzero(fit.fits) >= len(few):
            return n, bool(8 * np.count_nonzero(bent) >= len(few))
    return len(scales) - 1, bool(8 * np.count_nonzero(bent) >= len(few))


def mean_normals(faces: Faces, at: Numbers, grid: Grid) -> Points:
    """Return the direction of the surface at some faces: the mean of the faces around, by area.

    Parameters
    ----------
    faces : Faces
        Of one surface.
    at : (n,) ndarray of int
        Where.
    grid : Grid
        Their grid.

    Returns
    -------
    (n, 3) float64 ndarray
        Unit vectors, out of the mask.
    """
    areas = areas_out_mm2(grid)[faces.sides]
    if not len(at):
        return np.zeros((0, 3))
    scale = NORMAL_SCALE * max(grid.spacing_mm)
    near = around(faces.middles_mm, 2 * scale, faces.middles_mm[at])
    weight = np.exp(-np.einsum("ij,ij->i", near.offsets, near.offsets) / (2 * scale**2))
    mean = near.total(areas[near.which] * weight[:, None])
    length = np.linalg.norm(mean, axis=1)
    # The two sides of something one voxel thick cancel.
    own = areas[at]
    flat = length < 0.05 * np.linalg.norm(own, axis=1)
    mean[flat], length[flat] = own[flat], np.linalg.norm(own[flat], axis=1)
    return np.asarray(mean / length[:, None])


@dataclass(frozen=True, slots=True)
class _View:
    """What lies around some points, as each sees it along its normal."""

    near: Around
    x: Points
    y: Points
    z: Points
    rise: Points
    """How much of a step is along the normal."""
    weight: Points
    variance: Points

    def misfit(self, left: Points) -> Points:
        """Mean square of what a patch leaves, over that of faces at random places."""
        square = self.near.total(self.weight * left**2)
        return np.asarray(square / np.maximum(self.near.total(self.weight * self.variance), TINY))

    def of(self, points: Voxels) -> _View:
        """Only what lies around some of the points."""
        pairs = points[self.near.of]
        kept = np.flatnonzero(points)
        count = np.diff(np.append(self.near.starts, len(pairs)))[kept]
        near = Around(
            np.repeat(np.arange(len(kept)), count),
            self.near.which[pairs],
            np.cumsum(count) - count,
            self.near.offsets[pairs],
        )
        parts = (self.x, self.y, self.z, self.rise, self.weight, self.variance)
        return _View(near, *(part[pairs] for part in parts))


def _view(plan: _Plan, own: Faces, normals: Points) -> _View:
    near = around(plan.clusters.points, WINDOW * plan.scale, own.middles_mm)
    count = np.diff(np.append(near.starts, len(near.of)))
    axes = np.concatenate([frames(normals), normals[:, None]], axis=1)
    x, y, z = (
        sum(near.offsets[:, n] * np.repeat(axes[:, axis, n], count) for n in range(3)) for axis in range(3)
    )
    steps = steps_out_mm(plan.grid)
    rises = np.maximum(normals @ steps.T, 0)
    variances = rises**2 / 12 + (FLOOR_STEPS * min(plan.grid.spacing_mm)) ** 2
    shares = rises / np.linalg.norm(steps, axis=1) / variances
    # Of each point and each of the six ways out.
    kind = plan.clusters.sides[near.which] + len(steps) * near.of
    weight = np.exp((x * x + y * y + z * z) / (-2 * plan.scale**2))
    weight *= plan.clusters.counts[near.which]
    weight *= shares.ravel()[kind]
    return _View(near, x, y, z, rises.ravel()[kind], weight, variances.ravel()[kind])


def _fit(plan: _Plan, own: Faces, normals: Points) -> _Fit:
    view = _view(plan, own, normals)
    across = frames(normals)
    terms = _terms(view, view.z)
    found = _solve(view, terms, plan.scale)
    fitted = np.einsum("ai,ia->i", terms, found[view.near.of])
    misfit = view.misfit(view.z - fitted)
    bent = np.zeros(len(misfit), dtype=bool)
    if plan.ellipsoids:
        bent = _bend(view, fitted, plan.scale, found, misfit)
    found[:, 0] -= _within_clusters(view, plan.clusters.spreads, normals, across, found)
    slope = 1 / np.sqrt(1 + found[:, 1] ** 2 + found[:, 2] ** 2)
    tilted = (normals - np.einsum("na,naj->nj", found[:, 1:3], across)) * slope[:, None]
    slack = SLACK_STEPS * min(plan.grid.spacing_mm)
    limit = np.abs(np.einsum("ij,ij->i", steps_out_mm(plan.grid)[own.sides], tilted)) / 2 + slack
    shifts = found[:, 0] * slope
    return _Fit(
        np.clip(shifts, -limit, limit),
        tilted,
        frames_along(tilted, across[:, 0]),
        _bent(found, max(plan.grid.spacing_mm)),
        (misfit < WORST_MISFIT) & (np.abs(shifts) < limit + slack),
        bent,
    )


def _bend(view: _View, fitted: Points, scale: float, found: Points, misfit: Points) -> Voxels:
    """Put ellipsoids in the place of balls where they fit clearly better; say where."""
    bent = (misfit > GOOD_MISFIT) & (misfit < HOPELESS_MISFIT)
    if not bent.any():
        return bent
    some = view.of(bent)
    # The terms take each face to where the ball says it is: with the scatter of the faces in z on both
    # sides, least squares would be biased.
    shift = fitted[bent[view.near.of]] - some.z
    height = some.z + np.clip(shift, -some.rise / 2, some.rise / 2)
    more = np.stack([some.x * height, some.y * height, height * height])
    terms = np.concatenate([_terms(some, height), more])
    tried = _solve(some, terms, scale)
    again = some.misfit(some.z - np.einsum("ai,ia->i", terms, tried[some.near.of]))
    better = again < CLEAR_GAIN * misfit[bent]
    bent[bent] = better
    found[bent], misfit[bent] = tried[better, :6], again[better]
    return bent


def _terms(view: _View, z: Points) -> Points:
    x, y, sphere = view.x, view.y, z * z / 2
    return np.stack([np.ones_like(x), x, y, x * x + sphere, x * y, y * y + sphere])


def _solve(view: _View, terms: Points, scale: float) -> Points:
    """Weighted least squares of the height, for each point."""
    starts, size = view.near.starts, len(terms)
    unit = scale ** np.array([0, 1, 1, 2, 2, 2, 2, 2, 2])[:size]
    # One block of rows for each point, the short ones filled up with what has no weight.
    counts = np.diff(np.append(starts, len(view.weight)))
    place = np.arange(len(view.weight)) + np.repeat(np.arange(len(counts)) * counts.max() - starts, counts)
    columns, weight = np.zeros((size + 1, len(counts) * counts.max())), np.zeros(len(counts) * counts.max())
    for n, column in enumerate([*terms, view.z]):
        columns[n, place] = column
    weight[place] = view.weight
    shape = (size + 1, len(counts), counts.max())
    blocks = columns.reshape(shape).transpose(1, 0, 2)
    weighted = (columns[:size] * weight).reshape(size, *shape[1:]).transpose(1, 0, 2)
    sums = np.matmul(weighted, blocks.transpose(0, 2, 1))
    matrix, right = sums[:, :, :size] / np.outer(unit, unit), sums[:, :, size:] / unit[:, None]
    # Faces all in one line do not tell all terms; what they do not tell is taken as flat. The half
    # makes the penalty one on the matrix of curvatures, whichever way x points.
    penalty = STIFFNESS * np.array([1, 1, 1, 1, 0.5, 1, SKEW, SKEW, SKEW])[:size]
    matrix += np.maximum(matrix[:, :1, :1], TINY) * np.diag(penalty)
    matrix = (matrix + matrix.transpose(0, 2, 1)) / 2
    return np.asarray(np.linalg.solve(matrix, right)[..., 0] / unit)


def _within_clusters(view: _View, spreads: Points, normals: Points, across: Points, found: Points) -> Points:
    """How much taking faces together has raised the middle of each patch."""
    near = view.near
    total = np.maximum(near.total(view.weight), TINY)
    mean = near.total(spreads[near.which] * view.weight[:, None]) / total[:, None]
    matrix = mean[:, [0, 1, 2, 1, 3, 4, 2, 4, 5]].reshape(-1, 3, 3)
    aside = np.einsum("nai,nij,nbj->nab", across, matrix, across)
    along = np.einsum("ni,nij,nj->n", normals, matrix, normals) / 2
    return np.asarray(
        found[:, 3] * (aside[:, 0, 0] + along)
        + found[:, 4] * aside[:, 0, 1]
        + found[:, 5] * (aside[:, 1, 1] + along)
    )


def _bent(found: Points, step_mm: float) -> Points:
    """Curvatures of the patches, none sharper than half a step."""
    bend = -np.stack([2 * found[:, 3], found[:, 4], found[:, 4], 2 * found[:, 5]], axis=1).reshape(-1, 2, 2)
    sharpest = np.linalg.norm(bend, axis=(1, 2)) * step_mm / 2
    return np.asarray(bend / np.maximum(sharpest, 1)[:, None, None])
