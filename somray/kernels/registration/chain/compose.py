"""Pairs of neighbouring slices composed along z to one reference slice.

A chain of pairs drifts: each pair is right to a fraction of a pixel, and what anatomy does from slice to slice
(organs shift, heads taper) looks like motion. Over a hundred slices that adds up to centimetres, although
scanners place slices exactly. So a step counts only where it moves its slice farther than its own
uncertainty. For small motions the unexplained share of the images, 1 − ncc, grows with the square of what is
left to move; a step of length m that brings it from 1 − before to 1 − after is therefore uncertain by

    u = m · √((1 − after) / (after − before)),

and m ≤ u means that it explains less than it leaves unexplained. Where most steps of a chain count, the slices
lie loose (sections, moved by hand): all steps count, and what is slow of where they lead is taken out again,
since slices lie loose about their places in the file while anatomy and errors add up. Where a model was
named, nothing is taken out.

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
from somray.kernels.registration.chain.steady import Place, steadied
from somray.kernels.registration.plane.motions import moved_mm, normalised, rigid_part

__all__ = ["Chain", "Link", "compose", "counts"]

Matrix = NDArray[np.float64]

_LOOSE_SHARE = 0.5  # of the steps: with more than that counting, the slices lie loose and all count


_USUAL_PX = 0.5  # of the median place: the reference is one of the slices that lie so


@dataclass(frozen=True, eq=False)
class Link:
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
    links: tuple[Link, ...]


@dataclass(frozen=True, eq=False)
class _Join:
    """What joins slice `low` to slice `high` (one or two further): matrix takes high to low."""

    low: int
    high: int
    found: Matrix
    counted: Matrix
    status: str
    reason: str | None


def counts(step: Step, shape: tuple[int, int], rigid: bool = True) -> bool:
    """Tell whether a step moves its slice farther than its own uncertainty; see the module's text."""
    if step.matrix is None:
        return False
    uncertain = _uncertainty_px(step, shape)
    kept = rigid_part(step.matrix, shape) if rigid else step.matrix
    return uncertain is not None and moved_mm(kept, shape, (1.0, 1.0)) > uncertain


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
            slice: what looks like growth is anatomy that tapers. False keeps the steps' own model.

    Returns:
        A link per slice; the reference is the slice nearest the middle of those that lie as most of the
        longest unbroken run do.
    """
    mended = repaired(steps, bridges, shape)
    loose = _lie_loose(mended, shape, rigid)
    joins = _joins(mended, bridges, shape, (rigid, loose))
    slices = len(steps) + 1
    run = _longest_run(slices, joins)
    reference = _reference(run, joins, shape, (slices - 1) / 2.0)
    errors = cycle_errors(steps, bridges, shape, spacing_mm)
    placed = _placed(joins, reference)
    if rigid and loose:
        placed = steadied(placed, reference, shape)
    links = [
        _link(placed.get(z), errors.get(z - 1), shape, spacing_mm, _why(mended, z, reference))
        for z in range(slices)
    ]
    return Chain(reference, tuple(links))


def _lie_loose(steps: Sequence[Step], shape: tuple[int, int], rigid: bool) -> bool:
    believed = [counts(step, shape, rigid) for step in steps if step.matrix is not None]
    return sum(believed) > _LOOSE_SHARE * len(believed)


def _joins(
    steps: Sequence[Step],
    bridges: Mapping[int, Matrix | None],
    shape: tuple[int, int],
    kind: tuple[bool, bool],
) -> list[_Join]:
    """List what joins slices, in their order: steps, and bridges over a slice that both sides refused.

    `kind` tells whether only rigid parts count, and whether all steps do.
    """
    rigid, loose = kind
    joins = []
    for z, step in enumerate(steps):
        if step.matrix is not None:
            count = step.ncc_after is None and _far(step.matrix, shape, rigid)
            count = count or loose or counts(step, shape, rigid)
            joins.append(_join((z, z + 1), step, count, shape, rigid))
            continue
        bridge = bridges.get(z)
        if bridge is not None and z + 1 < len(steps) and steps[z + 1].matrix is None:
            over = Step(bridge, "repaired", f"joined directly to slice {z}, past slice {z + 1}")
            count = loose or _far(bridge, shape, rigid)
            joins.append(_join((z, z + 2), over, count, shape, rigid))
    return joins


def _far(motion: Matrix, shape: tuple[int, int], rigid: bool) -> bool:
    """Tell whether a motion without figures of its own goes farther than sound triangles gape."""
    kept = rigid_part(motion, shape) if rigid else motion
    return moved_mm(kept, shape, (1.0, 1.0)) > tolerance_px(shape)


def _join(
    ends: tuple[int, int], step: Step, count: bool, shape: tuple[int, int], rigid: bool
) -> _Join:
    found = normalised(np.asarray(step.matrix, dtype=np.float64))
    kept = rigid_part(found, shape) if rigid else found
    return _Join(*ends, found, kept if count else np.eye(3), step.status, step.reason)


def _uncertainty_px(step: Step, shape: tuple[int, int]) -> float | None:
    """Return u of the module's text; infinite where a motion explains nothing, None where not known."""
    if step.matrix is None or step.ncc_before is None or step.ncc_after is None:
        return None
    gained, left = step.ncc_after - step.ncc_before, 1.0 - step.ncc_after
    if gained <= 0.0:
        return float("inf")
    return moved_mm(step.matrix, shape, (1.0, 1.0)) * float(np.sqrt(max(left, 0.0) / gained))


def _placed(joins: Sequence[_Join], reference: int) -> dict[int, Place]:
    """Walk from the reference to both ends."""
    placed = {reference: Place(np.eye(3), np.eye(3))}
    for join in joins:
        if join.low in placed and join.high > reference:
            near = placed[join.low]
            placed[join.high] = Place(
                near.found @ join.found, near.counted @ join.counted, join.status, join.reason
            )
    for join in reversed(joins):
        if join.high in placed and join.low < reference:
            near = placed[join.high]
            placed[join.low] = Place(
                near.found @ np.linalg.inv(join.found),
                near.counted @ np.linalg.inv(join.counted),
                join.status,
                join.reason,
            )
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


def _link(
    place: Place | None,
    error: float | None,
    shape: tuple[int, int],
    spacing_mm: tuple[float, float],
    cut: str,
) -> Link:
    if place is None:
        return Link(None, "refused", cut, error, None, None)
    drift, walk = (_middle_mm(m, shape, spacing_mm) for m in (place.counted, place.found))
    matrix = normalised(place.counted)
    return Link(matrix, place.status, place.reason, error, drift, walk)


def _middle_mm(matrix: Matrix, shape: tuple[int, int], spacing_mm: tuple[float, float]) -> float:
    middle = np.array([(shape[1] - 1) / 2.0, (shape[0] - 1) / 2.0])
    there = matrix @ (*middle, 1.0)
    apart = (there[:2] / there[2] - middle) * (spacing_mm[1], spacing_mm[0])
    return float(np.hypot(*apart))
