"""The interactive view of a report, as parts of one self-contained page."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import struct
from dataclasses import dataclass, field
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from flr_volumetry.report.cut_map import MARGIN_COLOURS
from flr_volumetry.report.scene import Role

if TYPE_CHECKING:
    import numpy.typing as npt

    from flr_volumetry.images import Grid
    from flr_volumetry.report.scene import Scene3D, Surface3D

NIIVUE = "niivue-0.69.0.umd.js"
VIEWER = "viewer.js"
NIFTI_UINT8, SCANNER = 2, 1
NIFTI_BYTES = 352
MZ3_MAGIC = 23117
FACES, VERTICES, COLOURS = 1, 2, 4
"""Parts of an MZ3 file (Surf Ice), as bits."""
RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


DATA_OPENS: Final = '<script type="application/json" id="viewer-data">'
DATA_CLOSES: Final = "</script>"
"""What stands around the data in a page."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A surface in the list of what can be shown.

    Parameters
    ----------
    name : str
        For people.
    colour : str
        "#rrggbb".
    """

    name: str
    colour: str


@dataclass(frozen=True, slots=True)
class Viewer:
    """What a page embeds to show a scene.

    Parameters
    ----------
    data : str
        JSON that holds no character with a meaning in HTML.
    scripts : tuple of str
        To be run in order.
    surfaces : tuple of Listed
        What can be shown.
    margins : tuple of (str, str)
        Colours of the cut and their words; empty if it has but one.
    """

    data: str = field(repr=False)
    scripts: tuple[str, ...] = field(repr=False)
    surfaces: tuple[Listed, ...] = field(repr=False)
    margins: tuple[tuple[str, str], ...]

    @property
    def hashes(self) -> str:
        """The scripts as sources of a content security policy, which lets no other run."""
        digests = (base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in self.scripts)
        return " ".join(f"'sha256-{digest}'" for digest in digests)


def viewer_of(scene: Scene3D) -> Viewer:
    """Return what a page embeds to show a scene.

    Parameters
    ----------
    scene : Scene3D
        The case.

    Returns
    -------
    Viewer
        Of a few megabytes.
    """
    cut = any(s.role is Role.CUT and s.colours is not None for s in scene.surfaces)
    labels = [label for label, _, _ in scene.label_names]
    data: dict[str, Any] = {
        "grey": None if scene.grey is None else _text(nifti_bytes(scene.grey, scene.grid)),
        "labels": _text(nifti_bytes(scene.labels, scene.grid)),
        "lut": {
            "I": [0, *labels],
            "R": [0, *(_rgb(c)[0] for _, _, c in scene.label_names)],
            "G": [0, *(_rgb(c)[1] for _, _, c in scene.label_names)],
            "B": [0, *(_rgb(c)[2] for _, _, c in scene.label_names)],
            "A": [0, *(255 for _ in labels)],
            "labels": ["", *(words for _, words, _ in scene.label_names)],
        },
        "surfaces": [
            {
                "mesh": _text(mz3_bytes(surface)),
                "colour": [*_rgb(surface.colour), 255],
                "opacity": surface.opacity,
                "shown": surface.shown,
                "role": surface.role.value,
            }
            for surface in scene.surfaces
        ],
    }
    shown = json.dumps(data, ensure_ascii=True).translate({ord(c): f"\\u{ord(c):04x}" for c in "<>&"})
    words = tuple((colour, said) for _, colour, said in MARGIN_COLOURS) if cut else ()
    return Viewer(shown, scripts(), tuple(Listed(s.name, s.colour) for s in scene.surfaces), words)


def scripts() -> tuple[str, ...]:
    """Return the scripts that show a scene, in order."""
    static = files("flr_volumetry.report").joinpath("static")
    return tuple(static.joinpath(name).read_text(encoding="utf-8") for name in (NIIVUE, VIEWER))


def data_in(page: str) -> str | None:
    """Return the data of the view that a page embeds; None if it has none.

    Parameters
    ----------
    page : str
        As `flr_volumetry.report.render_html` returned it.

    Returns
    -------
    str or None
        JSON, as `Viewer.data` has it.
    """
    start = page.find(DATA_OPENS)
    if start < 0:
        return None
    start += len(DATA_OPENS)
    return page[start : page.index(DATA_CLOSES, start)]


def nifti_bytes(voxels: npt.NDArray[np.uint8], grid: Grid) -> bytes:
    """Return a compressed NIfTI-1 file of whole numbers from 0 to 255.

    Parameters
    ----------
    voxels : uint8 ndarray of the grid's shape
        What it holds.
    grid : Grid
        Upright.

    Returns
    -------
    bytes
        In RAS, as NIfTI has it.
    """
    affine = RAS_FROM_LPS @ grid.affine
    header = bytearray(NIFTI_BYTES)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *grid.shape, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, NIFTI_UINT8, 8)
    struct.pack_into("<8f", header, 76, 1.0, *grid.spacing_mm, 1.0, 1.0, 1.0, 1.0)
    struct.pack_into("<3f", header, 108, NIFTI_BYTES, 1.0, 0.0)
    header[123] = 2
    struct.pack_into("<2h", header, 252, 0, SCANNER)
    for row in range(3):
        struct.pack_into("<4f", header, 280 + 16 * row, *affine[row])
    header[344:348] = b"n+1\0"
    return gzip.compress(bytes(header) + voxels.tobytes(order="F"), compresslevel=6, mtime=0)


def mz3_bytes(surface: Surface3D) -> bytes:
    """Return a surface as a compressed MZ3 file, in RAS.

    Parameters
    ----------
    surface : Surface3D
        With the colours of its vertices, if they differ.

    Returns
    -------
    bytes
        The file.
    """
    points = (surface.solid.vertices_mm * [-1, -1, 1]).astype("<f4")
    triangles = surface.solid.triangles.astype("<u4")
    attributes = FACES | VERTICES | (COLOURS if surface.colours is not None else 0)
    parts = [
        struct.pack("<2H3I", MZ3_MAGIC, attributes, len(triangles), len(points), 0),
        triangles.tobytes(),
        points.tobytes(),
    ]
    if surface.colours is not None:
        opaque = np.full((len(points), 1), 255, dtype=np.uint8)
        parts.append(np.hstack([surface.colours, opaque]).tobytes())
    return gzip.compress(b"".join(parts), compresslevel=6, mtime=0)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
