"""Where a phantom lies in the patient's axes, and how its shape is bent."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from flr_volumetry.errors import GridError
from flr_volumetry.phantom.shapes import Values, Vector

RIGID_ATOL = 1e-6
FACTORS = (0.6, 2.0)
"""No distance may change by more for the raster's bounds to hold."""
FINITE_SHAPE = (3, 3)


@dataclass(frozen=True, slots=True)
class Wave:
    """One gentle bend of the whole body.

    Parameters
    ----------
    amplitude_mm : tuple of float
        How far points are moved along x, y and z.
    per_mm : tuple of float
        Wave vector, radians for each mm.
    phase : float
        Radians.
    """

    amplitude_mm: Vector
    per_mm: Vector
    phase: float


@dataclass(frozen=True, slots=True)
class Growth:
    """Growth beyond a plane and atrophy before it: both sides stretched at right angles to the plane.

    The plane itself stays where it is, and every volume on a side, however it is shaped, changes by
    exactly that side's factor: the truth of a follow-up is known without any integration.

    Parameters
    ----------
    point_mm : tuple of float
        A point of the plane, in the body before it changed, mm.
    normal : tuple of float
        At right angles to the plane, of any length, towards what grows.
    beyond, before : float
        Volumes afterwards over volumes before, on either side of the plane; 1.35 is + 35 %.

    Raises
    ------
    GridError
        If the normal has no length, or a factor does not lie between 0.5 and 2.
    """

    point_mm: Vector
    normal: Vector
    beyond: float = 1.0
    before: float = 1.0

    def __post_init__(self) -> None:
        length = float(np.linalg.norm(self.normal))
        low, high = FACTORS
        if not (np.isfinite(length) and length > 0 and np.isfinite(self.point_mm).all()):
            raise GridError("growth needs a plane: a finite point, and a normal of some length")
        if not (low <= self.beyond <= high and low <= self.before <= high):
            raise GridError(
                f"growth by a factor must lie between {low} and {high}, got {self.beyond} and {self.before}"
            )
        a, b, c = (float(n) / length for n in self.normal)
        object.__setattr__(self, "normal", (a, b, c))

    def undone(self, x: Values, y: Values, z: Values) -> tuple[Values, Values, Values]:
        """Return where points of the changed body lay before, mm."""
        (p, q, r), (a, b, c) = self.point_mm, self.normal
        s = (x - p) * a + (y - q) * b + (z - r) * c
        step = s * np.where(s > 0, 1 / self.beyond - 1, 1 / self.before - 1).astype(s.dtype)
        return x + step * a, y + step * b, z + step * c

    def done(self, points_mm: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return where (n, 3) points of the body before lie afterwards, mm, (n, 3)."""
        points = np.asarray(points_mm, dtype=np.float64)
        s = (points - self.point_mm) @ np.asarray(self.normal)
        step = s * np.where(s > 0, self.beyond - 1, self.before - 1)
        return np.asarray(points + step[:, None] * np.asarray(self.normal))


@dataclass(frozen=True, slots=True)
class Warp:
    """A smooth change of shape, from places in a body to places in the standard phantom.

    Parameters
    ----------
    scale : tuple of float
        How much larger the body is than the standard along x, y and z.
    waves : tuple of Wave
        Gentle bends on top.
    growth : Growth or None
        What happened to the body since.
    """

    scale: Vector = (1.0, 1.0, 1.0)
    waves: tuple[Wave, ...] = ()
    growth: Growth | None = None

    def to_phantom(self, x: Values, y: Values, z: Values) -> tuple[Values, Values, Values]:
        """Return the standard phantom's points that body points show, mm."""
        if self.growth is not None:
            x, y, z = self.growth.undone(x, y, z)
        a, b, c = self.scale
        u, v, w = x * (1 / a), y * (1 / b), z * (1 / c)
        for wave in self.waves:
            p, q, r = wave.per_mm
            bend = np.sin(x * p + y * q + z * r + wave.phase)
            du, dv, dw = wave.amplitude_mm
            u, v, w = u + bend * du, v + bend * dv, w + bend * dw
        return u, v, w

    def reach(
        self, low: npt.NDArray[np.float64], high: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return boxes of the body that hold all that boxes of the standard phantom show, mm."""
        moved = np.abs([wave.amplitude_mm for wave in self.waves]).sum(axis=0) if self.waves else np.zeros(3)
        scale = np.asarray(self.scale)
        low, high = (low - moved) * scale, (high + moved) * scale
        return (low, high) if self.growth is None else _grown(self.growth, low, high)


def _grown(
    growth: Growth, low: npt.NDArray[np.float64], high: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return boxes that hold boxes before and after growth; what lies on the plane does not move."""
    choose = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), axis=-1).reshape(8, 3)
    boxes = np.stack(np.broadcast_arrays(low, high))
    corners = np.stack([np.where(c == 0, boxes[0], boxes[1]) for c in choose])
    moved = growth.done(corners.reshape(-1, 3)).reshape(corners.shape)
    return np.minimum(moved.min(axis=0), low), np.maximum(moved.max(axis=0), high)


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """Where a phantom lies.

    Parameters
    ----------
    to_patient : (4, 4) ndarray
        From the phantom's own axes to patient axes, LPS mm: a rotation or mirroring, then a shift.
    warp : Warp
        Its change of shape, in its own axes.

    Raises
    ------
    GridError
        If the matrix is not rigid.
    """

    to_patient: npt.NDArray[np.float64] = field(default_factory=lambda: np.eye(4))
    warp: Warp = field(default_factory=Warp)

    def __post_init__(self) -> None:
        matrix = np.array(self.to_patient, dtype=np.float64)
        matrix.setflags(write=False)
        object.__setattr__(self, "to_patient", matrix)

    @property
    def from_patient(self) -> npt.NDArray[np.float64]:
        """From patient axes to the phantom's own."""
        inverse = np.eye(4)
        inverse[:3, :3] = self.to_patient[:3, :3].T
        inverse[:3, 3] = -self.to_patient[:3, :3].T @ self.to_patient[:3, 3]
        return inverse

    def then(self, rotation: npt.ArrayLike, translation_mm: npt.ArrayLike) -> Pose:
        """Return this pose, turned about the origin of patient axes and then shifted.

        Parameters
        ----------
        rotation : (3, 3) array_like
            Orthogonal; with determinant -1 it mirrors.
        translation_mm : (3,) array_like
            LPS mm.

        Returns
        -------
        Pose
            The same warp in another place.

        Raises
        ------
        GridError
            If the matrix is not orthogonal, or a number is not finite.
        """
        R, t = np.asarray(rotation, dtype=np.float64), np.asarray(translation_mm, dtype=np.float64)
        if R.shape != FINITE_SHAPE or t.shape != (3,) or not (np.isfinite(R).all() and np.isfinite(t).all()):
            raise GridError("a placement is a finite (3, 3) matrix and three finite numbers of mm")
        if np.abs(R @ R.T - np.eye(3)).max() > RIGID_ATOL:
            raise GridError(
                f"a placement must keep all distances, so its matrix must be orthogonal; got {R.tolist()}",
                reason="not_rigid",
            )
        step = np.eye(4)
        step[:3, :3], step[:3, 3] = R, t
        return Pose(step @ self.to_patient, self.warp)
