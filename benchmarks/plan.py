"""The three resections that every contender carries out."""

POINT_MM = (0.0, 0.0, 0.0)
NORMAL = (-0.9, -0.35, 0.1)
RIGHT = (5, 6, 7, 8)
WEDGE_LESION = 3
WEDGE_MM = 5.0
LESIONS = (1, 2, 3)
