"""JSCCR 2010, the stages of the European group, the three groups of the review, technical conditions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flr_volumetry.anatomy import ROMAN
from flr_volumetry.assessment.model import Citation, Evidence
from flr_volumetry.assessment.systems.attested import EcmtgStage, Site
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
from flr_volumetry.assessment.wording import Support, support
from flr_volumetry.volumetry.patient import Parenchyma

if TYPE_CHECKING:
    from flr_volumetry.assessment.systems.facts import Facts
    from flr_volumetry.volumetry.circulation import CutOff

REMNANT_OF_TOTAL = {Parenchyma.NORMAL: 0.20, Parenchyma.CIRRHOSIS: 0.30}
"""Of the total liver volume, by the review's indications [11]."""
NEGLIGIBLE_ML = 0.05
ECMTG = {
    EcmtgStage.M0: "no metastases",
    EcmtgStage.M1A: "liver metastases that can be removed",
    EcmtgStage.M1B: "liver metastases that may become removable",
    EcmtgStage.M1C: "liver metastases unlikely ever to become removable; not excluded, case by case",
}
GROUPS = {
    1: "at presentation the lesions can clearly be removed",
    2: "at presentation they cannot, but may after chemotherapy (conversion)",
    3: "at presentation they cannot, and are likely to remain so even with effective chemotherapy",
}


def jsccr_2010(facts: Facts) -> Checklist:
    """Fill in the five conditions of the JSCCR guidelines of 2010.

    Parameters
    ----------
    facts : Facts
        The case.

    Returns
    -------
    Checklist
        Conditions 3 and 5 are filled in by what was computed only where nothing was attested.
    """
    said = facts.attested
    items = (
        attested(
            "tolerates_surgery",
            "Is the patient capable of tolerating surgery?",
            said.fit_for_surgery,
            "fit_for_surgery",
        ),
        attested(
            "primary_controlled",
            "Has the primary tumour been controlled, or can it be?",
            said.primary_controlled,
            "primary_controlled",
        ),
        _complete(facts),
        attested(
            "no_extrahepatic_disease",
            "Are there no metastases outside the liver, or can they be controlled?",
            said.extrahepatic_held,
            "extrahepatic_sites, and extrahepatic_controllable if there are any,",
        ),
        _function(facts),
    )
    return Checklist(
        key="jsccr-2010",
        title="JSCCR guidelines 2010, five conditions",
        outcome=conjunction(items),
        sentence=sentence_of(items, "conditions"),
        items=items,
        citation=Citation("JSCCR guidelines 2010", via="review of 2014 (Baishideng) [15, 16]"),
        evidence=Evidence.SEED,
        notes=("People answer these; what is computed is evidence of volume and geometry only.",),
    )


def _complete(facts: Facts) -> Item:
    key, question = "completely_removed", "Can the metastases be completely removed?"
    said = facts.attested.completely_removable
    if facts.uncleared:
        claim = " although completely_removable attests it" if said else ""
        return computed(key, question, value=False, said=f"{facts.clearance}{claim}")
    if said is not None:
        item = attested(key, question, said, "completely_removable")
        return Item(item.key, question, item.answer, item.basis, f"{item.said}; {facts.clearance}")
    return computed(key, question, True if facts.lesions else None, f"geometric evidence: {facts.clearance}")


def _function(facts: Facts) -> Item:
    key, question = "remaining_function", "Will the function of the remaining liver be adequate?"
    evidence = _volumetric(facts)
    said = facts.attested.function_adequate
    if said is not None:
        item = attested(key, question, said, "function_adequate")
        return Item(key, question, item.answer, item.basis, f"{item.said}; {evidence[1]}")
    return computed(key, question, evidence[0], evidence[1])


def _volumetric(facts: Facts) -> tuple[bool | None, str]:
    judged = [f for f in facts.assessment.findings if f.volumetric]
    view = support(judged)
    said = {
        Support.SUPPORTS: "volumetric evidence: every rule evaluated is clearly met",
        Support.AGAINST: "volumetric evidence: no rule evaluated is met",
        Support.EQUIVOCAL: "volumetric evidence is divided; say function_adequate under [attested]",
        Support.NONE: "no rule could be evaluated; say function_adequate under [attested]",
    }[view]
    return {Support.SUPPORTS: True, Support.AGAINST: False}.get(view), said


def ecmtg_stage(facts: Facts) -> Checklist:
    """Show the stage of the European Colorectal Metastases Treatment Group, and that of AJCC beside it.

    Parameters
    ----------
    facts : Facts
        The case.

    Returns
    -------
    Checklist
        Names carry their system: ``ecmtg:M1a`` is not ``ajcc8:M1a``.
    """
    stage, lesions = facts.attested.ecmtg_stage, len(facts.lesions)
    if stage is None:
        item = noted("ecmtg", "Stage of the group", "say ecmtg_stage under [attested]", basis=Basis.MISSING)
    else:
        item = noted(
            "ecmtg", "Stage of the group", f"ecmtg:{stage.value}: {ECMTG[stage]}", basis=Basis.ATTESTED
        )
    clash = stage is EcmtgStage.M0 and lesions > 0
    consistent = computed(
        "agrees_with_the_masks",
        "Does the stage agree with the masks?",
        None if stage is None else not clash,
        f"{lesions} lesions in the masks" + (", but ecmtg:M0 means none" if clash else ""),
    )
    return Checklist(
        key="ecmtg",
        title="European Colorectal Metastases Treatment Group",
        outcome=Outcome.NOT_MET if clash else Outcome.DISPLAY,
        sentence=item.said,
        items=(item, consistent, _ajcc(facts)),
        citation=Citation("Review of 2014 (Baishideng), Preoperative evaluation [17]"),
        evidence=Evidence.SEED,
        notes=(
            "For M1a, and M1b after effective chemotherapy, resection offers a chance of cure; M1c is "
            "decided case "
            "by case.",
            "The names clash with AJCC/UICC 8, where M1a is one organ, M1b two and more, M1c the "
            "peritoneum (GK-H).",
        ),
    )


