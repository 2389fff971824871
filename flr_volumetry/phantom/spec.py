"""What makes one phantom patient differ from another."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from flr_volumetry.errors import LiverError
from flr_volumetry.phantom.liver_shape import GALLBLADDER, LEFT_CURVE, VISCERAL_MM, LiverShape
from flr_volumetry.phantom.pose import Warp, Wave
from flr_volumetry.phantom.shapes import Lobulated, Solid, Vector
from flr_volumetry.phantom.variation import Draw
from flr_volumetry.phantom.vessels import Trees, grow, trunks, vena_cava

SAMPLE_SEED = 20240102
LESION_DEPTH_MM = 1.5
"""Every point of a lesion lies at least so far under the surface of the liver."""
TRIES = 400


@dataclass(frozen=True, slots=True)
class LesionSpec:
    """One lesion.

    Parameters
    ----------
    centre_mm : tuple of float
        In the standard phantom, mm.
    diameter_mm : float
        Mean diameter.
    lobes : tuple of (float, tuple of float)
        Height as a share of the radius, and direction; see `Lobulated`.
    """

    centre_mm: Vector
    diameter_mm: float
    lobes: tuple[tuple[float, Vector], ...] = ()

    @property
    def shape(self) -> Lobulated:
        """The lesion as a distance."""
        return Lobulated(self.centre_mm, self.diameter_mm / 2, self.lobes)


SAMPLE_LESIONS = (
    LesionSpec((-90.0, -32.0, 13.0), 42.0, ((0.08, (1.0, 0.4, 0.5)), (-0.07, (-0.3, 1.0, -0.6)))),
    LesionSpec((-87.0, 5.0, -22.0), 28.0, ((0.07, (0.2, -1.0, 0.5)),)),
    LesionSpec((31.0, -55.0, 29.0), 24.0, ((0.06, (0.7, 0.2, 0.6)),)),
)


@dataclass(frozen=True, slots=True)
class PhantomSpec:
    """All that decides a phantom.

    Parameters
    ----------
    seed : int
        Of its twigs, texture and noise.
    warp : Warp
        How its body differs from the standard one.
    lesions : tuple of LesionSpec
        Numbered from 1 in this order.
    visceral_mm, left_curve, middle_mm : float
        As for `LiverShape`: the lower, the longer the right lobe, the longer the left lobe, and the
        smaller the right liver.

    Raises
    ------
    LiverError
        If a lesion is not wholly inside the liver.
    """

    seed: int = SAMPLE_SEED
    warp: Warp = field(default_factory=Warp)
    lesions: tuple[LesionSpec, ...] = SAMPLE_LESIONS
    visceral_mm: float = VISCERAL_MM
    left_curve: float = LEFT_CURVE
    middle_mm: float = 0.0

    def __post_init__(self) -> None:
        liver = self.liver
        for number, lesion in enumerate(self.lesions, start=1):
            depth = _cover_mm(liver, lesion.shape)
            if depth < LESION_DEPTH_MM:
                raise LiverError(
                    f"lesion {number} at {lesion.centre_mm} mm comes within {depth:.1f} mm of the surface "
                    f"of the phantom's liver; it needs {LESION_DEPTH_MM} mm. Move it in or make it smaller.",
                    reason="lesion_outside_liver",
                )

    @property
    def liver(self) -> LiverShape:
        """The liver's shape, before the warp."""
        return LiverShape(
            vena_cava(), visceral_mm=self.visceral_mm, left_curve=self.left_curve, middle_mm=self.middle_mm
        )


@dataclass(frozen=True, slots=True, eq=False)
class Anatomy:
    """The shapes of one phantom, before its warp.

    Parameters
    ----------
    liver : LiverShape
        The whole liver, lesions included.
    lesions : tuple of Lobulated
        In the order of the specification.
    trees : Trees
        Portal and hepatic veins.
    cava, gallbladder : Solid
        Beside the liver; the liver keeps clear of both.
    """

    liver: LiverShape
    lesions: tuple[Lobulated, ...]
    trees: Trees = field(repr=False)
    cava: Solid
    gallbladder: Solid


