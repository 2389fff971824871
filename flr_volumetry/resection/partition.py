"""What a plan makes of a liver: every voxel in exactly one piece."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.errors import Caveat, GridError, PlanError
from flr_volumetry.images import Grid, Mask, read_only

if TYPE_CHECKING:
    from flr_volumetry.liver import Liver
    from flr_volumetry.resection.plan import PieceKind, ResectionPlan

REMNANT = 1
"""The label of the remnant; 0 is outside the liver."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of a partition.

    Parameters
    ----------
    label : int
        Its number in the label map; 1 is the remnant.
    title : str
        What the report calls it.
    kind : PieceKind
        What becomes of it.
    stage : int
        In which stage it leaves, from 1; 0 for the remnant.
    count : int
        Its voxels.
    """

    label: int
    title: str
    kind: PieceKind
    stage: int
    count: int


@dataclass(frozen=True, slots=True, eq=False)
class Partition:
    """A liver divided by a plan.

    Parameters
    ----------
    grid : Grid
        The liver's.
    labels : ndarray of uint8, read-only, of the grid's shape
        0 outside the liver, 1 the remnant, then one number for each resection of the plan, in order.
    pieces : tuple of Piece
        In order of their labels, the remnant first; their counts sum to the liver's.
    plan : ResectionPlan
        What was carried out: where the cuts lie between the voxels.
    caveats : tuple of Caveat
        What the cutting found.
    methods : tuple of str
        Sentences for the methods section, written where the method was chosen.
    """

    grid: Grid
    labels: npt.NDArray[np.uint8] = field(repr=False)
    pieces: tuple[Piece, ...]
    plan: ResectionPlan
    caveats: tuple[Caveat, ...] = ()
    methods: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.labels.shape != self.grid.shape:
            raise PlanError(f"labels are {self.labels.shape}, the grid {self.grid.shape}")
        object.__setattr__(self, "labels", read_only(self.labels))

    def ml(self, kind: PieceKind) -> float:
        """Volume of all pieces of a kind, mL."""
        return sum(p.count for p in self.pieces if p.kind is kind) * self.grid.voxel_ml

    @property
    def remnant(self) -> Mask:
        """What stays after the last stage."""
        return Mask(self.grid, self.labels == REMNANT, "remnant")

    @property
    def specimen(self) -> Mask:
        """Everything resected or ablated, in any stage."""
        return Mask(self.grid, self.labels > REMNANT, "specimen")


def require_partition_of(liver: Liver, partition: Partition) -> None:
    """Refuse a partition that was made of another liver.

    Parameters
    ----------
    liver : Liver
        The liver.
    partition : Partition
        Said to be of it.

    Raises
    ------
    GridError
        If it lies on another grid, or its pieces are not the liver's voxels.
    """
    if not liver.grid.matches(partition.grid):
        raise GridError("the partition was made of another liver: its grid is not this liver's")
    if not np.array_equal(partition.labels > 0, liver.voxels):
        raise GridError("the partition was made of another liver: its pieces are not this liver's voxels")
