"""What a back-end is, what it is asked, and what it answers.

A back-end takes a scan and gives masks on the scan's own grid. It reads no file of the patient, writes
none and loads nothing from the network; what it needs besides (weights, an atlas) comes by `Settings`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from flr_volumetry.anatomy import Structure
from flr_volumetry.errors import Caveat, SegmentationError
from flr_volumetry.images import Grid, Image, LabelMap, Mask
from flr_volumetry.segmentation.hints import NO_HINTS, Hints, PointMm

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

MANY = frozenset({Structure.LESION, Structure.SEGMENTS})
"""Structures that are not one mask: they have a place of their own in a `Segmentation`."""


class Modality(Enum):
    """What a scan was made with, as DICOM writes it."""

    CT = "CT"
    MR = "MR"


class Device(Enum):
    """What a network runs on."""

    CPU = "cpu"
    GPU = "gpu"
    APPLE = "mps"


def _no_step(step: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether a back-end can be used here; if not, what is missing and how to get it.

    Parameters
    ----------
    missing : str
        One sentence; empty if nothing is missing.
    remedy : str
        What to do about it, one sentence; empty if nothing is missing.
    detail : str
        What is there: a package's version, a folder of weights.

    Raises
    ------
    SegmentationError
        If something is missing and the remedy is not said, or the other way round.

    Examples
    --------
    >>> Availability().is_available
    True
    >>> Availability("torch is not installed.", "pip install 'flr-volumetry[nnunet]'").is_available
    False
    """

    missing: str = ""
    remedy: str = ""
    detail: str = ""

    def __post_init__(self) -> None:
        if bool(self.missing) != bool(self.remedy):
            raise SegmentationError("what is missing and its remedy are said together", reason="bad_backend")

    @property
    def is_available(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing


@dataclass(frozen=True, slots=True)
class Quality:
    """How good a mask is thought to be.

    Parameters
    ----------
    structure : Structure
        Of which mask.
    number : int
        Of which lesion, from 1; 0 for all else.
    dice : float or None
        Dice coefficient to be expected against a careful reader, 0 to 1; None if nothing is known.
    boundary_mm : float or None
        Mean distance to be expected between the mask's surface and a careful reader's, mm.
    basis : str
        Where the estimate comes from, one sentence.

    Raises
    ------
    SegmentationError
        If the Dice lies outside 0 to 1, or the distance is negative.
    """

    structure: Structure
    number: int = 0
    dice: float | None = None
    boundary_mm: float | None = None
    basis: str = ""

    def __post_init__(self) -> None:
        if self.dice is not None and not 0 <= self.dice <= 1:
            raise SegmentationError(
                f"a Dice coefficient lies between 0 and 1, got {self.dice}", reason="bad_backend"
            )
        if self.boundary_mm is not None and not self.boundary_mm >= 0:
            raise SegmentationError(f"a distance is 0 or more, got {self.boundary_mm}", reason="bad_backend")


@dataclass(frozen=True, slots=True, eq=False)
class FoundLesion:
    """One lesion that a back-end found.

    Parameters
    ----------
    mask : Mask
        On the scan's grid.
    confidence : float or None
        That it is a lesion, 0 to 1; None if the back-end does not say.
    hinted : tuple of float or None
        The seed or the box's centre that it was found from, LPS mm; None if it was found unasked.

    Raises
    ------
    SegmentationError
        If the confidence lies outside 0 to 1.
    """

    mask: Mask
    confidence: float | None = None
    hinted: PointMm | None = None

    def __post_init__(self) -> None:
        if self.confidence is not None and not 0 <= self.confidence <= 1:
            raise SegmentationError(
                f"a confidence lies between 0 and 1, got {self.confidence}", reason="bad_backend"
            )


@dataclass(frozen=True, slots=True)
class Made:
    """By what a segmentation was made.

    Parameters
    ----------
    backend : str
        The back-end's name in the register.
    version : str
        Of the package that did the work.
    task : str
        Which of its tasks or models, as it calls them; empty where there is only one.
    weights : str
        What identifies the weights or the atlas: a name, a digest; empty where there are none.
    device : str
        What it ran on; empty where there is no choice.
    """

    backend: str
    version: str
    task: str = ""
    weights: str = ""
    device: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """Masks made from a scan.

    Parameters
    ----------
    grid : Grid
        The scan's.
    made : Made
        By what.
    masks : mapping of Structure to Mask
        Whatever is one mask: the liver with its lesions and vessels, the portal vein, and so on.
    lesions : tuple of FoundLesion
        Numbered from 1 in this order.
    segments : LabelMap or None
        Couinaud segments, labels 1 to 8.
    quality : tuple of Quality
        What the back-end itself thinks of its masks, at most one for each.
    caveats : tuple of Caveat
        What the reader must know of it.
    methods : tuple of str
        Sentences for the methods section.

    Raises
    ------
    SegmentationError
        If a mask lies on another grid, is of a structure that is not one mask, or is empty.
    """

    grid: Grid
    made: Made
    masks: Mapping[Structure, Mask] = field(default_factory=dict)
    lesions: tuple[FoundLesion, ...] = ()
    segments: LabelMap | None = None
    quality: tuple[Quality, ...] = ()
    caveats: tuple[Caveat, ...] = ()
    methods: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "masks", MappingProxyType(dict(self.masks)))
        wrong = sorted(s.value for s in self.masks if s in MANY)
        if wrong:
            raise SegmentationError(
                f"{self.made.backend} gave {', '.join(wrong)} as one mask", reason="bad_backend"
            )
        named = [(s.value, m) for s, m in self.masks.items()]
        named += [(f"lesion {n}", lesion.mask) for n, lesion in enumerate(self.lesions, start=1)]
        for name, mask in named:
            self._require_grid(name, mask.grid)
            if not mask.voxels.any():
                raise SegmentationError(
                    f"{self.made.backend} gave an empty mask of {name}; what is not found is left out",
                    reason="bad_backend",
                )
        if self.segments is not None:
            self._require_grid("segments", self.segments.grid)

    def _require_grid(self, name: str, grid: Grid) -> None:
        if not grid.matches(self.grid):
            raise SegmentationError(
                f"{self.made.backend} gave {name} on another grid than the scan's", reason="bad_backend"
            )

    @property
    def structures(self) -> frozenset[Structure]:
        """What there is a mask of."""
        many = {Structure.LESION} if self.lesions else set()
        many |= {Structure.SEGMENTS} if self.segments is not None else set()
        return frozenset(self.masks) | many


