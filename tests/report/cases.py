"""A two-lobed liver of ellipsoids, known in patient coordinates, with a plan and its assessment."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from flr_volumetry.assessment.model import (
    Applicability,
    Assessment,
    Citation,
    Evidence,
    Finding,
    Index,
    InputFile,
    Protocol,
    Provenance,
    Rule,
    State,
    Summary,
)
from flr_volumetry.errors import Caveat
from flr_volumetry.images import Grid, Image, Source
from flr_volumetry.liver import Lesion, Liver
from flr_volumetry.resection import (
    Partition,
    Piece,
    PieceKind,
    Plane,
    PlaneResection,
    ResectionPlan,
    Stage,
    WedgeResection,
    cut_surface,
)
from flr_volumetry.volumetry.consequences import weigh
from flr_volumetry.volumetry.measure import LesionFacts, LiverVolumes, SegmentVolume, StageVolumes
from flr_volumetry.volumetry.nearby import neighbours
from flr_volumetry.volumetry.patient import Parenchyma, Patient, Sex

# Columns: the step in mm, in the patient, of one voxel along i, j and k.
STEPS = {
    "axial": np.diag([2.0, 2.0, 3.0]),
    "flipped": np.diag([-2.0, -2.0, 3.0]),
    "sagittal": np.array([[0, 0, 3.0], [2.0, 0, 0], [0, 2.0, 0]]),
    "oblique": np.array([[1.8, -0.9, 0.3], [0.9, 1.8, 0.0], [-0.2, 0.1, 2.9]]),
    "gantry tilt": np.array([[2.0, 0, 0], [0, 2.0, 0.8], [0, 0, 3.0]]),
}
MIDDLE_MM = np.array([-20.0, -10.0, 700.0])
HALF_MM = np.array([140.0, 110.0, 105.0])
MARKER_MM = np.array([45.0, 30.0, 755.0])
"""A bright ball outside the liver: to the patient's left, behind it, near the head."""
MARKER_RADIUS_MM = 8.0
LOBES = (((-60, 0, 700), (78, 80, 82)), ((35, -30, 715), (75, 42, 45)))
LESIONS = (((-88, 12, 735), 17), ((62, -34, 722), 11), ((-52, 28, 668), 14))
CUT_X_MM = -4.0


def grid_of(name: str, half_mm=HALF_MM) -> Grid:
    """Return a grid of one of the five kinds that covers a box about the middle."""
    steps = STEPS[name]
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * half_mm
    index = np.linalg.solve(steps, corners.T).T
    shape = tuple(int(n) for n in np.ceil(np.ptp(index, axis=0)) + 1)
    affine = np.eye(4)
    affine[:3, :3] = steps
    affine[:3, 3] = MIDDLE_MM - steps @ ((np.array(shape) - 1) / 2)
    return Grid(shape, affine)


def _points(grid: Grid) -> np.ndarray:
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    return index @ grid.affine[:3, :3].T + grid.affine[:3, 3]


def _inside(points: np.ndarray, centre, radii) -> np.ndarray:
    return (((points - np.array(centre)) / np.array(radii)) ** 2).sum(axis=-1) <= 1


@cache
def make_liver(name: str = "axial", *, modality: str = "CT", image: bool = True) -> Liver:
    """Return the liver on a grid, with its lesions, segments and a rendered scan."""
    grid = grid_of(name)
    points = _points(grid)
    inside = np.logical_or.reduce([_inside(points, *lobe) for lobe in LOBES])
    lesions, values = [], np.where(_inside(points, MIDDLE_MM, HALF_MM * 0.97), -20.0, -1000.0)
    values[inside] = 110
    for number, (centre, radius) in enumerate(LESIONS, start=1):
        ball = _inside(points, centre, (radius,) * 3)
        values[ball] = 55
        corner = np.argwhere(ball).min(axis=0)
        far = np.argwhere(ball).max(axis=0) + 1
        box = tuple(slice(a, b) for a, b in zip(corner, far, strict=True))
        start = tuple(int(n) for n in corner)
        lesions.append(Lesion(number, f"tumour{number}", start, ball[box].copy(), ball.sum() * grid.voxel_ml))
    values[_inside(points, MARKER_MM, (MARKER_RADIUS_MM,) * 3)] = 900
    noise = np.random.default_rng(7).normal(0, 12, grid.shape)
    scan = Image(grid, (values + noise).astype(np.int16), Source(modality=modality)) if image else None
    segments = np.where(inside, _segments(points), 0).astype(np.uint8)
    return Liver(grid, inside, grid, (0, 0, 0), tuple(lesions), segments, (), scan)


