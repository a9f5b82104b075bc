"""Free space against what a run will write, before it writes anything.

A plan counts bytes as they lie in memory. Packed, images take a quarter to two thirds of that and labels next to
nothing (tests/benchmarks/LOG.md), so a plan is refused only where even a fifth of it does not fit, and is told of
where all of it would not.
"""

import os
import shutil
from pathlib import Path

from somray.errors import PlanError
from somray.io.storage import Storage

__all__ = ["space_note"]

LEAST_SHARE = 0.2
GIB = 2**30


def space_note(storage: Storage, size: int) -> str | None:
    """Compare what will be written with what is free, at an output on a local or shared file system.

    Args:
        storage: of the run; what lies there already counts as free, since it is written anew or kept.
        size: bytes that will be written at most.

    Returns:
        What people should know, None where all fits or the output is an object store.

    Raises:
        PlanError: it cannot fit.
    """
    if not storage.is_local:
        return None
    free = shutil.disk_usage(_nearest(Path(storage.root))).free
    if free < size:
        free += _held(storage.root)
    if free >= size:
        return None
    told = f"up to {size / GIB:.1f} GiB will be written, {storage.root} has {free / GIB:.1f} GiB"
    if free < LEAST_SHARE * size:
        raise PlanError(
            f"the plan cannot fit: {told}; free space, or write elsewhere (--set output=PLACE)"
        )
    return f"{told}; packed it takes a quarter to two thirds of that, so it may just fit"


def _nearest(place: Path) -> Path:
    """Return the nearest folder that exists."""
    while not place.exists():
        place = place.parent
    return place


def _held(root: str) -> int:
    """Add up what a run holds on disk."""
    total = 0
    for folder, _, files in os.walk(root):
        for name in files:
            try:
                total += os.lstat(os.path.join(folder, name)).st_blocks * 512
            except OSError:  # gone meanwhile
                continue
    return total
