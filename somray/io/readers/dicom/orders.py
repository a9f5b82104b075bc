"""What tells the time points of a series apart, two acquisitions between each other, and slices that are not there.

Slices that repeat a place belong to time points where one number of the header (cardiac phase, b-value,
acquisition, time) sorts them alike at every place. Anything less is refused: which of two slices at one
place comes first is never guessed.

Headers are believed where they tell of more than there is. That every second slice is missing evenly leaves no gap; it
shows where two of them agree: slices are numbered in steps of two, and lie twice as far apart as their headers say.
Either alone is common in whole series (two echoes in turn; thin slices with room between).
"""

import contextlib
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from somray.errors import DataError
from somray.io.readers.dicom.clocks import clock_seconds, moment, moment_of_stamp
from somray.io.readers.dicom.dataset import Tags
from somray.io.readers.dicom.enhanced import FrameTags
from somray.io.readers.dicom.frame import DicomFrame

__all__ = [
    "ORIGIN",
    "POSITION",
    "interleaving",
    "lacking",
    "lost_places",
    "orders_of",
    "sorted_alike",
    "thinned",
]

POSITION = "TemporalPositionIdentifier"
LOCATION = "SliceLocation"
"""Sorts nothing; tells where places were lost."""
ORIGIN = "ImageType (original or derived)"
"""Parts images at one place; a volume may hold both, where a scanner calls the slices derived that it interpolates."""
_ANNOUNCED = ("NumberOfSlices", "NumberOfTimeSlices", "ImagesInAcquisition")
_SPREAD = ("InstanceNumber", "SpacingBetweenSlices", "SliceThickness")
"""These sort nothing either; they tell whether slices are missing."""

_CODES = {
    "TriggerTime": "time_by_trigger",
    "DiffusionBValue": "time_by_bvalue",
    "AcquisitionNumber": "time_by_acquisition",
    "FrameAcquisitionNumber": "time_by_acquisition",
    "AcquisitionTime": "time_by_acquisition",
    "FrameReferenceTime": "time_by_acquisition",
    "ContentTime": "time_by_content",
}
"""Orders in which they are asked, with the repair code of each."""

_TOLD = (POSITION, "TriggerTime", "DiffusionBValue")  # say that slices are time points
_SHARED = ("DiffusionBValue", "AcquisitionNumber", "FrameAcquisitionNumber")
"""The same numbers at every place."""
_IN_TURN = ("AcquisitionTime", "FrameReferenceTime", "ContentTime")
"""One whole volume after the other."""
MIDNIGHT_SECONDS = 43200.0  # times without date that span more than half a day cross midnight
MOST_GROUPS = 4  # of slices that share a time; more are how a scanner works its way along
PAUSE_SECONDS, PAUSE_RATIO = 5.0, 10.0  # times the usual time from slice to slice
BETWEEN = 0.5  # share of slices that lie between those of another acquisition
TOUCHING = 1e-9  # the same, of any slice
MISSING_SHARE = 1.5  # of their thickness: slices so far apart have room between
EVEN_SHARE = 0.05  # that gaps may differ from what is told, or from each other
_EPOCH = datetime(1900, 1, 1)


def orders_of(frame: FrameTags) -> tuple[tuple[str, float], ...]:
    """Collect the numbers by which a slice may belong to a time point."""
    tags, content, heart = frame.file, "FrameContentSequence", "CardiacSynchronizationSequence"
    found: dict[str, float | None] = {
        POSITION: _first(frame, POSITION, (content, "TemporalPositionIndex")),
        "TriggerTime": _first(frame, "TriggerTime", (heart, "NominalCardiacTriggerDelayTime")),
        "DiffusionBValue": _b_value(frame),
        "AcquisitionNumber": tags.number("AcquisitionNumber"),
        "FrameAcquisitionNumber": _first(frame, "", (content, "FrameAcquisitionNumber")),
        "AcquisitionTime": _acquired(frame),
        "FrameReferenceTime": tags.number("FrameReferenceTime"),
        "ContentTime": _seconds(tags.text("ContentDate"), tags.text("ContentTime")),
        LOCATION: _aside(tags, LOCATION),
        **{name: _aside(tags, name) for name in _ANNOUNCED},
        **{name: _aside(frame.holder("PixelMeasuresSequence", name), name) for name in _SPREAD},
    }
    if found["TriggerTime"] is None:
        name = "NominalPercentageOfCardiacPhase"
        found["TriggerTime"] = _first(frame, name, (heart, name))
    return tuple((name, value) for name, value in found.items() if value is not None)


