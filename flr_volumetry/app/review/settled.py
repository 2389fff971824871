"""A plan at rest, assessed in full: intervals from the liver's geometry, as the report has them."""

from __future__ import annotations

import gzip
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from flr_volumetry.app.measured import count, judge
from flr_volumetry.app.review.numbers import Spread, finding_rows
from flr_volumetry.report import wording
from flr_volumetry.report.scene import onto, upright_grid
from flr_volumetry.resection import resect

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
    ready, liver = opened.ready, opened.ready.liver
    partition = resect(liver, plan, surfaces=ready.surfaces)
    counted, _ = count(opened.case, liver, partition, quality=opened.quality, surfaces=ready.surfaces)
    judged = judge(opened.case, counted, partition.plan, opened.protocols)
    volumes, errors, assessment = counted.volumes, judged.errors, judged.assessment
    flr = next(i for i in assessment.indices if i.key == "flr")
    facts: dict[str, Any] = {
        "intervals": {n: errors.interval(n, getattr(volumes, n)) for n in SHOWN if n in errors.names},
        "remnant_functional_ml": volumes.remnant_functional_ml,
        "flr": flr.value,
        "flr_interval": flr.interval,
        "findings": finding_rows(assessment.findings),
        "conclusion": list(assessment.conclusion),
        "consequences": [list(row) for row in wording.consequence_rows(counted.consequences)],
        "caveats": [c.message for c in dict.fromkeys((*partition.caveats, *volumes.caveats))],
    }
    labels = onto(np.asarray(partition.labels), liver.grid, upright_grid(liver.grid), order=0)
    overlay = gzip.compress(labels.astype(np.uint8).tobytes(order="F"), compresslevel=1, mtime=0)
    return Settled(facts, Spread(assessment.errors or errors, volumes), overlay)
