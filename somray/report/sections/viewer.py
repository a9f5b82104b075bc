"""Linked planes of every session of a subject, aligned to each other, with masks that can be switched."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.domain.channel import channels_of
from somray.domain.teacher import TeacherModel
from somray.report.data import Row, ScanPixels, SubjectData, SubjectLesions
from somray.report.data.volume import SmallVolume, small_volume
from somray.report.drawing.blocks import Block, Section, Text
from somray.report.drawing.display import DisplayWindow, presets
from somray.report.drawing.style import OUTLINES, class_colours
from somray.report.drawing.viewer import (
    MASK_BITS,
    Viewer,
    level_values,
    levels_of,
    packed_labels,
    packed_levels,
    safe_json,
)

__all__ = ["MOST_VOXELS", "viewer_section"]

TITLE = "Look through the sessions"
MOST_VOXELS = 3_200_000  # of all sessions and channels together: about one megabyte of the page
MOST_SESSIONS = 12  # the first and the latest
MOST_LESIONS = 60
LEAST_SHARED = 0.5  # of the shorter box: what a session that was not aligned shares with the first
COARSER = 1.08  # per step, until everything fits
MASK_NAMES = {"student": "student, raw", "truth": "reference truth", "lesions": "lesions followed"}
# What is followed wears the student's colour elsewhere; the raw mask is off until it is asked for.
_LINES = {"student": OUTLINES["som"], "truth": OUTLINES["truth"], "lesions": OUTLINES["student"]}
_TOLD = (
    "Click into a picture to move the crosshair of all planes and sessions; the sliders and the arrow keys do the "
    "same. Volumes are reduced to fit into this page: they are for looking, not for measuring. Full resolution "
    "opens with the command view. Time index 0 of 4D scans."
)

Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SeenSession:
    """One session in the viewer.

    Args:
        scan: its row of `scans`.
        pixels: of the scan.
        volume: the small volume.
        to_common: 4×4 from its patient LPS to the reference session's; None where nothing leads there.
        note: why nothing does; "" where something does.
    """

    scan: Row
    pixels: ScanPixels
    volume: SmallVolume
    to_common: Matrix | None
    note: str


def viewer_section(
    subject: SubjectData, lesions: SubjectLesions, prefix: str
) -> tuple[Section, ...]:
    """Show a subject's sessions as linked planes; nothing where no session is done or nothing names its classes.

    Args:
        subject: of one protocol.
        lesions: of the same.
        prefix: of anchors.
    """
    teacher = subject.look
    found = [(scan, subject.scan(scan["session"])) for scan in subject.done]
    opened = [(scan, pixels) for scan, pixels in found if pixels is not None]
    if teacher is None or not opened:
        return ()
    left_out = max(0, len(opened) - MOST_SESSIONS)
    if left_out:
        opened = [*opened[:1], *opened[1 - MOST_SESSIONS :]]
    size = _block_mm([pixels for _, pixels in opened])
    places = _alignments(subject)
    seen = [
        SeenSession(scan, pixels, small_volume(pixels, size), *places(scan["session"]))
        for scan, pixels in opened
    ]
    blocks: list[Block] = [Text(_TOLD)]
    if left_out:
        blocks.append(Text(f"{left_out} sessions between the first and the latest are not shown."))
    label = f"Planes of subject {subject.subject}, protocol {subject.protocol}"
    blocks.append(Viewer(safe_json(_content(subject, lesions, teacher, seen)), label))
    return (Section(f"{prefix}-viewer", TITLE, tuple(blocks)),)


def _block_mm(scans: Sequence[ScanPixels]) -> float:
    """Choose the edge of a block: as fine as the voxels, coarser until all scans fit."""

    def voxels(size: float) -> int:
        total = 0
        for pixels in scans:
            _, channels, *shape = pixels.meta.shape
            steps = [max(1, round(size / s)) for s in pixels.meta.geometry.spacing_mm]
            blocks = (-(-n // step) for n, step in zip(shape, steps, strict=True))
            total += channels * math.prod(blocks)
        return total

    size = min(min(p.meta.geometry.spacing_mm) for p in scans)
    while voxels(size) > MOST_VOXELS:
        size *= COARSER
    return size


def _alignments(subject: SubjectData) -> Callable[[str], tuple[Matrix | None, str]]:
    """Return what leads from each session to the one that all are brought to."""
    rows = {r["session"]: r for r in subject.rows("alignment", kind="sessions")}

    def place(session: str) -> tuple[Matrix | None, str]:
        row = rows.get(session)
        if row is None:
            alone = len(subject.done) < 2
            return (np.eye(4), "") if alone else (None, "sessions were not registered")
        if row["matrix"] is None:
            return None, f"alignment refused: {row['reason']}"
        if len(row["matrix"]) != 16:
            return None, "registered in the plane of a slice, not in space"
        return np.asarray(row["matrix"], dtype=np.float64).reshape(4, 4), ""

    return place


def _content(
    subject: SubjectData,
    lesions: SubjectLesions,
    teacher: TeacherModel,
    seen: Sequence[SeenSession],
) -> dict[str, Any]:  # Any: JSON
    """Build what the script gets; the common frame is in mm along the reference's own upright axes."""
    first = next((s for s in seen if s.to_common is not None), seen[0])
    view = first.volume.to_world.copy()
    view[:3, :3] /= np.linalg.norm(view[:3, :3], axis=0)
    values, channels = _channels(teacher, seen)
    names = teacher.class_names
    masks = [n for n in MASK_BITS if any(n in s.volume.masks for s in seen)]
    return {
        "unit": first.pixels.frame.unit,
        "oriented": first.pixels.meta.anatomical,
        "channels": channels,
        "classes": [
            {"value": value, "name": names[value], "colour": colour}
            for value, colour in sorted(class_colours(names).items())
            if subject.teacher is not None
        ],
        "masks": [
            {
                "name": MASK_NAMES[n],
                "bit": MASK_BITS[n],
                "colour": _LINES[n].colour,
                "dash": bool(_LINES[n].dash),
                "shown": n != "student" or masks == ["student"],
            }
            for n in masks
        ],
        "sessions": [_session(s, first, view, values) for s in seen],
        "lesions": list(_lesions(lesions, first, view, seen)),
    }


