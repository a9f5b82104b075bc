"""Degradations of a slice made by physics: counts, projections, reconstruction; not by augmentation.

What a student is tested on must not be what it was trained with, so nothing here is shared with
`kernels.student`. A field is made in the measured domain where there is one: variances of a sinogram are
filtered and projected back (both linear, so that the noise alone can be reconstructed), then scaled to
a told standard deviation in the body and added. Values are HU, SUV or the scan's own; NaN stays NaN.

Sources: A. C. Kak and M. Slaney, "Principles of computerized tomographic imaging", 1988, chapters 3 and
5 (back-projection, noise of a reconstruction, streaks of few views); J. Hsieh, "Adaptive streak artifact
reduction in computed tomography", 1998 (photon starvation).
"""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter

AIR_HU = -1000.0
BODY_HU = -500.0
"""HU above which a pixel is of the body, for the strength of a field."""
STARVED_DEPTH = 9.0
"""Optical depth of the longest path: as through both hips, or shoulders. A crop is thinner than its
patient, so depths are scaled to this one."""
DROWNED_DEPTH = 7.0
"""Optical depth at which the detector's own noise equals that of counting."""
VIEWS = 480
FEW_VIEWS = 40
DENSE_OBJECTS = 3
DENSE_RADIUS_MM = 4.0
PET_RESOLUTION_MM = 7.0
"""Width of PET's noise grain at half its height: two voxels of a scanner, whatever grid it is brought to."""
WIDTHS_PER_DEVIATION = 2.3548
"""Full width at half maximum of a normal distribution."""


@dataclass(frozen=True)
class Degradation:
    """What is done to one channel.

    Args:
        kind: white, correlated, starved, metal, counts, gain or offset.
        strength: standard deviation in the body in HU (of the lesion level, as a share, for counts),
            the factor of a gain, HU of an offset.
    """

    kind: str
    strength: float

    @property
    def name(self):
        if self.kind in ("gain", "counts"):
            return f"{self.kind} {self.strength:g}"
        return (
            f"{self.kind} {self.strength:+g} HU"
            if self.kind == "offset"
            else (f"{self.kind} {self.strength:g} HU")
        )


def degraded(plane, degradation, spacing_mm, rng, level=1.0):
    """Return a worse slice.

    Args:
        plane: (y, x) HU, or uptake for counts; NaN where there is no data.
        degradation: what to do.
        spacing_mm: (y, x) distance of pixel centres.
        rng: numpy Generator; the same one gives the same slice.
        level: uptake at which a share of counting noise is told.

    Returns:
        (y, x) float32.
    """
    kind, strength = degradation.kind, degradation.strength
    values = np.asarray(plane, dtype=np.float64)
    if kind == "gain":
        return (values * strength).astype(np.float32)
    if kind == "offset":
        return (values + strength).astype(np.float32)
    if kind == "counts":
        return counted(values, spacing_mm, (strength, level), rng)
    if kind == "white":
        field = rng.normal(size=values.shape)
    elif kind == "correlated":
        field = reconstructed_noise(values.shape, rng)
    else:
        make = {"starved": starvation_streaks, "metal": dense_object_streaks}[kind]
        field = make(values, spacing_mm, rng)
    return (values + strength * field).astype(np.float32)


def counted(values, spacing_mm, strength, rng):
    """Add counting noise to uptake: variance grows with the value, neighbours are correlated.

    `strength` is (share, level): the standard deviation at that level, as a part of it.
    Reconstruction with a positivity constraint gives no negative uptake, so none is left.
    """
    share, level = strength
    grain = [PET_RESOLUTION_MM / WIDTHS_PER_DEVIATION / step for step in spacing_mm]
    noise = gaussian_filter(rng.normal(size=values.shape), grain, mode="wrap")
    spread = share * np.sqrt(np.maximum(values, 0.0) * level)
    return np.maximum(values + spread * noise / noise.std(), 0.0).astype(np.float32)


def reconstructed_noise(shape, rng):
    """Return (y, x) noise of unit deviation with the texture of filtered back-projection."""
    side = _side(shape)
    field = back_projected(rng.normal(size=(VIEWS, side)), shape)
    return field / field.std()


