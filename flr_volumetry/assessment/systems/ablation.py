"""Which lesions are small and free enough to be ablated (W10 to W14), and the COLLISION trial's criteria."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flr_volumetry.assessment.model import Citation, Evidence
from flr_volumetry.assessment.systems.model import (
    Answer,
    Basis,
    Checklist,
    Item,
    Outcome,
    attested,
    computed,
    conjunction,
    noted,
    sentence_of,
)
from flr_volumetry.resection import Ablation
from flr_volumetry.volumetry.formulas import ablation_zone_ml

if TYPE_CHECKING:
    from flr_volumetry.assessment.systems.facts import Facts
    from flr_volumetry.volumetry.measure import LesionFacts

REVIEW_MM = 30.0
RFA_MM = 25.0
TRIAL_MM = 30.0
TRIAL_LESIONS = 10
LEAST_MARGIN_MM, OPTIMAL_MARGIN_MM = 5.0, 10.0
HEAT_SINK_MM = 5.0
"""Nearer than this to a large vessel an ablation may be cooled (assumed: the least margin)."""
TRIAL_ECOG, TRIAL_ASA = 2, 3


def ablation(facts: Facts) -> Checklist:
    """Show for each lesion whether size, margin and vessels allow of ablation.

    Parameters
    ----------
    facts : Facts
        The case; distances from vessels as far as their masks are given.

    Returns
    -------
    Checklist
        One item a lesion on size, one on vessels, one on the margin of each that the plan ablates.
    """
    planned = _planned(facts)
    items: list[Item] = []
    for lesion in facts.lesions:
        items.append(_size(lesion))
        items.append(_vessels(facts, lesion))
        if lesion.number in planned:
            items.append(_margin(lesion, planned[lesion.number]))
    small = [x.number for x in facts.lesions if x.longest_diameter_mm < REVIEW_MM]
    judged = [i for i in items if int(i.key.split("_")[1]) in planned]
    named = ", ".join(map(str, small)) or "none"
    plan = f"the plan ablates {', '.join(map(str, sorted(planned)))}" if planned else "the plan ablates none"
    return Checklist(
        key="ablation",
        title="Ablation",
        outcome=conjunction(judged) if judged else Outcome.DISPLAY,
        sentence=f"Below 3 cm: {named} of {len(facts.lesions)} lesions; {plan}.",
        items=tuple(items),
        citation=Citation(
            "Review of 2014 (Baishideng) [12, 90, 6]; Chlorogiannis et al., Cancers 2023;15:5806 (margins)"
        ),
        evidence=Evidence.FOUND,
        notes=(
            "Five-year survival after radiofrequency ablation: 56 % solitary below 2.5 cm, 13 % above "
            "[90]; local "
            "recurrence 12 % at one year, 50 to 70 % at five.",
            "Margins below 5 mm: local progression 3.6 times as often (2.58 to 5.03); 5 to 10 against "
            "more than "
            "10 mm: 3.64 (1.31 to 10.10), 2873 lesions.",
            "The review of 2014 calls radiofrequency ablation undoubtedly inferior to resection, and only "
            "to be "
            "combined with it [6]; dated: the COLLISION trial, up to 3 cm, found it not inferior (GK-M). "
            "Microwave "
            "ablation: no difference in survival [96].",
            "Large vessels of 3 mm and more near a lesion, and bile ducts, which are not seen here, are "
            "warnings "
            "(GK-H).",
        ),
    )


def _planned(facts: Facts) -> dict[int, float]:
    """Lesions that the plan ablates, and the margin of it."""
    found: dict[int, float] = {}
    for stage in facts.plan.stages:
        for cut in stage.resections:
            if isinstance(cut, Ablation):
                found.update(dict.fromkeys(cut.lesions, cut.margin_mm))
    return found


def _size(lesion: LesionFacts) -> Item:
    mm = lesion.longest_diameter_mm
    zones = " and ".join(
        f"{ablation_zone_ml(diameter_mm=mm, margin_mm=m):.1f}" for m in (LEAST_MARGIN_MM, OPTIMAL_MARGIN_MM)
    )
    rfa = "below" if mm < RFA_MM else "not below"
    return computed(
        f"lesion_{lesion.number}_size",
        f"Lesion {lesion.number}: smaller than 3 cm?",
        mm < REVIEW_MM,
        f"{mm:.1f} mm, {rfa} 2.5 cm; a zone with 5 and 10 mm is {zones} mL",
    )


def _vessels(facts: Facts, lesion: LesionFacts) -> Item:
    key, question = (
        f"lesion_{lesion.number}_vessels",
        f"Lesion {lesion.number}: 5 mm or more from large vessels?",
    )
    mine = [n for n in facts.near if n.lesion == lesion.number]
    if not mine:
        return Item(key, question, Answer.UNKNOWN, Basis.MISSING, "no mask of a large vessel was given")
    nearest = min(mine, key=lambda n: n.distance_mm)
    name = nearest.structure.value.replace("_", " ")
    return computed(
        key, question, nearest.distance_mm >= HEAT_SINK_MM, f"{nearest.distance_mm:.1f} mm from the {name}"
    )


def _margin(lesion: LesionFacts, margin_mm: float) -> Item:
    best = "optimal" if margin_mm >= OPTIMAL_MARGIN_MM else "not the optimal 10 mm"
    return computed(
        f"lesion_{lesion.number}_margin",
        f"Lesion {lesion.number}: ablation margin of more than 5 mm?",
        margin_mm > LEAST_MARGIN_MM,
        f"planned with {margin_mm:g} mm, {best}",
    )


def collision(facts: Facts) -> Checklist:
    """Fill in the criteria of the COLLISION trial, thermal ablation against surgery.

    Parameters
    ----------
    facts : Facts
        The case.

    Returns
    -------
    Checklist
        Context: whom the trial took in. Function (G14) stands with the rules of function.
    """
    said, count, largest = facts.attested, len(facts.lesions), facts.largest_mm
    status, asa = said.performance_status, said.asa
    items = (
        computed(
            "up_to_ten",
            "Are there at most ten metastases?",
            count <= TRIAL_LESIONS if count else None,
            f"{count} lesions in the masks",
        ),
        computed(
            "any_up_to_3_cm",
            "Is at least one of 3 cm or less?",
            None if largest is None else any(x.longest_diameter_mm <= TRIAL_MM for x in facts.lesions),
            ", ".join(f"{x.number}: {x.longest_diameter_mm:.1f} mm" for x in facts.lesions) or "no lesion",
        ),
        attested(
            "no_extrahepatic_disease",
            "Is there no disease outside the liver?",
            None if said.extrahepatic_sites is None else not said.extrahepatic_sites,
            "extrahepatic_sites",
        ),
        attested(
            "performance_status",
            "Is the performance status ECOG 0 to 2?",
            None if status is None else status <= TRIAL_ECOG,
            "performance_status",
        ),
        attested("asa_class", "Is the ASA class 1 to 3?", None if asa is None else asa <= TRIAL_ASA, "asa"),
    )
    return Checklist(
        key="collision",
        title="COLLISION trial, whom it took in",
        outcome=conjunction(items),
        sentence=sentence_of(items, "criteria"),
        items=items,
        citation=Citation("COLLISION trial protocol, PMC6094448"),
        evidence=Evidence.FOUND,
        notes=(
            "Compromised liver function was excluded too: rules G14a to G14c of the protocol liver-function.",
        ),
    )


def who_must_be_tested(facts: Facts) -> Checklist:
    """Say whether tests of liver function are recommended, and which were made (G13).

    Parameters
    ----------
    facts : Facts
        The case.

    Returns
    -------
    Checklist
        Reasons to test, and whether any test was given.
    """
    removed, table = facts.removed_segments, facts.assessment.function
    parenchyma = facts.patient.parenchyma
    reasons = []
    if removed is not None and len(removed) >= 3:
        reasons.append(f"{len(removed)} segments go")
    if parenchyma is not None and parenchyma.value not in {"normal"}:
        reasons.append(f"parenchyma: {parenchyma.value}")
    if facts.attested.previous_liver_surgery:
        reasons.append("previous liver surgery")
    hypertension = table.find("portal_hypertension") if table is not None else None
    if hypertension is not None and hypertension.value == 2:
        reasons.append("signs of portal hypertension")
    made = [q.key for q in table.quantities] if table is not None else []
    tested = computed(
        "function_tested",
        "Was liver function tested, or is no reason to test it known?",
        bool(made) if reasons else True,
        f"given: {', '.join(made)}"
        if made
        else "no test is given under [function]" + ("" if reasons else ", and no reason to test is known"),
    )
    why = noted(
        "reasons",
        "Reasons to test: three segments or more, chronic disease, injury by chemotherapy, earlier "
        "surgery, portal hypertension",
        "; ".join(reasons) or "none known",
        basis=Basis.COMPUTED if reasons else Basis.MISSING,
    )
    return Checklist(
        key="function-testing",
        title="Who must be tested",
        outcome=conjunction((tested,)),
        sentence="Tests of liver function are strongly recommended, two to four weeks before at the latest."
        if reasons
        else "No reason to test is known from what was given.",
        items=(why, tested),
        citation=Citation("Innsbruck consensus, Br J Surg 2023;110:1331", via="secondary summary"),
        evidence=Evidence.FOUND,
    )
