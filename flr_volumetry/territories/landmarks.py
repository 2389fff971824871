"""Points of a liver that a reader knows by name, from which segments and planes are placed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.errors import Caveat, LiverError
from flr_volumetry.images import read_only
from flr_volumetry.territories.geometry import Points, distance_to_liver_mm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flr_volumetry.liver import Liver

FAR_MM = 30.0
"""A landmark further than this from the liver is refused (assumed)."""
FAR_CAVA_MM = 80.0
"""The same for the vena cava, which runs on above and below the liver (assumed)."""


class Landmark(Enum):
    """What a point of a liver can lie on."""

    RIGHT_VEIN = "right hepatic vein"
    MIDDLE_VEIN = "middle hepatic vein"
    LEFT_VEIN = "left hepatic vein"
    CAVA = "inferior vena cava"
    PORTAL_BIFURCATION = "portal bifurcation"
    RIGHT_PORTAL = "right portal vein"
    LEFT_PORTAL = "left portal vein"
    """Its umbilical portion, which lies in the umbilical fissure."""
    UMBILICAL_FISSURE = "umbilical fissure"
    GALLBLADDER = "gallbladder fossa"
    VENOSUM = "ligamentum venosum"


VEINS = (Landmark.RIGHT_VEIN, Landmark.MIDDLE_VEIN, Landmark.LEFT_VEIN)

LANDMARK_NAMES: Mapping[Landmark, tuple[str, ...]] = MappingProxyType(
    {
        Landmark.RIGHT_VEIN: ("rhv", "right hepatic vein", "hepatic vein right", "vena hepatica dextra"),
        Landmark.MIDDLE_VEIN: (
            "mhv",
            "middle hepatic vein",
            "hepatic vein middle",
            "median hepatic vein",
            "intermediate hepatic vein",
            "vena hepatica media",
            "vena hepatica intermedia",
        ),
        Landmark.LEFT_VEIN: ("lhv", "left hepatic vein", "hepatic vein left", "vena hepatica sinistra"),
        Landmark.CAVA: ("ivc", "inferior vena cava", "vena cava inferior", "vena cava", "cava"),
        Landmark.PORTAL_BIFURCATION: (
            "pvb",
            "pv",
            "portal bifurcation",
            "portal vein bifurcation",
            "pv bifurcation",
        ),
        Landmark.RIGHT_PORTAL: ("rpv", "right portal vein", "portal vein right", "right portal branch"),
        Landmark.LEFT_PORTAL: (
            "lpv",
            "left portal vein",
            "portal vein left",
            "left portal branch",
            "umbilical portion",
            "up",
        ),
        Landmark.UMBILICAL_FISSURE: (
            "uf",
            "umbilical fissure",
            "falciform ligament",
            "ligamentum teres",
            "round ligament",
        ),
        Landmark.GALLBLADDER: ("gb", "gbf", "gallbladder", "gall bladder", "gallbladder fossa"),
        Landmark.VENOSUM: ("lv", "flv", "ligamentum venosum", "fissure for ligamentum venosum", "arantius"),
    }
)
"""Names people give to points; case, spaces, hyphens, underscores and a number at the end do not matter."""

_KIND_OF = {name: kind for kind, names in LANDMARK_NAMES.items() for name in names}
_ORDER: tuple[tuple[Landmark, Landmark, int], ...] = (
    *((Landmark.RIGHT_VEIN, other, 0) for other in (Landmark.MIDDLE_VEIN, Landmark.LEFT_VEIN)),
    *(
        (vein, other, 0)
        for vein in (Landmark.RIGHT_VEIN, Landmark.MIDDLE_VEIN)
        for other in (Landmark.LEFT_PORTAL, Landmark.UMBILICAL_FISSURE)
    ),
    (Landmark.MIDDLE_VEIN, Landmark.LEFT_VEIN, 0),
    *((Landmark.RIGHT_PORTAL, other, 0) for other in (Landmark.LEFT_PORTAL, Landmark.UMBILICAL_FISSURE)),
    *(
        (front, Landmark.CAVA, 1)
        for front in (Landmark.GALLBLADDER, Landmark.LEFT_PORTAL, Landmark.UMBILICAL_FISSURE)
    ),
)
"""The first lies, on average, at the smaller x (to the right) or the smaller y (in front)."""
_DIRECTIONS = (("to the right of", "x"), ("in front of", "y"))


@dataclass(frozen=True, slots=True, eq=False)
class Landmarks:
    """Named points of one liver.

    Parameters
    ----------
    points_mm : mapping of Landmark to (n, 3) array_like
        One point a row, LPS mm, in any order; a vein by some points along it.
    source : str
        Where they come from, for the methods section.
    caveats : tuple of Caveat
        What the reader must know of them.

    Raises
    ------
    LiverError
        If there is no landmark, one has no point or not three finite numbers a point, or two lie the
        wrong way round: the right hepatic vein to the left of the left one, the gallbladder behind the
        vena cava.
    """

    points_mm: Mapping[Landmark, Points] = field(repr=False)
    source: str = "points given in the plan"
    caveats: tuple[Caveat, ...] = ()

    def __post_init__(self) -> None:
        given = {kind: _points(self.points_mm[kind], kind) for kind in Landmark if kind in self.points_mm}
        if not given:
            raise LiverError("no landmark was given", reason="no_landmarks")
        object.__setattr__(self, "points_mm", MappingProxyType(given))
        _require_order(given)

    @classmethod
    def named(
        cls, points_mm: Mapping[str, npt.ArrayLike], *, source: str = "points given in the plan"
    ) -> Landmarks:
        """Return landmarks from points by the names people give them.

        Parameters
        ----------
        points_mm : mapping of str to (3,) or (n, 3) array_like
            LPS mm. Names as in `LANDMARK_NAMES`; a number at the end, as in ``"RHV-1"`` and
            ``"RHV-2"``, only tells points of one landmark apart.
        source : str
            Where they come from, for the methods section.

        Returns
        -------
        Landmarks
            With all points of one landmark together.

        Raises
        ------
        LiverError
            If a name is not known, or as for `Landmarks`.

        Examples
        --------
        >>> marks = Landmarks.named({"RHV-1": (-60, 30, 90), "rhv 2": (-80, 20, 60), "IVC": (-20, 40, 90)})
        >>> [(kind.value, len(points)) for kind, points in marks.points_mm.items()]
        [('right hepatic vein', 2), ('inferior vena cava', 1)]
        """
        rows: dict[Landmark, list[Points]] = {}
        for name in sorted(points_mm, key=_natural):
            kind = landmark_named(name)
            rows.setdefault(kind, []).append(_points(np.atleast_2d(np.asarray(points_mm[name])), kind))
        return cls({kind: np.vstack(parts) for kind, parts in rows.items()}, source)

    def at(self, kind: Landmark) -> Points | None:
        """Return the points of a landmark, (n, 3) LPS mm, or None if it was not given."""
        return self.points_mm.get(kind)

    def first_of(self, *kinds: Landmark) -> Points | None:
        """Return the points of the first of some landmarks that was given, or None."""
        return next((self.points_mm[kind] for kind in kinds if kind in self.points_mm), None)

    def need(self, *kinds: Landmark) -> Points:
        """Return the points of the first of some landmarks that was given, one of which must be.

        Parameters
        ----------
        *kinds : Landmark
            In order of preference.

        Returns
        -------
        (n, 3) float64 ndarray
            LPS mm.

        Raises
        ------
        LiverError
            If none of them was given.
        """
        found = self.first_of(*kinds)
        if found is None:
            names = " or ".join(kind.value for kind in kinds)
            raise LiverError(f"no {names} was given", reason="missing_landmark")
        return found

    def united(self, *kinds: Landmark) -> Points:
        """Return the points of several landmarks together, (n, 3) LPS mm; those not given are left out."""
        return np.vstack(
            [np.empty((0, 3)), *(self.points_mm[kind] for kind in kinds if kind in self.points_mm)]
        )


def landmark_named(name: str) -> Landmark:
    """Return what a point is meant to lie on, by the name someone gave it.

    Parameters
    ----------
    name : str
        For example ``"RHV-1"``; see `LANDMARK_NAMES`.

    Returns
    -------
    Landmark
        The landmark.

    Raises
    ------
    LiverError
        If the name is not known.
    """
    plain = " ".join(re.split(r"[\s_\-]+", re.sub(r"[\s_\-]*\d+$", "", name.strip().lower())))
    if plain in _KIND_OF:
        return _KIND_OF[plain]
    near = difflib.get_close_matches(plain, _KIND_OF, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    known = ", ".join(f"{names[0]} ({kind.value})" for kind, names in LANDMARK_NAMES.items())
    raise LiverError(f"unknown landmark {name!r}.{hint} Known: {known}.", reason="unknown_landmark")


def require_near(landmarks: Landmarks, liver: Liver) -> None:
    """Refuse landmarks that cannot belong to a liver.

    Parameters
    ----------
    landmarks : Landmarks
        The points.
    liver : Liver
        Whose they should be.

    Raises
    ------
    LiverError
        If a point lies more than 30 mm from the liver, 80 mm for the vena cava.
    """
    kinds = [kind for kind, points in landmarks.points_mm.items() for _ in points]
    points = landmarks.united(*landmarks.points_mm)
    limits = np.array([FAR_CAVA_MM if kind is Landmark.CAVA else FAR_MM for kind in kinds])
    far = distance_to_liver_mm(points, liver)
    worst = int(np.argmax(far - limits))
    if far[worst] > limits[worst]:
        raise LiverError(
            f"a point of the {kinds[worst].value} at {_at(points[worst])} lies {far[worst]:.0f} mm from the "
            f"liver, more than {limits[worst]:.0f} mm: are the points of this scan, and in LPS rather than "
            "RAS coordinates (x and y of the other sign)?",
            reason="landmark_outside",
        )


def _require_order(given: Mapping[Landmark, Points]) -> None:
    for one, other, axis in _ORDER:
        if one not in given or other not in given:
            continue
        a, b = (float(given[kind][:, axis].mean()) for kind in (one, other))
        if a >= b:
            words, letter = _DIRECTIONS[axis]
            raise LiverError(
                f"the {one.value} must lie {words} the {other.value}, but its mean {letter} is {a:.1f} mm "
                f"against {b:.1f} mm (LPS: x grows to the left, y to the back). Mirrored? Either two names "
                "are swapped, or the points are in RAS coordinates, or the patient's organs are reversed "
                "(situs inversus), for which segments are not placed here.",
                reason="mirrored_landmarks",
            )


def _points(value: npt.ArrayLike, kind: Landmark) -> Points:
    points = np.array(value, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3 or not len(points) or not np.isfinite(points).all():
        raise LiverError(
            f"the {kind.value} must be at least one point of three finite numbers, got shape {points.shape}",
            reason="bad_landmark",
        )
    return read_only(points)


def _natural(name: str) -> tuple[str, int, str]:
    """Sort RHV-10 after RHV-9."""
    number = re.search(r"(\d+)$", name)
    return name.rstrip("0123456789"), int(number[1]) if number else 0, name


def _at(point: Points) -> str:
    return "({:.1f}, {:.1f}, {:.1f}) mm".format(*point.tolist())


def missing(landmarks: Landmarks) -> Iterator[str]:
    """Name what Couinaud's segments need and these landmarks do not hold.

    Parameters
    ----------
    landmarks : Landmarks
        The points.

    Yields
    ------
    str
        For example "right hepatic vein", or "portal bifurcation or right portal vein" where either will do.
    """
    for kinds in (
        (Landmark.RIGHT_VEIN,),
        (Landmark.MIDDLE_VEIN, Landmark.GALLBLADDER),
        (Landmark.CAVA,),
        (Landmark.PORTAL_BIFURCATION, Landmark.RIGHT_PORTAL),
        (Landmark.LEFT_PORTAL, Landmark.UMBILICAL_FISSURE),
    ):
        if landmarks.first_of(*kinds) is None:
            yield " or ".join(kind.value for kind in kinds)
