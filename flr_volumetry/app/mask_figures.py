"""Pictures of what is doubtful in a liver's mask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flr_volumetry.report import FigureKind, ReportFigure
from flr_volumetry.report.mask_pictures import MaskScene, Outline, grey_window, mask_planes
from flr_volumetry.report.positions import shown_box

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flr_volumetry.liver import Liver
    from flr_volumetry.segmentation.quality_findings import Finding

LIVER_RGB: Final = (221, 130, 101)
MOST_PICTURES: Final = 4


def finding_figures(liver: Liver, findings: Iterable[Finding]) -> tuple[ReportFigure, ...]:
    """Draw the place of each finding in three planes.

    Parameters
    ----------
    liver : Liver
        Whose mask it is.
    findings : iterable of Finding
        Those without a place are passed over; at most four are drawn.

    Returns
    -------
    tuple of ReportFigure
        In their order.
    """
    placed = [f for f in findings if f.place_mm is not None][:MOST_PICTURES]
    if not placed:
        return ()
    low, high = shown_box(liver)
    outline = Outline("liver", liver.grid, liver.voxels, LIVER_RGB)
    scene = MaskScene(liver.image, (outline,), low, high)
    window = grey_window(liver.image, liver.voxels)
    return tuple(
        ReportFigure(
            f"mask_{number}",
            FigureKind.MASK,
            "Doubtful place of the liver's mask",
            f"{finding.caveat.message} The cross marks it.",
            finding.caveat.message,
            mask_planes(scene, finding.place_mm or (0, 0, 0), title=finding.caveat.code, window=window),
        )
        for number, finding in enumerate(placed, start=1)
    )
