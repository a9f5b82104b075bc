"""A whole body on one channel's grid: tissues, lesions, and what the scanner does to them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from somray.domain.geometry import Geometry
from somray.phantom.anatomy.palettes import AIR_HU
from somray.phantom.body.bones import paint_bones, paint_skull
from somray.phantom.body.neck import paint_brain, paint_face, paint_throat
from somray.phantom.body.outline import paint_outline
from somray.phantom.body.plan import LABELS, BodyPlan
from somray.phantom.body.tissues import HU
from somray.phantom.body.viscera import paint_belly, paint_chest, paint_pelvis_organs
from somray.phantom.drawing.canvas import Canvas, Material, slabs
from somray.phantom.drawing.ct_artefacts import add_scanner_errors
from somray.phantom.drawing.painter import Painter
from somray.phantom.drawing.vessels import Rod
from somray.phantom.lesion_sites import Lesion, paint_placed
from somray.phantom.session import FloatArray

__all__ = ["WholeBody", "render_ct", "render_pet"]

CT_NOISE_HU = 16.0
BLUR_FWHM_MM = 6.0
NOISE_FRACTION = 0.12
"""Standard deviation of PET noise at SUV 1 in a trunk of 150 mm radius."""
FAINT_GROUND = 0.5
"""Least SUV that a faint lesion's uptake is a multiple of."""
WATER_PER_MM = 0.0096
"""Attenuation of water at 511 keV."""
TRUNK_MM = 150.0

Rendered = tuple[FloatArray, NDArray[np.int32], NDArray[np.uint8]]


@dataclass(frozen=True, eq=False)
class WholeBody:
    """One subject: its plan, the lattice its textures are looked up in, its lesions."""

    plan: BodyPlan
    noise: FloatArray
    lesions: tuple[Lesion, ...]


def _paint(painter: Painter, body: WholeBody, filling: float) -> None:
    """Paint everything but the lesions, in the order in which it lies over each other."""
    plan = body.plan
    paint_outline(painter, plan)
    paint_chest(painter, plan)
    paint_belly(painter, plan)
    paint_pelvis_organs(painter, plan, filling)
    paint_skull(painter)
    paint_brain(painter, body.noise)
    paint_face(painter, plan)
    paint_bones(painter, plan)
    paint_throat(painter, plan)
    if "injection" in plan.has and plan.arms == "down":
        painter.rods([Rod((205, -16, -800), (206, -18, -815), (4, 4))], "injection",
                     LABELS["injection_site"])  # fmt: skip


def _paint_table(canvas: Canvas, plan: BodyPlan) -> None:
    """Paint the table, which stays where it is when the patient moves."""
    box = canvas.whole
    x, y, _ = canvas.coordinates(box)
    top = np.float32(124 + 1.15 * plan.fat_mm)
    below = top - np.float32(0.0003) * x * x - y
    slab = np.maximum(np.maximum(below, np.abs(x) - 215), y - top - 18)
    canvas.paint(box, slab, HU["table"])
    canvas.paint(box, slab + 4, HU["foam"])


def render_ct(
    grid: Geometry, poses: tuple[NDArray[np.float64], NDArray[np.float64]], body: WholeBody,
    today: tuple[int, float], rng: np.random.Generator,
) -> Rendered:  # fmt: skip
    """Render one CT in HU.

    Args:
        grid: to render on.
        poses: scene to world in this session and in the first.
        body: the subject.
        today: number of the session, and how full the bladder is.
        rng: source of the scanner's errors.

    Returns:
        HU, mask of lesions, labels of structures, each (z, y, x).
    """
    still = np.zeros((grid.shape[0], 2))
    image = np.empty(grid.shape, dtype=np.float32)
    mask, labels = np.empty(grid.shape, dtype=np.int32), np.empty(grid.shape, dtype=np.uint8)
    for slices in slabs(grid):
        canvas = Canvas(grid, poses[0], still, Material(AIR_HU), slices)
        table = Canvas(grid, poses[1], still, Material(AIR_HU), slices)
        _paint_table(table, body.plan)
        canvas.value[:], canvas.texture[:] = table.value, table.texture
        del table
        painter = Painter(canvas, HU, body.plan.places, body.plan.phases)
        _paint(painter, body, today[1])
        here = slice(slices.start, slices.stop)
        mask[here] = paint_placed(canvas, body.lesions, today[0], body.noise, _density)
        image[here], labels[here] = canvas.textured(body.noise, 4.0), painter.labels
    noisy = add_scanner_errors(image, grid.spacing_mm, CT_NOISE_HU, rng)
    return np.clip(noisy, -1024, 3071, out=noisy), mask, labels


def _density(lesion: Lesion, around: float) -> tuple[Material, Material]:
    """Return a lesion's HU: soft, in bone lytic or sclerotic by turns, its core nearer to water."""
    rim = Material(44, 8)
    if lesion.site.region == "bone":
        rim = Material(420, 60) if lesion.course.ids[0] % 2 else Material(70, 15)
    return rim, Material(22, 6)


def render_pet(
    grid: Geometry, pose: NDArray[np.float64], body: WholeBody,
    today: tuple[int, float, Mapping[str, Material]], rng: np.random.Generator,
) -> Rendered:  # fmt: skip
    """Render one PET in SUV: uptake, the scanner's blur, and noise of the counts.

    Args:
        grid: to render on.
        pose: scene to world.
        body: the subject.
        today: number of the session, how full the bladder is, and the uptake.
        rng: source of the noise.

    Returns:
        SUV, mask of lesions, labels of structures, each (z, y, x).
    """
    index, filling, uptake = today
    canvas = Canvas(grid, pose, np.zeros((grid.shape[0], 2)), Material(0.0))
    painter = Painter(canvas, uptake, body.plan.places, body.plan.phases)
    _paint(painter, body, filling)

    def materials(lesion: Lesion, around: float) -> tuple[Material, Material]:
        value = lesion.value
        if lesion.kind == "faint":
            value *= max(around, FAINT_GROUND)
        return Material(value, 0.1 * value), Material(0.7, 0.1)

    mask = paint_placed(canvas, body.lesions, index, body.noise, materials)
    clean = np.maximum(canvas.textured(body.noise, 7.0), 0)
    sigma = [BLUR_FWHM_MM / 2.355 / mm for mm in grid.spacing_mm]
    blurred = ndimage.gaussian_filter(clean, sigma, mode="nearest")
    grain = ndimage.gaussian_filter(
        rng.standard_normal(blurred.shape), [0.6 * s for s in sigma], mode="wrap"
    )
    spread = _noise(blurred, grid) * np.sqrt(np.maximum(blurred, 0.02))
    pet = np.maximum(blurred + spread * (grain / grain.std()), 0)
    return np.asarray(pet, dtype=np.float32), mask, painter.labels


def _noise(image: FloatArray, grid: Geometry) -> FloatArray:
    """Return the noise of SUV 1 per slice (z, 1, 1): what the body absorbs is counted less."""
    area = (image > 0.12).sum(axis=(1, 2)) * grid.spacing_mm[1] * grid.spacing_mm[2]
    radius = np.sqrt(area / np.pi)
    lost = np.exp(WATER_PER_MM * np.clip(radius - TRUNK_MM, -110, 90))
    return np.asarray(NOISE_FRACTION * lost, dtype=np.float32)[:, None, None]
