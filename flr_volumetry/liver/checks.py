"""What can be doubtful about a liver's masks; each check returns caveats or refuses."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.anatomy import ROMAN, SEGMENTS
from flr_volumetry.errors import Caveat, LiverError
from flr_volumetry.images import bounding_box

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flr_volumetry.images import Box, Grid, Image
    from flr_volumetry.liver.values import Lesion

PLAUSIBLE_ML = (400.0, 5000.0)
"""Total liver volume outside this is refused (clinical base 6.2, assumed)."""
USUAL_ML = (594.0, 2250.0)
"""Range of 369 adult livers (Feng et al., World J Gastroenterol 2017;23:4968)."""
LARGEST_SHARE_OUTSIDE = 0.5
"""A lesion with more than this share outside the liver is refused (assumed)."""
SMALLEST_SEGMENT_COVER = 0.5
"""A segment map that covers less than this share of the liver is refused (assumed)."""
THICK_MM, TOO_THICK_MM = 3.0, 5.0
"""Slice distances recommended and acceptable for volume (clinical base 8.1)."""
USUAL_HU = (20.0, 150.0)
"""Median liver HU, unenhanced to portal venous (clinical base 8.3, assumed)."""
NEGLIGIBLE_ML = 0.05
MOST_PARTS_LISTED = 5
MEDIAN_SAMPLE = 200_000
THIN = 3

Voxels = npt.NDArray[np.bool_]


def field_of_view(voxels: Voxels, filled: Box, scan: Grid) -> Iterator[Caveat]:
    """Say where a liver touches the edge of the scan, and over how much surface.

    Parameters
    ----------
    voxels : (i, j, k) ndarray of bool
        The liver, on the whole scan.
    filled : tuple of slice
        Its bounding box.
    scan : Grid
        The scan's grid.

    Yields
    ------
    Caveat
        One for each face.
    """
    steps = scan.affine[:3, :3]
    outward = np.linalg.inv(steps)
    for axis in range(3):
        others = [a for a in range(3) if a != axis]
        area_cm2 = float(np.linalg.norm(np.cross(steps[:, others[0]], steps[:, others[1]]))) / 100
        for at_end in (False, True):
            edge = scan.shape[axis] - 1 if at_end else 0
            if (filled[axis].stop - 1 if at_end else filled[axis].start) != edge:
                continue
            count = int(np.count_nonzero(np.take(voxels, edge, axis=axis)))
            face = _direction(outward[axis] if at_end else -outward[axis])
            yield Caveat(
                "liver_truncated",
                f"The liver touches the {face} edge of the scan over {count * area_cm2:.1f} cm2: "
                "what lies beyond was not scanned. Total and remnant may be too small, and their ratio too "
                "small or too large, by an unknown amount.",
            )


def _direction(vector: npt.NDArray[np.float64]) -> str:
    names = (("left", "right"), ("posterior", "anterior"), ("head", "feet"))
    axis = int(np.argmax(np.abs(vector)))
    return names[axis][0 if vector[axis] > 0 else 1]


def size(ml: float) -> Iterator[Caveat]:
    """Refuse a liver of implausible size, and point out an unusual one.

    Parameters
    ----------
    ml : float
        Total liver volume, mL.

    Yields
    ------
    Caveat
        If the volume is unusual.

    Raises
    ------
    LiverError
        If it is outside 400 to 5000 mL.
    """
    low, high = PLAUSIBLE_ML
    if not low <= ml <= high:
        raise LiverError(
            f"the liver mask measures {ml:.1f} mL, outside the plausible {low:.0f} to {high:.0f} mL. "
            "Check that the mask is the whole liver and that its file states the voxel size.",
            reason="implausible_size",
        )
    if not USUAL_ML[0] <= ml <= USUAL_ML[1]:
        yield Caveat(
            "unusual_size",
            f"The liver measures {ml:.1f} mL, outside the {USUAL_ML[0]:.0f} to {USUAL_ML[1]:.0f} mL "
            "of 369 adults (Feng 2017): check the mask.",
        )


def parts(voxels: Voxels, grid: Grid) -> Iterator[Caveat]:
    """Say whether a liver mask is in one piece.

    Parameters
    ----------
    voxels : (i, j, k) ndarray of bool
        The liver, cropped.
    grid : Grid
        Its grid.

    Yields
    ------
    Caveat
        If there is more than one part; all of them are counted.
    """
    sizes = part_sizes_ml(voxels, grid)
    if len(sizes) > 1:
        yield Caveat(
            "liver_in_parts",
            f"The liver mask is in {len(sizes)} separate parts: the largest has {sizes[0]:.1f} mL, "
            f"the others {_listed(sizes[1:])} mL. All are counted as liver.",
        )


def part_sizes_ml(voxels: Voxels, grid: Grid) -> list[float]:
    """Volumes of the parts of a mask that do not touch, not even at a corner.

    Parameters
    ----------
    voxels : (i, j, k) ndarray of bool
        The mask.
    grid : Grid
        Its grid.

    Returns
    -------
    list of float
        In mL, largest first.
    """
    import cc3d

    box = bounding_box(voxels)
    # cc3d takes no read-only array; a box of its own is also smaller.
    own = voxels[box].copy(order="F") if box is not None else voxels.copy(order="F")
    # Told that the image is binary, it fails on some arrays of a few voxels.
    labels, n_parts = cc3d.connected_components(own.view(np.uint8), connectivity=26, return_N=True)
    if n_parts == 1:
        return [int(np.count_nonzero(own)) * grid.voxel_ml]
    counts = cc3d.statistics(labels, no_slice_conversion=True)["voxel_counts"][1:]
    return sorted((int(n) * grid.voxel_ml for n in counts), reverse=True)


def _listed(sizes_ml: list[float]) -> str:
    shown = ", ".join(f"{ml:.2f}" for ml in sizes_ml[:MOST_PARTS_LISTED])
    rest = sizes_ml[MOST_PARTS_LISTED:]
    return f"{shown} and {len(rest)} more of together {sum(rest):.2f}" if rest else shown


def slices(scan: Grid) -> Iterator[Caveat]:
    """Point out thick slices.

    Parameters
    ----------
    scan : Grid
        The scan's grid.

    Yields
    ------
    Caveat
        Above 3 mm for margins, above 5 mm for volumes too.
    """
    # Files may store their slices along any axis.
    distance = float((1 / np.linalg.norm(np.linalg.inv(scan.affine[:3, :3]), axis=1)).max())
    if distance > TOO_THICK_MM:
        yield Caveat(
            "thick_slices",
            f"The slices lie {distance:.1f} mm apart; up to 5 mm is acceptable for volumes, up to 3 mm "
            "recommended. Lesion volumes and margins are unreliable.",
        )
    elif distance > THICK_MM:
        yield Caveat(
            "thick_slices",
            f"The slices lie {distance:.1f} mm apart; at most 3 mm is recommended for margins and vessels.",
        )


def lesion_inside(what: str, ml: float, outside_ml: float) -> Iterator[Caveat]:
    """Say how much of a lesion lies outside the liver, and refuse one that mostly does.

    Parameters
    ----------
    what : str
        Which lesion, for the message.
    ml : float
        Its volume, mL.
    outside_ml : float
        The part outside the liver, mL.

    Yields
    ------
    Caveat
        If a part lies outside.

    Raises
    ------
    LiverError
        If more than half of it does.
    """
    if outside_ml > ml * LARGEST_SHARE_OUTSIDE:
        raise LiverError(
            f"{what} lies outside the liver: {outside_ml:.1f} of its {ml:.1f} mL. If the liver mask leaves "
            "the lesions out, unite them first (liver = { path = ..., label = [1, 2] }); otherwise the mask "
            "belongs to another organ or another scan.",
            reason="lesion_outside",
        )
    if outside_ml > 0:
        yield Caveat(
            "lesion_partly_outside",
            f"{outside_ml:.2f} of the {ml:.1f} mL of {what} lie outside the liver mask and are not counted.",
        )


def lesion_parts(what: str, voxels: Voxels, grid: Grid) -> Iterator[Caveat]:
    """Say whether one lesion's mask holds several.

    Parameters
    ----------
    what : str
        Which lesion, for the message.
    voxels : (i, j, k) ndarray of bool
        Its box.
    grid : Grid
        Whose voxel volume counts.

    Yields
    ------
    Caveat
        If it has more than one part.
    """
    sizes = part_sizes_ml(voxels, grid)
    if len(sizes) > 1:
        yield Caveat(
            "lesion_in_parts",
            f"The mask of {what} is in {len(sizes)} separate parts ({_listed(sizes)} mL), counted as one "
            "lesion. If they are several, write split = true beside its path.",
        )


def lesions_apart(lesions: Sequence[Lesion], grid: Grid) -> Iterator[Caveat]:
    """Say which lesions share voxels.

    Parameters
    ----------
    lesions : sequence of Lesion
        All of them.
    grid : Grid
        The liver's.

    Yields
    ------
    Caveat
        For each pair that overlaps.
    """
    for one, other in combinations(lesions, 2):
        shared = tuple(
            slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(one.box, other.box, strict=True)
        )
        if any(s.start >= s.stop for s in shared):
            continue
        first, second = (
            lesion.voxels[
                tuple(slice(s.start - o, s.stop - o) for s, o in zip(shared, lesion.start, strict=True))
            ]
            for lesion in (one, other)
        )
        ml = int(np.count_nonzero(first & second)) * grid.voxel_ml
        if ml > 0:
            yield Caveat(
                "lesions_overlap",
                f"Lesions {one.number} {one.name!r} and {other.number} {other.name!r} share {ml:.2f} mL, "
                "counted once in the tumour volume and in each lesion's own: are they one lesion?",
            )


def segments(labels: npt.NDArray[np.uint8], grid: Grid, liver: Voxels, stray_ml: float) -> Iterator[Caveat]:
    """Compare a segment map with the liver.

    Parameters
    ----------
    labels : (i, j, k) ndarray of uint8
        Segment of each liver voxel.
    grid : Grid
        Its grid.
    liver : (i, j, k) ndarray of bool
        The liver.
    stray_ml : float
        Labelled volume outside the liver, mL.

    Yields
    ------
    Caveat
        For liver without a segment, labels outside the liver, absent segments, and
        segments that seem mirrored.

    Raises
    ------
    LiverError
        If less than half of the liver is labelled.
    """
    whole_ml = int(np.count_nonzero(liver)) * grid.voxel_ml
    bare_ml = whole_ml - int(np.count_nonzero(labels)) * grid.voxel_ml
    if whole_ml - bare_ml < whole_ml * SMALLEST_SEGMENT_COVER:
        raise LiverError(
            f"the segment map covers only {whole_ml - bare_ml:.1f} of the liver's {whole_ml:.1f} mL: it was "
            "drawn on another scan, or its file misstates where it lies.",
            reason="segments_do_not_fit",
        )
    if bare_ml > NEGLIGIBLE_ML:
        yield Caveat(
            "liver_without_segment",
            f"{bare_ml:.1f} of the liver's {whole_ml:.1f} mL carry no segment; a resection by segments "
            "leaves them with the remnant.",
        )
    if stray_ml > NEGLIGIBLE_ML:
        yield Caveat(
            "segments_outside_liver",
            f"{stray_ml:.1f} mL of the segment map lie outside the liver mask and are not counted.",
        )
    absent = [ROMAN[n] for n in SEGMENTS if not (labels == n).any()]
    if absent:
        yield Caveat("segments_absent", f"The segment map has no segment {', '.join(absent)}.")
    left, right = _leftness(labels, (2, 3), grid), _leftness(labels, (6, 7), grid)
    if left is not None and right is not None and left < right:
        yield Caveat(
            "segments_mirrored",
            "Segments II and III lie to the patient's right of segments VI and VII: either the organs are "
            "reversed (situs inversus) or the file misstates left and right.",
        )


def _leftness(labels: npt.NDArray[np.uint8], wanted: tuple[int, ...], grid: Grid) -> float | None:
    """How far to the patient's left some segments lie, mm: the mean of every third voxel along each axis."""
    index = np.argwhere(np.isin(labels[::THIN, ::THIN, ::THIN], wanted)) * THIN
    return float(grid.centres_mm(index)[:, 0].mean()) if len(index) else None


