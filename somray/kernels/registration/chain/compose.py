"""Pairs of neighbouring slices composed along z to one reference slice.

A chain of pairs drifts: each pair is right to a fraction of a pixel, and what anatomy does from slice to slice
(organs shift, heads taper, a limb lies askew) looks like motion. Over a hundred slices that adds up to
centimetres, although scanners place slices exactly. So what a step shares with the steps around it, the median
over ten on either side, is how the body lies; only what departs from that can be a misplaced slice. And it counts
only where it moves its slice farther than the step's own uncertainty. For small motions the unexplained share
of the images, 1 − ncc, grows with the square of what is left to move; a step of length m that brings it from
1 − before to 1 − after is therefore uncertain by

    u = m · √((1 − after) / (after − before)),

and m ≤ u means that it explains less than it leaves unexplained. A step that is shorter than its departure (a
slice that stays where all others move on) says little of that by itself: it is no less uncertain than the steps
around it, whose gains and squared lengths are summed for that. Where most steps of a chain count, the slices
lie loose (sections, moved by hand): all steps count as found, and what is slow of where they lead is taken out
again, since slices lie loose about their places in the file while anatomy and errors add up. Where a model
was named, nothing is taken out.

Before that, steps are checked: a direct motion from a slice to the next but one (`bridges`) must agree with the
two steps between. A step that all its triangles speak against, or that was refused, is repaired from a
triangle that leaves it out, else from its two neighbours where they agree. What cannot be repaired cuts the
chain: slices beyond have no motion to the reference, rather than an invented one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.kernels.registration.chain.repair import Step, cycle_errors, repaired, tolerance_px
from somray.kernels.registration.chain.steady import REACH, slow_motions, without_slow
from somray.kernels.registration.plane.motions import moved_mm, normalised, rigid_part

__all__ = ["Chain", "ChainedSlice", "compose", "counts"]

Matrix = NDArray[np.float64]

_LOOSE_SHARE = 0.5  # of the steps: with more than that counting, the slices lie loose and all count
_LEAST_STEADY = 5  # steps: with fewer, one that jumps cannot be told from what they share
_USUAL_PX = 0.5  # of the median place: the reference is one of the slices that lie so


@dataclass(frozen=True, eq=False)
class ChainedSlice:
    """One slice of a chain.

    Args:
        matrix: (3, 3) its pixels to the reference slice's; None where nothing leads there.
        status: of its own step toward the reference: ok, weak or repaired; refused where none leads there.
        reason: why it is not ok.
        cycle_error_mm: mean distance between its two steps composed and the direct motion past it.
        drift_mm: way that its middle moves under `matrix`.
        walk_mm: way that it would move if every step counted as found.
    """

    matrix: Matrix | None
    status: str
    reason: str | None
    cycle_error_mm: float | None
    drift_mm: float | None
    walk_mm: float | None


@dataclass(frozen=True, eq=False)
class Chain:
    """All slices of a scan and the slice that they are brought to."""

    reference: int
    slices: tuple[ChainedSlice, ...]


@dataclass(frozen=True, eq=False)
class _Motion:
    """A motion of the chain: as every step was found, and only what counts of it."""

    found: Matrix
    counted: Matrix
    status: str = "ok"
    reason: str | None = None

    def after(self, near: "_Motion") -> "_Motion":
        """Return this step behind a slice's own way to the reference."""
        return _Motion(
            near.found @ self.found, near.counted @ self.counted, self.status, self.reason
        )

    def back(self) -> "_Motion":
        """Return the step the other way."""
        found, counted = (np.asarray(np.linalg.inv(m)) for m in (self.found, self.counted))
        return _Motion(found, counted, self.status, self.reason)


@dataclass(frozen=True, eq=False)
class _Join:
    """What joins slice `low` to slice `high` (one or two further): its motion takes high to low."""

    low: int
    high: int
    motion: _Motion


def counts(step: Step, shape: tuple[int, int], rigid: bool = True) -> bool:
    """Tell whether a step moves its slice farther than its own uncertainty; see the module's text."""
    if step.matrix is None:
        return False
    kept = rigid_part(step.matrix, shape) if rigid else step.matrix
    return _moved_px(kept, shape) > _uncertainty_px(step, shape)


