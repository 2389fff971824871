"""A plan as values; liver and plan to partition; margins."""

from flr_volumetry.resection.cut import beyond, resect
from flr_volumetry.resection.margin import LesionMargin, longest_diameter_mm, margins
from flr_volumetry.resection.partition import Partition, Piece
from flr_volumetry.resection.plan import (
    Ablation,
    Combine,
    PieceKind,
    Plane,
    PlaneResection,
    RemnantResection,
    Resection,
    ResectionPlan,
    SegmentResection,
    Stage,
    SurfaceResection,
    TerritoryResection,
    Waiting,
    WedgeResection,
)
from flr_volumetry.resection.surfaces import Surface, TriangleSurface

__all__ = [
    "Ablation",
    "Combine",
    "LesionMargin",
    "Partition",
    "Piece",
    "PieceKind",
    "Plane",
    "PlaneResection",
    "RemnantResection",
    "Resection",
    "ResectionPlan",
    "SegmentResection",
    "Stage",
    "Surface",
    "SurfaceResection",
    "TerritoryResection",
    "TriangleSurface",
    "Waiting",
    "WedgeResection",
    "beyond",
    "longest_diameter_mm",
    "margins",
    "resect",
]