def _channels(
    teacher: TeacherModel, seen: Sequence[SeenSession]
) -> tuple[list[Matrix], list[dict[str, Any]]]:  # Any: JSON
    """Return the values of the levels, and name, unit, values and windows of each channel."""
    first = seen[0].pixels
    all_values, told = [], []
    for number, channel in enumerate(channels_of(teacher.modality, first.meta.channels)):
        images = np.concatenate([s.volume.image[number].ravel() for s in seen])
        unit = first.units[number]
        windows = presets(unit, teacher.windows[number], images, channel.is_uptake)
        whole = _whole_range(images, unit, windows[0].inverted)
        values = level_values((*windows, whole))
        all_values.append(values)
        told.append(
            {
                "name": first.meta.channels[number],
                "unit": "" if unit == "raw" else unit,
                "uptake": channel.is_uptake,
                "values": [float(f"{v:.5g}") for v in values],
                "windows": [
                    {"name": w.name, "low": w.low, "high": w.high, "inverted": w.inverted}
                    for w in (*windows, whole)
                ],
            }
        )
    return all_values, told


def _whole_range(images: NDArray[np.float32], unit: str, inverted: bool) -> DisplayWindow:
    known = images[np.isfinite(images)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    return DisplayWindow("all values", low, high if high > low else low + 1.0, unit, inverted)


def _session(
    seen: SeenSession, first: SeenSession, view: Matrix, values: Sequence[Matrix]
) -> dict[str, Any]:  # Any: JSON
    """Pack one session: levels, labels, and where a point of the common frame lies in its blocks."""
    volume = seen.volume
    to_index = np.linalg.inv(volume.to_world)
    own, shift = to_index @ view, _shift(seen, first, view)
    own[:, 3] -= own[:, :3] @ shift
    laid = f"; its middle is laid on that of {first.scan['session']}" if shift.any() else ""
    aligned = None if seen.to_common is None else to_index @ np.linalg.inv(seen.to_common) @ view
    return {
        "name": seen.scan["session"],
        "day": seen.scan["days"],
        "note": seen.note + laid,
        "shape": list(volume.classes.shape),
        "aligned": None if aligned is None else _rounded(aligned),
        "own": _rounded(own),
        "block": [float(f"{s:.4g}") for s in volume.grid.spacing_mm],
        "channels": [
            packed_levels(levels_of(image, level))
            for image, level in zip(volume.image, values, strict=True)
        ],
        "labels": packed_labels(volume.classes, volume.masks),
    }


def _shift(seen: SeenSession, first: SeenSession, view: Matrix) -> Matrix:
    """Return the step (x, y, z in mm) that lays a session's middle on the first's; 0 where it may stay.

    A session that was not aligned and lies far off would leave most of every session's panels empty.
    """
    low, high = _box(seen.volume, view)
    first_low, first_high = _box(first.volume, view)
    shared = np.minimum(high, first_high) - np.maximum(low, first_low)
    near = shared >= LEAST_SHARED * np.minimum(high - low, first_high - first_low)
    if seen.to_common is not None or near.all():
        return np.zeros(3)
    return (first_low + first_high - low - high) / 2


def _box(volume: SmallVolume, view: Matrix) -> tuple[Matrix, Matrix]:
    """Return the lowest and highest corner (x, y, z) that a volume's blocks fill in the view."""
    depth, rows, columns = volume.classes.shape
    ends = itertools.product(*((-0.5, n - 0.5) for n in (columns, rows, depth)))
    corners = np.array([[*end, 1.0] for end in ends])
    placed = (corners @ (np.linalg.inv(view) @ volume.to_world).T)[:, :3]
    return placed.min(axis=0), placed.max(axis=0)


def _rounded(matrix: Matrix) -> list[float]:
    """Give the three rows that matter, to six decimals of a block."""
    return [round(float(v), 6) for v in matrix[:3].ravel()]


def _lesions(
    lesions: SubjectLesions, first: SeenSession, view: Matrix, seen: Sequence[SeenSession]
) -> Iterator[dict[str, Any]]:  # Any: JSON
    """Tell where the largest lesions lie in the common frame, with and without alignment."""
    to_view = np.linalg.inv(view)
    shifts = [_shift(s, first, view) for s in seen]
    place = {s.scan["session"]: n for n, s in enumerate(seen)}
    rows = lesions.lesion_rows(lesions.largest(MOST_LESIONS))
    for row in sorted(rows, key=lambda r: (r["lesion_id"], place.get(r["session"], 0))):
        if row["t"] != 0 or row["session"] not in place:
            continue
        number = place[row["session"]]
        world = np.array([*(row[f"centroid_{a}_mm"] for a in "xyz"), 1.0])
        common = seen[number].to_common
        told = {
            "id": row["lesion_id"],
            "session": number,
            "mm3": float(f"{row['volume_mm3']:.4g}"),
            "own": [round(float(v), 2) for v in (to_view @ world)[:3] + shifts[number]],
        }
        if common is not None:
            told["aligned"] = [round(float(v), 2) for v in (to_view @ common @ world)[:3]]
        yield told
