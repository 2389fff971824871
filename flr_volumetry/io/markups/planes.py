"""Planes as 3D Slicer's markups keep them: by points, by matrices, or by a centre and a normal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from flr_volumetry.errors import InputError
from flr_volumetry.io.markups.fields import vector
from flr_volumetry.io.markups.values import Floats, MarkupPlane
from flr_volumetry.io.spaces import Space, to_lps

if TYPE_CHECKING:
    import numpy.typing as npt

AGREE_MM: Final = 0.1
AGREE_DEG: Final = 0.1
MIN_SPREAD_MM: Final = 1e-3
"""Points that lie closer than this to one line make no plane."""
RIGID_ATOL: Final = 1e-3
_FLIP: Final = np.diag([-1.0, -1.0, 1.0, 1.0])
_TYPES: Final = ("pointNormal", "threePoints", "planeFit")


def read_plane(entry: dict[str, Any], name: str, points: Floats, space: Space, where: str) -> MarkupPlane:
    """Return the plane that 3D Slicer shows for an entry.

    Parameters
    ----------
    entry : dict
        The markup.
    name : str
        What to call it.
    points : (n, 3) float64 ndarray
        Its control points, LPS mm.
    space : Space
        In which its other numbers are given.
    where : str
        The file and the markup, for messages.

    Returns
    -------
    MarkupPlane
        In LPS mm.

    Raises
    ------
    InputError
        If it is not told how the plane lies, or told in two ways that differ by more than 0.1 mm or 0.1
        degrees.

    Notes
    -----
    3D Slicer takes a plane's origin and axes from ``baseToNode`` times ``objectToBase``. The first is
    made anew from the points where the plane goes through three points, or is fitted to more, and gets
    its origin from the one point otherwise; ``center`` and ``normal`` are written, but not read again.
    Of both matrices an LPS file holds the first two rows with their sign changed: right for the first,
    whose rows are the patient's axes, and to be undone for the second, whose rows are not.
    """
    kind = entry.get("planeType", "threePoints")
    if kind not in _TYPES:
        raise InputError(f"{where} is a plane of the kind {str(kind)[:40]!r}.", reason="unread_kind")
    stated = _stated(entry, space, where)
    base = _base(entry, str(kind), points, space, where, stated)
    if base is None and stated is None:
        raise InputError(
            f"{where} has no baseToNode, and no center and normal: how it lies is not told.",
            reason="unfinished",
        )
    if base is None:
        point, normal = stated if stated is not None else (points[0], points[0])
    else:
        shown = base @ _object_to_base(entry, space, where)
        point, normal = shown[:3, 3], shown[:3, 2]
        if stated is not None:
            _require_agreement(point, normal, stated, where)
    return MarkupPlane(name, point, normal, _size(entry, where))


def _stated(entry: dict[str, Any], space: Space, where: str) -> tuple[Floats, Floats] | None:
    """Centre and normal, where both are given."""
    given = [key for key in ("center", "normal") if key in entry]
    pair = [to_lps(np.array(vector(entry[key], 3, f"{where}: {key}")), space) for key in given]
    if pair and given[-1] == "normal" and np.linalg.norm(pair[-1]) < RIGID_ATOL:
        raise InputError(f"{where} has a normal without length.", reason="zero_normal")
    return (pair[0], pair[1]) if len(pair) == 2 else None


def _base(
    entry: dict[str, Any],
    kind: str,
    points: Floats,
    space: Space,
    where: str,
    stated: tuple[Floats, Floats] | None,
) -> npt.NDArray[np.float64] | None:
    """Axes and origin of the plane's own frame, LPS; None if they are not told."""
    needed = {"pointNormal": 1, "threePoints": 3, "planeFit": 3}[kind]
    if kind == "pointNormal" and len(points) == 0 and stated is not None and "baseToNode" not in entry:
        return None
    if len(points) < needed or (kind == "threePoints" and len(points) != needed):
        raise InputError(
            f"{where} is a plane of the kind {kind} with {len(points)} control points.",
            reason="too_few_points",
        )
    written = _matrix(entry, "baseToNode", where)
    if written is not None and space is Space.RAS:
        written = _FLIP @ written
    if kind == "threePoints":
        return _through(points, where)
    if kind == "planeFit":
        return _fitted(points, written, stated, _object_to_base(entry, space, where), where)
    if written is not None:
        written = written.copy()
        written[:3, 3] = points[0]
    return written