def intensity(image: Image | None, voxels: Voxels) -> Iterator[Caveat]:
    """Look at the scan inside the liver mask.

    Parameters
    ----------
    image : Image or None
        The scan, cropped as the mask is.
    voxels : (i, j, k) ndarray of bool
        The liver.

    Yields
    ------
    Caveat
        If there is no scan, the liver reaches unscanned padding, or the HU are not a liver's.
    """
    if image is None:
        yield Caveat("no_image", "No image was given: the masks were not compared with a scan.")
        return
    values = image.measured(voxels)
    padded = int(np.count_nonzero(voxels)) - len(values)
    if padded:
        yield Caveat(
            "liver_in_padding",
            f"{padded * image.grid.voxel_ml:.1f} mL of the liver mask lie outside the scanned circle.",
        )
    if not len(values):
        return
    median = float(np.median(values[:: max(1, len(values) // MEDIAN_SAMPLE)]))
    if image.source.modality == "CT" and not USUAL_HU[0] <= median <= USUAL_HU[1]:
        yield Caveat(
            "unusual_hu",
            f"The liver's median is {median:.0f} HU, outside the {USUAL_HU[0]:.0f} to {USUAL_HU[1]:.0f} HU "
            "of livers from unenhanced to portal venous CT: check that mask and scan belong together.",
        )
