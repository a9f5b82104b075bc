"""Frames to a series: one volume per time point, slices ascending along the normal, evenly spaced.

What does not make one volume is refused with a code: scouts, several series or patients, several grids.
Uneven gaps and gantry tilt are found here; whether they are refused or resampled is the reader's choice.
"""

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from somray.errors import DataError
from somray.io.readers.dicom.headers import DicomFrame

__all__ = ["Series", "arrange"]

GAP_TOLERANCE = 0.02  # share of the usual gap; headers round positions to about 0.01 mm
GAP_FLOOR_MM = 0.02
TILT_TOLERANCE_DEGREES = 0.25
DIRECTION_TOLERANCE = 1e-3  # cosines of slices of one series may differ by rounding only


@dataclass(frozen=True)
class Series:
    """One sorted series.

    Args:
        frames: per time point the slices, ascending along the normal.
        positions: (z, 3) LPS mm of the slices.
        across: (3, 2) steps of one column and one row in mm.
        normal: unit vector, right-handed with the rows and columns.
        gap_mm: usual distance of slices along the normal.
        repairs: codes of what had to be assumed.
        uneven: what is wrong with the gaps, "" if nothing.
        tilted: what is wrong with the tilt, "" if nothing.
    """

    frames: tuple[tuple[DicomFrame, ...], ...]
    positions: NDArray[np.float64]
    across: NDArray[np.float64]
    normal: NDArray[np.float64]
    gap_mm: float
    repairs: tuple[str, ...] = ()
    uneven: str = ""
    tilted: str = ""

    @property
    def heights(self) -> NDArray[np.float64]:
        """Position of each slice along the normal in mm, from the first."""
        return np.asarray((self.positions - self.positions[0]) @ self.normal)


def arrange(place: str, frames: list[DicomFrame]) -> Series:
    """Sort the frames of one file or folder into a series.

    Raises:
        DataError: `localizer`, `mixed_series`, `unreadable`.
    """
    _check_alike(place, frames)
    first = frames[0]
    if first.position is None or first.orientation is None or first.pixel_mm is None:
        raise DataError(
            "no_space",
            f"{place}: {first.modality} images lack position, orientation or pixel spacing",
        )
    row, column = np.array(first.orientation[:3]), np.array(first.orientation[3:])
    row, column = row / np.linalg.norm(row), column / np.linalg.norm(column)
    normal = np.cross(row, column)
    times = _by_time(place, frames, normal)
    positions = np.array([f.position for f in times[0]], dtype=np.float64)
    across = np.stack([row * first.pixel_mm[1], column * first.pixel_mm[0]], axis=1)
    if len(positions) == 1:
        gap = first.thickness_mm or 1.0
        repairs = () if first.thickness_mm else ("spacing_assumed",)
        return Series(times, positions, across, normal, gap, repairs)
    gaps = np.diff((positions - positions[0]) @ normal)
    gap = float(np.median(gaps))
    return Series(
        times, positions, across, normal, gap,
        uneven=_uneven(gaps, gap), tilted=_tilted(positions, normal, across),
    )  # fmt: skip


def _check_alike(place: str, frames: list[DicomFrame]) -> None:
    """Refuse scouts, and slices of several series, patients or grids."""
    scouts = [f for f in frames if f.is_localizer]
    if scouts:
        raise DataError(
            "localizer",
            f"{place}: {len(scouts)} of {len(frames)} images are scouts (ImageType LOCALIZER), first "
            f"{scouts[0].path}; name the folder of the axial series, or move the scouts out",
        )
    first = frames[0]
    for frame in frames:
        same_grid = frame.size == first.size and _close(frame.pixel_mm, first.pixel_mm)
        if frame.series != first.series or frame.modality != first.modality:
            raise DataError(
                "mixed_series",
                f"{place}: {first.path} and {frame.path} belong to different series or patients; "
                "put each series in a folder of its own",
            )
        if not same_grid or not _close(frame.orientation, first.orientation):
            raise DataError(
                "mixed_series",
                f"{place}: {first.path} and {frame.path} differ in size, pixel spacing or orientation; "
                "put each volume in a folder of its own",
            )


def _close(a: tuple[float, ...] | None, b: tuple[float, ...] | None) -> bool:
    if a is None or b is None:
        return a is b
    return bool(np.allclose(a, b, rtol=0, atol=DIRECTION_TOLERANCE))


def _by_time(
    place: str, frames: list[DicomFrame], normal: NDArray[np.float64]
) -> tuple[tuple[DicomFrame, ...], ...]:
    """Group by time point, sort along the normal, and check that all have the same places."""
    groups: dict[int, list[tuple[float, DicomFrame]]] = defaultdict(list)
    for frame in frames:
        if frame.position is None:
            raise DataError("no_space", f"{frame.path}: has no ImagePositionPatient")
        groups[frame.time].append((float(np.array(frame.position) @ normal), frame))
    times = []
    for _, group in sorted(groups.items()):
        group.sort(key=lambda item: (item[0], item[1].path, item[1].index))
        for (low, one), (high, other) in pairwise(group):
            if high - low < GAP_FLOOR_MM / 2:
                raise DataError(
                    "mixed_series",
                    f"{place}: {one.path} and {other.path} lie at the same place; "
                    "remove copies, or give each time point its own folder",
                )
        times.append(group)
    heights = [[height for height, _ in group] for group in times]
    if any(len(h) != len(heights[0]) or not np.allclose(h, heights[0], atol=0.1) for h in heights):
        raise DataError(
            "mixed_series", f"{place}: time points differ in their slices; export them again"
        )
    return tuple(tuple(frame for _, frame in group) for group in times)


def _uneven(gaps: NDArray[np.float64], gap: float) -> str:
    """Say what is wrong with the gaps between slices."""
    worst = int(np.argmax(np.abs(gaps - gap)))
    if abs(gaps[worst] - gap) <= max(GAP_TOLERANCE * gap, GAP_FLOOR_MM):
        return ""
    return (
        f"gaps between slices range from {gaps.min():.2f} to {gaps.max():.2f} mm "
        f"(usually {gap:.2f}; worst between slices {worst} and {worst + 1})"
    )


def _tilted(
    positions: NDArray[np.float64], normal: NDArray[np.float64], across: NDArray[np.float64]
) -> str:
    """Say whether slices slide sideways as they ascend."""
    way = positions[-1] - positions[0]
    cosine = float(way @ normal / np.linalg.norm(way))
    degrees = float(np.degrees(np.arccos(min(1.0, cosine))))
    if degrees > TILT_TOLERANCE_DEGREES:
        return f"the gantry is tilted by {degrees:.1f} degrees"
    line = positions[0] + np.outer((positions - positions[0]) @ normal, way) / (way @ normal)
    slip = float(np.linalg.norm(positions - line, axis=1).max())
    if slip > 0.5 * float(np.linalg.norm(across, axis=0).min()):
        return f"slices slip sideways by up to {slip:.1f} mm"
    return ""
