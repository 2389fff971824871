"""Livers that add up, people, rules and protocols, all made up."""

from __future__ import annotations

from flr_volumetry.assessment import Applicability, Citation, Evidence, Protocol, Rule, assess
from flr_volumetry.io.protocols import available_protocols
from flr_volumetry.volumetry.measure import LiverVolumes, SegmentVolume, StageVolumes
from flr_volumetry.volumetry.patient import Parenchyma, Patient
from flr_volumetry.volumetry.uncertainty import RelativeErrors

ALL = available_protocols()
PERSON = {"height_cm": 170, "weight_kg": 70}
NORMAL = Patient(**PERSON, parenchyma=Parenchyma.NORMAL, chemotherapy_weeks=0)
EXACT = RelativeErrors(remnant=0.0, liver=0.0)


def rule(index="flr", threshold=0.25, **changes):
    """Return a rule that applies to everyone."""
    known = {
        "id": "R",
        "title": "rule",
        "index": index,
        "denominator": "its own",
        "threshold": threshold,
        "strict": False,
        "population": "all",
        "applies_if": Applicability(),
        "effect_below": "below",
        "effect_above": "above",
        "citation": Citation("Source 2000"),
        "evidence": Evidence.FOUND,
    }
    return Rule(**{**known, **changes})


def protocol(*rules, key="p"):
    """Return a protocol of these rules."""
    return Protocol(key, f"Protocol {key}", "1.0", "made up", rules)


def judge(one_rule, volumes=None, patient=NORMAL, errors=None):
    """Return the finding of one rule."""
    known = {} if errors is None else {"errors": errors}
    return assess(volumes or liver(), patient, [protocol(one_rule)], **known).findings[0]


def by_id(assessment):
    """Return findings by the ids of their rules."""
    return {finding.rule.id: finding for finding in assessment.findings}


def codes(assessment):
    """Return the codes of the caveats."""
    return [caveat.code for caveat in assessment.caveats]


def liver(
    *,
    total=1650.0,
    tumour=150.0,
    remnant=330.0,
    tumour_left=0.0,
    ablated=0.0,
    segments=None,
    after="",
    caveats=(),
):
    """Return a liver of so many mL, all its tumour resected unless some is left."""
    resected = total - remnant - ablated
    return LiverVolumes(
        total_ml=total,
        tumour_ml=tumour,
        functional_ml=total - tumour,
        remnant_ml=remnant,
        remnant_functional_ml=remnant - tumour_left,
        resected_ml=resected,
        ablated_ml=ablated,
        resected_tumour_ml=tumour - tumour_left,
        segments=tuple(SegmentVolume(n, ml, 0.0) for n, ml in (segments or {}).items()),
        lesions=(),
        stages=(StageVolumes(2, "stage two", after, (), resected, ablated, remnant, remnant),),
        voxel_ml=0.001,
        caveats=caveats,
    )


def unit(key):
    """Return the unit of an index."""
    return "mL/m2" if key == "flr_per_bsa" else "fraction"
