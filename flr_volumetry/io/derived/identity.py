"""Scans without their patient: headers that keep geometry and lose everything that names somebody.

After the Basic Application Level Confidentiality Profile (PS3.15, E.2) with the options that retain patient
characteristics, and none that retains dates or identifiers. Nothing is deleted from a header: a new one is
made of the attributes that images need to be referred to, so that what is not listed here cannot get through.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from flr_volumetry.io.derived.uids import new_uid
from flr_volumetry.io.names import OWN_SCHEME

if TYPE_CHECKING:
    from flr_volumetry.io.derived.source import SourceScan

NEVER: Final = {"DA": "19000101", "TM": "000000", "DT": "19000101000000"}
"""What stands for a date, a time, and both at once."""
REMOVED: Final = "REMOVED"
_KEPT: Final = (
    *("SOPClassUID", "Modality", "Rows", "Columns", "NumberOfFrames", "InstanceNumber", "SeriesNumber"),
    *("PixelSpacing", "SliceThickness", "SpacingBetweenSlices"),
    *("ImagePositionPatient", "ImageOrientationPatient"),
    *("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"),
)
_KEPT_GROUPS: Final = {
    "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness", "SpacingBetweenSlices"),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "PlanePositionSequence": ("ImagePositionPatient",),
}
_OF_THE_STUDY: Final = (
    *("StudyDescription", "PatientAge", "PatientSize", "PatientWeight", "IssuerOfPatientID"),
    *("OtherPatientIDs", "EthnicGroup", "PatientComments", "PhysiciansOfRecord", "Occupation"),
    *("NameOfPhysiciansReadingStudy", "AdmittingDiagnosesDescription", "AdditionalPatientHistory"),
    *("PatientBirthTime", "OtherPatientNames"),
)
"""What all objects of a study say alike (PS3.3, C.7.1.1, C.7.2.1 and C.7.2.2) and highdicom leaves out."""
_REPLACED: Final = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID")
_CARRIED: Final = (
    *("PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence"),
    "LongitudinalTemporalInformationModified",
)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a patient is said to be where it is not to be known.

    Parameters
    ----------
    name : str
        Stands for name and number.
    sex : str
        "F", "M", or empty.
    uids : dict of str to str
        Which identifier stands for which; filled as they are met, so that references fit.
    """

    name: str
    sex: str = ""
    uids: dict[str, str] = field(default_factory=dict, repr=False)

    def uid(self, original: str) -> str:
        """Return what stands for an identifier: drawn anew, so that nothing leads back to it."""
        return self.uids.setdefault(original, new_uid())


def deidentified(source: SourceScan, identity: Identity) -> SourceScan:
    """Return a scan's headers without its patient.

    Parameters
    ----------
    source : SourceScan
        As it was read.
    identity : Identity
        Who the patient is said to be.

    Returns
    -------
    SourceScan
        The same places in space, other identifiers, no dates.
    """
    images = {id(image): _header(image, identity) for image in source.images}
    uid = source.grid.frame_of_reference_uid
    grid = replace(source.grid, frame_of_reference_uid=identity.uid(uid) if uid else "")
    return replace(source, grid=grid, images=tuple(images[id(image)] for image in source.images))


def _header(image: Any, identity: Identity) -> Any:
    import pydicom
    from pydicom.sr.coding import Code

    made = pydicom.Dataset()
    made.file_meta = pydicom.dataset.FileMetaDataset()
    made.file_meta.TransferSyntaxUID = image.file_meta.TransferSyntaxUID
    for name in _KEPT:
        if name in image:
            made[name] = image[name]
    for name in _REPLACED:
        setattr(made, name, identity.uid(str(image.get(name))))
    for name in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        if name in image:
            setattr(made, name, [_groups(item) for item in image[name].value])
    made.SpecificCharacterSet = "ISO_IR 192"
    made.PatientName = made.PatientID = identity.name
    made.PatientBirthDate, made.PatientSex = "", identity.sex
    made.StudyDate = made.StudyTime = made.StudyID = made.AccessionNumber = ""
    made.ReferringPhysicianName = ""
    made.PatientIdentityRemoved = "YES"
    made.LongitudinalTemporalInformationModified = REMOVED
    codes = (
        Code("113100", "DCM", "Basic Application Confidentiality Profile"),
        Code("113108", "DCM", "Retain Patient Characteristics Option"),
    )
    made.DeidentificationMethodCodeSequence = [_item(code) for code in codes]
    return made


def _item(code: Any) -> Any:
    import highdicom as hd

    return hd.sr.CodedConcept.from_code(code)


def _groups(item: Any) -> Any:
    import pydicom

    made = pydicom.Dataset()
    for group, names in _KEPT_GROUPS.items():
        if group in item and item[group].value:
            inner = pydicom.Dataset()
            for name in names:
                if name in item[group].value[0]:
                    inner[name] = item[group].value[0][name]
            setattr(made, group, [inner])
    return made


def marked(dataset: Any, source: SourceScan) -> Any:
    """Say of an object what its source says of its patient and study, and of their identity.

    Parameters
    ----------
    dataset : pydicom.Dataset
        A new object; it is changed.
    source : SourceScan
        What it was made of.

    Returns
    -------
    pydicom.Dataset
        The same object.
    """
    for name in (*_CARRIED, *_OF_THE_STUDY):
        if name in source.first and name not in dataset:
            # Set by value, so that text is written anew in the object's own character set.
            setattr(dataset, name, source.first[name].value)
    if source.first.get("LongitudinalTemporalInformationModified") == REMOVED:
        _without_dates(dataset)
    return dataset


def renewed(dataset: Any) -> Any:
    """Give an object whose content changed new identifiers and the present time.

    Parameters
    ----------
    dataset : pydicom.Dataset
        Made here before; it is changed.

    Returns
    -------
    pydicom.Dataset
        The same object, in a series of its own; without a time where those of its study were removed.
    """
    now = dt.datetime.now(dt.UTC).astimezone()
    dataset.SOPInstanceUID, dataset.SeriesInstanceUID = new_uid(), new_uid()
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.InstanceCreationDate = dataset.ContentDate = now.strftime("%Y%m%d")
    dataset.InstanceCreationTime = dataset.ContentTime = now.strftime("%H%M%S")
    if dataset.get("LongitudinalTemporalInformationModified") == REMOVED:
        _without_dates(dataset)
    return dataset


def with_private_scheme(dataset: Any) -> Any:
    """Say in an object what the scheme of private codes in it is (PS3.3, C.12.1)."""
    import pydicom

    scheme = pydicom.Dataset()
    scheme.CodingSchemeDesignator = OWN_SCHEME
    scheme.CodingSchemeName = "flr_volumetry"
    scheme.CodingSchemeResponsibleOrganization = "flr_volumetry"
    known = list(dataset.get("CodingSchemeIdentificationSequence", []))
    dataset.CodingSchemeIdentificationSequence = [*known, scheme]
    return dataset


def _without_dates(dataset: Any) -> None:
    """Overwrite every date and time that an object was given when it was made."""
    for element in dataset.iterall():
        if element.VR in NEVER and element.value:
            element.value = NEVER[element.VR]
    if "TimezoneOffsetFromUTC" in dataset:
        del dataset.TimezoneOffsetFromUTC
