"""A plan as values; liver and plan to partition; margins."""

from flr_volumetry.resection.partition import Partition, Piece
from flr_volumetry.resection.plan import (
    Ablation,
    Combine,
    PieceKind,
    Plane,
    PlaneResection,
    Resection,
    ResectionPlan,
    SegmentResection,
    Stage,
    Waiting,
    WedgeResection,
)

__all__ = [
    "Ablation",
    "Combine",
    "Partition",
    "Piece",
    "PieceKind",
    "Plane",
    "PlaneResection",
    "Resection",
    "ResectionPlan",
    "SegmentResection",
    "Stage",
    "Waiting",
    "WedgeResection",
]
