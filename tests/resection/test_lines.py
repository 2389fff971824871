"""Rows cut into parts: which lie side by side, with and without what is known of their sides."""

import numpy as np
import pytest

from flr_volumetry.resection.lines import divided, lines_of, side_by_side
from tests.livers import ball_liver


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("most", [1, 3])
def test_parts_known_to_be_on_one_side_are_left_out_and_no_others(seed, most):
    """The short way for rows cut once, and the long way for those cut more often, against all pairs."""
    rng = np.random.default_rng(seed)
    solid = (lines := lines_of(ball_liver("axial", scale=3.0))).solid
    cuts = [
        (of, column)
        for of in range(len(solid.line))
        for column in sorted(rng.choice(np.arange(1, 60), rng.integers(0, most + 1), replace=False))
        if column < solid.end[of] - solid.begin[of]
    ]
    of, after = np.array(cuts).T
    parts, first = divided(solid, of, solid.begin[of] + after)
    side = rng.integers(-1, 2, len(parts.line)).astype(np.int8)
    for pairs in lines.beside:
        one, other, shared = side_by_side(parts, first, pairs)
        kept = side[one] * side[other] <= 0
        found = side_by_side(parts, first, pairs, side)
        assert 0 < np.count_nonzero(kept) < len(kept)
        for told, expected in zip(found, (one[kept], other[kept], shared[kept]), strict=True):
            assert np.array_equal(told, expected)
