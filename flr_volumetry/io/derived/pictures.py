"""Pictures and documents in the study of a scan (PS3.3, A.8 and A.45)."""

from __future__ import annotations

import copy
import datetime as dt
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from flr_volumetry.io.derived.identity import marked, renewed
from flr_volumetry.io.derived.segments import (
    LABEL_CHARACTERS,
    MANUFACTURER,
    lacking,
    new_series,
    series_number,
)
from flr_volumetry.io.derived.source import quietly
from flr_volumetry.io.derived.uids import new_uid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flr_volumetry.io.derived.segments import Maker, SeriesWords
    from flr_volumetry.io.derived.source import SourceScan

ENCAPSULATED_PDF: Final = "1.2.840.10008.5.1.4.1.1.104.1"
EXPLICIT_LITTLE: Final = "1.2.840.10008.1.2.1"
RLE_LOSSLESS: Final = "1.2.840.10008.1.2.5"
_PATIENT_AND_STUDY: Final = (
    *("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "PatientAge"),
    *("PatientSize", "PatientWeight", "StudyInstanceUID", "StudyDate", "StudyTime", "StudyID"),
    *("AccessionNumber", "ReferringPhysicianName", "StudyDescription", "SpecificCharacterSet"),
)


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture.

    Parameters
    ----------
    title : str
        What it shows.
    png : bytes
        It.
    """

    title: str
    png: bytes = field(repr=False)


def picture_objects(
    source: SourceScan, pictures: Sequence[Picture], *, maker: Maker, words: SeriesWords
) -> list[Any]:
    """Make secondary captures of pictures, in colour, without loss; one series of them.

    Parameters
    ----------
    source : SourceScan
        The images.
    pictures : sequence of Picture
        In order. No picture may show who the patient is: they are marked as free of it.
    maker : Maker
        What drew them.
    words : SeriesWords
        Of the new series.

    Returns
    -------
    list of pydicom.Dataset
        In the scan's study.

    Raises
    ------
    OutputError
        If the images lack what a picture must take from them.
    """
    series = new_series(source, words)
    try:
        with quietly():
            return [
                _capture(source, one, number, maker, series) for number, one in enumerate(pictures, start=1)
            ]
    except Exception as error:
        raise lacking(source, "secondary capture", error) from error


def _capture(source: SourceScan, one: Picture, number: int, maker: Maker, series: dict[str, Any]) -> Any:
    import highdicom as hd
    from PIL import Image

    pixels = np.asarray(Image.open(io.BytesIO(one.png)).convert("RGB"))
    made: Any = hd.sc.SCImage.from_ref_dataset(
        source.first,
        pixel_array=pixels,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "P"),
        sop_instance_uid=new_uid(),
        instance_number=number,
        manufacturer_model_name=maker.name,
        software_versions=maker.version,
        device_serial_number="0",
        transfer_syntax_uid=RLE_LOSSLESS,
        **series,
    )
    # Drawings of several planes at once have no one orientation (PS3.3, C.7.6.1.1.1).
    made.PatientOrientation = None
    made.BodyPartExamined = "LIVER"
    made.ImageComments = one.title[:10240]
    made.BurnedInAnnotation = "NO"
    return marked(made, source)


def document_object(source: SourceScan, pdf: bytes, *, title: str, maker: Maker, words: SeriesWords) -> Any:
    """Make an encapsulated PDF (PS3.3, A.45.1).

    Parameters
    ----------
    source : SourceScan
        The images that the document is about.
    pdf : bytes
        A PDF file.
    title : str
        Of the document.
    maker : Maker
        What wrote it.
    words : SeriesWords
        Of the new series.

    Returns
    -------
    pydicom.Dataset
        In the scan's study.

    Raises
    ------
    OutputError
        If the images lack what a document must take from them.
    """
    import pydicom

    now = dt.datetime.now(dt.UTC).astimezone()
    made: Any = pydicom.Dataset()
    for name in _PATIENT_AND_STUDY:
        if name in source.first:
            made[name] = source.first[name]
    for name in ("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"):
        if name not in made:
            setattr(made, name, "")
    made.SOPClassUID, made.SOPInstanceUID = ENCAPSULATED_PDF, new_uid()
    made.Modality, made.SeriesInstanceUID = "DOC", new_uid()
    made.SeriesNumber, made.InstanceNumber = series_number(source, words.number), 1
    made.SeriesDescription, made.ConversionType = words.description, "WSD"
    made.Manufacturer, made.ManufacturerModelName = MANUFACTURER, maker.name
    made.SoftwareVersions, made.DeviceSerialNumber = maker.version, "0"
    made.ContentDate, made.ContentTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    made.InstanceCreationDate, made.InstanceCreationTime = made.ContentDate, made.ContentTime
    made.AcquisitionDateTime = ""
    # A report names its case and the day of the scan.
    known = source.first.get("PatientIdentityRemoved") != "YES"
    made.BurnedInAnnotation, made.DocumentTitle = "YES" if known else "NO", title[:1024]
    made.ConceptNameCodeSequence = [_concept()]
    made.MIMETypeOfEncapsulatedDocument = "application/pdf"
    made.EncapsulatedDocument = pdf
    made.EncapsulatedDocumentLength = len(pdf)
    made.file_meta = pydicom.dataset.FileMetaDataset()
    made.file_meta.MediaStorageSOPClassUID = ENCAPSULATED_PDF
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.file_meta.TransferSyntaxUID = EXPLICIT_LITTLE
    return marked(made, source)


def renewed_document(earlier: Any, pdf: bytes, *, title: str, maker: Maker) -> Any:
    """Put another PDF into an encapsulated document, in a series of its own.

    Parameters
    ----------
    earlier : pydicom.Dataset
        As `document_object` made it.
    pdf : bytes
        A PDF file.
    title : str
        Of the document.
    maker : Maker
        What wrote it.

    Returns
    -------
    pydicom.Dataset
        Another object of the same patient and study.
    """
    made = copy.deepcopy(earlier)
    made.EncapsulatedDocument, made.DocumentTitle = pdf, title[:1024]
    made.EncapsulatedDocumentLength = len(pdf)
    made.SoftwareVersions = maker.version
    return renewed(made)


def _concept() -> Any:
    import highdicom as hd

    return hd.sr.CodedConcept("18748-4", "LN", "Diagnostic imaging report"[:LABEL_CHARACTERS])
