"""Slow oracles of the figures people quote, straight from their definitions, voxel by voxel."""

import itertools

import numpy as np
from scipy import ndimage


def peak(image, lesion, spacing_mm, radius_mm):
    """Try every voxel of a lesion as the centre; None where no whole sphere fits."""
    reach = [int(radius_mm / s) + 1 for s in spacing_mm]
    offsets = [
        step
        for step in itertools.product(*(range(-n, n + 1) for n in reach))
        if sum((k * s) ** 2 for k, s in zip(step, spacing_mm, strict=True)) <= radius_mm**2
    ]
    best = None
    for centre in np.argwhere(lesion):
        values = []
        for step in offsets:
            place = tuple(int(c) + k for c, k in zip(centre, step, strict=True))
            inside = all(0 <= p < n for p, n in zip(place, image.shape, strict=True))
            values.append(float(image[place]) if inside else np.nan)
        if not np.isnan(values).any():
            mean = sum(values) / len(values)
            best = mean if best is None else max(best, mean)
    return best


def axial(lesion, spacing_mm):
    """Compare all pairs of each slice; return the longest distance and its slice."""
    best, where = 0.0, None
    for z, plane in enumerate(lesion):
        points = np.argwhere(plane) * np.array(spacing_mm[1:])
        for one, other in itertools.product(points, points):
            length = float(np.hypot(*(one - other)))
            if where is None or length > best:
                best, where = length, z
    return best, where


def widest_chord(corners, along, lines=20001):
    """Cut a convex polygon by many lines at right angles to `along` (unit); the longest cut."""
    across = np.array([-along[1], along[0]])
    place, height = corners @ along, corners @ across
    longest = 0.0
    for line in np.linspace(place.min(), place.max(), lines):
        met = []
        for k in range(len(corners)):
            a, b = place[k - 1], place[k]
            if min(a, b) <= line <= max(a, b) and a != b:
                met.append(height[k - 1] + (line - a) / (b - a) * (height[k] - height[k - 1]))
        if met:
            longest = max(longest, max(met) - min(met))
    return longest


def nearest(lesions, spacing_mm):
    """Compare every voxel of each lesion with every voxel of the others."""
    points = [np.argwhere(lesion) * np.array(spacing_mm) for lesion in lesions]
    found = []
    for k, own in enumerate(points):
        others = [p for j, p in enumerate(points) if j != k]
        apart = [np.linalg.norm(other - a, axis=1).min() for other in others for a in own]
        found.append(min(apart) if apart else None)
    return found


def surface(lesion, spacing_mm, half):
    """Smooth the whole mask by separable filters, then weigh its faces; no block, no sparse voxels."""
    pad = max(half) + 2
    mask = np.pad(lesion, pad).astype(np.float64)
    smooth = [_binomial(2 * n) for n in half]
    slope = [np.convolve(_binomial(2 * n - 2), [-1, 0, 1]) for n in half]
    between = [_binomial(2 * n + 1) for n in half]
    step = [np.convolve(_binomial(2 * n), [-1, 1]) for n in half]
    total = 0.0
    for axis in range(3):
        slopes = []
        for along in range(3):
            field = mask
            for k in range(3):
                if k == axis:
                    kernel, origin = (step if along == axis else between)[k], -1
                else:
                    kernel, origin = (slope if along == k else smooth)[k], 0
                field = ndimage.correlate1d(field, kernel, axis=k, origin=origin, mode="constant")
            slopes.append(field / spacing_mm[along])
        faces = mask != np.roll(mask, -1, axis)
        share = np.abs(slopes[axis])[faces] / np.sqrt(sum(s[faces] ** 2 for s in slopes))
        total += float(share.sum()) * np.prod(spacing_mm) / spacing_mm[axis]
    return total


def _binomial(order):
    row = np.ones(1)
    for _ in range(order):
        row = np.convolve(row, [1, 1])
    return row
