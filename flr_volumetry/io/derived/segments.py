"""Binary segmentations in the study of a scan (PS3.3, A.51)."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from flr_volumetry.errors import OutputError
from flr_volumetry.io.derived.identity import marked, with_private_scheme
from flr_volumetry.io.derived.source import quietly
from flr_volumetry.io.derived.uids import new_uid
from flr_volumetry.io.names import OWN_SCHEME

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from flr_volumetry.io.derived.source import SourceScan

MANUFACTURER: Final = "flr_volumetry"
MAX_BYTES: Final = 4 << 30
"""Masks that need more memory than this at once are not written as one object."""
LABEL_CHARACTERS: Final = 64
"""The longest text of value representation LO (PS3.5, 6.2)."""


@dataclass(frozen=True, slots=True)
class Coded:
    """A coded concept.

    Parameters
    ----------
    value, scheme, meaning : str
        As PS3.16 prints them.
    """

    value: str
    scheme: str
    meaning: str

    def concept(self) -> Any:
        """Return it as highdicom takes it, its meaning no longer than an attribute may be."""
        import highdicom as hd

        return hd.sr.CodedConcept(self.value, self.scheme, self.meaning[:LABEL_CHARACTERS])


ANATOMY: Final = Coded("91723000", "SCT", "Anatomical Structure")
ABNORMAL: Final = Coded("49755003", "SCT", "Morphologically Altered Structure")
LIVER: Final = Coded("10200004", "SCT", "Liver")
LESION: Final = Coded("52988006", "SCT", "Lesion")


@dataclass(frozen=True, slots=True)
class SegmentToWrite:
    """What one segment stands for.

    Parameters
    ----------
    label : str
        For people.
    category, kind : Coded
        Of CID 7150 and 7151.
    rgb : tuple of int
        Its colour, 0 to 255.
    modifier : Coded or None
        What the kind's code alone does not say.
    region : Coded or None
        Where it lies.
    tracking_id, tracking_uid : str
        By which the same thing is known at another date; both, or neither.
    """

    label: str
    category: Coded
    kind: Coded
    rgb: tuple[int, int, int]
    modifier: Coded | None = None
    region: Coded | None = None
    tracking_id: str = ""
    tracking_uid: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Maker:
    """What made a segmentation.

    Parameters
    ----------
    name, version : str
        Of the algorithm.
    family : Coded
        Of CID 7162.
    automatic : bool
        Whether nobody had a hand in it.
    """

    name: str
    version: str
    family: Coded
    automatic: bool


@dataclass(frozen=True, slots=True, eq=False)
class SegmentObject:
    """A segmentation that was made.

    Parameters
    ----------
    dataset : pydicom.Dataset
        With its pixels.
    segments : tuple of SegmentToWrite
        In order of their numbers, from 1.
    voxels : tuple of int
        How many each has.
    slices : tuple of tuple of int
        On which slices of the scan each lies.
    """

    dataset: Any = field(repr=False)
    segments: tuple[SegmentToWrite, ...]
    voxels: tuple[int, ...]
    slices: tuple[tuple[int, ...], ...] = field(repr=False)

    def content(self) -> bytes:
        """Return the file's bytes."""
        return as_file(self.dataset)


@dataclass(frozen=True, slots=True)
class SeriesWords:
    """What is said of a new series.

    Parameters
    ----------
    number : int
        Added to that of the scan's series.
    description : str
        For lists of series.
    label : str
        Content label: capitals, digits, underscores.
    """

    number: int
    description: str
    label: str


def segment_object(
    source: SourceScan,
    labels: npt.NDArray[np.uint8],
    start: tuple[int, int, int],
    segments: Sequence[SegmentToWrite],
    *,
    maker: Maker,
    words: SeriesWords,
) -> SegmentObject:
    """Make a binary segmentation whose segments do not overlap; empty frames are left out.

    Parameters
    ----------
    source : SourceScan
        The images.
    labels : ndarray of uint8
        A box of the scan: 0, or the number of a segment from 1.
    start : tuple of int
        Where the box begins in the scan's grid.
    segments : sequence of SegmentToWrite
        In order of their numbers; each must have voxels.
    maker : Maker
        What made them.
    words : SeriesWords
        Of the new series.

    Returns
    -------
    SegmentObject
        In the scan's study and frame of reference, with identifiers of its own.

    Raises
    ------
    OutputError
        If the images lack what a segmentation must take from them, or there is too much of it.
    """
    counts = np.bincount(labels.ravel(order="K"), minlength=len(segments) + 1)[1:]
    columns, rows = source.grid.shape[:2]
    i, j, k = start
    within = (slice(j, j + labels.shape[1]), slice(i, i + labels.shape[0]))

    def frame(n: int) -> npt.NDArray[np.uint8]:
        plane = np.zeros((rows, columns), dtype=np.uint8)
        plane[within] = labels[..., n - k].T
        return plane

    numbers = range(1, len(segments) + 1)
    slices = tuple(
        tuple((np.flatnonzero((labels == number).any(axis=(0, 1))) + k).tolist()) for number in numbers
    )
    used = sorted({n for mine in slices for n in mine})
    dataset = binary_dataset(source, frame, used, segments, maker=maker, words=words)
    return SegmentObject(dataset, tuple(segments), tuple(int(n) for n in counts), slices)


