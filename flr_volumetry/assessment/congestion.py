"""When the congested part of a remnant decides, and reconstruction of a vein comes into view."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flr_volumetry.assessment.model import CongestionFinding, State, VeinQuestion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flr_volumetry.assessment.model import Finding
    from flr_volumetry.volumetry.consequences import Consequences

GROSS_INDEX = "flr_of_total"
"""Counts lesions that stay, and where some do is not made of the functional remnant."""
SAME_ML = 1e-6


def judge_congestion(
    findings: Sequence[Finding],
    consequences: Consequences,
    *,
    remnant_functional_ml: float,
    remnant_ml: float | None = None,
) -> tuple[CongestionFinding, ...]:
    """Judge each rule again with the congested part of the remnant counted at less.

    Parameters
    ----------
    findings : sequence of Finding
        As judged with the whole functional remnant.
    consequences : Consequences
        With the effective remnant; without known outflow there is nothing to judge.
    remnant_functional_ml : float
        FLR (D5), mL.
    remnant_ml : float or None
        The remnant with lesions in it (D4), mL; only where it is the same are ratios of it judged too.

    Returns
    -------
    tuple of CongestionFinding
        One for each rule with a value made of the functional remnant; empty where nothing is congested or
        the outflow is not known.

    Notes
    -----
    Sano et al. (clinical base 7; the 2014 review [26, 46] says the same): if the remnant without its
    congested part reaches the threshold, there is no need for reconstruction by volume; if it does so
    only with it, reconstruction is to be considered; if not even then, augmentation comes first.
    """
    outflow = consequences.outflow
    whole = remnant_ml is not None and abs(remnant_ml - remnant_functional_ml) <= SAME_ML
    if outflow is None or outflow.ml == 0:
        return ()
    return tuple(
        _judge(finding, consequences, remnant_functional_ml)
        for finding in findings
        if finding.state is not State.NOT_EVALUABLE
        and finding.volumetric
        and (whole or finding.rule.index != GROSS_INDEX)
    )


def _judge(finding: Finding, consequences: Consequences, flr_ml: float) -> CongestionFinding:
    assert finding.value is not None
    values = tuple((e.retained_function, finding.value * e.ml / flr_ml) for e in consequences.effective)
    by_weight = dict(values)
    if _reaches(finding, by_weight[0.0]):
        question = VeinQuestion.NO_NEED
    elif _reaches(finding, by_weight[1.0]):
        question = VeinQuestion.CONSIDER
    else:
        question = VeinQuestion.AUGMENT_FIRST
    return CongestionFinding(finding.rule, finding.protocol, values, question)


def _reaches(finding: Finding, value: float) -> bool:
    threshold = finding.rule.threshold
    return value > threshold if finding.rule.strict else value >= threshold
