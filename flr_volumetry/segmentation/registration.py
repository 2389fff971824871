"""From one scan of a liver to a later one: rigid, then deformable, on outline, vessels and image.

After embolization one side of a liver grows and the other shrinks, so that a cut wanders through the
outline: two outlines alone say little of where a point inside came from. Vessels that both scans show,
and the scans themselves, say more; every channel that both sides have is matched at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.errors import Caveat, LiverError
from flr_volumetry.images import Grid
from flr_volumetry.segmentation.deform import Channels, deformed, fitted_rigid
from flr_volumetry.segmentation.features import Features, features_of
from flr_volumetry.segmentation.spline import Level

if TYPE_CHECKING:
    from collections.abc import Callable

    from flr_volumetry.liver import Liver

Points = npt.NDArray[np.float64]

LEVELS = (Level(8.0, 24.0, 12), Level(5.0, 16.0, 5))
"""Coarse, then fine; twice the rounds moved the cut of a random patient by less than 0.1 mm (phantom)."""
LEAST_DICE = 0.80
"""Below it the deformed baseline does not cover the later liver, and nothing is carried over (assumed)."""
DOUBTFUL_DICE = 0.92
"""Below it a caveat says so (assumed; livers of the phantom reach 0.97 or more)."""
DOUBTFUL_INVERSE_MM = 5.0
"""Forward and back again should end nearer than this to where it began (assumed)."""
STRANGE_RIGID_DICE = 0.55
"""Two livers that overlap less than this when laid upon each other may be those of two patients (assumed)."""
INVERSE_POINTS = 4000
INVERSE_ROUNDS = 30


class Channel(Enum):
    """What was matched."""

    OUTLINE = "outline"
    VESSELS = "vessels"
    IMAGE = "image"


@dataclass(frozen=True, slots=True, eq=False)
class Registration:
    """Where each point of a later liver lay at baseline.

    Made by `register`.

    Parameters
    ----------
    grid : Grid
        Of the displacements, around the later liver, axes along the patient's.
    rigid : (4, 4) float64 ndarray
        From later points to baseline points, LPS mm, before deformation.
    offset_mm : (i, j, k, 3) float32 ndarray, read-only
        What is added to a later point, LPS mm, before `rigid` is applied.
    channels : tuple of Channel
        What was matched.
    rigid_dice, dice : float
        Overlap of the baseline's liver, carried over, with the later one: laid upon it, and deformed.
    surface_mean_mm, surface_95_mm : float
        Distance of the carried surface from the later liver's: mean and 95 %.
    inverse_mean_mm, inverse_95_mm : float
        How far a point lies from itself after going to baseline and, by a second registration made the
        other way round, back: mean and 95 %.
    folded : float
        Share of the liver where the deformation turns inside out; 0 if it keeps every neighbourhood.
    caveats : tuple of Caveat
        What is doubtful.
    methods : tuple of str
        Sentences for the methods section.
    """

    grid: Grid
    rigid: npt.NDArray[np.float64] = field(repr=False)
    offset_mm: npt.NDArray[np.float32] = field(repr=False)
    channels: tuple[Channel, ...]
    rigid_dice: float
    dice: float
    surface_mean_mm: float
    surface_95_mm: float
    inverse_mean_mm: float
    inverse_95_mm: float
    folded: float
    caveats: tuple[Caveat, ...] = ()
    methods: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("rigid", "offset_mm"):
            array = getattr(self, name).view()
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    def to_baseline(self, points_mm: npt.ArrayLike) -> Points:
        """Return where (n, 3) points of the later scan lay at baseline, LPS mm.

        Parameters
        ----------
        points_mm : (n, 3) array_like
            LPS mm of the later scan.

        Returns
        -------
        (n, 3) ndarray
            LPS mm of the baseline scan.
        """
        points = np.asarray(points_mm, dtype=np.float64)
        moved = points + _interpolated(self.offset_mm, self.grid, points)
        return np.asarray(moved @ self.rigid[:3, :3].T + self.rigid[:3, 3])

    def to_later(self, points_mm: npt.ArrayLike) -> Points:
        """Return where (n, 3) points of the baseline lie in the later scan, LPS mm.

        Parameters
        ----------
        points_mm : (n, 3) array_like
            LPS mm of the baseline scan.

        Returns
        -------
        (n, 3) ndarray
            LPS mm of the later scan: what `to_baseline` takes back to them.

        Notes
        -----
        Fixed-point iteration ``y <- R^-1 x - u(y)`` (Chen et al., Med Phys 2008;35:81), which converges
        where the displacement changes by less than its own step.
        """
        points = np.asarray(points_mm, dtype=np.float64)
        laid = (points - self.rigid[:3, 3]) @ self.rigid[:3, :3]
        found = laid.copy()
        for _ in range(INVERSE_ROUNDS):
            found = 0.5 * found + 0.5 * (laid - _interpolated(self.offset_mm, self.grid, found))
        return np.asarray(found)


def register(baseline: Liver, later: Liver, *, tell: Callable[[str], None] = lambda _: None) -> Registration:
    """Find where each point of a later liver lay at baseline.

    Parameters
    ----------
    baseline : Liver
        With the vessels and the scan, as far as there are any. What has been removed since must not be in
        its mask.
    later : Liver
        The same patient's, later.
    tell : callable
        Called with the name of each step as it begins.

    Returns
    -------
    Registration
        With its overlap, its surface distances and its inverse consistency; the same input gives the
        same bytes.

    Raises
    ------
    LiverError
        If the deformed baseline does not cover the later liver.

    Notes
    -----
    Rigid by Gauss-Newton on the saturated signed distance of the outline, from seven starts; then cubic
    splines that bend in few places (`flr_volumetry.segmentation.spline`), several channels at once. Lesions
    take no part: they grow and shrink on their own. Volumes of the two scans, and where the cut lies, never
    enter it.
    """
    tell("laying the baseline on the follow-up scan")
    one, other = features_of(baseline), features_of(later)
    channels = _shared(one, other)
    there = fitted_rigid(other, one)
    back = np.asarray(np.linalg.inv(there), dtype=np.float64)
    tell("deforming the baseline onto the follow-up scan")
    grid, offset = _field(other, one, there, channels, LEVELS)
    tell("and back again, to see how far it can be trusted")
    back_grid, back_offset = _field(one, other, back, channels, LEVELS[:1])
    points = _inside(later)
    forward = _moved(points, grid, offset, there)
    again = _moved(forward, back_grid, back_offset, back)
    inverse = np.linalg.norm(again - points, axis=1)
    laid = _overlap(one, other, grid, there, np.zeros_like(offset))
    fit = _overlap(one, other, grid, there, offset)
    found = Registration(
        grid=grid,
        rigid=there,
        offset_mm=offset,
        channels=channels.names,
        rigid_dice=laid[0],
        dice=fit[0],
        surface_mean_mm=fit[1],
        surface_95_mm=fit[2],
        inverse_mean_mm=float(inverse.mean()),
        inverse_95_mm=float(np.percentile(inverse, 95)),
        folded=_folded(grid, offset, points),
    )
    _require_cover(found)
    return _with_words(found)


def _shared(one: Features, other: Features) -> _Shared:
    vessels = tuple(s for s in one.vessels if s in other.vessels)
    both = one.tissue is not None and other.tissue is not None and one.modality == other.modality != ""
    return _Shared(Channels(vessels, both))


@dataclass(frozen=True, slots=True)
class _Shared:
    """What both sides have."""

    used: Channels

    @property
    def names(self) -> tuple[Channel, ...]:
        names = [Channel.OUTLINE]
        names += [Channel.VESSELS] if self.used.vessels else []
        names += [Channel.IMAGE] if self.used.image else []
        return tuple(names)


def _field(
    fixed: Features,
    moving: Features,
    rigid: Points,
    shared: _Shared,
    levels: tuple[Level, ...],
) -> tuple[Grid, npt.NDArray[np.float32]]:
    coarser: Callable[[Grid], npt.NDArray[np.float32]] | None = None
    for level in levels:
        grid, offset = deformed(fixed, moving, rigid, shared.used, level, coarser)
        coarser = partial(_taken, offset, grid)
    return grid, offset


def _taken(offset: npt.NDArray[np.float32], grid: Grid, finer: Grid) -> npt.NDArray[np.float32]:
    """Take a displacement to another grid."""
    return _interpolated(offset, grid, _centres(finer)).astype(np.float32).reshape(*finer.shape, 3)


def _centres(grid: Grid) -> Points:
    return grid.centres_mm(np.indices(grid.shape).reshape(3, -1).T)


def _interpolated(offset: npt.NDArray[np.float32], grid: Grid, points: Points) -> Points:
    from scipy.ndimage import map_coordinates

    at = grid.indices_at(points).T
    parts = [map_coordinates(offset[..., n], at, order=1, mode="nearest") for n in range(3)]
    return np.stack(parts, axis=-1).astype(np.float64)


def _moved(
    points: Points, grid: Grid, offset: npt.NDArray[np.float32], rigid: npt.NDArray[np.float64]
) -> Points:
    moved = points + _interpolated(offset, grid, points)
    return np.asarray(moved @ rigid[:3, :3].T + rigid[:3, 3])


def _inside(liver: Liver) -> Points:
    """About `INVERSE_POINTS` points spread over a liver: the same every time."""
    index = np.argwhere(liver.voxels)
    return liver.grid.centres_mm(index[:: max(1, len(index) // INVERSE_POINTS)])


def _overlap(
    moving: Features,
    fixed: Features,
    grid: Grid,
    rigid: npt.NDArray[np.float64],
    offset: npt.NDArray[np.float32],
) -> tuple[float, float, float]:
    """Dice, and mean and 95 % distance of the carried surface from the fixed one."""
    points = _centres(fixed.grid)
    carried = moving.outline_at(_moved(points, grid, offset, rigid)).reshape(fixed.grid.shape)
    inside, target = carried <= 0, fixed.outline_mm <= 0
    dice = 2 * float((inside & target).sum()) / float(inside.sum() + target.sum())
    rim = np.abs(carried) <= 0.75 * fixed.grid.spacing_mm[0]
    away = np.abs(fixed.outline_mm[rim] - carried[rim]) if rim.any() else np.array([np.inf])
    return dice, float(away.mean()), float(np.percentile(away, 95))


def _folded(grid: Grid, offset: npt.NDArray[np.float32], points: Points) -> float:
    slope = np.empty((*grid.shape, 3, 3))
    for n, axis in np.ndindex(3, 3):
        slope[..., n, axis] = np.gradient(offset[..., n], grid.spacing_mm[0], axis=axis)
    det = np.linalg.det(slope + np.eye(3))
    i, j, k = np.clip(np.rint(grid.indices_at(points)).astype(int), 0, np.asarray(grid.shape) - 1).T
    return float((det[i, j, k] <= 0).mean())


def _require_cover(found: Registration) -> None:
    if found.dice < LEAST_DICE:
        raise LiverError(
            f"the baseline's liver cannot be brought onto the follow-up's: they overlap by {found.dice:.2f} "
            f"(Dice) at best, and at least {LEAST_DICE:g} is asked for. Are both scans of this patient, and "
            "both masks of the whole liver?",
            reason="registration_failed",
        )


def _with_words(found: Registration) -> Registration:
    caveats = []
    if found.rigid_dice < STRANGE_RIGID_DICE:
        said = (
            f"Laid upon each other, the two livers overlap by only {found.rigid_dice:.2f} (Dice): check that "
            "both scans are of this patient."
        )
        caveats.append(Caveat("livers_differ", said))
    if found.dice < DOUBTFUL_DICE or found.folded > 0 or found.inverse_mean_mm > DOUBTFUL_INVERSE_MM:
        said = (
            f"The baseline was carried onto the follow-up scan with doubts: overlap {found.dice:.3f} (Dice), "
            f"forward and back again off by {found.inverse_mean_mm:.1f} mm on average, "
            f"{100 * found.folded:.2g} % of the liver folded. Look at the pictures of the carried plan."
        )
        caveats.append(Caveat("registration_doubtful", said))
    if found.channels == (Channel.OUTLINE,):
        said = (
            "Nothing but the livers' outlines could be matched: no vessel and no scan of one modality is "
            "known at both dates. Inside the liver the carried cut may be off by a centimetre (2 to 5 mm on "
            "phantoms, which hid up to three tenths of their growth); give vessel masks or both scans."
        )
        caveats.append(Caveat("carried_by_outline_alone", said))
    names = (
        " and ".join(c.value for c in found.channels)
        if len(found.channels) < 3
        else "outline, vessels and image"
    )
    method = (
        f"The baseline was laid on the later scan rigidly and then deformed by matching {names} "
        "(cubic splines that bend in few places; lesions left out): "
        f"overlap {found.rigid_dice:.3f}, then {found.dice:.3f} (Dice); "
        f"surfaces {found.surface_mean_mm:.1f} mm apart, 95 % within {found.surface_95_mm:.1f} mm; "
        f"forward and back again {found.inverse_mean_mm:.1f} mm off on average."
    )
    return replace(found, caveats=tuple(caveats), methods=(method,))
