"""A scan's label groups: made empty before the first brick is drawn, named and marked after the last, then listed."""

from dataclasses import dataclass

from somray.domain.run import ScanPlace
from somray.domain.work import Result
from somray.io.ome.image import create_labels, finish_labels, list_labels
from somray.io.storage import Storage

__all__ = [
    "CONFIDENCE",
    "LabelItem",
    "PublishItem",
    "close_labels",
    "confidence_classes",
    "open_labels",
    "publish",
]

CONFIDENCE = "confidence"
"""The label group of the calibrated probability that a pixel of `labels/student` is right, in whole percent from
50 to 100, and 0 where there is no data."""


@dataclass(frozen=True)
class LabelItem:
    """One label group of one scan.

    Args:
        place: the scan.
        label: som, student, confidence or lesions.
        dtype: of the label's pixels.
        classes: label value to name, for the metadata; written at the end.
    """

    place: ScanPlace
    label: str
    dtype: str = "uint8"
    classes: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True)
class PublishItem:
    """The label groups of one scan that are complete."""

    place: ScanPlace
    labels: tuple[str, ...]


def confidence_classes() -> tuple[tuple[int, str], ...]:
    """Name the values of labels/confidence."""
    return (0, "no data"), *((percent, f"{percent} % sure") for percent in range(50, 101))


def open_labels(item: LabelItem, shared: object = None) -> Result:
    """Make an empty label group, removing what stood there; the student's confidence goes with it."""
    storage = Storage.at(item.place.root)
    if item.label == "student":
        storage.remove(f"{item.place.name}/labels/{CONFIDENCE}")
    create_labels(storage, item.place.name, item.label, item.dtype)
    return Result()


def close_labels(item: LabelItem, shared: object = None) -> Result:
    """Write names and colours of the classes and, last, the mark."""
    storage, classes = Storage.at(item.place.root), dict(item.classes)
    shades = {value: (*(value * 255 // 100,) * 3, 255) for value in classes}
    colors = shades if item.label == CONFIDENCE else None
    finish_labels(storage, item.place.name, item.label, classes, colors)
    return Result()


def publish(item: PublishItem, shared: object = None) -> Result:
    """List the labels for readers of OME-Zarr, once all of them are complete."""
    list_labels(Storage.at(item.place.root), item.place.name, item.labels)
    return Result()