def _through(points: Floats, where: str) -> npt.NDArray[np.float64]:
    """Frame with its origin in the first point, x towards the second, and the third at positive y."""
    x = points[1] - points[0]
    z = np.cross(x, points[2] - points[0])
    longest = max(
        np.linalg.norm(x), np.linalg.norm(points[2] - points[0]), np.linalg.norm(points[2] - points[1])
    )
    if np.linalg.norm(z) <= MIN_SPREAD_MM * longest:
        raise InputError(f"{where}: its three points lie on one line.", reason="collinear_points")
    return _frame(points[0], x, z)


def _fitted(
    points: Floats,
    written: npt.NDArray[np.float64] | None,
    stated: tuple[Floats, Floats] | None,
    within: npt.NDArray[np.float64],
    where: str,
) -> npt.NDArray[np.float64]:
    """Frame with its origin in the points' mean, z across the plane from which they are the least away."""
    middle = points.mean(axis=0)
    _, spread, axes = np.linalg.svd(points - middle, full_matrices=False)
    if spread[1] <= MIN_SPREAD_MM:
        raise InputError(f"{where}: its points lie on one line.", reason="collinear_points")
    # Without the frame, x is unknown; it matters only where the object is tilted or shifted within it.
    upright = np.allclose(within[:3, 2:], [[0, 0], [0, 0], [1, 0]], rtol=0, atol=RIGID_ATOL)
    if written is not None:
        x, towards = written[:3, 0], written[:3, 2]
    elif stated is not None and upright:
        x, towards = axes[0], stated[1]
    else:
        raise InputError(
            f"{where} is fitted to its points, and without baseToNode its sides and axes are not told.",
            reason="unfinished",
        )
    z = axes[2] if axes[2] @ towards >= 0 else -axes[2]
    return _frame(middle, x - (x @ z) * z, z)


def _frame(origin: Floats, x: Floats, z: Floats) -> npt.NDArray[np.float64]:
    frame = np.eye(4)
    frame[:3, 0] = x / np.linalg.norm(x)
    frame[:3, 2] = z / np.linalg.norm(z)
    frame[:3, 1] = np.cross(frame[:3, 2], frame[:3, 0])
    frame[:3, 3] = origin
    return frame


def _object_to_base(entry: dict[str, Any], space: Space, where: str) -> npt.NDArray[np.float64]:
    written = _matrix(entry, "objectToBase", where)
    if written is None:
        return np.eye(4)
    return np.asarray(_FLIP @ written if space is Space.LPS else written)


def _matrix(entry: dict[str, Any], key: str, where: str) -> npt.NDArray[np.float64] | None:
    """Return a matrix of three axes at right angles, as written."""
    if key not in entry:
        return None
    matrix = np.array(vector(entry[key], 16, f"{where}: {key}")).reshape(4, 4)
    turn = matrix[:3, :3]
    rigid = np.abs(turn).max() < 2 and np.allclose(turn.T @ turn, np.eye(3), rtol=0, atol=RIGID_ATOL)
    if not rigid or not np.array_equal(matrix[3], [0, 0, 0, 1]) or np.linalg.det(turn) < 0:
        raise InputError(
            f"{where}: {key} does not place a plane; it is no turn and shift.", reason="bad_matrix"
        )
    return matrix


def _require_agreement(point: Floats, normal: Floats, stated: tuple[Floats, Floats], where: str) -> None:
    """Refuse a centre or a normal that is not that of the plane shown."""
    unit = normal / np.linalg.norm(normal)
    other = stated[1] / np.linalg.norm(stated[1])
    away = abs(float(unit @ (stated[0] - point)))
    turned = float(np.degrees(np.arctan2(np.linalg.norm(np.cross(unit, other)), unit @ other)))
    if away > AGREE_MM or turned > AGREE_DEG:
        raise InputError(
            f"{where} contradicts itself: its center lies {away:.2f} mm off the plane of its control points "
            f"and matrices, and its normal is turned by {turned:.2f} degrees against it. 3D Slicer shows the "
            "latter; save it there again.",
            reason="contradictory_plane",
        )


def _size(entry: dict[str, Any], where: str) -> tuple[float, float] | None:
    if "planeBounds" in entry:
        low_x, high_x, low_y, high_y = vector(entry["planeBounds"], 4, f"{where}: planeBounds")
        size = (high_x - low_x, high_y - low_y)
    elif "size" in entry:
        sides = entry["size"] if isinstance(entry["size"], list) else []
        numbers = vector(entry["size"], 3 if len(sides) == 3 else 2, f"{where}: size")
        size = (numbers[0], numbers[1])
    else:
        return None
    # A plane that was placed, but never drawn, has no sides yet.
    return size if min(size) > 0 else None
