"""Two labels by continuous max-flow: the smoothest border that edges and likelihoods agree on.

Yuan, Bae and Tai, "A study on continuous max-flow and min-cut approaches", CVPR 2010: the dual of the
relaxed Potts model, solved by an augmented Lagrangian; a graph cut without a graph, and without the
preference of grids for borders along their axes.
"""

from __future__ import annotations

import numpy as np

from flr_volumetry.segmentation.classical.working import Values

PENALTY = np.float32(0.3)
RATE = np.float32(0.11)
"""Of the augmented Lagrangian and of its gradient step, as the authors' own code sets them."""
ITERATIONS = 150
STILL = 2e-4
"""Mean change of a label in one iteration below which the answer stands."""

Pair = tuple[tuple[slice, ...], tuple[slice, ...]]


def continuous_cut(cost_in: Values, cost_out: Values, weight: Values) -> Values:
    """Minimise the sum of costs and of the weighted area of the border.

    Parameters
    ----------
    cost_in, cost_out : (i, j, k) float32 ndarray
        What a voxel pays for lying inside and outside, 0 or more.
    weight : (i, j, k) float32 ndarray
        What a unit of border pays there, 0 or more.

    Returns
    -------
    (i, j, k) float32 ndarray
        From 0, outside, to 1, inside; the border is at one half.
    """
    u = (cost_in < cost_out).astype(np.float32)
    source = np.minimum(cost_in, cost_out)
    sink = source.copy()
    flow = [np.zeros_like(u) for _ in range(3)]
    divergence = np.zeros_like(u)
    for n in range(ITERATIONS):
        push = divergence - (source - sink + u / PENALTY)
        _advance(flow, push, weight)
        divergence = _divergence(flow)
        # What a voxel pays for being inside caps its flow to the sink, and the other way round.
        source = np.minimum(divergence + sink + (1 - u) / PENALTY, cost_out)
        sink = np.minimum(source - divergence + u / PENALTY, cost_in)
        step = PENALTY * (divergence - source + sink)
        u -= step
        if n % 10 == 9 and float(np.abs(step).mean()) < STILL:
            break
    return np.clip(u, 0, 1)


def _advance(flow: list[Values], push: Values, weight: Values) -> None:
    """Move the flow up its gradient and back to where no more passes than the weight allows."""
    for axis in range(3):
        low, high = _pair(axis)
        flow[axis][high] += RATE * (push[high] - push[low])
    square = np.zeros_like(push)
    for axis in range(3):
        low, high = _pair(axis)
        own = flow[axis] * flow[axis]
        square += own * 0.5
        square[low] += own[high] * 0.5
    size = np.maximum(np.sqrt(square), 1e-9)
    scale = np.minimum(weight / size, np.float32(1))
    for axis in range(3):
        low, high = _pair(axis)
        flow[axis][high] *= 0.5 * (scale[high] + scale[low])


def _divergence(flow: list[Values]) -> Values:
    total = np.zeros_like(flow[0])
    for axis in range(3):
        low, high = _pair(axis)
        total[low] += flow[axis][high]
        total[high] -= flow[axis][high]
    return total


def _pair(axis: int) -> Pair:
    low = tuple(slice(None, -1) if a == axis else slice(None) for a in range(3))
    high = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
    return low, high
