"""What is wrong with a liver mask, and where: each check returns findings, most of them none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from flr_volumetry.errors import Caveat
from flr_volumetry.segmentation.quality_features import EDGE_MM, FOREIGN, flattest, shift_mm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flr_volumetry.liver import Liver
    from flr_volumetry.segmentation.quality_features import Features, Profiles
    from flr_volumetry.segmentation.quality_look import Look

LEAST_EDGE_SHARE: Final = 0.5
"""Good masks of phantoms and of three scans follow edges over 0.6 to 0.7 of their surface, masks 12 mm off
over 0.2 to 0.4."""
SHIFT_MM: Final = 2.5
"""Good masks seem shifted by up to 2.3 mm, for veins and neighbours without contrast pull at them."""
FLAT_SHARE: Final = 0.11
"""Good masks have up to 0.08 of their surface in one plane, those cut at a fifth of the liver 0.15."""
AT_EDGE_MM: Final = 4.0
LEAN: Final = 0.02
"""Centroid against the middle of the box, to the left, over the width: -0.07 to -0.19 in 15 livers."""
RAGGED: Final = 0.5
"""Up to 0.32 in hand-drawn masks of 5 mm slices; 1 where every other slice is missing."""
HOLE_ML: Final = 0.3
FOREIGN_ML: Final = 3.0
FOREIGN_MM: Final = 4.0
"""Foreign parts thinner than twice this are partial volume, fissures and vessels (assumed)."""
GAS, FAT, BONE = (-250.0, -15.0, 220.0)
"""HU below which it is gas or lung, below which fat, above which bone or metal."""
CROWD_MM: Final = 20.0


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong at a place.

    Parameters
    ----------
    caveat : Caveat
        What.
    place_mm : tuple of float or None
        Where to look, LPS mm; None if it is everywhere.
    """

    caveat: Caveat
    place_mm: tuple[float, float, float] | None = None


def _finding(code: str, message: str, place: npt.ArrayLike | None) -> Finding:
    if place is None:
        return Finding(Caveat(code, message))
    x, y, z = (float(v) for v in np.asarray(place))
    return Finding(Caveat(code, message.replace("<at>", f"({x:.0f}, {y:.0f}, {z:.0f}) mm")), (x, y, z))


def edges(look: Look, profiles: Profiles, features: Features) -> Iterator[Finding]:
    """Say whether the mask follows the edges of the scan."""
    if features.edge_share >= LEAST_EDGE_SHARE:
        return
    off = ~(profiles.strong & (np.abs(profiles.offset_mm) <= EDGE_MM))
    shift = shift_mm(look, profiles)
    length = float(np.linalg.norm(shift))
    moved = ""
    if length > SHIFT_MM:
        moved = (
            f" The edges are met best if it is moved by about {length:.0f} mm towards {_towards(shift)}: it "
            "may lie on another scan or phase."
        )
    yield _finding(
        "mask_off_edges",
        f"Only {100 * features.edge_share:.0f} % of the liver mask's surface lies at an edge of the scan "
        f"(good masks: 60 % or more); most of it is off near <at> (LPS).{moved}",
        _crowd(look.points[off]),
    )


def _towards(shift: npt.NDArray[np.float64]) -> str:
    names = (("left", "right"), ("back", "front"), ("head", "feet"))
    axis = int(np.abs(shift).argmax())
    return names[axis][0 if shift[axis] > 0 else 1]


