"""Frames to a series: one volume per time point, slices ascending along the normal, evenly spaced.

What does not make one volume is refused with a code: scouts, several series or patients, several grids, two
acquisitions between each other. Uneven gaps and gantry tilt are found here; whether they are refused or
resampled is the reader's choice. Slices are sorted by where they lie, never by number or name.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from somray.errors import DataError
from somray.io.readers.dicom.frame import DicomFrame
from somray.io.readers.dicom.orders import POSITION, interleaving, lost_places, sorted_alike

__all__ = ["Series", "arrange"]

GAP_TOLERANCE = 0.02  # share of the usual gap; headers round positions to about 0.01 mm
GAP_FLOOR_MM = 0.02
GAP_FLOOR_SHARE = 0.1  # of the gap, where voxels are so small that the floor would hide anything
ROUNDED_MM, ROUNDED_SHARE = 0.075, 0.15  # from the line through positions of one decimal; of a gap
SAME_PLACE_MM, SAME_PLACE_SHARE = 0.01, 0.05  # the latter of a pixel
SAME_TIME_MM, SAME_TIME_SHARE = 0.1, 0.1  # time points may round differently; the latter of a gap
TILT_TOLERANCE_DEGREES = 0.25
DIRECTION_TOLERANCE = 1e-3  # cosines of slices of one series may differ by rounding only
SPACING_TOLERANCE_MM, SPACING_TOLERANCE = 1e-3, 5e-3  # the latter as a share
SQUARE_TOLERANCE = 0.01  # cosine between rows and columns


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


def arrange(place: str, frames: Sequence[DicomFrame]) -> Series:
    """Sort the frames of one file or folder into a series.

    Raises:
        DataError: `localizer`, `mixed_series`, `no_space`.
    """
    _check_alike(place, frames)
    first = frames[0]
    pixel_mm = first.pixel_mm or (1.0, 1.0)
    repairs = _check_placed(place, frames)
    row, column, normal = _directions(place, first)
    times, code = _by_time(place, frames, normal)
    repairs += code
    positions = np.array([f.position or (0.0, 0.0, 0.0) for f in times[0]], dtype=np.float64)
    across = np.stack([row * pixel_mm[1], column * pixel_mm[0]], axis=1)
    if len(positions) == 1:
        gap = first.thickness_mm or 1.0
        repairs += () if first.thickness_mm else ("thickness_assumed",)
        return Series(times, positions, across, normal, gap, repairs)
    gaps = np.diff((positions - positions[0]) @ normal)
    gap = float(np.median(gaps))
    uneven = _uneven(gaps, gap)
    repairs += _check_woven(place, times[0], uneven=bool(uneven))
    if uneven and _is_rounded(positions, normal):
        gap, uneven = float(np.mean(gaps)), ""
    return Series(
        times, positions, across, normal, gap, repairs,
        uneven=uneven, tilted=_tilted(positions, normal, across),
    )  # fmt: skip


def _check_placed(place: str, frames: Sequence[DicomFrame]) -> tuple[str, ...]:
    """Refuse slices that lack position, orientation or pixel spacing; one slice needs no position."""
    for frame in frames:
        have = {
            "PixelSpacing (0028,0030)": frame.pixel_mm,
            "ImagePositionPatient (0020,0032)": frame.position,
            "ImageOrientationPatient (0020,0037)": frame.orientation,
        }
        if frame.pixel_mm is not None and min(frame.pixel_mm) <= 0:
            raise DataError(
                "no_space",
                f"{frame.path}: PixelSpacing (0028,0030) is not above 0; correct the header",
            )
        lacking = [name for name, value in have.items() if value is None]
        is_alone = len(frames) == 1 and frame.pixel_mm is not None
        if lacking and is_alone:
            return ("position_assumed",)
        if lacking:
            raise DataError(
                "no_space",
                f"{frame.path}: the {frame.modality or 'unnamed'} image lacks {', '.join(lacking)}; SliceLocation and "
                "ImagerPixelSpacing cannot stand in for them; correct the header",
            )
    if lost := lost_places(frames):
        raise DataError(
            "no_space",
            f"{place}: all {len(frames)} slices have the same ImagePositionPatient (0020,0032){lost}: their places "
            "were lost, as some anonymisers do; export the series again",
        )
    return ()


def _directions(place: str, frame: DicomFrame) -> tuple[NDArray[np.float64], ...]:
    """Return unit vectors along rows, along columns, and across both."""
    cosines = np.reshape(frame.orientation or (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), (2, 3))
    lengths = np.linalg.norm(cosines, axis=1)
    if lengths.min() > 0:
        row, column = cosines / lengths[:, None]
        if abs(float(row @ column)) <= SQUARE_TOLERANCE:
            return row, column, np.cross(row, column)
    raise DataError(
        "no_space",
        f"{place}: ImageOrientationPatient (0020,0037) of {frame.path} is not a row and a column at "
        "right angles; correct the header",
    )


def _check_alike(place: str, frames: Sequence[DicomFrame]) -> None:
    """Refuse scouts, and slices of several series, patients, stacks or grids."""
    scouts = [f for f in frames if f.is_localizer]
    if scouts:
        raise DataError(
            "localizer",
            f"{place}: {len(scouts)} of {len(frames)} images are scouts (ImageType LOCALIZER), first "
            f"{scouts[0].path}; name the folder of the axial series, or move the scouts out",
        )
    first = frames[0]
    for frame in frames:
        is_same = frame.size == first.size and _same_spacing(frame.pixel_mm, first.pixel_mm)
        if frame.series != first.series or frame.modality != first.modality:
            what = "belong to different series or patients; put each series in a folder of its own"
        elif not is_same or not _close(frame.orientation, first.orientation):
            what = "differ in size, pixel spacing or orientation; put each volume in a folder of its own"
        elif dict(frame.traits).get("StackID") != dict(first.traits).get("StackID"):
            what = "are of several stacks (StackID); export each by itself"
        else:
            continue
        raise DataError("mixed_series", f"{place}: {_pair(first, frame)} {what}")


def _pair(one: DicomFrame, other: DicomFrame) -> str:
    """Name two slices for a message."""
    if one.path == other.path:
        return f"frames {one.index + 1} and {other.index + 1} of {one.path}"
    return f"{one.path} and {other.path}"


def _close(a: tuple[float, ...] | None, b: tuple[float, ...] | None) -> bool:
    if a is None or b is None:
        return a is b
    return bool(np.allclose(a, b, rtol=0, atol=DIRECTION_TOLERANCE))


def _same_spacing(a: tuple[float, ...] | None, b: tuple[float, ...] | None) -> bool:
    if a is None or b is None:
        return a is b
    allowed = [min(SPACING_TOLERANCE_MM, SPACING_TOLERANCE * abs(mm)) for mm in b]
    return all(abs(x - y) <= most for x, y, most in zip(a, b, allowed, strict=True))


def _by_time(
    place: str, frames: Sequence[DicomFrame], normal: NDArray[np.float64]
) -> tuple[tuple[tuple[DicomFrame, ...], ...], tuple[str, ...]]:
    """Part into time points, each ascending along the normal, and check that all have the same places."""
    height = {id(f): float(np.array(f.position or (0.0, 0.0, 0.0)) @ normal) for f in frames}
    same_mm = min(SAME_PLACE_MM, SAME_PLACE_SHARE * min(frames[0].pixel_mm or (1.0,)))
    groups: dict[float, list[DicomFrame]] = defaultdict(list)
    for frame in frames:
        groups[dict(frame.orders).get(POSITION, 0.0)].append(frame)
    times: list[list[DicomFrame]] = []
    code: tuple[str, ...] = ()
    for _, group in sorted(groups.items()):
        group.sort(key=lambda f: (height[id(f)], f.path, f.index))
        places: list[list[DicomFrame]] = [[group[0]]]
        for low, high in pairwise(group):
            if height[id(high)] - height[id(low)] < same_mm:
                places[-1].append(high)
            else:
                places.append([high])
        if len(places) == len(group):
            times.append(group)
            continue
        found, name = _repeated(place, places, alone=len(groups) == 1)
        times += found
        code = (name,)
    _check_kinds(place, times)
    heights = [np.array([height[id(f)] for f in time]) for time in times]
    allowed = SAME_TIME_MM
    if len(heights[0]) > 1:
        allowed = min(allowed, SAME_TIME_SHARE * float(np.median(np.diff(heights[0]))))
    if any(len(h) != len(heights[0]) or abs(h - heights[0]).max() > allowed for h in heights):
        raise DataError(
            "mixed_series", f"{place}: time points differ in their slices; export them again"
        )
    return tuple(tuple(time) for time in times), code


def _check_kinds(place: str, times: Sequence[Sequence[DicomFrame]]) -> None:
    """Refuse echoes, kernels, or magnitude and phase as time points of each other."""
    first = times[0][0]
    for time in times[1:]:
        other = time[0]
        pairs = [(n, _kind(n, v), _kind(n, dict(other.traits).get(n, ""))) for n, v in first.traits]
        unlike = [name for name, one, two in pairs if one != two]
        if unlike:
            raise DataError(
                "mixed_series",
                f"{place}: {_pair(first, other)} are no time points of one measurement: they differ in "
                f"{', '.join(unlike)}; give each kind a folder of its own",
            )


def _kind(name: str, value: str) -> str:
    """Return what of a trait makes another kind of image: of its types the first, such as M and P."""
    return value.partition("\\")[0] if name == "ImageType" else value


def _repeated(
    place: str, places: list[list[DicomFrame]], *, alone: bool
) -> tuple[list[list[DicomFrame]], str]:
    """Part slices that repeat their places into time points, or refuse them with two of them named."""
    one, other = next(p for p in places if len(p) > 1)[:2]
    unlike = [n for n, v in one.traits if v != dict(other.traits).get(n)]
    if one.instance == other.instance and one.path != other.path:
        what, remedy = "are copies of one image", "remove the copies"
    elif unlike:
        what, remedy = f"lie at the same place and differ in {', '.join(unlike)}", "part them"
    else:
        what = "lie at the same place"
        remedy = "remove copies, or give each time point its own folder"
        is_even = len({len(p) for p in places}) == 1
        found = sorted_alike(places) if alone and is_even else None
        if found is not None:
            return found
    raise DataError("mixed_series", f"{place}: {_pair(one, other)} {what}; {remedy}")


def _check_woven(place: str, frames: Sequence[DicomFrame], *, uneven: bool) -> tuple[str, ...]:
    """Refuse, for CT and PET, two acquisitions between each other; MR is measured so, and it is noted."""
    field = interleaving(frames, uneven=uneven)
    if not field:
        return ()
    if frames[0].modality not in ("CT", "PT") and field.startswith(("Acquisition", "Content")):
        return ("acquisitions_woven",)
    raise DataError(
        "mixed_series",
        f"{place}: slices of two acquisitions lie between each other (they differ in {field}), such as "
        f"{frames[0].path} and {frames[1].path}; give each acquisition a folder of its own",
    )


def _uneven(gaps: NDArray[np.float64], gap: float) -> str:
    """Say what is wrong with the gaps between slices."""
    worst = int(np.argmax(np.abs(gaps - gap)))
    floor_mm = min(GAP_FLOOR_MM, GAP_FLOOR_SHARE * gap)
    if abs(gaps[worst] - gap) <= max(GAP_TOLERANCE * gap, floor_mm):
        return ""
    return (
        f"gaps between slices range from {gaps.min():.4g} to {gaps.max():.4g} mm "
        f"(usually {gap:.4g}; worst between slices {worst} and {worst + 1})"
    )


def _is_rounded(positions: NDArray[np.float64], normal: NDArray[np.float64]) -> bool:
    """Whether slices lie evenly but for a header that holds tenths of a millimetre: 0.6, 1.2, 1.9, 2.5."""
    moving = positions[:, np.ptp(positions, axis=0) > 0]
    if not np.allclose(moving, np.round(moving, 1), rtol=0, atol=1e-6):
        return False
    places, heights = np.arange(len(positions)), (positions - positions[0]) @ normal
    step, start = np.polyfit(places, heights, 1)
    allowed = ROUNDED_MM * float(np.abs(normal).sum())
    off = float(np.abs(heights - start - step * places).max())
    return bool(off <= allowed <= ROUNDED_SHARE * step)


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
