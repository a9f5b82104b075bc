"""What every synthetic subject goes through: draws by purpose, poses, sessions with their truth.

Every draw comes from (seed, subject, purpose), so that a subject does not depend on how many others are
made, nor a session's noise on the others.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from somray.domain.geometry import Geometry
from somray.phantom.drawing.shapes import Point
from somray.phantom.events import true_events, volumes
from somray.phantom.lesion_sites import Lesion
from somray.phantom.lesions import Course, Field
from somray.phantom.motion import movements
from somray.phantom.session import FloatArray, PhantomSession

__all__ = ["MOVE", "NOISE", "PLACE", "SCENE", "Drawn", "Stay", "shifted", "stay", "tell", "view"]

SCENE, PLACE, MOVE, NOISE = range(4)
"""Purposes of the draws."""


def shifted(by: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the 4×4 matrix that shifts by (x, y, z) mm."""
    matrix = np.eye(4)
    matrix[:3, 3] = by
    return matrix


@dataclass(frozen=True, eq=False)
class Stay:
    """How one subject lies over its sessions.

    Args:
        key: seed and number of the subject.
        grid: of the first channel.
        center: world point of the middle of the view.
        moves: (4, 4) per session, session 0 to it.
        poses: (4, 4) per session, scene mm to world.
    """

    key: tuple[int, int]
    grid: Geometry
    center: NDArray[np.float64]
    moves: Sequence[NDArray[np.float64]]
    poses: Sequence[NDArray[np.float64]]

    def unmoved(self) -> "Stay":
        """Return the same, with every session where the first one lies."""
        count = len(self.moves)
        return replace(self, moves=[self.moves[0]] * count, poses=[self.poses[0]] * count)


@dataclass(frozen=True, eq=False)
class Drawn:
    """One session's images, their grids, its lesions' mask, its structures' labels, its slices' shifts in mm."""

    images: Mapping[str, FloatArray]
    geometries: Mapping[str, Geometry]
    lesions: NDArray[np.int32]
    physiology: NDArray[np.uint8] | None = None
    jitter_mm: NDArray[np.float64] | None = None


def stay(
    key: tuple[int, int], grid: Geometry, center: NDArray[np.float64],
    placement: NDArray[np.float64], sessions: int, reach_mm: Point | None = None,
) -> Stay:  # fmt: skip
    """Draw how the subject lies in each session.

    Args:
        key: seed and number of the subject.
        grid: of the first channel.
        center: world point of the middle of the view.
        placement: (4, 4) scene mm to mm around the middle of the view.
        sessions: how many.
        reach_mm: largest shift along x, y, z; a patient's in a whole body or a head where left out.
    """
    rng = np.random.default_rng([*key, MOVE])
    deep = grid.spacing_mm[0] * grid.shape[0]
    moves = movements(rng, sessions, center, reach_mm or (9.0, 8.0, min(8.0, 0.04 * deep)))
    poses = [move @ shifted(center) @ placement for move in moves]
    return Stay(key, grid, center, moves, poses)


def view(lying: Stay, least_mm: float) -> Field:
    """Return the field of view in which lesions are placed; none is smaller than the grid can show."""
    grid = lying.grid
    half = [n * mm / 2 for n, mm in zip(grid.shape, grid.spacing_mm, strict=True)]
    poses = tuple(shifted(-lying.center) @ pose for pose in lying.poses)
    coarse = max(grid.spacing_mm)
    # A sphere of 0.87 voxels holds a voxel's centre wherever it lies; a growing lesion starts at 0.85.
    least = max(least_mm, 1.1 * coarse)
    everywhere = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    return Field((), everywhere, (half[2], half[1], half[0]), poses, (least, least), 2.2 * coarse)


def tell(
    lying: Stay, lesions: Sequence[Lesion | Course], names: Mapping[int, str],
    render: Callable[[int, np.random.Generator], Drawn],
) -> Iterator[PhantomSession]:  # fmt: skip
    """Render one session after the other and say what is true about each."""
    notes = {p.course.ids[0]: (p.site.region, p.kind) for p in lesions if isinstance(p, Lesion)}
    courses = tuple(p.course if isinstance(p, Lesion) else p for p in lesions)
    before: dict[int, float] | None = None
    for index, move in enumerate(lying.moves):
        drawn = render(index, np.random.default_rng([*lying.key, NOISE, index]))
        after = volumes(drawn.lesions, lying.grid.voxel_mm3)
        events, before = true_events(before, after, index, courses), after
        jitter = drawn.jitter_mm
        jitter = np.zeros((lying.grid.shape[0], 2)) if jitter is None else jitter
        made = PhantomSession(
            index, drawn.images, drawn.geometries, drawn.lesions, move, jitter, events,
            drawn.physiology, names, notes,
        )  # fmt: skip
        del drawn
        yield made
        del made  # whoever keeps none holds one at a time
