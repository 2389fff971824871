"""The built-in back-end: anatomy and grey values of the scan itself, no weights, the same answer always."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import numpy as np

from flr_volumetry.anatomy import Structure
from flr_volumetry.errors import Caveat
from flr_volumetry.images import Box, Image, Mask, Source, to_grid
from flr_volumetry.segmentation.classical import checks, hinted, landmarks, pointed
from flr_volumetry.segmentation.classical.closeup import MARGIN_MM, back_on, close_up
from flr_volumetry.segmentation.classical.lesions import find_lesions
from flr_volumetry.segmentation.classical.liver import Found, Given, find_liver
from flr_volumetry.segmentation.classical.magnetic import as_hounsfield
from flr_volumetry.segmentation.classical.model import Model, Scene, find_model, narrowed, with_cartilage
from flr_volumetry.segmentation.classical.refine import refine
from flr_volumetry.segmentation.classical.tissue import find_tissue
from flr_volumetry.segmentation.classical.verdict import doubts_of, quality_of
from flr_volumetry.segmentation.classical.vessels import find_vessels
from flr_volumetry.segmentation.classical.wall import beyond_wall_mm
from flr_volumetry.segmentation.classical.wording import METHODS
from flr_volumetry.segmentation.classical.working import Bools, Values, box_of, onto, upright
from flr_volumetry.segmentation.hints import NO_HINTS, Hints
from flr_volumetry.segmentation.protocol import (
    Availability,
    FoundLesion,
    Made,
    Modality,
    Segmentation,
    Settings,
)
from flr_volumetry.territories.landmarks import Landmark, Landmarks

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "classical"
STRUCTURES = frozenset(
    {
        Structure.LIVER,
        Structure.LESION,
        Structure.PORTAL_VEIN,
        Structure.HEPATIC_VEINS,
        Structure.IVC,
        Structure.GALLBLADDER,
    }
)
INNER = frozenset({Structure.LESION, Structure.PORTAL_VEIN, Structure.HEPATIC_VEINS})


@dataclass(frozen=True, slots=True, eq=False)
class Anatomy:
    """A liver and what was found on the way to it.

    Parameters
    ----------
    image : Image
        The scan on the scale of CT.
    scene, model, found : Scene, Model, Found
        As the search saw it, on the working grid.
    liver : bool ndarray of the scan's shape
        The liver.
    """

    image: Image
    scene: Scene
    model: Model
    found: Found
    liver: Bools = field(repr=False)


def find_anatomy(
    image: Image, hints: Hints = NO_HINTS, tell: Callable[[str], None] = lambda _: None
) -> Anatomy:
    """Find the liver of a scan.

    Parameters
    ----------
    image : Image
        The scan, in any orientation.
    hints : Hints
        What the user says.
    tell : callable
        Called with the name of each step.

    Returns
    -------
    Anatomy
        The liver and its surroundings.

    Raises
    ------
    SegmentationError
        If no liver is in view, or a hint lies where no liver can be.
    """
    tell("body, lungs and ribs")
    is_mr = image.source.modality == Modality.MR.value
    scan = as_hounsfield(image) if is_mr else image
    work = upright(scan)
    tissue = find_tissue(work, Modality.MR if is_mr else Modality.CT)
    scene = Scene(work, tissue, beyond_wall_mm(work.values, tissue.bone, tissue.body, work.step_mm))
    if is_mr:
        checks.require_trunk(scene)
    else:
        checks.require_hounsfield(scan, scene)
    tell("liver")
    scene, model = narrowed(scene, find_model(scene, hinted.seeds_of(scene, hints)))
    if not is_mr:
        scene = with_cartilage(scene, model)
    if hints.liver is not None:
        given = to_grid(hints.liver, image.grid)
        inside = onto(given.voxels, given.grid, scene.work.grid) > 0.5
        found = find_liver(scene, model)
        return Anatomy(scan, scene, model, Found(inside, found.mean, found.cava), np.asarray(given.voxels))
    return _bordered(scan, scene, model, hinted.given_by(scene, hints), tell)


def find_again(
    anatomy: Anatomy,
    favour: Values,
    likely: Bools,
    hints: Hints = NO_HINTS,
    tell: Callable[[str], None] = lambda _: None,
) -> Anatomy:
    """Find the liver of a scan again, with more known of where it may lie.

    Parameters
    ----------
    anatomy : Anatomy
        As it was found without.
    favour : (i, j, k) float32 ndarray
        On the working grid: taken from the cost of a place, which goes from -1 for tissue exactly like the
        liver to 1.5 for what is nothing like it, and 4 for fat and gas.
    likely : (i, j, k) bool ndarray
        Where thin parts are kept.
    hints : Hints
        What the user says.
    tell : callable
        Called with the name of each step.

    Returns
    -------
    Anatomy
        The same scene and look, another liver.

    Raises
    ------
    SegmentationError
        If what is found now is no liver.
    """
    given = hinted.given_by(anatomy.scene, hints)
    cost = -favour if given.cost is None else given.cost - favour
    return _bordered(anatomy.image, anatomy.scene, anatomy.model, Given(cost, likely), tell)


def _bordered(scan: Image, scene: Scene, model: Model, given: Given, tell: Callable[[str], None]) -> Anatomy:
    found = find_liver(scene, model, given)
    checks.require_liver(found.inside, scene, model)
    tell("liver's border")
    vein = found.cava.inside if found.cava is not None else np.zeros_like(found.inside)
    liver = refine(scan, scene.work.grid, found.inside, model, vein | scene.tissue.bone)
    return Anatomy(scan, scene, model, found, liver)


def find_landmarks(anatomy: Anatomy) -> Landmarks:
    """Return points from which planes and segments are placed.

    Parameters
    ----------
    anatomy : Anatomy
        As `find_anatomy` returns it.

    Returns
    -------
    Landmarks
        Of the vena cava beside the liver and the gallbladder's fossa those that were found: enough for
        Cantlie's plane. The portal bifurcation is not among them: it was found too far from its place.

    Raises
    ------
    LiverError
        If none was found.
    """
    points = {}
    cava = anatomy.found.cava
    if cava is not None:
        beside = landmarks.cava_beside(anatomy.scene, cava, anatomy.found.inside)
        if len(beside):
            points[Landmark.CAVA] = beside
    gall = landmarks.find_gallbladder(anatomy.scene, anatomy.model, anatomy.found)
    if gall is not None:
        points[Landmark.GALLBLADDER] = gall.fossa_mm[None]
    return Landmarks(points, "found by the classical back-end")


@dataclass(frozen=True, slots=True)
class Classical:
    """Liver, lesions, veins and gallbladder from a scan's own anatomy and grey values.

    Parameters
    ----------
    settings : Settings
        Nothing of it is needed.
    """

    settings: Settings

    @property
    def name(self) -> str:
        """Its name in the register."""
        return NAME

    @property
    def title(self) -> str:
        """What it is, one line."""
        return "anatomy and grey values of the scan itself; no weights, the same answer always"

    @property
    def structures(self) -> frozenset[Structure]:
        """What it can find."""
        return STRUCTURES

    @property
    def modalities(self) -> frozenset[Modality]:
        """What scans it takes."""
        return frozenset({Modality.CT, Modality.MR})

    @property
    def licence(self) -> str:
        """Of the code."""
        return "Apache-2.0, part of flr-volumetry; no weights"

    def availability(self) -> Availability:
        """Say whether it can be used here: always."""
        return Availability()

    def segment(
        self,
        image: Image,
        wanted: frozenset[Structure],
        *,
        hints: Hints = NO_HINTS,
        tell: Callable[[str], None] = lambda _: None,
    ) -> Segmentation:
        """Find structures in a scan.

        Parameters
        ----------
        image : Image
            The scan, whole: CT, or MR T1 weighted after contrast.
        wanted : frozenset of Structure
            What to find; the liver is found in any case.
        hints : Hints
            What the user says.
        tell : callable
            Called with the name of each step.

        Returns
        -------
        Segmentation
            What was found, on the scan's grid.

        Raises
        ------
        SegmentationError
            If no liver is in view, or a hint lies where no liver can be.
        """
        anatomy = find_anatomy(image, hints, tell)
        masks = {Structure.LIVER: anatomy.liver}
        lesions: tuple[FoundLesion, ...] = ()
        caveats = [*doubts_of(anatomy, image, hints)]
        if wanted & INNER:
            tell("vessels and lesions")
            inner, lesions, doubts = _inner(anatomy, wanted, hints)
            masks |= inner
            caveats += doubts
        masks |= _beside(anatomy, wanted)
        found = {s: _mask(image, voxels, s) for s, voxels in masks.items() if voxels.any()}
        quality = (quality_of(anatomy),)
        return Segmentation(image.grid, _made(), found, lesions, None, quality, tuple(caveats), METHODS)


def _inner(
    anatomy: Anatomy, wanted: frozenset[Structure], hints: Hints
) -> tuple[dict[Structure, Bools], tuple[FoundLesion, ...], tuple[Caveat, ...]]:
    image, scene, cava = anatomy.image, anatomy.scene, anatomy.found.cava
    box: Box = box_of(anatomy.found.inside, scene.work.grid, image.grid, MARGIN_MM + 4.0)
    close = close_up(image, anatomy.liver, box)
    vessels = find_vessels(close, cava, landmarks.cava_mm(scene, cava) if cava is not None else None)
    masks = {}
    if Structure.PORTAL_VEIN in wanted:
        masks[Structure.PORTAL_VEIN] = back_on(image.grid, close, vessels.portal)
    if Structure.HEPATIC_VEINS in wanted:
        masks[Structure.HEPATIC_VEINS] = back_on(image.grid, close, vessels.hepatic)
    if Structure.LESION not in wanted:
        return masks, (), ()
    asked, doubts = pointed.asked_for(close, hints)
    unasked = () if hints.lesion_seeds_mm or hints.lesion_boxes_mm else find_lesions(close, vessels.all)
    found = []
    for inside, confidence, at in (*asked, *((x.inside, x.confidence, None) for x in unasked)):
        voxels = back_on(image.grid, close, inside) & anatomy.liver
        if voxels.any():
            found.append(FoundLesion(_mask(image, voxels, Structure.LESION), confidence, at))
    return masks, tuple(found), doubts


def _beside(anatomy: Anatomy, wanted: frozenset[Structure]) -> dict[Structure, Bools]:
    masks, scene, cava = {}, anatomy.scene, anatomy.found.cava
    if Structure.IVC in wanted and cava is not None:
        masks[Structure.IVC] = _coarse(anatomy, cava.inside)
    if Structure.GALLBLADDER in wanted:
        gall = landmarks.find_gallbladder(scene, anatomy.model, anatomy.found)
        if gall is not None:
            masks[Structure.GALLBLADDER] = _coarse(anatomy, gall.inside)
    return masks


def _coarse(anatomy: Anatomy, inside: Bools) -> Bools:
    grid = anatomy.image.grid
    out = np.zeros(grid.shape, dtype=bool, order="F")
    box = box_of(inside, anatomy.scene.work.grid, grid, 5.0)
    out[box] = onto(inside, anatomy.scene.work.grid, grid.crop(box)) > 0.5
    return out & ~anatomy.liver


def _mask(image: Image, voxels: Bools, structure: Structure) -> Mask:
    return Mask(image.grid, voxels, structure.value, Source(modality=image.source.modality))


def _made() -> Made:
    try:
        number = version("flr-volumetry")
    except PackageNotFoundError:
        number = "unknown"
    return Made(NAME, number)


def classical(settings: Settings) -> Classical:
    """Return the back-end, as the register asks for it.

    Parameters
    ----------
    settings : Settings
        Nothing of it is needed.

    Returns
    -------
    Classical
        Ready to be asked.
    """
    return Classical(settings)
