"""Patches made worse by physics, so that a student sees through what its teacher cannot.

What is worth looking at lies behind noise, streaks, blur and a scanner's calibration; the labels are those of
the clean patch. Strengths are in HU; other channels take one HU for a thousandth of their window. Uptake's
noise grows with the square root of uptake, as counts do.

Noise of slices is white, or of the spectrum of filtered back-projection, and streaks are such noise in a band of
directions: few photons, or few views, leave it. Uptake's scale moves most: a student must not know any level by
heart.

Source of the spectrum: Kijewski and Judy, "The noise power spectrum of CT images", 1987.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["Degrader"]

CLEAN_SLICES, CLEAN_VOLUMES = 0.5, 0.35
"""Of patches that stay as they are; those of volumes are still scaled. The map judges slices by absolute values, so
a slice's scale is not touched: it cost .01 to .02 of agreement on A itself (benchmarks/LOG.md)."""
SLICE_NOISE_HU, BLOCK_NOISE_HU = 60.0, 30.0
"""Largest deviation, on slices and on blocks of millimetres."""
WHITE_SHARE, TEXTURE_SHARE = 0.4, 0.3
"""Of noisy patches; the rest has streaks."""
CUTOFF = (0.35, 0.7)
"""Frequencies in 1/pixel, from which to which the filter ends."""
BAND_RAD = (0.04, 0.8)
"""Widths of the directions of streaks."""
BLUR_SHARE, BLUR_PIXELS = 0.1, 1.0
SCALE, OFFSET_HU = 0.03, 15.0
UPTAKE_SCALE, UPTAKE_NOISE, UPTAKE_BLUR_SHARE = 0.3, 0.2, 0.2

Patch = NDArray[np.float32]


@dataclass(frozen=True)
class Degrader:
    """Makes patches of one scan worse.

    Args:
        kinds: what each channel measures.
        windows: per channel (low, high).
        strength: 1 as stated above, 0 for patches as they are.
    """

    kinds: tuple[str, ...]
    windows: tuple[tuple[float, float], ...]
    strength: float = 1.0

    def draw(self, values: Patch, rng: np.random.Generator) -> Patch:
        """Return a worse copy of values (c, [z,] y, x); what has no data keeps none."""
        found = values.copy()
        is_slice = values.ndim == 3
        if self.strength <= 0 or (is_slice and rng.random() < CLEAN_SLICES):
            return found
        dirty = is_slice or rng.random() >= CLEAN_VOLUMES
        for plane, kind, window in zip(found, self.kinds, self.windows, strict=True):
            if kind == "PET":
                self._uptake(plane, window[1], rng, dirty=dirty)
            else:
                self._density(plane, kind, window, rng, dirty=dirty)
        return found

    def _density(
        self,
        plane: Patch,
        kind: str,
        window: tuple[float, float],
        rng: np.random.Generator,
        *,
        dirty: bool,
    ) -> None:
        is_ct = kind == "CT"
        unit = self.strength * (1.0 if is_ct else (window[1] - window[0]) / 1000.0)
        middle = 0.0 if is_ct else (window[0] + window[1]) / 2
        if plane.ndim == 3:
            plane -= np.float32(middle)
            plane *= np.float32(1 + self.strength * SCALE * rng.uniform(-1, 1))
            plane += np.float32(middle + OFFSET_HU * unit * rng.uniform(-1, 1))
        if not dirty:
            return
        if rng.random() < BLUR_SHARE * self.strength:
            _blur(plane, rng.uniform(0.3, BLUR_PIXELS))
        if plane.ndim == 3:
            plane += _white(plane.shape, rng) * np.float32(BLOCK_NOISE_HU * unit * rng.random())
        else:
            plane += _slice_noise(plane.shape, rng) * np.float32(
                SLICE_NOISE_HU * unit * rng.random() ** 2
            )

    def _uptake(self, plane: Patch, unit: float, rng: np.random.Generator, *, dirty: bool) -> None:
        if plane.ndim == 3:
            plane *= np.float32(2.0 ** (self.strength * UPTAKE_SCALE * rng.uniform(-1, 1)))
        if not dirty:
            return
        if rng.random() < UPTAKE_BLUR_SHARE * self.strength:
            _blur(plane, rng.uniform(0.3, BLUR_PIXELS))
        noise = ndimage.gaussian_filter(_white(plane.shape, rng), rng.uniform(0.4, 1.0))
        spread = noise.std()
        share = self.strength * UPTAKE_NOISE * rng.random() * np.sqrt(unit)
        if spread > 0:
            plane += noise * np.float32(share / spread) * np.sqrt(np.maximum(plane, 0))


def _white(shape: tuple[int, ...], rng: np.random.Generator) -> Patch:
    return rng.standard_normal(shape, dtype=np.float32)


def _slice_noise(shape: tuple[int, ...], rng: np.random.Generator) -> Patch:
    """Draw noise (y, x) of unit deviation: white, textured, or streaks."""
    kind = rng.random()
    if kind < WHITE_SHARE:
        return _white(shape, rng)
    band = None
    if kind >= WHITE_SHARE + TEXTURE_SHARE:
        band = float(np.exp(rng.uniform(*np.log(BAND_RAD))))
    return _projected(shape, rng, band)


def _projected(shape: tuple[int, ...], rng: np.random.Generator, band: float | None) -> Patch:
    """Draw noise as filtered back-projection leaves it, in a band of directions where one is given."""
    rows, columns = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None]
    frequency, cutoff = np.hypot(rows, columns), rng.uniform(*CUTOFF)
    rolled = 0.5 + 0.5 * np.cos(np.pi * np.minimum(frequency / cutoff, 1.0))
    amplitude = np.sqrt(frequency) * rolled
    if band is not None:
        turned = np.arctan2(rows, columns) - rng.uniform(0, np.pi)
        apart = np.abs((turned + np.pi / 2) % np.pi - np.pi / 2)
        amplitude = amplitude * np.exp(-0.5 * (apart / band) ** 2)
    found = np.fft.irfft2(np.fft.rfft2(_white(shape, rng)) * amplitude, s=shape)
    spread = found.std()
    return np.asarray(found / spread if spread > 0 else found, dtype=np.float32)


def _blur(plane: Patch, deviation: float) -> None:
    """Blur what has data, in place; beside a hole only what is known counts."""
    known = ~np.isnan(plane)
    blurred = ndimage.gaussian_filter(np.where(known, plane, 0), deviation)
    if not known.all():
        blurred /= np.maximum(ndimage.gaussian_filter(known.astype(np.float32), deviation), 1e-3)
    plane[known] = blurred[known]
