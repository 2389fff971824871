"""How good a liver's masks are, whatever their source: what is wrong where, and an expected error.

Size, separate parts, the edge of the scan and plain intensity are checked by
`flr_volumetry.liver.crop_liver`; here is what needs the scan's edges or the mask's shape.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from flr_volumetry.anatomy import Structure
from flr_volumetry.segmentation import quality_findings as findings
from flr_volumetry.segmentation.protocol import Quality
from flr_volumetry.segmentation.quality_features import Features, features_of, profiles_of
from flr_volumetry.segmentation.quality_look import look_at

if TYPE_CHECKING:
    from flr_volumetry.errors import Caveat
    from flr_volumetry.liver import Liver
    from flr_volumetry.segmentation.quality_findings import Finding

WEIGHTS: Final = (-3.82, 3.27, 1.16, 3.29, 0.23, 11.3)
"""Of 1, 1 - edge_share, edge_offset_mm, like_outside, foreign_rim and foreign: least squares, none but the
first negative, on 150 good, wavering, wide, tight and spoilt masks of ten phantoms; true and predicted Dice
correlate with 0.93 (`tests/evaluate/test_quality.py` holds other patients against it)."""
LEAST_MM, MOST_MM = 0.3, 20.0
"""Readers do not agree better than the first (assumed); the second is no liver any more."""
BASIS: Final = (
    "from how the mask follows the scan's edges and what lies inside and just outside it, by a fit on "
    "synthetic patients"
)
NO_ESTIMATE: Final = frozenset({"mask_cut_flat", "mask_holes", "mask_mirrored", "mask_ragged"})
"""Gross errors at one place, which the estimate, made for the whole outline, would hide."""


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """What the checks of a liver's masks found.

    Parameters
    ----------
    findings : tuple of Finding
        What is wrong, and where.
    quality : Quality
        Of the liver's mask.
    features : Features
        What it was told from.
    """

    findings: tuple[Finding, ...]
    quality: Quality
    features: Features = field(repr=False)

    @property
    def caveats(self) -> tuple[Caveat, ...]:
        """What is wrong, without places."""
        return tuple(f.caveat for f in self.findings)

    @property
    def methods(self) -> tuple[str, ...]:
        """One sentence for the methods section."""
        checks = "The liver's mask was checked for holes, planes, order of slices and side"
        if math.isnan(self.features.edge_share):
            return (f"{checks}; without a scan nothing is known of its error.",)
        checks += ", and against the scan for edges and foreign tissue"
        if self.quality.dice is None or self.quality.boundary_mm is None:
            return (f"{checks}; {self.quality.basis}.",)
        return (
            f"{checks}. Its outline is expected to lie {self.quality.boundary_mm:.1f} mm off on average "
            f"(Dice {self.quality.dice:.2f}), {self.quality.basis}.",
        )


def check_masks(liver: Liver) -> Checked:
    """Check the mask of a liver against its scan and against the shape of livers.

    Parameters
    ----------
    liver : Liver
        Cropped; with its scan if there is one, with lesions and vessels as far as they are known.

    Returns
    -------
    Checked
        Findings, and the error to be expected; without a scan nothing is expected.
    """
    look = look_at(liver)
    profiles = profiles_of(look)
    features = features_of(look, profiles)
    found = [*findings.mirrored(look), *findings.ragged(features), *findings.holes(look)]
    found += findings.flat(liver, look)
    if profiles is None:
        return Checked(tuple(found), Quality(Structure.LIVER), features)
    found += findings.edges(look, profiles, features)
    found += findings.foreign(liver, look)
    gross = sorted({f.caveat.code for f in found} & NO_ESTIMATE)
    if gross:
        basis = f"no estimate, because of what was found: {', '.join(gross)}"
        return Checked(tuple(found), Quality(Structure.LIVER, basis=basis), features)
    boundary = expected_boundary_mm(features)
    dice = expected_dice(boundary, ml=liver.ml, area_cm2=look.area_cm2)
    quality = Quality(Structure.LIVER, dice=dice, boundary_mm=boundary, basis=BASIS)
    return Checked(tuple(found), quality, features)


def expected_boundary_mm(features: Features) -> float:
    """Return the mean distance to be expected between a mask's surface and the true one.

    Parameters
    ----------
    features : Features
        With a scan.

    Returns
    -------
    float
        mm.
    """
    f = features
    terms = (1.0, 1 - f.edge_share, f.edge_offset_mm, f.like_outside, f.foreign_rim, f.foreign)
    return min(MOST_MM, max(LEAST_MM, sum(w * t for w, t in zip(WEIGHTS, terms, strict=True))))


def expected_dice(boundary_mm: float, *, ml: float, area_cm2: float) -> float:
    """Return the Dice coefficient that goes with a distance between two surfaces.

    Parameters
    ----------
    boundary_mm : float
        Mean distance, mm.
    ml : float
        Volume of the mask, mL.
    area_cm2 : float
        Its surface, cm2.

    Returns
    -------
    float
        From 0 to 1.

    Notes
    -----
    The volume in one mask and not in the other is surface times distance, and ``1 - Dice`` half of that
    over the volume.

    Examples
    --------
    >>> expected_dice(1.0, ml=1500, area_cm2=900)
    0.97
    """
    return max(0.0, round(1 - area_cm2 * boundary_mm / 10 / (2 * ml), 4))


def boundary_sd_mm(quality: Quality) -> float | None:
    """Return by how much an outline wavers, for the uncertainty of volumes.

    Parameters
    ----------
    quality : Quality
        Of the liver's mask.

    Returns
    -------
    float or None
        Standard deviation, mm; None where nothing is known.

    Notes
    -----
    For a normal error of mean 0 the mean distance is ``sqrt(2 / pi)`` standard deviations; one of the two
    outlines, the true one, is taken as exact.

    Examples
    --------
    >>> round(boundary_sd_mm(Quality(Structure.LIVER, boundary_mm=1.0)), 3)
    1.253
    """
    return None if quality.boundary_mm is None else quality.boundary_mm * math.sqrt(math.pi / 2)
