"""What truly changed between two consecutive sessions, told by identities and the masks' volumes."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from somray.phantom.lesions import Course
from somray.phantom.session import PhantomEvent

__all__ = ["true_events", "volumes"]

CHANGE_FRACTION = 0.3
"""Relative change of volume above which a lesion counts as growing or shrinking (configuration's default)."""


def volumes(mask: NDArray[np.int32], voxel_mm3: float) -> dict[int, float]:
    """Return the volume in mm³ of each lesion of a mask."""
    counts: Counter[int] = Counter()
    for plane in mask:
        found = np.bincount(plane.ravel())
        counts.update({i: int(n) for i, n in enumerate(found) if i > 0 and n > 0})
    return {i: float(n) * voxel_mm3 for i, n in sorted(counts.items())}


def true_events(
    old: Mapping[int, float] | None, new: Mapping[int, float], session: int,
    courses: tuple[Course, ...],
) -> tuple[PhantomEvent, ...]:  # fmt: skip
    """Say what changed since the session before, by identities and volumes; nothing where there was none."""
    if old is None:
        return ()
    pairs = {c.ids[0]: c for c in courses if c.kind in ("merged", "split")}
    partner = {c.ids[0]: c.ids[1] for c in pairs.values()} | {
        c.ids[1]: c.ids[0] for c in pairs.values()
    }
    found = []
    for lesion in sorted(old.keys() | new.keys()):
        other = partner.get(lesion, 0)
        linked: tuple[int, ...] = (other,)
        if {lesion, other} <= old.keys() and len({lesion, other} & new.keys()) == 1:
            change = "merged"
        elif other in new and other not in old and lesion in old:
            change = "split"
        elif lesion not in old and other in old:
            continue  # told by the lesion that split
        else:
            change, linked = _plain_change(old.get(lesion), new.get(lesion)), ()
        found.append(
            PhantomEvent(
                change, lesion, session - 1, session, linked, old.get(lesion), new.get(lesion)
            )
        )
    return tuple(found)


def _plain_change(before: float | None, after: float | None) -> str:
    if before is None:
        return "new"
    if after is None:
        return "resolved"
    change = (after - before) / before
    if change > CHANGE_FRACTION:
        return "enlarging"
    return "shrinking" if change < -CHANGE_FRACTION else "stable"
