"""A liver whose truth is known, and drawings of it with simulated errors of known size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

from flr_volumetry.images import Grid
from flr_volumetry.liver import Lesion, Liver
from flr_volumetry.phantom import random_patient
from flr_volumetry.resection import Plane, PlaneResection, ResectionPlan, Stage, resect
from flr_volumetry.volumetry.measure import LesionFacts, LiverVolumes
from flr_volumetry.volumetry.uncertainty import (
    Measured,
    amount_interval,
    estimate_errors,
    probability_at_least,
    ratio_interval,
)

LESIONS = ((45.0, (0, 10, 10), 18.0), (20.0, (0, -12, 5), 9.0), (60.0, (0, 5, -15), 12.0))
"""Balls: depth of the middle behind the plane, how far aside of its middle, radius, mm."""
AMOUNTS = ("total_ml", "tumour_ml", "functional_ml", "remnant_functional_ml", "resected_ml")


@dataclass(frozen=True)
class Truth:
    """Signed distances on a fine grid, and what is meant to be cut."""

    steps_mm: tuple[float, float, float]
    origin_mm: np.ndarray
    liver_mm: np.ndarray
    lesions_mm: list[np.ndarray]
    middles_mm: list[np.ndarray]
    point_mm: np.ndarray
    normal: np.ndarray

    def centres(self, start=0, every=1):
        """Coordinates along each axis, as open arrays."""
        axes = [
            o + s * np.arange(n)
            for o, s, n in zip(self.origin_mm, self.steps_mm, self.liver_mm.shape, strict=True)
        ]
        return np.meshgrid(axes[0], axes[1], axes[2][start::every], indexing="ij", sparse=True)

    def beyond(self, point_mm, normal, start=0, every=1):
        """Which voxels lie beyond a plane."""
        x = self.centres(start, every)
        return sum(n * (a - p) for n, a, p in zip(normal, x, point_mm, strict=True)) > 0

    @property
    def voxel_ml(self):
        """Of the fine grid."""
        return float(np.prod(self.steps_mm)) / 1000

    @property
    def amounts(self):
        """True volumes, mL."""
        liver = self.liver_mm < 0
        tumour = liver & (np.min(self.lesions_mm, axis=0) < 0)
        goes = self.beyond(self.point_mm, self.normal)
        parts = (liver, tumour, liver & ~tumour, liver & ~goes & ~tumour, liver & goes)
        found = {n: np.count_nonzero(p) * self.voxel_ml for n, p in zip(AMOUNTS, parts, strict=True)}
        found["flr"] = found["remnant_functional_ml"] / found["functional_ml"]
        for n, lesion in enumerate(self.lesions_mm, start=1):
            found[f"lesion {n}"] = np.count_nonzero((lesion < 0) & liver) * self.voxel_ml
        return found

    @property
    def margin_mm(self):
        """True margins of the lesions: they are balls, and the plane is flat."""
        return [
            float((middle - self.point_mm) @ self.normal) - radius
            for middle, (_, _, radius) in zip(self.middles_mm, LESIONS, strict=True)
        ]


def make_truth(seed=0, *, step_mm=1.0, take=(2, 2, 1), share=0.3, turn=0.2):
    """The liver of a phantom, cut by a plane that leaves about a share of it."""
    phantom = random_patient(seed)
    grid = phantom.default_grid((step_mm,) * 3)
    voxels = np.asarray(phantom.structures(grid).liver.voxels)
    voxels = voxels[tuple(slice(None, None, int(s)) for s in np.sign(np.diag(grid.affine[:3, :3])))]
    ends = grid.centres_mm([[0, 0, 0], np.array(grid.shape) - 1])
    wide = int(np.ceil(16 / step_mm))
    box = ndimage.find_objects(voxels.astype(np.uint8))[0]
    voxels = np.pad(voxels[box], wide)
    origin = ends.min(axis=0) + [(b.start - wide) * step_mm for b in box]
    # Distances run from voxel centre to voxel centre, the surface between them.
    out, deep = (ndimage.distance_transform_edt(v).astype(np.float32) for v in (~voxels, voxels))
    signed = ndimage.gaussian_filter(np.where(voxels, 0.5 - deep, out - 0.5), 2.0) * step_mm
    # Smoothing leaves slopes below 1: a level offset by d must lie d away.
    signed /= np.maximum(np.sqrt(sum(g**2 for g in np.gradient(signed, step_mm))), 0.5)
    signed = signed[:: take[0], :: take[1], :: take[2]]
    steps = tuple(step_mm * t for t in take)
    normal = np.array([-1.0, turn, turn])
    normal /= np.linalg.norm(normal)
    shape = Truth(steps, origin, signed, [], [], np.zeros(3), normal)
    x, inside = shape.centres(), signed < 0
    height = sum(n * a for n, a in zip(normal, x, strict=True))
    at = np.quantile(height[inside], share)
    edge = inside & (np.abs(height - at) < max(steps))
    middle = np.array([np.broadcast_to(a, inside.shape)[edge].mean() for a in x])
    point = middle + (at - middle @ normal) * normal
    centres = [point + normal * deep + aside for deep, aside, _ in LESIONS]
    lesions = [
        np.sqrt(sum((a - c) ** 2 for a, c in zip(x, m, strict=True))).astype(np.float32) - r
        for m, (_, _, r) in zip(centres, LESIONS, strict=True)
    ]
    return Truth(steps, origin, signed, lesions, centres, point, normal)


def smooth_noise(rng, shape, steps_mm, correlation_mm):
    """A field of unit variance, correlated as exp(-r^2 / (2 L^2)), periodic."""
    waves = [2 * np.pi * fft.fftfreq(n, s) for n, s in zip(shape[:2], steps_mm[:2], strict=True)]
    waves.append(2 * np.pi * fft.rfftfreq(shape[2], steps_mm[2]))
    half = [np.exp(-((w * correlation_mm) ** 2) / 4).astype(np.float32) for w in waves]
    white = fft.rfftn(rng.standard_normal(shape, dtype=np.float32))
    field = fft.irfftn(white * half[0][:, None, None] * half[1][None, :, None] * half[2], s=shape)
    return field / _sd(shape, steps_mm, correlation_mm)


def _sd(shape, steps_mm, correlation_mm):
    """Standard deviation of white noise after that filter."""
    power = 1.0
    for n, s in zip(shape, steps_mm, strict=True):
        w = 2 * np.pi * fft.fftfreq(n, s)
        power *= np.mean(np.exp(-((w * correlation_mm) ** 2) / 2))
    return np.sqrt(power)


def draw(truth, rng, errors, *, every=1):
    """One reader's drawing: outlines and plane off by what `errors` says, slices thick, of a random phase."""
    start = int(rng.integers(every))
    steps = (*truth.steps_mm[:2], truth.steps_mm[2] * every)
    liver_mm = truth.liver_mm[:, :, start::every]
    shape, thick = liver_mm.shape, max(steps)
    off = []
    for length in (errors.correlation_mm, errors.lesion_correlation_mm):
        shift = rng.normal(0, errors.outline_sd_mm) + rng.normal(0, errors.slice_share * thick)
        off.append(shift + errors.local_sd_mm * smooth_noise(rng, shape, steps, length))
    affine = np.diag([*steps, 1.0])
    affine[:3, 3] = truth.origin_mm + [0, 0, start * truth.steps_mm[2]]
    grid = Grid(shape, affine, "")
    voxels = np.asfortranarray(liver_mm < off[0])
    lesions = []
    for n, lesion_mm in enumerate(truth.lesions_mm, start=1):
        drawn = lesion_mm[:, :, start::every] < off[1]
        if not drawn.any():
            return draw(truth, rng, errors, every=every)
        box = ndimage.find_objects(drawn.astype(np.uint8))[0]
        lesions.append(
            Lesion(
                n, f"{n}", tuple(b.start for b in box), drawn[box], np.count_nonzero(drawn) * grid.voxel_ml
            )
        )
    liver = Liver(grid, voxels, grid, (0, 0, 0), tuple(lesions))
    turn = np.radians(errors.cut_sd_degrees) * rng.standard_normal(3)
    normal = truth.normal + np.cross(turn, truth.normal)
    point = truth.point_mm + rng.normal(0, errors.cut_sd_mm) * truth.normal
    plan = ResectionPlan((Stage("one", (PlaneResection((Plane(point, normal),)),)),))
    return liver, resect(liver, plan)