def compose(
    steps: Sequence[Step],
    bridges: Mapping[int, Matrix | None],
    shape: tuple[int, int],
    spacing_mm: tuple[float, float],
    rigid: bool = True,
) -> Chain:
    """Bring every slice of a scan to one of them.

    Args:
        steps: of the pairs (z, z + 1), z from 0: one less than slices.
        bridges: z to the direct motion z + 2 → z, None where it was refused; only some z are there.
        shape: rows and columns of a slice.
        spacing_mm: (y, x) distance of pixel centres.
        rigid: whether only turns and shifts count. A scan's pixel size does not change from slice to
            slice: what looks like growth is anatomy that tapers. False keeps the steps' own model, all of it.

    Returns:
        One entry per slice; the reference is the slice nearest the middle of those that lie as most of the
        longest unbroken run do.
    """
    mended = repaired(steps, bridges, shape)
    joins, loose = _joins(mended, bridges, shape, rigid)
    run = _longest_run(len(steps) + 1, joins)
    reference = _reference(run, joins, shape, len(steps) / 2.0)
    placed = _placed(joins, reference)
    counted = {z: placed[z].counted for z in sorted(placed)}
    if rigid and loose:
        steady = without_slow(list(counted.values()), shape)
        counted = dict(zip(counted, steady, strict=True))
        back = np.linalg.inv(counted[reference])
        counted = {z: back @ matrix for z, matrix in counted.items()}
    errors = cycle_errors(steps, bridges, shape, spacing_mm)
    slices = []
    for z in range(len(steps) + 1):
        error = errors.get(z - 1)
        if z not in placed:
            why = _why(mended, z, reference)
            slices.append(ChainedSlice(None, "refused", why, error, None, None))
            continue
        own, walked = counted[z], placed[z]
        drift, walk = (_middle_mm(m, shape, spacing_mm) for m in (own, walked.found))
        slices.append(
            ChainedSlice(normalised(own), walked.status, walked.reason, error, drift, walk)
        )
    return Chain(reference, tuple(slices))


def _joins(
    steps: Sequence[Step], bridges: Mapping[int, Matrix | None], shape: tuple[int, int], rigid: bool
) -> tuple[list[_Join], bool]:
    """List what joins slices, in their order: steps, and bridges over a slice that both sides refused.

    Also tells whether the slices lie loose, so that all steps count, and as they were found.
    """
    whole = [None if s.matrix is None else _kept(s.matrix, shape, rigid) for s in steps]
    steady = [np.eye(3)] * len(steps)
    if rigid and sum(m is not None for m in whole) >= _LEAST_STEADY:
        steady = slow_motions(whole, shape)
    jumps = [None if m is None else np.linalg.inv(slow) @ m
             for slow, m in zip(steady, whole, strict=True)]  # fmt: skip
    clear = _clear(jumps, steps, shape)
    loose = sum(clear) > _LOOSE_SHARE * sum(m is not None for m in whole)
    joins = []
    for z, step in enumerate(steps):
        jump, own = jumps[z], whole[z]
        if jump is not None and own is not None and step.matrix is not None:
            believed = clear[z] or (step.ncc_after is None and _is_far(jump, shape))
            counted = own if loose else jump if believed else np.eye(3)
            motion = _Motion(normalised(step.matrix), counted, step.status, step.reason)
            joins.append(_Join(z, z + 1, motion))
            continue
        bridge = bridges.get(z)
        if bridge is not None and z + 1 < len(steps) and whole[z + 1] is None:
            own = _kept(bridge, shape, rigid)
            jump = np.linalg.inv(steady[z] @ steady[z + 1]) @ own
            counted = own if loose else jump if _is_far(jump, shape) else np.eye(3)
            reason = f"joined directly to slice {z}, past slice {z + 1}"
            joins.append(_Join(z, z + 2, _Motion(normalised(bridge), counted, "repaired", reason)))
    return joins, loose


def _kept(motion: Matrix, shape: tuple[int, int], rigid: bool) -> Matrix:
    found = normalised(motion)
    return rigid_part(found, shape) if rigid else found


def _is_far(motion: Matrix, shape: tuple[int, int]) -> bool:
    """Tell whether a motion without figures of its own goes farther than sound triangles gape."""
    return _moved_px(motion, shape) > tolerance_px(shape)


