"""Segmentations, structure sets and .seg.nrrd files for tests, written attribute by attribute."""

from __future__ import annotations

import gzip
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian, RLELossless

from tests.io.dicom_files import cosines, ds_text, save

if TYPE_CHECKING:
    from collections.abc import Callable

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"
STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"


@dataclass
class SegSpec:
    """What a segmentation says of itself; masks and affine come beside it."""

    kind: str = "BINARY"
    names: dict[int, str] = field(default_factory=dict)
    codes: dict[int, tuple[str, str, str]] = field(default_factory=dict)
    syntax: str = ExplicitVRLittleEndian
    frame: str = "1.2.3.9"
    patient: str = "P1"
    series: str = "1.2.3.1.66"
    between: float | None = 0.0
    thickness: float | None = None
    order: np.random.Generator | None = None
    turn: Callable[[int], str] | None = None
    keep_empty: bool = False
    refers_to: tuple[str, list[str]] | None = None
    charset: str | None = None
    edit: Callable[[Dataset], None] | None = None
    place: Callable[[int, np.ndarray], np.ndarray] | None = None


def coded(scheme: str, value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodingSchemeDesignator, item.CodeValue, item.CodeMeaning = scheme, value, meaning
    return item


def turned(frame: np.ndarray, corner: np.ndarray, steps: np.ndarray, how: str):
    """A frame [column, row] and its geometry with columns or rows counted the other way, or exchanged."""
    columns, rows = frame.shape
    if "c" in how:
        frame, corner = frame[::-1], corner + steps[:, 0] * (columns - 1)
        steps = steps * [-1, 1]
    if "r" in how:
        frame, corner = frame[:, ::-1], corner + steps[:, 1] * (rows - 1)
        steps = steps * [1, -1]
    if "t" in how:
        frame, steps = frame.T, steps[:, ::-1]
    return frame, corner, steps


def _header(spec: SegSpec, sop_class: str, modality: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = f"{spec.series}.1"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    if spec.charset:
        ds.SpecificCharacterSet = spec.charset
    ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = sop_class, f"{spec.series}.1", modality
    ds.PatientID, ds.StudyInstanceUID, ds.SeriesInstanceUID = spec.patient, "1.2.3.1", spec.series
    if spec.frame:
        ds.FrameOfReferenceUID = spec.frame
    return ds


def _segments(masks: dict[int, np.ndarray], spec: SegSpec) -> Sequence:
    items = []
    for number in masks:
        item = Dataset()
        item.SegmentNumber, item.SegmentLabel = number, spec.names.get(number, f"segment {number}")
        code = spec.codes.get(number, ("SCT", "85756007", "Tissue"))
        item.SegmentedPropertyCategoryCodeSequence = Sequence([coded("SCT", "85756007", "Tissue")])
        item.SegmentedPropertyTypeCodeSequence = Sequence([coded(*code)])
        items.append(item)
    return Sequence(items)


def _group(position: np.ndarray, steps: np.ndarray, number: int | None) -> Dataset:
    affine = np.eye(4)
    affine[:3, :2] = steps
    orientation, _ = cosines(affine)
    group, plane, direction = Dataset(), Dataset(), Dataset()
    plane.ImagePositionPatient = [ds_text(x) for x in position]
    direction.ImageOrientationPatient = [ds_text(x) for x in orientation]
    group.PlanePositionSequence, group.PlaneOrientationSequence = Sequence([plane]), Sequence([direction])
    if number is not None:
        identification = Dataset()
        identification.ReferencedSegmentNumber = number
        group.SegmentIdentificationSequence = Sequence([identification])
    return group


def _frames(masks: dict[int, np.ndarray], affine: np.ndarray, spec: SegSpec):
    """Values [column, row], group, for each frame."""
    made = []
    if spec.kind == "LABELMAP":
        labels = np.zeros(next(iter(masks.values())).shape, np.uint8)
        for number, mask in masks.items():
            labels[mask] = number
        masks = {0: labels}
    for number, mask in masks.items():
        for k in range(mask.shape[2]):
            if not mask[:, :, k].any() and not spec.keep_empty:
                continue
            corner = affine[:3, 3] + k * affine[:3, 2]
            if spec.place:
                corner = spec.place(k, corner)
            how = spec.turn(k) if spec.turn else ""
            frame, corner, steps = turned(mask[:, :, k], corner, affine[:3, :2], how)
            made.append((frame, _group(corner, steps, None if spec.kind == "LABELMAP" else number)))
    if spec.order is not None:
        made = [made[n] for n in spec.order.permutation(len(made))]
    return made


def write_seg(
    path: Path, masks: dict[int, np.ndarray], affine: np.ndarray, spec: SegSpec | None = None
) -> Path:
    """Write masks [column, row, slice] by number; fractions from 0 to 1 where they are fractional."""
    spec = spec or SegSpec()
    path.parent.mkdir(parents=True, exist_ok=True)
    ds = _header(spec, LABEL_MAP if spec.kind == "LABELMAP" else SEGMENTATION, "SEG")
    frames = _frames(masks, affine, spec)
    columns, rows = frames[0][0].shape
    ds.SegmentationType, ds.SegmentSequence = spec.kind, _segments(masks, spec)
    ds.NumberOfFrames, ds.Rows, ds.Columns = len(frames), rows, columns
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
    measures, shared = Dataset(), Dataset()
    measures.PixelSpacing = [ds_text(x) for x in cosines(affine)[1]]
    normal = np.cross(affine[:3, 0], affine[:3, 1])
    distance = abs(affine[:3, 2] @ normal) / np.linalg.norm(normal)
    between = distance if spec.between == 0.0 else spec.between
    if between is not None:
        measures.SpacingBetweenSlices = ds_text(between)
    if spec.thickness is not None:
        measures.SliceThickness = ds_text(spec.thickness)
    shared.PixelMeasuresSequence = Sequence([measures])
    ds.SharedFunctionalGroupsSequence = Sequence([shared])
    ds.PerFrameFunctionalGroupsSequence = Sequence([group for _, group in frames])
    if spec.refers_to:
        ds.ReferencedSeriesSequence = Sequence([_reference(*spec.refers_to)])
    _pixels(ds, [frame for frame, _ in frames], spec)
    if spec.edit:
        spec.edit(ds)
    save_mask(ds, path, spec.syntax)
    return path


def _reference(series: str, instances: list[str]) -> Dataset:
    item = Dataset()
    item.SeriesInstanceUID = series
    parts = []
    for uid in instances:
        part = Dataset()
        part.ReferencedSOPClassUID, part.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", uid
        parts.append(part)
    item.ReferencedInstanceSequence = Sequence(parts)
    return item


def _pixels(ds: Dataset, frames: list[np.ndarray], spec: SegSpec) -> None:
    if spec.kind == "BINARY":
        ds.BitsAllocated = ds.BitsStored = 1
        ds.HighBit = 0
        bits = np.concatenate([frame.T.ravel() for frame in frames]).astype(np.uint8)
        data = np.packbits(bits, bitorder="little").tobytes()
    else:
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
        if spec.kind == "FRACTIONAL":
            ds.SegmentationFractionalType, ds.MaximumFractionalValue = "PROBABILITY", 255
            frames = [np.rint(frame * 255).astype(np.uint8) for frame in frames]
        data = b"".join(np.ascontiguousarray(frame.T).astype(np.uint8).tobytes() for frame in frames)
    ds.PixelData = data + b"\0" * (len(data) % 2)
    ds["PixelData"].VR = "OB"


def save_mask(ds: FileDataset, path: Path, syntax: str) -> None:
    if UID(syntax) == RLELossless and ds.BitsAllocated == 8:
        ds.compress(RLELossless, generate_instance_uid=False)
        ds.save_as(path, enforce_file_format=True)
        return
    save(ds, path, syntax)


def deflate_frames(ds: FileDataset, path: Path, frames: list[bytes]) -> None:
    """Save with each frame deflated for itself (Deflated Image Frame Compression)."""
    import zlib

    packed = []
    for frame in frames:
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        data = packer.compress(frame) + packer.flush()
        packed.append(data + b"\0" * (len(data) % 2))
    ds.PixelData = encapsulate(packed)
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.8.1")
    ds.save_as(path, implicit_vr=False, little_endian=True, force_encoding=True)


@dataclass
class RoiSpec:
    """One region of interest."""

    name: str
    contours: list[Any]
    kind: str = "CLOSED_PLANAR"
    frame: str = "1.2.3.9"
    code: tuple[str, str, str] | None = None
    counts: bool = True


def write_rtstruct(
    path: Path,
    regions: list[RoiSpec],
    *,
    series: str = "1.2.3.1.1",
    charset: str | None = None,
    edit: Callable[[Dataset], None] | None = None,
    syntax: str = "1.2.840.10008.1.2",
) -> Path:
    """Write regions whose contours are (n, 3) points in LPS mm, or the text of their data."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ds = _header(SegSpec(frame="", series="1.2.3.1.481", charset=charset), STRUCTURE_SET, "RTSTRUCT")
    referenced, study, referenced_series = Dataset(), Dataset(), Dataset()
    referenced_series.SeriesInstanceUID = series
    study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = "1.2.840.10008.3.1.2.3.1", "1.2.3.1"
    study.RTReferencedSeriesSequence = Sequence([referenced_series])
    referenced.FrameOfReferenceUID = regions[0].frame
    referenced.RTReferencedStudySequence = Sequence([study])
    ds.ReferencedFrameOfReferenceSequence = Sequence([referenced])
    ds.StructureSetROISequence = Sequence([_roi(n, spec) for n, spec in enumerate(regions, 1)])
    ds.ROIContourSequence = Sequence([_roi_contour(n, spec) for n, spec in enumerate(regions, 1)])
    ds.RTROIObservationsSequence = Sequence([_observation(n, spec) for n, spec in enumerate(regions, 1)])
    if edit:
        edit(ds)
    save(ds, path, syntax)
    return path


def _roi(number: int, spec: RoiSpec) -> Dataset:
    item = Dataset()
    item.ROINumber, item.ROIName = number, spec.name
    if spec.frame:
        item.ReferencedFrameOfReferenceUID = spec.frame
    return item


def _roi_contour(number: int, spec: RoiSpec) -> Dataset:
    item = Dataset()
    item.ReferencedROINumber = number
    contours = []
    for points in spec.contours:
        contour = Dataset()
        contour.ContourGeometricType = spec.kind
        contour.ContourData = (
            points if isinstance(points, list | str) else [ds_text(x) for x in np.ravel(points)]
        )
        if spec.counts:
            contour.NumberOfContourPoints = len(points)
        contours.append(contour)
    item.ContourSequence = Sequence(contours)
    return item


def _observation(number: int, spec: RoiSpec) -> Dataset:
    item = Dataset()
    item.ObservationNumber = item.ReferencedROINumber = number
    if spec.code:
        item.RTROIIdentificationCodeSequence = Sequence([coded(*spec.code)])
    return item


def write_segnrrd(
    path: Path,
    layers: list[np.ndarray],
    affine: np.ndarray,
    keys: dict[str, str],
    *,
    space: str = "left-posterior-superior",
    kind: str = "unsigned char",
) -> Path:
    """Write layers [column, row, slice] in LPS; several as a list axis that varies fastest."""
    path.parent.mkdir(parents=True, exist_ok=True)
    array = layers[0] if len(layers) == 1 else np.stack(layers)
    signs = np.array([-1, -1, 1]) if space == "right-anterior-superior" else np.ones(3)
    directions = [f"({','.join(repr(float(x)) for x in signs * affine[:3, n])})" for n in range(3)]
    several = len(layers) > 1
    lines = [
        "NRRD0004",
        f"type: {kind}",
        f"dimension: {array.ndim}",
        f"space: {space}",
        f"sizes: {' '.join(map(str, array.shape))}",
        f"space directions: {'none ' if several else ''}{' '.join(directions)}",
        f"kinds: {'list ' if several else ''}domain domain domain",
        "endian: little",
        "encoding: gzip",
        f"space origin: ({','.join(repr(float(x)) for x in signs * affine[:3, 3])})",
        *(f"{key}:={value}" for key, value in keys.items()),
    ]
    path.write_bytes(("\n".join(lines) + "\n\n").encode() + gzip.compress(array.tobytes(order="F")))
    return path
