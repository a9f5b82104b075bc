"""Which instances count as lesions: one smallest volume for all sessions of a subject, with a margin.

A lesion near the smallest volume measures a little more in one session and a little less in the next:
voxels at its border are counted whole or not at all. Were every session judged alone, such a lesion would
vanish and come back. So a part below the smallest volume counts all the same where it continues a lesion of a
neighbouring session that nothing else continues, unless next to nothing is left of that lesion (the
double threshold of Canny, "A computational approach to edge detection", 1986, carried over to time).
"""

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from somray.kernels.evolution.common_frame import PlacedLesions
from somray.kernels.evolution.links import Link, same_place_links
from somray.kernels.evolution.overlaps import Overlaps

__all__ = ["lesions_that_count"]

LEAST_LEFT = 0.2  # of a lesion, where what is left of it is below the smallest volume


def lesions_that_count(
    sessions: Sequence[PlacedLesions], least_mm3: float, min_overlap: float, overlaps: Overlaps
) -> list[NDArray[np.bool_]]:
    """Tell which instances of each session count as lesions.

    Args:
        sessions: all instances of each session, in time order, in one frame.
        least_mm3: smallest volume of a lesion.
        min_overlap: share of the smaller of two that makes them the same.
        overlaps: what pairs of sessions share.

    Returns:
        Per session (m,) bool over its `numbers`.
    """
    least = least_mm3 * (1.0 - 1e-9)  # a volume is a count times a product of three spacings
    whole = [s.volume_mm3 >= least for s in sessions]
    order = range(len(sessions))
    for steps in (list(order), list(reversed(order))):
        for here, there in itertools.pairwise(steps):
            if whole[here].any() and not whole[there].all():
                pair = (sessions[here], sessions[there])
                links = same_place_links(pair[0].only(whole[here]), pair[1], min_overlap, overlaps)
                whole[there] |= _continued(pair, whole[here], whole[there], links)
    return whole


def _continued(
    pair: tuple[PlacedLesions, PlacedLesions],
    lesions: NDArray[np.bool_],
    known: NDArray[np.bool_],
    links: Sequence[Link],
) -> NDArray[np.bool_]:
    """Find the parts of the second session by which alone a lesion of the first one goes on."""
    volumes = pair[0].volume_mm3[lesions], pair[1].volume_mm3
    held = {link.before for link in links if known[link.after]}
    best: dict[int, Link] = {}
    for link in links:
        least = LEAST_LEFT * volumes[0][link.before] * (1.0 - 1e-9)
        enough = volumes[1][link.after] >= least
        if link.before not in held and enough:
            best[link.before] = min(best.get(link.before, link), link, key=lambda k: k.rank)
    found = np.zeros(len(known), dtype=bool)
    found[[link.after for link in best.values()]] = True
    return found
