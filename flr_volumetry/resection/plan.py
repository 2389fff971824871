"""A resection plan as values: stages, and in each stage what goes."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.anatomy import (
    SEGMENTS,
    Caudate,
    Structure,
    hepatectomy,
    new_world_name,
    removed_segments,
)
from flr_volumetry.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flr_volumetry.errors import Caveat
    from flr_volumetry.images import Mask
    from flr_volumetry.resection.surfaces import Surface

MIN_NORMAL = 1e-9
COLLINEAR_MM2 = 1e-6


class Combine(Enum):
    """Which tissue goes when one cut is made of several planes."""

    ALL = "all"
    """What lies beyond every plane: a wedge between them."""
    ANY = "any"
    """What lies beyond at least one plane."""


class PieceKind(Enum):
    """What becomes of a piece of liver."""

    REMNANT = "remnant"
    RESECTED = "resected"
    ABLATED = "ablated"


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """A flat cut; a voxel whose centre lies beyond it goes.

    Parameters
    ----------
    point_mm : (3,) array_like
        Any point of the plane, LPS mm.
    normal : (3,) array_like
        Direction, of any length, from what stays to what goes.

    Raises
    ------
    PlanError
        If a number is not finite, or the normal has no length.
    """

    point_mm: npt.NDArray[np.float64]
    normal: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        point = _vector(self.point_mm, "a plane's point")
        normal = _vector(self.normal, "a plane's normal")
        length = float(np.linalg.norm(normal))
        if length < MIN_NORMAL:
            raise PlanError("a plane's normal has no length", reason="zero_normal")
        unit = normal / length
        unit.setflags(write=False)
        object.__setattr__(self, "point_mm", point)
        object.__setattr__(self, "normal", unit)

    @classmethod
    def through(cls, points_mm: npt.ArrayLike, *, towards_mm: npt.ArrayLike) -> Plane:
        """Return the plane through three points.

        Parameters
        ----------
        points_mm : (3, 3) array_like
            One point a row, LPS mm.
        towards_mm : (3,) array_like
            A point on the side that goes, LPS mm.

        Returns
        -------
        Plane
            Its normal points to `towards_mm`.

        Raises
        ------
        PlanError
            If the points lie on one line, or `towards_mm` lies in their plane.

        Examples
        --------
        >>> plane = Plane.through([(0, 0, 5), (9, 0, 5), (0, 9, 5)], towards_mm=(0, 0, 8))
        >>> plane.normal.tolist()
        [0.0, 0.0, 1.0]
        """
        points = np.asarray(points_mm, dtype=np.float64)
        if points.shape != (3, 3):
            raise PlanError(f"a plane is given by three points of three numbers, got shape {points.shape}")
        normal = np.cross(points[1] - points[0], points[2] - points[0])
        if np.linalg.norm(normal) < COLLINEAR_MM2:
            raise PlanError(
                f"the three points {points.tolist()} lie on one line and give no plane",
                reason="collinear_points",
            )
        side = float(normal @ (_vector(towards_mm, "towards_mm") - points[0]) / np.linalg.norm(normal))
        if abs(side) < COLLINEAR_MM2:
            raise PlanError(
                "towards_mm lies in the plane itself; give a point on the side that goes",
                reason="no_side",
            )
        return cls(points[0], normal * np.sign(side))


@dataclass(frozen=True, slots=True)
class PlaneResection:
    """Tissue beyond a plane, or beyond several.

    Parameters
    ----------
    planes : tuple of Plane
        At least one.
    combine : Combine
        Beyond all of them, or beyond any.
    name : str
        What the cut is called; empty for nothing.
    caveats : tuple of Caveat
        What the reader must know of how it was placed.
    method : str
        How it was placed, in one sentence; empty if it was drawn.

    Raises
    ------
    PlanError
        If there is no plane.
    """

    planes: tuple[Plane, ...]
    combine: Combine = Combine.ALL
    name: str = ""
    caveats: tuple[Caveat, ...] = ()
    method: str = ""

    def __post_init__(self) -> None:
        if not self.planes:
            raise PlanError("a plane resection needs at least one plane")

    @property
    def title(self) -> str:
        """What the report calls it."""
        if self.name:
            return f"resection beyond {self.name}"
        if len(self.planes) == 1:
            return "resection beyond a plane"
        return f"resection beyond {self.combine.value} of {len(self.planes)} planes"


@dataclass(frozen=True, slots=True)
class SegmentResection:
    """Whole Couinaud segments.

    Parameters
    ----------
    segments : frozenset of int
        From 1 to 8, at least one.
    name : str
        The hepatectomy it is, if it was named.

    Raises
    ------
    PlanError
        If the set is empty or holds a number outside 1 to 8.
    """

    segments: frozenset[int]
    name: str = ""

    def __post_init__(self) -> None:
        segments = frozenset(self.segments)
        unknown = sorted(segments - set(SEGMENTS))
        if unknown or not segments:
            raise PlanError(
                f"segments must be Couinaud segments from 1 to 8, got {sorted(self.segments)}",
                reason="unknown_segment",
            )
        object.__setattr__(self, "segments", segments)

    @classmethod
    def hepatectomy(cls, name: str, *, caudate: Caudate | None = None) -> SegmentResection:
        """Return a named hepatectomy; see `flr_volumetry.anatomy.removed_segments`."""
        return cls(removed_segments(name, caudate=caudate), hepatectomy(name).name)

    @property
    def title(self) -> str:
        """What the report calls it."""
        return f"{self.name or 'segmental resection'} ({new_world_name(self.segments)})"


def _require_lesions(lesions: Iterable[int], margin_mm: float, what: str) -> tuple[int, ...]:
    numbers = tuple(sorted({int(n) for n in lesions}))
    if not numbers or numbers[0] < 1:
        raise PlanError(f"{what}: name at least one lesion by its number, from 1; got {list(numbers)}")
    if not np.isfinite(margin_mm) or margin_mm < 0:
        raise PlanError(f"{what}: the margin must be 0 mm or more, got {margin_mm}")
    return numbers


@dataclass(frozen=True, slots=True)
class WedgeResection:
    """Lesions and all liver within a margin of them, cut out.

    Parameters
    ----------
    lesions : tuple of int
        Lesion numbers, from 1.
    margin_mm : float
        Every voxel whose centre is at most this far from the lesion's surface goes, and the lesion.

    Raises
    ------
    PlanError
        If no lesion is named or the margin is negative.
    """

    lesions: tuple[int, ...]
    margin_mm: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "lesions", _require_lesions(self.lesions, self.margin_mm, "wedge"))

    @property
    def title(self) -> str:
        """What the report calls it."""
        return f"wedge of {_lesion_list(self.lesions)} with {self.margin_mm:g} mm"


@dataclass(frozen=True, slots=True)
class Ablation:
    """Lesions and all liver within a margin of them, destroyed in place.

    Parameters
    ----------
    lesions : tuple of int
        Lesion numbers, from 1.
    margin_mm : float
        Every voxel whose centre is at most this far from the lesion's surface is lost, and the lesion.

    Raises
    ------
    PlanError
        If no lesion is named or the margin is negative.
    """

    lesions: tuple[int, ...]
    margin_mm: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "lesions", _require_lesions(self.lesions, self.margin_mm, "ablation"))

    @property
    def title(self) -> str:
        """What the report calls it."""
        return f"ablation of {_lesion_list(self.lesions)} with {self.margin_mm:g} mm"


@dataclass(frozen=True, slots=True, eq=False)
class RemnantResection:
    """Everything but an imported remnant, as a plan drawn elsewhere gives it.

    Parameters
    ----------
    mask : Mask
        What stays, on any grid; a liver voxel outside it goes.
    name : str
        What the plan calls it; empty for nothing.
    kind : PieceKind
        What becomes of what goes.

    Raises
    ------
    PlanError
        If the mask is empty.
    """

    mask: Mask
    name: str = ""
    kind: PieceKind = PieceKind.RESECTED

    def __post_init__(self) -> None:
        if not self.mask.voxels.any():
            raise PlanError("the imported remnant is empty: it has no voxel", reason="empty_remnant")

    @property
    def title(self) -> str:
        """What the report calls it."""
        return self.name or "all but the imported remnant"


@dataclass(frozen=True, slots=True, eq=False)
class SurfaceResection:
    """Tissue beyond a surface, or inside a closed one.

    Parameters
    ----------
    surface : Surface
        Triangles, a patch of control points, or a curve drawn on the liver.
    name : str
        What the plan calls it; empty for nothing.
    """

    surface: Surface
    name: str = ""

    @property
    def title(self) -> str:
        """What the report calls it."""
        return f"resection beyond {self.name or 'a surface'}"


@dataclass(frozen=True, slots=True)
class TerritoryResection:
    """What branches of a vessel feed or drain.

    Parameters
    ----------
    structure : Structure
        The portal vein or the hepatic veins.
    branches : tuple of int or str
        The branches ligated, by number, path or name (`flr_volumetry.liver.Territories.branch`); all
        that comes from them goes too. Empty to have them found for the lesions.
    lesions : tuple of int
        Lesions for which the branches are, or were, chosen: the smallest set that feeds them and the
        margin (`flr_volumetry.resection.feeding_branches`).
    margin_mm : float
        Around these lesions.

    Raises
    ------
    PlanError
        If neither a branch nor a lesion is named, or the margin is negative or without lesions.
    """

    structure: Structure
    branches: tuple[int | str, ...] = ()
    lesions: tuple[int, ...] = ()
    margin_mm: float = 0.0

    def __post_init__(self) -> None:
        if not self.branches and not self.lesions:
            raise PlanError(
                "a territory resection needs at least one branch, or a lesion", reason="no_branch"
            )
        if self.lesions:
            lesions = _require_lesions(self.lesions, self.margin_mm, "territory")
            object.__setattr__(self, "lesions", lesions)
        elif self.margin_mm:
            raise PlanError(
                "a territory's margin is one around lesions, and none is named", reason="no_lesion"
            )

    @property
    def title(self) -> str:
        """What the report calls it."""
        vessel = self.structure.value.replace("_", " ")
        fed = f"{_lesion_list(self.lesions)} with {self.margin_mm:g} mm" if self.lesions else ""
        if not self.branches:
            return f"territory of the {vessel} branches of {fed}"
        many = "es" if len(self.branches) > 1 else ""
        names = ", ".join(map(str, self.branches))
        return f"territory of {vessel} branch{many} {names}" + (f", those of {fed}" if fed else "")


Resection = (
    PlaneResection
    | SurfaceResection
    | SegmentResection
    | TerritoryResection
    | WedgeResection
    | Ablation
    | RemnantResection
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """What happens before a stage.

    Parameters
    ----------
    procedure : str
        For example "pve".
    weeks : float
        How long after it the stage follows.
    """

    procedure: str
    weeks: float

    @property
    def title(self) -> str:
        """What the report calls it."""
        return f"{self.weeks:g} weeks after {self.procedure.upper()}"


@dataclass(frozen=True, slots=True)
class Stage:
    """One operation: everything removed or ablated in it.

    Parameters
    ----------
    name : str
        What the report calls it.
    resections : tuple of Resection
        Carried out in order; each takes from what the ones before it left.
    after : Waiting or None
        What happens before it.

    Raises
    ------
    PlanError
        If there is no resection.
    """

    name: str
    resections: tuple[Resection, ...]
    after: Waiting | None = None

    def __post_init__(self) -> None:
        if not self.resections:
            raise PlanError(f"stage {self.name!r} has no resection", reason="empty_stage")


@dataclass(frozen=True, slots=True)
class ResectionPlan:
    """A plan of one or more stages.

    Parameters
    ----------
    stages : tuple of Stage
        In order; each cuts from what the ones before it left.

    Raises
    ------
    PlanError
        If there is no stage.
    """

    stages: tuple[Stage, ...] = field()

    def __post_init__(self) -> None:
        if not self.stages:
            raise PlanError("a plan needs at least one stage", reason="empty_plan")


def _lesion_list(lesions: tuple[int, ...]) -> str:
    return f"lesion{'s' if len(lesions) > 1 else ''} {', '.join(map(str, lesions))}"


def _vector(value: npt.ArrayLike, what: str) -> npt.NDArray[np.float64]:
    vector = np.array(value, dtype=np.float64)
    if vector.shape != (3,) or not np.isfinite(vector).all():
        raise PlanError(f"{what} must be three finite numbers, got {value!r}")
    vector.setflags(write=False)
    return vector
