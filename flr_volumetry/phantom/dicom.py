"""Writes scans and masks as classic DICOM CT series, the same bytes for the same input."""

from __future__ import annotations

import shutil
import uuid
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flr_volumetry.errors import GridError, OutputError

if TYPE_CHECKING:
    from flr_volumetry.images import Grid, Image, Mask

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
HU_INTERCEPT = -1024
HU_MAX = HU_INTERCEPT + 4095
MASK_VALUE = 255
RIGHT_ANGLE_ATOL = 1e-4
AXIAL_COSINE = 0.8
"""A scanner's own slices stand no more than about 37 degrees from the axial plane; others are reformatted."""
UPRIGHT_DEG = 0.01
NAMESPACE = uuid.UUID("6f0a2c53-6d3b-5a3f-9a55-0a3c1c0e7b11")
"""Of all identifiers made here (RFC 4122, version 5)."""


class Compression(Enum):
    """How pixels are stored; all of them lossless."""

    NONE = "1.2.840.10008.1.2.1"
    RLE = "1.2.840.10008.1.2.5"
    JPEG_LS = "1.2.840.10008.1.2.4.80"


@dataclass(frozen=True, slots=True)
class SeriesInfo:
    """What the headers of a series say of the patient and the examination; all of it made up.

    Parameters
    ----------
    uid_root : str
        The same words give the same study and frame of reference, and with the same
        `series_number` the same series.
    patient_name, patient_id, birth_date, sex : str
        DICOM formats.
    height_m, weight_kg : float
        DICOM PatientSize is in metres.
    study_date, study_time : str
        YYYYMMDD and HHMMSS.
    series_number : int
        From 1.
    description : str
        Of the series.
    """

    uid_root: str = "flr_volumetry sample patient"
    patient_name: str = "Phantom^Sample"
    patient_id: str = "FLR-PHANTOM-1"
    birth_date: str = "19610615"
    sex: str = "F"
    height_m: float = 1.70
    weight_kg: float = 70.0
    study_date: str = "20240102"
    study_time: str = "101500"
    series_number: int = 1
    description: str = "Synthetic abdomen, portal venous"

    @property
    def age(self) -> str:
        """Age at the examination, DICOM AS."""
        born, seen = int(self.birth_date), int(self.study_date)
        return f"{(seen - born) // 10000:03d}Y"

    def uid(self, *what: str | int) -> str:
        """Return an identifier for something of this examination."""
        return f"2.25.{uuid.uuid5(NAMESPACE, '/'.join(map(str, (self.uid_root, *what)))).int}"


@dataclass(frozen=True, slots=True)
class _Pixels:
    """How numbers are stored: value = stored + intercept."""

    bits: int
    intercept: int
    image_type: tuple[str, ...]
    window: tuple[int, int]
    kind: str


def write_dicom_series(
    image: Image,
    folder: Path | str,
    *,
    info: SeriesInfo | None = None,
    compression: Compression = Compression.NONE,
) -> tuple[Path, ...]:
    """Write a scan as a CT series, one file for each slice.

    Parameters
    ----------
    image : Image
        Whole Hounsfield units from -1024 to 3071; its columns and rows at right angles. The step
        between slices may be oblique to them (gantry tilt).
    folder : Path or str
        New, or empty.
    info : SeriesInfo or None
        Header values; None for the sample patient's.
    compression : Compression
        How to store pixels.

    Returns
    -------
    tuple of Path
        The files, in the order of the slices.

    Raises
    ------
    GridError
        If columns and rows are not at right angles, or a value does not fit.
    OutputError
        If the folder is not empty or cannot be written; nothing is left behind.
    """
    low, high = int(image.voxels.min()), int(image.voxels.max())
    if low < HU_INTERCEPT or high > HU_MAX:
        raise GridError(
            f"values from {low} to {high} HU do not fit the 12 bits of a CT, {HU_INTERCEPT} to {HU_MAX}; "
            "clip them first",
            reason="values_out_of_range",
        )
    origin = (
        ("ORIGINAL", "PRIMARY", "AXIAL") if _is_axial(image.grid) else ("DERIVED", "SECONDARY", "REFORMATTED")
    )
    how = _Pixels(12, HU_INTERCEPT, origin, (40, 400), "CT")
    return _write(image.grid, image.voxels, Path(folder), (info or SeriesInfo(), how, compression))


