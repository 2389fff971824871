"""Whether two scans can be of one patient, as far as their reports say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flr_volumetry.errors import CaseError, Caveat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flr_volumetry.app.record import PatientPart, Record
    from flr_volumetry.assessment.model import ScanFacts
    from flr_volumetry.volumetry.patient import Patient

HEIGHT_CM = 3.0
"""Heights of one adult written down twice differ by no more (assumed)."""
YEARS = 3.0
"""Ages at two scans that a follow-up may span, and rounding (assumed)."""


def require_same_patient(
    baseline: Record, scan: ScanFacts, patient: Patient | PatientPart, name: str
) -> tuple[Caveat, ...]:
    """Refuse a follow-up of another patient than the baseline's.

    Parameters
    ----------
    baseline : Record
        As it was read.
    scan : ScanFacts
        Of the follow-up.
    patient : Patient or PatientPart
        Of the follow-up.
    name : str
        The follow-up, for people.

    Returns
    -------
    tuple of Caveat
        If nothing says that it is the same patient.

    Raises
    ------
    CaseError
        If the DICOM patients, the sexes, heights or ages contradict each other.
    """
    known = baseline.report.case
    for what in _contradictions(known.patient, patient):
        raise CaseError(
            f"{name} is said to follow {known.id}, but {what}: it is another patient's, or one of the case "
            "files is wrong.",
            reason="other_patient",
        )
    if known.patient_key and scan.patient_key and known.patient_key != scan.patient_key:
        raise CaseError(
            f"{name} is said to follow {known.id}, but their scans name two different DICOM patients.",
            reason="other_patient",
        )
    if known.patient_key and scan.patient_key:
        return ()
    said = (
        f"Nothing in the files says that {name} and {known.id} are of one patient: DICOM patient numbers are "
        "not known for both."
    )
    return (Caveat("patient_not_verified", said),)


def _contradictions(one: PatientPart, other: Patient | PatientPart) -> Iterator[str]:
    sex = other.sex if other.sex is None or isinstance(other.sex, str) else other.sex.value
    if one.sex and sex and one.sex != sex:
        yield f"the sexes are {one.sex} and {sex}"
    if one.height_cm and other.height_cm and abs(one.height_cm - other.height_cm) > HEIGHT_CM:
        yield f"the heights are {one.height_cm:g} and {other.height_cm:g} cm"
    if one.age and other.age and not -1 <= other.age - one.age <= YEARS:
        yield f"the ages are {one.age:g} and {other.age:g} years"
