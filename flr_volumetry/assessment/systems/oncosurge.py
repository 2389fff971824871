"""OncoSurge twice: as the review of 2014 puts it, and as its own abstract does; the two are not the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flr_volumetry.assessment.model import Citation, Evidence
from flr_volumetry.assessment.systems.attested import Response
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

if TYPE_CHECKING:
    from flr_volumetry.assessment.systems.facts import Facts

REVIEW_MARGIN_MM = 10.0
REVIEW_REMNANT = 0.20
INVOLVEMENT = 0.70
FEW_LESIONS = 4


def oncosurge_review(facts: Facts) -> Checklist:
    """Fill in OncoSurge as the review of 2014 puts it.

    Parameters
    ----------
    facts : Facts
        The case.

    Returns
    -------
    Checklist
        All metastases with margins above 1 cm, and more than 20 % of healthy liver left.
    """
    least, flr = facts.least_margin_mm, facts.index("flr")
    wide = None if not facts.lesions else not facts.uncleared and (least is None or least > REVIEW_MARGIN_MM)
    conditions = (
        computed(
            "margins_over_1_cm",
            "Can all metastases be removed with margins greater than 1 cm?",
            wide,
            facts.clearance,
        ),
        computed(
            "healthy_liver_over_20_percent",
            "Is the residual healthy liver volume greater than 20 %?",
            None if flr is None else flr > REVIEW_REMNANT,
            "not known" if flr is None else f"{100 * flr:.1f} % of the functional liver (D8)",
        ),
    )
    status = facts.attested.performance_status
    shown = (
        noted(
            "performance_status",
            "Prognostic factor: performance status",
            "say performance_status under [attested]" if status is None else f"ECOG {status}",
            basis=Basis.MISSING if status is None else Basis.ATTESTED,
        ),
    )
    return Checklist(
        key="oncosurge-review-2014",
        title="OncoSurge as the review of 2014 puts it",
        outcome=conjunction(conditions),
        sentence=sentence_of(conditions, "conditions"),
        items=(*conditions, *shown),
        citation=Citation("Review of 2014 (Baishideng), OncoSurge system [13]"),
        evidence=Evidence.SEED,
        notes=(
            "Hilar nodes, lung, ovary and adrenal metastases are no contraindications. About 20 % of "
            "patients "
            "can be operated on, 50 % of them live for five years (the review's figures).",
            "The sentence on margins and 20 % is not in the abstract of OncoSurge itself.",
        ),
    )


def oncosurge_abstract(facts: Facts) -> Checklist:
    """Fill in OncoSurge as its abstract states it.

    Parameters
    ----------
    facts : Facts
        The case.

    Returns
    -------
    Checklist
        Absolute contraindications first, then what the panel rated appropriate.
    """
    contra = _contraindications(facts)
    path = _panel_path(facts)
    barred = conjunction(contra)
    outcome = barred if barred is not Outcome.MET else conjunction(path)
    return Checklist(
        key="oncosurge-2005",
        title="OncoSurge by its abstract",
        outcome=outcome,
        sentence=_sentence(contra, path, outcome),
        items=(*contra, *path),
        citation=Citation(
            "Poston et al., J Clin Oncol 2005;23:7125", via="abstract; the whole tree was not seen"
        ),
        evidence=Evidence.FOUND,
        notes=(
            "Not influencing, by the panel: age, stage of the primary tumour, timing of detection, "
            "transfusions, "
            "kind of liver resection, CEA before the operation, previous hepatectomy.",
            "That involvement is the share of the liver that is tumour is assumed. That more than four "
            "lesions or "
            "a bilobar spread ask for shrinkage first is read past the end of the abstract (GK-H).",
        ),
    )


def _contraindications(facts: Facts) -> tuple[Item, ...]:
    said = facts.attested
    failure = None if said.liver_failure is None else not said.liver_failure
    return (
        attested(
            "extrahepatic_disease_removable",
            "Is there no extrahepatic disease that cannot be removed?",
            said.extrahepatic_held,
            "extrahepatic_sites, and extrahepatic_controllable if there are any,",
        ),
        computed(
            "involvement_up_to_70_percent",
            "Is at most 70 % of the liver involved?",
            facts.involvement <= INVOLVEMENT,
            f"{100 * facts.involvement:.1f} % of the liver is tumour",
        ),
        attested("no_liver_failure", "Is there no liver failure?", failure, "liver_failure"),
        attested(
            "fit_for_surgery", "Is the patient fit for surgery?", said.fit_for_surgery, "fit_for_surgery"
        ),
    )


def _panel_path(facts: Facts) -> tuple[Item, ...]:
    said = facts.attested
    nodes = None if said.portal_adenopathy is None else not said.portal_adenopathy
    margins = attested(
        "adequate_margins",
        "Are radiologically defined margins adequate?",
        False if facts.uncleared else said.margins_adequate,
        "margins_adequate",
    )
    if facts.uncleared:
        margins = computed("adequate_margins", margins.question, value=False, said=facts.clearance)
    elif margins.basis is Basis.MISSING:
        margins = Item(
            margins.key, margins.question, margins.answer, margins.basis, f"{facts.clearance}; {margins.said}"
        )
    path = [
        margins,
        attested("no_portal_adenopathy", "Is there no portal adenopathy?", nodes, "portal_adenopathy"),
    ]
    if _had_chemotherapy(facts):
        path.append(_after_chemotherapy(facts))
    return tuple(path)


def _had_chemotherapy(facts: Facts) -> bool:
    weeks, cycles = facts.patient.chemotherapy_weeks, facts.attested.chemotherapy_cycles
    return bool(weeks or cycles or facts.attested.chemotherapy_response)


def _after_chemotherapy(facts: Facts) -> Item:
    key, question = "few_and_unilobar_or_shrunk", "After chemotherapy: at most four and unilobar, or shrunk?"
    count, bilobar = len(facts.lesions), facts.bilobar
    spread = {True: "bilobar", False: "unilobar", None: "spread not known"}[bilobar]
    found = f"{count} lesions, {spread} ({facts.sides})"
    if bilobar is False and count <= FEW_LESIONS:
        return computed(key, question, value=True, said=f"{found}: whatever the response")
    response = facts.attested.chemotherapy_response
    if response is None:
        return Item(
            key,
            question,
            Answer.UNKNOWN,
            Basis.MISSING,
            f"{found}; say chemotherapy_response under [attested]",
        )
    shrunk = response is Response.RESPONSE
    return Item(
        key,
        question,
        Answer.YES if shrunk else Answer.NO,
        Basis.ATTESTED,
        f"{found}; {response.value} attested by chemotherapy_response",
    )


def _sentence(contra: tuple[Item, ...], path: tuple[Item, ...], outcome: Outcome) -> str:
    present = [item.key for item in contra if item.answer is Answer.NO]
    if present:
        names = ", ".join(key.replace("_", " ") for key in present)
        return f"An absolute contraindication of the panel is present (not met: {names})."
    if outcome is Outcome.MET:
        return "The panel rated resection appropriate in such cases: evidence to weigh, not an order."
    return sentence_of((*contra, *path), "conditions")
