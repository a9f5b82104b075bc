"""A woven fibre composite as X-ray micro-CT shows it: tows of fibres in a matrix, rings, noise.

Tows run along z and along x in plain weave, stacked along y; their grain follows the fibres. Pores and
cracks (the lesions of this material) are the only thing as dark as air, for the view lies inside.
"""

import numpy as np
from scipy import ndimage

from somray.phantom.drawing.canvas import Canvas, Material
from somray.phantom.drawing.shapes import ellipse
from somray.phantom.session import FloatArray

__all__ = ["PALETTE", "Weave", "add_detector_errors", "draw_weave", "paint_composite"]

PALETTE = {
    "matrix": Material(29200.0, 500.0),
    "tow": Material(32200.0, 1300.0),
    "lesion": Material(5000.0, 500.0),
}
"""Counts on the scale 0 … 65535."""

NOISE_COUNTS = 900.0
RING_COUNTS = 800.0
CUPPING_FRACTION = 0.04

Weave = tuple[float, float, tuple[float, ...]]
"""Pitch and layer height in mm, and six phases."""


def draw_weave(rng: np.random.Generator) -> Weave:
    """Draw the weave of one specimen."""
    phases = tuple(float(v) for v in rng.uniform(0, 1, 6))
    return float(rng.uniform(0.42, 0.5)), float(rng.uniform(0.25, 0.29)), phases


def _tow(
    along: FloatArray, across: FloatArray, height: FloatArray, weave: Weave, phase: float
) -> FloatArray:
    """Return the distance to the tows of one direction, which undulate along their length."""
    pitch, layer, _ = weave
    row = np.round(across / np.float32(pitch))
    beside = across - np.float32(pitch) * row
    swing = np.float32(0.2 * layer) * np.cos(
        np.float32(np.pi / pitch) * along + np.float32(np.pi) * (row + np.float32(phase))
    )
    level = height - swing
    level = level - np.float32(layer) * np.round(level / np.float32(layer))
    return ellipse(
        np.asarray(beside, dtype=np.float32), np.asarray(level, dtype=np.float32),
        0.47 * pitch, 0.24 * layer,
    )  # fmt: skip


def paint_composite(canvas: Canvas, weave: Weave, noise: FloatArray) -> FloatArray:
    """Paint matrix and tows.

    Returns:
        (z, y, x) texture of unit variance that follows the fibres; `Canvas.texture` scales it.
    """
    box = canvas.whole
    x, y, z = canvas.coordinates(box)
    pitch, layer, phases = weave
    half = np.float32(layer / 2)
    lengthwise = _tow(z, x + np.float32(phases[0] * pitch), y, weave, phases[1])
    crosswise = _tow(x, z + np.float32(phases[2] * pitch), y + half, weave, phases[3])
    canvas.paint(box, lengthwise, PALETTE["tow"])
    canvas.paint(box, crosswise, PALETTE["tow"])
    fine, long = 0.011, 0.16
    grain = canvas.sample(noise, (fine, fine, long))
    return np.where(crosswise < 0, canvas.sample(noise, (long, fine, fine)), grain)


def add_detector_errors(image: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Blur by the detector, then add cupping, rings around the axis of rotation and noise.

    Args:
        image: (z, y, x) float32 counts without errors; is written over.
        rng: source of rings and noise.

    Returns:
        (z, y, x) float32 counts within 0 … 65535.
    """
    nz, ny, nx = image.shape
    blurred = ndimage.gaussian_filter(image, 0.55, mode="nearest", output=image)
    y, x = np.meshgrid(np.arange(ny) - 0.5 * ny, np.arange(nx) - 0.47 * nx, indexing="ij")
    radius = np.hypot(y, x)
    bins = int(radius.max()) + 2
    # Faulty detector elements: few, of both signs, and slowly changing from row to row.
    faults = np.where(rng.uniform(size=bins) < 0.16, rng.standard_normal(bins), 0.0)
    drift = ndimage.gaussian_filter1d(rng.standard_normal((nz, bins)), 8.0, axis=0, mode="nearest")
    rings = faults * (1 + drift)
    low = radius.astype(int)
    part = radius - low
    cupping = 1 - CUPPING_FRACTION * (1 - (radius / radius.max()) ** 2)
    for z in range(nz):
        ring = rings[z, low] * (1 - part) + rings[z, low + 1] * part
        noise = ndimage.gaussian_filter(rng.standard_normal((ny, nx)), 0.5) * 1.6
        blurred[z] = blurred[z] * cupping + RING_COUNTS * ring + NOISE_COUNTS * noise
    return np.clip(blurred, 0, 65535, out=blurred)
