"""Surfaces that cut a liver."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from flr_volumetry.errors import PlanError
from flr_volumetry.images import read_only


@dataclass(frozen=True, slots=True, eq=False)
class TriangleSurface:
    """A surface of triangles; what lies in front of it goes.

    Parameters
    ----------
    vertices_mm : (n, 3) float64 array_like
        Corners, LPS mm.
    triangles : (m, 3) array_like of int
        Three vertices each, counter-clockwise as seen from the side that goes; of a closed surface,
        whose triangles face outwards, what it encloses goes.

    Raises
    ------
    PlanError
        If the arrays are not of those shapes, a number is not finite, or a triangle names a vertex
        that is not there.
    """

    vertices_mm: npt.NDArray[np.float64] = field(repr=False)
    triangles: npt.NDArray[np.int32] = field(repr=False)

    def __post_init__(self) -> None:
        vertices = np.array(self.vertices_mm, dtype=np.float64)
        triangles = np.array(self.triangles)
        if vertices.ndim != 2 or vertices.shape[1] != 3 or not np.isfinite(vertices).all():
            raise PlanError(f"a surface's vertices must be (n, 3) finite numbers, got {vertices.shape}")
        if triangles.ndim != 2 or triangles.shape[1] != 3 or triangles.dtype.kind not in "iu":
            raise PlanError(f"a surface's triangles must be (m, 3) whole numbers, got {triangles.shape}")
        if not len(triangles):
            raise PlanError("a surface has no triangle", reason="empty_surface")
        if triangles.min() < 0 or triangles.max() >= len(vertices):
            raise PlanError(
                f"a surface has {len(vertices)} vertices, and a triangle names number "
                f"{int(triangles.max()) if triangles.min() >= 0 else int(triangles.min())}"
            )
        object.__setattr__(self, "vertices_mm", read_only(vertices))
        object.__setattr__(self, "triangles", read_only(triangles.astype(np.int32)))


Surface = TriangleSurface