def _segments(points: np.ndarray) -> np.ndarray:
    x, y, z = np.moveaxis(points, -1, 0)
    right = np.where(z > 700, np.where(y < 0, 8, 7), np.where(y < 0, 5, 6))
    left = np.where(x < 30, 4, np.where(z > 715, 2, 3))
    caudate = (np.abs(x - 5) < 14) & (y > -8)
    return np.where(caudate, 1, np.where(x < CUT_X_MM, right, left))


@cache
def make_partition(liver: Liver) -> Partition:
    """Return the two-stage plan: a wedge of lesion 2 with 5 mm, then all beyond a sagittal plane."""
    points = _points(liver.grid)
    labels = liver.voxels.astype(np.uint8)
    centre, radius = LESIONS[1]
    labels[liver.voxels & _inside(points, centre, (radius + 5,) * 3)] = 2
    labels[(labels == 1) & (points[..., 0] < CUT_X_MM + 0.25 * (points[..., 1]))] = 3
    counts = [int((labels == n).sum()) for n in (1, 2, 3)]
    pieces = (
        Piece(1, "remnant", PieceKind.REMNANT, 0, counts[0]),
        Piece(2, "wedge of lesion 2 with 5 mm", PieceKind.RESECTED, 1, counts[1]),
        Piece(3, "right hepatectomy (H5678)", PieceKind.RESECTED, 2, counts[2]),
    )
    plan = ResectionPlan(
        (
            Stage("stage one", (WedgeResection((2,), 5.0),)),
            Stage("stage two", (PlaneResection((Plane((CUT_X_MM, 0, 0), (-1, 0.25, 0)),)),)),
        )
    )
    return Partition(liver.grid, labels, pieces, plan)


def _lesion_mask(liver: Liver, lesion: Lesion) -> np.ndarray:
    mask = np.zeros(liver.grid.shape, dtype=bool)
    mask[lesion.box] = lesion.voxels
    return mask


def make_volumes(liver: Liver, partition: Partition) -> LiverVolumes:
    """Count the volumes; margins of balls are computed by formula, not measured."""
    voxel = liver.grid.voxel_ml
    tumour = np.logical_or.reduce([_lesion_mask(liver, lesion) for lesion in liver.lesions])
    remnant = partition.labels == 1
    facts, locations = [], ("segment VIII", "segment II", "segments VI and VII")
    for lesion, where, stage in zip(liver.lesions, locations, (2, 1, 2), strict=True):
        centre, radius = LESIONS[lesion.number - 1]
        margin = 5.4 if lesion.number == 2 else float(CUT_X_MM - centre[0] - radius)
        closest = (float(centre[0] + radius), float(centre[1]), float(centre[2]))
        facts.append(
            LesionFacts(
                lesion.number,
                lesion.name,
                lesion.mask_ml,
                2.0 * radius,
                (8,),
                where,
                margin,
                closest,
                0.0,
                stage,
            )
        )
    total, kept = liver.voxels.sum() * voxel, remnant.sum() * voxel
    taken = [(partition.labels == n).sum() * voxel for n in (2, 3)]
    stages = (
        StageVolumes(
            1,
            "stage one",
            "",
            ("wedge of lesion 2 with 5 mm",),
            taken[0],
            0.0,
            total - taken[0],
            total - taken[0] - 30,
        ),
        StageVolumes(
            2, "stage two", "pve, 4 weeks", ("right hepatectomy (H5678)",), taken[1], 0.0, kept, kept
        ),
    )
    segments = tuple(
        SegmentVolume(n, (liver.segments == n).sum() * voxel, ((liver.segments == n) & remnant).sum() * voxel)
        for n in range(1, 9)
    )
    tumour_ml = float(tumour.sum() * voxel)
    return LiverVolumes(
        float(total),
        tumour_ml,
        float(total) - tumour_ml,
        float(kept),
        float(kept),
        float(sum(taken)),
        0.0,
        tumour_ml,
        segments,
        tuple(facts),
        stages,
        voxel,
    )


