"""A plan as values; liver and plan to partition; margins."""

from flr_volumetry.resection.area import CutArea, cut_surface
from flr_volumetry.resection.cut import beyond, resect
from flr_volumetry.resection.feeding import BranchShare, FeedingBranches, feeding_branches
from flr_volumetry.resection.gap import Gap, distance_to
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
from flr_volumetry.resection.quadrics import Patches
from flr_volumetry.resection.ready import LiveVolumes, ReadyLiver
from flr_volumetry.resection.rows import LiverRows, tabulate
from flr_volumetry.resection.subvoxel import lesion_surface
from flr_volumetry.resection.surfaces import BezierSurface, ClosedCurve, Surface, TriangleSurface

__all__ = [
    "Ablation",
    "BezierSurface",
    "BranchShare",
    "ClosedCurve",
    "Combine",
    "CutArea",
    "FeedingBranches",
    "Gap",
    "LesionMargin",
    "LiveVolumes",
    "LiverRows",
    "Partition",
    "Patches",
    "Piece",
    "PieceKind",
    "Plane",
    "PlaneResection",
    "ReadyLiver",
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
    "cut_surface",
    "distance_to",
    "feeding_branches",
    "lesion_surface",
    "longest_diameter_mm",
    "margins",
    "resect",
    "tabulate",
]
