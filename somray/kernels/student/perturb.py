"""Slices made worse in physical units, for the student to learn what is behind the noise.

Noise and streaks are added to the values (HU, counts) before any window, and features are computed
anew: what a window or an edge filter makes of noise is part of what must be learned. Uptake beside another
channel is left as it is (`inputs.can_be_noisy`).
Crops are not turned or mirrored: features hold the orientation of edges, and agreement fell with it
(benchmarks/LOG.md).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from somray.kernels.student.inputs import Look, can_be_noisy, noise_reference, quiet, student_inputs
from somray.kernels.student.noise_view import QUIET, Noise, noise_of

__all__ = ["NoisySlice", "streak_field"]

Plane = NDArray[np.float32]
Generator = np.random.Generator

HU = {"CT": 1.0}
"""Noise is told in HU; for another channel one HU is a thousandth of its window."""
LEAST, MOST = 10.0, 65.0
"""Standard deviation of the noise in HU, drawn evenly (bench_student_noise)."""
STREAKS, CORRELATED = 0.35, 0.15
"""Shares of crops with streaks and with correlated noise; the others have white noise."""
STREAKED, SOFTENED = 0.8, 0.6
"""Strength of streaks and of correlated noise, as shares of white noise's: stronger cannot be seen
through (bench_student_noise)."""
HEARD = QUIET + 0.02
"""Least excess that a perturbed channel is given, so that the U-Net is asked at all."""


@dataclass(frozen=True, eq=False)
class NoisySlice:
    """A slice of which perturbed crops are drawn.

    Args:
        image: (c, y, x) physical values.
        channels: their names.
        look: how the student looks at its scan.
        around: (2k, c, y, x) neighbouring slices, where the student sees them.
    """

    image: NDArray[np.float32]
    channels: tuple[str, ...]
    look: Look
    around: NDArray[np.float32] | None = None

    def draw(
        self, rows: slice, columns: slice, rng: Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Perturb a crop.

        Returns:
            Inputs (d, y, x) as of a noisy slice, and the clean crop's own (inputs, y, x).
        """
        crop = self.image[:, rows, columns]
        clean = student_inputs(crop, self.look, noise=quiet(len(crop)))
        worse = self._worse(crop, rng)
        around = self.around
        if around is not None:  # a noisy scan's neighbours are as noisy, each in its own way
            around = np.stack([self._worse(near, rng) for near in around[:, :, rows, columns]])
        return student_inputs(worse, self.look, around, self._noise(crop, worse)), clean

    def _worse(self, crop: NDArray[np.float32], rng: Generator) -> NDArray[np.float32]:
        """Add noise or streaks to every channel that can be noisy."""
        worse = crop.copy()
        for number in map(int, np.flatnonzero(can_be_noisy(self.channels))):
            low, high = self.look.windows[number]
            unit = HU.get(self.channels[number], (high - low) / 1000.0)
            worse[number] += np.float32(unit) * field((crop.shape[1], crop.shape[2]), rng)
        return worse

    def _noise(self, crop: NDArray[np.float32], worse: NDArray[np.float32]) -> Noise:
        """Return the noise of a perturbed crop beyond the clean one's."""
        if not self.look.feature_names:
            return quiet(len(crop))
        windows = self.look.windows
        found = noise_of(worse, windows, noise_reference(crop, windows, self.channels))
        heard = np.maximum(found.excess, np.float32(HEARD))
        return found._replace(excess=np.where(can_be_noisy(self.channels), heard, found.excess))


def field(shape: tuple[int, int], rng: Generator) -> Plane:
    """Draw what a CT slice of this shape is made worse by, in HU."""
    strength, kind = rng.uniform(LEAST, MOST), rng.random()
    if kind < STREAKS:
        strength *= STREAKED
        return np.float32(strength) * (
            streak_field(shape, rng) + np.float32(0.2) * _white(shape, rng)
        )
    if kind < STREAKS + CORRELATED:
        soft: Plane = ndimage.gaussian_filter(_white(shape, rng), rng.uniform(0.4, 0.9))
        return soft * np.float32(SOFTENED * strength / max(float(soft.std()), 1e-6))
    return _white(shape, rng) * np.float32(strength)


def streak_field(shape: tuple[int, int], rng: Generator) -> Plane:
    """Draw streaks of standard deviation 1: bands of random profile across a few directions.

    Directions gather round one, as the rays do that pass the most metal or bone; a band is strongest
    beside its own axis.
    """
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    size = int(np.hypot(*shape)) + 2
    middle, spread = rng.uniform(0, np.pi), rng.uniform(0.1, 1.6)
    total = np.zeros(shape, dtype=np.float64)
    place = np.arange(2.0 * size) - size
    for _ in range(int(rng.integers(1, 12))):
        angle = middle + spread * rng.normal()
        rough = rng.normal(size=2 * size)
        profile: NDArray[np.float64] = ndimage.gaussian_filter1d(rough, rng.uniform(0.5, 1.5))
        axis, width = rng.uniform(-size / 3, size / 3), rng.uniform(size / 20, size / 2)
        profile *= np.exp(rng.normal() - 0.5 * ((place - axis) / width) ** 2)
        across = (columns - shape[1] / 2) * np.cos(angle) + (rows - shape[0] / 2) * np.sin(angle)
        total += np.interp(across, place, profile)
    return np.asarray(total / max(float(total.std()), 1e-6), dtype=np.float32)


def _white(shape: tuple[int, int], rng: Generator) -> Plane:
    return rng.standard_normal(shape, dtype=np.float32)
