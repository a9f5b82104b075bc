"""What the scanner adds to a CT slice: noise, streaks of starved rays, and mild beam hardening.

Only the *error* of the projections is reconstructed (filtered backprojection is linear), so the sharp
image keeps its partial volume and gains noise with the grain, the direction and the streaks that real
noise has: rays through much bone count few photons.

Source: Kak and Slaney, "Principles of Computerized Tomographic Imaging", 1988, chapters 3 and 4.
"""

import numba
import numpy as np
from numpy.typing import NDArray

from somray.kernels.phantom.session import FloatArray

__all__ = ["add_scanner_errors"]

WATER_PER_MM = 0.02
"""Attenuation of water at about 70 keV."""
HARDENING = 0.012
"""How much of bone's path the water correction misses, per unit of water's path."""
BONE_HU = 220.0
VIEWS = 120
PHOTONS_AT_DETECTOR = 4.0e4
ELECTRONIC_NOISE = 12.0


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _project(plane, mm, cosines, sines, rays):  # type: ignore[no-untyped-def]
    """Sum a slice along parallel rays, pixel by pixel, linearly shared by two bins."""
    ny, nx = plane.shape
    sums = np.zeros((cosines.size, rays))
    for y in range(ny):
        for x in range(nx):
            value = plane[y, x] * mm
            if value == 0.0:
                continue
            for view in range(cosines.size):
                at = (
                    (x - 0.5 * (nx - 1)) * cosines[view]
                    + (y - 0.5 * (ny - 1)) * sines[view]
                    + 0.5 * (rays - 1)
                )
                low = int(at)
                part = at - low
                sums[view, low] += value * (1.0 - part)
                sums[view, low + 1] += value * part
    return sums


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _backproject(filtered, shape, cosines, sines):  # type: ignore[no-untyped-def]
    """Spread filtered projections back over a slice."""
    ny, nx = shape
    rays = filtered.shape[1]
    plane = np.zeros((ny, nx))
    for y in range(ny):
        for x in range(nx):
            total = 0.0
            for view in range(cosines.size):
                at = (
                    (x - 0.5 * (nx - 1)) * cosines[view]
                    + (y - 0.5 * (ny - 1)) * sines[view]
                    + 0.5 * (rays - 1)
                )
                low = int(at)
                part = at - low
                total += filtered[view, low] * (1.0 - part) + filtered[view, low + 1] * part
            plane[y, x] = total
    return plane * (np.pi / cosines.size)


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
        image: (z, y, x) HU without errors.
        spacing_mm: (z, y, x); in-plane spacing is taken as square.
        noise_hu: standard deviation of the noise over the body.
        rng: source of the noise; one draw per ray.

    Returns:
        (z, y, x) float32 HU.

    Cost: O(z y x views) time, one slice of float64 beside the result.
    """
    mm = spacing_mm[2]
    angles = np.arange(VIEWS) * (np.pi / VIEWS)
    cosines, sines = np.cos(angles), np.sin(angles)
    rays = int(np.ceil(np.hypot(*image.shape[1:]))) + 3
    ramp, length = _ramp(rays, mm)
    noise = np.empty_like(image)
    hardened = np.empty_like(image)
    for z, plane in enumerate(image):
        relative = np.maximum(plane.astype(np.float64) / 1000 + 1, 0)
        dense = np.where(plane > BONE_HU, relative, 0.0)
        paths = [
            _project(p * WATER_PER_MM, mm, cosines, sines, rays)
            for p in (np.where(relative > 0.02, relative, 0.0), dense)
        ]
        # The exposure follows the patient's width, as automatic exposure control does.
        counts = PHOTONS_AT_DETECTOR * np.exp(np.median(paths[0].max(axis=1)) - paths[0])
        spread = np.sqrt(counts + ELECTRONIC_NOISE**2 * 40) / counts
        errors = (spread * rng.standard_normal(spread.shape), -HARDENING * paths[1] * paths[0])
        for error, target in zip(errors, (noise, hardened), strict=True):
            rows = np.fft.irfft(np.fft.rfft(error, length, axis=1) * ramp, length, axis=1)
            field = _backproject(rows[:, :rays].copy(), plane.shape, cosines, sines)
            target[z] = field * (1000 / WATER_PER_MM)
    body = image > -300
    spread_now = float(np.std(noise[body], dtype=np.float64)) if body.any() else 0.0
    scale = np.float32(noise_hu / spread_now) if spread_now > 0 else np.float32(1.0)
    return np.asarray(image + noise * scale + hardened, dtype=np.float32)
