"""The automatic way: cheap evidence first, keypoints where it does not convince.

Next to the identity first (neighbouring slices), then a search over turns, scales and shifts at thumbnail
size; both refined on intensities. A mirror image of the moving slice is tried the same way: bodies are
nearly symmetric, so a flipped slice aligns well, but its mirror image aligns better.
"""

import numpy as np
from numpy.typing import NDArray

from somray.kernels.registration import coarse, evidence
from somray.kernels.registration.intensity import local_contrast, refine
from somray.kernels.registration.prepare import Level, Prepared
from somray.kernels.registration.verdict import Candidate

__all__ = ["NEAR_ENOUGH", "Search", "best_of", "is_clear", "is_convincing", "lead"]

Matrix = NDArray[np.float64]

_THUMBNAIL = 80  # pixels: starts are refined and ranked at the first level within that
_STARTS = 8
_KEPT = 5  # of the starts, after a few steps on the level they were found on
_FINALISTS = 2
_SEARCH_STEPS = 8
_THUMB_STEPS = 10
_FINER_STEPS = 10
_FULL_STEPS = 6
_HOPELESS = 0.25  # structure at thumbnail size below which the finer levels are not worth a step
_AFFINE_GAIN = 0.2  # share of the unexplained structure that affine must explain to be believed
NEAR_ENOUGH = 0.65  # structure next to the identity that makes a search elsewhere needless
_AFFINE_LEAST = 0.03  # and at least this much structure
_CLEAR_STRUCTURE, _CLEAR_STRENGTH = 0.85, 5.0  # no flipped or unrelated slice came near
_CONVINCING_STRUCTURE, _CONVINCING_STRENGTH, _CONVINCING_LEAD = 0.45, 2.2, 0.15


def is_clear(candidate: Candidate, shape: tuple[int, int]) -> bool:
    """Tell whether nothing else needs to be asked."""
    return (
        candidate.is_near(shape)
        and candidate.structure >= _CLEAR_STRUCTURE
        and candidate.evidence.strength >= _CLEAR_STRENGTH
    )


def is_convincing(
    candidate: Candidate | None,
    rival: Candidate | None,
    least_structure: float = _CONVINCING_STRUCTURE,
) -> bool:
    """Tell whether a motion explains enough, and leads its mirror image by enough, to stop searching."""
    return (
        candidate is not None
        and candidate.structure >= least_structure
        and candidate.evidence.strength >= _CONVINCING_STRENGTH
        and lead(candidate, rival) >= _CONVINCING_LEAD
    )


def lead(candidate: Candidate, rival: Candidate | None) -> float:
    """Return by how much a motion explains more than the best mirror image, in Fisher's z.

    The mirror image has the same outline and the same texture but no true correspondence: what it
    reaches is what chance and shape alone can give.
    """
    if rival is None:
        return float("inf")
    both = np.arctanh(np.clip([candidate.structure, rival.structure], -0.999, 0.999))
    return float(both[0] - both[1])


