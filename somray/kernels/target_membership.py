"""How far a pixel belongs to one class, from its distances to the teacher's nodes.

The teacher's mask says target or not; between the nearest node of the target and the nearest node of
any other class lies more: pixels half way are doubtful, and a student may learn that too.
"""

import numpy as np
from numpy.typing import NDArray

from somray.domain.teacher import TeacherModel
from somray.errors import ShapeError
from somray.kernels.feature_view import ScanSlices, stacks, view_of

__all__ = ["target_membership"]

BLOCK = 65536
"""Pixels whose distances to all nodes are held at once: about 13 MB for 25 nodes."""


def target_membership(
    model: TeacherModel, slices: ScanSlices, labels: NDArray[np.uint8], value: int
) -> NDArray[np.float32]:
    """Weigh the target's nearest node against the nearest one of all other classes.

    A softmax over minus the two squared distances, in units of the map's mean squared quantization
    error. One half lies where the teacher changes its mind, so that the membership and the class of
    the pixel's nearest node agree. Where labels were smoothed by a vote, the mean of the membership and the
    vote is taken, which lies on the vote's side.

    Args:
        model: a fitted teacher.
        slices: as for the teacher.
        labels: (n, y, x) what the teacher says of them.
        value: label value of the target.

    Returns:
        (n, y, x) float32 in [0, 1]; 0 where there is no data.

    Raises:
        ShapeError: the map has no quantization error to measure distances by.
    """
    error = model.codebook.quantization_error
    if not error:
        raise ShapeError("soft labels need a map with a quantization error; fit the teacher anew")
    inside = model.node_classes == value
    found = np.zeros(labels.shape, dtype=np.float32)
    for out, label, stack in zip(found, labels, stacks(view_of(model), slices), strict=True):
        known = ~np.isnan(stack).any(axis=0)
        raw = stack[:, known]
        member = np.concatenate(
            [
                _membership(model, raw[:, start : start + BLOCK], inside, error**2)
                for start in range(0, raw.shape[1], BLOCK)
            ]
            or [np.zeros(0)]
        )
        if model.smoothing_mm:
            member = (member + (label[known] == value)) / 2
        out[known] = member
    return found


def _membership(
    model: TeacherModel, raw: NDArray[np.float32], inside: NDArray[np.bool_], scale: float
) -> NDArray[np.float64]:
    """Return the membership (n,) of raw features (f, n)."""
    if inside.all() or not inside.any():
        return np.full(raw.shape[1], float(inside.all()))
    samples = (raw - model.center[:, None]) / model.scale[:, None] * model.feature_weights[:, None]
    nodes = model.codebook.weights.astype(np.float64)
    # einsum, not a matrix product: BLAS orders its sums by the number of threads.
    score = np.einsum("kf,fn->kn", nodes, samples.astype(np.float64))
    distance = (nodes**2).sum(axis=1)[:, None] - 2 * score  # less |x|², which cancels below
    gap = distance[~inside].min(axis=0) - distance[inside].min(axis=0)
    return np.asarray(1 / (1 + np.exp(-np.clip(gap / scale, -500, 500))))