def write_mask_series(
    mask: Mask,
    folder: Path | str,
    *,
    info: SeriesInfo | None = None,
    compression: Compression = Compression.RLE,
) -> tuple[Path, ...]:
    """Write a mask as a CT series that holds 255 inside and 0 outside, as 3D-IRCADb does.

    Parameters
    ----------
    mask : Mask
        Its columns and rows at right angles.
    folder : Path or str
        New, or empty.
    info : SeriesInfo or None
        Header values; None for the sample patient's, with the mask's name as the description.
    compression : Compression
        How to store pixels.

    Returns
    -------
    tuple of Path
        The files, in the order of the slices.

    Raises
    ------
    GridError
        If columns and rows are not at right angles.
    OutputError
        If the folder is not empty or cannot be written; nothing is left behind.
    """
    about = info or SeriesInfo(series_number=100, description=mask.name or "mask")
    values = mask.voxels.view(np.uint8) * np.uint8(MASK_VALUE)
    how = _Pixels(12, 0, ("DERIVED", "SECONDARY", "AXIAL"), (128, 256), f"mask {mask.name}")
    return _write(mask.grid, values, Path(folder), (about, how, compression))


def _is_axial(grid: Grid) -> bool:
    columns, rows = grid.affine[:3, 0], grid.affine[:3, 1]
    normal = np.cross(columns, rows)
    return bool(abs(normal[2]) / np.linalg.norm(normal) > AXIAL_COSINE)


def _write(
    grid: Grid, values: npt.NDArray[Any], folder: Path, style: tuple[SeriesInfo, _Pixels, Compression]
) -> tuple[Path, ...]:
    info, how, compression = style
    cosine = float(grid.affine[:3, 0] @ grid.affine[:3, 1]) / (grid.spacing_mm[0] * grid.spacing_mm[1])
    if abs(cosine) > RIGHT_ANGLE_ATOL:
        raise GridError(
            f"DICOM needs columns and rows at right angles; the cosine between them is {cosine:.4f}",
            reason="columns_not_orthogonal",
        )
    partial = folder.with_name(folder.name + ".partial")
    try:
        if folder.exists() and any(folder.iterdir()):
            raise OutputError(f"{folder} is not empty; name a new folder", reason="folder_not_empty")
        partial.mkdir(parents=True)
        names = [f"IM{k + 1:04d}.dcm" for k in range(grid.shape[2])]
        for k, name in enumerate(names):
            data = _dataset(grid, k, info, how)
            stored = values[:, :, k].astype(np.int32) - how.intercept
            _add_pixels(data, stored.T.astype("<u2"), how, compression)
            data.save_as(partial / name, enforce_file_format=True)
        if folder.exists():
            folder.rmdir()
        partial.rename(folder)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return tuple(folder / name for name in names)


def _dataset(grid: Grid, k: int, info: SeriesInfo, how: _Pixels) -> Any:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import UID

    series = (how.kind, info.series_number)
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID = UID(CT_IMAGE_STORAGE)
    data.file_meta.MediaStorageSOPInstanceUID = UID(info.uid(*series, "slice", k))
    data.file_meta.ImplementationClassUID = UID(SeriesInfo("flr_volumetry").uid("writer"))
    data.file_meta.ImplementationVersionName = "FLR_VOLUMETRY"
    data.SpecificCharacterSet = "ISO_IR 100"
    data.ImageType = list(how.image_type)
    data.SOPClassUID, data.SOPInstanceUID = CT_IMAGE_STORAGE, info.uid(*series, "slice", k)
    _add_examination(data, info, info.uid(*series))
    data.InstanceNumber = k + 1
    data.FrameOfReferenceUID = grid.frame_of_reference_uid or info.uid("frame of reference")
    data.PositionReferenceIndicator = ""
    _add_geometry(data, grid, k)
    data.RescaleIntercept, data.RescaleSlope, data.RescaleType = how.intercept, 1, "HU"
    data.WindowCenter, data.WindowWidth = how.window
    return data


