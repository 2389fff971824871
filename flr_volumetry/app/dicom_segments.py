"""An outcome's pieces as segments of DICOM segmentations: the plan, the liver, its Couinaud segments."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from flr_volumetry.anatomy import ROMAN, SEGMENTS
from flr_volumetry.io import SEGMENT_CODES
from flr_volumetry.io.derived import Coded, SegmentToWrite
from flr_volumetry.io.derived.segments import ABNORMAL, ANATOMY, LESION, LIVER
from flr_volumetry.io.names import OWN_SCHEME
from flr_volumetry.resection import PieceKind
from flr_volumetry.resection.partition import REMNANT

if TYPE_CHECKING:
    from collections.abc import Callable

    from flr_volumetry.app.run import Outcome
    from flr_volumetry.resection import Partition

Labels = npt.NDArray[np.unsignedinteger]
REMNANT_CODE: Final = Coded("REMNANT", OWN_SCHEME, "Future liver remnant")
RESECTED_CODE: Final = Coded("RESECTED", OWN_SCHEME, "Liver to be resected")
ABLATED_CODE: Final = Coded("ABLATED", OWN_SCHEME, "Liver to be ablated")
LIVER_RGB: Final = (221, 130, 101)
REMNANT_RGB: Final = (86, 180, 233)
RESECTED_RGB: Final = ((230, 159, 0), (213, 94, 0), (0, 158, 115))
ABLATED_RGB: Final = (204, 121, 167)
LESION_RGB: Final = (253, 226, 67)
SEGMENT_RGB: Final = (
    *((230, 103, 103), (230, 198, 103), (166, 230, 103), (103, 230, 135)),
    *((103, 230, 230), (103, 135, 230), (166, 103, 230), (230, 103, 198)),
)


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """Segments that do not overlap, on the liver's grid.

    Parameters
    ----------
    labels : ndarray of uint8 or uint16
        0, or the number of a segment, from 1.
    segments : tuple of SegmentToWrite
        In order of their numbers.
    of : tuple of (str, int)
        What each is: "remnant", "piece" with its label, "lesion" or "segment" with its number, "liver".
    """

    labels: Labels = field(repr=False)
    segments: tuple[SegmentToWrite, ...]
    of: tuple[tuple[str, int], ...]


def plan_pieces(outcome: Outcome, tracked: Callable[[int], str]) -> Pieces:
    """Return remnant, resected and ablated liver, and lesions: each voxel of the liver in one of them.

    Parameters
    ----------
    outcome : Outcome
        An assessed case.
    tracked : callable
        Gives the lasting identifier of a lesion by its number.

    Returns
    -------
    Pieces
        Where a lesion lies it is the lesion; where two overlap, the first. What has no voxel is left out.
    """
    partition = outcome.partition
    wanted: list[tuple[str, int, SegmentToWrite]] = [
        ("remnant" if p.label == REMNANT else "piece", p.label, _piece(partition, p.label))
        for p in partition.pieces
    ]
    last = max(p.label for p in partition.pieces)
    drawn = partition.labels.astype(np.uint16)
    for lesion in reversed(outcome.liver.lesions):
        drawn[lesion.box][lesion.voxels] = last + lesion.number
        named = f"Lesion {lesion.number}"
        segment = SegmentToWrite(
            named,
            ABNORMAL,
            LESION,
            (LESION_RGB[0], max(0, LESION_RGB[1] - 30 * ((lesion.number - 1) % 6)), LESION_RGB[2]),
            region=LIVER,
            tracking_id=named,
            tracking_uid=tracked(lesion.number),
        )
        wanted.insert(len(partition.pieces), ("lesion", lesion.number, segment))
    drawn[~outcome.liver.voxels] = 0
    values = [label + (last if kind == "lesion" else 0) for kind, label, _ in wanted]
    return _numbered(drawn, values, wanted)


def liver_pieces(outcome: Outcome) -> Pieces:
    """Return the whole liver, lesions included, as one segment."""
    segment = SegmentToWrite("Liver", ANATOMY, LIVER, LIVER_RGB)
    return Pieces(outcome.liver.voxels.view(np.uint8), (segment,), (("liver", 0),))


def couinaud_pieces(outcome: Outcome) -> Pieces | None:
    """Return the Couinaud segments; None where they are not known."""
    segments = outcome.liver.segments
    if segments is None:
        return None
    wanted = [
        (
            "segment",
            n,
            SegmentToWrite(
                f"Liver segment {ROMAN[n]}",
                ANATOMY,
                Coded(SEGMENT_CODES[n - 1], "SCT", f"Liver segment {ROMAN[n]}"),
                SEGMENT_RGB[n - 1],
            ),
        )
        for n in SEGMENTS
    ]
    made = _numbered(segments, list(SEGMENTS), wanted)
    return made if made.segments else None


def _numbered(
    drawn: npt.NDArray[np.unsignedinteger], values: list[int], wanted: list[tuple[str, int, SegmentToWrite]]
) -> Pieces:
    """Give numbers from 1 to what has voxels."""
    counts = np.bincount(drawn.ravel(order="K"), minlength=max(values) + 1)
    there = [(value, one) for value, one in zip(values, wanted, strict=True) if counts[value]]
    table = np.zeros(len(counts), dtype=np.uint8 if len(there) < 256 else np.uint16)
    for number, (value, _) in enumerate(there, start=1):
        table[value] = number
    return Pieces(
        table[drawn],
        tuple(segment for _, (_, _, segment) in there),
        tuple((kind, label) for _, (kind, label, _) in there),
    )


def _piece(partition: Partition, label: int) -> SegmentToWrite:
    piece = next(p for p in partition.pieces if p.label == label)
    if label == REMNANT:
        return SegmentToWrite("Future liver remnant", ANATOMY, LIVER, REMNANT_RGB, modifier=REMNANT_CODE)
    alike = [p.label for p in partition.pieces if (p.kind, p.stage) == (piece.kind, piece.stage)]
    which = f" ({alike.index(label) + 1})" if len(alike) > 1 else ""
    if piece.kind is PieceKind.ABLATED:
        name = f"Ablated in stage {piece.stage}{which}"
        return SegmentToWrite(name, ANATOMY, LIVER, ABLATED_RGB, modifier=ABLATED_CODE)
    colour = RESECTED_RGB[(label - 2) % len(RESECTED_RGB)]
    name = f"Resected in stage {piece.stage}{which}"
    return SegmentToWrite(name, ANATOMY, LIVER, colour, modifier=RESECTED_CODE)
