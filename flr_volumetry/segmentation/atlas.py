"""Livers that others have drawn: their shape helps to find a liver, and they vote on its segments."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from flr_volumetry.anatomy import Structure
from flr_volumetry.errors import Caveat, SegmentationError
from flr_volumetry.images import Mask, to_grid
from flr_volumetry.segmentation.atlas_folder import FEWEST, AtlasFolder, label_files, read_atlas
from flr_volumetry.segmentation.classical.wording import METHODS
from flr_volumetry.segmentation.fusion import AtlasLiver, fused
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
from flr_volumetry.segmentation.shaped import shaped_liver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from flr_volumetry.images import Image
    from flr_volumetry.segmentation.hints import Hints

DOUBTFUL_SHARE: Final = 0.6
"""If the winners have less than this share of the votes on average, the livers disagree (assumed)."""


@dataclass(frozen=True, slots=True, eq=False)
class Atlas:
    """A liver by scan and by the shape of the livers in a folder; segments by their vote.

    Parameters
    ----------
    settings : Settings
        `folder` holds label maps, one a liver, in files or folders of any name: Couinaud segments (1 to 8),
        or, for the liver alone, masks of livers; `labels` names the liver where they hold more.
    """

    settings: Settings

    @property
    def name(self) -> str:
        """Its name in the register."""
        return "atlas"

    @property
    def title(self) -> str:
        """What it is."""
        return "the liver by the shape of segmented livers of yours, and Couinaud segments by their vote"

    @property
    def licence(self) -> str:
        """Of the code; that of the livers is their own."""
        return "Apache-2.0; livers: their own"

    @property
    def modalities(self) -> frozenset[Modality]:
        """Both, as the classical back-end, which looks at the scan; segments see the outline alone."""
        return frozenset(Modality)

    @property
    def structures(self) -> frozenset[Structure]:
        """Liver and segments."""
        return frozenset({Structure.LIVER, Structure.SEGMENTS})

    def availability(self) -> Availability:
        """Say whether a folder with livers was named."""
        if not installed("SimpleITK"):
            return Availability("SimpleITK is not installed.", "Install it: pip install SimpleITK.")
        folder = self.settings.folder
        if folder is None or self.settings.read_segments is None:
            return Availability(
                "No folder of segmented livers was named.",
                f"Give folder = a folder with at least {FEWEST} label maps: Couinaud segments (1 to 8), or "
                "livers where segments are not asked for.",
            )
        count = len(label_files(folder))
        if count < FEWEST:
            return Availability(
                f"{folder} holds {count} label maps.", f"A vote or a prior needs at least {FEWEST} livers."
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
        """Find the liver, its segments, or both.

        Parameters
        ----------
        image : Image
            The scan; only its grid is used if the liver is given.
        wanted : frozenset of Structure
            Liver, segments.
        hints : Hints
            With `liver`, segments are found in it; the others help to find the liver.
        tell : callable
            Called with the name of each step as it begins.

        Returns
        -------
        Segmentation
            Every voxel of the liver in one segment.

        Raises
        ------
        SegmentationError
            If segments alone are asked for and no liver is given, if no liver is in view, or if too few
            livers of the atlas can be used.
        """
        if hints.liver is None and Structure.LIVER not in wanted:
            raise SegmentationError(
                "the back-end 'atlas' finds segments in a liver: give its mask (liver = ... under [masks], "
                "--liver on the command line), or ask for the liver as well (structures liver and segments).",
                reason="liver_needed",
            )
        atlas = read_atlas(self.settings, tell)
        if hints.liver is not None:
            mask = to_grid(hints.liver, image.grid)
            if not mask.voxels.any():
                raise SegmentationError(
                    "the liver given has no voxel on the scan's grid", reason="liver_needed"
                )
            found = self._voted(mask, atlas, tell)
            unused = unused_hints(hints, "The atlas", frozenset({"liver"}))
            return replace(found, caveats=(*found.caveats, *unused))
        livers, doubts = atlas.required(segments=False, folder=str(self.settings.folder))
        if Structure.SEGMENTS in wanted:
            # A vote that cannot be held is refused before the long search.
            atlas.required(segments=True, folder=str(self.settings.folder))
        liver = shaped_liver(image, livers, hints, tell)
        words = f"{len(liver.prior.voters)} livers of {self.settings.folder}"
        found = Segmentation(
            image.grid,
            Made(self.name, installed("flr-volumetry"), words, liver.prior.digest),
            {Structure.LIVER: liver.mask},
            quality=(liver.quality,),
            caveats=(*liver.caveats, *doubts),
            methods=(*METHODS[:2], *liver.methods),
        )
        if Structure.SEGMENTS not in wanted:
            return found
        voted = self._voted(liver.mask, atlas, tell)
        return replace(
            found,
            segments=voted.segments,
            quality=(*found.quality, *voted.quality),
            caveats=(*found.caveats, *voted.caveats),
            methods=(*found.methods, *voted.methods),
        )

    def _voted(self, mask: Mask, atlas: AtlasFolder, tell: Callable[[str], None]) -> Segmentation:
        """Find the segments of a liver."""
        livers, left_out = atlas.required(segments=True, folder=str(self.settings.folder))
        tell(f"registering {len(livers)} livers")
        vote = fused(mask, livers)
        doubts = list(left_out)
        if vote.share < DOUBTFUL_SHARE:
            doubts.insert(
                0,
                Caveat(
                    "atlas_disagrees",
                    f"The livers of the atlas agree on the segments by {100 * vote.share:.0f} % only: this "
                    "liver may be unlike all of them.",
                ),
            )
        words = f"{len(livers)} livers of {self.settings.folder}"
        return Segmentation(
            mask.grid,
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