def _add_examination(data: Any, info: SeriesInfo, series_uid: str) -> None:
    data.StudyDate = data.SeriesDate = data.AcquisitionDate = data.ContentDate = info.study_date
    data.StudyTime = data.SeriesTime = data.AcquisitionTime = data.ContentTime = info.study_time
    data.AccessionNumber = data.ReferringPhysicianName = ""
    data.Modality, data.Manufacturer, data.ManufacturerModelName = "CT", "flr_volumetry", "Synthetic phantom"
    data.StudyDescription, data.SeriesDescription = "Synthetic CT abdomen", info.description
    data.PatientName, data.PatientID = info.patient_name, info.patient_id
    data.PatientBirthDate, data.PatientSex, data.PatientAge = info.birth_date, info.sex, info.age
    data.PatientSize, data.PatientWeight = f"{info.height_m:g}", f"{info.weight_kg:g}"
    data.PatientIdentityRemoved, data.DeidentificationMethod = "YES", "synthetic: there is no such person"
    data.ContrastBolusAgent, data.BodyPartExamined = "Iodinated contrast, simulated", "ABDOMEN"
    data.ScanOptions, data.KVP, data.DistanceSourceToDetector = "HELICAL MODE", "120", ""
    data.SoftwareVersions, data.ConvolutionKernel, data.ExposureTime = "1", "SYNTHETIC", ""
    data.XRayTubeCurrent, data.PatientPosition = "", "HFS"
    data.StudyInstanceUID, data.SeriesInstanceUID = info.uid("study"), series_uid
    data.StudyID, data.SeriesNumber, data.AcquisitionNumber = "1", info.series_number, 1


def _add_geometry(data: Any, grid: Grid, k: int) -> None:
    """Geometry of slice k (DICOM PS3.3 C.7.6.2.1.1)."""
    columns, rows, slices = grid.affine[:3, 0], grid.affine[:3, 1], grid.affine[:3, 2]
    across, down = columns / grid.spacing_mm[0], rows / grid.spacing_mm[1]
    normal = np.cross(across, down)
    tilt = grid.tilt_deg
    if tilt > UPRIGHT_DEG:
        shift = slices - normal * float(slices @ normal)
        data.GantryDetectorTilt = _decimal(float(np.copysign(tilt, shift @ down)))
    else:
        data.GantryDetectorTilt = "0"
    data.SliceThickness = data.SpacingBetweenSlices = _decimal(grid.slice_distance_mm)
    data.ImagePositionPatient = [_decimal(v) for v in grid.centres_mm([[0, 0, k]])[0]]
    data.ImageOrientationPatient = [_decimal(v) for v in (*across, *down)]
    data.SliceLocation = _decimal(float(grid.centres_mm([[0, 0, k]])[0] @ normal))
    data.PixelSpacing = [_decimal(grid.spacing_mm[1]), _decimal(grid.spacing_mm[0])]


def _add_pixels(data: Any, stored: npt.NDArray[np.uint16], how: _Pixels, compression: Compression) -> None:
    from pydicom.uid import UID, ExplicitVRLittleEndian

    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.Rows, data.Columns = stored.shape
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, how.bits, how.bits - 1
    data.PixelRepresentation = 0
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.PixelData = stored.tobytes()
    if compression is not Compression.NONE:
        data.compress(UID(compression.value), generate_instance_uid=False)


def _decimal(value: float) -> str:
    """Write a number as a DICOM decimal string: at most 16 characters, as exact as they allow."""
    for digits in range(15, 0, -1):
        text = f"{round(float(value), 12) + 0.0:.{digits}g}"
        if len(text) <= 16:
            return text
    raise GridError(f"{value} cannot be written as a DICOM decimal string")
