"""How sure the volumes and margins of one liver under one plan are, from its own geometry."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from flr_volumetry.anatomy import SEGMENTS
from flr_volumetry.resection.partition import REMNANT
from flr_volumetry.resection.plan import PieceKind
from flr_volumetry.volumetry.uncertainty.borders import borders_of
from flr_volumetry.volumetry.uncertainty.normal import NORMAL_95
from flr_volumetry.volumetry.uncertainty.settings import DRAWING_ERRORS
from flr_volumetry.volumetry.uncertainty.spread import (
    MM3_PER_ML,
    Parts,
    counting_variance,
    cut_covariance,
    kinds_of,
    shifted,
    stepped,
    wavering,
)
from flr_volumetry.volumetry.uncertainty.values import (
    AMOUNTS,
    STAGE_AMOUNTS,
    ErrorSource,
    LesionErrors,
    VolumeErrors,
    stage_amount,
    tempered,
)

if TYPE_CHECKING:
    from flr_volumetry.liver import Lesion, Liver
    from flr_volumetry.resection import Partition
    from flr_volumetry.volumetry.consequences import Consequences
    from flr_volumetry.volumetry.measure import LesionFacts, LiverVolumes
    from flr_volumetry.volumetry.uncertainty.borders import Borders
    from flr_volumetry.volumetry.uncertainty.settings import DrawingErrors
    from flr_volumetry.volumetry.uncertainty.spread import Kinds

Floats = npt.NDArray[np.float64]


def estimate_errors(
    liver: Liver,
    partition: Partition,
    volumes: LiverVolumes,
    *,
    consequences: Consequences | None = None,
    errors: DrawingErrors = DRAWING_ERRORS,
) -> VolumeErrors:
    """Work out how sure the volumes and margins of a liver under a plan are.

    Parameters
    ----------
    liver : Liver
        The liver.
    partition : Partition
        Of that liver.
    volumes : LiverVolumes
        Counted from them.
    consequences : Consequences or None
        With them, also of the congested part.
    errors : DrawingErrors
        How far outlines and cuts may be off.

    Returns
    -------
    VolumeErrors
        Of every amount, and what each source contributes.

    Notes
    -----
    To first order: a border moved by d sweeps d times its area. Outline, lesions and cuts move independently
    of each other; amounts that share a border share its error, so that a remnant and its liver do where they
    have the outline in common, and what a cut takes from one piece it gives to the next. Checked against
    drawings with simulated errors in ``tests/evaluate/test_calibration.py``.
    """
    coded = _coded(liver, partition, consequences)
    borders = borders_of(coded.codes, liver.grid)
    names, parts = coded.amounts(partition)
    kinds = kinds_of(borders, parts)
    steps = 2 if any(c.code == "mask_resampled" for c in liver.caveats) else 1
    sources = _sources(liver, kinds, parts, errors, steps)
    covariance, caveats = tempered(names, np.sum(list(sources.values()), axis=0), volumes)
    regions = coded.regions()
    congested = regions.get("congested")
    cut_rate = sum((m.rates_mm2.sum(axis=0) for a, _, m in kinds.cuts if a == REMNANT), np.zeros(len(names)))
    functional = names.index("remnant_functional_ml")
    return VolumeErrors(
        names=names,
        covariance_ml2=covariance,
        segment_sds_ml=tuple(
            zip((*SEGMENTS, 0), _region_sds(liver, borders, regions["segments"], errors, steps), strict=True)
        )
        if "segments" in regions
        else (),
        congested_sd_ml=_region_sds(liver, borders, congested, errors, steps)[0] if congested else None,
        lesions=tuple(
            _lesion(lesion, facts, liver, kinds, errors, steps)
            for lesion, facts in zip(liver.lesions, volumes.lesions, strict=True)
        ),
        cut_ml_per_mm=float(cut_rate[functional]) / MM3_PER_ML,
        sources=tuple(_share(name, cov, names, volumes) for name, cov in sources.items()),
        caveats=caveats,
        methods=(errors.sentence,),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Coded:
    """A liver with one number for each piece, lesion or not, congested or not, and segment."""

    codes: npt.NDArray[np.uint16] = field(repr=False)
    pieces: int
    has_segments: bool
    has_congested: bool

    @property
    def meaning(self) -> tuple[npt.NDArray[np.int64], ...]:
        """Piece, lesion, congested and segment of each code."""
        code = np.arange(int(self.codes.max()) + 1)
        rest = code // self.pieces
        return code % self.pieces, rest % 2, rest // 2 % 2, rest // 4

    def amounts(self, partition: Partition) -> tuple[tuple[str, ...], Parts]:
        """Names of the amounts of the plan, and how the parts make them."""
        piece, tumour, _, _ = self.meaning
        liver, kind, stage = piece > 0, np.array([0] * self.pieces), np.zeros(self.pieces, dtype=int)
        for p in partition.pieces:
            kind[p.label] = {PieceKind.RESECTED: 1, PieceKind.ABLATED: 2}.get(p.kind, 0)
            stage[p.label] = p.stage
        works, stays = tumour == 0, piece == REMNANT
        columns = dict(
            zip(
                AMOUNTS,
                (
                    liver,
                    liver & ~works,
                    liver & works,
                    stays,
                    stays & works,
                    liver & (kind[piece] == 1),
                    liver & (kind[piece] == 2),
                    liver & (kind[piece] == 1) & ~works,
                ),
                strict=True,
            )
        )
        for number in range(1, len(partition.plan.stages) + 1):
            mine = liver & (stage[piece] == number)
            left = liver & ((stage[piece] == 0) | (stage[piece] > number))
            taken = (mine & (kind[piece] == 1), mine & (kind[piece] == 2), left, left & works)
            columns |= {stage_amount(number, n): c for n, c in zip(STAGE_AMOUNTS, taken, strict=True)}
        weights = np.stack(list(columns.values()), axis=1).astype(np.float64)
        return tuple(columns), Parts(weights, piece, tumour == 1)

    def regions(self) -> dict[str, Parts]:
        """Return the segments, and the congested part of the remnant, as parts that border on each other."""
        piece, _, congested, segment = self.meaning
        none = np.zeros(len(piece), dtype=bool)
        found = {}
        if self.has_segments:
            numbers = np.array([*SEGMENTS, 0])
            weights = ((segment[:, None] == numbers) & (piece > 0)[:, None]).astype(np.float64)
            found["segments"] = Parts(weights, np.where(piece > 0, segment + 1, 0), none)
        if self.has_congested:
            found["congested"] = Parts(
                congested[:, None].astype(np.float64), np.where(piece > 0, 2 - congested, 0), none
            )
        return found


def _coded(liver: Liver, partition: Partition, consequences: Consequences | None) -> _Coded:
    pieces = len(partition.pieces) + 1
    codes = partition.labels.astype(np.uint16)
    for lesion in liver.lesions:
        box, inside = lesion.box, lesion.voxels & liver.voxels[lesion.box]
        codes[box][inside & (codes[box] < pieces)] += np.uint16(pieces)
    outflow = consequences.outflow if consequences is not None else None
    if outflow is not None:
        codes[outflow.voxels] += np.uint16(2 * pieces)
    if liver.segments is not None:
        codes += np.uint16(4 * pieces) * liver.segments * liver.voxels
    return _Coded(codes, pieces, liver.segments is not None, outflow is not None)


def _sources(
    liver: Liver, kinds: Kinds, parts: Parts, errors: DrawingErrors, steps: int
) -> dict[str, Floats]:
    """Covariance of all amounts by source, mL2."""
    local, slices_mm = errors.local_sd_mm, errors.slice_share * max(liver.grid.spacing_mm)
    outline, lesions = kinds.outline, kinds.lesions
    counted = shifted(outline, sd_mm=slices_mm) + shifted(lesions, sd_mm=slices_mm)
    for low, high, moved in kinds.cuts:
        counted += steps * stepped(moved, parts, liver.grid, (low, high))
    return {
        "outline of the liver": shifted(outline, sd_mm=errors.outline_sd_mm)
        + wavering(outline, sd_mm=local, correlation_mm=errors.correlation_mm),
        "outlines of lesions": shifted(lesions, sd_mm=errors.outline_sd_mm)
        + wavering(lesions, sd_mm=local, correlation_mm=errors.lesion_correlation_mm),
        "place of the cuts": cut_covariance(kinds, parts, liver.grid, errors),
        "slices and voxels": counted,
    }


def _region_sds(
    liver: Liver, borders: Borders, parts: Parts, errors: DrawingErrors, steps: int
) -> tuple[float, ...]:
    """Return standard deviations of regions with borders of their own, mL."""
    covariance = sum(_sources(liver, kinds_of(borders, parts), parts, errors, steps).values())
    return tuple(np.sqrt(np.maximum(0.0, np.diagonal(covariance))).tolist())


def _share(name: str, covariance: Floats, names: tuple[str, ...], volumes: LiverVolumes) -> ErrorSource:
    one, two = names.index("remnant_functional_ml"), names.index("functional_ml")
    ratio = volumes.remnant_functional_ml / volumes.functional_ml
    of_ratio = covariance[one, one] - 2 * ratio * covariance[one, two] + ratio**2 * covariance[two, two]
    return ErrorSource(
        name,
        math.sqrt(max(0.0, float(covariance[one, one]))),
        math.sqrt(max(0.0, float(covariance[two, two]))),
        math.sqrt(max(0.0, float(of_ratio))) / volumes.functional_ml,
    )


def _lesion(
    lesion: Lesion, facts: LesionFacts, liver: Liver, kinds: Kinds, errors: DrawingErrors, steps: int
) -> LesionErrors:
    """How sure one lesion's volume and margin are.

    The volume for an outline offset by d is ``V (1 + A d / 3 V)^3``: exact for a ball, and by the
    Brunn-Minkowski inequality never less than that of a convex body.
    """
    inside = np.pad(lesion.voxels & liver.voxels[lesion.box], 1)
    area = float(borders_of(inside.astype(np.uint8), liver.grid).areas_mm2.sum())
    volume = int(np.count_nonzero(inside)) * liver.grid.voxel_mm3
    slices_mm = errors.slice_share * max(liver.grid.spacing_mm)
    if not volume:
        return LesionErrors(lesion.number, (0.0, 0.0))
    patches = area / (2 * math.pi * errors.lesion_correlation_mm**2)
    local2 = errors.local_sd_mm**2 * -math.expm1(-patches) / patches
    counted2 = steps * counting_variance(inside) * (volume / area) ** 2
    sd_mm = math.sqrt(errors.outline_sd_mm**2 + slices_mm**2 + local2 + counted2)
    low, high = (
        facts.ml * max(0.0, 1 + offset * area / (3 * volume)) ** 3
        for offset in (-NORMAL_95 * sd_mm, NORMAL_95 * sd_mm)
    )
    if not facts.cleared or not math.isfinite(facts.margin_mm):
        return LesionErrors(lesion.number, (low, high))
    sd = _margin_sd(facts, liver, kinds, errors, slices_mm)
    return LesionErrors(
        lesion.number,
        (low, high),
        sd,
        (max(0.0, facts.margin_mm - NORMAL_95 * sd), facts.margin_mm + NORMAL_95 * sd),
    )


def _margin_sd(
    facts: LesionFacts, liver: Liver, kinds: Kinds, errors: DrawingErrors, slices_mm: float
) -> float:
    """Return the standard deviation of a margin: the lesion's outline at one end, the cut at the other."""
    one, other = np.asarray(facts.closest_mm), np.asarray(facts.cut_mm)
    way = (other - one) / max(facts.margin_mm, 1e-9) if facts.margin_mm > 0 else np.zeros(3)
    steps = liver.grid.affine[:3, :3]
    variance = (
        errors.outline_sd_mm**2
        + errors.local_sd_mm**2
        + slices_mm**2
        + errors.cut_sd_mm**2
        + float(np.sum((way @ steps) ** 2)) / 12
    )
    sides = [m for low, _, m in kinds.cuts if low == REMNANT and len(m.borders.areas_mm2)]
    if sides and facts.margin_mm > 0:
        away = [float(cKDTree(m.borders.centres_mm).query(other)[0]) for m in sides]
        cut = sides[int(np.argmin(away))].borders
        middle = cut.areas_mm2 @ cut.centres_mm / cut.areas_mm2.sum()
        lever = float(np.linalg.norm(np.cross(other - middle, way)))
        variance += (math.radians(errors.cut_sd_degrees) * lever) ** 2
    return math.sqrt(variance)
