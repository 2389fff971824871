"""Numbers and paths for the branches of a vessel, by how much of the liver each leads to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flr_volumetry.liver import Branch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flr_volumetry.territories.graph import Piece
    from flr_volumetry.territories.lattice import Index, Points


def number_branches(
    pieces: Sequence[Piece], fed: Index, origin_mm: Points
) -> tuple[tuple[Branch, ...], Index]:
    """Return branches numbered from the root outwards, the larger territory first.

    Parameters
    ----------
    pieces : sequence of Piece
        Parents before their children.
    fed : (n,) int64 ndarray
        Liver voxels nearest to each.
    origin_mm : (3,) ndarray
        Added to their points, for LPS mm.

    Returns
    -------
    branches : tuple of Branch
        Without names. Each is followed by all that comes from it. Roots are numbered by the liver
        voxels of their trees, children by those of all behind them.
    number : (n,) int64 ndarray
        Of each piece.
    """
    behind = fed.copy()
    children: list[list[int]] = [[] for _ in pieces]
    for n in range(len(pieces) - 1, -1, -1):
        if pieces[n].parent >= 0:
            behind[pieces[n].parent] += behind[n]
            children[pieces[n].parent].insert(0, n)
    tops = [n for n, piece in enumerate(pieces) if piece.parent < 0]
    number = np.zeros(len(pieces), dtype=np.int64)
    branches: list[Branch] = []
    waiting = [(n, str(i)) for i, n in enumerate(_largest_first(tops, behind), start=1)]
    while waiting:
        n, path = waiting.pop(0)
        piece = pieces[n]
        number[n] = len(branches) + 1
        parent = int(number[piece.parent]) if piece.parent >= 0 else 0
        points = piece.points + origin_mm
        branches.append(
            Branch(len(branches) + 1, path, parent, path.count(".") + 1, "", points, piece.radius_mm)
        )
        on = enumerate(_largest_first(children[n], behind), start=1)
        waiting = [*((child, f"{path}.{i}") for i, child in on), *waiting]
    return tuple(branches), number


def _largest_first(numbers: list[int], size: Index) -> list[int]:
    return sorted(numbers, key=lambda n: -int(size[n]))
