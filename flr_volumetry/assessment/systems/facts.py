"""What masks and plan say of the questions that the systems ask."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flr_volumetry.assessment.model import Assessment
    from flr_volumetry.assessment.systems.attested import Attested
    from flr_volumetry.resection import ResectionPlan
    from flr_volumetry.volumetry.consequences import Consequences
    from flr_volumetry.volumetry.measure import LesionFacts, LiverVolumes
    from flr_volumetry.volumetry.near_vessels import NearVessel
    from flr_volumetry.volumetry.patient import Patient

RIGHT, LEFT = frozenset({5, 6, 7, 8}), frozenset({2, 3, 4})
MAJOR_SEGMENTS = 3
"""A hepatectomy of three segments or more is called major (general usage)."""


@dataclass(frozen=True, slots=True)
class Facts:
    """One assessed case, as the systems see it.

    Parameters
    ----------
    volumes : LiverVolumes
        Counted, with the lesions.
    consequences : Consequences
        Of the cut.
    assessment : Assessment
        Judged by volume and function.
    patient : Patient
        Parenchyma, chemotherapy and tests.
    attested : Attested
        What only the user can say.
    plan : ResectionPlan
        What is cut, ablated, and after what.
    near : tuple of NearVessel
        Distances of lesions from large vessels, as far as vessels are known.
    """

    volumes: LiverVolumes
    consequences: Consequences
    assessment: Assessment
    patient: Patient
    attested: Attested
    plan: ResectionPlan
    near: tuple[NearVessel, ...] = ()

    @property
    def lesions(self) -> tuple[LesionFacts, ...]:
        """All lesions, in order."""
        return self.volumes.lesions

    @property
    def largest_mm(self) -> float | None:
        """Longest diameter of the largest lesion, mm; None without lesions."""
        return max((x.longest_diameter_mm for x in self.lesions), default=None)

    @property
    def uncleared(self) -> tuple[int, ...]:
        """Numbers of the lesions that the plan does not clear."""
        return tuple(x.number for x in self.lesions if not x.cleared)

    @property
    def least_margin_mm(self) -> float | None:
        """Smallest margin of the cleared lesions, mm; None where none has a margin."""
        margins = [x.margin_mm for x in self.lesions if x.cleared and math.isfinite(x.margin_mm)]
        return min(margins, default=None)

    @property
    def clearance(self) -> str:
        """In words, what the plan does to the lesions."""
        if not self.lesions:
            return "no lesion was given"
        if self.uncleared:
            return f"not cleared: {', '.join(map(str, self.uncleared))} of {len(self.lesions)}"
        least = self.least_margin_mm
        margin = f", smallest margin {least:.1f} mm" if least is not None else ""
        return f"all {len(self.lesions)} cleared by the plan{margin}"

    @property
    def bilobar(self) -> bool | None:
        """Whether lesions lie in both halves of the liver; None without a segment map or attestation."""
        mains = [x.segments[0] for x in self.lesions if x.segments]
        if not self.lesions or len(mains) < len(self.lesions):
            return self.attested.bilobar
        return any(n in RIGHT for n in mains) and any(n in LEFT for n in mains)

    @property
    def sides(self) -> str:
        """In words, where the lesions lie."""
        if self.bilobar is None:
            return "needs a segment map, or bilobar under [attested]"
        if not all(x.segments for x in self.lesions):
            return "attested by bilobar"
        named = "; ".join(f"{x.number}: {x.location}" for x in self.lesions)
        return f"by the segment of most of each lesion ({named})"

    @property
    def involvement(self) -> float:
        """Share of the liver that is tumour, a fraction."""
        return self.volumes.tumour_ml / self.volumes.total_ml

    def index(self, key: str) -> float | None:
        """Return a ratio by its key; None if it could not be computed."""
        return next((i.value for i in self.assessment.indices if i.key == key), None)

    @property
    def removed_segments(self) -> tuple[int, ...] | None:
        """Segments of which more than half goes; None without a segment map."""
        if not self.volumes.segments:
            return None
        return tuple(s.segment for s in self.volumes.segments if s.segment and s.remnant_ml < 0.5 * s.ml)
