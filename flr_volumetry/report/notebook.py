"""How an outcome, a liver and a partition show themselves in a notebook."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from flr_volumetry.errors import OutputError
from flr_volumetry.liver import Liver
from flr_volumetry.report import certainty, gallery, positions, slices, wording
from flr_volumetry.report.canvas import FigureKind
from flr_volumetry.report.caveat_words import doubts_and_notes
from flr_volumetry.report.mask_pictures import MaskScene, Outline, grey_window, mask_planes
from flr_volumetry.report.page import environment
from flr_volumetry.report.scene import LIVER_COLOUR, VESSELS, scene_3d
from flr_volumetry.report.viewer import mz3_bytes

if TYPE_CHECKING:
    from flr_volumetry.assessment.model import Summary
    from flr_volumetry.report.canvas import Picture
    from flr_volumetry.resection import Partition

TEMPLATE = "notebook.html.j2"
LESION_COLOUR = "#cc79a7"
"""On grey, where white would be lost."""


def outcome_html(summary: Summary, liver: Liver, partition: Partition) -> str:
    """Return an assessed case for a notebook: the answer, then the plan in three planes.

    Parameters
    ----------
    summary : Summary
        The assessed case.
    liver : Liver
        The patient.
    partition : Partition
        Of that liver.

    Returns
    -------
    str
        HTML that brings its picture with it; every text of the case is escaped.
    """
    lines = [(line.title, line.state, line.findings, line.others) for line in certainty.at_a_glance(summary)]
    doubts, _ = doubts_and_notes(summary)
    scene = gallery.scene_of(liver, partition)
    centre = positions.plan_centre(partition)
    return _rendered(
        title=f"Future liver remnant, case {summary.case_id}",
        lines=[f"{wording.headline(summary)}.", wording.clearance(summary), certainty.next_step(summary)],
        glance=lines,
        caveats=[c.message for c in doubts],
        picture=slices.three_planes(scene, centre, title="The plan in three planes"),
        alt="The plan in three planes",
    )


def liver_html(liver: Liver) -> str:
    """Return a liver for a notebook: volumes, lesions, what else is known, and its masks in three planes.

    Parameters
    ----------
    liver : Liver
        Any.

    Returns
    -------
    str
        HTML that brings its picture with it.
    """
    steps = " x ".join(f"{step:.3f}" for step in liver.grid.spacing_mm)
    size = " x ".join(str(n) for n in liver.grid.shape)
    tumour = sum(lesion.mask_ml for lesion in liver.lesions)
    known = [wording.clean(v.structure.value.replace("_", " ")) for v in liver.vessels]
    known += ["Couinaud segments"] if liver.segments is not None else []
    known += ["scan"] if liver.image is not None else []
    return _rendered(
        title=f"Liver, {wording.ml(liver.ml)}",
        lines=[
            f"{_count(len(liver.lesions))}, {wording.ml(tumour)}" if liver.lesions else "no lesion",
            f"with {', '.join(known)}" if known else "",
            f"cropped to {size} voxels of {steps} mm",
        ],
        heads=("Lesion", "Volume"),
        rows=[
            (
                f"{lesion.number}: {lesion.name}" if lesion.name else str(lesion.number),
                wording.ml(lesion.mask_ml),
            )
            for lesion in liver.lesions
        ],
        caveats=[c.message for c in liver.caveats],
        picture=_masks(liver),
        alt="Outlines of the masks in three planes",
    )


def _count(lesions: int) -> str:
    return "1 lesion" if lesions == 1 else f"{lesions} lesions"


def _masks(liver: Liver) -> Picture:
    low, high = positions.shown_box(liver)
    outlines = [Outline("liver", liver.grid, liver.voxels, _rgb(LIVER_COLOUR))]
    for vessel in liver.vessels:
        if vessel.structure in VESSELS:
            name, colour = VESSELS[vessel.structure]
            outlines.append(Outline(name, liver.grid, vessel.voxels, _rgb(colour)))
    for lesion in liver.lesions:
        inside = np.zeros(liver.grid.shape, dtype=np.bool_)
        inside[lesion.box] = lesion.voxels
        outlines.append(Outline(f"lesion {lesion.number}", liver.grid, inside, _rgb(LESION_COLOUR)))
    scene = MaskScene(liver.image, tuple(outlines), low, high)
    middle = liver.grid.centres_mm(np.argwhere(liver.voxels)).mean(axis=0)
    window = grey_window(liver.image, liver.voxels)
    return mask_planes(scene, middle, title="Masks in three planes", window=window)


def partition_html(partition: Partition) -> str:
    """Return a partition for a notebook: its pieces, and where they lie.

    Parameters
    ----------
    partition : Partition
        Any; without its liver, so without the scan.

    Returns
    -------
    str
        HTML that brings its picture with it.
    """
    voxel_ml = partition.grid.voxel_ml
    whole = sum(piece.count for piece in partition.pieces) * voxel_ml
    liver = Liver(partition.grid, partition.labels > 0, partition.grid, (0, 0, 0))
    scene = gallery.scene_of(liver, partition)
    centre = positions.plan_centre(partition)
    return _rendered(
        title=f"Partition of a liver of {wording.ml(whole)}",
        heads=("Label", "Piece", "Stage", "Volume", "Share"),
        rows=[
            (
                str(piece.label),
                piece.title,
                str(piece.stage or "stays"),
                wording.ml(piece.count * voxel_ml),
                wording.share(piece.count * voxel_ml, whole),
            )
            for piece in partition.pieces
        ],
        caveats=[c.message for c in partition.caveats],
        picture=slices.three_planes(scene, centre, title="The pieces in three planes"),
        alt="The pieces in three planes",
    )


def in_one_line(value: Any) -> str:
    """Return what a value is in one line of plain text.

    Parameters
    ----------
    value : Outcome, Liver or Partition
        Any.

    Returns
    -------
    str
        For example ``<Liver of 1651.1 mL, 3 lesions>``.
    """
    if isinstance(value, Liver):
        return f"<Liver of {wording.ml(value.ml)}, {_count(len(value.lesions))}>"
    if hasattr(value, "summary"):
        return f"<Outcome of case {wording.clean(value.summary.case_id)}: {wording.headline(value.summary)}>"
    pieces = "; ".join(f"{p.title} {wording.ml(p.count * value.grid.voxel_ml)}" for p in value.pieces)
    return f"<Partition: {wording.clean(pieces)}>"


def _rendered(*, title: str, picture: Picture, alt: str, **parts: Any) -> str:
    given = {"lines": (), "glance": (), "heads": (), "rows": (), "caveats": (), **parts}
    return (
        environment()
        .get_template(TEMPLATE)
        .render(title=title, png=picture.png, alt=alt, words=wording, kind=FigureKind, **given)
    )


def view_3d(liver: Liver, partition: Partition, *, height: int = 480) -> Any:
    """Show a case in 3D in a notebook, to be turned with the mouse.

    Parameters
    ----------
    liver : Liver
        The patient.
    partition : Partition
        Of that liver.
    height : int
        Of the view, pixels.

    Returns
    -------
    ipyniivue.NiiVue
        Liver, remnant, what goes, lesions, vessels and the cut coloured by margin, as in report.html.

    Raises
    ------
    OutputError
        If ipyniivue is not installed.
    """
    if find_spec("ipyniivue") is None:
        raise OutputError(
            "the view in 3D needs ipyniivue, which is not installed: pip install flr-volumetry[notebook]",
            reason="package_missing",
        )
    from ipyniivue import Mesh, NiiVue, SliceType

    view = NiiVue(
        height=height, back_color=(1.0, 1.0, 1.0, 1.0), show_3d_crosshair=False, is_orient_cube=True
    )
    view.set_slice_type(SliceType.RENDER)
    view.load_meshes(
        [
            Mesh(
                data=mz3_bytes(surface),
                name=f"{surface.key}.mz3",
                rgba255=[*_rgb(surface.colour), 255],
                opacity=surface.opacity if surface.shown else 0.0,
                visible=surface.shown,
            )
            for surface in scene_3d(liver, partition).surfaces
        ]
    )
    return view


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
