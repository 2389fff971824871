"""The systems of the literature, each filled in for one case: computed, attested, or missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flr_volumetry.assessment.systems.ablation import ablation, collision, who_must_be_tested
from flr_volumetry.assessment.systems.attested import NOTHING_ATTESTED, Attested
from flr_volumetry.assessment.systems.facts import Facts
from flr_volumetry.assessment.systems.guidelines import (
    ecmtg_stage,
    jsccr_2010,
    resectability_group,
    technical,
)
from flr_volumetry.assessment.systems.model import Answer, Basis, Checklist, Item, Outcome
from flr_volumetry.assessment.systems.oncosurge import oncosurge_abstract, oncosurge_review
from flr_volumetry.assessment.systems.prognosis import (
    extrahepatic,
    fong,
    peritoneal,
    primary_tumour,
    prognostic_factors,
)

if TYPE_CHECKING:
    from collections.abc import Callable

SYSTEMS: tuple[Callable[[Facts], Checklist], ...] = (
    technical,
    oncosurge_review,
    oncosurge_abstract,
    jsccr_2010,
    ecmtg_stage,
    resectability_group,
    fong,
    prognostic_factors,
    extrahepatic,
    peritoneal,
    primary_tumour,
    ablation,
    collision,
    who_must_be_tested,
)
"""In the order of the report."""


def fill_in(facts: Facts) -> tuple[Checklist, ...]:
    """Fill in every system.

    Parameters
    ----------
    facts : Facts
        One assessed case, and what the user attests.

    Returns
    -------
    tuple of Checklist
        In the order of `SYSTEMS`; evidence, never an order.
    """
    return tuple(system(facts) for system in SYSTEMS)


__all__ = [
    "NOTHING_ATTESTED",
    "Answer",
    "Attested",
    "Basis",
    "Checklist",
    "Facts",
    "Item",
    "Outcome",
    "fill_in",
]
