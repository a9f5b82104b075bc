"""Which pixels of the labelled slice the training never learns from.

They tell how far the student's probabilities may be believed, and where it is asked for, when to stop.

Whole blocks, not single pixels: neighbours share their features, and a pixel between two that were
learned from tells nothing. No side of the target gives more than a share of its pixels, so the
smaller the target the smaller the blocks; a target too small for the smallest keeps everything.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from somray.kernels.student.sampling import Batch, Examples

__all__ = ["Block", "held_out_blocks", "hold_out", "windows_round"]

SHARE = 0.1
"""Most of either side's pixels that are held out."""
SIDES = 32, 16, 8
"""Sides of the blocks in pixels, tried in this order."""
MOST_BLOCKS = 12
"""Blocks of which some count; more would cost a small training more than they tell."""
CONTEXT = 16
"""Pixels seen round a block: half of what a training patch shows round its middle is enough."""

Block = tuple[slice, slice]


def held_out_blocks(
    target: NDArray[np.bool_], known: NDArray[np.bool_], seed: int
) -> tuple[Block, ...]:
    """Choose blocks of a slice to hold out.

    The draw takes turns between blocks that show both sides and blocks that show one, so the border,
    where student and teacher disagree, is always asked.

    Args:
        target: (y, x) bool.
        known: (y, x) bool, pixels that count.
        seed: decides the draw; the same seed holds out the same blocks in every round.

    Returns:
        Blocks (rows, columns) of one size that do not overlap, in the order drawn; none where no
        block of the smallest size shows both sides within a tenth of each.
    """
    inside, outside = target & known, known & ~target
    limits = SHARE * np.array([inside.sum(), outside.sum()])
    for side in SIDES:
        rng = np.random.default_rng([seed, side])
        chosen = _draw(inside, outside, side, limits, rng)
        if chosen:
            return chosen
    return ()


def _draw(
    inside: NDArray[np.bool_],
    outside: NDArray[np.bool_],
    side: int,
    limits: NDArray[np.float64],
    rng: np.random.Generator,
) -> tuple[Block, ...]:
    """Draw blocks of one size from a grid; nothing unless both sides are among them."""
    rows, columns = (math.ceil(size / side) for size in inside.shape)
    blocks = [
        (slice(y * side, (y + 1) * side), slice(x * side, (x + 1) * side))
        for y in range(rows)
        for x in range(columns)
    ]
    counts = np.array([(inside[b].sum(), outside[b].sum()) for b in blocks])
    order = rng.permutation(len(blocks))
    both = [n for n in order if counts[n].all()]
    single = [n for n in order if counts[n].any() and not counts[n].all()]
    taken: list[Block] = []
    held = np.zeros(2)
    for number in _in_turns(both, single):
        if len(taken) < MOST_BLOCKS and (held + counts[number] <= limits).all():
            taken.append(blocks[number])
            held += counts[number]
    return tuple(taken) if held.all() else ()


def _in_turns(first: list[int], second: list[int]) -> list[int]:
    """Join two lists one by one, then what the longer one has left."""
    shared = min(len(first), len(second))
    pairs = [n for pair in zip(first[:shared], second[:shared], strict=True) for n in pair]
    return pairs + first[shared:] + second[shared:]


def windows_round(
    blocks: Sequence[Block], known: NDArray[np.bool_]
) -> tuple[list[Block], NDArray[np.float32]]:
    """Cut out what the network is shown to be asked about blocks.

    Args:
        blocks: of one slice, from `held_out_blocks`.
        known: (y, x) bool, pixels of that slice that count.

    Returns:
        A window (rows, columns) of one shape for every block, inside the slice, and what counts in
        each: weights (n, rows, columns), 1 in the block itself and 0 round it.
    """
    side = max(b.stop - b.start for block in blocks for b in block)
    shape = [min(size, side + 2 * CONTEXT) for size in known.shape]
    windows, weights = [], np.zeros((len(blocks), *shape), dtype=np.float32)
    for weight, block in zip(weights, blocks, strict=True):
        starts = [
            min(max(0, b.start - CONTEXT), size - length)
            for b, size, length in zip(block, known.shape, shape, strict=True)
        ]
        window = tuple(slice(a, a + n) for a, n in zip(starts, shape, strict=True))
        inner = np.zeros(known.shape, dtype=bool)
        inner[block] = known[block]
        weight[:] = inner[window]
        windows.append((window[0], window[1]))
    return windows, weights


def hold_out(examples: Examples, seed: int, device: str) -> tuple[Examples, Batch | None]:
    """Take blocks of the first slice out of examples.

    Args:
        examples: slices to learn from; only of the first one is anything held out.
        seed: decides the draw.
        device: where the batch goes.

    Returns:
        Examples in which the blocks have weight 0, and a batch that asks about nothing but them; the
        examples themselves and None where no block can be spared.
    """
    target, known = np.asarray(examples.target[0] >= 0.5), examples.weight[0] > 0
    blocks = held_out_blocks(target, known, seed)
    if not blocks:
        return examples, None
    windows, counts = windows_round(blocks, known)
    weight = examples.weight[0].copy()
    for block in blocks:
        weight[block] = 0
    # Made worse as patches are, always alike: that is what the U-Net is asked about.
    rng = np.random.default_rng([seed, 2])
    drawn = [examples.noisy[0].draw(rows, columns, rng) for rows, columns in windows]
    wanted = np.stack([target[window] for window in windows]).astype(np.float32)
    asked = Batch(
        inputs=torch.from_numpy(np.stack([worse for worse, _ in drawn])).to(device),
        target=torch.from_numpy(wanted).to(device),
        weight=torch.from_numpy(counts).to(device),
        clean=torch.from_numpy(np.stack([clean for _, clean in drawn])).to(device),
    )
    return replace(examples, weight=[weight, *examples.weight[1:]]), asked
