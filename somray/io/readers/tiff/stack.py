"""Which plane of a TIFF is which slice of which time point.

Axes have tifffile's letters: T time, Z slices, I and Q pages that nobody named, C channels, S samples.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.errors import DataError

__all__ = ["channel_index", "series_of", "stack_of", "untold_pages"]

_STACK_AXES = "ZIQ"
_NAMES = {"C": "channels", "S": "samples per pixel", "T": "time points", "Z": "slices"}


def series_of(path: Path, file: Any) -> tuple[str, tuple[int, ...], list[Any]]:  # Any: tifffile
    """Choose the images of a file: not its thumbnails and smaller levels.

    Returns:
        Axes and sizes without those of the page itself, and the pages.

    Raises:
        DataError: `mixed_series`: several images that differ.
    """
    found = [s for s in file.series if not all(_is_small(page) for page in s.pages)]
    found = [s for s in found if s.name not in ("Thumbnail", "Label", "Macro")] or found
    if not found:
        raise DataError("unreadable", f"{path}: holds no image of full size")
    if len(found) == 1:
        key = found[0].keyframe
        inner = [a for a in key.axes if a in found[0].axes]
        lead = len(found[0].axes) - len(inner)
        return found[0].axes[:lead], tuple(found[0].shape[:lead]), list(found[0].pages)
    pages = [page for s in found for page in s.pages]
    kinds = {(tuple(s.keyframe.shape), str(s.dtype)) for s in found}
    alone = all(len(s.pages) == 1 for s in found) or all(s.kind == "generic" for s in found)
    if len(kinds) > 1 or not alone:
        shapes = ", ".join("×".join(str(n) for n in s.shape) for s in found[:4])
        raise DataError(
            "mixed_series",
            f"{path}: holds {len(found)} images ({shapes}…), not one stack; split it",
        )
    pages.sort(key=lambda page: int(np.atleast_1d(page.index)[0]))
    return "I", (len(pages),), pages


def untold_pages(file: Any, pages: list[Any]) -> tuple[str, ...]:  # Any: tifffile
    """Tell by a code where a file holds more pages like those of its one image than its description counts."""
    key = pages[0].keyframe
    told = file.series[0].size // key.size
    if len(file.series) != 1 or len(file.pages) <= told:
        return ()
    first = 1 + max(int(np.atleast_1d(page.index)[0]) for page in pages[:told])
    more = (page.aspage() for page in file.pages[first:])
    is_alike = any((p.shape, p.dtype) == (key.shape, key.dtype) and not _is_small(p) for p in more)
    return ("surplus_ignored",) if is_alike else ()


def _is_small(page: Any) -> bool:  # Any: tifffile
    """Whether a page is a thumbnail or a smaller level of another."""
    return page is not None and bool(page.keyframe.is_reduced)


def channel_index(path: object, names: list[str], count: int, channel: str | None) -> int:
    """Choose one of several channels by its name, as far as they have names, or its number from 0.

    Raises:
        DataError: `unreadable`: nobody chose, or there is no such channel.
    """
    if channel is None and count == 1:
        return 0
    if channel is not None and names.count(channel) == 1:
        return names.index(channel)
    if channel is not None and channel.isdecimal() and int(channel) < count:
        return int(channel)
    known = ", ".join(names) or f"0 to {count - 1}"
    asked = "" if channel is None else f", none of them {channel!r}"
    raise DataError(
        "unreadable",
        f"{path}: holds {count} channels ({known}){asked}; choose one by `#channel=` at the end of the path "
        "(number from 0, or name); slices that were saved as channels must be saved as slices",
    )


def stack_of(
    path: Path,
    axes: str,
    sizes: tuple[int, ...],
    channel: tuple[str | None, list[str]],
    *,
    timed: bool,
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Order the planes of one channel by time and slice.

    Args:
        path: for messages.
        axes: of the series, slowest first, without y and x.
        sizes: along them.
        channel: which one was asked for, and the names of all.
        timed: the file names the time between frames; where it does not, frames of one slice each are
            slices, which is what most writers mean.

    Returns:
        (t, z) number of each plane in the series, and codes of what was assumed.

    Raises:
        DataError: `unreadable`: axes of another meaning, or several channels and none chosen.
    """
    numbers: NDArray[np.int64] = np.arange(math.prod(sizes), dtype=np.int64).reshape(sizes)
    kept = ""
    for letter, size in zip(axes, sizes, strict=True):
        place = len(kept)
        if letter == "C":
            chosen = channel_index(path, channel[1], size, channel[0])
            numbers = np.asarray(np.take(numbers, chosen, axis=place))
        elif size == 1 and letter != "T":
            numbers = np.asarray(np.take(numbers, 0, axis=place))
        elif letter in "T" + _STACK_AXES:
            kept += "T" if letter == "T" else "Z"
        else:
            what = _NAMES.get(letter, f"an axis {letter}")
            raise DataError(
                "unreadable",
                f"{path}: has {size} {what}; time, slices, y and x of one channel are read",
            )
    if "C" not in axes and channel[0] is not None:
        channel_index(path, channel[1], 1, channel[0])
    if kept.count("Z") > 1 or kept.count("T") > 1:
        raise DataError(
            "unreadable", f"{path}: has axes {axes}YX; which of them are slices is not said"
        )
    shape = dict(zip(kept, numbers.shape, strict=True))
    numbers = numbers.T if kept == "ZT" else numbers
    numbers = numbers.reshape(shape.get("T", 1), shape.get("Z", 1))
    if numbers.shape[0] > 1 and numbers.shape[1] == 1 and not timed:
        return numbers.T, ("frames_as_slices",)
    return numbers, ()
