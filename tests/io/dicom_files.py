"""DICOM files for tests, written with pydicom from an array and an affine."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


@dataclass
class SeriesSpec:
    """What a series says of itself; the voxels and the affine come beside it."""

    sop_class: str = CT
    modality: str = "CT"
    syntax: str = ExplicitVRLittleEndian
    patient: str = "P1"
    study: str = "1.2.3.1"
    series: str = "1.2.3.1.1"
    frame: str = "1.2.3.9"
    number: int = 1
    bits_stored: int = 16
    slope: float | None = 1
    intercept: float | None = 0
    extra: dict[str, Any] = field(default_factory=dict)
    edit: Callable[[Dataset, int], None] | None = None
    suffix: str = ".dcm"


def base(spec: SeriesSpec, voxels: npt.NDArray[Any], affine: npt.NDArray[np.float64]) -> FileDataset:
    """A data set with all that the images of a series share, and no pixels."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = spec.sop_class
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID = spec.sop_class
    ds.Modality = spec.modality
    ds.PatientID, ds.StudyInstanceUID, ds.SeriesInstanceUID = spec.patient, spec.study, spec.series
    ds.SeriesNumber, ds.SeriesDescription = spec.number, f"series {spec.number}"
    ds.StudyDate, ds.ImageType = "20200102", ["ORIGINAL", "PRIMARY", "AXIAL"]
    if spec.frame:
        ds.FrameOfReferenceUID = spec.frame
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Columns, ds.Rows = voxels.shape[0], voxels.shape[1]
    ds.BitsAllocated = voxels.dtype.itemsize * 8
    ds.BitsStored = min(spec.bits_stored, ds.BitsAllocated)
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = int(voxels.dtype.kind == "i")
    return ds


def cosines(affine: npt.NDArray[np.float64]) -> tuple[list[float], list[float]]:
    """Orientation and pixel spacing (rows, columns) of an affine, as DICOM writes them."""
    steps = affine[:3, :2]
    lengths = np.linalg.norm(steps, axis=0)
    return [round(float(x), 12) for x in (steps / lengths).T.ravel()], [float(lengths[1]), float(lengths[0])]


def ds_text(number: float) -> str:
    return f"{number:.12g}"[:16]


def write_slices(
    folder: Path, voxels: npt.NDArray[Any], affine: npt.NDArray[np.float64], spec: SeriesSpec | None = None
) -> list[Path]:
    """Write one file for each slice of stored values, [column, row, slice]."""
    spec = spec or SeriesSpec()
    folder.mkdir(parents=True, exist_ok=True)
    orientation, spacing = cosines(affine)
    paths = []
    for k in range(voxels.shape[2]):
        ds = base(spec, voxels, affine)
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{spec.series or 1.9}.{k + 1}"
        ds.InstanceNumber = k + 1
        ds.ImageOrientationPatient = [ds_text(x) for x in orientation]
        ds.ImagePositionPatient = [ds_text(x) for x in affine[:3, 3] + k * affine[:3, 2]]
        ds.PixelSpacing = [ds_text(x) for x in spacing]
        if spec.slope is not None:
            ds.RescaleSlope, ds.RescaleIntercept = spec.slope, spec.intercept
        for name, value in spec.extra.items():
            setattr(ds, name, value)
        ds.PixelData = np.ascontiguousarray(voxels[:, :, k].T).tobytes()
        ds["PixelData"].VR = "OB" if ds.BitsAllocated == 8 else "OW"
        if spec.edit:
            spec.edit(ds, k)
        path = folder / f"im{k:04d}{spec.suffix}"
        save(ds, path, spec.syntax)
        paths.append(path)
    return paths


def save(ds: FileDataset, path: Path, syntax: str) -> None:
    """Save in a transfer syntax; pixels are given little endian."""
    uid = UID(syntax)
    if uid == ExplicitVRBigEndian and ds.BitsAllocated > 8:
        ds.PixelData = np.frombuffer(ds.PixelData, f"<u{ds.BitsAllocated // 8}").byteswap().tobytes()
    if uid.is_compressed and uid != DeflatedExplicitVRLittleEndian:
        ds.compress(uid, generate_instance_uid=False)
    ds.file_meta.TransferSyntaxUID = uid
    native = not uid.is_encapsulated
    dcmwrite(
        path,
        ds,
        enforce_file_format=True,
        implicit_vr=uid.is_implicit_VR if native else None,
        little_endian=uid.is_little_endian if native else None,
    )


def write_enhanced(
    path: Path,
    frames: list[tuple[npt.NDArray[Any], dict[str, Any]]],
    affine: npt.NDArray[np.float64],
    spec: SeriesSpec | None = None,
) -> Path:
    """Write an enhanced image; each frame is (column, row) values and a dict of what its groups say.

    Keys: position (3), and optionally slope, intercept, stack, time, orientation.
    """
    spec = spec or SeriesSpec(ENHANCED_MR, "MR")
    path.parent.mkdir(parents=True, exist_ok=True)
    ds = base(spec, frames[0][0], affine)
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{spec.series or 1.9}.1"
    ds.InstanceNumber = 1
    ds.NumberOfFrames = len(frames)
    orientation, spacing = cosines(affine)
    shared, measures, plane = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = [ds_text(x) for x in spacing]
    shared.PixelMeasuresSequence = Sequence([measures])
    plane.ImageOrientationPatient = [ds_text(x) for x in orientation]
    shared.PlaneOrientationSequence = Sequence([plane])
    ds.SharedFunctionalGroupsSequence = Sequence([shared])
    items = []
    for _, says in frames:
        item, position, content, values = Dataset(), Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = [ds_text(x) for x in says["position"]]
        item.PlanePositionSequence = Sequence([position])
        if "stack" in says:
            content.StackID = says["stack"]
        if "time" in says:
            content.TemporalPositionIndex = says["time"]
        item.FrameContentSequence = Sequence([content])
        if "slope" in says:
            values.RescaleSlope, values.RescaleIntercept = says["slope"], says["intercept"]
            item.PixelValueTransformationSequence = Sequence([values])
        if "orientation" in says:
            own = Dataset()
            own.ImageOrientationPatient = [ds_text(x) for x in says["orientation"]]
            item.PlaneOrientationSequence = Sequence([own])
        items.append(item)
    ds.PerFrameFunctionalGroupsSequence = Sequence(items)
    for name, value in spec.extra.items():
        setattr(ds, name, value)
    ds.PixelData = b"".join(np.ascontiguousarray(values.T).tobytes() for values, _ in frames)
    ds["PixelData"].VR = "OB" if ds.BitsAllocated == 8 else "OW"
    if spec.edit:
        spec.edit(ds, 0)
    save(ds, path, spec.syntax)
    return path


__all__ = [
    "CT",
    "ENHANCED_MR",
    "MR",
    "SECONDARY_CAPTURE",
    "SeriesSpec",
    "write_enhanced",
    "write_slices",
]
