"""What can go wrong, and what the reader must know.

The tree, each with one example:

* FlrError
    + InputError ............. a file or folder that cannot be used as asked
        - UnreadableError .... a path that does not exist, a damaged file
        - NotAVolumeError .... slices with a gap; two scouts; a colour capture
        - AmbiguousError ..... two series in the folder, and none was chosen
    + GridError .............. an affine without volume, masks on other lattices
        - FrameError ......... a mask whose frame of reference is another one
    + LiverError ............. an empty liver mask, a lesion outside the liver
    + SegmentationError ...... no liver in view, a back-end that is not installed
    + PlanError .............. an unknown hepatectomy, a plane that removes nothing
    + FormulaError ........... a height of 1.70 cm, a denominator of nought
    + ProtocolError .......... a rule without its source
    + CaseError .............. an unknown key in the case file
    + OutputError ............ a folder that cannot be written
    + NetworkError ........... a PACS that does not answer, or does not know us

Every error carries a reason code, stable across versions, for machines; its
message says what was found, where, and what to do.
"""

from __future__ import annotations

from dataclasses import dataclass


class FlrError(Exception):
    """Something that stops an assessment; the parent of all errors raised here.

    Parameters
    ----------
    message : str
        What was found, where, and what to do.
    reason : str
        Stable code for machines, in snake case.
    """

    default_reason = "error"

    def __init__(self, message: str, *, reason: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.default_reason


class InputError(FlrError):
    """A file or folder cannot be used as asked: a mask file without the label named."""

    default_reason = "unusable_input"


class UnreadableError(InputError):
    """A file cannot be opened or decoded: it is missing, cut short, or not what it claims."""

    default_reason = "unreadable"


class NotAVolumeError(InputError):
    """Images do not form one regular volume: a slice is missing, orientations are mixed."""

    default_reason = "not_a_volume"


class AmbiguousError(InputError):
    """Several readings are possible and none was chosen: two series in one folder."""

    default_reason = "ambiguous"


class GridError(FlrError):
    """Voxels cannot be placed in the patient, or two arrays lie on different lattices."""

    default_reason = "bad_grid"


class FrameError(GridError):
    """Two objects name different frames of reference: a mask drawn on another scan."""

    default_reason = "wrong_frame_of_reference"


class LiverError(FlrError):
    """Masks do not describe one patient's liver: the liver is empty, a lesion lies outside it."""

    default_reason = "bad_liver"


class SegmentationError(FlrError):
    """A mask cannot be made from a scan: no liver is in view, a back-end's weights are missing."""

    default_reason = "not_segmented"


class PlanError(FlrError):
    """A resection plan cannot be carried out: an unknown segment, a cut that removes nothing."""

    default_reason = "bad_plan"


class FormulaError(FlrError):
    """A formula is asked outside its domain: a height given in metres."""

    default_reason = "out_of_domain"


class ProtocolError(FlrError):
    """A protocol file is not valid: a rule without a source."""

    default_reason = "bad_protocol"


class CaseError(FlrError):
    """A case file is not valid: an unknown key, a missing plan."""

    default_reason = "bad_case"


class OutputError(FlrError):
    """A result cannot be written: the folder is read-only, the disk is full."""

    default_reason = "unwritable"


class NetworkError(FlrError):
    """A peer cannot be worked with: it does not answer, rejects the association, asks for a password."""

    default_reason = "network_error"


@dataclass(frozen=True, slots=True)
class Caveat:
    """Something doubtful that every output shows.

    Parameters
    ----------
    code : str
        Stable code for machines, in snake case.
    message : str
        One sentence for the reader: what was found, where, and what it does to the numbers.
    """

    code: str
    message: str