def _ajcc(facts: Facts) -> Item:
    sites = facts.attested.extrahepatic_sites
    question = "Stage by AJCC/UICC 8 (GK-H), from lesions and sites"
    if sites is None:
        return noted("ajcc8", question, "say extrahepatic_sites under [attested]", basis=Basis.MISSING)
    if Site.PERITONEUM in sites:
        stage = "M1c"
    else:
        organs = len(sites) + bool(facts.lesions)
        stage = "M0" if organs == 0 else "M1a" if organs == 1 else "M1b"
    return noted("ajcc8", question, f"ajcc8:{stage}", basis=Basis.ATTESTED)


def resectability_group(facts: Facts) -> Checklist:
    """Show the group of the review that the user attests.

    Parameters
    ----------
    facts : Facts
        The case.

    Returns
    -------
    Checklist
        With what the review says of conversion.
    """
    group = facts.attested.resectability_group
    said = "say resectability_group under [attested]" if group is None else f"group {group}: {GROUPS[group]}"
    item = noted(
        "group", "Which of the three groups?", said, basis=Basis.MISSING if group is None else Basis.ATTESTED
    )
    return Checklist(
        key="resectability-groups",
        title="Three groups at presentation",
        outcome=Outcome.DISPLAY,
        sentence=said,
        items=(item,),
        citation=Citation("Review of 2014 (Baishideng), Indications for resection [12]"),
        evidence=Evidence.SEED,
        notes=(
            "Conversion, by the review: 12 % of 1104 were operated on after chemotherapy, with 33 % alive "
            "at five "
            "years against 48 % operated on at once [51]; 15 to 50 % are downstaged; hepatic arterial "
            "FUDR nearly "
            "30 % [52], with systemic FOLFOX more than 50 % [53]; FOLFIRINOX 36 against 12 % (P = 0.017).",
        ),
    )


def technical(facts: Facts) -> Checklist:
    """Fill in the review's technical conditions of a resection.

    Parameters
    ----------
    facts : Facts
        The case.

    Returns
    -------
    Checklist
        R0, two adjacent segments with their own inflow, outflow and bile, and the least remnant.
    """
    said, cut = facts.attested, facts.consequences
    spared = cut.spared_segments
    names = "needs a segment map" if spared is None else ", ".join(ROMAN[n] for n in spared) or "none"
    least = facts.least_margin_mm
    r0 = None if not facts.lesions else not facts.uncleared and (least is None or least > 0)
    items = (
        computed("r0", "Is a resection without residual tumour planned?", r0, facts.clearance),
        computed(
            "two_adjacent_segments",
            "Are at least two adjacent segments spared?",
            cut.adjacent_spared,
            f"fully spared: {names}",
        ),
        _vessel("inflow", "Do they have their own inflow?", said.remnant_inflow, cut.inflow),
        _vessel("outflow", "Do they have their own outflow?", said.remnant_outflow, cut.outflow),
        attested(
            "bile_drainage",
            "Do they have their own biliary drainage?",
            said.remnant_bile_drainage,
            "remnant_bile_drainage",
        ),
        _least_remnant(facts),
    )
    return Checklist(
        key="technical-review-2014",
        title="Technical conditions",
        outcome=conjunction(items),
        sentence=sentence_of(items, "conditions"),
        items=items,
        citation=Citation("Review of 2014 (Baishideng), Indications for resection [11]"),
        evidence=Evidence.SEED,
        notes=(
            "Which segments border on each other is a fixed table (assumed). Vessels are geometric hints.",
        ),
    )


def _vessel(key: str, question: str, said: bool | None, cut: CutOff | None) -> Item:  # noqa: FBT001
    name = f"remnant_{key}"
    hint = (
        "not known from the masks"
        if cut is None
        else f"geometric hint: {cut.ml:.1f} mL of the remnant lose it"
    )
    if said is not None:
        item = attested(key, question, said, name)
        return Item(key, question, item.answer, item.basis, f"{item.said}; {hint}")
    if cut is None:
        return attested(key, question, None, name)
    return computed(key, question, cut.ml <= NEGLIGIBLE_ML, hint)


def _least_remnant(facts: Facts) -> Item:
    key, share = "least_remnant", facts.index("flr_of_total")
    parenchyma = facts.patient.parenchyma
    asked = REMNANT_OF_TOTAL.get(parenchyma) if parenchyma is not None else None
    question = "Is the remnant at least 20 % (normal) or 30 % (cirrhosis) of the total liver volume?"
    if asked is None or share is None:
        state = parenchyma.value if parenchyma is not None else "not given"
        return Item(
            key,
            question,
            Answer.UNKNOWN,
            Basis.MISSING,
            f"the review gives a limit for normal and cirrhotic livers only; parenchyma: {state}",
        )
    return computed(key, question, share >= asked, f"{100 * share:.1f} % (D9), asked for {100 * asked:.0f} %")
