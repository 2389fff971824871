"""Damaged files of masks: right masks, a caveat or an FlrError; never anything else, never for long."""

from __future__ import annotations

import numpy as np
import pytest

from flr_volumetry.images import Grid
from flr_volumetry.io import inspect, read_masks, read_structures
from tests.io.bounds import Bounds
from tests.io.geometry import AFFINES
from tests.io.mask_files import RoiSpec, SegSpec, write_rtstruct, write_seg, write_segnrrd
from tests.io.test_fuzz import EXAMPLES, apply, fuzzed
from tests.io.test_rtstruct import in_patient, star
from tests.io.test_segnrrd import TWO, layers

SHAPE = (7, 6, 5)
AFFINE = AFFINES["gantry tilt"]


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    """One small, sound file of each kind."""
    root = tmp_path_factory.mktemp("seeds")
    rng = np.random.default_rng(0)
    masks = {1: rng.random(SHAPE) < 0.4, 2: rng.random(SHAPE) < 0.2}
    names = {1: "Liver", 2: "Tumor_1"}
    disjoint = {1: masks[1] & ~masks[2], 2: masks[2]}
    implicit, rle = "1.2.840.10008.1.2", "1.2.840.10008.1.2.5"
    contours = [in_patient(AFFINE, star((3, 3), rng.uniform(1, 2.5, 7)), k) for k in range(4)]
    paths = {
        "binary": write_seg(root / "a.dcm", masks, AFFINE, SegSpec(names=names)),
        "implicit": write_seg(root / "b.dcm", masks, AFFINE, SegSpec(names=names, syntax=implicit)),
        "label map": write_seg(root / "c.dcm", disjoint, AFFINE, SegSpec("LABELMAP", names)),
        "label map rle": write_seg(root / "d.dcm", disjoint, AFFINE, SegSpec("LABELMAP", names, syntax=rle)),
        "fractional": write_seg(root / "e.dcm", {1: rng.random(SHAPE)}, AFFINE, SegSpec("FRACTIONAL", names)),
        "rtstruct": write_rtstruct(root / "f.dcm", [RoiSpec("Liver", contours)]),
        "seg.nrrd": write_segnrrd(root / "g.seg.nrrd", layers(), AFFINE, TWO),
    }
    return {name: (path.name, path.read_bytes()) for name, path in paths.items()}


@pytest.mark.parametrize(
    "kind", ["binary", "implicit", "label map", "label map rle", "fractional", "rtstruct", "seg.nrrd"]
)
def test_a_damaged_file_of_masks_is_refused_or_read_but_nothing_else(seeds, tmp_path_factory, kind):
    folder = tmp_path_factory.mktemp("fuzz")
    name, data = seeds[kind]
    grid = Grid(SHAPE, AFFINE)

    bounds = Bounds(kind)

    def hold(_, steps):
        (folder / name).write_bytes(apply(data, steps))
        bounds.hold(
            len(data),
            lambda: inspect(folder),
            lambda: read_structures(folder),
            lambda: read_masks(folder, threshold=0.5),
            lambda: read_masks(folder, grid=grid, threshold=0.5),
        )

    try:
        fuzzed(hold, 1, EXAMPLES)
    finally:
        bounds.close()
