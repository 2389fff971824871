"""Which voxels of a liver lie beyond a surface of triangles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.errors import PlanError

if TYPE_CHECKING:
    from flr_volumetry.liver import Liver
    from flr_volumetry.resection.surfaces import Surface


def beyond_surface(surface: Surface, liver: Liver) -> npt.NDArray[np.bool_]:
    """Return which voxels lie beyond a surface."""
    raise PlanError("not yet")