def _first(frame: FrameTags, name: str, place: tuple[str, str]) -> float | None:
    item = frame.item(place[0])
    found = item.number(place[1]) if item is not None else None
    return frame.file.number(name) if found is None else found


def _aside(tags: Tags, name: str) -> float | None:
    """Return a number by which nothing is placed or sorted, so that a damaged one is as good as none."""
    try:
        return tags.number(name)
    except DataError:
        return None


def _b_value(frame: FrameTags) -> float | None:
    """Return the diffusion weighting: the standard's, Siemens', or GE's (first of four, 1e9 added by some)."""
    found = _first(frame, "DiffusionBValue", ("MRDiffusionSequence", "DiffusionBValue"))
    if found is not None:
        return found
    for place in ((0x0019, "SIEMENS MR HEADER", 0x0C), (0x0043, "GEMS_PARM_01", 0x39)):
        with contextlib.suppress(ValueError):
            return float(frame.file.private(*place)) % 1e5
    return None


def _acquired(frame: FrameTags) -> float | None:
    tags = frame.file
    content = frame.item("FrameContentSequence")
    stamps = [content.text("FrameAcquisitionDateTime")] if content is not None else []
    for stamp in (*stamps, tags.text("AcquisitionDateTime")):
        dated = moment_of_stamp(stamp)
        if dated is not None:
            return (dated - _EPOCH).total_seconds()
    return _seconds(tags.text("AcquisitionDate"), tags.text("AcquisitionTime"))


def _seconds(date: str, time: str) -> float | None:
    dated = moment(date, time)
    return clock_seconds(time) if dated is None else (dated - _EPOCH).total_seconds()


def lost_places(frames: Sequence[DicomFrame]) -> str:
    """Say why slices that all name one place cannot lie there, "" where they may.

    Time points of one slice do, but hardly at 0, 0, 0 with nothing but their clocks to part them: slices of a
    volume are made one after the other too.
    """
    if len(frames) < 2 or len({frame.position for frame in frames}) > 1:
        return ""
    orders = [dict(frame.orders) for frame in frames]
    if len({order.get(LOCATION) for order in orders} - {None}) == len(frames):
        return " and each another SliceLocation (0020,1041)"
    is_parted = any(len({order.get(name) for order in orders}) > 1 for name in _TOLD)
    are_copies = len({frame.instance for frame in frames}) < len(frames)
    if is_parted or are_copies or any(frames[0].position or (1.0,)):
        return ""
    return ", 0, 0, 0, and no TemporalPositionIdentifier (0020,0100) or TriggerTime makes them time points"


def sorted_alike(
    places: Sequence[Sequence[DicomFrame]],
) -> tuple[list[list[DicomFrame]], str] | None:
    """Sort the slices of every place into time points.

    Args:
        places: slices that share a place, the same count of them at each.

    Returns:
        Per time point one slice of each place, and the repair code of what sorted them; None where nothing
        does.
    """
    for name, code in _CODES.items():
        table = _table(places, name)
        if table is None or not _is_order(table, name):
            continue
        ranks = np.argsort(table, axis=1)
        times = range(table.shape[1])
        return [[places[p][ranks[p, t]] for p in range(len(places))] for t in times], code
    return None


def _table(places: Sequence[Sequence[DicomFrame]], name: str) -> NDArray[np.float64] | None:
    """Return one number per place and slice, None where one lacks it."""
    rows = [[dict(frame.orders).get(name) for frame in place] for place in places]
    if any(value is None for row in rows for value in row):
        return None
    table = np.array(rows, dtype=np.float64)
    if name.endswith("Time") and table.max() < 86400 and np.ptp(table) > MIDNIGHT_SECONDS:
        table[table < MIDNIGHT_SECONDS] += 86400
    return table


def _is_order(table: NDArray[np.float64], name: str) -> bool:
    """Whether the numbers differ at every place, and in the way that time points do."""
    ordered = np.sort(table, axis=1)
    if (np.diff(ordered, axis=1) <= 0).any():
        return False
    if name in _SHARED:
        return bool((ordered == ordered[0]).all())
    if name in _IN_TURN:
        return bool((ordered[:, :-1].max(axis=0) <= ordered[:, 1:].min(axis=0)).all())
    return True


