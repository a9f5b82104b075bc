"""Slow, plain definitions that the metrics are checked against."""

import itertools

import numpy as np
from skimage.measure import marching_cubes, mesh_surface_area


def naive_surface(mask):
    """Pixels with a face neighbour outside the mask or outside the array, as index rows."""
    found = []
    for index in np.argwhere(mask):
        for axis, step in itertools.product(range(mask.ndim), (-1, 1)):
            near = index.copy()
            near[axis] += step
            if not 0 <= near[axis] < mask.shape[axis] or not mask[tuple(near)]:
                found.append(index)
                break
    return np.array(found, dtype=float)


def naive_surface_distance_95(prediction, reference, spacing_mm):
    first = naive_surface(prediction) * np.array(spacing_mm)
    second = naive_surface(reference) * np.array(spacing_mm)
    distance = np.linalg.norm(first[:, None] - second[None], axis=2)
    return max(np.percentile(distance.min(1), 95), np.percentile(distance.min(0), 95))


def naive_surface_dice(prediction, reference, spacing_mm, tolerance_mm):
    """Share of both surfaces near the other: every cell's triangles by skimage, every pair of cells."""
    spacing = np.array(spacing_mm)
    places, areas = [], []
    for mask in (prediction, reference):
        padded = np.pad(mask, 1).astype(float)
        found, sizes = [], []
        for index in itertools.product(*(range(n - 1) for n in padded.shape)):
            cell = padded[tuple(slice(i, i + 2) for i in index)]
            if cell.min() < cell.max():
                corners, triangles, _, _ = marching_cubes(cell, 0.5, spacing=spacing_mm)
                found.append(np.array(index) * spacing)
                sizes.append(mesh_surface_area(corners, triangles))
        places.append(np.array(found))
        areas.append(np.array(sizes))
    distance = np.linalg.norm(places[0][:, None] - places[1][None], axis=2)
    near = [distance.min(1) <= tolerance_mm, distance.min(0) <= tolerance_mm]
    met = sum(a[n].sum() for a, n in zip(areas, near, strict=True))
    return met / sum(a.sum() for a in areas)


def naive_parts(mask):
    """Connected parts as sets of voxels: faces, edges and corners."""
    left, parts = {tuple(map(int, v)) for v in np.argwhere(mask)}, []
    while left:
        part, border = set(), {left.pop()}
        while border:
            part |= border
            near = {
                tuple(a + b for a, b in zip(v, step, strict=True))
                for v in border
                for step in itertools.product((-1, 0, 1), repeat=mask.ndim)
            }
            border = near & left
            left -= border
        parts.append(part)
    return parts
