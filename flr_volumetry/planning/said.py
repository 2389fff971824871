"""What is said of a search: what it went without, and how it went about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flr_volumetry.anatomy import Structure
from flr_volumetry.errors import Caveat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flr_volumetry.liver import Liver
    from flr_volumetry.planning.values import SearchSettings


def caveats_of(liver: Liver, hopeless: frozenset[int], beyond: int) -> Iterator[Caveat]:
    """Yield what a search could not do, and what it went without.

    Parameters
    ----------
    liver : Liver
        That was searched.
    hopeless : frozenset of int
        Indices of lesions that nothing considered clears.
    beyond : int
        How many plans of the front were not measured.

    Yields
    ------
    Caveat
        One for each thing.
    """
    if hopeless:
        names = ", ".join(f"{liver.lesions[at].number} ({liver.lesions[at].name})" for at in sorted(hopeless))
        yield Caveat("lesions_not_reachable", f"Nothing considered clears these lesions: {names}.")
    if beyond:
        yield Caveat(
            "search_front_cut",
            f"{beyond} more plans are beaten by none of their kind: those shown are the best in each "
            "respect and, of each kind, those that leave most. A larger margin or remnant asked for "
            "narrows the choice.",
        )
    if liver.segments is not None:
        bare_ml = int(np.count_nonzero(liver.voxels & (liver.segments == 0))) * liver.grid.voxel_ml
        if bare_ml:
            yield Caveat(
                "search_unlabelled",
                f"{bare_ml:.2f} mL of the liver carry no segment, and stay with the remnant of every "
                "resection by segments; beside a lesion they keep such a resection from clearing it. With "
                "fill_segments = true in [masks] they go to the nearest segment.",
            )
    missing = [
        words
        for known, words in (
            (liver.segments is not None, "a segment map (no anatomical resection by segments)"),
            (liver.territories_of(Structure.PORTAL_VEIN) is not None, "portal branches (no territories)"),
            (liver.territories_of(Structure.HEPATIC_VEINS) is not None, "hepatic veins (no congestion)"),
        )
        if not known
    ]
    if missing:
        yield Caveat("search_without", f"The search went without {'; '.join(missing)}.")


def methods_of(settings: SearchSettings, considered: int, scored: int) -> tuple[str, ...]:
    """Return the sentences on a search for the methods section.

    Parameters
    ----------
    settings : SearchSettings
        What was asked.
    considered, scored : int
        How many plans were looked at, and how many of them scored.

    Returns
    -------
    tuple of str
        Sentences.
    """
    return (
        f"{considered} plans were considered: connected sets of segments, territories of portal branches, "
        f"wedges with {settings.margin_mm:g} mm, ablations of lesions below "
        f"{settings.ablation_largest_mm:g} mm, as far as each was allowed; {scored} of them were scored "
        "(volumes, margins, congestion, cut surface), and those that take a whole side weighed once more in "
        "two stages. Anatomical resections beside wedges and ablations that clear every lesion already were "
        "left out. Those shown are beaten by none of their kind (local, "
        "anatomical, in two stages) in functional remnant, remnant that keeps its venous "
        "outflow, smallest margin (up to 10 mm), cut surface and number of procedures at once. Access, "
        "inflow, bile and the patient are not among the criteria.",
    )