def interleaving(frames: Sequence[DicomFrame], *, uneven: bool = False) -> str:
    """Say what parts a volume into acquisitions that lie between each other, "" if nothing does.

    Args:
        frames: of one volume, ascending; all at different places.
        uneven: their gaps differ: acquisitions that overlap at their ends do not continue each other.

    Returns:
        The name of the field that tells them apart.
    """
    keys: dict[str, list[float | str | None]] = {}
    for name in ("AcquisitionNumber", "AcquisitionTime", "ContentTime"):
        values = [dict(frame.orders).get(name) for frame in frames]
        keys[name] = list(_runs(values) if name.endswith("Time") else values)
    for name in (name for name, _ in frames[0].traits if name != ORIGIN):
        keys[name] = [dict(frame.traits).get(name) or None for frame in frames]
    for name, found in keys.items():
        groups: dict[float | str, list[int]] = {}
        for z, value in enumerate(found):
            if value is not None:
                groups.setdefault(value, []).append(z)
        is_parted = 2 <= len(groups) <= MOST_GROUPS and min(map(len, groups.values())) > 1
        least = TOUCHING if uneven and name == "AcquisitionNumber" else BETWEEN
        pairs = combinations(groups.values(), 2)
        if is_parted and any(_between(*pair) >= least for pair in pairs):
            return name
    return ""


def _runs(times: list[float | None]) -> list[float | None]:
    """Number the runs of slices that a pause parts: a scanner at work makes a slice every moment."""
    known = sorted(t for t in times if t is not None)
    if len(known) < len(times) or len(known) < MOST_GROUPS:
        return [None] * len(times)
    gaps = np.diff(known)
    pause = max(PAUSE_RATIO * float(np.median(gaps)), PAUSE_SECONDS)
    ends = np.array(known[1:])[gaps > pause]
    return [float(np.searchsorted(ends, t, side="right")) for t in times if t is not None]


def _between(one: list[int], other: list[int]) -> float:
    """Return the share of slices of each acquisition that lie between slices of the other; the lesser of both."""
    return min(sum(b[0] < z < b[-1] for z in a) / len(a) for a, b in ((one, other), (other, one)))


def lacking(times: Sequence[Sequence[DicomFrame]], heights: NDArray[np.float64]) -> tuple[str, ...]:
    """Return a repair code where headers tell of more slices, or of more between these, than are here."""
    told = [dict(frame.orders) for time in times for frame in time]
    there = Counter(one.get("AcquisitionNumber") for one in told)
    first = told[: len(times[0])]
    numbers = [int(one["InstanceNumber"]) for one in first if "InstanceNumber" in one]
    spacing, thickness = (first[0].get(name, np.nan) for name in _SPREAD[1:])
    is_thin = len(numbers) == len(first) and thinned(heights, numbers, spacing, thickness) > 1
    for one in told:
        slices = one.get("NumberOfSlices", 0.0) * max(1.0, one.get("NumberOfTimeSlices", 1.0))
        acquired = one.get("ImagesInAcquisition", 0.0)
        is_less = len(told) < acquired > there[one.get("AcquisitionNumber")]
        if is_thin or is_less or len(told) < slices:
            return ("slices_missing",)
    return ()


def thinned(
    heights: NDArray[np.float64], numbers: Sequence[int], spacing_mm: float, thickness_mm: float
) -> int:
    """Return by how much slices are numbered and spread evenly beyond what they tell; 1 where they are not.

    Args:
        heights: ascending, in mm.
        numbers: of the slices, InstanceNumber.
        spacing_mm: SpacingBetweenSlices, NaN where nothing tells it.
        thickness_mm: SliceThickness, NaN where nothing tells it.
    """
    steps, gaps = {b - a for a, b in pairwise(numbers)}, np.diff(heights)
    if len(numbers) < 3 or len(steps) != 1 or np.ptp(gaps) > EVEN_SHARE * gaps.mean():
        return 1
    step, gap = abs(steps.pop()), float(gaps.mean())
    if np.isfinite(spacing_mm):
        is_spread = abs(gap - step * abs(spacing_mm)) <= EVEN_SHARE * gap
    else:  # without the missing ones they would touch or overlap; now there is room between
        is_spread = MISSING_SHARE * thickness_mm < gap <= (1 + EVEN_SHARE) * step * thickness_mm
    return step if step > 1 and is_spread else 1