class Search:
    """Two prepared slices, and what intensities say about the motion between them."""

    def __init__(self, fixed: Prepared, moving: Prepared) -> None:
        self._fixed, self._moving = fixed, moving
        self._searched = min(coarse.search_level(fixed), coarse.search_level(moving))
        self._thumb = min(coarse.level_within(s, _THUMBNAIL) for s in (fixed, moving))
        self._judge = max(0, self._thumb - 1)  # the level that structure is compared on

    def near(self) -> Candidate | None:
        """Refine from the identity."""
        begin = self._ranked(self._moving, [np.eye(3)], self._thumb, _THUMB_STEPS)
        if not begin or begin[0].structure < _HOPELESS:
            return None
        return self.finished(begin[0].sampling)

    def far(self) -> Candidate | None:
        """Search all turns, scales and shifts."""
        thumbs = self._found(self._moving, [])[:_FINALISTS]
        return best_of([self.finished(c.sampling) for c in thumbs])

    def mirrored(self, thorough: bool) -> Candidate | None:
        """Align the mirror image of the moving slice: from where it lies, or searched for everywhere."""
        reflected = _reflected(self._moving)
        if thorough:
            thumbs = self._found(reflected, [np.eye(3)])
        else:
            thumbs = self._ranked(reflected, [np.eye(3)], self._thumb, _THUMB_STEPS)
        if not thumbs:
            return None
        levels = ((self._judge, _FINER_STEPS),)
        refined = refine(self._fixed, reflected, thumbs[0].sampling, "similarity", levels)
        if refined is None:
            return None
        return Candidate(refined, evidence.weigh(self._fixed, reflected, refined, self._judge))

    def finished(self, sampling: Matrix) -> Candidate | None:
        """Refine a similarity over the finer levels, to the end on local contrast."""
        levels = tuple((k, _FINER_STEPS if k else _FULL_STEPS) for k in range(self._judge, -1, -1))
        refined = refine(self._fixed, self._moving, sampling, "similarity", levels)
        return None if refined is None else self.assessed(self._sharpened(refined), "similarity")

    def simplest(self, best: Candidate) -> Candidate:
        """Keep the similarity unless an affine motion explains clearly more."""
        levels = ((self._judge, _FINER_STEPS),) + (((0, _FULL_STEPS),) if self._judge else ())
        refined = refine(self._fixed, self._moving, best.sampling, "affine", levels[:1])
        if refined is None:
            return best
        richer = self.assessed(refined, "affine")
        gained = richer.structure - best.structure
        if gained < _AFFINE_LEAST or gained < _AFFINE_GAIN * (1.0 - best.structure):
            return best
        refined = refine(self._fixed, self._moving, refined, "affine", levels[1:])
        return richer if refined is None else self.assessed(refined, "affine")

    def assessed(self, sampling: Matrix, model: str) -> Candidate:
        """Weigh a motion."""
        weighed = evidence.weigh(self._fixed, self._moving, sampling, self._judge)
        return Candidate(sampling, weighed, model)

    def _sharpened(self, sampling: Matrix) -> Matrix:
        """Let edges of all strengths count alike: what skin and bone do not decide alone."""
        full = Prepared((local_contrast(self._fixed.full),))
        other = Prepared((local_contrast(self._moving.full),))
        refined = refine(full, other, sampling, "similarity", ((0, _FULL_STEPS),))
        return sampling if refined is None else refined

    def _found(self, moving: Prepared, more: list[Matrix]) -> list[Candidate]:
        """Search, and refine what is promising at thumbnail size; the best explained first."""
        begin = [s.sampling for s in coarse.starts(self._fixed, moving, _STARTS)]
        first = self._ranked(moving, more + begin, self._searched, _SEARCH_STEPS)
        kept = [c.sampling for c in first[:_KEPT]]
        return self._ranked(moving, kept, self._thumb, _THUMB_STEPS)

    def _ranked(
        self, moving: Prepared, begin: list[Matrix], level: int, steps: int
    ) -> list[Candidate]:
        """Refine starts on one level and rank them by the structure they explain."""
        found = []
        for sampling in begin:
            refined = refine(self._fixed, moving, sampling, "similarity", ((level, steps),))
            if refined is not None:
                weighed = evidence.weigh(self._fixed, moving, refined, level, evidence.OUTLINES)
                found.append(Candidate(refined, weighed))
        return sorted(found, key=lambda c: -c.structure)


def best_of(candidates: list[Candidate | None]) -> Candidate | None:
    """Return the candidate that explains most structure; None where there is none."""
    there = [c for c in candidates if c is not None]
    return max(there, key=lambda c: c.structure) if there else None


def _reflected(slice_: Prepared) -> Prepared:
    """Reflect a slice left to right, levels and all."""
    return Prepared(
        tuple(
            Level(level.image[:, ::-1].copy(), level.weight[:, ::-1].copy(), level.step)
            for level in slice_.levels
        )
    )