def _index(key: str, title: str, remnant: float, amount: float, name: str, *, scale: float = 1.0) -> Index:
    value = remnant / amount
    return Index(
        key,
        title,
        value,
        "fraction",
        remnant,
        f"{name} {amount / scale:.1f} {'kg' if scale > 1 else 'mL'}",
        amount,
        (0.9 * value, 1.1 * value),
        0.05 * remnant,
        0.03 * amount,
        f"{title} is the remnant divided by {name}.",
    )


REVIEW_INDICATIONS = "2014 review, Indications [11]"
AZOULAY = "Azoulay et al., in the 2014 review [54]"


@dataclass(frozen=True)
class Threshold:
    id: str
    title: str
    index: str
    name: str
    threshold: float
    source: str
    evidence: Evidence = Evidence.FOUND
    strict: bool = False


CONSENSUS = (
    Threshold(
        "V17b",
        "chemotherapy over 12 weeks",
        "sflr",
        "TELV (T1)",
        0.30,
        "Clavien et al., N Engl J Med 2007;356:1545",
        Evidence.GK_H,
    ),
    Threshold("V11", "normal liver", "sflr", "TELV (T1)", 0.20, "Kishi et al., Ann Surg 2009;250:540"),
)
REVIEW = (
    Threshold(
        "V1", "normal liver", "flr_of_total", "total liver volume", 0.20, REVIEW_INDICATIONS, Evidence.SEED
    ),
    Threshold("V6", "healthy liver", "flr", "FTLV", 0.25, AZOULAY, Evidence.SEED, strict=True),
    Threshold("V7", "many courses of chemotherapy", "flr", "FTLV", 0.40, AZOULAY, Evidence.SEED, strict=True),
    Threshold(
        "S1",
        "remnant to body weight",
        "flr_per_body_weight",
        "body weight",
        0.005,
        "Truant et al., J Am Coll Surg 2007;204:22",
    ),
)


def _rule(t: Threshold) -> Rule:
    return Rule(
        t.id,
        t.title,
        t.index,
        t.name,
        t.threshold,
        t.strict,
        "adults after hepatectomy",
        Applicability(),
        "consider portal vein embolization",
        "volume is judged sufficient",
        Citation(t.source),
        t.evidence,
    )


def _finding(t: Threshold, protocol: str, index: Index) -> Finding:
    margin = index.value - t.threshold
    missing = margin * index.denominator_amount
    sigma = 0.055 * index.value
    state = (
        State.BORDERLINE
        if abs(margin) < max(0.02 if t.threshold > 0.1 else 0, 1.96 * sigma)
        else (State.CLEAR_ABOVE if margin > 0 else State.CLEAR_BELOW)
    )
    above = 0.5 * (1 + math.erf(margin / sigma / math.sqrt(2)))
    growth = max(0.0, -missing) / index.numerator_ml
    return Finding(
        _rule(t), protocol, index.value, index.interval, 100 * margin, missing, growth, above, state
    )


