"""A cut moved by hand: volumes and margins from a liver held ready, against recounting voxels.

Two other ways are written here. One adds the three terms of a plane's distance over the liver's box
and counts by label. The other is the method of Slicer-Liver (its LiverVolumetry module): the surface
is sampled at 500 x 500 points or more, each point makes its voxel a barrier, and a region is grown
from a seed on either side; the barrier belongs to neither. Both get the cropped liver, as ours does.
Vessel territories have a module of their own; the search is timed on the same liver.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks import territories
from benchmarks.large_liver import large_liver
from flr_volumetry.liver import Liver
from flr_volumetry.planning import SearchSettings, search_plans
from flr_volumetry.resection import (
    Plane,
    PlaneResection,
    ReadyLiver,
    Resection,
    SurfaceResection,
    WedgeResection,
    beyond,
)
from flr_volumetry.resection.spans import beyond_planes
from flr_volumetry.resection.surfaces import BezierSurface
from flr_volumetry.resection.tally import count

NORMALS = ((-0.9, -0.35, 0.1), (-0.6, 0.2, 0.77), (0.3, -0.9, 0.2), (-1.0, 0.0, 0.0))
PATCH_MM = 320.0
"""Edge of the flat square that stands for a plane in Slicer-Liver's method."""
POINTS = 500
BARRIER = 100
BARRIER_WAY = "Slicer-Liver: barrier, regions from two seeds"
VOLUMES, PLANE, MARGINS, BEZIER = (
    "one plane: volume of the remnant",
    "one plane: volumes by segment and lesion",
    "one plane: volumes and all margins",
    "one Bezier surface: volumes",
)
TARGET_MS = {"set-up": 1000.0, VOLUMES: 1.0, PLANE: 3.0, MARGINS: 30.0, BEZIER: 20.0}
"""At most, wall time on two cores that do nothing else."""
FASTER = 20.0
"""So many times as fast as Slicer-Liver's ways."""
PLANS_A_MINUTE = 1000.0

Call = Callable[[], object]


def cuts(liver: Liver) -> list[PlaneResection]:
    """Planes through the middle of the liver, as a hand would lay them."""
    middle = liver.grid.centres_mm(np.argwhere(liver.voxels)).mean(axis=0)
    return [PlaneResection((Plane(middle, normal),)) for normal in NORMALS]


def bent(cut: PlaneResection) -> SurfaceResection:
    """Bezier surface of 4 x 4 control points that bulges by some centimetres about a plane."""
    (plane,) = cut.planes
    aside, up = directions(plane)
    along = np.linspace(-PATCH_MM / 2, PATCH_MM / 2, 4)
    control = plane.point_mm + along[:, None, None] * aside + along[None, :, None] * up
    height = np.random.default_rng(0).uniform(-30, 30, (4, 4, 1))
    return SurfaceResection(BezierSurface(control + height * plane.normal))


def directions(plane: Plane) -> tuple[np.ndarray, np.ndarray]:
    """Two unit vectors in a plane, at right angles."""
    aside = np.cross(plane.normal, np.eye(3)[np.argmin(np.abs(plane.normal))])
    aside /= np.linalg.norm(aside)
    return aside, np.cross(plane.normal, aside)


def recounted(liver: Liver, labels: np.ndarray, cut: PlaneResection) -> np.ndarray:
    """Voxels beyond the plane by label, counted in the liver's box."""
    goes = beyond(cut.planes[0], liver.grid)
    return np.bincount(labels.ravel(order="F")[goes.ravel(order="F")], minlength=256)


def barrier_points(cut: PlaneResection) -> np.ndarray:
    """Points of a flat Bezier surface that spans the liver."""
    (plane,) = cut.planes
    aside, up = directions(plane)
    along = np.linspace(-PATCH_MM / 2, PATCH_MM / 2, POINTS)
    return plane.point_mm + (along[:, None, None] * aside + along[None, :, None] * up).reshape(-1, 3)


def grown(liver: Liver, labels: np.ndarray, cut: PlaneResection, seeds: list[tuple[int, ...]]) -> list[int]:
    """Slicer-Liver's method: voxels grown from each seed up to the barrier, neighbours by faces."""
    import SimpleITK as sitk

    index = np.rint(liver.grid.indices_at(barrier_points(cut))).astype(int)
    index = index[((index >= 0) & (index < liver.grid.shape)).all(axis=1)]
    marked = labels.astype(np.int16, order="F")
    marked[tuple(index.T)] = BARRIER
    image = sitk.GetImageFromArray(marked.T)
    found = []
    for seed in seeds:
        region = sitk.ConnectedThreshold(image, [seed], lower=1, upper=BARRIER - 1)
        found.append(int(np.count_nonzero(sitk.GetArrayViewFromImage(region))))
    return found


def seeds_beside(liver: Liver, cut: PlaneResection) -> list[tuple[int, ...]]:
    """Return the liver voxel furthest on each side of a plane, as a user would click there."""
    index = np.argwhere(liver.voxels)
    (plane,) = cut.planes
    height = (liver.grid.centres_mm(index) - plane.point_mm) @ plane.normal
    return [tuple(int(n) for n in index[i]) for i in (height.argmin(), height.argmax())]


class Taken(NamedTuple):
    """Milliseconds of a call."""

    wall: float
    cpu: float


def taken_ms(calls: list[Call], runs: int) -> Taken:
    """Median wall time over all calls, and the median of each call's least CPU time; one of each warms up."""
    wall: list[float] = []
    cpu: list[list[float]] = [[] for _ in calls]
    for turn in range(-1, runs):
        for call, own in zip(calls, cpu, strict=True):
            began, spent = time.perf_counter(), time.process_time()
            call()
            if turn >= 0:
                wall.append(1000 * (time.perf_counter() - began))
                own.append(1000 * (time.process_time() - spent))
    return Taken(statistics.median(wall), statistics.median(min(own) for own in cpu))


