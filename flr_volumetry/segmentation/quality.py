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
from flr_volumetry.segmentation.readers import against_reader, expected_dice, least_of, own_error

if TYPE_CHECKING:
    from flr_volumetry.errors import Caveat
    from flr_volumetry.images import Origin
    from flr_volumetry.liver import Liver
    from flr_volumetry.segmentation.quality_findings import Finding

WEIGHTS: Final = (-3.82, 3.27, 1.16, 3.29, 0.23, 11.3)
"""Of 1, 1 - edge_share, edge_offset_mm, like_outside, foreign_rim and foreign: least squares, none but the
first negative, on 150 good, wavering, wide, tight and spoilt masks of ten phantoms; true and predicted Dice
correlate with 0.93 (`tests/evaluate/test_quality.py` holds other patients against it)."""
MOST_MM: Final = 20.0
"""What is off by more is no liver any more."""
BASIS: Final = (
    "from how the mask follows the scan's edges and what lies inside and just outside it, by a fit on "
    "synthetic patients, and never better than two careful readers agree"
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
            return (f"{checks}; without a scan nothing is known of its error{self._origin}.",)
        checks += ", and against the scan for edges and foreign tissue"
        if self.quality.dice is None or self.quality.boundary_mm is None:
            return (f"{checks}; {self.quality.basis}{self._origin}.",)
        return (
            f"{checks}. Its outline is expected to lie {self.quality.boundary_mm:.1f} mm from a careful "
            f"reader's on average (Dice {self.quality.dice:.2f}), {self.quality.basis}.",
        )

    @property
    def _origin(self) -> str:
        if self.quality.boundary_mm is None:
            return ""
        return (
            f" but that what made it lies {self.quality.boundary_mm:.1f} mm from a reader's outline elsewhere"
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
        Findings, and the error to be expected: of a mask that a back-end made, edited or not, never less
        than that back-end expects or reached. Without a scan only that is known.
    """
    look = look_at(liver)
    profiles = profiles_of(look)
    features = features_of(look, profiles)
    found = [*findings.mirrored(look), *findings.ragged(features), *findings.holes(look)]
    found += findings.flat(liver, look)
    if profiles is None:
        return Checked(tuple(found), Quality(Structure.LIVER, boundary_mm=least_of(liver.origin)), features)
    found += findings.edges(look, profiles, features)
    found += findings.foreign(liver, look)
    gross = sorted({f.caveat.code for f in found} & NO_ESTIMATE)
    if gross:
        basis = f"no estimate, because of what was found: {', '.join(gross)}"
        quality = Quality(Structure.LIVER, boundary_mm=least_of(liver.origin), basis=basis)
        return Checked(tuple(found), quality, features)
    boundary, basis = _boundary(features, liver.origin)
    dice = expected_dice(boundary, ml=liver.ml, area_cm2=look.area_cm2)
    return Checked(tuple(found), Quality(Structure.LIVER, 0, dice, boundary, basis), features)


def _boundary(features: Features, origin: Origin | None) -> tuple[float, str]:
    """Return the distance to be expected, and where that comes from."""
    boundary, least = expected_boundary_mm(features), least_of(origin)
    if origin is None or least is None or least <= boundary:
        return boundary, BASIS
    return least, (
        f"which is what {origin.made_by}, by which the mask was made, expects or reached where it was "
        "measured: a mask that was laid along the scan's edges is not told good by them"
    )


def expected_boundary_mm(features: Features) -> float:
    """Return the mean distance to be expected between a mask's surface and a careful reader's.

    Parameters
    ----------
    features : Features
        With a scan.

    Returns
    -------
    float
        mm; never less than two readers differ, see `flr_volumetry.segmentation.readers`.
    """
    f = features
    terms = (1.0, 1 - f.edge_share, f.edge_offset_mm, f.like_outside, f.foreign_rim, f.foreign)
    return min(MOST_MM, against_reader(sum(w * t for w, t in zip(WEIGHTS, terms, strict=True))))


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
    For a normal error of mean 0 the mean distance is ``sqrt(2 / pi)`` standard deviations. Of the distance
    from a reader's outline, the reader's own error is taken off: a mask as good as a reader's wavers by
    1.2 mm, which `flr_volumetry.volumetry.uncertainty.DrawingErrors` takes of any.

    Examples
    --------
    >>> round(boundary_sd_mm(Quality(Structure.LIVER, boundary_mm=1.35)), 2)
    1.2
    >>> round(boundary_sd_mm(Quality(Structure.LIVER, boundary_mm=3.0)), 2)
    3.56
    """
    if quality.boundary_mm is None:
        return None
    return own_error(quality.boundary_mm) * math.sqrt(math.pi / 2)
