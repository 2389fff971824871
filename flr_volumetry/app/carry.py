"""The baseline's plan on a later scan: which side each voxel is on, and where its planes now lie.

What is carried are the pieces themselves, not the planes that made them. A liver that grows on one side
bends every plane, segments and territories have no plane, and a wedge follows a lesion that may have gone;
but tissue stays what it is, and the side that it was planned to be on. Planes, curves and control points
are carried too, and planes fitted anew, for the surgeon to look at and to change; nothing is counted on them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flr_volumetry.errors import CaseError, Caveat
from flr_volumetry.images import Mask
from flr_volumetry.resection import (
    BezierSurface,
    ClosedCurve,
    PieceKind,
    Plane,
    PlaneResection,
    RemnantResection,
    ResectionPlan,
    Stage,
    SurfaceResection,
)
from flr_volumetry.resection.partition import REMNANT

if TYPE_CHECKING:
    from flr_volumetry.app.record import PlanPart, Record
    from flr_volumetry.liver import Liver
    from flr_volumetry.resection import Resection
    from flr_volumetry.segmentation.registration import Registration

Labels = npt.NDArray[np.uint8]
TRACE_ML = 0.5
"""Less than this of a carried piece is no piece: a wedge whose lesion has gone (assumed)."""
LESION_NEAR_MM = 5.0
"""Lesions of two dates that come so near to each other, laid upon each other, are one (assumed: the
registration's own error, and some growth)."""


@dataclass(frozen=True, slots=True)
class CarriedPlane:
    """One plane of the baseline on the later scan.

    Parameters
    ----------
    stage : str
        Its stage.
    title : str
        Its resection.
    plane : Plane
        Fitted to the carried points.
    residual_mm : float
        Root mean square distance of those points from it: how far the tissue has bent.
    """

    stage: str
    title: str
    plane: Plane
    residual_mm: float


@dataclass(frozen=True, slots=True, eq=False)
class Carried:
    """A baseline laid upon a later scan.

    Parameters
    ----------
    baseline : Record
        As it was read.
    registration : Registration
        How it was laid.
    done : int
        How many stages of its plan have been carried out since.
    plan : ResectionPlan
        The rest of the plan on the later scan, as imported pieces.
    drawn : ResectionPlan or None
        Its planes, curves and patches there, to look at; None if it has none.
    planes : tuple of CarriedPlane
        The planes among them.
    caveats : tuple of Caveat
        What is doubtful, the registration's included.
    methods : tuple of str
        Sentences for the methods section.
    """

    baseline: Record
    registration: Registration = field(repr=False)
    done: int
    plan: ResectionPlan
    drawn: ResectionPlan | None
    planes: tuple[CarriedPlane, ...]
    caveats: tuple[Caveat, ...]
    methods: tuple[str, ...]


def stages_done(plan: list[PlanPart], said: int | None) -> int:
    """Return how many stages have been carried out when a follow-up is scanned.

    Parameters
    ----------
    plan : list of PlanPart
        The baseline's.
    said : int or None
        As the user says it.

    Returns
    -------
    int
        What is said; else all stages before the first that waits for a procedure, since a follow-up comes
        after that procedure.

    Raises
    ------
    CaseError
        If no stage would be left.
    """
    if said is not None and said >= len(plan):
        raise CaseError(
            f"stages_done = {said}, but the baseline's plan has {len(plan)}: nothing would be left to plan.",
            reason="no_stage_left",
        )
    if said is not None:
        return said
    return next((n for n, stage in enumerate(plan) if stage.after is not None), 0)


def piece_labels(plan: list[PlanPart]) -> list[list[int]]:
    """Return the labels of each stage's pieces in the partition."""
    labels, label = [], REMNANT
    for stage in plan:
        labels.append(list(range(label + 1, label + 1 + len(stage.resections))))
        label += len(stage.resections)
    return labels


def ablated_pieces(plan: list[PlanPart], done: int) -> list[int]:
    """Return the labels of what the stages carried out have ablated.

    Parameters
    ----------
    plan : list of PlanPart
        The baseline's.
    done : int
        Stages carried out.

    Returns
    -------
    list of int
        Labels of its partition.
    """
    return [
        label
        for stage, mine in zip(plan[:done], piece_labels(plan), strict=False)
        for cut, label in zip(stage.resections, mine, strict=True)
        if _ablates(cut)
    ]


def still_there(record: Record, done: int) -> Liver:
    """Return a baseline's liver without what the stages carried out have cut off.

    Parameters
    ----------
    record : Record
        With its liver.
    done : int
        Stages carried out.

    Returns
    -------
    Liver
        Ablated tissue is still in it.
    """
    from dataclasses import replace

    liver, labels = _both(record)
    cut = [
        label
        for stage, mine in zip(record.report.plan[:done], piece_labels(record.report.plan), strict=False)
        for cut, label in zip(stage.resections, mine, strict=True)
        if not _ablates(cut)
    ]
    return replace(liver, voxels=liver.voxels & ~np.isin(labels, cut)) if cut else liver


def _both(record: Record) -> tuple[Liver, Labels]:
    if record.liver is None or record.labels is None:
        raise CaseError(record.caveats[0].message, reason="partition_missing")
    return record.liver, record.labels


def _ablates(cut: dict[str, Any]) -> bool:
    return cut.get("kind") == "ablation" or bool(cut.get("ablates"))


def carry(record: Record, later: Liver, registration: Registration, done: int) -> Carried:
    """Lay a baseline's plan upon a later scan.

    Parameters
    ----------
    record : Record
        The baseline.
    later : Liver
        The later scan's.
    registration : Registration
        Of the two.
    done : int
        Stages carried out.

    Returns
    -------
    Carried
        Every voxel of the later liver on the side that its tissue was on.
    """
    labels = carried_labels(record, later, registration, done)
    stages, caveats = _stages(record, later, labels, done)
    drawn, planes = _drawn(record, registration, done)
    waited = (
        f"; {done} of {len(record.report.plan)} stages were taken as carried out, and what they cut off was "
        "left out"
        if done
        else ""
    )
    method = (
        f"The plan of {record.report.case.id} was carried over piece by piece: each voxel of this liver was "
        f"put on the side on which its tissue lay at baseline, by the registration{waited}. Planes were "
        "fitted anew to their carried points, to be looked at; nothing was counted on them."
    )
    return Carried(
        record,
        registration,
        done,
        ResectionPlan(tuple(stages)),
        drawn,
        planes,
        (*registration.caveats, *caveats),
        (*registration.methods, method),
    )


def carried_labels(record: Record, later: Liver, registration: Registration, done: int) -> Labels:
    """Return the baseline's label of every voxel of a later liver.

    Parameters
    ----------
    record : Record
        The baseline.
    later : Liver
        The later scan's.
    registration : Registration
        Of the two.
    done : int
        Stages carried out; their cut-off pieces are nobody's any more.

    Returns
    -------
    ndarray of uint8
        0 outside the later liver. Between voxels of the baseline the label with the largest share wins;
        tissue that seems to come from beside the baseline's liver takes the nearest label.
    """
    from scipy.ndimage import distance_transform_edt, map_coordinates

    liver, labels = _both(record)
    kept = np.where(still_there(record, done).voxels, labels, 0)
    nearest = distance_transform_edt(
        kept == 0, sampling=liver.grid.spacing_mm, return_distances=False, return_indices=True
    )
    filled = kept[tuple(nearest)]
    index = np.argwhere(later.voxels)
    at = liver.grid.indices_at(registration.to_baseline(later.grid.centres_mm(index))).T
    numbers = np.unique(filled)
    shares = np.stack(
        [map_coordinates((filled == n).astype(np.float32), at, order=1, mode="nearest") for n in numbers]
    )
    result = np.zeros(later.grid.shape, dtype=np.uint8, order="F")
    result[tuple(index.T)] = numbers[shares.argmax(axis=0)]
    return result


def _stages(record: Record, later: Liver, labels: Labels, done: int) -> tuple[list[Stage], list[Caveat]]:
    stages, caveats = [], []
    for number, (part, mine) in enumerate(
        zip(record.report.plan, piece_labels(record.report.plan), strict=True), start=1
    ):
        cuts = []
        for cut, label in zip(part.resections, mine, strict=True):
            ml = int(np.count_nonzero(labels == label)) * later.grid.voxel_ml
            if number <= done and not _ablates(cut):
                continue
            if ml < TRACE_ML:
                said = f"Nothing of {cut['title']} ({part.name}) is left on this scan: left out of the plan."
                caveats.append(Caveat("carried_piece_gone", said))
                continue
            kind = PieceKind.ABLATED if _ablates(cut) else PieceKind.RESECTED
            stays = Mask(later.grid, later.voxels & (labels != label), f"all but {cut['title']}")
            cuts.append(RemnantResection(stays, f"{cut['title']}, carried over", kind))
        if cuts:
            stages.append(Stage(part.name, tuple(cuts)))
    return stages, caveats


def lesion_links(record: Record, later: Liver, registration: Registration) -> list[tuple[int, int]]:
    """Find lesions of two dates that lie in the same place.

    Parameters
    ----------
    record : Record
        The baseline.
    later : Liver
        The later scan's.
    registration : Registration
        Of the two.

    Returns
    -------
    list of (int, int)
        Number at baseline and number later, of those that come within `LESION_NEAR_MM` of each other.
    """
    from scipy.spatial import KDTree

    if record.liver is None:
        return []
    trees = [
        (lesion.number, KDTree(_points(record.liver, lesion.voxels, lesion.start)))
        for lesion in record.liver.lesions
    ]
    links = []
    for lesion in later.lesions:
        laid = registration.to_baseline(_points(later, lesion.voxels, lesion.start))
        for number, tree in trees:
            if np.min(tree.query(laid, distance_upper_bound=LESION_NEAR_MM)[0]) < LESION_NEAR_MM:
                links.append((number, lesion.number))
    return links


def _points(
    liver: Liver, voxels: npt.NDArray[np.bool_], start: tuple[int, int, int]
) -> npt.NDArray[np.float64]:
    return liver.grid.centres_mm(np.argwhere(voxels) + np.asarray(start))


def _drawn(
    record: Record, registration: Registration, done: int
) -> tuple[ResectionPlan | None, tuple[CarriedPlane, ...]]:
    """Carry planes, curves and control points: to look at."""
    stages, planes = [], []
    for part in record.report.plan[done:]:
        cuts: list[Resection] = []
        for cut in part.resections:
            if cut["kind"] == "planes":
                fitted = [_plane(record, registration, p) for p in cut["planes"]]
                planes += [CarriedPlane(part.name, cut["title"], plane, off) for plane, off in fitted]
                cuts.append(PlaneResection(tuple(p for p, _ in fitted), name=cut["name"] or cut["title"]))
            elif cut.get("surface") == "control_points":
                points = np.asarray(cut["control_mm"], dtype=np.float64)
                moved = registration.to_later(points.reshape(-1, 3)).reshape(points.shape)
                cuts.append(SurfaceResection(BezierSurface(moved), cut["name"] or cut["title"]))
            elif cut.get("surface") == "closed_curve":
                moved = registration.to_later(np.asarray(cut["points_mm"]))
                cuts.append(SurfaceResection(ClosedCurve(moved), cut["name"] or cut["title"]))
        if cuts:
            stages.append(Stage(part.name, tuple(cuts)))
    return (ResectionPlan(tuple(stages)) if stages else None), tuple(planes)


def _plane(record: Record, registration: Registration, plane: dict[str, Any]) -> tuple[Plane, float]:
    """Fit a plane to the points of the baseline's plane inside the liver, carried over."""
    liver, _ = _both(record)
    points = liver.grid.centres_mm(np.argwhere(liver.voxels))
    normal, origin = np.asarray(plane["normal"]), np.asarray(plane["point_mm"])
    height = (points - origin) @ normal
    near = np.abs(height) < max(liver.grid.spacing_mm)
    on = points[near] - height[near, None] * normal if near.sum() >= 3 else origin + np.eye(3) * 10
    moved = registration.to_later(on)
    middle = moved.mean(axis=0)
    _, spread, axes = np.linalg.svd(moved - middle, full_matrices=False)
    ahead = registration.to_later(np.stack([origin, origin + 10 * normal]))
    direction = axes[2] if float(axes[2] @ (ahead[1] - ahead[0])) > 0 else -axes[2]
    return Plane(middle, direction), float(spread[2] / np.sqrt(len(moved)))
