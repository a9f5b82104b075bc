"""From a subject to the images of one session: the scene in its pose, on each channel's grid."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from somray.domain.geometry import Geometry
from somray.phantom.anatomy.composite import (
    PALETTE,
    Weave,
    add_detector_errors,
    draw_weave,
    paint_composite,
)
from somray.phantom.anatomy.organs import Trees, draw_trees, paint_organs
from somray.phantom.anatomy.palettes import AIR_HU, PETCT_CT, PLAIN_CT, UPTAKE
from somray.phantom.anatomy.skeleton import paint_skeleton
from somray.phantom.anatomy.torso import Trunk, draw_trunk, paint_torso
from somray.phantom.drawing.canvas import Canvas, Material, slabs
from somray.phantom.drawing.ct_artefacts import add_scanner_errors
from somray.phantom.drawing.painter import Painter
from somray.phantom.lesions import Course, blob_distances
from somray.phantom.session import FloatArray

__all__ = [
    "Pose",
    "TrunkScene",
    "draw_lattice",
    "draw_scene",
    "paint_lesions",
    "render_ct",
    "render_pet",
    "render_xct",
]

CT_NOISE_HU = {"ct": 11.0, "petct": 17.0}
PET_BLUR_FWHM_MM = 6.5
PET_NOISE_FRACTION = 0.07
"""Standard deviation of PET noise at SUV 1; it grows with the root of the uptake."""
LATTICE = 56


@dataclass(frozen=True, eq=False)
class TrunkScene:
    """One subject: everything that stays the same over the sessions.

    Args:
        body: the trunk's build.
        trees: vessels, airways and bowel.
        weave: the composite's weave (xct).
        noise: (n, n, n) periodic lattice that textures are looked up in.
        courses: the lesions over time.
    """

    body: Trunk
    trees: Trees
    weave: Weave
    noise: FloatArray
    courses: tuple[Course, ...] = ()


@dataclass(frozen=True, eq=False)
class Pose:
    """How one session lies on one grid: scene to world for this and for the first session."""

    geometry: Geometry
    now: NDArray[np.float64]
    first: NDArray[np.float64]
    shift_mm: NDArray[np.float64]


def draw_lattice(rng: np.random.Generator) -> FloatArray:
    """Draw the periodic lattice of unit variance that textures are looked up in."""
    lattice = rng.standard_normal((LATTICE,) * 3)
    smooth = ndimage.gaussian_filter(lattice, 0.7, mode="wrap")
    return np.asarray(smooth / smooth.std(), dtype=np.float32)


def draw_scene(rng: np.random.Generator) -> TrunkScene:
    """Draw one subject without lesions."""
    body = draw_trunk(rng)
    trees = draw_trees(rng, body)
    noise = draw_lattice(rng)
    return TrunkScene(body, trees, draw_weave(rng), noise)


def paint_lesions(
    canvas: Canvas, scene: TrunkScene, session: int, material: Material, is_scaled: bool = False
) -> NDArray[np.int32]:
    """Paint the lesions of one session and return their mask (z, y, x) int32 of identities.

    A voxel belongs to a lesion when its centre lies inside.
    """
    mask = np.zeros(canvas.shape, dtype=np.int32)
    for course in scene.courses:
        factor = course.uptake if is_scaled else 1.0
        stuff = Material(material.value * factor, material.texture * factor)
        for blob, box, distance in blob_distances(canvas, course.blobs(session)):
            canvas.paint(box, distance, stuff)
            mask[canvas.held(box)][distance < 0] = blob.lesion_id
    return mask


def _paint_table(canvas: Canvas, palette: Mapping[str, Material]) -> None:
    """Paint the table, which stays where it is when the patient moves."""
    x, y, _ = canvas.coordinates(canvas.whole)
    below = np.float32(127.0) - np.float32(0.00075) * x * x - y
    slab = np.maximum(below, np.abs(x) - np.float32(205.0))
    outer = np.maximum(slab, -(below + np.float32(16.0)))
    canvas.paint(canvas.whole, outer, palette["table"])
    canvas.paint(canvas.whole, outer + np.float32(1.6), palette["foam"])


def _paint_patient(
    pose: Pose, scene: TrunkScene, palette: Mapping[str, Material], fill: Material,
    slices: range | None = None,
) -> Canvas:  # fmt: skip
    canvas = Canvas(pose.geometry, pose.now, pose.shift_mm, fill, slices)
    table = Canvas(pose.geometry, pose.first, np.zeros_like(pose.shift_mm), fill, slices)
    _paint_table(table, palette)
    canvas.value[:], canvas.texture[:] = table.value, table.texture
    painter = Painter(canvas, palette, {}, scene.body.phases)
    paint_torso(painter, scene.body)
    paint_organs(painter, scene.body, scene.trees)
    paint_skeleton(painter, scene.body)
    return canvas


def render_ct(
    pose: Pose, scene: TrunkScene, session: int, modality: str, rng: np.random.Generator
) -> tuple[FloatArray, NDArray[np.int32]]:
    """Render one CT in HU and its lesion mask."""
    palette = PLAIN_CT if modality == "ct" else PETCT_CT
    image, mask = _empty(pose)
    for slices in slabs(pose.geometry):
        canvas = _paint_patient(pose, scene, palette, Material(AIR_HU), slices)
        here = slice(slices.start, slices.stop)
        mask[here] = paint_lesions(canvas, scene, session, palette["lesion"])
        image[here] = canvas.textured(scene.noise, 4.0)
    noisy = add_scanner_errors(image, pose.geometry.spacing_mm, CT_NOISE_HU[modality], rng)
    return np.clip(noisy, -1024, 3071, out=noisy), mask


def _empty(pose: Pose) -> tuple[FloatArray, NDArray[np.int32]]:
    """Return room for an image and its lesion mask."""
    shape = pose.geometry.shape
    return np.empty(shape, dtype=np.float32), np.empty(shape, dtype=np.int32)


def render_pet(pose: Pose, scene: TrunkScene, session: int, rng: np.random.Generator) -> FloatArray:
    """Render one PET in SUV: uptake, blur of the scanner, noise of the counts."""
    canvas = _paint_patient(pose, scene, UPTAKE, Material(0.0))
    paint_lesions(canvas, scene, session, UPTAKE["lesion"], is_scaled=True)
    clean = canvas.textured(scene.noise, 7.0)
    sigma = [PET_BLUR_FWHM_MM / 2.355 / mm for mm in pose.geometry.spacing_mm]
    blurred = ndimage.gaussian_filter(np.maximum(clean, 0), sigma, mode="nearest")
    noise = ndimage.gaussian_filter(
        rng.standard_normal(blurred.shape), [0.6 * s for s in sigma], mode="wrap"
    )
    spread = PET_NOISE_FRACTION * np.sqrt(np.maximum(blurred, 0.02))
    return np.asarray(np.maximum(blurred + spread * noise / noise.std(), 0), dtype=np.float32)


def render_xct(
    pose: Pose, scene: TrunkScene, session: int, rng: np.random.Generator
) -> tuple[FloatArray, NDArray[np.int32]]:
    """Render one micro-CT in counts and its mask of pores and cracks."""
    image, mask = _empty(pose)
    for slices in slabs(pose.geometry):
        canvas = Canvas(pose.geometry, pose.now, pose.shift_mm, PALETTE["matrix"], slices)
        grain = paint_composite(canvas, scene.weave, scene.noise)
        here = slice(slices.start, slices.stop)
        mask[here] = paint_lesions(canvas, scene, session, PALETTE["lesion"])
        image[here] = canvas.value + canvas.texture * grain
    return add_detector_errors(image, rng), mask
