"""Cutting surfaces in mesh files: STL, PLY, OBJ, legacy VTK and VTP."""

from flr_volumetry.io.meshes.files import read_surface, write_surface

__all__ = ["read_surface", "write_surface"]
