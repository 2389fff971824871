"""Couinaud segments from livers whose segments others have drawn: registration by outline, then a vote."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from flr_volumetry.anatomy import SEGMENTS, Structure
from flr_volumetry.errors import Caveat, FlrError, SegmentationError
from flr_volumetry.images import Mask, to_grid
from flr_volumetry.segmentation.fusion import AtlasLiver, fused, is_mirrored
from flr_volumetry.segmentation.hints import NO_HINTS
from flr_volumetry.segmentation.networks import installed, unused_hints
from flr_volumetry.segmentation.protocol import (
    Availability,
    Made,
    Modality,
    Quality,
    Segmentation,
    Settings,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from flr_volumetry.images import Image
    from flr_volumetry.segmentation.hints import Hints

SUFFIXES: Final = (".nii.gz", ".nii", ".nrrd", ".mha")
FEWEST: Final = 3
"""Fewer livers make no vote (assumed)."""
DOUBTFUL_SHARE: Final = 0.6
"""If the winners have less than this share of the votes on average, the livers disagree (assumed)."""


@dataclass(frozen=True, slots=True, eq=False)
class Atlas:
    """Segments by vote of the livers in a folder.

    Parameters
    ----------
    settings : Settings
        `folder` holds label maps of Couinaud segments (1 to 8), one a liver, in files or folders of any name.
    """

    settings: Settings

    @property
    def name(self) -> str:
        """Its name in the register."""
        return "atlas"

    @property
    def title(self) -> str:
        """What it is."""
        return "Couinaud segments by vote of segmented livers of yours, registered to a given liver"

    @property
    def licence(self) -> str:
        """Of the code; that of the livers is their own."""
        return "Apache-2.0; livers: their own"

    @property
    def modalities(self) -> frozenset[Modality]:
        """Both: only the liver's outline is looked at."""
        return frozenset(Modality)

    @property
    def structures(self) -> frozenset[Structure]:
        """Segments."""
        return frozenset({Structure.SEGMENTS})

    def availability(self) -> Availability:
        """Say whether a folder with livers was named."""
        if not installed("SimpleITK"):
            return Availability("SimpleITK is not installed.", "Install it: pip install SimpleITK.")
        folder = self.settings.folder
        if folder is None or self.settings.read_segments is None:
            return Availability(
                "No folder of segmented livers was named.",
                f"Give folder = a folder with at least {FEWEST} label maps of Couinaud segments (1 to 8).",
            )
        count = len(label_files(folder))
        if count < FEWEST:
            return Availability(
                f"{folder} holds {count} label maps.", f"A vote needs at least {FEWEST} segmented livers."
            )
        return Availability(detail=f"{count} label maps in {folder}")

    def segment(
        self,
        image: Image,
        wanted: frozenset[Structure],
        *,
        hints: Hints = NO_HINTS,
        tell: Callable[[str], None] = lambda _: None,
    ) -> Segmentation:
        """Find the segments of a given liver.

        Parameters
        ----------
        image : Image
            The scan; only its grid is used.
        wanted : frozenset of Structure
            Segments.
        hints : Hints
            `liver` is needed.
        tell : callable
            Called with the name of each step as it begins.

        Returns
        -------
        Segmentation
            Every voxel of the liver in one segment.

        Raises
        ------
        SegmentationError
            If no liver was given, or too few livers of the atlas can be used.
        """
        if hints.liver is None:
            raise SegmentationError(
                "the back-end 'atlas' finds segments in a liver: give its mask (liver = ... under [masks], "
                "--liver on the command line).",
                reason="liver_needed",
            )
        livers, doubts = self._livers()
        mask = to_grid(hints.liver, image.grid)
        if not mask.voxels.any():
            raise SegmentationError("the liver given has no voxel on the scan's grid", reason="liver_needed")
        tell(f"registering {len(livers)} livers")
        vote = fused(mask, livers)
        if vote.share < DOUBTFUL_SHARE:
            doubts.append(
                Caveat(
                    "atlas_disagrees",
                    f"The livers of the atlas agree on the segments by {100 * vote.share:.0f} % only: this "
                    "liver may be unlike all of them.",
                )
            )
        doubts += unused_hints(hints, "The atlas", frozenset({"liver"}))
        words = f"{len(livers)} livers of {self.settings.folder}"
        return Segmentation(
            image.grid,
            Made(self.name, installed("flr-volumetry"), words, vote.digest),
            segments=vote.labels,
            quality=(Quality(Structure.SEGMENTS, basis=f"the livers agree by {100 * vote.share:.0f} %"),),
            caveats=tuple(doubts),
            methods=(
                f"Couinaud segments were found by a vote of {words}: each was laid upon this liver by an "
                "affine map and a diffeomorphic one (demons) that match distance maps of the outlines, and "
                f"counts by its overlap after that; mean Dice {vote.mean_dice:.2f}, agreement "
                f"{100 * vote.share:.0f} %. "
                "Vessels were not looked at.",
            ),
        )

    def _livers(self) -> tuple[list[AtlasLiver], list[Caveat]]:
        """Read the livers; leave out what is none, and those that lie mirrored."""
        folder, read = self.settings.folder, self.settings.read_segments
        if folder is None or read is None:
            raise SegmentationError("no folder of segmented livers was named", reason="backend_unavailable")
        livers: list[AtlasLiver] = []
        left_out: list[str] = []
        for path in label_files(folder):
            name = path.relative_to(folder).as_posix()
            try:
                labels = read(path)
                present = {n for n in SEGMENTS if (labels.voxels == n).any()}
                liver = AtlasLiver.of(name, labels)
            except FlrError as error:
                left_out.append(f"{name} ({error.reason})")
                continue
            if len(present) < len(SEGMENTS) - 1 or int(labels.voxels.max()) > max(SEGMENTS):
                left_out.append(f"{name} (not labels 1 to 8)")
            elif is_mirrored(liver):
                left_out.append(f"{name} (segments II and III lie to the right of VI and VII)")
            else:
                livers.append(liver)
        if len(livers) < FEWEST:
            raise SegmentationError(
                f"{folder} holds {len(livers)} livers that can be used, and a vote needs {FEWEST}"
                + (f"; left out: {', '.join(left_out[:12])}." if left_out else "."),
                reason="atlas_too_small",
            )
        said = f"Livers of the atlas that were left out: {', '.join(left_out[:12])}."
        return livers, [Caveat("atlas_left_out", said)] if left_out else []


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


def make(settings: Settings) -> Atlas:
    """Return the back-end, for the register.

    Parameters
    ----------
    settings : Settings
        With the folder of livers.

    Returns
    -------
    Atlas
        Not yet read.
    """
    return Atlas(settings)


def segments_by_vote(liver: Mask, livers: Iterable[AtlasLiver]) -> Segmentation:
    """Find a liver's segments by vote, from values in memory.

    Parameters
    ----------
    liver : Mask
        The liver.
    livers : iterable of AtlasLiver
        Those that vote.

    Returns
    -------
    Segmentation
        On the mask's grid.
    """
    vote = fused(liver, list(livers))
    return Segmentation(
        liver.grid, Made("atlas", installed("flr-volumetry"), weights=vote.digest), segments=vote.labels
    )
