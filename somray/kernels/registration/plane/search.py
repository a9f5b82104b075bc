"""The automatic way: cheap evidence first, keypoints where it does not convince.

Next to the identity first (neighbouring slices), then a search over turns, scales and shifts at thumbnail
size; both refined on intensities. Mirror images of the slice are tried the same way: bodies are
nearly symmetric, so a flipped slice aligns well, but its mirror image aligns better. Where the sides are
known, wrong turns of the slice are tried instead.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from somray.kernels.registration.plane import evidence, starts
from somray.kernels.registration.plane.patches import vote
from somray.kernels.registration.plane.prepare import Prepared, level_within
from somray.kernels.registration.plane.refine import refine, sharpened
from somray.kernels.registration.plane.verdict import Candidate, is_other

__all__ = ["PlaneSearch", "best_of"]

Matrix = NDArray[np.float64]
Poses = tuple[starts.Pose, ...]

_THUMBNAIL = 80  # pixels: starts are refined and ranked at the first level within that
_STARTS, _RIVAL_STARTS = 8, 4
_KEPT, _RIVAL_KEPT = 3, 2  # of the starts, after a few steps
_FINALISTS = 2
_FIRST_STEPS = 5
_THUMB_STEPS = 10
_JUDGE_STEPS = 8
_FINER_STEPS = 24
_FULL_STEPS = 10
_ROWS, _JUDGE_ROWS = 128, 64  # a level with more rows gives every second one, and so on
_AFFINE_GAIN = 0.2  # share of the unexplained structure that affine must explain to be believed
_AFFINE_LEAST = 0.03  # and at least this much structure
_NEAR_BY = 0.3  # structure at thumbnail size, from the identity: worth judging by itself
# Structure and strength that no flipped or unrelated slice came near: bench_registration.py.
_CLEAR_NEAR, _CLEAR_FAR = (0.85, 5.0), (0.75, 3.0)
_SYMMETRIC = 0.7  # of a motion's structure: a mirror image that reaches more is asked in full
_CLEAR_SHARE = 0.6  # of the patches must agree, too


class PlaneSearch:
    """Two prepared slices, and what intensities say about the motion between them."""

    def __init__(self, fixed: Prepared, moving: Prepared) -> None:
        self._fixed, self._moving = fixed, moving
        self._thumb = min(level_within(s, _THUMBNAIL) for s in (fixed, moving))
        self._judge = max(0, self._thumb - 1)  # the level that structure is compared on
        self._coarse: starts.Coarse | None = None
        self._begun: list[Candidate] = []

    def near(self) -> Candidate | None:
        """Refine from the identity, up to the level that motions are judged on; None where hopeless."""
        self._begun = self._ranked([np.eye(3)], _THUMB_STEPS)
        if not self._begun or self._begun[0].structure < _NEAR_BY:
            return None
        return self.judged(self._begun[0].sampling)

    def far(self) -> Candidate | None:
        """PlaneSearch all turns, scales and shifts, up to the level that motions are judged on."""
        poses = self._starts(starts.IDENTITY, _STARTS)
        thumbs = [*self._found(poses, _KEPT), *self._begun]
        thumbs = sorted(thumbs, key=lambda c: -c.structure)[:_FINALISTS]
        return best_of([self.judged(c.sampling) for c in thumbs])

    def judged(self, sampling: Matrix, model: str = "similarity") -> Candidate | None:
        """Refine a motion up to the level that motions are judged on."""
        for index in range(self._thumb, self._judge - 1, -1):
            refined = self._refined(sampling, index, _JUDGE_STEPS, model)
            if refined is None:
                return None
            sampling = refined
        return self.assessed(sampling, model)

    def rivals(self, poses: Poses, best: Candidate | None, thorough: bool) -> list[Candidate]:
        """Align wrongly laid images of the fixed slice: from where they lie, or searched for everywhere.

        Args:
            poses: `starts.MIRRORS` or `starts.WRONG_TURNS`.
            best: what they are the rivals of; a wrong turn that is led back to it is none.
            thorough: search over all turns, scales and shifts.

        Returns:
            At most one candidate per pose.
        """
        found = []
        for pose in poses:
            if thorough:
                thumbs = self._found(self._starts(pose, _RIVAL_STARTS), _RIVAL_KEPT)
            else:
                thumbs = self._ranked([starts.posed(pose, self._fixed.shape)], _THUMB_STEPS)
            other = [c for c in thumbs if best is None or is_other(c.sampling, best.sampling)]
            found += [self.judged(c.sampling) for c in other[:1]]
        return [c for c in found if c is not None]

    def rivals_at(self, poses: Poses, best: Candidate) -> list[Candidate]:
        """Align wrongly laid images from where a motion lies that was not searched for."""
        turned = [starts.posed(pose, self._fixed.shape) for pose in poses]
        found = [self.judged(best.sampling @ wrong) for wrong in turned]
        return [c for c in found if c is not None]

    def finished(self, best: Candidate, coarsest_only: bool = False) -> Candidate:
        """Refine a motion to the end, on local contrast: skin and bone do not decide alone.

        Args:
            best: a motion refined up to the level that motions are judged on.
            coarsest_only: stop on that level.
        """
        sampling = best.sampling
        for index in range(self._judge, self._judge - 1 if coarsest_only else -1, -1):
            steps = _FINER_STEPS if index else _FULL_STEPS
            refined = self._refined(sampling, index, steps, best.model, sharp=True)
            sampling = sampling if refined is None else refined
        return replace(best, sampling=sampling)

    def simplest(self, best: Candidate) -> Candidate:
        """Keep the similarity unless an affine motion explains clearly more."""
        refined = self._refined(best.sampling, self._judge, _FINER_STEPS, "affine")
        if refined is None:
            return best
        richer = self.assessed(refined, "affine")
        gained = richer.structure - best.structure
        if gained < _AFFINE_LEAST or gained < _AFFINE_GAIN * (1.0 - best.structure):
            return best
        return richer

    def assessed(self, sampling: Matrix, model: str) -> Candidate:
        """Weigh a motion."""
        weighed = evidence.weigh(self._fixed, self._moving, sampling, self._judge)
        return Candidate(sampling, weighed, model)

    def is_clear(self, candidate: Candidate) -> bool:
        """Tell whether nothing else needs to be asked, not even the mirror images in full."""
        near = candidate.is_near(self._fixed.shape)
        structure, strength = _CLEAR_NEAR if near else _CLEAR_FAR
        if candidate.structure < structure or candidate.evidence.strength < strength:
            return False
        votes = self.voted(candidate).votes  # equal outlines alone reach as much
        agreed = votes is not None and votes.share >= _CLEAR_SHARE
        return agreed and not self._is_symmetric(candidate)

    def _is_symmetric(self, candidate: Candidate) -> bool:
        """Tell, at thumbnail size, whether a mirror image may fit as well where the motion lies."""
        poses = [starts.posed(pose, self._fixed.shape) for pose in starts.MIRRORS]
        own, *mirrors = (
            self._ranked([candidate.sampling @ pose], _FIRST_STEPS) for pose in (np.eye(3), *poses)
        )
        reached = max((c.structure for found in mirrors for c in found), default=0.0)
        return bool(own) and reached > _SYMMETRIC * own[0].structure

    def voted(self, candidate: Candidate) -> Candidate:
        """Let the patches vote on a motion."""
        votes = vote(self._fixed, self._moving, candidate.sampling, self._judge)
        return replace(candidate, votes=votes)

    def _starts(self, pose: starts.Pose, keep: int) -> list[starts.Start]:
        if self._coarse is None:
            self._coarse = starts.Coarse(self._fixed, self._moving)
        return self._coarse.starts(pose, keep)

    def _found(self, begun: list[starts.Start], keep: int) -> list[Candidate]:
        """Refine what is promising at thumbnail size; the best explained first."""
        first = self._ranked([s.sampling for s in begun], _FIRST_STEPS)
        return self._ranked([c.sampling for c in first[:keep]], _THUMB_STEPS)

    def _ranked(self, begin: list[Matrix], steps: int) -> list[Candidate]:
        """Refine starts at thumbnail size and rank them by the structure they explain."""
        found = []
        for sampling in begin:
            refined = self._refined(sampling, self._thumb, steps)
            if refined is not None:
                weighed = evidence.weigh(
                    self._fixed, self._moving, refined, self._thumb, evidence.OUTLINES
                )
                found.append(Candidate(refined, weighed))
        return sorted(found, key=lambda c: -c.structure)

    def _refined(self, sampling: Matrix, index: int, steps: int, model: str = "similarity",
                 sharp: bool = False) -> Matrix | None:  # fmt: skip
        fixed, moving = (
            sharpened(s, index) if sharp else s.plain(index) for s in (self._fixed, self._moving)
        )
        rows = _ROWS if sharp else _JUDGE_ROWS
        stride = max(1, round(fixed.plane.shape[0] / rows))
        return refine(fixed, moving, sampling, steps, model, stride)


def best_of(candidates: Sequence[Candidate | None]) -> Candidate | None:
    """Return the candidate that explains most structure; None where there is none."""
    there = [c for c in candidates if c is not None]
    return max(there, key=lambda c: c.structure) if there else None