@dataclass(frozen=True)
class Reading:
    """What one drawing says: values, standard deviations, intervals; the share with its errors."""

    values: dict[str, float]
    sds: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    share_of: tuple[Measured, Measured, float]

    def probability(self, threshold):
        """That the share reaches a threshold."""
        one, two, shared = self.share_of
        return probability_at_least(one, two, threshold=threshold, covariance=shared)


def count(liver, partition):
    """Volumes by boolean algebra on whole arrays, no margins sought."""
    drawn = np.zeros_like(liver.voxels)
    facts = []
    for lesion in liver.lesions:
        inside = lesion.voxels & liver.voxels[lesion.box]
        drawn[lesion.box] |= inside
        ml = np.count_nonzero(inside) * liver.grid.voxel_ml
        facts.append(LesionFacts(lesion.number, lesion.name, ml, 0.0, (), "", 0.0, None, ml, 0))
    stays = partition.labels == 1
    parts = (
        liver.voxels,
        drawn,
        liver.voxels & ~drawn,
        stays,
        stays & ~drawn,
        partition.labels == 2,
        partition.labels > 2,
        drawn & (partition.labels == 2),
    )
    amounts = [np.count_nonzero(p) * liver.grid.voxel_ml for p in parts]
    return LiverVolumes(*amounts, (), tuple(facts), (), liver.grid.voxel_ml)


def read(liver, partition, errors, *, volumes=None):
    """Say with what uncertainty one drawing was measured."""
    volumes = volumes or count(liver, partition)
    known = estimate_errors(liver, partition, volumes, errors=errors)
    values = {n: getattr(volumes, n) for n in AMOUNTS}
    sds = {n: known.sd(n) for n in AMOUNTS}
    intervals = {n: amount_interval(Measured(values[n], sds[n])) for n in AMOUNTS if n != "tumour_ml"}
    intervals["tumour_ml"] = known.interval("tumour_ml", values["tumour_ml"])
    one, two = (Measured(values[n], sds[n]) for n in ("remnant_functional_ml", "functional_ml"))
    shared = known.covariance("remnant_functional_ml", "functional_ml")
    values["flr"], intervals["flr"] = one.value / two.value, ratio_interval(one, two, covariance=shared)
    for lesion, facts in zip(known.lesions, volumes.lesions, strict=True):
        values[f"lesion {facts.number}"], intervals[f"lesion {facts.number}"] = facts.ml, lesion.ml_interval
        if lesion.margin_interval_mm is not None:
            values[f"margin {facts.number}"] = facts.margin_mm
            intervals[f"margin {facts.number}"] = lesion.margin_interval_mm
            sds[f"margin {facts.number}"] = lesion.margin_sd_mm
    return Reading(values, sds, intervals, (one, two, shared))
