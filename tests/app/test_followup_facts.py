"""The other side of a later scan, where an earlier stage ablated some of it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from flr_volumetry.app.carry import ablated_pieces
from flr_volumetry.app.followup_facts import Laid, _ablated_earlier_ml

PLAN = [
    SimpleNamespace(resections=[{"kind": "wedge"}, {"kind": "ablation"}]),
    SimpleNamespace(resections=[{"kind": "planes"}, {"kind": "remnant", "ablates": True}]),
]


@pytest.mark.parametrize(("done", "pieces"), [(0, []), (1, [3]), (2, [3, 5])])
def test_what_stages_carried_out_have_ablated(done, pieces):
    assert ablated_pieces(PLAN, done) == pieces


def test_ablated_tissue_is_counted_once_and_without_its_lesions():
    """Ten voxels ablated; one is in the remnant, one beside the liver and two are a lesion."""
    labels = np.zeros((5, 5, 5), dtype=np.uint8)
    labels[:, :2, 0] = 3
    labels[:, 4, 4] = 4
    own = np.full((5, 5, 5), 2, dtype=np.uint8)
    own[0, 0, 0] = 1
    voxels = np.ones((5, 5, 5), dtype=bool)
    voxels[1, 0, 0] = False
    lesion = SimpleNamespace(box=np.s_[3:5, 1:2, 0:1], voxels=np.ones((2, 1, 1), dtype=bool))
    liver = SimpleNamespace(voxels=voxels, lesions=(lesion,), grid=SimpleNamespace(voxel_ml=0.5))
    base = SimpleNamespace(report=SimpleNamespace(plan=PLAN))
    one = Laid(SimpleNamespace(liver=liver, labels=own), SimpleNamespace(), True, (), labels)

    assert _ablated_earlier_ml(base, one, 1) == pytest.approx(6 * 0.5)
    assert _ablated_earlier_ml(base, one, 0) == 0
