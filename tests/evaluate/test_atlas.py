"""Segments by vote, each of fourteen livers left out in turn: ``make evaluate``."""

from __future__ import annotations

import numpy as np
import pytest

from flr_volumetry.anatomy import HEPATECTOMIES, SEGMENTS
from flr_volumetry.images import LabelMap, Mask
from flr_volumetry.io import read_label_map
from flr_volumetry.segmentation.fusion import AtlasLiver, fused, is_mirrored
from tests.territories.marks import dice

pytestmark = pytest.mark.evaluate
ONE_PATIENT = {"3Dircadb-17", "LiTS-44"}
NAMED = ("right_hepatectomy", "left_hepatectomy", "ext_right", "ext_left", "left_lateral", "central")


def _second_drawing(folder):
    """LiTS-44: 3Dircadb-17 by another hand, its voxels in that scan's order under a header that lies."""
    first = read_label_map(folder / "3Dircadb-17" / "label.nii.gz")
    second = read_label_map(folder / "LiTS-44" / "label.nii.gz")
    assert dice(first.voxels > 0, second.voxels > 0) > 0.9
    return AtlasLiver.of("LiTS-44", LabelMap(first.grid, second.voxels))


def test_leave_one_out(real_data):
    """Dice of each segment, and the error of the remnant after named hepatectomies, in points."""
    livers = []
    for path in sorted((real_data / "couinaud").glob("*/label.nii.gz")):
        liver = AtlasLiver.of(path.parent.name, read_label_map(path))
        if is_mirrored(liver):
            assert liver.name == "LiTS-44"
        else:
            livers.append(liver)
    livers.append(_second_drawing(real_data / "couinaud"))
    removed = {h.key: h.segments for h in HEPATECTOMIES if h.key in NAMED}
    dices, errors = [], []
    for left_out in livers:
        truth = left_out.labels
        others = [v for v in livers if v is not left_out and not {v.name, left_out.name} <= ONE_PATIENT]
        # The second drawing is judged, and votes on nobody: its patient would count twice.
        others = [v for v in others if v.name != "LiTS-44"]
        vote = fused(Mask(left_out.grid, truth > 0), others)
        if left_out.name == "LiTS-44":
            print("LiTS-44: Dice", np.mean([dice(vote.labels.voxels == n, truth == n) for n in SEGMENTS]))
        guess = vote.labels.voxels
        whole = np.count_nonzero(truth)
        dices.append([dice(guess == n, truth == n) for n in SEGMENTS])
        errors.append(
            [
                100 * (np.isin(truth, list(gone)).sum() - np.isin(guess, list(gone)).sum()) / whole
                for gone in removed.values()
            ]
        )
    mean = np.mean(dices, axis=0)
    print("Dice per segment:", ", ".join(f"{n}: {d:.2f}" for n, d in zip(SEGMENTS, mean, strict=True)))
    for key, column in zip(removed, np.array(errors).T, strict=True):
        print(
            f"remnant after {key}: {np.abs(column).mean():.1f} points off, at most {np.abs(column).max():.1f}"
        )
    assert len(livers) == 14
    # Found: 0.80, and 3.2 points for right, left and extended hepatectomies.
    assert mean.mean() > 0.75
    assert np.abs(np.array(errors)).mean() < 5