@lru_cache(maxsize=16)
def anatomy_of(spec: PhantomSpec) -> Anatomy:
    """Return the shapes a specification stands for.

    Parameters
    ----------
    spec : PhantomSpec
        The patient.

    Returns
    -------
    Anatomy
        The same object for the same specification.
    """
    liver = spec.liver
    lesions = tuple(lesion.shape for lesion in spec.lesions)
    return Anatomy(liver, lesions, grow(liver, lesions, Draw(spec.seed, 1)), vena_cava(), GALLBLADDER)


def random_spec(seed: int) -> PhantomSpec:
    """Draw a patient.

    Parameters
    ----------
    seed : int
        From 0; the same seed always gives the same patient.

    Returns
    -------
    PhantomSpec
        A body 12 % smaller to 9 % larger than the sample, of slightly other proportions, bent by up
        to a few mm, its lobes longer or shorter, with one to six lesions of 10 to 45 mm.
    """
    draw = Draw(seed, 2)
    size = draw.between(0.88, 1.09)
    scale = tuple(size * draw.between(0.97, 1.03) for _ in range(3))
    waves = tuple(_wave(draw) for _ in range(3))
    healthy = PhantomSpec(
        seed,
        Warp((scale[0], scale[1], scale[2]), waves),
        lesions=(),
        visceral_mm=draw.between(-2.0, 6.0),
        left_curve=draw.between(0.0012, 0.0044),
        middle_mm=draw.between(-8.0, 9.0),
    )
    return replace(healthy, lesions=_draw_lesions(healthy.liver, draw))


def _wave(draw: Draw) -> Wave:
    x, y, z = (draw.direction() * draw.between(0.8, 2.4)).tolist()
    p, q, r = (draw.direction() * (2 * np.pi / draw.between(140.0, 260.0))).tolist()
    return Wave((x, y, z), (p, q, r), draw.between(0.0, 2 * np.pi))


def _draw_lesions(liver: LiverShape, draw: Draw) -> tuple[LesionSpec, ...]:
    wanted, veins = draw.whole(1, 6), trunks(liver)
    found: list[LesionSpec] = []
    for _ in range(TRIES):
        if len(found) == wanted:
            break
        centre = (draw.between(-125.0, 75.0), draw.between(-80.0, 62.0), draw.between(-75.0, 80.0))
        lobes = tuple((draw.between(-0.09, 0.09), _triple(draw)) for _ in range(2))
        lesion = LesionSpec(centre, draw.between(10.0, 45.0), lobes)
        shape = lesion.shape
        point = [np.array([c]) for c in centre]
        clear = float(veins.distance(*point)[0]) > shape.reach_mm + 1.0
        apart = all(
            float(np.linalg.norm(np.subtract(centre, other.centre_mm)))
            > shape.reach_mm + other.shape.reach_mm + 4.0
            for other in found
        )
        if clear and apart and _cover_mm(liver, shape) >= LESION_DEPTH_MM:
            found.append(lesion)
    return tuple(found)


def _triple(draw: Draw) -> Vector:
    x, y, z = draw.direction().tolist()
    return x, y, z


def _cover_mm(liver: LiverShape, lesion: Lobulated) -> float:
    """Least depth of points spread evenly over the ball that holds the lesion."""
    n = np.arange(600) + 0.5
    z, turn = 1 - 2 * n / 600, np.pi * (1 + 5**0.5) * n
    flat = np.sqrt(1 - z * z)
    ball = np.array([flat * np.cos(turn), flat * np.sin(turn), z]) * lesion.reach_mm
    x, y, w = ball + np.asarray(lesion.centre)[:, None]
    return -float(liver.distance(x, y, w).max())
