"""The two steps of a registration: laying one liver upon another, and deforming it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import starmap
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from flr_volumetry.segmentation.features import work_grid
from flr_volumetry.segmentation.spline import Pair, bent

if TYPE_CHECKING:
    from collections.abc import Callable

    from flr_volumetry.anatomy import Structure
    from flr_volumetry.images import Grid
    from flr_volumetry.segmentation.features import Features
    from flr_volumetry.segmentation.spline import Level

Array = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]

RIGID_STEP_MM = 8.0
RIGID_SPAN_MM = 15.0
"""Distances beyond it pull no stronger, so that a lobe that grew does not turn the liver (assumed)."""
TURNED = 0.44
"""Radians by which the other starts are turned: a patient lies within 25 degrees of before (assumed)."""
RIGID_ROUNDS = 25
SETTLED_RADIANS, SETTLED_MM = 1e-3, 0.1
SPAN_STEPS = 2.0
"""Distances are told apart up to so many steps of the level's grid."""


@dataclass(frozen=True, slots=True)
class Channels:
    """What two livers have in common beside their outlines.

    Parameters
    ----------
    vessels : tuple of Structure
        Known on both sides.
    image : bool
        Whether both have a scan of one modality.
    """

    vessels: tuple[Structure, ...]
    image: bool


def fitted_rigid(fixed: Features, moving: Features) -> Matrix:
    """Lay one liver upon another: the matrix from the fixed one's points to the moving one's.

    Parameters
    ----------
    fixed, moving : Features
        Two scans of a liver.

    Returns
    -------
    (4, 4) float64 ndarray
        A rotation and a shift, LPS mm.
    """
    from scipy.spatial.transform import Rotation

    grid = work_grid(fixed, RIGID_STEP_MM)
    points = grid.centres_mm(np.indices(grid.shape).reshape(3, -1).T)
    problem = _Rigid(
        points,
        np.tanh(fixed.outline_at(points) / RIGID_SPAN_MM),
        _middle(fixed),
        _middle(moving),
        moving,
    )
    starts = [np.zeros(3)] + [sign * TURNED * np.eye(3)[axis] for axis in range(3) for sign in (1, -1)]
    fits = [problem.fitted(start) for start in starts]
    _, turn, shift = min(fits, key=lambda fit: fit[0])
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(turn).as_matrix()
    matrix[:3, 3] = problem.target + shift - matrix[:3, :3] @ problem.origin
    return matrix


def _middle(features: Features) -> Matrix:
    return np.asarray(features.grid.centres_mm(np.argwhere(features.outline_mm <= 0)).mean(axis=0))


@dataclass(frozen=True, slots=True, eq=False)
class _Rigid:
    """Least squares on saturated distances."""

    points: Matrix
    wanted: Matrix
    origin: Matrix
    target: Matrix
    moving: Features

    def fitted(self, start: Matrix) -> tuple[float, Matrix, Matrix]:
        from scipy.spatial.transform import Rotation

        turn, shift = start, np.zeros(3)
        best = (np.inf, turn, shift)
        for _ in range(RIGID_ROUNDS):
            matrix = Rotation.from_rotvec(turn).as_matrix()
            arm = (self.points - self.origin) @ matrix.T
            value, slope = self._seen(arm + self.target + shift)
            off = value - self.wanted
            cost = float((off**2).mean())
            if cost < best[0]:
                best = (cost, turn, shift)
            jacobian = np.concatenate([np.cross(arm, slope), slope], axis=1)
            step = np.linalg.lstsq(jacobian.T @ jacobian, -jacobian.T @ off, rcond=None)[0]
            turn = (Rotation.from_rotvec(step[:3]) * Rotation.from_rotvec(turn)).as_rotvec()
            shift = shift + step[3:]
            if np.abs(step[:3]).max() < SETTLED_RADIANS and np.abs(step[3:]).max() < SETTLED_MM:
                break
        return best

    def _seen(self, points: Matrix) -> tuple[Matrix, Matrix]:
        """Saturated distance and its slope, by central differences of half a step."""
        half = RIGID_STEP_MM / 2
        value = np.tanh(self.moving.outline_at(points) / RIGID_SPAN_MM)
        slope = np.empty_like(points)
        for axis in range(3):
            beside = half * np.eye(3)[axis]
            up = np.tanh(self.moving.outline_at(points + beside) / RIGID_SPAN_MM)
            down = np.tanh(self.moving.outline_at(points - beside) / RIGID_SPAN_MM)
            slope[:, axis] = (up - down) / (2 * half)
        return value, slope


def deformed(
    fixed: Features,
    moving: Features,
    rigid: Matrix,
    channels: Channels,
    level: Level,
    start: Callable[[Grid], Array] | None,
) -> tuple[Grid, Array]:
    """Deform one liver onto another: what is added to the fixed one's points before they are laid.

    Parameters
    ----------
    fixed, moving : Features
        Two scans of a liver.
    rigid : (4, 4) ndarray
        From the fixed one's points to the moving one's.
    channels : Channels
        What is matched beside the outline.
    level : Level
        How finely.
    start : callable or None
        Returns what a coarser level found, (i, j, k, 3) on a grid; None for nought.

    Returns
    -------
    Grid
        Along the patient's axes.
    (i, j, k, 3) float32 ndarray
        LPS mm.
    """
    grid = work_grid(fixed, level.step_mm)
    pairs = list(
        starmap(
            Pair, zip(_on(fixed, np.eye(4), grid, channels), _on(moving, rigid, grid, channels), strict=True)
        )
    )
    begun = np.zeros((*grid.shape, 3), dtype=np.float32) if start is None else start(grid)
    field = bent(pairs, np.ascontiguousarray(np.moveaxis(begun, -1, 0)), level)
    return grid, np.ascontiguousarray(np.moveaxis(field, 0, -1))


def _on(features: Features, rigid: Matrix, grid: Grid, channels: Channels) -> list[Array]:
    """Take the channels of one side to a grid of the fixed one's frame."""
    span = np.float32(SPAN_STEPS * grid.spacing_mm[0])
    laid = [np.tanh(_resampled(features.outline_mm, features.grid, rigid, grid, far=True) / span)]
    laid += [
        np.tanh(_resampled(features.vessels[s], features.grid, rigid, grid, far=True) / span)
        for s in channels.vessels
    ]
    if channels.image and features.tissue is not None:
        laid.append(_resampled(features.tissue, features.grid, rigid, grid, far=False))
    return laid


def _resampled(array: Array, source: Grid, rigid: Matrix, grid: Grid, *, far: bool) -> Array:
    """Take an array to another grid; beyond it what its border holds (far), or nought."""
    from scipy.ndimage import affine_transform, gaussian_filter

    wide = 0.5 * grid.spacing_mm[0] / source.spacing_mm[0]
    blurred: Array = array if far or wide <= 0.5 else gaussian_filter(array, wide)
    step = np.linalg.inv(source.affine) @ rigid @ grid.affine
    mode: Literal["nearest", "constant"] = "nearest" if far else "constant"
    return np.asarray(
        affine_transform(blurred, step[:3, :3], step[:3, 3], output_shape=grid.shape, order=1, mode=mode),
        dtype=np.float32,
    )
