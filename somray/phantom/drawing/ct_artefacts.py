"""What the scanner adds to a CT slice: noise, streaks of starved rays, and mild beam hardening.

Only the *error* of the projections is reconstructed (filtered backprojection is linear), so the sharp
image keeps its partial volume and gains noise with the grain, the direction and the streaks that real
noise has: rays through much bone count few photons.

Source: Kak and Slaney, "Principles of Computerized Tomographic Imaging", 1988, chapters 3 and 4.
"""

from collections.abc import Iterator
from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from somray.io.spool import ArraySpool, Spooled
from somray.kernels.compiled import compiled
from somray.phantom.session import FloatArray

__all__ = ["add_scanner_errors"]

Plane = NDArray[np.float64]

WATER_PER_MM = 0.02
"""Attenuation of water at about 70 keV."""
HARDENING = 0.012
"""How much of bone's path the water correction misses, per unit of water's path."""
BONE_HU = 220.0
INSIDE_HU = -300.0
MOST_AT_ONCE = 2**26  # values whose spread is found at once
VIEWS = 100
PHOTONS_AT_DETECTOR = 4.0e4
ELECTRONIC_NOISE = 12.0


@compiled
def _project(stack: Plane, cosines: Plane, sines: Plane, rays: int) -> Plane:
    """Sum two images (2, y, x) along parallel rays, each pixel linearly shared by two bins."""
    ny, nx = stack.shape[1:]
    sums = np.zeros((2, cosines.size, rays))
    for view in range(cosines.size):
        for y in range(ny):
            start = 0.5 * (rays - 1) - 0.5 * (nx - 1) * cosines[view]
            start += (y - 0.5 * (ny - 1)) * sines[view]
            for x in range(nx):
                first, second = stack[0, y, x], stack[1, y, x]
                if first == 0.0:
                    continue
                at = start + x * cosines[view]
                low = int(at)
                part = at - low
                sums[0, view, low] += first * (1.0 - part)
                sums[0, view, low + 1] += first * part
                if second != 0.0:
                    sums[1, view, low] += second * (1.0 - part)
                    sums[1, view, low + 1] += second * part
    return sums


@compiled
def _backproject(filtered: Plane, shape: tuple[int, int], cosines: Plane, sines: Plane) -> Plane:
    """Spread two sets of filtered projections (2, view, ray) back over a slice, (2, y, x)."""
    ny, nx = shape
    rays = filtered.shape[2]
    stack = np.zeros((2, ny, nx))
    for view in range(cosines.size):
        for y in range(ny):
            start = 0.5 * (rays - 1) - 0.5 * (nx - 1) * cosines[view]
            start += (y - 0.5 * (ny - 1)) * sines[view]
            for x in range(nx):
                at = start + x * cosines[view]
                low = int(at)
                part = at - low
                for k in range(2):
                    stack[k, y, x] += (
                        filtered[k, view, low] * (1.0 - part) + filtered[k, view, low + 1] * part
                    )
    return stack * (np.pi / cosines.size)


def _ramp(rays: int, mm: float) -> tuple[NDArray[np.float64], int]:
    """Return the ramp filter with a Hann window in the frequencies of a padded row, and its length."""
    length = 1 << int(np.ceil(np.log2(2 * rays)))
    frequency = np.fft.rfftfreq(length, d=mm)
    return frequency * (0.5 + 0.5 * np.cos(np.pi * frequency * 2 * mm)), length


def add_scanner_errors(
    image: FloatArray, spacing_mm: tuple[float, float, float], noise_hu: float,
    rng: np.random.Generator,
) -> FloatArray:  # fmt: skip
    """Add noise, streaks and beam hardening to a CT volume.

    Args:
        image: (z, y, x) HU without errors; is written over.
        spacing_mm: (z, y, x); in-plane spacing is taken as square.
        noise_hu: standard deviation of the noise over the body.
        rng: source of the noise; one draw per ray.

    Returns:
        (z, y, x) float32 HU.

    Cost: O(z y x views) time; the errors wait in a file beside the result.
    """
    mm = spacing_mm[2]
    angles = np.arange(VIEWS) * (np.pi / VIEWS)
    cosines, sines = np.cos(angles), np.sin(angles)
    rays = int(np.ceil(np.hypot(*image.shape[1:]))) + 3
    ramp, length = _ramp(rays, mm)
    with closing(ArraySpool()) as spool:
        kept: list[Spooled] = []
        for plane in image:
            relative = np.maximum(plane.astype(np.float64) / 1000 + 1, 0)
            relative[relative < 0.02] = 0
            stack = np.stack([relative, np.where(plane > BONE_HU, relative, 0.0)])
            paths = _project(stack * (WATER_PER_MM * mm), cosines, sines, rays)
            # The exposure follows the patient's width, as automatic exposure control does.
            counts = PHOTONS_AT_DETECTOR * np.exp(np.median(paths[0].max(axis=1)) - paths[0])
            spread = np.sqrt(counts + ELECTRONIC_NOISE**2 * 40) / counts
            errors = np.stack(
                [spread * rng.standard_normal(spread.shape), -HARDENING * paths[1] * paths[0]]
            )
            rows = np.fft.irfft(np.fft.rfft(errors, length, axis=2) * ramp, length, axis=2)
            fields = _backproject(rows[:, :, :rays].copy(), plane.shape, cosines, sines)
            kept.append(spool.put((fields * (1000 / WATER_PER_MM)).astype(np.float32)))
        inside = (spool.get(k)[0][p > INSIDE_HU] for k, p in zip(kept, image, strict=True))
        spread_now = _spread(inside, int(np.count_nonzero(image > INSIDE_HU)))
        scale = np.float32(noise_hu / spread_now) if spread_now > 0 else np.float32(1.0)
        for place, plane in zip(kept, image, strict=True):
            noise, hardened = spool.get(place)
            plane[:] = plane + noise * scale + hardened
    return image


def _spread(pieces: Iterator[FloatArray], count: int) -> float:
    """Return the standard deviation of so many values, at once where memory is no matter; 0 of none."""
    if count <= MOST_AT_ONCE:
        return float(np.std(np.concatenate(list(pieces)), dtype=np.float64)) if count else 0.0
    first = second = 0.0
    for piece in pieces:  # the noise has no mean to speak of, so that the squares lose nothing
        first += float(np.sum(piece, dtype=np.float64))
        second += float(np.sum(np.square(piece, dtype=np.float64)))
    return float(np.sqrt(second / count - (first / count) ** 2))