def barrier_loss_ml(liver: Liver, labels: np.ndarray) -> list[float]:
    """Return what barrier voxels take from each cut, mL."""
    total = int(np.count_nonzero(liver.voxels))
    return [
        (total - sum(grown(liver, labels, cut, seeds_beside(liver, cut)))) * liver.grid.voxel_ml
        for cut in cuts(liver)
    ]


def remnant_ml(ready: ReadyLiver, cut: PlaneResection) -> float:
    """Volume of what stays, and nothing else."""
    counts = count(ready.rows, [beyond_planes(cut, ready.rows)])
    return int(counts[0].sum()) * ready.liver.grid.voxel_ml


def ours(liver: Liver, runs: int) -> dict[str, Taken]:
    """Milliseconds of each answer of the liver held ready."""
    planes = cuts(liver)
    wedge = WedgeResection((2,), 10.0)
    ready = ReadyLiver(liver, fixed=(wedge,))

    def ask(*resections: Resection) -> Call:
        return lambda: ready.volumes(resections)

    return {
        "set-up": taken_ms([lambda: ReadyLiver(liver)], max(1, runs // 5)),
        VOLUMES: taken_ms([lambda c=c: remnant_ml(ready, c) for c in planes], 10 * runs),
        PLANE: taken_ms([ask(c) for c in planes], 10 * runs),
        "two planes, a prepared wedge and a plane": taken_ms(
            [ask(PlaneResection((*a.planes, *b.planes)), wedge, b) for a, b in itertools.pairwise(planes)],
            5 * runs,
        ),
        BEZIER: taken_ms([ask(bent(c)) for c in planes], 2 * runs),
        MARGINS: taken_ms([lambda c=c: (ready.volumes([c]), ready.margins([c])) for c in planes], runs),
    }


def run(folder: Path, runs: int = 5) -> None:
    """Print the table."""
    liver = large_liver(folder)
    planes = cuts(liver)
    labels = (liver.voxels * 16).astype(np.uint8, order="F")
    labels += liver.segments
    for lesion in liver.lesions:
        labels[lesion.box][lesion.voxels] += 9
    inside = labels // 16
    sides = [seeds_beside(liver, cut) for cut in planes]
    found = ours(liver, runs)
    others = {
        "broadcast over the box, counted by label": taken_ms(
            [lambda c=c: recounted(liver, labels, c) for c in planes], max(1, runs // 2)
        ),
        BARRIER_WAY: taken_ms(
            [lambda c=c, s=s: grown(liver, inside, c, s) for c, s in zip(planes, sides, strict=True)],
            1,
        ),
    }
    ready = ReadyLiver(liver)
    lost = [liver.ml - (v.remnant_ml + v.resected_ml) for v in (ready.volumes([c]) for c in planes)]
    print(f"\na cut moved by hand: {liver.ml:.0f} mL, {len(liver.lesions)} lesions, crop {liver.grid.shape}")
    table({**found, **others}, found[PLANE], TARGET_MS)
    print(
        verdict("barrier and regions against our plane", others[BARRIER_WAY].wall / found[PLANE].wall, FASTER)
    )
    said = ", ".join(f"{ml:.1f}" for ml in barrier_loss_ml(liver, inside))
    print(f"mL lost in barrier voxels, by plane: {said}; ours: {max(map(abs, lost)):.1f}")
    divide(liver, runs)
    seek(liver)


def table(rows: dict[str, Taken], reference: Taken, targets: dict[str, float]) -> None:
    """Print milliseconds, wall and CPU, ratios and what was aimed at."""
    print(f"{'':46}{'wall':>13}{'CPU':>13}{'ratio':>10}")
    for name, ms in rows.items():
        aim = targets.get(name)
        said = "" if aim is None else f"   target {aim:g} ms: {'met' if ms.wall <= aim else 'MISSED'}"
        print(f"{name:46}{ms.wall:10.2f} ms{ms.cpu:10.2f} ms{ms.wall / reference.wall:10.1f}{said}")


def verdict(name: str, ratio: float, target: float) -> str:
    """Say how many times as fast, and whether that is enough."""
    return f"{name}: {ratio:.1f} times as fast, target {target:g}: {'met' if ratio >= target else 'MISSED'}"


def divide(liver: Liver, runs: int) -> None:
    """Vessel territories, side by side."""
    taken, found = territories.rows(liver, max(2, runs // 2))
    rows = {name: Taken(*ms) for name, ms in taken.items()}
    whole, alone, transform, _, single = rows.values()
    print(f"\nterritories of a portal vein: {len(found.branches)} branches")
    table(rows, whole, {})
    print(verdict("the division against scipy's EDT, CPU", transform.cpu / alone.cpu, 1.0))
    print(verdict("all of it against scipy's EDT, CPU", transform.cpu / whole.cpu, 1.0))
    print(verdict("all of it against voxel by voxel", single.wall / whole.wall, FASTER))
    unassigned = int(np.count_nonzero(liver.voxels & (found.labels == 0)))
    print(f"mL of liver in no territory: {unassigned * liver.grid.voxel_ml:.1f}")


def seek(liver: Liver) -> None:
    """Search over plans: how many a minute."""
    began = time.perf_counter()
    found = search_plans(liver, SearchSettings())
    minutes = (time.perf_counter() - began) / 60
    print(f"\nsearch on the phantom: {found.considered} plans in {60 * minutes:.1f} s")
    print(f"{found.considered / minutes:.0f} plans a minute, target {PLANS_A_MINUTE:g}")


if __name__ == "__main__":
    run(Path("build") / "bench")
