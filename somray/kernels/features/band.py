"""What travels between the parts of the feature pass: scale of a slice, a tile of it, a padded band.

A slice is worked on in *tiles*: some rows of a range of columns. A tile of one channel, continued by
`halo` pixels to all sides and with its holes filled, is a *band*; the functions of the feature table
read bands and write planes of features. Values inside a band are the slice's own (clipped by the
window) times a power of two, so that differences of neighbours stay exact in float32 and no square
overflows or vanishes; the frame says how they become the values that features are told in.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Band", "Frame", "Tile"]


class Frame(NamedTuple):
    """How values of one channel of one slice are scaled; every number is taken over the whole slice.

    Args:
        bottom: values are clipped at it; -inf without a window.
        top: values are clipped at it; inf without a window.
        unit: power of two that multiplies clipped values; the fields below are in these units.
        zero: what features call 0.
        gain: multiplies differences from `zero`: (value · unit - zero) · gain is the feature
            "intensity".
        low: low end of the values; ratios are taken above it.
        floor: added above and below in ratios, so that air and noise do not explode.
        mean: mean of all pixels with data.
        tensor_floor: added to the trace of the structure tensor; a flat region has anisotropy 0.
        step_y: distance of rows in mm.
        step_x: distance of columns in mm.
        missing: number of pixels without data.
    """

    bottom: float
    top: float
    unit: float
    zero: float
    gain: float
    low: float
    floor: float
    mean: float
    tensor_floor: float
    step_y: float
    step_x: float
    missing: int


class Tile(NamedTuple):
    """Rows [y0, y1) and columns [x0, x1) of a slice."""

    y0: int
    y1: int
    x0: int
    x1: int


class Band(NamedTuple):
    """One channel's padded tile, as the functions of the feature table get it.

    Args:
        padded: (rows + 2·halo, columns + 2·halo) float32, scaled by `frame.unit`, without NaN.
        halo: pixels it reaches beyond the tile on each side.
        first: the tile's first row in the slice.
        into: row of `out` that the tile's first row is written to.
        fresh: False where the band before it, directly above, was written with the same `work`.
        work: (lines, columns + 2·halo) float32 scratch that is kept from band to band.
        frame: scale of the slice.
    """

    padded: NDArray[np.float32]
    halo: int
    first: int
    into: int
    fresh: bool
    work: NDArray[np.float32]
    frame: Frame
