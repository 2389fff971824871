"""Flat cuts placed from landmarks, for someone to confirm."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

import numpy as np
import numpy.typing as npt

from flr_volumetry.errors import Caveat, PlanError
from flr_volumetry.images import read_only
from flr_volumetry.territories.geometry import Points, beside_cava_mm, nearest_plane
from flr_volumetry.territories.landmarks import VEINS, Landmark, Landmarks

MIN_COSINE = 0.1
"""Flatter against the direction asked for, and a plane has no such side."""
VEIN_WEIGHT = 2.0
"""What leads the cut counts twice: it lies on the border along its whole length."""
TO_RIGHT = (-1.0, 0.0, 0.0)
TO_RIGHT_BACK = (-1.0, 1.0, 0.0)
"""The right hepatic vein's plane runs nearly from left to right: its right side is the posterior section."""


class Side(Enum):
    """Which side of a plane goes, as the patient has it."""

    RIGHT = "right"
    LEFT = "left"


@dataclass(frozen=True, slots=True, eq=False)
class PlacedPlane:
    """A flat cut placed from landmarks.

    Parameters
    ----------
    name : str
        What it is called.
    point_mm : (3,) float64 ndarray, read-only
        A point of it, LPS mm: the weighted mean of the landmarks.
    normal : (3,) float64 ndarray, read-only
        Of length one, from what stays to what goes.
    removed : Side
        Which side goes.
    residual_rms_mm, residual_max_mm : float
        How far the landmarks lie from it, root mean square and largest, mm.
    method : str
        How it was placed, in one sentence.
    caveats : tuple of Caveat
        That it was placed automatically and must be confirmed, and what is known of the landmarks.
    """

    name: str
    point_mm: Points = field(repr=False)
    normal: Points = field(repr=False)
    removed: Side
    residual_rms_mm: float
    residual_max_mm: float
    method: str
    caveats: tuple[Caveat, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "point_mm", read_only(self.point_mm))
        object.__setattr__(self, "normal", read_only(self.normal))

    def height_mm(self, points_mm: npt.ArrayLike) -> Points:
        """Return how far (n, 3) points lie beyond the plane, (n,) mm; positive goes."""
        return np.asarray((np.asarray(points_mm, dtype=np.float64) - self.point_mm) @ self.normal)


@dataclass(frozen=True, slots=True, eq=False)
class _Recipe:
    """What a plane is fitted to: groups of points, each as heavy as its weight however many points it has."""

    name: str
    groups: tuple[tuple[str, Points, float], ...]
    upright: bool = False
    to_right: tuple[float, float, float] = TO_RIGHT


def cantlie_plane(landmarks: Landmarks, *, removed: Side) -> PlacedPlane:
    """Place Cantlie's plane, between the right and the left liver.

    Parameters
    ----------
    landmarks : Landmarks
        The vena cava, and the gallbladder fossa or the middle hepatic vein; better both.
    removed : Side
        Which half goes.

    Returns
    -------
    PlacedPlane
        The plane nearest to all of them by least squares; the middle hepatic vein counts twice.

    Raises
    ------
    PlanError
        If a landmark is missing, or all points lie on one line.
    """
    groups = _given(landmarks, (Landmark.GALLBLADDER, Landmark.CAVA))
    middle = landmarks.at(Landmark.MIDDLE_VEIN)
    if middle is not None:
        groups = (*groups, (Landmark.MIDDLE_VEIN.value, middle, VEIN_WEIGHT))
    _require(landmarks, "Cantlie's plane", (Landmark.CAVA,), (Landmark.GALLBLADDER, Landmark.MIDDLE_VEIN))
    return _place(_Recipe("Cantlie's plane", groups), landmarks, removed)


def hepatic_vein_plane(landmarks: Landmarks, vein: Landmark, *, removed: Side) -> PlacedPlane:
    """Place the plane along a hepatic vein and the vena cava.

    Parameters
    ----------
    landmarks : Landmarks
        The vein and the vena cava.
    vein : Landmark
        The right, middle or left hepatic vein.
    removed : Side
        Which side goes; on the right of the right hepatic vein lies the posterior section (segments 6, 7).

    Returns
    -------
    PlacedPlane
        The plane nearest to both by least squares; the vein counts twice.

    Raises
    ------
    PlanError
        If `vein` is no hepatic vein, a landmark is missing, or all points lie on one line.
    """
    if vein not in VEINS:
        raise PlanError(f"the {vein.value} is no hepatic vein", reason="not_a_hepatic_vein")
    name = f"plane along the {vein.value}"
    _require(landmarks, name, (vein,), (Landmark.CAVA,))
    groups = (
        (vein.value, landmarks.points_mm[vein], VEIN_WEIGHT),
        *_given(landmarks, (Landmark.CAVA,)),
    )
    to_right = TO_RIGHT_BACK if vein is Landmark.RIGHT_VEIN else TO_RIGHT
    return _place(_Recipe(name, groups, to_right=to_right), landmarks, removed)