def make_assessment(volumes: LiverVolumes) -> Assessment:
    """Return indices and findings computed from the volumes, and one rule that is not evaluable."""
    remnant = volumes.remnant_functional_ml
    indices = (
        _index("flr", "FLR / functional liver volume (D8)", remnant, volumes.functional_ml, "FTLV"),
        _index("flr_of_total", "FLR / total liver volume (D9)", volumes.remnant_ml, volumes.total_ml, "TLV"),
        _index("sflr", "FLR / estimated liver volume, Vauthey 2002 (D10)", remnant, 1509.7, "TELV"),
        _index(
            "flr_per_body_weight", "FLR / body weight (D12)", remnant, 70000.0, "body weight", scale=1000.0
        ),
    )
    by_key = {i.key: i for i in indices}
    findings = [_finding(t, "consensus-20-30-40", by_key[t.index]) for t in CONSENSUS]
    findings += [_finding(t, "review-2014", by_key[t.index]) for t in REVIEW]
    cirrhosis = _rule(
        Threshold(
            "V2",
            "cirrhosis",
            "flr_of_total",
            "total liver volume",
            0.3,
            REVIEW_INDICATIONS,
            Evidence.SEED,
        )
    )
    findings.append(
        Finding(
            cirrhosis,
            "review-2014",
            None,
            None,
            None,
            None,
            None,
            None,
            State.NOT_EVALUABLE,
            "made for cirrhosis; the patient's liver is given as chemotherapy",
        )
    )
    protocols = tuple(
        Protocol(
            key,
            title,
            "1.0",
            "Thresholds as the source states them.",
            tuple(f.rule for f in findings if f.protocol == key),
        )
        for key, title in (
            ("consensus-20-30-40", "Common practice: 20, 30 and 40 %"),
            ("review-2014", "The 2014 review"),
        )
    )
    names = (
        "total_ml",
        "tumour_ml",
        "functional_ml",
        "remnant_ml",
        "remnant_functional_ml",
        "resected_ml",
        "ablated_ml",
    )
    intervals = {n: (0.94 * getattr(volumes, n), 1.06 * getattr(volumes, n)) for n in names}
    conclusion = (
        "Volumetric evidence supports the plan under the 2014 review, rule V1 (20 % of the total).",
        "The protocols disagree: the answer depends on the denominator and on the state of the parenchyma.",
    )
    return Assessment(
        indices,
        intervals,
        tuple(findings),
        protocols,
        conclusion,
        (),
        ("Thresholds were compared with their own index only.",),
    )


def make_summary(liver: Liver, partition: Partition) -> Summary:
    """Return the whole case."""
    volumes = make_volumes(liver, partition)
    assessment = make_assessment(volumes)
    caveats = (
        Caveat("thick_slices", "The slices are 3.0 mm apart: margins are known to about that."),
        Caveat(
            "liver_touches_edge",
            "The liver touches the upper face of the scan over 3.1 cm2.",
        ),
    )
    provenance = Provenance(
        "0.1.0",
        (("numpy", np.__version__), ("scipy", "1.14")),
        "2026-01-02T03:04:05Z",
        (
            InputFile("image", "ct/", "ab" * 32, "CT, 70 slices, 2.000 x 2.000 x 3.000 mm"),
            InputFile("liver", "masks/liver.nii.gz", "cd" * 32, "mask"),
        ),
        "ef" * 32,
    )
    patient = Patient(Sex.FEMALE, 62, 170, 70, Parenchyma.CHEMOTHERAPY, 16)
    methods = (
        "Volumes were counted voxel by voxel.",
        "Margins are distances between voxel centres.",
        *assessment.methods,
    )
    return Summary(
        "sample",
        patient,
        volumes,
        assessment,
        caveats,
        methods,
        provenance,
        partition.plan,
        weigh(liver, partition),
        neighbours(liver),
        cut_surface(liver, partition),
    )


@cache
def make_case(name: str = "axial") -> tuple[Liver, Partition, Summary]:
    """Return liver, partition and summary on one of the five grids."""
    liver = make_liver(name)
    partition = make_partition(liver)
    return liver, partition, make_summary(liver, partition)


def with_lesion(summary: Summary, number: int, **changes: object) -> Summary:
    """Return the summary with some facts of one lesion replaced."""
    lesions = tuple(replace(x, **changes) if x.number == number else x for x in summary.volumes.lesions)
    return replace(summary, volumes=replace(summary.volumes, lesions=lesions))