def starvation_streaks(hu, spacing_mm, rng):
    """Return streaks of paths that few photons survive, of unit deviation in the body.

    The variance of a logarithm of counts grows as the exponential of the path's depth (Poisson), and
    twice as fast where the detector's own noise drowns them.
    """
    depth = projections(np.maximum(np.nan_to_num(hu, nan=AIR_HU) - AIR_HU, 0.0))
    depth *= STARVED_DEPTH / max(float(depth.max()), 1e-9)
    variance = np.exp(depth) + np.exp(2.0 * depth - DROWNED_DEPTH)
    noise = rng.normal(size=depth.shape) * np.sqrt(variance)
    return _scaled(back_projected(noise, hu.shape), hu)


def dense_object_streaks(hu, spacing_mm, rng):
    """Return the streaks of small dense objects seen in few views, of unit deviation in the body.

    Objects lie at the densest spots or, of equally dense ones, at any; their own disks are left as they
    were. What is reconstructed is what few views say beyond what all say.
    """
    dense = np.zeros(hu.shape)
    body = np.nan_to_num(hu, nan=AIR_HU) > BODY_HU
    places = np.argwhere(body if body.any() else np.ones_like(body))
    weight = np.maximum(np.nan_to_num(hu, nan=AIR_HU)[tuple(places.T)], 0.0) ** 2 + 1.0
    chosen = places[rng.choice(len(places), DENSE_OBJECTS, p=weight / weight.sum())]
    y, x = np.indices(hu.shape)
    for row, column in chosen:
        apart = np.hypot((y - row) * spacing_mm[0], (x - column) * spacing_mm[1])
        dense[apart <= DENSE_RADIUS_MM] = 1.0
    paths = projections(dense)
    step = VIEWS // FEW_VIEWS
    seen = np.zeros(VIEWS)
    seen[rng.integers(step) :: step] = step
    field = back_projected(paths * (seen - 1.0)[:, None], hu.shape)
    field[dense > 0] = 0.0
    return _scaled(field, hu)


def projections(plane):
    """Return sums of a plane (y, x) along VIEWS parallel directions over 180°, (views, detectors)."""
    side = _side(plane.shape)
    wide = _padded(plane, side)
    found = np.empty((VIEWS, side))
    for view in range(VIEWS):
        found[view] = cv2.warpAffine(wide, _turn(view, side), (side, side)).sum(axis=0)
    return found


def back_projected(sinogram, shape):
    """Reconstruct a plane (y, x) from (views, detectors) by filtered back-projection, Hann's window.

    The ramp is sampled in space, so that sums are right: Kak and Slaney, equation 3.61.
    """
    views, side = sinogram.shape
    length = 2 * side
    apart = np.minimum(np.arange(length), length - np.arange(length))
    ramp = np.zeros(length)
    ramp[apart % 2 == 1] = -1.0 / (np.pi * apart[apart % 2 == 1]) ** 2
    ramp[0] = 0.25
    response = np.fft.rfft(ramp).real * (0.5 + 0.5 * np.cos(2.0 * np.pi * np.fft.rfftfreq(length)))
    filtered = np.fft.rfft(sinogram, length, axis=1) * response
    rows = np.fft.irfft(filtered, length, axis=1)[:, :side].astype(np.float32)
    total = np.zeros((side, side))
    for view in range(views):
        smeared = np.broadcast_to(rows[view], (side, side)).copy()
        back = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
        total += cv2.warpAffine(smeared, _turn(view, side), (side, side), flags=back)
    top, left = (side - shape[0]) // 2, (side - shape[1]) // 2
    return total[top : top + shape[0], left : left + shape[1]] * (np.pi / views)


def _side(shape):
    """Width of a square that holds a plane in every rotation, and the rays beside it."""
    return int(np.ceil(np.hypot(*shape))) + 4


def _padded(plane, side):
    top, left = (side - plane.shape[0]) // 2, (side - plane.shape[1]) // 2
    wide = np.zeros((side, side), dtype=np.float32)
    wide[top : top + plane.shape[0], left : left + plane.shape[1]] = plane
    return wide


def _turn(view, side):
    middle = (side - 1) / 2
    return cv2.getRotationMatrix2D((middle, middle), 180.0 * view / VIEWS, 1.0)


def _scaled(field, hu):
    """Scale to unit deviation about zero in the body, in all of the plane where there is none."""
    body = np.nan_to_num(hu, nan=AIR_HU) > BODY_HU
    spread = float(np.sqrt(np.mean(field[body] ** 2))) if body.any() else float(field.std())
    return field / max(spread, 1e-12)