def _moved_px(motion: Matrix, shape: tuple[int, int]) -> float:
    return moved_mm(motion, shape, (1.0, 1.0))


def _clear(
    jumps: Sequence[Matrix | None], steps: Sequence[Step], shape: tuple[int, int]
) -> list[bool]:
    """Tell which departures from what is steady are longer than they are uncertain by."""
    told = [(0.0, 0.0) if s.matrix is None or s.ncc_before is None or s.ncc_after is None
            else (max(s.ncc_after - s.ncc_before, 0.0), _moved_px(s.matrix, shape) ** 2)
            for s in steps]  # fmt: skip
    found = []
    for n, (jump, step) in enumerate(zip(jumps, steps, strict=True)):
        length = 0.0 if jump is None else _moved_px(jump, shape)
        uncertain = _uncertainty_px(step, shape)
        if step.ncc_after is not None and length > told[n][1] ** 0.5:
            gained, squares = np.sum(told[max(0, n - REACH) : n + REACH + 1], axis=0)
            left = max(1.0 - step.ncc_after, 0.0)
            around = float(np.sqrt(left * squares / gained)) if gained > 0.0 else np.inf
            uncertain = max(uncertain, around)
        found.append(length > uncertain)
    return found


def _uncertainty_px(step: Step, shape: tuple[int, int]) -> float:
    """Return u of the module's text; infinite where a motion explains nothing or is not known."""
    if step.matrix is None or step.ncc_before is None or step.ncc_after is None:
        return float("inf")
    gained, left = step.ncc_after - step.ncc_before, 1.0 - step.ncc_after
    if gained <= 0.0:
        return float("inf")
    return _moved_px(step.matrix, shape) * float(np.sqrt(max(left, 0.0) / gained))


def _placed(joins: Sequence[_Join], reference: int) -> dict[int, _Motion]:
    """Walk from the reference to both ends."""
    placed = {reference: _Motion(np.eye(3), np.eye(3))}
    for join in joins:
        if join.low in placed and join.high > reference:
            placed[join.high] = join.motion.after(placed[join.low])
    for join in reversed(joins):
        if join.high in placed and join.low < reference:
            placed[join.low] = join.motion.back().after(placed[join.high])
    return placed


def _reference(
    run: Sequence[int], joins: Sequence[_Join], shape: tuple[int, int], middle: float
) -> int:
    """Return the slice nearest the middle of those that lie as most of the run do, to half a pixel.

    A misplaced slice as the reference would move all others.
    """
    placed = _placed(joins, run[0])
    centre = np.array([(shape[1] - 1) / 2.0, (shape[0] - 1) / 2.0, 1.0])
    there = np.array([placed[z].counted @ centre for z in run])
    there = there[:, :2] / there[:, 2:]
    apart = np.linalg.norm(there - np.median(there, axis=0), axis=1)
    usual = max(_USUAL_PX, float(apart.min()))
    lying = [z for z, far in zip(run, apart, strict=True) if far <= usual]
    return min(lying, key=lambda z: (abs(z - middle), z))


def _longest_run(slices: int, joins: Sequence[_Join]) -> list[int]:
    """Return the slices of the longest unbroken run; the one nearest the middle of equal ones."""
    runs: list[list[int]] = [[z] for z in range(slices)]
    for join in joins:
        runs[join.low].append(join.high)
        runs[join.high] = runs[join.low]
    middle = (slices - 1) / 2.0
    return max(runs, key=lambda run: (len(run), -min(abs(z - middle) for z in run), -run[0]))


def _why(steps: Sequence[Step], z: int, reference: int) -> str:
    """Say what cut a slice off."""
    toward = z - 1 if z > reference else z
    if 0 <= toward < len(steps) and steps[toward].matrix is None:
        pair = f"pair {toward}, {toward + 1}"
        return f"{pair} was refused and could not be repaired: {steps[toward].reason}"
    return "a pair between it and the reference slice was refused and could not be repaired"


def _middle_mm(matrix: Matrix, shape: tuple[int, int], spacing_mm: tuple[float, float]) -> float:
    middle = np.array([(shape[1] - 1) / 2.0, (shape[0] - 1) / 2.0])
    there = matrix @ (*middle, 1.0)
    apart = (there[:2] / there[2] - middle) * (spacing_mm[1], spacing_mm[0])
    return float(np.hypot(*apart))
