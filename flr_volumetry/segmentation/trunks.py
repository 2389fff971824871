"""Vessels of the liver that a network does not tell apart, told apart by the trunk they hang on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flr_volumetry.anatomy import Structure
from flr_volumetry.errors import Caveat
from flr_volumetry.images import Mask

if TYPE_CHECKING:
    from collections.abc import Mapping


def told_apart(found: Mapping[Structure, Mask], name: str) -> tuple[dict[Structure, Mask], Caveat]:
    """Tell portal from hepatic veins among vessels of the liver, by what they hang on.

    Parameters
    ----------
    found : mapping of Structure to Mask
        All vessels of the liver under hepatic veins; the portal vein's trunk and the vena cava, if any.
    name : str
        Of the network, for the caveat.

    Returns
    -------
    masks : dict of Structure to Mask
        Parts that touch the portal vein's trunk belong to it, parts that touch the vena cava are hepatic
        veins; parts that touch both or neither are left out.
    caveat : Caveat
        How many millilitres went where.
    """
    import cc3d
    from scipy.ndimage import binary_dilation

    vessels = found[Structure.HEPATIC_VEINS]
    grid = vessels.grid
    labels, count = cc3d.connected_components(
        vessels.voxels.astype(np.uint8, order="F"), connectivity=26, return_N=True
    )
    touching = {}
    for structure in (Structure.PORTAL_VEIN, Structure.IVC):
        trunk = found.get(structure)
        near = binary_dilation(trunk.voxels, iterations=2) if trunk is not None else np.zeros(1, bool)
        hit = labels[near] if trunk is not None else np.zeros(0, labels.dtype)
        touching[structure] = set(np.unique(hit).tolist()) - {0}
    portal = touching[Structure.PORTAL_VEIN] - touching[Structure.IVC]
    hepatic = touching[Structure.IVC] - touching[Structure.PORTAL_VEIN]
    masks: dict[Structure, Mask] = dict(found)
    del masks[Structure.HEPATIC_VEINS]
    ways = {Structure.PORTAL_VEIN: portal, Structure.HEPATIC_VEINS: hepatic}
    amounts = []
    for structure, numbers in ways.items():
        part = np.isin(labels, sorted(numbers)) if numbers else np.zeros(grid.shape, dtype=bool)
        amounts.append(int(np.count_nonzero(part)) * grid.voxel_ml)
        whole = part | masks[structure].voxels if structure in masks else part
        if whole.any():
            masks[structure] = Mask(grid, whole, structure.value)
    return masks, Caveat(
        "vessels_told_apart",
        f"{name} does not tell portal from hepatic veins. Of {vessels.ml:.1f} mL in {count} parts, "
        f"{amounts[0]:.1f} mL hang on the portal vein's trunk and {amounts[1]:.1f} mL on the vena cava; the "
        "rest, which hangs on both or on neither, is left out.",
    )
