"""What back-ends with networks share: scans laid out as they expect, labels back as masks."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import numpy.typing as npt

from flr_volumetry.anatomy import SEGMENTS, Structure
from flr_volumetry.errors import Caveat, SegmentationError
from flr_volumetry.images import Grid, LabelMap, Mask
from flr_volumetry.segmentation.protocol import Device, FoundLesion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flr_volumetry.images import Image
    from flr_volumetry.segmentation.hints import Hints

LPS_TO_RAS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])
LEAST_LESION_ML: Final = 0.05
"""Smaller specks of a network's lesion label are no lesions (assumed): 4.6 mm across."""
_NAMES: Final = {
    "liver": Structure.LIVER,
    "lesion": Structure.LESION,
    "lesions": Structure.LESION,
    "portal_vein": Structure.PORTAL_VEIN,
    "hepatic_veins": Structure.HEPATIC_VEINS,
    "ivc": Structure.IVC,
    "gallbladder": Structure.GALLBLADDER,
}
TORCH_DEVICES: Final = {Device.CPU: "cpu", Device.GPU: "cuda", Device.APPLE: "mps"}


@dataclass(frozen=True, slots=True)
class Target:
    """What a label of a network stands for.

    Parameters
    ----------
    structure : Structure
        What it is of.
    number : int
        Of a Couinaud segment; 0 for all else.
    """

    structure: Structure
    number: int = 0


def targets_of(labels: Mapping[int, str]) -> dict[int, Target]:
    """Return what the labels of a model stand for.

    Parameters
    ----------
    labels : mapping of int to str
        ``liver``, ``lesion``, ``portal_vein``, ``hepatic_veins``, ``ivc``, ``gallbladder``, or ``segment_1``
        to ``segment_8``.

    Returns
    -------
    dict of int to Target
        By label.

    Raises
    ------
    SegmentationError
        If a name is not known, or a label is 0.
    """
    found = {}
    for label, name in labels.items():
        numbered = re.fullmatch(r"segment_([1-8])", name)
        if label < 1 or not (numbered or name in _NAMES):
            raise SegmentationError(
                f"label {label} = {name!r}: labels are 1 or more, and names {', '.join(_NAMES)}, "
                "segment_1 to segment_8.",
                reason="bad_labels",
            )
        found[label] = Target(Structure.SEGMENTS, int(numbered[1])) if numbered else Target(_NAMES[name])
    return found


def masks_from(
    voxels: npt.NDArray[Any], grid: Grid, targets: Mapping[int, Target]
) -> tuple[dict[Structure, Mask], tuple[FoundLesion, ...], LabelMap | None]:
    """Turn a network's labels into masks.

    Parameters
    ----------
    voxels : ndarray of whole numbers
        On the scan's grid.
    grid : Grid
        The scan's.
    targets : mapping of int to Target
        What each label stands for.

    Returns
    -------
    masks : dict of Structure to Mask
        Those that have a voxel. The liver holds its lesions, segments and vessels, where the network gives
        them labels of their own instead of the liver's.
    lesions : tuple of FoundLesion
        Separate parts of the lesion label, the largest first.
    segments : LabelMap or None
        If any label stands for one.
    """
    masks: dict[Structure, Mask] = {}
    lesions: tuple[FoundLesion, ...] = ()
    for structure in dict.fromkeys(t.structure for t in targets.values()):
        inside = np.isin(voxels, [n for n, t in targets.items() if t.structure is structure])
        if structure is Structure.LIVER:
            within = {Structure.LIVER, Structure.LESION, Structure.SEGMENTS}
            inside = np.isin(voxels, [n for n, t in targets.items() if t.structure in within])
        if structure is Structure.LESION:
            lesions = _lesions(inside, grid)
        elif structure is not Structure.SEGMENTS and inside.any():
            masks[structure] = Mask(grid, inside, structure.value)
    return masks, lesions, _segments(voxels, grid, targets)


def _segments(voxels: npt.NDArray[Any], grid: Grid, targets: Mapping[int, Target]) -> LabelMap | None:
    numbers = {n: t.number for n, t in targets.items() if t.structure is Structure.SEGMENTS}
    if not numbers:
        return None
    table = np.zeros(int(max(voxels.max(), *numbers)) + 1, dtype=np.uint8)
    for label, number in numbers.items():
        table[label] = number
    segments = table[voxels]
    names = {n: f"segment {n}" for n in SEGMENTS}
    return LabelMap(grid, segments, names) if segments.any() else None


