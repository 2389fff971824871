"""The score of Fong, the review's prognostic factors, disease outside the liver, the primary tumour."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flr_volumetry.assessment.model import Citation, Evidence
from flr_volumetry.assessment.systems.attested import Differentiation, Response, Site
from flr_volumetry.assessment.systems.facts import MAJOR_SEGMENTS
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
from flr_volumetry.volumetry.formulas import fong_points

if TYPE_CHECKING:
    from flr_volumetry.assessment.systems.facts import Facts

FONG_HIGH = 3
MARGIN_MM = 10.0
MANY_LESIONS = 4
SHORT_MONTHS = 12.0
PERITONEAL_LESIONS = 3
FIT_STATUS = 1
"""ECOG up to 1 is taken for the "good performance status" of the consensus (assumed)."""
UNAFFECTED = frozenset({Site.HILAR_NODES, Site.LUNG, Site.OVARY, Site.ADRENAL})
SITE_FIGURES = {
    Site.LUNG: "most favourable; complete resection in 39 %, as 68 % progressed before it [57, 58]",
    Site.HILAR_NODES: "25 % alive at five years with pedicular nodes only [58]",
    Site.PORTO_CAVAL_NODES: "27 % alive at five years [59]",
    Site.CELIAC_NODES: "none alive at five years [58]",
    Site.PARA_AORTIC_NODES: "7 % (aorto-caval) [59], none [58] alive at five years",
    Site.PERITONEUM: "more than 28 % alive at three years; complete resection in 92 % [57, 58]",
}


def fong(facts: Facts) -> Checklist:
    """Fill in the clinical risk score of Fong.

    Parameters
    ----------
    facts : Facts
        Number and largest diameter come from the masks, the rest is attested.

    Returns
    -------
    Checklist
        The score, or the range it lies in where points are unknown.
    """
    said, count, largest = facts.attested, len(facts.lesions), facts.largest_mm
    points = fong_points(
        node_positive=said.primary_node_positive,
        disease_free_months=said.interval_months,
        lesions=count or None,
        cea_ng_per_ml=said.cea_ng_per_ml,
        largest_mm=largest,
    )
    largest_said = "no lesion was given" if largest is None else f"longest diameter {largest:.1f} mm"
    items = (
        attested(
            "node_positive_primary",
            "One point: node-positive primary tumour",
            points[0],
            "primary_node_positive",
        ),
        attested(
            "short_interval",
            "One point: less than 12 months free of disease",
            points[1],
            "disease_free_months",
        ),
        computed(
            "several_lesions",
            "One point: more than one metastasis",
            points[2],
            f"{count} lesions in the masks",
        ),
        attested("high_cea", "One point: CEA above 200 ng/mL", points[3], "cea_ng_per_ml"),
        computed("large_lesion", "One point: largest above 5 cm", points[4], largest_said),
    )
    low = sum(p is True for p in points)
    high = low + sum(p is None for p in points)
    return Checklist(
        key="fong-1999",
        title="Clinical risk score of Fong",
        outcome=Outcome.DISPLAY if low == high else Outcome.INCOMPLETE,
        sentence=_fong_sentence(low, high),
        items=items,
        citation=Citation("Fong et al., Ann Surg 1999;230:309"),
        evidence=Evidence.FOUND,
        notes=(
            "A positive margin and extrahepatic disease predict, and give no points. No long-term "
            "survivor with 5.",
            "Not reliable before neoadjuvant chemotherapy; to be computed again after it (PMC3171666).",
        ),
    )


def _fong_sentence(low: int, high: int) -> str:
    if low == high:
        risk = "high" if low >= FONG_HIGH else "low"
        return f"Score {low} of 5: {risk} risk by its own groups (0 to 2, 3 to 5)."
    risk = "high risk" if low >= FONG_HIGH else "low risk" if high < FONG_HIGH else "group not decided"
    return f"Score between {low} and {high} of 5, {high - low} of the points not known: {risk}."


def prognostic_factors(facts: Facts) -> Checklist:
    """Show the review's prognostic factors; they are displayed and not added up.

    Parameters
    ----------
    facts : Facts
        The case.

    Returns
    -------
    Checklist
        Each factor as far as it is known; the review's own contradictions in the notes.
    """
    count, least, largest = len(facts.lesions), facts.least_margin_mm, facts.largest_mm
    items = (
        _margin(facts, least),
        noted(
            "number",
            "Number of metastases (more than 4 adverse)",
            _adverse(f"{count}", count > MANY_LESIONS),
            basis=Basis.COMPUTED,
        ),
        noted(
            "largest_diameter",
            "Largest diameter (listed, and debated)",
            "no lesion was given" if largest is None else f"{largest:.1f} mm",
            basis=Basis.MISSING if largest is None else Basis.COMPUTED,
        ),
        noted(
            "bilobar",
            "Bilobar spread (listed by none, denied as a factor)",
            {True: "bilobar", False: "one side", None: "not known"}[facts.bilobar] + f": {facts.sides}",
            basis=Basis.MISSING if facts.bilobar is None else Basis.COMPUTED,
        ),
        *_attested_factors(facts),
    )
    return Checklist(
        key="prognostic-factors-review-2014",
        title="Prognostic factors",
        outcome=Outcome.DISPLAY,
        sentence="Factors as the review lists them; displayed, not added up.",
        items=items,
        citation=Citation("Review of 2014 (Baishideng), Prognostic factors [29-35]"),
        evidence=Evidence.SEED,
        notes=(
            "The review contradicts itself: size, nodes of the primary tumour, the interval and "
            "synchronicity are "
            "listed as common factors and as debated or without value; a bilobar spread is denied.",
            "Five-year survival by response to chemotherapy: response 37 %, stable 30 %, progression 8 % "
            "[32].",
            "Margins: the review calls less than 10 mm adverse; newer series ask for 1 mm (GK-H), and "
            "effective "
            "chemotherapy evens R0 and R1 out [60].",
        ),
    )


def _margin(facts: Facts, least: float | None) -> Item:
    said = facts.clearance
    if least is not None and not facts.uncleared:
        reached = [f"{mm:g}" for mm in (1, 5, 10) if least >= mm] or ["none"]
        said = _adverse(f"{said}; reaches of 1, 5 and 10 mm: {', '.join(reached)}", least < MARGIN_MM)
    basis = Basis.COMPUTED if facts.lesions else Basis.MISSING
    return noted("margin", "Resection margin (less than 10 mm adverse)", said, basis=basis)


def _adverse(said: str, adverse: bool) -> str:  # noqa: FBT001 - the value is the answer
    return f"{said} (adverse)" if adverse else said


def _attested_factors(facts: Facts) -> list[Item]:
    said = facts.attested
    months = said.interval_months
    poor = Differentiation.POOR
    rows: tuple[tuple[str, str, str | None, bool], ...] = (
        (
            "portal_adenopathy",
            "Liver portal node metastasis",
            _yes(said.portal_adenopathy),
            bool(said.portal_adenopathy),
        ),
        ("synchronous", "Synchronous (listed, and denied)", _yes(said.synchronous), False),
        (
            "disease_free_months",
            "Less than one year free of disease",
            None if months is None else f"{months:g} months",
            months is not None and months < SHORT_MONTHS,
        ),
        (
            "cea_ng_per_ml",
            "High CEA before hepatectomy (no limit given)",
            None if said.cea_ng_per_ml is None else f"{said.cea_ng_per_ml:g} ng/mL",
            False,
        ),
        (
            "primary_node_positive",
            "Nodes of the primary tumour (listed, and debated)",
            _yes(said.primary_node_positive),
            bool(said.primary_node_positive),
        ),
        (
            "primary_t_stage",
            "Depth of invasion of the primary tumour",
            None if said.primary_t_stage is None else f"T{said.primary_t_stage}",
            False,
        ),
        (
            "primary_differentiation",
            "Differentiation of the primary tumour",
            said.primary_differentiation and said.primary_differentiation.value,
            said.primary_differentiation is poor,
        ),
        (
            "metastasis_differentiation",
            "Differentiation of the metastases",
            said.metastasis_differentiation and said.metastasis_differentiation.value,
            said.metastasis_differentiation is poor,
        ),
        (
            "chemotherapy_response",
            "Response to chemotherapy",
            said.chemotherapy_response and said.chemotherapy_response.value,
            said.chemotherapy_response is Response.PROGRESSION,
        ),
    )
    items = []
    for name, question, found, adverse in rows:
        if found is None:
            items.append(noted(name, question, f"say {name} under [attested]", basis=Basis.MISSING))
        else:
            items.append(noted(name, question, _adverse(found, adverse), basis=Basis.ATTESTED))
    return items


def _yes(value: bool | None) -> str | None:  # noqa: FBT001 - the value is the answer
    return None if value is None else "yes" if value else "no"


def extrahepatic(facts: Facts) -> Checklist:
    """Fill in the review's rules on disease outside the liver.

    Parameters
    ----------
    facts : Facts
        The case.

    Returns
    -------
    Checklist
        One site at most, and what the review says of each.
    """
    sites = facts.attested.extrahepatic_sites
    one = attested(
        "at_most_one_site",
        "Is there at most one site outside the liver? More than one shows no benefit [57].",
        None if sites is None else len(sites) <= 1,
        "extrahepatic_sites",
    )
    shown = [
        noted(
            site.value,
            f"Site: {site.value.replace('_', ' ')}",
            SITE_FIGURES.get(site, "no figure in the review")
            + ("; no contraindication by OncoSurge" if site in UNAFFECTED else ""),
            basis=Basis.ATTESTED,
        )
        for site in sites or ()
    ]
    conditions = (one,)
    return Checklist(
        key="extrahepatic-review-2014",
        title="Disease outside the liver",
        outcome=conjunction(conditions),
        sentence=sentence_of(conditions, "conditions"),
        items=(one, *shown),
        citation=Citation("Review of 2014 (Baishideng), Extraliver disease [57-59]"),
        evidence=Evidence.SEED,
        notes=(
            "PET-CT changes the plan in 20 to 25 %; sensitivity rises from 75 to 89 % with CT and PET "
            "together.",
            "Extended lymphadenectomy beyond the porto-caval nodes does not seem to improve survival [59].",
        ),
    )


def peritoneal(facts: Facts) -> Checklist:
    """Fill in the consensus of 2008 on liver metastases with peritoneal ones.

    Parameters
    ----------
    facts : Facts
        The case.

    Returns
    -------
    Checklist
        Only asked where the peritoneum is attested as a site.
    """
    said, count = facts.attested, len(facts.lesions)
    sites = said.extrahepatic_sites
    if sites is None or Site.PERITONEUM not in sites:
        why = (
            "say extrahepatic_sites under [attested]"
            if sites is None
            else "no peritoneal metastases are attested"
        )
        basis = Basis.MISSING if sites is None else Basis.ATTESTED
        items: tuple[Item, ...] = (noted("peritoneum", "Are there peritoneal metastases?", why, basis=basis),)
        outcome, sentence = Outcome.DISPLAY, f"Does not apply or cannot be said: {why}."
    else:
        response = said.chemotherapy_response
        items = (
            computed(
                "at_most_three_lesions",
                "Are there three liver lesions or fewer?",
                count <= PERITONEAL_LESIONS,
                f"{count} lesions in the masks",
            ),
            computed("cleared", "Does the plan clear them?", not facts.uncleared, facts.clearance),
            attested(
                "performance",
                "Is the performance status good (ECOG 0 or 1, assumed)?",
                None if said.performance_status is None else said.performance_status <= FIT_STATUS,
                "performance_status",
            ),
            attested("low_comorbidity", "Is comorbidity low?", said.low_comorbidity, "low_comorbidity"),
            attested(
                "no_progression",
                "Response, or no progression, under chemotherapy?",
                None if response is None else response is not Response.PROGRESSION,
                "chemotherapy_response",
            ),
        )
        outcome, sentence = conjunction(items), sentence_of(items, "conditions")
    return Checklist(
        key="peritoneal-2008",
        title="Liver and peritoneal metastases together",
        outcome=outcome,
        sentence=sentence,
        items=items,
        citation=Citation("Consensus of 2008", via="review of 2014 (Baishideng) [82-88]"),
        evidence=Evidence.SEED,
    )


def primary_tumour(facts: Facts) -> Checklist:
    """Show what the review says of liver and primary tumour in one operation or two.

    Parameters
    ----------
    facts : Facts
        The case.

    Returns
    -------
    Checklist
        A major hepatectomy with the primary tumour is pointed out.
    """
    said, removed = facts.attested, facts.removed_segments
    major = None if removed is None else len(removed) >= MAJOR_SEGMENTS
    size = "needs a segment map" if removed is None else f"{len(removed)} segments go"
    together = said.simultaneous_resection
    if together is False:
        item = Item(
            "not_major_with_primary", _SIMULTANEOUS, Answer.YES, Basis.ATTESTED, "not in one operation"
        )
    elif together is None:
        item = attested("not_major_with_primary", _SIMULTANEOUS, None, "simultaneous_resection")
    else:
        item = computed("not_major_with_primary", _SIMULTANEOUS, None if major is None else not major, size)
    return Checklist(
        key="simultaneous-review-2014",
        title="Primary tumour and liver",
        outcome=conjunction((item,)),
        sentence=sentence_of((item,), "conditions"),
        items=(item,),
        citation=Citation("Review of 2014 (Baishideng), Simultaneous resection [47-50]"),
        evidence=Evidence.SEED,
        notes=(
            "Two operations: two to three months apart. In one: shorter stay, safe for minor resections; "
            "mortality "
            "up to 17 % with a major hepatectomy [50].",
        ),
    )


_SIMULTANEOUS = "No major hepatectomy (three segments or more) in one operation with the primary tumour?"
