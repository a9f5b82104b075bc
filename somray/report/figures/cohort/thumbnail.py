"""A subject's small picture: its latest session, seen from the front where there is PET, else its largest slice."""

import numpy as np
from numpy.typing import NDArray

from somray.kernels.objects.found import LESION
from somray.report.data import ScanPixels, SubjectData
from somray.report.data.projections import project
from somray.report.drawing.blocks import Thumbnail
from somray.report.drawing.display import DisplayWindow, grey, presets
from somray.report.drawing.style import CALLS, OUTLINES
from somray.report.drawing.thumbnails import thumbnail

__all__ = ["subject_thumbnail"]

HOT_SUV = 8.0
UPPER_PERCENT = 99.5


def subject_thumbnail(subjects: list[SubjectData]) -> Thumbnail | None:
    """Draw the latest done session of the first protocol that has one; None where none has."""
    for subject in subjects:
        for scan in reversed(subject.done):
            pixels = subject.scan(scan["session"])
            if pixels is not None:
                return _drawn(subject, scan["session"], pixels)
    return None


def _drawn(subject: SubjectData, session: str, pixels: ScanPixels) -> Thumbnail:
    channel = pixels.uptake_channel(subject.config.modality)
    if channel is not None and "objects" in pixels.labels:
        return _projected(subject, session, pixels, channel)
    return _sliced(subject, session, pixels)


def _projected(subject: SubjectData, session: str, pixels: ScanPixels, channel: int) -> Thumbnail:
    """Draw the projection from the front, as the subject's page has it, so that it is read once."""
    rows = subject.rows("objects", session=session, t=0)
    calls = {r["object_id"]: r["called"] for r in rows}
    seen = project(pixels, channel, 0, calls)[0]
    known = seen.image[np.isfinite(seen.image)]
    high = float(np.percentile(known, UPPER_PERCENT)) if known.size else 1.0
    unit = pixels.units[channel]
    high = min(high, HOT_SUV) if unit == "SUVbw" else high
    window = DisplayWindow("uptake", 0.0, high if high > 0 else 1.0, unit, inverted=True)
    masks = {CALLS[LESION].colour: seen.masks[LESION]} if LESION in seen.masks else {}
    count = sum(call == LESION for call in calls.values())
    alt = (
        f"Subject {subject.subject}, session {session}: projection from the front, {count} lesions."
    )
    return thumbnail(grey(seen.image, window), masks, seen.frame, alt)


def _sliced(subject: SubjectData, session: str, pixels: ScanPixels) -> Thumbnail:
    areas = subject.target_areas(session)
    middle = (0, pixels.meta.shape[2] // 2)
    t, z = max(areas, key=lambda key: (areas[key], -key[0], -key[1]), default=middle)
    if not areas or areas[t, z] == 0:
        t, z = middle
    image = pixels.image(t, z)[0]
    chosen = pixels.meta.windows[0] if pixels.meta.windows else None
    window = presets(pixels.units[0], chosen, image)[0]
    mask = _mask(subject, pixels, t, z)
    masks = {} if mask is None else {OUTLINES["student"].colour: mask}
    told = "with the most target" if areas and areas[t, z] > 0 else "in the middle, without target"
    alt = f"Subject {subject.subject}, session {session}: slice {z}, {told}."
    return thumbnail(grey(image, window), masks, pixels.frame, alt)


def _mask(subject: SubjectData, pixels: ScanPixels, t: int, z: int) -> NDArray[np.bool_] | None:
    """Return the lesions of a slice, or the target as it is drawn while lesions are not there yet."""
    lesions = pixels.label("lesions", t, z) if t == 0 else None
    if lesions is not None:
        return np.asarray(lesions > 0)
    student = pixels.label("student", t, z)
    if student is not None and subject.config.segment == "student":
        return np.asarray(student > 0)
    som, teacher = pixels.label("som", t, z), subject.teacher
    if som is None or teacher is None:
        return None
    return np.asarray(som == teacher.value_of(subject.config.teacher.target))
