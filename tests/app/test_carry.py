"""Which pieces of a plan come along: stages carried out, tissue that is gone, tissue that was ablated."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from flr_volumetry.app.carry import carried_labels, carry, piece_labels, stages_done, still_there
from flr_volumetry.app.record import PlanPart
from flr_volumetry.errors import CaseError
from flr_volumetry.images import Grid, Mask
from flr_volumetry.liver import Masks, crop_liver
from flr_volumetry.resection import PieceKind, resect

PLAN = [
    PlanPart(
        name="one",
        after=None,
        resections=[{"title": "wedge", "kind": "wedge"}, {"title": "burnt", "kind": "ablation"}],
    ),
    PlanPart(
        name="two",
        after={"procedure": "pve", "weeks": 4},
        resections=[{"title": "right side", "kind": "segments"}],
    ),
]
SAME = SimpleNamespace(to_baseline=lambda p: p, to_later=lambda p: p, caveats=(), methods=())
"""The later scan lies where the baseline lay."""


@pytest.fixture(scope="module")
def record():
    """A block: a wedge (2) at its head, an ablated spot (3), the right side (4), the rest stays (1)."""
    grid = Grid((60, 50, 50), np.diag([2.0, 2.0, 2.0, 1.0]))
    voxels = np.zeros(grid.shape, dtype=bool)
    voxels[5:53, 5:45, 5:45] = True
    liver = crop_liver(Masks(Mask(grid, voxels, "liver")))
    labels = liver.voxels.astype(np.uint8)
    x, _, z = np.moveaxis(liver.grid.centres_mm(np.indices(labels.shape).reshape(3, -1).T), -1, 0)
    x, z = x.reshape(labels.shape), z.reshape(labels.shape)
    labels[liver.voxels & (x < 50)] = 4
    labels[liver.voxels & (x >= 80) & (z >= 80)] = 2
    labels[liver.voxels & (x >= 80) & (z < 20)] = 3
    case = SimpleNamespace(id="before")
    report = SimpleNamespace(plan=PLAN, case=case)
    return SimpleNamespace(report=report, liver=liver, labels=labels, caveats=())


def test_stages_before_the_procedure_count_as_carried_out():
    assert stages_done(PLAN, None) == 1
    assert stages_done(PLAN, 0) == 0
    assert stages_done(PLAN[:1], None) == 0
    assert piece_labels(PLAN) == [[2, 3], [4]]
    with pytest.raises(CaseError) as refused:
        stages_done(PLAN, 2)
    assert refused.value.reason == "no_stage_left"


def test_what_was_cut_off_is_gone_and_what_was_ablated_is_not(record):
    there = still_there(record, 1).voxels
    assert not there[record.labels == 2].any()
    assert there[np.isin(record.labels, [1, 3, 4])].all()
    assert np.array_equal(still_there(record, 0).voxels, record.liver.voxels)


def test_unmoved_labels_stay_what_they_are(record):
    assert np.array_equal(carried_labels(record, record.liver, SAME, 0), record.labels)


def test_tissue_in_the_place_of_a_wedge_takes_the_nearest_side(record):
    """The wedge has healed: what lies there now belongs to what it borders on."""
    labels = carried_labels(record, record.liver, SAME, 1)
    assert set(np.unique(labels[record.labels == 2])) == {1}
    assert np.array_equal(labels[record.labels != 2], record.labels[record.labels != 2])


def test_the_carried_plan_divides_the_liver_as_the_labels_do(record):
    """Ablated earlier: still no working liver. The rest of the plan: to be resected."""
    carried = carry(record, record.liver, SAME, 1)
    partition = resect(record.liver, carried.plan)
    kinds = [(p.kind, p.stage, p.title) for p in partition.pieces]

    assert kinds == [
        (PieceKind.REMNANT, 0, "remnant"),
        (PieceKind.ABLATED, 1, "burnt, carried over"),
        (PieceKind.RESECTED, 2, "right side, carried over"),
    ]
    assert np.array_equal(partition.labels == 2, record.labels == 3)
    assert np.array_equal(partition.labels == 3, record.labels == 4)


def test_a_piece_of_which_nothing_is_left_is_left_out_and_said(record):
    from dataclasses import replace

    later = replace(record.liver, voxels=record.liver.voxels & (record.labels != 3))
    carried = carry(record, later, SAME, 0)
    assert [c.code for c in carried.caveats] == ["carried_piece_gone"]
    assert [len(stage.resections) for stage in carried.plan.stages] == [1, 1]
