"""Steps of a chain checked by triangles, and mended where they are wrong or missing.

A triangle is two neighbouring steps and the direct motion past the slice between them. Where it does not
close, one of the three is wrong: the step that no closing triangle speaks for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.kernels.registration.plane.motions import apart_mm, mean_motion, normalised

__all__ = ["Step", "cycle_errors", "repaired", "tolerance_px"]

Matrix = NDArray[np.float64]

# Triangles of real scans gape by 0.2 to 1.0 px (medians) and 2.8 px at most, 4.1 px on slices of 6.5 mm:
# bench_chain.py.
_LEAST_TOLERANCE_PX = 4.0
_TOLERANCE_SHARE = 0.01  # of the longer side


@dataclass(frozen=True, eq=False)
class Step:
    """The pair (z, z + 1).

    Args:
        matrix: (3, 3) slice z + 1 to slice z in pixels (x, y, 1); None when refused.
        status: ok, weak, refused; repaired after `repaired`.
        reason: why it is not ok.
        ncc_before: correlation as the slices lie.
        ncc_after: correlation after the motion.
    """

    matrix: Matrix | None
    status: str
    reason: str | None = None
    ncc_before: float | None = None
    ncc_after: float | None = None


def tolerance_px(shape: tuple[int, int]) -> float:
    """Return how far a triangle may gape before one of its sides is wrong."""
    return max(_LEAST_TOLERANCE_PX, _TOLERANCE_SHARE * max(shape))


def cycle_errors(
    steps: Sequence[Step],
    bridges: Mapping[int, Matrix | None],
    shape: tuple[int, int],
    spacing_mm: tuple[float, float] = (1.0, 1.0),
) -> dict[int, float]:
    """Return by z how far steps z and z + 1 composed lie from the direct motion z + 2 → z, in mm."""
    errors = {}
    for z, bridge in bridges.items():
        first, second = _matrix(steps, z), _matrix(steps, z + 1)
        if bridge is not None and first is not None and second is not None:
            errors[z] = apart_mm(first @ second, bridge, shape, spacing_mm)
    return errors


def repaired(
    steps: Sequence[Step], bridges: Mapping[int, Matrix | None], shape: tuple[int, int]
) -> list[Step]:
    """Mend steps that were refused or that their triangles speak against.

    Args:
        steps: of the pairs (z, z + 1), z from 0.
        bridges: z to the direct motion z + 2 → z; see `somray.kernels.registration.chain.compose.compose`.
        shape: rows and columns of a slice.

    Returns:
        The steps; what could be mended is `repaired`, what could not is `refused` without a matrix.
    """
    within = tolerance_px(shape)
    wrong = _suspects(steps, cycle_errors(steps, bridges, shape), within)
    sound = [
        Step(None, "refused", _accusation(z, wrong[z])) if z in wrong else step
        for z, step in enumerate(steps)
    ]
    return [
        step if step.matrix is not None else _mended(z, step, sound, bridges, (shape, within))
        for z, step in enumerate(sound)
    ]


def _accusation(z: int, error: float) -> str:
    return f"it disagrees with the direct registration past slice {z} or {z + 1} by {error:.1f} px"


def _suspects(
    steps: Sequence[Step], errors: Mapping[int, float], within: float
) -> dict[int, float]:
    """Return the steps that no closing triangle speaks for, with how far theirs gape.

    Of two such steps in one triangle, the less like pair is at fault.
    """
    closing = {side for z, error in errors.items() if error <= within for side in (z, z + 1)}
    wrong: dict[int, float] = {}
    for z, error in sorted(errors.items()):
        sides = [side for side in (z, z + 1) if side not in closing]
        if error <= within or not sides:
            continue  # nothing wrong, or it is the direct motion that is
        both = [side for side in sides if _open(side, errors, within) > 1] or sides
        fault = min(both, key=lambda side: (steps[side].ncc_after or 0.0, side))
        if not any(side in wrong for side in sides):
            wrong[fault] = error
    return wrong


def _open(side: int, errors: Mapping[int, float], within: float) -> int:
    """Count the gaping triangles that a step is part of."""
    return sum(errors.get(z, 0.0) > within for z in (side - 1, side))


def _mended(
    z: int,
    step: Step,
    steps: Sequence[Step],
    bridges: Mapping[int, Matrix | None],
    bounds: tuple[tuple[int, int], float],
) -> Step:
    """Return the step taken from its triangles, else from its neighbours, else as it was."""
    shape, within = bounds
    before, after = _matrix(steps, z - 1), _matrix(steps, z + 1)
    around = [
        bridge @ np.linalg.inv(after)
        for bridge in (bridges.get(z),)
        if bridge is not None and after is not None
    ] + [
        np.linalg.inv(before) @ bridge
        for bridge in (bridges.get(z - 1),)
        if bridge is not None and before is not None
    ]
    beside = [m for m in (before, after) if m is not None]
    for found, origin in ((around, "the direct registration past it"), (beside, "its neighbours")):
        enough = len(found) == 2 or (found is around and len(found) == 1)
        if enough and apart_mm(found[0], found[-1], shape, (1.0, 1.0)) <= within:
            reason = f"taken from {origin}; its own: {step.reason}"
            return Step(mean_motion([normalised(m) for m in found]), "repaired", reason)
    return step


def _matrix(steps: Sequence[Step], z: int) -> Matrix | None:
    return steps[z].matrix if 0 <= z < len(steps) else None