def _lesions(inside: npt.NDArray[np.bool_], grid: Grid) -> tuple[FoundLesion, ...]:
    import cc3d

    if not inside.any():
        return ()
    labels, count = cc3d.connected_components(
        inside.astype(np.uint8, order="F"), connectivity=26, return_N=True
    )
    sizes = np.bincount(labels.ravel(order="K"), minlength=count + 1)[1:]
    order = [int(n) + 1 for n in np.argsort(-sizes, kind="stable")]
    large = [n for n in order if sizes[n - 1] * grid.voxel_ml >= LEAST_LESION_ML]
    return tuple(FoundLesion(Mask(grid, labels == n, f"lesion {m}")) for m, n in enumerate(large, start=1))


def straightened(image: Image) -> Image:
    """Bring a scan of a tilted gantry onto axes at right angles, which is all that networks know.

    Parameters
    ----------
    image : Image
        The scan, on any grid.

    Returns
    -------
    Image
        The same object where its axes are at right angles already. Else the first axis stays, the others
        are turned until they are square to it, with steps that lose nothing; values are interpolated
        linearly, and beyond the scan the least of them stands.
    """
    grid = image.grid
    if grid.is_orthogonal:
        return image
    q, r = np.linalg.qr(grid.affine[:3, :3])
    sides = q * np.diag(r)
    corners = grid.centres_mm((np.asarray(grid.shape) - 1) * _corners())
    at = np.linalg.solve(sides, corners.T).T
    low, high = np.floor(at.min(axis=0)), np.ceil(at.max(axis=0))
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = sides, sides @ low
    i, j, k = (int(n) for n in high - low + 1)
    straight = Grid((i, j, k), affine, grid.frame_of_reference_uid)
    voxels = _sampled(
        image.voxels.astype(np.float32), grid, straight, order=1, beyond=float(image.voxels.min())
    )
    return replace(image, grid=straight, voxels=voxels, padding=None)


def back_on(labels: npt.NDArray[Any], straight: Grid, grid: Grid) -> npt.NDArray[Any]:
    """Bring labels from the straightened grid back to the scan's: each voxel takes the nearest.

    Parameters
    ----------
    labels : ndarray of whole numbers
        On `straight`.
    straight, grid : Grid
        As `straightened` made it, and the scan's.

    Returns
    -------
    ndarray of whole numbers
        On `grid`.
    """
    return labels if straight is grid else _sampled(labels, straight, grid, order=0, beyond=0)


def told_tilted(image: Image, name: str) -> tuple[Caveat, ...]:
    """Say that a network saw a straightened copy of the scan."""
    if image.grid.is_orthogonal:
        return ()
    return (
        Caveat(
            "tilt_resampled",
            f"The scan was taken with a gantry tilted by {image.grid.tilt_deg:.1f} degrees; {name} saw a "
            "copy on a straight grid, and its masks were brought back voxel by voxel.",
        ),
    )


def _sampled(
    values: npt.NDArray[Any], grid: Grid, target: Grid, *, order: Literal[0, 1], beyond: float
) -> npt.NDArray[Any]:
    from scipy import ndimage

    there = np.linalg.solve(grid.affine, target.affine)
    found = np.empty(target.shape, dtype=values.dtype)
    linear, shift = there[:3, :3], there[:3, 3]
    ndimage.affine_transform(values, linear, shift, output=found, order=order, mode="constant", cval=beyond)
    return found


def _corners() -> npt.NDArray[np.float64]:
    return np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=np.float64)


def unused_hints(hints: Hints, name: str, used: frozenset[str] = frozenset()) -> tuple[Caveat, ...]:
    """Say which hints a back-end could not use."""
    unused = [given for given in hints.given if given not in used]
    if not unused:
        return ()
    return (Caveat("hints_unused", f"{name} takes no hints of the kind {', '.join(unused)}."),)


def installed(package: str) -> str:
    """Return the version of an installed package, or nothing; without importing it."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def ras_affine(grid: Grid) -> npt.NDArray[np.float64]:
    """Return the affine of a grid as NIfTI means it."""
    return np.asarray(LPS_TO_RAS @ grid.affine)
