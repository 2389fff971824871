"""Reads and writes surfaces of triangles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from flr_volumetry.errors import InputError, OutputError, PlanError
from flr_volumetry.io.files import stored
from flr_volumetry.io.meshes.obj import read_obj
from flr_volumetry.io.meshes.parts import MAX_LENGTH_MM, RawMesh, damaged
from flr_volumetry.io.meshes.ply import ply_bytes, read_ply
from flr_volumetry.io.meshes.stl import read_stl, stl_bytes
from flr_volumetry.io.meshes.vtk import read_vtk
from flr_volumetry.io.meshes.vtp import read_vtp
from flr_volumetry.io.spaces import Space, settled, to_lps
from flr_volumetry.io.writing import write_atomically
from flr_volumetry.resection import TriangleSurface

if TYPE_CHECKING:
    import os

MAX_FILE_BYTES: Final = 1 << 29
TITLE: Final = "flr_volumetry cutting surface"
KINDS: Final = ".stl, .ply, .obj, .vtk and .vtp"


def read_surface(path: str | os.PathLike[str], *, space: Space | None = None) -> TriangleSurface:
    """Read a cutting surface from a mesh file.

    Parameters
    ----------
    path : path-like
        STL, PLY (each as bytes or text), OBJ, legacy VTK PolyData, or VTP. PLY and VTK files are known
        by how they begin, the others by their ending.
    space : Space, optional
        Whether the file counts in LPS or in RAS. Only needed where the file does not state it, as files
        of 3D Slicer do (``SPACE=LPS``).

    Returns
    -------
    TriangleSurface
        In LPS mm. Polygons are divided into triangles from their first corner; of an STL file, corners at
        one place are one vertex. Which way a triangle faces is told by the order of its corners; normals
        in the file are not used.

    Raises
    ------
    UnreadableError
        If there is no such file, it is damaged or of another kind, holds no triangle, or its axes are
        neither stated nor given, or both and different.

    Notes
    -----
    Units are not stated by any of these formats and are taken to be mm.
    """
    where = stored(path)
    label = where.label
    if where.size > MAX_FILE_BYTES:
        raise damaged(label, f"has {where.size} bytes; a cutting surface has at most 512 MiB.", "too_large")
    mesh = _parsed(where.read(0, where.size), label)
    if not len(mesh.triangles):
        raise damaged(label, "holds no triangle.", "empty_surface")
    if mesh.triangles.min() < 0 or mesh.triangles.max() >= len(mesh.points):
        raise damaged(
            label, f"has {len(mesh.points)} points, and a face names one that is not there.", "bad_index"
        )
    if not np.isfinite(mesh.points).all() or np.abs(mesh.points).max() > MAX_LENGTH_MM:
        raise damaged(
            label,
            f"holds coordinates that are not numbers, or beyond {MAX_LENGTH_MM:g} mm.",
            "bad_coordinates",
        )
    points = to_lps(mesh.points, settled(mesh.space, space, label))
    try:
        return TriangleSurface(points, mesh.triangles.astype(np.int32))
    except PlanError as error:
        raise InputError(f"{label}: {error.message}", reason=error.reason) from error


def _parsed(data: bytes, label: str) -> RawMesh:
    suffix = Path(label).suffix.lower()
    if data.startswith(b"ply"):
        return read_ply(data, label)
    if data.startswith(b"# vtk DataFile"):
        return read_vtk(data, label)
    if data.lstrip().startswith((b"<?xml", b"<VTKFile")):
        return read_vtp(data, label)
    if suffix == ".obj":
        return read_obj(data, label)
    if suffix == ".stl":
        return read_stl(data, label)
    raise damaged(label, f"is not a mesh that can be read; these are {KINDS}.", "unknown_format")


def write_surface(path: str | os.PathLike[str], surface: TriangleSurface) -> None:
    """Write a surface as STL or PLY that states its axes, LPS, as 3D Slicer reads it.

    Parameters
    ----------
    path : path-like
        Ending in .stl (bytes; coordinates rounded to float32) or .ply (bytes; float64, exact). An
        existing file is replaced.
    surface : TriangleSurface
        What to write.

    Raises
    ------
    OutputError
        If the file cannot be written, or the name has another ending.
    """
    where = Path(path)
    writers = {".stl": stl_bytes, ".ply": ply_bytes}
    if where.suffix.lower() not in writers:
        raise OutputError(f"{where}: a surface is written as .stl or .ply.", reason="bad_name")
    write_atomically(where, writers[where.suffix.lower()](surface, TITLE))
