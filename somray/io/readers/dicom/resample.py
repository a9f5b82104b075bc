"""An uneven or tilted series on an even, upright grid (`irregular: resample`).

The slices keep their planes. Each is shifted within its plane so that all stand above each other (gantry
tilt), and slices are interpolated linearly at even heights, the usual gap apart. Both are linear
interpolations of a constant shift, so no pixel value outside its neighbours' range appears. Padding is
never mixed: beside it the nearer of two values holds. Outside what was scanned stands NaN.
"""

from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from somray.domain.scan import ScanHeader
from somray.errors import DataError
from somray.io.readers.dicom.series import Series
from somray.io.readers.source import SliceFile, Source, grid_of

__all__ = ["ResampledSource"]

TINY = 1e-6  # pixels and mm; rounding of headers and arithmetic
KEPT_SLICES = 4  # neighbours that the next output slice needs again
MOST_GROWTH = 4  # times that rows, columns or slices may become more; beyond it a header lies


_AXES = ("slices", "rows", "columns")


class ResampledSource(Source):
    """A series resampled to an even grid."""

    def __init__(self, source: Source, series: Series) -> None:
        self._source = source
        self._heights = series.heights
        self._kept: OrderedDict[tuple[int, int], NDArray[np.float32]] = OrderedDict()
        offsets = (series.positions - series.positions[0]) - np.outer(self._heights, series.normal)
        pixels = offsets @ np.linalg.pinv(series.across).T  # (z, 2): slips along x and y in pixels
        low, high = np.floor(pixels.min(axis=0) + TINY), np.ceil(pixels.max(axis=0) - TINY)
        if not series.tilted:
            low, high, pixels = np.zeros(2), np.zeros(2), np.zeros_like(pixels)
        self._slips = np.maximum(pixels - low, 0.0)
        rows, columns = source.header.shape[2:]
        size = (rows + int(high[1] - low[1]), columns + int(high[0] - low[0]))
        count = self._heights[-1] / series.gap_mm + TINY
        _check_growth(source, (count, *size))
        self._wanted = np.arange(int(count) + 1) * series.gap_mm
        matrix = np.eye(4)
        matrix[:3, :2], matrix[:3, 2] = series.across, series.normal * series.gap_mm
        matrix[:3, 3] = series.positions[0] + series.across @ low
        geometry = grid_of(source.path, (len(self._wanted), *size), matrix)
        codes = [("resampled_z", series.uneven), ("untilted", series.tilted)]
        told = source.header
        header = ScanHeader(
            (told.shape[0], *geometry.shape), geometry, told.kind, told.modality, told.unit, told.padding,
            outside_is_nan=bool(series.tilted),
            repairs=(*told.repairs, *(code for code, found in codes if found)),
        )  # fmt: skip
        super().__init__(source.path, header)

    def _plane(self, t: int, z: int) -> NDArray[np.float32]:
        """Interpolate between the two slices around a height."""
        height = float(self._wanted[z])
        above = int(np.searchsorted(self._heights, height - TINY))
        above = min(max(above, 1), len(self._heights) - 1)
        below = above - 1
        weight = (height - self._heights[below]) / (self._heights[above] - self._heights[below])
        weight = float(np.clip(weight, 0.0, 1.0))
        if weight < TINY:
            return self._upright(t, below)
        if weight > 1 - TINY:
            return self._upright(t, above)
        return self._mix(self._upright(t, below), self._upright(t, above), weight)

    def _mix(
        self, one: NDArray[np.float32], other: NDArray[np.float32], weight: float
    ) -> NDArray[np.float32]:
        """Blend two arrays; where one is padding the nearer one holds, NaN stays NaN."""
        mixed = (one.astype(np.float64) * (1 - weight) + other * weight).astype(np.float32)
        padding = self.header.padding
        if padding is not None:
            is_padding = (one == np.float32(padding)) | (other == np.float32(padding))
            is_padding &= np.isfinite(mixed)
            mixed[is_padding] = (one if weight < 0.5 else other)[is_padding]
        return mixed

    def _upright(self, t: int, z: int) -> NDArray[np.float32]:
        """Return one source slice shifted to where it stands above the others."""
        if (t, z) in self._kept:
            return self._kept[t, z]
        plane = self._source.read(t, z, z + 1)[0]
        canvas = np.full(self.header.shape[2:], np.nan, dtype=np.float32)
        canvas[: plane.shape[0], : plane.shape[1]] = plane
        for axis, slip in ((1, self._slips[z, 0]), (0, self._slips[z, 1])):
            whole = int(np.floor(slip + TINY))
            part = max(float(slip) - whole, 0.0)
            canvas = _rolled(canvas, whole, axis)
            if part > TINY:
                canvas = self._mix(canvas, _rolled(canvas, 1, axis), part)
        self._kept[t, z] = canvas
        if len(self._kept) > KEPT_SLICES:
            self._kept.popitem(last=False)
        return canvas

    def slice_files(self, t: int) -> tuple[SliceFile, ...]:
        """Return the stored slices as they were scanned."""
        return self._source.slice_files(t)

    def verify(self) -> None:
        """Verify the series beneath."""
        self._source.verify()

    def close(self) -> None:
        """Let go of the series."""
        self._kept.clear()
        self._source.close()


def _check_growth(source: Source, sizes: tuple[float, float, float]) -> None:
    """Refuse to fill a gap that is longer than what was scanned."""
    for size, stored, what in zip(sizes, source.header.shape[1:], _AXES, strict=True):
        if not size <= MOST_GROWTH * (stored + 1):
            raise DataError(
                "irregular",
                f"{source.path}: on an even grid {stored} {what} would become {size:.0f}: some slices lie far from the "
                "others; correct their positions, or move them out",
            )


def _rolled(plane: NDArray[np.float32], pixels: int, axis: int) -> NDArray[np.float32]:
    """Move a plane by whole pixels towards higher indices; NaN comes in."""
    if pixels == 0:
        return plane
    moved = np.full_like(plane, np.nan)
    np.moveaxis(moved, axis, 0)[pixels:] = np.moveaxis(plane, axis, 0)[:-pixels]
    return moved
