"""One slice by itself: what a beamline or a viewer asks about while it goes on."""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from somray.domain.brick import Brick
from somray.domain.geometry import Geometry
from somray.errors import ShapeError
from somray.io.ome.metadata import is_cut
from somray.kernels.features.view import ScanSlices
from somray.kernels.teacher.apply import scaled_windows
from somray.kernels.teacher.signature import drift_from
from somray.stages.answers.answer import Answer, class_legend, percent
from somray.stages.answers.fitted import Fitted
from somray.stages.segment.rows import count_slices

__all__ = ["SliceAsked", "answer_slice"]

THRESHOLD = 0.5  # probability from which the student says target, as in a run


@dataclass(frozen=True, eq=False)
class SliceAsked:
    """A slice, and how it is asked about.

    Args:
        image: (c, y, x) physical values, NaN where there is no data.
        spacing_mm: distance between pixels along (y, x).
        method: som, student or finetuned.
        level: lesion level of uptake of its scan, for PET; the teacher's own where left out.
    """

    image: NDArray[np.float32] = field(repr=False)
    spacing_mm: tuple[float, float]
    method: str = "som"
    level: float | None = None


def answer_slice(fitted: Fitted, asked: SliceAsked, threads: int = 1) -> Answer:
    """Answer about one slice; the bits do not depend on the threads.

    Raises:
        ShapeError: the slice does not fit the protocol, or the protocol needs more than one.
    """
    method = fitted.checked_method(asked.method)
    _check(fitted, asked, method)
    image = np.ascontiguousarray(asked.image, dtype=np.float32)
    seen = ScanSlices(image[None], asked.spacing_mm, asked.level)
    signed = fitted.labels(seen, threads)
    labels, sure, shown = signed.labels, signed.confidence, percent(signed.confidence)
    if method != "som":
        chance = _chance(fitted, asked, image, threads)
        labels = np.where(chance >= THRESHOLD, np.uint8(fitted.value), np.uint8(0))
        sure = np.abs(chance - THRESHOLD) / THRESHOLD
        shown = percent(np.maximum(chance, 1 - chance))
        shown[0, np.asarray(np.isnan(image).any(axis=0))] = 0
    _, rows, columns = image.shape
    whole = Brick.of_slices(0, 0, 1, (rows, columns))
    return Answer(
        protocol=fitted.protocol,
        method=method,
        classes=class_legend(fitted, method),
        target=fitted.target,
        value=fitted.value,
        labels=labels[None],
        confidence=shown[None],
        counts=count_slices(whole, labels, sure, fitted.value),
        geometry=Geometry.from_spacing((1, rows, columns), (1.0, *asked.spacing_mm)),
        drift=drift_from(fitted.teacher, signed.signature.drift),
        doubts=fitted.doubts,
        level=asked.level,
    )


def _chance(
    fitted: Fitted, asked: SliceAsked, image: NDArray[np.float32], threads: int
) -> NDArray[np.float32]:
    """Return what a network says (1, y, x)."""
    if asked.method == "finetuned":
        return fitted.tuned_chance(image, asked.spacing_mm, threads)[None]
    windows = scaled_windows(fitted.teacher, asked.level)
    return fitted.chance(image[None], asked.spacing_mm, windows, threads)


def _check(fitted: Fitted, asked: SliceAsked, method: str) -> None:
    """Refuse what one slice cannot tell."""
    image, channels = asked.image, fitted.channels
    if image.ndim != 3 or image.shape[0] != len(channels) or image.size == 0:
        raise ShapeError(
            f"a slice of this protocol is ({len(channels)}, y, x) with channels {', '.join(channels)}, "
            f"got shape {tuple(image.shape)}"
        )
    if is_cut((image.shape[0], image.shape[1], image.shape[2])):
        raise ShapeError("a slice of more than 64 MiB is labelled in pieces; use `somray apply`")
    if not all(math.isfinite(step) and step > 0 for step in asked.spacing_mm):
        raise ShapeError(f"spacing_mm must be two positive numbers, got {asked.spacing_mm}")
    if np.isinf(image).any():
        raise ShapeError("the slice holds infinite values; mark pixels without data as NaN")
    if fitted.teacher.dimensions == 3:
        raise ShapeError("this protocol looks at neighbouring slices; send the whole scan")
    if fitted.sees_volumes(method):
        raise ShapeError(f"method {method} of this protocol sees whole volumes; send the scan")
    level = asked.level
    if level is not None and not fitted.sees_uptake:
        raise ShapeError("level is for PET, and no channel of this protocol is")
    if level is not None and not (math.isfinite(level) and level > 0):
        raise ShapeError(f"level must be a positive uptake, got {level}")