def umbilical_plane(landmarks: Landmarks, *, removed: Side) -> PlacedPlane:
    """Place the upright plane through the umbilical fissure, between segment 4 and segments 2 and 3.

    Parameters
    ----------
    landmarks : Landmarks
        The umbilical fissure or the umbilical portion of the left portal vein, and one of the left
        hepatic vein, the middle hepatic vein and the vena cava.
    removed : Side
        Which side goes.

    Returns
    -------
    PlacedPlane
        Parallel to the patient's long axis, nearest by least squares to the fissure, which counts twice,
        and to the point where the vein reaches the vena cava (without a vein, the top of the cava).

    Raises
    ------
    PlanError
        If a landmark is missing, or all points lie above each other.
    """
    name = "plane of the umbilical fissure"
    upper = (Landmark.LEFT_VEIN, Landmark.MIDDLE_VEIN, Landmark.CAVA)
    _require(landmarks, name, (Landmark.LEFT_PORTAL, Landmark.UMBILICAL_FISSURE), upper)
    kind = next(k for k in upper if k in landmarks.points_mm)
    fissure = landmarks.united(Landmark.LEFT_PORTAL, Landmark.UMBILICAL_FISSURE)
    groups = (
        (Landmark.UMBILICAL_FISSURE.value, fissure, VEIN_WEIGHT),
        (f"upper end of the {kind.value}", vein_end(landmarks, kind)[None], 1.0),
    )
    return _place(_Recipe(name, groups, upright=True), landmarks, removed)


def landmark_plane(points_mm: npt.ArrayLike, *, removed: Side) -> PlacedPlane:
    """Place the plane through three points.

    Parameters
    ----------
    points_mm : (3, 3) array_like
        One point a row, LPS mm.
    removed : Side
        Which side goes.

    Returns
    -------
    PlacedPlane
        Through all three.

    Raises
    ------
    PlanError
        If there are not three finite points, they lie on one line, or their plane faces neither right
        nor left.

    Examples
    --------
    >>> plane = landmark_plane([(5, 0, 0), (5, 90, 0), (5, 0, 90)], removed=Side.RIGHT)
    >>> plane.normal.tolist()
    [-1.0, 0.0, 0.0]
    """
    points = np.array(points_mm, dtype=np.float64)
    if points.shape != (3, 3) or not np.isfinite(points).all():
        raise PlanError(f"a plane is given by three points of three finite numbers, got shape {points.shape}")
    return _place(_Recipe("plane through three points", (("three points", points, 1.0),)), None, removed)


def vein_end(landmarks: Landmarks, kind: Landmark) -> Points:
    """Return where a hepatic vein reaches the vena cava, (3,) LPS mm.

    Parameters
    ----------
    landmarks : Landmarks
        The points.
    kind : Landmark
        A hepatic vein, or the vena cava.

    Returns
    -------
    (3,) float64 ndarray
        The vein's point nearest to the cava at its own height; without a cava, and for the cava itself,
        the highest point.
    """
    points = landmarks.points_mm[kind]
    cava = landmarks.at(Landmark.CAVA)
    if cava is None or kind is Landmark.CAVA:
        return np.asarray(points[np.argmax(points[:, 2])])
    return np.asarray(points[np.argmin(beside_cava_mm(cava, points))])


def _given(landmarks: Landmarks, kinds: tuple[Landmark, ...]) -> tuple[tuple[str, Points, float], ...]:
    return tuple((k.value, landmarks.points_mm[k], 1.0) for k in kinds if k in landmarks.points_mm)


def _require(landmarks: Landmarks, what: str, *choices: tuple[Landmark, ...]) -> None:
    lacking = [" or ".join(k.value for k in kinds) for kinds in choices if landmarks.first_of(*kinds) is None]
    if lacking:
        raise PlanError(
            f"{what} cannot be placed: no {', and no '.join(lacking)} was given.", reason="missing_landmark"
        )


def _place(recipe: _Recipe, landmarks: Landmarks | None, removed: Side) -> PlacedPlane:
    point, normal = _fit(recipe)
    toward = np.array(recipe.to_right) / np.linalg.norm(recipe.to_right)
    cosine = float(normal @ toward)
    if abs(cosine) < MIN_COSINE:
        raise PlanError(
            f"{recipe.name} faces neither right nor left: its normal is {np.round(normal, 3).tolist()}. "
            "Give the plane by a point and a normal instead.",
            reason="no_side",
        )
    normal = normal * np.sign(cosine) * (1.0 if removed is Side.RIGHT else -1.0)
    off = np.concatenate([(points - point) @ normal for _, points, _ in recipe.groups])
    rms, most = float(np.sqrt(np.mean(off**2))), float(np.abs(off).max())
    names = " and ".join(f"the {name}" for name, _, _ in recipe.groups)
    kind = "upright plane" if recipe.upright else "plane"
    return PlacedPlane(
        recipe.name,
        point,
        normal + 0.0,
        removed,
        rms,
        most,
        f"{recipe.name[0].upper()}{recipe.name[1:]}: least-squares {kind} through {names}, which lie "
        f"{rms:.1f} mm (root mean square) and at most {most:.1f} mm from it.",
        (*(landmarks.caveats if landmarks is not None else ()), _to_confirm(recipe.name, rms, most)),
    )


def _to_confirm(name: str, rms: float, most: float) -> Caveat:
    return Caveat(
        "plane_placed_from_landmarks",
        f"The {name.removeprefix('the ')} was placed automatically from landmarks, which lie {rms:.1f} mm "
        f"(root mean square) and at most {most:.1f} mm from it: confirm it on the images.",
    )


def _fit(recipe: _Recipe) -> tuple[Points, Points]:
    points = np.vstack([points for _, points, _ in recipe.groups])
    weight = np.concatenate([np.full(len(p), w / len(p)) for _, p, w in recipe.groups])
    try:
        return nearest_plane(points, weight, upright=recipe.upright)
    except PlanError as error:
        raise PlanError(f"{recipe.name}: {error.message}", reason=error.reason) from None
