"""A patient's liver, read, checked and followed along its vessels: what every plan for it begins with."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from flr_volumetry.app.landmarks import with_case_segments
from flr_volumetry.app.load import load_case
from flr_volumetry.app.vessels import with_case_territories
from flr_volumetry.images import Source
from flr_volumetry.io.derived import source_scan
from flr_volumetry.resection import lesion_surface
from flr_volumetry.segmentation.quality import check_masks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flr_volumetry.app.case import Case
    from flr_volumetry.app.load import Loaded
    from flr_volumetry.liver import Liver
    from flr_volumetry.resection import Patches
    from flr_volumetry.segmentation import Quality
    from flr_volumetry.segmentation.quality_findings import Finding


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A patient's liver before any plan is carried out.

    Parameters
    ----------
    loaded : Loaded
        What the case names, read.
    liver : Liver
        With the caveats of its mask, its territories and segments.
    quality : Quality
        Of the liver's mask.
    findings : tuple of Finding
        What is wrong with that mask, and where.
    surfaces : mapping of int to Patches
        Of the lesions, by number.
    methods : tuple of str
        Sentences for the methods section.
    """

    loaded: Loaded = field(repr=False)
    liver: Liver = field(repr=False)
    quality: Quality
    findings: tuple[Finding, ...] = field(repr=False)
    surfaces: Mapping[int, Patches] = field(repr=False)
    methods: tuple[str, ...] = field(repr=False)

    @property
    def source(self) -> Source | None:
        """Where the scan was read from; None without one."""
        image = self.loaded.liver.image
        return image.source if image is not None else None


def prepare(case: Case, tell: Callable[[str], None]) -> Prepared:
    """Read and check a case's liver, and follow its vessels.

    Parameters
    ----------
    case : Case
        As `flr_volumetry.app.case.read_case` returns it.
    tell : callable
        Called with the name of each step as it begins.

    Returns
    -------
    Prepared
        The same for every plan that names no file, vessel or imported remnant.

    Raises
    ------
    FlrError
        If an input cannot be read, the masks do not fit, or DICOM objects are asked for and cannot be made.
    """
    tell("reading image and masks")
    loaded = load_case(case, tell=tell)
    if case.output.dicom:
        # Asked for in so many words: said before the work is done, if it cannot be.
        image = loaded.liver.image
        source_scan(image.source if image is not None else Source(), loaded.liver.scan_grid)
    tell("checking the masks")
    checked = check_masks(loaded.liver)
    liver = replace(loaded.liver, caveats=(*loaded.liver.caveats, *checked.caveats))
    tell("following the vessels")
    liver = with_case_territories(liver, case)
    liver, placed = with_case_segments(liver, case)
    return Prepared(
        loaded,
        liver,
        checked.quality,
        checked.findings,
        {lesion.number: lesion_surface(lesion, liver.grid) for lesion in liver.lesions},
        methods=(
            *loaded.methods,
            *checked.methods,
            *(sentence for t in liver.territories for sentence in t.methods),
            *placed,
        ),
    )
