"""Surfaces in mesh files: STL, PLY, OBJ, legacy VTK and VTP read; STL, PLY and GLB written."""

from flr_volumetry.io.meshes.files import read_surface, write_surface
from flr_volumetry.io.meshes.glb import MeshPart, glb_bytes

__all__ = ["MeshPart", "glb_bytes", "read_surface", "write_surface"]