def _crowd(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the point that has most others near it."""
    from scipy.spatial import KDTree

    few = points[:: max(1, len(points) // 500)]
    near = KDTree(points).query_ball_point(few, CROWD_MM, return_length=True)
    return np.asarray(few[int(np.argmax(near))])


def flat(liver: Liver, look: Look) -> Iterator[Finding]:
    """Say whether the mask ends at a plane, as livers do not."""
    share, point, normal = flattest(look)
    if share < FLAT_SHARE or _at_edge(liver, point, normal):
        return
    yield _finding(
        "mask_cut_flat",
        f"{100 * share:.0f} % of the liver mask's surface, {share * look.area_cm2:.0f} cm2, lie in one plane "
        "near <at> (LPS): a part of the liver seems to be cut off.",
        point,
    )


def _at_edge(liver: Liver, point: npt.NDArray[np.float64], normal: npt.NDArray[np.float64]) -> bool:
    """Whether the scan itself ends there, which `flr_volumetry.liver.checks` says."""
    index = liver.scan_grid.indices_at([point + normal * AT_EDGE_MM])[0]
    return bool((index < 0).any() or (index > np.asarray(liver.scan_grid.shape) - 1).any())


def mirrored(look: Look) -> Iterator[Finding]:
    """Say whether the bulk of the mask lies on the patient's left."""
    x = look.grid.centres_mm(np.argwhere(look.liver))[:, 0]
    lean = float((x.mean() - (x.min() + x.max()) / 2) / max(float(np.ptp(x)), 1e-6))
    if lean > LEAN:
        yield _finding(
            "mask_mirrored",
            "The bulk of the liver mask lies on the patient's left: either the organs are reversed (situs "
            "inversus), the right liver is gone, or the file misstates left and right.",
            None,
        )


def ragged(features: Features) -> Iterator[Finding]:
    """Say whether slices disagree with their neighbours."""
    if features.ragged > RAGGED:
        yield _finding(
            "mask_ragged",
            "Many slices of the liver mask disagree with the slices before and behind, which agree with each "
            "other: slices are missing from it or out of place.",
            None,
        )


def holes(look: Look) -> Iterator[Finding]:
    """Say where the mask encloses what does not belong to it."""
    import cc3d

    labels, count = cc3d.connected_components(~look.liver, connectivity=6, return_N=True)
    if count < 2:
        return
    stats = cc3d.statistics(labels)
    faces = [np.unique(np.take(labels, at, axis=axis)) for axis in range(3) for at in (0, -1)]
    open_ones = set(np.concatenate(faces).tolist())
    closed = [n for n in range(1, count + 1) if n not in open_ones]
    sizes = {n: int(stats["voxel_counts"][n]) * look.grid.voxel_ml for n in closed}
    large = [n for n in closed if sizes[n] >= HOLE_ML]
    if large:
        largest = max(large, key=lambda n: sizes[n])
        yield _finding(
            "mask_holes",
            f"The liver mask has {len(large)} holes of together {sum(sizes[n] for n in large):.1f} mL, the "
            f"largest, {sizes[largest]:.1f} mL, at <at> (LPS). A lesion or vessel in the liver belongs to "
            "the mask; what is in a hole is not counted.",
            look.grid.centres_mm([stats["centroids"][largest]])[0],
        )


def foreign(liver: Liver, look: Look) -> Iterator[Finding]:
    """Say where the mask holds something that does not look like this liver."""
    import cc3d
    import edt

    if look.smooth is None:
        return
    other = look.liver & ~look.marked & (np.abs(look.smooth - look.median) > FOREIGN * look.sd)
    depth = edt.edt(other, anisotropy=look.grid.spacing_mm, black_border=False)
    thick = depth > FOREIGN_MM
    if not thick.any():
        return
    labels = cc3d.connected_components(np.asfortranarray(thick).view(np.uint8), connectivity=26)
    counts = np.bincount(labels.ravel(order="K"))[1:]
    for n in np.argsort(counts)[::-1][:3] + 1:
        core = labels == n
        around = edt.edt(~core, anisotropy=look.grid.spacing_mm, black_border=False) <= FOREIGN_MM
        part = around & other
        ml = int(np.count_nonzero(part)) * look.grid.voxel_ml
        if ml < FOREIGN_ML:
            continue
        index = np.argwhere(core)
        middle = index[int(depth[tuple(index.T)].argmax())]
        values = look.smooth[part]
        yield _finding(
            "mask_foreign",
            f"{ml:.1f} mL of the liver mask at <at> (LPS) do not look like the rest of it: "
            f"{_kind(float(np.median(values)), look.median, liver)}",
            look.grid.centres_mm([middle])[0],
        )


def _kind(value: float, median: float, liver: Liver) -> str:
    ct = liver.image is not None and liver.image.source.modality == "CT"
    unit = " HU" if ct else ""
    what = "an unmarked lesion, or a neighbouring organ?"
    if ct and value < GAS:
        what = "lung or gas?"
    elif ct and value < FAT:
        what = "fat?"
    elif ct and value > BONE:
        what = "bone or metal?"
    elif value > median:
        what = "a vessel, or a neighbouring organ?"
    return f"{value:.0f}{unit}, the liver {median:.0f}{unit}. Is it {what}"
