"""Surfaces and livers with known answers."""

from __future__ import annotations

import numpy as np

from flr_volumetry.images import Grid
from flr_volumetry.liver import Liver
from flr_volumetry.resection import BezierSurface, TriangleSurface
from tests.grids import STEPS, centres

CENTRE = np.array([12.3, -45.6, 78.9])
NORMAL = np.array([0.3, 0.5, 0.8]) / np.linalg.norm([0.3, 0.5, 0.8])


def frame(normal):
    """Unit vectors u, v, n with u x v = n."""
    n = np.asarray(normal, dtype=float) / np.linalg.norm(normal)
    u = np.cross(n, np.eye(3)[np.argmin(np.abs(n))])
    u /= np.linalg.norm(u)
    return u, np.cross(n, u), n


def grid_of(name, half_mm, spacing_mm, *, centre=CENTRE):
    """Grid of the named kind whose voxels have the volume of a cube with that edge."""
    steps = STEPS[name] * (spacing_mm / abs(np.linalg.det(STEPS[name])) ** (1 / 3))
    reach = np.linalg.norm(np.linalg.inv(steps), axis=1) * np.linalg.norm(half_mm)
    half = np.ceil(reach).astype(int) + 1
    affine = np.eye(4)
    affine[:3, :3] = steps
    affine[:3, 3] = np.asarray(centre) - steps @ half
    return Grid(tuple(int(n) for n in 2 * half + 1), affine)


def liver_in(grid, inside):
    """Liver of the voxels whose centre, relative to the middle, satisfies a rule."""
    voxels = np.asfortranarray(inside(centres(grid) - CENTRE))
    return Liver(grid, voxels, grid, (0, 0, 0))


def ball(radius):
    return lambda x: (x**2).sum(axis=-1) <= radius**2


def ellipsoid(a, b, c):
    return lambda x: ((x / [a, b, c]) ** 2).sum(axis=-1) <= 1


def box(a, b, c):
    return lambda x: (np.abs(x) <= [a, b, c]).all(axis=-1)


def two_lobes(radius, apart):
    shift = np.array([apart / 2, 0, 0])
    return lambda x: ball(radius)(x - shift) | ball(0.8 * radius)(x + shift)


def graph_patch(point, normal, half, heights):
    """Patch over a square across the normal, with control points at the given heights."""
    u, v, n = frame(normal)
    heights = np.asarray(heights, dtype=float)
    at = [np.linspace(-half, half, count) for count in heights.shape]
    flat = at[0][:, None, None] * u + at[1][None, :, None] * v
    return BezierSurface(point + flat + heights[..., None] * n)


def parabola_heights(rise):
    """Control heights of a 4 x 4 patch that is a parabolic cylinder, rising so far at two edges."""
    return np.repeat(np.array([rise, -rise / 3, -rise / 3, rise])[:, None], 4, axis=1)


def sheet_mesh(point, normal, half, heights):
    """Triangles over a square across the normal, corners at the given heights."""
    u, v, n = frame(normal)
    rows, columns = heights.shape
    x, y = np.linspace(-half, half, rows), np.linspace(-half, half, columns)
    corners = point + x[:, None, None] * u + y[None, :, None] * v + heights[..., None] * n
    i = np.arange(rows * columns).reshape(rows, columns)
    here, down, right, far = i[:-1, :-1].ravel(), i[1:, :-1].ravel(), i[:-1, 1:].ravel(), i[1:, 1:].ravel()
    triangles = np.concatenate([np.stack([here, down, right], 1), np.stack([far, right, down], 1)])
    return TriangleSurface(corners.reshape(-1, 3), triangles)


def sheet_height(half, heights, x, y):
    """Height of that sheet over (x, y), found anew by its cells."""
    rows, columns = heights.shape
    s = (x + half) / (2 * half) * (rows - 1)
    t = (y + half) / (2 * half) * (columns - 1)
    i, j = np.clip(np.floor(s).astype(int), 0, rows - 2), np.clip(np.floor(t).astype(int), 0, columns - 2)
    s, t = s - i, t - j
    here, down, right, far = heights[i, j], heights[i + 1, j], heights[i, j + 1], heights[i + 1, j + 1]
    near = here + s * (down - here) + t * (right - here)
    return np.where(s + t <= 1, near, far + (1 - s) * (right - far) + (1 - t) * (down - far))


def icosphere(centre, radius, times):
    """Closed sphere of triangles that face outwards."""
    g = (1 + 5**0.5) / 2
    points = [(-1, g, 0), (1, g, 0), (-1, -g, 0), (1, -g, 0), (0, -1, g), (0, 1, g)]
    points += [(0, -1, -g), (0, 1, -g), (g, 0, -1), (g, 0, 1), (-g, 0, -1), (-g, 0, 1)]
    faces = [(0, 11, 5), (0, 5, 1), (0, 1, 7), (0, 7, 10), (0, 10, 11), (1, 5, 9), (5, 11, 4), (11, 10, 2)]
    faces += [(10, 7, 6), (7, 1, 8), (3, 9, 4), (3, 4, 2), (3, 2, 6), (3, 6, 8), (3, 8, 9), (4, 9, 5)]
    faces += [(2, 4, 11), (6, 2, 10), (8, 6, 7), (9, 8, 1)]
    corners = np.array(points, dtype=float)[np.array(faces)]
    for _ in range(times):
        a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
        d, e, f = (a + b) / 2, (b + c) / 2, (c + a) / 2
        corners = np.stack([a, d, f, d, b, e, f, e, c, d, e, f], axis=1).reshape(-1, 3, 3)
        corners /= np.linalg.norm(corners, axis=2, keepdims=True)
    corners /= np.linalg.norm(corners, axis=2, keepdims=True)
    places, at = np.unique(np.round(corners.reshape(-1, 3), 12), axis=0, return_inverse=True)
    return TriangleSurface(np.asarray(centre) + radius * places, at.reshape(-1, 3))


def box_mesh(low, high):
    """Closed box of twelve triangles that face outwards."""
    corner = np.array([[(low, high)[b][n] for n, b in enumerate(bits)] for bits in np.ndindex(2, 2, 2)])
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    triangles = [t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))]
    return TriangleSurface(corner, triangles)


def winding(surface, points):
    """Generalised winding number of triangles about points (van Oosterom and Strackee)."""
    a, b, c = (surface.vertices_mm[surface.triangles[:, n]][None] - points[:, None] for n in range(3))
    la, lb, lc = (np.linalg.norm(x, axis=2) for x in (a, b, c))
    top = np.einsum("ijk,ijk->ij", a, np.cross(b, c))
    bottom = la * lb * lc + (a * b).sum(2) * lc + (b * c).sum(2) * la + (c * a).sum(2) * lb
    return np.arctan2(top, bottom).sum(axis=1) / (2 * np.pi)


def inside_points(liver):
    return liver.grid.centres_mm(np.argwhere(liver.voxels))
