"""One head over several sessions as T1 MR after contrast, with everything true about it."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from somray.domain.geometry import Geometry
from somray.phantom.anatomy.scenes import draw_lattice
from somray.phantom.drawing.canvas import Canvas, Material
from somray.phantom.drawing.grids import head_grid
from somray.phantom.drawing.painter import Painter
from somray.phantom.drawing.shapes import Point
from somray.phantom.head.brain import cerebrum, paint_brain
from somray.phantom.head.plan import NAMES, Head, draw_head
from somray.phantom.head.skull import paint_face, paint_shells
from somray.phantom.head.tissues import SIGNAL
from somray.phantom.lesion_sites import (
    Lesion,
    Site,
    blob_surface,
    paint_placed,
    place_lesions,
)
from somray.phantom.session import FloatArray, PhantomSession
from somray.phantom.sessions import PLACE, SCENE, Drawn, Stay, shifted, stay, tell, view

__all__ = ["make_head"]

MIDDLE: Point = (0.0, 0.0, -12.0)
"""Scene point in the middle of the view: the brain fills its upper part."""
LEAST_MM = 4.0
NOISE = 26.0
"""Standard deviation of each of the two channels whose magnitude is taken (Rice)."""
BIAS_FRACTION = 0.16
COUNTS = (0, 1, 1, 1, 2, 2, 3, 4)
OEDEMA_MM = 7.0

What = tuple[Head, FloatArray, tuple[Lesion, ...], int]
"""A head, the lattice of its textures, its masses, and the number of the session."""


def make_head(
    shape: tuple[int, int, int], sessions: int, key: tuple[int, int], still: bool
) -> Iterator[PhantomSession]:
    """Make all sessions of one head.

    Args:
        shape: voxels, z, y, x.
        sessions: how many time points.
        key: seed of the cohort and number of the subject.
        still: leave every session where the first one lies.

    Returns:
        One `PhantomSession` per time point, drawn as it is asked for, with physiology and the lesions' notes.

    Cost: about 2 s per session of 32 × 160 × 160 on one core.
    """
    rng = np.random.default_rng([*key, SCENE])
    center = np.round([rng.uniform(-10, 10), rng.uniform(-30, 30), rng.uniform(-40, 40)], 1)
    head = draw_head(rng)
    noise = draw_lattice(rng)
    placement = np.diag([*head.scale, 1.0]) @ shifted(-np.array(MIDDLE))
    lying = stay(key, head_grid(shape, center), center, placement, sessions)
    lying = lying.unmoved() if still else lying
    lesions = _lesions(head, lying)

    def render(index: int, spoil: np.random.Generator) -> Drawn:
        pose = lying.poses[index]
        return _render(lying.grid, pose, (head, noise, lesions, index), spoil)

    return tell(lying, lesions, NAMES, render)


def _lesions(head: Head, lying: Stay) -> tuple[Lesion, ...]:
    """Draw 0 to 4 masses, each on one side, most of them away from the midline."""
    rng = np.random.default_rng([*lying.key, PLACE])
    count = int(rng.choice(COUNTS))
    kinds = [
        str(k) for k in rng.choice(("solid", "faint", "cold_core"), count, p=(0.5, 0.15, 0.35))
    ]
    sites = []
    for side in (-1.0, 1.0):
        sites += [
            Site("brain", (side * 34, -30, 12), (18, 28, 24), (4, 22), "", 1.0),
            Site("brain", (side * 36, 34, 16), (16, 24, 22), (4, 22), "", 1.0),
            Site("brain", (side * 46, 0, -16), (10, 20, 12), (4, 16), "", 0.8),
            Site("brain", (side * 26, 50, -40), (10, 10, 8), (4, 12), "", 0.5),
        ]

    def is_inside(site: Site, at: Point, radius: float) -> bool:
        xyz = tuple(np.asarray([v], dtype=np.float32) for v in at)
        return bool(cerebrum(xyz, head)[0] < -0.9 * radius) and abs(at[0]) > 0.6 * radius + 3

    return tuple(place_lesions(rng, sorted(kinds), sites, view(lying, LEAST_MM), is_inside))


def _enhancement(lesion: Lesion, around: float) -> tuple[Material, Material]:
    """Return a mass's rim and core: the rim is 1.6 to 3.2 times white matter, a faint one 1.35 to 1.5."""
    if lesion.kind == "faint":
        return Material(SIGNAL["white"].value * (0.75 + 0.3 * lesion.value), 60.0), SIGNAL["oedema"]
    rim = 900.0 + 900.0 * (np.log(lesion.value) - np.log(3.5)) / np.log(20 / 3.5)
    return Material(float(rim), 0.14 * float(rim)), Material(330.0, 40.0)


def _render(
    grid: Geometry, pose: NDArray[np.float64], what: What,
    rng: np.random.Generator,
) -> Drawn:  # fmt: skip
    """Render one MR: tissues, masses in their oedema, coil's bias, magnitude of noisy signals."""
    head, noise, lesions, session = what
    palette = dict(SIGNAL)
    palette["marrow"] = Material(SIGNAL["marrow"].value * head.marrow, SIGNAL["marrow"].texture)
    canvas = Canvas(grid, pose, np.zeros((grid.shape[0], 2)), Material(0.0))
    painter = Painter(canvas, palette, head.places, head.phases)
    paint_shells(painter, head, noise)
    paint_face(painter, head)
    paint_brain(painter, head, noise)
    _paint_oedema(canvas, what)
    mask = paint_placed(canvas, lesions, session, noise, _enhancement)
    clean = np.maximum(canvas.textured(noise, 2.4), 0)
    blurred = ndimage.gaussian_filter(clean, (0.0, 0.5, 0.5), mode="nearest")
    signal = blurred * _bias(grid.shape, rng)
    parts: Sequence[NDArray[np.float64]] = [rng.standard_normal(grid.shape) for _ in range(2)]
    image = np.hypot(signal + NOISE * parts[0], NOISE * parts[1])
    labels = painter.labels
    return Drawn({"MR": np.asarray(image, dtype=np.float32)}, {"MR": grid}, mask, labels)


def _paint_oedema(canvas: Canvas, what: What) -> None:
    """Paint a darker margin in the brain around each mass; it is no part of the mass's truth."""
    head, noise, lesions, session = what
    for lesion in lesions:
        for blob in lesion.course.blobs(session):
            found = blob_surface(canvas, blob, noise, OEDEMA_MM)
            if found is not None:
                box, distance = found
                surface = cerebrum(canvas.coordinates(box), head)
                canvas.paint(box, np.maximum(distance, surface + 4), SIGNAL["oedema"], 0.7)


def _bias(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the coil's smooth sensitivity, about 1: a low polynomial of the position."""
    axes = [np.linspace(-1, 1, n) for n in shape]
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    a = rng.uniform(-1, 1, 6)
    field = a[0] * x + a[1] * y + a[2] * z + 0.6 * (a[3] * x * y + a[4] * y * z)
    rim = 0.8 * (x**2 + y**2 - 0.5)  # surface coils see the rim best
    return np.asarray(1 + BIAS_FRACTION * (0.6 * field + (0.5 + 0.5 * a[5]) * rim))
