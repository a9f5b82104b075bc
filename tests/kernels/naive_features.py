"""The ten features written out in float64, one definition at a time, as slowly as they read."""

import numpy as np
from scipy.ndimage import correlate1d

SMOOTH5 = np.array([1, 4, 6, 4, 1]) / 16
SECOND5 = np.array([1, 0, -2, 0, 1]) / 4
FIRST5 = np.array([-1, -2, 0, 2, 1]) / 8
WIDE5 = np.array([-1, 0, 0, 0, 1]) / 4


def separable(image, along_y, along_x):
    # scipy's "reflect" repeats the edge pixel: numpy's "symmetric".
    once = correlate1d(image, np.asarray(along_y, float), axis=0, mode="reflect")
    return correlate1d(once, np.asarray(along_x, float), axis=1, mode="reflect")


def filled(slice_, reach=3):
    """Give each hole the mean of its nearest pixels with data within reach."""
    image = np.asarray(slice_, np.float64)
    result, there = image.copy(), ~np.isnan(image)
    for y, x in zip(*np.nonzero(~there), strict=True):
        rows, columns = (np.arange(max(0, n - reach), n + reach + 1) for n in (y, x))
        rows, columns = rows[rows < len(image)], columns[columns < image.shape[1]]
        distance = (rows[:, None] - y) ** 2.0 + (columns - x) ** 2
        distance[~there[np.ix_(rows, columns)]] = np.inf
        near = np.isfinite(distance) & (distance == distance.min())
        result[y, x] = image[np.ix_(rows, columns)][near].mean() if near.any() else np.nanmin(image)
    return result


def features(slice_, window=None, spacing_mm=(1.0, 1.0)):
    value = np.asarray(slice_, np.float64)
    low, high = value.min(), value.max()
    if window is not None:
        value = np.clip((value - window[0]) / (window[1] - window[0]), 0, 1)
        low, high = 0.0, 1.0
    floor = 0.05 * (high - low) if high > low else 1.0
    flat = 1e-12 * ((high - low) ** 2 if high > low else 1.0)
    sy, sx = spacing_mm
    padded = np.pad(value, 3, mode="symmetric")
    gy = separable(padded, [-0.5, 0, 0.5], [0.25, 0.5, 0.25]) / sy
    gx = separable(padded, [0.25, 0.5, 0.25], [-0.5, 0, 0.5]) / sx
    inside = (slice(3, -3), slice(3, -3))
    xx, xy, yy = (separable(g, SMOOTH5, SMOOTH5)[inside] for g in (gx * gx, gx * gy, gy * gy))
    hyy = separable(value, SECOND5, SMOOTH5) / sy**2
    hxx = separable(value, SMOOTH5, SECOND5) / sx**2
    hxy = separable(value, FIRST5, FIRST5) / (sy * sx)
    hessian = np.stack([np.stack([hyy, hxy], -1), np.stack([hxy, hxx], -1)], -1)
    small, large = np.moveaxis(np.linalg.eigvalsh(hessian), -1, 0)
    thin = -np.where(small + large > 0, large, small)
    sides = np.hypot(
        separable(value, WIDE5, SMOOTH5) / sy**2, separable(value, SMOOTH5, WIDE5) / sx**2
    )
    mean3 = separable(value, np.ones(3) / 3, np.ones(3) / 3)
    mean5 = separable(value, np.ones(5) / 5, np.ones(5) / 5)
    power = separable(value**2, np.ones(5) / 5, np.ones(5) / 5)
    along = separable(value, [1], np.ones(5) / 5)
    across = separable(value, np.ones(5) / 5, [1])
    return np.stack(
        [
            value,
            np.hypot(gx, gy)[inside],
            np.sqrt(np.maximum(power - mean5**2, 0)),
            np.sign(thin) * np.maximum(np.abs(thin) - sides, 0),
            mean3,
            mean5,
            (xx - yy) / (xx + yy + flat),
            2 * xy / (xx + yy + flat),
            (along - low + floor) / (across - low + floor),
            (mean5 - low + floor) / (value.mean() - low + floor),
        ]
    )