def binary_dataset(
    source: SourceScan,
    frame: Callable[[int], npt.NDArray[np.uint8]],
    used: Sequence[int],
    segments: Sequence[SegmentToWrite],
    *,
    maker: Maker,
    words: SeriesWords,
) -> Any:
    """Make a binary segmentation of slices that a function draws.

    Parameters
    ----------
    source : SourceScan
        The images.
    frame : callable
        Gives for the number of a slice its (rows, columns) labels, or its (rows, columns, segments) masks.
    used : sequence of int
        The slices on which something lies, ascending.
    segments : sequence of SegmentToWrite
        In order of their numbers.
    maker : Maker
        What made them.
    words : SeriesWords
        Of the new series.

    Returns
    -------
    pydicom.Dataset
        The object.

    Raises
    ------
    OutputError
        As for `segment_object`.
    """
    import highdicom as hd

    try:
        with quietly():
            made = hd.seg.Segmentation(
                source_images=source.images_at(used),
                pixel_array=_pixels(source, frame, used),
                segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
                segment_descriptions=[_described(n, one, maker) for n, one in enumerate(segments, start=1)],
                sop_instance_uid=new_uid(),
                instance_number=1,
                content_label=words.label,
                content_description=f"{words.description}, research use only"[:LABEL_CHARACTERS],
                manufacturer_model_name=maker.name,
                software_versions=maker.version,
                device_serial_number="0",
                **new_series(source, words),
            )
    except OutputError:
        raise
    except Exception as error:
        raise lacking(source, "segmentation", error) from error
    made.ContentCreatorName = ""
    private = any(c is not None and c.scheme == OWN_SCHEME for s in segments for c in (s.kind, s.modifier))
    return marked(with_private_scheme(made) if private else made, source)


def lacking(source: SourceScan, what: str, error: Exception) -> OutputError:
    """Return the refusal for images that lack what an object must take from them."""
    series = source.first.get("SeriesDescription") or source.first.get("Modality")
    return OutputError(
        f"no DICOM {what} can be made of the series {series}: {error}", reason="scan_lacks_attributes"
    )


def _pixels(
    source: SourceScan, frame: Callable[[int], npt.NDArray[np.uint8]], used: Sequence[int]
) -> npt.NDArray[np.uint8]:
    example = frame(used[0])
    count = int(source.first.NumberOfFrames) if source.frames else len(used)
    if count * example.size > MAX_BYTES:
        raise OutputError("the masks are too large for one DICOM segmentation", reason="too_large")
    pixels = np.zeros((count, *example.shape), dtype=np.uint8)
    for place, n in enumerate(used):
        pixels[source.frames[n] if source.frames else place] = frame(n)
    return pixels


def new_series(source: SourceScan, words: SeriesWords) -> dict[str, Any]:
    """Return what highdicom must be told of a new series."""
    return {
        "series_instance_uid": new_uid(),
        "series_number": series_number(source, words.number),
        "series_description": words.description[:LABEL_CHARACTERS],
        "manufacturer": MANUFACTURER,
    }


def series_number(source: SourceScan, added: int) -> int:
    """Return the number of a new series: beside the scan's own, within 9,999."""
    return int(source.first.get("SeriesNumber") or 0) % 9000 + 900 + added


def _described(number: int, one: SegmentToWrite, maker: Maker) -> Any:
    import highdicom as hd

    kinds = hd.seg.SegmentAlgorithmTypeValues
    made = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=one.label[:LABEL_CHARACTERS],
        segmented_property_category=one.category.concept(),
        segmented_property_type=one.kind.concept(),
        algorithm_type=kinds.AUTOMATIC if maker.automatic else kinds.SEMIAUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=maker.name, version=maker.version, family=maker.family.concept()
        ),
        anatomic_regions=[one.region.concept()] if one.region is not None else None,
        display_color=hd.color.CIELabColor.from_rgb(*one.rgb),
        tracking_uid=one.tracking_uid or None,
        tracking_id=one.tracking_id or None,
    )
    if one.modifier is not None:
        kind = made.SegmentedPropertyTypeCodeSequence[0]
        kind.SegmentedPropertyTypeModifierCodeSequence = [one.modifier.concept()]
    return made


def as_file(dataset: Any) -> bytes:
    """Return a data set as the bytes of a DICOM file (PS3.10)."""
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
