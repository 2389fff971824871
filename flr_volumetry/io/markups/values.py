"""What 3D Slicer's markups say, as values in LPS mm."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

import numpy as np
import numpy.typing as npt

from flr_volumetry.errors import InputError
from flr_volumetry.images import read_only

Floats = npt.NDArray[np.float64]

MAX_LENGTH_MM: Final = 1e6
MIN_NORMAL: Final = 1e-9
POINTS_A_SEGMENT: Final = 10
"""What 3D Slicer draws between two control points."""


class CurveKind(Enum):
    """How a curve goes from one control point to the next."""

    SPLINE = "spline"
    """A cubic spline through them, as 3D Slicer draws a curve unless told otherwise."""
    LINEAR = "linear"
    """Straight."""


@dataclass(frozen=True, slots=True, eq=False)
class MarkupPlane:
    """A plane, drawn as a rectangle.

    Parameters
    ----------
    name : str
        What the file calls it.
    point_mm : (3,) array_like
        Its centre, LPS mm.
    normal : (3,) array_like
        Of any length; kept with length 1.
    size_mm : tuple of float, optional
        Sides of the rectangle; a cut goes through the whole liver whatever they are.

    Raises
    ------
    InputError
        If a number is not finite, or the normal has no length.
    """

    name: str
    point_mm: Floats
    normal: Floats
    size_mm: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        normal = _points([self.normal], self.name)[0]
        length = float(np.linalg.norm(normal))
        if length < MIN_NORMAL:
            raise InputError(f"plane {self.name!r} has a normal without length", reason="zero_normal")
        object.__setattr__(self, "point_mm", read_only(_points([self.point_mm], self.name)[0]))
        object.__setattr__(self, "normal", read_only(normal / length))


@dataclass(frozen=True, slots=True, eq=False)
class MarkupLine:
    """A straight line between two points.

    Parameters
    ----------
    name : str
        What the file calls it.
    points_mm : (2, 3) array_like
        Its ends, LPS mm.

    Raises
    ------
    InputError
        If they are not two points of three finite numbers.
    """

    name: str
    points_mm: Floats

    def __post_init__(self) -> None:
        object.__setattr__(self, "points_mm", read_only(_points(self.points_mm, self.name, exactly=2)))


@dataclass(frozen=True, slots=True, eq=False)
class MarkupCurve:
    """A curve through control points.

    Parameters
    ----------
    name : str
        What the file calls it.
    points_mm : (n, 3) array_like
        The control points, LPS mm; at least two, of a closed curve three.
    closed : bool
        Whether it goes on from the last to the first.
    kind : CurveKind
        How it goes between them.

    Raises
    ------
    InputError
        If there are too few points, or a number is not finite.
    """

    name: str
    points_mm: Floats = field(repr=False)
    closed: bool
    kind: CurveKind = CurveKind.SPLINE

    def __post_init__(self) -> None:
        points = _points(self.points_mm, self.name, at_least=3 if self.closed else 2)
        object.__setattr__(self, "points_mm", read_only(points))

    def drawn_mm(self, per_segment: int = POINTS_A_SEGMENT) -> Floats:
        """Return the curve as 3D Slicer draws it.

        Parameters
        ----------
        per_segment : int
            How many points for each way from a control point to the next.

        Returns
        -------
        (m, 3) float64 ndarray
            Points of the curve in order, the control points among them; of a closed curve the first is
            not repeated at the end.

        Notes
        -----
        A spline is the cubic one of x, y and z over the number of the control point (not over the length
        along the curve): periodic where the curve is closed, and with no slope at the ends where it is
        open, which is what VTK's cardinal spline does when nothing else is asked of it.
        """
        n_ways = len(self.points_mm) - (not self.closed)
        at = np.arange(n_ways * per_segment + (not self.closed)) / per_segment
        knots = np.vstack([self.points_mm, self.points_mm[:1]]) if self.closed else self.points_mm
        if self.kind is CurveKind.LINEAR:
            number = np.minimum(at.astype(np.int64), n_ways - 1)
            part = (at - number)[:, None]
            return np.asarray(knots[number] * (1 - part) + knots[number + 1] * part)
        from scipy.interpolate import CubicSpline

        number = np.arange(len(knots))
        spline = CubicSpline(number, knots, bc_type="periodic" if self.closed else "clamped")
        return np.asarray(spline(at))


@dataclass(frozen=True, slots=True, eq=False)
class MarkupPoints:
    """A list of points.

    Parameters
    ----------
    name : str
        What the file calls it.
    points_mm : (n, 3) array_like
        LPS mm; at least one.
    labels : tuple of str
        What each point is called.

    Raises
    ------
    InputError
        If there is no point, a number is not finite, or there is not one label for each.
    """

    name: str
    points_mm: Floats = field(repr=False)
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        points = _points(self.points_mm, self.name)
        if len(points) != len(self.labels):
            raise InputError(f"{self.name!r} has {len(points)} points and {len(self.labels)} labels")
        object.__setattr__(self, "points_mm", read_only(points))
        object.__setattr__(self, "labels", tuple(self.labels))

    def at(self, label: str) -> Floats:
        """Return the place of the one point of that label.

        Parameters
        ----------
        label : str
            As in the file.

        Returns
        -------
        (3,) float64 ndarray
            LPS mm.

        Raises
        ------
        InputError
            If no point, or more than one, has it.
        """
        found = [n for n, own in enumerate(self.labels) if own == label]
        if len(found) != 1:
            raise InputError(
                f"{self.name!r} has {len(found)} points with the label {label!r}; it has "
                f"{', '.join(map(repr, self.labels[:20]))}.",
                reason="unknown_point",
            )
        return np.asarray(self.points_mm[found[0]])

    def grid_mm(self, rows: int, columns: int) -> Floats:
        """Return the points as the control points of a surface.

        Parameters
        ----------
        rows, columns : int
            Of the surface.

        Returns
        -------
        (rows, columns, 3) float64 ndarray
            LPS mm, in the order of the file, row by row.

        Raises
        ------
        InputError
            If that is not how many points there are.
        """
        if rows * columns != len(self.points_mm):
            raise InputError(
                f"{self.name!r} has {len(self.points_mm)} points, and {rows} rows of {columns} need "
                f"{rows * columns}.",
                reason="wrong_grid",
            )
        return np.asarray(self.points_mm.reshape(rows, columns, 3))


@dataclass(frozen=True, slots=True, eq=False)
class MarkupSurface:
    """Control points of a Bezier surface, as the Slicer-Liver extension keeps a resection.

    Parameters
    ----------
    name : str
        What the file calls it.
    control_mm : (rows, columns, 3) array_like
        LPS mm.

    Raises
    ------
    InputError
        If there are not at least two rows and columns of three finite numbers.
    """

    name: str
    control_mm: Floats = field(repr=False)

    def __post_init__(self) -> None:
        control = np.array(self.control_mm, dtype=np.float64)
        if control.ndim != 3 or min(control.shape) < 2:
            raise InputError(f"surface {self.name!r} needs rows and columns of points, got {control.shape}")
        flat = _points(control.reshape(-1, control.shape[2]), self.name)
        object.__setattr__(self, "control_mm", read_only(flat.reshape(control.shape)))


Markup = MarkupPlane | MarkupLine | MarkupCurve | MarkupPoints | MarkupSurface


def _points(value: npt.ArrayLike, name: str, *, exactly: int = 0, at_least: int = 1) -> Floats:
    try:
        points = np.array(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{name!r} has a point that is not three numbers") from error
    if points.ndim != 2 or points.shape[1] != 3:
        raise InputError(f"{name!r} needs points of three numbers, got an array of {points.shape}")
    if not np.isfinite(points).all() or np.abs(points).max(initial=0) > MAX_LENGTH_MM:
        raise InputError(f"{name!r} has a coordinate that is not finite, or beyond {MAX_LENGTH_MM:g} mm")
    if len(points) < at_least or (exactly and len(points) != exactly):
        raise InputError(
            f"{name!r} has {len(points)} points, and needs {exactly or f'at least {at_least}'}",
            reason="too_few_points",
        )
    return points
