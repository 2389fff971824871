"""Couinaud's eight segments, placed by flat borders through landmarks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.anatomy import CAUDATE, ROMAN, SEGMENTS
from flr_volumetry.errors import Caveat, LiverError, PlanError
from flr_volumetry.images import read_only
from flr_volumetry.territories.geometry import Points, beside_cava_mm, cava_at, nearest_plane
from flr_volumetry.territories.landmarks import VEINS, Landmark, Landmarks, missing, require_near
from flr_volumetry.territories.planes import (
    PlacedPlane,
    Side,
    cantlie_plane,
    hepatic_vein_plane,
    umbilical_plane,
    vein_end,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flr_volumetry.liver import Liver

CAUDATE_REACH_MM = 50.0
"""Segment 1 ends so far from the vena cava (assumed; chosen on a synthetic and a drawn liver)."""
TIE_MM = 1e-6
"""A voxel centre this near to a border is on it: the same side on every grid, whatever rounding does."""
CHUNK_VOXELS = 500_000
ACROSS = np.array([1.0, 0.0, 0.0])

USED_IF_GIVEN = {
    Landmark.MIDDLE_VEIN: "so Cantlie's plane runs through the gallbladder fossa and the vena cava alone",
    Landmark.GALLBLADDER: "so Cantlie's plane runs through the middle hepatic vein and the vena cava alone",
    Landmark.LEFT_VEIN: "so II and III are divided at the height of the left portal vein",
    Landmark.VENOSUM: "so the front of segment I is taken to run straight from right to left",
}
APPROXIMATE = Caveat(
    "couinaud_approximate",
    "Couinaud's segments were placed by flat borders through landmarks: an approximation. Against segments "
    "of the portal tree, such borders put a segment's volume off by +24 % to -13 %, and only the borders "
    "between right and left liver and between segment IV and segments II and III agreed well "
    "(Couinaud-limits study, clinical base 6.2). Take the borders V/VIII and VI/VII, and volumes of single "
    "segments of the right liver, as uncertain by at least 25 %.",
)

Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class CouinaudSegments:
    """Couinaud's segments of one liver.

    Parameters
    ----------
    labels : ndarray of uint8, read-only, of the liver grid's shape
        Segment 1 to 8 of every liver voxel; 0 outside the liver.
    borders : tuple of PlacedPlane
        Between right and left liver, right posterior and anterior section, left lateral and medial section.
    right_level_mm, left_level_mm : float
        Heights (z, LPS mm) above which lie segments 7 and 8, and segment 2.
    caveats : tuple of Caveat
        How far they can be trusted, and what was missing.
    methods : tuple of str
        Sentences for the methods section.
    """

    labels: npt.NDArray[np.uint8] = field(repr=False)
    borders: tuple[PlacedPlane, PlacedPlane, PlacedPlane]
    right_level_mm: float
    left_level_mm: float
    caveats: tuple[Caveat, ...]
    methods: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", read_only(self.labels))


@dataclass(frozen=True, slots=True, eq=False)
class _Borders:
    """All that decides the segment of a point."""

    middle: PlacedPlane
    right: PlacedPlane
    umbilical: PlacedPlane
    right_level_mm: float
    left_level_mm: float
    caudate: _Caudate

    def segment_of(self, points: Points) -> npt.NDArray[np.uint8]:
        right = self.middle.height_mm(points) > TIE_MM
        behind = self.right.height_mm(points) > TIE_MM
        upper = points[:, 2] > self.right_level_mm + TIE_MM
        lateral = self.umbilical.height_mm(points) > TIE_MM
        raised = points[:, 2] > self.left_level_mm + TIE_MM
        in_right = np.where(behind, np.where(upper, 7, 6), np.where(upper, 8, 5))
        in_left = np.where(lateral, np.where(raised, 2, 3), 4)
        halves = np.where(right, in_right, in_left)
        return np.where(self.caudate.holds(points), CAUDATE, halves).astype(np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class _Caudate:
    """Segment 1: around the vena cava, behind the portal vein and the ligamentum venosum."""

    cava: Points
    top_mm: float
    sides: tuple[tuple[Points, Points], ...]
    """Points and normals of planes; segment 1 lies beyond all of them."""

    def holds(self, points: Points) -> Bool:
        inside = np.asarray(points[:, 2] < self.top_mm - TIE_MM)
        inside &= beside_cava_mm(self.cava, points) < CAUDATE_REACH_MM - TIE_MM
        for point, normal in self.sides:
            inside &= (points - point) @ normal > TIE_MM
        return inside


def couinaud_segments(liver: Liver, landmarks: Landmarks) -> CouinaudSegments:
    """Place Couinaud's segments from landmarks.

    Parameters
    ----------
    liver : Liver
        The liver; its own segments, if it has any, are not looked at.
    landmarks : Landmarks
        Needed: the right hepatic vein; the middle one or the gallbladder fossa; the vena cava; the portal
        bifurcation or the right portal vein; the left portal vein or the umbilical fissure. Used where
        given: the left hepatic vein, the ligamentum venosum.

    Returns
    -------
    CouinaudSegments
        Every liver voxel in exactly one segment.

    Raises
    ------
    LiverError
        If a landmark that is needed is missing, lies far from the liver, or the hepatic veins end below
        the portal bifurcation.
    PlanError
        If the points of a border lie on one line.

    Notes
    -----
    Right and left liver are divided by Cantlie's plane, the right liver by the plane along the right
    hepatic vein and the height of the right portal vein, the left liver by the upright plane through the
    umbilical fissure, segments 2 and 3 by the height halfway between the umbilical portion of the left
    portal vein and the far end of the left hepatic vein. Segment 1 is what lies within 50 mm of the vena
    cava, below the ends of the hepatic veins, to the left of the upright plane through cava and portal
    bifurcation, and on the cava's side of two planes: one through portal bifurcation, left portal vein and
    ends of the veins, one through the latter two and the ligamentum venosum (without it: from right to left).

    Flat borders were chosen over curved ones by measurement: thin-plate surfaces through the same points and
    fans about the cava changed no border's mean Dice by more than 0.015 on nine synthetic livers, nor on two
    drawings of a real one.
    """
    _require_complete(landmarks)
    require_near(landmarks, liver)
    borders = _borders(landmarks)
    labels = np.zeros(liver.grid.shape, dtype=np.uint8, order="F")
    flat = labels.reshape(-1, order="F")
    inside = np.flatnonzero(liver.voxels.reshape(-1, order="F"))
    for first in range(0, len(inside), CHUNK_VOXELS):
        some = inside[first : first + CHUNK_VOXELS]
        index = np.stack(np.unravel_index(some, liver.grid.shape, order="F"), axis=1)
        flat[some] = borders.segment_of(liver.grid.centres_mm(index))
    found = (borders.middle, borders.right, borders.umbilical)
    return CouinaudSegments(
        labels,
        found,
        borders.right_level_mm,
        borders.left_level_mm,
        (*landmarks.caveats, *_caveats(landmarks, flat[inside])),
        _methods(landmarks, borders),
    )


def with_segments(liver: Liver, segments: Landmarks | CouinaudSegments) -> Liver:
    """Return a liver with segments placed from landmarks, if it has none yet.

    Parameters
    ----------
    liver : Liver
        Without segments.
    segments : Landmarks or CouinaudSegments
        What to place them from, or the segments themselves as `couinaud_segments` returned them.

    Returns
    -------
    Liver
        With segments, and with their caveats behind its own.

    Raises
    ------
    LiverError
        If the liver has segments already: a map that was drawn or imported always wins.
    """
    if liver.segments is not None:
        raise LiverError(
            "this liver has a segment map already; segments placed from landmarks are less exact and do not "
            "replace it. Leave the landmarks out, or the segment map.",
            reason="segments_given",
        )
    found = couinaud_segments(liver, segments) if isinstance(segments, Landmarks) else segments
    return replace(liver, segments=found.labels, caveats=(*liver.caveats, *found.caveats))


def _require_complete(landmarks: Landmarks) -> None:
    lacking = list(missing(landmarks))
    if not lacking:
        return
    possible = []
    if Landmark.CAVA in landmarks.points_mm:
        if landmarks.first_of(Landmark.GALLBLADDER, Landmark.MIDDLE_VEIN) is not None:
            possible.append("Cantlie's plane")
        possible += [f"the plane along the {v.value}" for v in VEINS if v in landmarks.points_mm]
    if landmarks.first_of(Landmark.LEFT_PORTAL, Landmark.UMBILICAL_FISSURE) is not None:
        possible.append("the plane of the umbilical fissure")
    raise LiverError(
        f"segments cannot be placed: no {', and no '.join(lacking)} was given. "
        + (f"What can be placed: {', '.join(possible)}." if possible else "No single plane can be placed."),
        reason="missing_landmark",
    )


def _borders(landmarks: Landmarks) -> _Borders:
    right_portal = landmarks.need(Landmark.RIGHT_PORTAL, Landmark.PORTAL_BIFURCATION)
    level = float(right_portal[:, 2].mean())
    left_level = float(_umbilical(landmarks)[:, 2].mean())
    left_vein = landmarks.at(Landmark.LEFT_VEIN)
    if left_vein is not None:
        far = left_vein[np.argmax(beside_cava_mm(landmarks.points_mm[Landmark.CAVA], left_vein))]
        left_level = (left_level + float(far[2])) / 2
    ends = _vein_ends(landmarks)
    if ends[2] <= level:
        raise LiverError(
            f"the hepatic veins end at a height of {ends[2]:.1f} mm, below the portal bifurcation at "
            f"{level:.1f} mm: are the points upside down, or two names swapped?",
            reason="upside_down_landmarks",
        )
    return _Borders(
        cantlie_plane(landmarks, removed=Side.RIGHT),
        hepatic_vein_plane(landmarks, Landmark.RIGHT_VEIN, removed=Side.RIGHT),
        umbilical_plane(landmarks, removed=Side.LEFT),
        level,
        left_level,
        _caudate(landmarks, ends),
    )


def _umbilical(landmarks: Landmarks) -> Points:
    return landmarks.need(Landmark.LEFT_PORTAL, Landmark.UMBILICAL_FISSURE)


def _vein_ends(landmarks: Landmarks) -> Points:
    """Where the middle and left hepatic vein reach the vena cava; without both, the right one."""
    kinds = [k for k in (Landmark.MIDDLE_VEIN, Landmark.LEFT_VEIN) if k in landmarks.points_mm]
    ends = [vein_end(landmarks, kind) for kind in kinds or [Landmark.RIGHT_VEIN]]
    return np.asarray(np.mean(ends, axis=0))


def _caudate(landmarks: Landmarks, ends: Points) -> _Caudate:
    cava = landmarks.points_mm[Landmark.CAVA]
    fork, left = _portal_points(landmarks)
    venosum = landmarks.at(Landmark.VENOSUM)
    if venosum is None:
        venosum = left[None] + np.linalg.norm(ends - left) * ACROSS
    beside, between = cava_at(cava, np.array([fork[2], (fork[2] + ends[2]) / 2]))
    sides = (
        _side("the vena cava and the portal bifurcation", [beside, fork], fork + ACROSS, upright=True),
        _side(
            "portal bifurcation, left portal vein and ends of the hepatic veins", [fork, left, ends], between
        ),
        _side(
            "left portal vein, ends of the hepatic veins and ligamentum venosum",
            [left, ends, *venosum],
            between,
        ),
    )
    return _Caudate(cava, float(ends[2]), sides)


def _portal_points(landmarks: Landmarks) -> tuple[Points, Points]:
    """Where the portal vein forks, and where its left branch reaches the umbilical fissure."""
    fork = landmarks.at(Landmark.PORTAL_BIFURCATION)
    if fork is None:
        right = landmarks.points_mm[Landmark.RIGHT_PORTAL]
        fork = right[[np.argmax(right[:, 0])]]
    middle = fork.mean(axis=0)
    left = _umbilical(landmarks)
    return middle, np.asarray(left[np.argmin(np.linalg.norm(left - middle, axis=1))])


def _side(
    what: str, points: Sequence[Points], inside: Points, *, upright: bool = False
) -> tuple[Points, Points]:
    """Fit a plane whose normal points to the side where segment 1 lies."""
    try:
        point, normal = nearest_plane(np.stack(points), upright=upright)
    except PlanError as error:
        message = f"segment 1 cannot be placed by {what}: {error.message}"
        raise LiverError(message, reason=error.reason) from None
    height = float(normal @ (inside - point))
    if abs(height) < TIE_MM:
        raise LiverError(
            f"segment 1 cannot be placed by {what}: their plane runs through the vena cava itself or "
            "straight from right to left. Check these points.",
            reason="no_side",
        )
    return point, normal * np.sign(height)


def _caveats(landmarks: Landmarks, labels: npt.NDArray[np.uint8]) -> list[Caveat]:
    found = [APPROXIMATE]
    absent = [kind for kind in USED_IF_GIVEN if kind not in landmarks.points_mm]
    if absent:
        found.append(
            Caveat(
                "couinaud_landmarks_absent",
                "Segments were placed without some landmarks: "
                + "; ".join(f"no {kind.value}, {USED_IF_GIVEN[kind]}" for kind in absent)
                + ".",
            )
        )
    counts = np.bincount(labels, minlength=max(SEGMENTS) + 1)
    empty = [ROMAN[n] for n in SEGMENTS if counts[n] == 0]
    if empty:
        found.append(
            Caveat(
                "segments_absent",
                f"No voxel of the liver lies in segment {', '.join(empty)}: check the points.",
            )
        )
    return found


def _methods(landmarks: Landmarks, borders: _Borders) -> tuple[str, ...]:
    divided = "the umbilical portion of the left portal vein"
    if Landmark.LEFT_VEIN in landmarks.points_mm:
        divided = f"the middle between {divided} and the far end of the left hepatic vein"
    return (
        f"Couinaud's segments were placed by flat borders through landmarks ({landmarks.source}).",
        *(border.method for border in (borders.middle, borders.right, borders.umbilical)),
        "Segments V and VI lie below, VII and VIII above the right portal vein "
        f"(z = {borders.right_level_mm:.1f} mm); segment II lies above, III below {divided} "
        f"(z = {borders.left_level_mm:.1f} mm).",
        f"Segment I lies within {CAUDATE_REACH_MM:.0f} mm of the vena cava, below the ends of the hepatic "
        "veins, to the left of the plane through cava and portal bifurcation, and behind the left portal "
        "vein and the ligamentum venosum.",
    )
