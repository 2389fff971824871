"""One rule against one liver: does it apply, and where does the value lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flr_volumetry.assessment.indices import LIVER_SHARES, RULE_INDICES
from flr_volumetry.assessment.model import FRACTION, Better, Finding, State
from flr_volumetry.errors import ProtocolError
from flr_volumetry.volumetry.patient import Parenchyma
from flr_volumetry.volumetry.uncertainty import NORMAL_95, Measured, margin_sd, probability_at_least

if TYPE_CHECKING:
    from flr_volumetry.assessment.function import Quantity
    from flr_volumetry.assessment.indices import IndexTable
    from flr_volumetry.assessment.model import Applicability, Index, Rule
    from flr_volumetry.volumetry.liver_function import LiverFunction
    from flr_volumetry.volumetry.patient import Patient

BORDERLINE_POINTS = 0.02
"""Two percentage points: a share of liver volume nearer to its threshold is borderline however sure it is.

Not applied to ratios to body size, where two points would be four times the threshold.
"""


def evaluate_rule(rule: Rule, *, protocol: str, table: IndexTable, patient: Patient) -> Finding:
    """Judge one rule on its own index, or say why it is not evaluable.

    Parameters
    ----------
    rule : Rule
        The rule.
    protocol : str
        Key of the protocol it stands in.
    table : IndexTable
        What could be computed.
    patient : Patient
        Decides whether the rule was made for them.

    Returns
    -------
    Finding
        With a value only if the rule is enabled, applies, and has its own index.

    Raises
    ------
    ProtocolError
        If the rule names an index that no rule can judge, or gives its threshold in another unit.
    """
    _check_index(rule)
    reason = f"disabled: {rule.note}" if not rule.enabled else ""
    reason = (
        reason or inapplicable(rule.applies_if, patient) or _other_operation(rule.applies_if, patient, table)
    )
    index = table.find(rule.index)
    quantity = table.function.find(rule.index) if table.function is not None else None
    if not reason and index is not None:
        return _judge(rule, protocol, index)
    if not reason and quantity is not None:
        return _judge_quantity(rule, protocol, quantity)
    reason = reason or table.missing.get(rule.index, f"{rule.index} could not be computed")
    return Finding(rule, protocol, None, None, None, None, None, None, State.NOT_EVALUABLE, reason)


def inapplicable(condition: Applicability, patient: Patient) -> str:
    """Return why a rule does not apply to a patient; empty if it does.

    Parameters
    ----------
    condition : Applicability
        For whom the rule was made.
    patient : Patient
        What is known of them.

    Returns
    -------
    str
        The reason. What is not known never counts as met, with one exception: without a word on
        chemotherapy, a liver attested as other than chemotherapy-injured is taken to have had
        no more of it than the rule allows (and `assumes_no_chemotherapy` tells so).
    """
    made_for = " or ".join(p.value for p in condition.parenchyma)
    if condition.parenchyma and patient.parenchyma is None:
        return f"the state of the parenchyma is not given; the rule was made for: {made_for}"
    if condition.parenchyma and patient.parenchyma not in condition.parenchyma:
        found = patient.parenchyma.value if patient.parenchyma else ""
        return f"made for: {made_for}; this liver: {found}"
    return _wrong_weeks(condition, patient)


def assumes_no_chemotherapy(condition: Applicability, patient: Patient) -> bool:
    """Return whether a rule is held to apply only because nothing is said of chemotherapy."""
    return (
        condition.chemotherapy_weeks_max is not None
        and patient.chemotherapy_weeks is None
        and not inapplicable(condition, patient)
    )


def _wrong_weeks(condition: Applicability, patient: Patient) -> str:
    least, most, weeks = (
        condition.chemotherapy_weeks_min,
        condition.chemotherapy_weeks_max,
        patient.chemotherapy_weeks,
    )
    if weeks is None:
        if least is not None:
            return f"made for more than {least:g} weeks of chemotherapy; chemotherapy_weeks is not given"
        if most is not None and patient.parenchyma in (None, Parenchyma.CHEMOTHERAPY):
            return f"made for at most {most:g} weeks of chemotherapy; chemotherapy_weeks is not given"
        return ""
    if least is not None and weeks <= least:
        return f"made for more than {least:g} weeks of chemotherapy; this patient had {weeks:g}"
    if most is not None and weeks > most:
        return f"made for at most {most:g} weeks of chemotherapy; this patient had {weeks:g}"
    return ""


def _other_operation(condition: Applicability, patient: Patient, table: IndexTable) -> str:
    """Return why a rule was made for another operation or disease; what is not known never counts as met."""
    tests = patient.function
    if condition.extents:
        made_for = " or ".join(e.value.replace("_", " ") for e in condition.extents)
        extent = table.function.extent if table.function is not None else None
        if extent is None:
            return f"the extent of the hepatectomy is not known; the rule was made for: {made_for}"
        if extent not in condition.extents:
            return f"made for: {made_for}; this plan: {extent.value.replace('_', ' ')}"
    return _other_disease(condition, tests)


def _other_disease(condition: Applicability, tests: LiverFunction | None) -> str:
    if condition.diseases:
        made_for = " or ".join(d.value for d in condition.diseases)
        disease = tests.disease if tests is not None else None
        if disease is None:
            return f"disease is not given under [function]; the rule was made for: {made_for}"
        if disease not in condition.diseases:
            return f"made for: {made_for}; this disease: {disease.value}"
    if condition.bile_duct_resection:
        with_duct = tests.bile_duct_resection if tests is not None else None
        if with_duct is None:
            return (
                "made for resections of the bile duct too; bile_duct_resection is not given under [function]"
            )
        if not with_duct:
            return "made for resections of the bile duct too; this plan leaves it"
    return ""


def _check_index(rule: Rule) -> None:
    unit = RULE_INDICES.get(rule.index)
    if unit is None:
        raise ProtocolError(
            f"rule {rule.id!r} judges the index {rule.index!r}; known: {', '.join(RULE_INDICES)}",
            reason="unknown_index",
        )
    if unit != rule.unit:
        raise ProtocolError(
            f"rule {rule.id!r} gives its threshold in {rule.unit!r}, but {rule.index!r} is in {unit!r}",
            reason="wrong_unit",
        )


def _judge(rule: Rule, protocol: str, index: Index) -> Finding:
    remnant = Measured(index.numerator_ml, index.sd_numerator)
    whole = Measured(index.denominator_amount, index.sd_denominator)
    margin_ml = remnant.value - rule.threshold * whole.value
    share = rule.index in LIVER_SHARES
    return Finding(
        rule=rule,
        protocol=protocol,
        value=index.value,
        interval=index.interval,
        margin_points=100 * (index.value - rule.threshold) if rule.unit == FRACTION else None,
        margin_ml=margin_ml,
        required_growth=max(0.0, -margin_ml) / remnant.value,
        probability_above=probability_at_least(
            remnant, whole, threshold=rule.threshold, covariance=index.covariance
        ),
        state=_state(
            margin=index.value - rule.threshold,
            sd=margin_sd(remnant, whole, threshold=rule.threshold, covariance=index.covariance),
            least=BORDERLINE_POINTS if share else 0.0,
            rule=rule,
        ),
    )


def _judge_quantity(rule: Rule, protocol: str, quantity: Quantity) -> Finding:
    """Compare a test of function as it is: no error of it is known, so it is never borderline."""
    beyond = quantity.value - rule.threshold
    higher = rule.better is Better.HIGHER
    at_threshold = rule.strict != higher
    above = beyond > 0 or (beyond == 0 and at_threshold)
    return Finding(
        rule=rule,
        protocol=protocol,
        value=quantity.value,
        interval=None,
        margin_points=None,
        margin_ml=None,
        required_growth=None,
        probability_above=None,
        state=State.CLEAR_ABOVE if above else State.CLEAR_BELOW,
    )


def _state(*, margin: float, sd: float, least: float, rule: Rule) -> State:
    """Place a value: borderline if its margin is below two points or below 1.96 of its sd."""
    if abs(margin) < max(least, NORMAL_95 * sd):
        return State.BORDERLINE
    if margin > 0 or (margin == 0 and not rule.strict):
        return State.CLEAR_ABOVE
    return State.CLEAR_BELOW
