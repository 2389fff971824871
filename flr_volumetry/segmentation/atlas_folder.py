"""What lies in an atlas's folder: which files are livers, which have segments, and which are left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from flr_volumetry.anatomy import SEGMENTS
from flr_volumetry.errors import Caveat, FlrError, SegmentationError
from flr_volumetry.images import LabelMap
from flr_volumetry.segmentation.fusion import AtlasLiver, is_mirrored, sample

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from flr_volumetry.segmentation.protocol import Settings

SUFFIXES: Final = (".nii.gz", ".nii", ".nrrd", ".mha")
FEWEST: Final = 3
"""Fewer livers make no vote and no prior (assumed)."""
LIVER_ML: Final = (500.0, 4000.0)
"""A whole liver (assumed; after a hepatectomy or with a large tumour it may be outside)."""
CUT_CM2: Final = 15.0
"""A liver that meets the edge of its file over more than this is not whole (assumed)."""
SAME_ML, SAME_MM, SAME_POINTS = 0.05, 1.5, 2000
"""Two files hold one liver if volumes differ by less than this share, and surfaces by less than this."""
RIM_MM: Final = 5.0
NAMED: Final = 12


@dataclass(frozen=True, slots=True, eq=False)
class AtlasFolder:
    """The livers of an atlas.

    Parameters
    ----------
    livers : tuple of AtlasLiver
        Whole livers, each once: what a prior is made of.
    segmented : tuple of AtlasLiver
        Those with Couinaud segments: what votes on segments.
    no_liver, no_segments : tuple of str
        What was left out of either, and why.
    """

    livers: tuple[AtlasLiver, ...]
    segmented: tuple[AtlasLiver, ...]
    no_liver: tuple[str, ...]
    no_segments: tuple[str, ...]

    def required(self, *, segments: bool, folder: str) -> tuple[tuple[AtlasLiver, ...], tuple[Caveat, ...]]:
        """Return the livers that count, and what was left out.

        Parameters
        ----------
        segments : bool
            Whether they need segments.
        folder : str
            What to call the folder.

        Returns
        -------
        livers : tuple of AtlasLiver
            At least three.
        caveats : tuple of Caveat
            None if every file is used.

        Raises
        ------
        SegmentationError
            If there are fewer.
        """
        livers = self.segmented if segments else self.livers
        gone = self.no_segments if segments else self.no_liver
        what, work = ("segmented livers", "a vote") if segments else ("whole livers", "a prior")
        named = ", ".join(gone[:NAMED]) + (f" and {len(gone) - NAMED} more" if len(gone) > NAMED else "")
        if len(livers) < FEWEST:
            raise SegmentationError(
                f"{folder} holds {len(livers)} {what} that can be used, and {work} needs {FEWEST}"
                + (f"; left out: {named}." if gone else "."),
                reason="atlas_too_small",
            )
        said = f"Files of the atlas that were left out of the {'vote' if segments else 'prior'}: {named}."
        return livers, (Caveat("atlas_left_out", said),) if gone else ()


def label_files(folder: Path) -> list[Path]:
    """Return the files of a folder that may be label maps, in order.

    Parameters
    ----------
    folder : Path
        Looked through with all it holds.

    Returns
    -------
    list of Path
        By their endings.
    """
    return sorted(p for p in folder.rglob("*") if p.is_file() and p.name.lower().endswith(SUFFIXES))


def read_atlas(settings: Settings, tell: Callable[[str], None] = lambda _: None) -> AtlasFolder:
    """Read the livers of an atlas.

    Parameters
    ----------
    settings : Settings
        With its folder, what reads a file, and `labels` if the files hold more than a liver: the numbers
        named ``liver``, ``lesion`` and ``segment_1`` to ``segment_8`` are the liver.
    tell : callable
        Called with what is done.

    Returns
    -------
    AtlasFolder
        In the order of names; a liver that lies in two files counts once.

    Raises
    ------
    SegmentationError
        If no folder was named.
    """
    folder, read = settings.folder, settings.read_segments
    if folder is None or read is None:
        raise SegmentationError("no folder of segmented livers was named", reason="backend_unavailable")
    tell("reading the atlas")
    livers: list[AtlasLiver] = []
    segmented: list[AtlasLiver] = []
    no_liver: list[str] = []
    no_segments: list[str] = []
    # Files with segments first: of two with one liver they are kept.
    late: list[tuple[str, LabelMap]] = []
    for path in label_files(folder):
        name = path.relative_to(folder).as_posix()
        try:
            labels = read(path)
            why = _no_segments(labels)
            if why:
                no_segments.append(f"{name} ({why})")
                late.append((name, _outline(labels, settings.labels)))
                continue
            liver = AtlasLiver.of(name, labels)
        except FlrError as error:
            no_liver.append(f"{name} ({error.reason})")
            no_segments.append(f"{name} ({error.reason})")
            continue
        if is_mirrored(liver):
            said = f"{name} (segments II and III lie to the right of VI and VII)"
            no_segments.append(said)
            no_liver.append(said)
            continue
        segmented.append(liver)
        _sort(name, labels, livers, no_liver, liver)
    for name, outline in late:
        _sort(name, outline, livers, no_liver)
    livers.sort(key=lambda one: one.name)
    return AtlasFolder(tuple(livers), tuple(segmented), tuple(sorted(no_liver)), tuple(no_segments))


def _no_segments(labels: LabelMap) -> str:
    present = {n for n in SEGMENTS if (labels.voxels == n).any()}
    fits = len(present) >= len(SEGMENTS) - 1 and int(labels.voxels.max()) <= max(SEGMENTS)
    return "" if fits else "not labels 1 to 8"


def _outline(labels: LabelMap, names: Mapping[int, str]) -> LabelMap:
    """Return the liver as label 1: what the labels of the atlas call so, or whatever is labelled."""
    own = [n for n, what in names.items() if what in ("liver", "lesion") or what.startswith("segment_")]
    inside = np.isin(labels.voxels, own) if own else labels.voxels > 0
    return LabelMap(labels.grid, inside.astype(np.uint8))


def _sort(
    name: str,
    labels: LabelMap,
    livers: list[AtlasLiver],
    left_out: list[str],
    liver: AtlasLiver | None = None,
) -> None:
    """Put a file among the livers, or say why not."""
    try:
        liver = liver or AtlasLiver.of(name, labels)
    except FlrError as error:
        left_out.append(f"{name} ({error.reason})")
        return
    why = _no_liver(liver, labels, livers)
    if why:
        left_out.append(f"{name} ({why})")
    else:
        livers.append(liver)


def _no_liver(liver: AtlasLiver, labels: LabelMap, others: Sequence[AtlasLiver]) -> str:
    inside = np.argwhere(liver.labels > 0)
    ml = len(inside) * liver.grid.voxel_ml
    if not LIVER_ML[0] <= ml <= LIVER_ML[1]:
        return f"{ml:.0f} mL is no whole liver"
    if _cut_cm2(labels) > CUT_CM2:
        return "cut by the edge of its file"
    points = liver.grid.centres_mm(inside)
    away = points[:, 0] - points[:, 0].mean()
    # The right lobe is thick and the left one tapers off: a long tail to the left, in all of 13 livers.
    if float((away**3).mean()) < 0:
        return "its thick end lies to the left: mirrored"
    for other in others:
        own = np.count_nonzero(other.labels) * other.grid.voxel_ml
        if abs(own - ml) < SAME_ML * ml and _apart_mm(liver, other) < SAME_MM:
            return f"the same liver as {other.name}"
    return ""


def _apart_mm(liver: AtlasLiver, other: AtlasLiver) -> float:
    """Mean distance between two surfaces, in each other's places."""
    rim = np.argwhere((liver.sdf > 0) & (liver.sdf < RIM_MM))
    rim = rim[:: max(1, len(rim) // SAME_POINTS)]
    there = sample(other, liver.grid.centres_mm(rim))
    return float(np.abs(there - liver.sdf[tuple(rim.T)]).mean())


def _cut_cm2(labels: LabelMap) -> float:
    grid, worst = labels.grid, 0.0
    for axis in range(3):
        area = grid.voxel_mm3 / grid.spacing_mm[axis] / 100
        for end in (0, -1):
            worst = max(worst, np.count_nonzero(np.take(labels.voxels, end, axis=axis)) * area)
    return worst
