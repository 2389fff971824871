"""Vessel branches, and the part of the liver nearest to each, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.errors import Caveat, LiverError
from flr_volumetry.images import read_only

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flr_volumetry.anatomy import Structure


@dataclass(frozen=True, slots=True, eq=False)
class Branch:
    """One branch of a vessel tree, from one fork to the next.

    Parameters
    ----------
    number : int
        Its label in the territory map, from 1.
    path : str
        Which way leads to it from the root: "1" is the trunk, "1.2" the trunk's second child; children
        are numbered by the volume they and all behind them feed or drain, the largest first.
    parent : int
        Number of the branch it comes from; 0 for a root.
    order : int
        1 for a root, one more after each fork.
    name : str
        What it is called, for example "right portal vein"; empty if it is not known.
    points_mm : (n, 3) float64 ndarray, read-only
        Its centreline, LPS mm, from the parent's end to its own.
    radius_mm : (n,) float64 ndarray, read-only
        Radius of the vessel at each of those points, mm.
    """

    number: int
    path: str
    parent: int
    order: int
    name: str
    points_mm: npt.NDArray[np.float64] = field(repr=False)
    radius_mm: npt.NDArray[np.float64] = field(repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "points_mm", read_only(self.points_mm))
        object.__setattr__(self, "radius_mm", read_only(self.radius_mm))

    @property
    def length_mm(self) -> float:
        """Length of its centreline, mm."""
        return float(np.linalg.norm(np.diff(self.points_mm, axis=0), axis=1).sum())


@dataclass(frozen=True, slots=True, eq=False)
class Territories:
    """What each branch of one vessel feeds or drains.

    Made by `flr_volumetry.territories.find_territories`.

    Parameters
    ----------
    structure : Structure
        Whose branches they are: the portal vein or the hepatic veins.
    labels : ndarray of uint16, read-only, of the liver grid's shape
        Number of the nearest branch for each liver voxel; 0 outside the liver.
    branches : tuple of Branch
        In order of their numbers, 1 to n.
    caveats : tuple of Caveat
        What the reader must know of them.
    methods : tuple of str
        Sentences for the methods section.

    Raises
    ------
    LiverError
        If the numbers of the branches are not 1 to n, or a label has no branch.
    """

    structure: Structure
    labels: npt.NDArray[np.uint16] = field(repr=False)
    branches: tuple[Branch, ...]
    caveats: tuple[Caveat, ...] = ()
    methods: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if [b.number for b in self.branches] != list(range(1, len(self.branches) + 1)):
            raise LiverError("branches must be numbered from 1, in order")
        if int(self.labels.max(initial=0)) > len(self.branches):
            raise LiverError("a territory has no branch")
        object.__setattr__(self, "labels", read_only(self.labels))

    def branch(self, name: int | str) -> Branch:
        """Return a branch by its number, its path or its name.

        Parameters
        ----------
        name : int or str
            As plans call it: 3, "1.2" or "right portal vein".

        Returns
        -------
        Branch
            The one meant.

        Raises
        ------
        LiverError
            If there is none, or several have that name.
        """
        found = [
            b
            for b in self.branches
            if (b.number == name if isinstance(name, int) else name in {b.path, b.name} and name)
        ]
        if len(found) == 1:
            return found[0]
        named_first = sorted(self.branches, key=lambda b: not b.name)[:20]
        known = ", ".join(f"{b.path} ({b.name})" if b.name else b.path for b in named_first)
        more = f" and {len(self.branches) - 20} more" if len(self.branches) > 20 else ""
        what = "unknown" if not found else "ambiguous"
        raise LiverError(
            f"{self.structure.value.replace('_', ' ')}: {what} branch {name!r}. Known: {known}{more}.",
            reason=f"{what}_branch",
        )

    def behind(self, names: Iterable[int | str]) -> frozenset[int]:
        """Return branches and everything that comes from them: what a ligature there cuts off.

        Parameters
        ----------
        names : iterable of int or str
            Branches, as for `branch`.

        Returns
        -------
        frozenset of int
            Their numbers.

        Raises
        ------
        LiverError
            If a branch is not there.
        """
        cut = {self.branch(name).number for name in names}
        order = sorted(self.branches, key=lambda b: b.order)
        for branch in order:
            if branch.parent in cut:
                cut.add(branch.number)
        return frozenset(cut)
