"""Volumes and patient against cited criteria."""

from flr_volumetry.assessment.engine import assess
from flr_volumetry.assessment.indices import RULE_INDICES
from flr_volumetry.assessment.model import (
    Applicability,
    Assessment,
    Citation,
    CongestionFinding,
    Evidence,
    Finding,
    Index,
    InputFile,
    PlannedCut,
    Protocol,
    Provenance,
    Rule,
    State,
    Summary,
    VeinQuestion,
)
from flr_volumetry.assessment.pathway import Pathway
from flr_volumetry.assessment.plausibility import Phase, Tissue

__all__ = [
    "RULE_INDICES",
    "Applicability",
    "Assessment",
    "Citation",
    "CongestionFinding",
    "Evidence",
    "Finding",
    "Index",
    "InputFile",
    "Pathway",
    "Phase",
    "PlannedCut",
    "Protocol",
    "Provenance",
    "Rule",
    "State",
    "Summary",
    "Tissue",
    "VeinQuestion",
    "assess",
]
