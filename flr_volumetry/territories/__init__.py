"""Which part of the liver each vessel branch feeds or drains."""

from flr_volumetry.territories.couinaud import CouinaudSegments, couinaud_segments, with_segments
from flr_volumetry.territories.couinaud_find import find_landmarks
from flr_volumetry.territories.fill import fill_segments
from flr_volumetry.territories.find import find_territories, with_territories
from flr_volumetry.territories.landmarks import LANDMARK_NAMES, Landmark, Landmarks, landmark_named
from flr_volumetry.territories.nearest import Weighting
from flr_volumetry.territories.planes import (
    PlacedPlane,
    Side,
    cantlie_plane,
    hepatic_vein_plane,
    landmark_plane,
    umbilical_plane,
)

__all__ = [
    "LANDMARK_NAMES",
    "CouinaudSegments",
    "Landmark",
    "Landmarks",
    "PlacedPlane",
    "Side",
    "Weighting",
    "cantlie_plane",
    "couinaud_segments",
    "fill_segments",
    "find_landmarks",
    "find_territories",
    "hepatic_vein_plane",
    "landmark_named",
    "landmark_plane",
    "umbilical_plane",
    "with_segments",
    "with_territories",
]