@dataclass(frozen=True, slots=True, eq=False)
class Settings:
    """What a back-end needs besides the scan; each takes what it knows of.

    Parameters
    ----------
    folder : Path or None
        Weights, a trained model, an atlas.
    labels : mapping of int to str
        What the labels of a model stand for: ``{1: "liver", 2: "lesion", 3: "segment_4"}``.
    device : Device
        What a network runs on.
    read_segments : callable or None
        Reads the label map of Couinaud segments in a file, for an atlas; given by the caller, because
        back-ends know no file format.
    """

    folder: Path | None = None
    labels: Mapping[int, str] = field(default_factory=dict)
    device: Device = Device.CPU
    read_segments: Callable[[Path], LabelMap] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", MappingProxyType(dict(self.labels)))


@runtime_checkable
class Segmenter(Protocol):
    """A back-end, ready to be asked.

    A third party registers a function that takes `Settings` and returns one, under the entry point group
    ``flr_volumetry.segmenters``; the entry point's name is the back-end's. Making one must be cheap:
    packages are imported and weights loaded in `segment`.
    """

    @property
    def name(self) -> str:
        """Its name in the register."""
        ...

    @property
    def title(self) -> str:
        """What it is, one line."""
        ...

    @property
    def structures(self) -> frozenset[Structure]:
        """What it can find."""
        ...

    @property
    def modalities(self) -> frozenset[Modality]:
        """What scans it takes."""
        ...

    @property
    def licence(self) -> str:
        """Of the code and of the weights, one line."""
        ...

    def availability(self) -> Availability:
        """Say whether it can be used here; quick, without loading weights."""
        ...

    def segment(
        self,
        image: Image,
        wanted: frozenset[Structure],
        *,
        hints: Hints = NO_HINTS,
        tell: Callable[[str], None] = _no_step,
    ) -> Segmentation:
        """Find structures in a scan.

        Parameters
        ----------
        image : Image
            The scan, whole.
        wanted : frozenset of Structure
            What to find; more may be found.
        hints : Hints
            What the user says; hints that it cannot use give a caveat.
        tell : callable
            Called with the name of each step as it begins.

        Returns
        -------
        Segmentation
            What was found, on the scan's grid.

        Raises
        ------
        SegmentationError
            If it is not available, or nothing that could be a liver is in view.
        """
        ...
