"""What a cut means for what stays, beyond its volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from flr_volumetry.anatomy import ADJACENT_SEGMENTS, CAUDATE, ROMAN, SEGMENTS, Structure
from flr_volumetry.errors import Caveat
from flr_volumetry.liver.checks import NEGLIGIBLE_ML, part_sizes_ml
from flr_volumetry.resection.partition import REMNANT
from flr_volumetry.volumetry import formulas
from flr_volumetry.volumetry.circulation import CutOff, cut_off, trunk_is_cut

if TYPE_CHECKING:
    from flr_volumetry.liver import Liver
    from flr_volumetry.resection import Partition

SPARED = 0.99
"""A segment of which at least this share stays counts as fully spared (assumed)."""
RETAINED_FUNCTION = (1.0, 0.4, 0.3, 0.0)
"""What congested liver is counted at: fully, at 0.3 to 0.4 (Kawaguchi et al., J Hepatol 2013, GK-L/M),
not at all (clinical base 7)."""


@dataclass(frozen=True, slots=True)
class EffectiveRemnant:
    """The remnant with its congested part counted at less than its volume (D14).

    Parameters
    ----------
    retained_function : float
        What the congested part is counted at: 1 fully, 0 not at all.
    ml : float
        Functional remnant so counted, devascularised parts left out, mL.
    """

    retained_function: float
    ml: float


@dataclass(frozen=True, slots=True, eq=False)
class Consequences:
    """What a cut means for what stays, beyond its volume.

    Parameters
    ----------
    spared_segments : tuple of int or None
        Couinaud segments of which at least 99 % stay; None without a segment map.
    adjacent_spared : bool or None
        Whether at least two of them border on each other; None without a segment map.
    remnant_parts_ml : tuple of float
        Volumes of the separate parts of the remnant, the largest first, mL; parts below 0.05 mL left out.
    inflow, outflow : CutOff or None
        What stays but hangs on a portal branch, or a hepatic vein, that is cut; None if it is not known.
    effective : tuple of EffectiveRemnant
        The functional remnant without its devascularised part, and with its congested part counted
        fully, at 0.4, at 0.3 and not at all; empty if neither is known.
    caveats : tuple of Caveat
        What the reader must know.
    methods : tuple of str
        Sentences for the methods section.
    """

    spared_segments: tuple[int, ...] | None
    adjacent_spared: bool | None
    remnant_parts_ml: tuple[float, ...]
    inflow: CutOff | None
    outflow: CutOff | None
    effective: tuple[EffectiveRemnant, ...]
    caveats: tuple[Caveat, ...] = ()
    methods: tuple[str, ...] = ()


def weigh(liver: Liver, partition: Partition) -> Consequences:
    """Find out what a cut means for what stays.

    Parameters
    ----------
    liver : Liver
        With a segment map and the territories of its vessels, as far as they are known.
    partition : Partition
        Of that liver.

    Returns
    -------
    Consequences
        What can be said with what is known.
    """
    spared = _spared(liver, partition)
    parts = [ml for ml in part_sizes_ml(partition.labels == REMNANT, liver.grid) if ml > NEGLIGIBLE_ML]
    inflow = cut_off(liver, partition, Structure.PORTAL_VEIN)
    outflow = cut_off(liver, partition, Structure.HEPATIC_VEINS)
    return Consequences(
        spared_segments=spared,
        adjacent_spared=None if spared is None else has_adjacent(spared),
        remnant_parts_ml=tuple(parts),
        inflow=inflow,
        outflow=outflow,
        effective=_effective(liver, partition, inflow, outflow),
        caveats=tuple(_caveats(liver, partition, inflow, outflow)),
        methods=tuple(_methods(spared, inflow, outflow)),
    )


def has_adjacent(segments: tuple[int, ...]) -> bool:
    """Tell whether at least two of a set of Couinaud segments border on each other.

    Parameters
    ----------
    segments : tuple of int
        From 1 to 8.

    Returns
    -------
    bool
        By the table of the clinical base, 5.5 (`flr_volumetry.anatomy.ADJACENT_SEGMENTS`).

    Examples
    --------
    >>> has_adjacent((2, 3)), has_adjacent((3, 6))
    (True, False)
    """
    return any(pair <= set(segments) for pair in ADJACENT_SEGMENTS)


def _spared(liver: Liver, partition: Partition) -> tuple[int, ...] | None:
    if liver.segments is None:
        return None
    inside = liver.voxels
    whole = np.bincount(liver.segments[inside], minlength=len(SEGMENTS) + 1)
    stays = np.bincount(liver.segments[partition.labels == REMNANT], minlength=len(SEGMENTS) + 1)
    return tuple(n for n in SEGMENTS if whole[n] and stays[n] >= SPARED * whole[n])


def _effective(
    liver: Liver, partition: Partition, inflow: CutOff | None, outflow: CutOff | None
) -> tuple[EffectiveRemnant, ...]:
    if inflow is None and outflow is None:
        return ()
    works = partition.labels == REMNANT
    for lesion in liver.lesions:
        works[lesion.box] &= ~lesion.voxels
    if inflow is not None:
        works &= ~inflow.voxels
    ml = liver.grid.voxel_ml
    flr = int(np.count_nonzero(works)) * ml
    congested = 0.0 if outflow is None else int(np.count_nonzero(works & outflow.voxels)) * ml
    weights = RETAINED_FUNCTION if outflow is not None else (1.0,)
    return tuple(
        EffectiveRemnant(
            weight,
            formulas.effective_remnant_ml(
                remnant_functional_ml=flr, congested_ml=congested, retained_function=weight
            )
            if flr
            else 0.0,
        )
        for weight in weights
    )


def _caveats(
    liver: Liver, partition: Partition, inflow: CutOff | None, outflow: CutOff | None
) -> list[Caveat]:
    found = []
    for structure, what, cut in (
        (Structure.PORTAL_VEIN, "has lost its portal inflow", inflow),
        (Structure.HEPATIC_VEINS, "has lost its venous outflow (congested)", outflow),
    ):
        name = structure.value.replace("_", " ")
        if trunk_is_cut(liver, partition, structure):
            found.append(
                Caveat(
                    f"{structure.value}_trunk_cut",
                    f"The plan, as drawn, takes part of the trunk of the {name}, before its first fork. "
                    "What keeps its supply cannot be told from that: move the cut off the trunk, or read the "
                    "volumes without it.",
                )
            )
        elif cut is not None and max(cut.ml, cut.most_ml or 0.0) > NEGLIGIBLE_ML:
            shares = ", ".join(
                f"{ROMAN[n] if n else 'no segment'} {ml:.1f}" for n, ml in cut.segments if ml > NEGLIGIBLE_ML
            )
            by_segment = f" (by segment: {shares} mL)" if shares else ""
            opened = ""
            if cut.most_ml is not None:
                opened = (
                    f" The cut only opens {', '.join(cut.opened)} at the side: {cut.most_ml:.1f} mL, if that "
                    "is not spared."
                )
            served = (
                f"the branches {', '.join(cut.branches)} of the {name} that serve it are cut"
                if cut.branches
                else f"no branch of the {name} is cut through"
            )
            found.append(
                Caveat(
                    f"remnant_without_{structure.value}",
                    f"{cut.ml:.1f} mL of the remnant {what}: {served}{by_segment}.{opened} A geometric hint; "
                    "collaterals are not known.",
                )
            )
    return found


def _pairs() -> str:
    pairs = sorted(tuple(sorted(pair)) for pair in ADJACENT_SEGMENTS)
    return ", ".join(f"{ROMAN[a]}-{ROMAN[b]}" for a, b in pairs)


def _methods(spared: tuple[int, ...] | None, inflow: CutOff | None, outflow: CutOff | None) -> list[str]:
    sentences = []
    if spared is not None:
        sentences.append(
            f"A segment counts as fully spared if at least {100 * SPARED:.0f} % of it stay; bordering on "
            f"each other are, by a fixed table (assumed), {_pairs()}."
        )
    if inflow is not None or outflow is not None:
        sentences.append(
            "Remnant counts as cut off from a vessel where its nearest branch, followed from the root, runs "
            "through tissue that goes with all its width; a branch that the cut only opens at the side is "
            "taken to be spared. Without portal inflow it is counted as lost; without venous outflow "
            "fully, at 0.4, at 0.3 and not at all."
        )
    if outflow is not None:
        sentences.append(
            f"Segment {ROMAN[CAUDATE]} also drains straight into the vena cava by veins that are "
            "seldom drawn; its congestion may be overstated."
        )
    return sentences
