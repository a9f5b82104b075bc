"""The ten features with the neighbouring slices: a choice for scans whose slices belong together.

Names and units are those of the plane; what changes is where a pixel looks:
    edge                gradient along z too (Sobel in three dimensions)
    thickness           eigenvalue of the 3×3 Hessian less the sides' difference along all three axes
    mean3, mean5, local_contrast, ratio_local_global
                        cubes of three and five pixels' width, in mm, of the slices that lie in them
    anisotropy_p, _q    direction within the plane, of a structure tensor smoothed along z too
    ratio_row_column    of slices averaged as for mean3
Lengths along z are mm: with slices three pixels apart a cube of five pixels holds the slice and a third of
either neighbour, and widely spaced slices leave the features of the plane. Slices nearer than a pixel count
as if they were a pixel apart. A volume that does not change along z has the features of the plane.

A slice sees `HALO_Z` slices to each side; beyond the ends of a scan slices are reflected as pixels are at
a border. Where a neighbouring slice has no data it is taken to go on as the slice itself, so that the end of
a field of view makes no edge. This pass is written for clarity in float64; the plane's is the fast one.

Sources: as in `filters`; O. Smith 1961 (eigenvalues of a symmetric 3×3 matrix).
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError
from somray.kernels.features.band import Frame, Tile
from somray.kernels.features.border import FLOOR_FRACTION, frame_of, pad_tile
from somray.kernels.features.filters import CORE, CORE_HALO
from somray.kernels.features.piece import Piece
from somray.kernels.features.slab_view import HALO_Z, SlabView, along_z, core_planes
from somray.kernels.features.stack import checked_window
from somray.kernels.features.table import FEATURES, plan_of
from somray.kernels.grids.pixel_size import checked_spacing

__all__ = ["HALO_Z", "slab_features"]

Array = NDArray[np.float64]
Window = tuple[float, float]


class _Volume:
    """One channel's slices, windowed and padded, as each of them sees its neighbours."""

    def __init__(
        self,
        block: NDArray[np.float32],
        channel: int,
        window: Window | None,
        step: Array,
        piece: Piece,
    ) -> None:
        self._channel, self._window, self._step = block[channel], window, step
        self._along, self._piece = along_z(step), piece
        self._scales = [scale[channel].frame for scale in piece.scales]
        self._kept: dict[int, tuple[Array, NDArray[np.bool_], Frame]] = {}

    def _slice(self, z: int) -> tuple[Array, NDArray[np.bool_], Frame]:
        """Return slice z of the reflected block, windowed and padded, its holes and its scale."""
        count = len(self._channel)
        z %= 2 * count
        z = z if z < count else 2 * count - 1 - z
        if z not in self._kept:
            while len(self._kept) > 2 * HALO_Z:
                del self._kept[next(iter(self._kept))]
            image = np.ascontiguousarray(self._channel[z], dtype=np.float32)
            frame = self._scales[z] if self._scales else None
            frame = frame or frame_of(image, self._window, self._step[1:])
            rows, columns = self._piece.inside
            tile = Tile(rows.start, rows.stop, columns.start, columns.stop)
            shape = tile.y1 - tile.y0, tile.x1 - tile.x0
            padded = np.empty([n + 2 * CORE_HALO for n in shape], dtype=np.float32)
            pad_tile(image, tile, CORE_HALO, frame, padded)
            holes = np.pad(np.isnan(image), CORE_HALO, mode="symmetric")
            holes = holes[tile.y0 : tile.y1 + 2 * CORE_HALO, tile.x0 : tile.x1 + 2 * CORE_HALO]
            self._kept[z] = ((padded.astype(np.float64) - frame.zero) * frame.gain, holes, frame)
        return self._kept[z]

    def features(self, z: int, names: Sequence[str], out: NDArray[np.float32]) -> None:
        """Write the features of slice z into `out` (f, y, x); NaN in its holes."""
        middle, holes, frame = self._slice(z)
        inside = (slice(CORE_HALO, -CORE_HALO),) * 2
        there = middle[inside][~holes[inside]]
        if there.size == 0:
            out[:] = np.nan
            return
        near = [self._slice(z + k)[:2] for k in range(-HALO_Z, HALO_Z + 1)]
        planes = np.stack([np.where(gap, middle, plane) for plane, gap in near])
        low, high = (there.min(), there.max()) if self._window is None else (0.0, 1.0)
        width = float(high - low) if high > low else 1.0
        low = float(low) if high > low else float(low) - 1.0 + FLOOR_FRACTION
        mean = (frame.mean - frame.zero) * frame.gain
        steps = float(self._step[1]), float(self._step[2])
        found = core_planes(SlabView(planes, self._along, *steps, low, width, mean))
        for target, name in zip(out, names, strict=True):
            target[:] = found[name]
        out[:, holes[inside]] = np.nan


def slab_features(
    block: NDArray[np.float32],
    windows: Sequence[Window | None],
    names: Sequence[str] = FEATURES,
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0),
    inner: tuple[int, int] | None = None,
    piece: Piece | None = None,
) -> Iterator[NDArray[np.float32]]:
    """Yield chosen features of consecutive slices with their neighbours, slice by slice.

    Slab by slab with `HALO_Z` slices of halo gives the bits of the whole volume at once.

    Args:
        block: (c, z, y, x) values, NaN where there is no data; reflected beyond its first and last
            slice, so pass `HALO_Z` more slices on each side wherever the scan has them.
        windows: per channel (low, high) or None.
        names: features to keep, in the order wanted.
        spacing_mm: distance between pixels along (z, y, x).
        inner: first slice wanted and the one after the last; all where left out.
        piece: where the block lies in larger slices, with windows and what their scale is; the slices
            are whole where left out.

    Yields:
        (c·f, y, x) float32, channel-major; NaN where a channel is NaN.

    Raises:
        ShapeError: shapes do not fit, or a feature is unknown or known in the plane alone.

    Cost: about 40 filters of a slice for each slice and channel; memory of some 30 planes in float64
    and of a slice's features.
    """
    array = np.asarray(block)
    if array.ndim != 4 or array.size == 0:
        raise ShapeError(f"a block must be (c, z, y, x) with pixels in it, got shape {array.shape}")
    if len(windows) != len(array):
        raise ShapeError(f"{len(windows)} windows for {len(array)} channels")
    plan_of(names)
    flat = [name for name in names if name not in CORE]
    if flat:
        raise ShapeError(f"features {flat} have no form that sees the neighbouring slices")
    first, last = inner if inner is not None else (0, array.shape[1])
    if not 0 <= first < last <= array.shape[1]:
        raise ShapeError(f"inner {inner} must be slices of 0 to {array.shape[1]}")
    step = checked_spacing(spacing_mm, "z, y, x")
    rows, columns = array.shape[2:]
    part = piece or Piece((0, 0), (rows, columns), (0, rows, 0, columns), ())
    volumes = [
        _Volume(array, channel, checked_window(window, ""), step, part)
        for channel, window in enumerate(windows)
    ]
    shape = part.box[1] - part.box[0], part.box[3] - part.box[2]

    def made() -> Iterator[NDArray[np.float32]]:
        for z in range(first, last):
            out = np.empty((len(array), len(names), *shape), dtype=np.float32)
            for volume, planes in zip(volumes, out, strict=True):
                volume.features(z, names, planes)
            yield out.reshape(-1, *shape)

    return made()
