"""A plan at rest, assessed in full: intervals from the liver's geometry, as the report has them."""

from __future__ import annotations

import gzip
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from flr_volumetry.app.functional_map import tissue_of, with_functional_map
from flr_volumetry.app.review.numbers import Spread, finding_rows
from flr_volumetry.app.run import widened
from flr_volumetry.assessment.engine import assess
from flr_volumetry.assessment.model import PlannedCut
from flr_volumetry.report import wording
from flr_volumetry.report.scene import onto, upright_grid
from flr_volumetry.resection import resect
from flr_volumetry.volumetry.consequences import weigh
from flr_volumetry.volumetry.measure import measure
from flr_volumetry.volumetry.uncertainty import estimate_errors

if TYPE_CHECKING:
    from flr_volumetry.app.review.session import Opened
    from flr_volumetry.resection import ResectionPlan

SHOWN = ("remnant_functional_ml", "remnant_ml", "resected_ml", "ablated_ml", "total_ml", "tumour_ml")


@dataclass(frozen=True, slots=True, eq=False)
class Settled:
    """A plan assessed in full.

    Parameters
    ----------
    facts : dict
        Intervals, findings, margins and caveats, as JSON.
    spread : Spread
        How far its volumes are off.
    overlay : bytes
        Its pieces on the upright grid of the page, columns fastest, compressed.
    """

    facts: dict[str, Any]
    spread: Spread
    overlay: bytes = field(repr=False)


def settle(opened: Opened, plan: ResectionPlan) -> Settled:
    """Carry a plan out and assess it in full.

    Parameters
    ----------
    opened : Opened
        The case.
    plan : ResectionPlan
        At rest.

    Returns
    -------
    Settled
        The same numbers as the report of that plan.

    Raises
    ------
    FlrError
        If the plan cannot be carried out, or leaves no working liver.
    """
    ready, case = opened.ready, opened.case
    liver = ready.liver
    partition = resect(liver, plan, surfaces=ready.surfaces)
    volumes = measure(liver, partition, surfaces=ready.surfaces)
    consequences = weigh(liver, partition)
    patient, _ = with_functional_map(opened.patient, case, liver, partition)
    drawing = widened(case.uncertainty.value(), opened.quality)
    errors = estimate_errors(liver, partition, volumes, consequences=consequences, errors=drawing)
    relative = case.uncertainty.relative()
    if relative is not None:
        errors = errors.with_relative(volumes, relative)
    assessment = assess(
        volumes,
        patient,
        opened.protocols,
        errors=errors,
        tissue=tissue_of(case, liver, patient),
        cut=PlannedCut(partition.plan, consequences),
    )
    flr = next(i for i in assessment.indices if i.key == "flr")
    facts: dict[str, Any] = {
        "intervals": {n: errors.interval(n, getattr(volumes, n)) for n in SHOWN if n in errors.names},
        "remnant_functional_ml": volumes.remnant_functional_ml,
        "flr": flr.value,
        "flr_interval": flr.interval,
        "findings": finding_rows(assessment.findings),
        "conclusion": list(assessment.conclusion),
        "consequences": [list(row) for row in wording.consequence_rows(consequences)],
        "caveats": [c.message for c in dict.fromkeys((*partition.caveats, *volumes.caveats))],
    }
    labels = onto(np.asarray(partition.labels), liver.grid, upright_grid(liver.grid), order=0)
    overlay = gzip.compress(labels.astype(np.uint8).tobytes(order="F"), compresslevel=1, mtime=0)
    return Settled(facts, Spread(assessment.errors or errors, volumes), overlay)
